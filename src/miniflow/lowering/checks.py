"""A kernel in two: what it looks whether it holds, and what it computes.

    for i in range(m):                        for i in range(m):
        label = y[i]                              label = y[i]
        if label < 0 or label >= n: fail          if label < 0 or label >= n: fail
        loss[i] = -log(p[i, label])
                                              for i in range(m):
                                                  label = minimum(maximum(y[i], 0), n - 1)
                                                  loss[i] = -log(p[i, label])

What is done tile by tile, by several threads, cannot fail on its way: indices that the caller
handed in are looked at before. What then is used of them lies in its array in any case, even if
somebody writes to them in between.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from miniflow.ir import Equation
from miniflow.lowering.kernels import OUT_OF_RANGE, GroupKernel
from miniflow.lowering.nests import (
    SIZE,
    ArrayParameter,
    Fail,
    If,
    Kernel,
    Let,
    Loop,
    Parameter,
    Statement,
    Term,
    constant,
    maximum,
    minimum,
    terms_of,
    terms_within,
)


def checks_of(written: GroupKernel) -> GroupKernel:
    """Return what of a kernel looks whether something holds, and nothing else."""
    return _with_body(written, _only_checks(written.kernel.body, set()))


def without_checks(written: GroupKernel) -> GroupKernel:
    """Return a kernel that does not look whether indices are in range: that has been done."""
    return _with_body(written, _no_checks(written.kernel.body))


def _with_body(written: GroupKernel, body: tuple[Statement, ...]) -> GroupKernel:
    """The kernel with another body, and with those of its parameters that it needs."""
    kernel = Kernel((), body)
    used = {word for s in kernel.statements() for word in _words_of(terms_of(s))}
    used |= {s.array for s in kernel.statements() if hasattr(s, "array")}
    for parameter in written.kernel.parameters:
        if isinstance(parameter, ArrayParameter) and parameter.name in used:
            used |= _words_of(parameter.shape)
    parameters: list[Parameter] = [p for p in written.kernel.parameters if p.name in used]
    arguments = {p.name: written.arguments[p.name] for p in parameters}
    return replace(written, kernel=Kernel(tuple(parameters), body), arguments=arguments)


def _only_checks(statements: Iterable[Statement], wanted: set[str]) -> tuple[Statement, ...]:
    """Return what fails, the loops around it, and what that reads, whose words become `wanted`."""
    found: list[Statement] = []
    for statement in reversed([*statements]):
        kept: Statement | None = None
        if isinstance(statement, (Loop, If)):
            body = _only_checks(statement.body, wanted)
            kept = replace(statement, body=body) if body else None
        elif isinstance(statement, Fail) or (
            isinstance(statement, Let) and statement.name in wanted
        ):
            kept = statement
        if kept is not None:
            wanted |= _words_of(terms_of(kept))
            found.append(kept)
    return tuple(reversed(found))


def _no_checks(statements: Iterable[Statement]) -> tuple[Statement, ...]:
    found: list[Statement] = []
    for statement in statements:
        match statement:
            case If(body=(Fail(status, equation, about),)) if status == OUT_OF_RANGE:
                found[-1] = _held(found[-1], about[-1], equation)
            case Loop() | If():
                found.append(replace(statement, body=_no_checks(statement.body)))
            case _:
                found.append(statement)
    return tuple(found)


def _held(statement: Statement, length: Term, equation: Equation | None) -> Let:
    """The index that a statement gives a name, from 0 to before a length."""
    assert isinstance(statement, Let)
    value = minimum(maximum(statement.value, constant(0, SIZE)), length - 1)
    return Let(statement.name, value, equation)


def _words_of(terms: Iterable[Term]) -> set[str]:
    """The names, and the arrays, that terms read."""
    return {str(term.what) for term in terms_within(terms) if term.op in ("name", "load")}
