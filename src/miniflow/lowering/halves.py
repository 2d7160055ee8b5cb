"""Kernels without half-precision floats, for languages that have none.

In memory, a half is the 16 bits that it is; in a loop, a f32 with the same number. What a kernel
does with halves is no more than moving, choosing and converting them (`nest_check`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from miniflow.lowering.nests import (
    Accumulate,
    ArrayParameter,
    Begin,
    If,
    Kernel,
    Let,
    Loop,
    NumberParameter,
    SizeParameter,
    Statement,
    Store,
    Term,
    bits,
    call,
    cast,
    constant,
    load,
    name,
    terms_of,
)


def without_halves(kernel: Kernel) -> Kernel:
    """Return a kernel that does the same with the bits of halves."""
    if not _has_halves(kernel):
        return kernel
    rewriter = _Rewriter(kernel)
    return Kernel(rewriter.parameters, rewriter.block(kernel.body))


def _has_halves(kernel: Kernel) -> bool:
    if any(not isinstance(p, SizeParameter) and p.dtype == "f16" for p in kernel.parameters):
        return True
    waiting = [term for statement in kernel.statements() for term in terms_of(statement)]
    while waiting:
        term = waiting.pop()
        if term.dtype == "f16":
            return True
        waiting += term.operands
    return False


class _Rewriter:
    def __init__(self, kernel: Kernel) -> None:
        arrays = (p for p in kernel.parameters if isinstance(p, ArrayParameter))
        self.arrays = {p.name: p for p in arrays if p.dtype == "f16"}
        numbers = (p for p in kernel.parameters if isinstance(p, NumberParameter))
        self.numbers = {p.name for p in numbers if p.dtype == "f16"}
        self.parameters = tuple(
            replace(p, dtype="u16") if not isinstance(p, SizeParameter) and p.dtype == "f16" else p
            for p in kernel.parameters
        )

    def block(self, statements: Iterable[Statement]) -> tuple[Statement, ...]:
        """Statements of the same meaning."""
        return tuple(map(self._statement, statements))

    def _statement(self, statement: Statement) -> Statement:
        match statement:
            case Store(array, index, value) if array in self.arrays:
                assert not statement.adds
                narrow = cast(call("to_half", bits(self.term(value), "u32")), "u16")
                return replace(statement, index=self._all(index), value=narrow)
            case Store(_, index, value):
                return replace(statement, index=self._all(index), value=self.term(value))
            case Loop(body=body):
                return replace(statement, body=self.block(body))
            case If(condition, body):
                return replace(statement, condition=self.term(condition), body=self.block(body))
            case Let(value=value) | Begin(value=value) | Accumulate(value=value):
                return replace(statement, value=self.term(value))
        return statement

    def _all(self, terms: Iterable[Term]) -> tuple[Term, ...]:
        return tuple(map(self.term, terms))

    def term(self, term: Term) -> Term:
        """A term of the same number; of a half, it is a f32."""
        operands = self._all(term.operands)
        if term.dtype != "f16":
            if term.op == "cast" and operands[0].dtype == term.dtype:
                return operands[0]
            return Term(term.op, term.dtype, operands, term.what)
        if term.op == "const":
            return constant(float(np.float16(term.what)), "f32")
        if term.op == "load":
            return _number_of(load(replace(self.arrays[str(term.what)], dtype="u16"), *operands))
        if term.op == "name" and term.what in self.numbers:
            return _number_of(name(str(term.what), "u16"))
        if term.op == "cast":
            return cast(call("half", cast(operands[0], "f64")), "f32")
        return Term(term.op, "f32", operands, term.what)


def _number_of(half: Term) -> Term:
    return bits(call("from_half", cast(half, "u32")), "f32")
