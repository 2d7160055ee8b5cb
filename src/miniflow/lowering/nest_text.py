"""The text of a kernel: what `step.source` prints, for people to read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from miniflow.ir.program import Equation
from miniflow.lowering.nest_walk import COMPARISONS, INFIX, TermWalk
from miniflow.lowering.nests import (
    Accumulate,
    ArrayParameter,
    Begin,
    Fail,
    If,
    Kernel,
    Let,
    Loop,
    Number,
    NumberParameter,
    Parameter,
    Statement,
    Store,
    Term,
)

_PREFIX: Final = {"negative": "-", "invert": "~"}
_ATOM, _UNARY, _COMPARED = 9, 7, 0


class NestLine(NamedTuple):
    """A line of a kernel, and the equation that it computes."""

    text: str
    equation: Equation | None = None


def nest_lines(kernel: Kernel, name: str = "kernel") -> list[NestLine]:
    """Return the lines of a kernel, its head among them."""
    head = ", ".join(map(_declaration, kernel.parameters))
    return [NestLine(f"def {name}({head}):"), *_block(kernel.body, "    ")]


def nest_text(kernel: Kernel, name: str = "kernel") -> str:
    """Return the text of a kernel.

    >>> from miniflow.lowering.nests import cast, load, name
    >>> n, j = name("n"), name("j")
    >>> x, out = ArrayParameter("x", "f32", (n,)), ArrayParameter("out", "f64", (n,))
    >>> double = Store("out", (j,), 2.0 * cast(load(x, j), "f64"))
    >>> print(nest_text(Kernel((x, out), (Loop("j", n, (double,)),))))
    def kernel(x: f32[n], out: f64[n]):
        for j in range(n):
            out[j] = 2.0 * f64(x[j])
    """
    return "\n".join(line.text for line in nest_lines(kernel, name))


def _declaration(parameter: Parameter) -> str:
    if isinstance(parameter, ArrayParameter):
        shape = ", ".join(map(term_text, parameter.shape)) or "..."
        return f"{parameter.name}: {parameter.dtype}[{shape}]"
    dtype = parameter.dtype if isinstance(parameter, NumberParameter) else "size"
    return f"{parameter.name}: {dtype}"


def _block(statements: Iterable[Statement], indent: str) -> Iterator[NestLine]:
    for statement in statements:
        yield NestLine(indent + _line(statement), statement.equation)
        if isinstance(statement, (Loop, If)):
            yield from _block(statement.body, indent + "    ")


def _line(statement: Statement) -> str:
    match statement:
        case Let(name, value) | Begin(name, value):
            return f"{name} = {_typed(value)}"
        case Accumulate(name, value, "add"):
            return f"{name} += {term_text(value)}"
        case Accumulate(name, value, by):
            return f"{name} = {by}({name}, {term_text(value)})"
        case Store(array, index, value, adds):
            place = ", ".join(map(term_text, index))
            return f"{array}[{place}] {'+=' if adds else '='} {term_text(value)}"
        case Loop():
            return f"for {statement.index} in {_range(statement)}:"
        case If(condition):
            return f"if {term_text(condition)}:"
        case Fail(status):
            return f"return {status}"


def _range(loop: Loop) -> str:
    start, stop = term_text(loop.start), term_text(loop.stop)
    ends = [start, stop, str(loop.step)] if loop.step != 1 else [start, stop]
    word = "parallel_range" if loop.is_parallel else "range"
    return f"{word}({stop})" if ends == ["0", stop] else f"{word}({', '.join(ends)})"


def _typed(value: Term) -> str:
    """A number alone says its dtype, since nothing else does."""
    text = term_text(value)
    return f"{_cast_word(value.dtype)}({text})" if value.op == "const" else text


def _cast_word(dtype: str) -> str:
    return "bool_" if dtype == "bool" else dtype


def term_text(term: Term) -> str:
    """Return the text of a term."""
    return _TERMS.term(term)[0]


class _TermText(TermWalk[tuple[str, int]]):
    """The text of terms, and how tightly it binds."""

    def constant_of(self, number: Number, dtype: str) -> tuple[str, int]:
        text = repr(number)
        return text, _UNARY if text[0] == "-" else _ATOM

    def name_of(self, word: str, dtype: str) -> tuple[str, int]:
        return word, _ATOM

    def entry_of(self, array: str, index: Sequence[Term], dtype: str) -> tuple[str, int]:
        return f"{array}[{', '.join(map(term_text, index))}]", _ATOM

    def cast_of(self, x: Term, dtype: str) -> tuple[str, int]:
        return _call(_cast_word(dtype), x)

    def bits_of(self, x: Term, dtype: str) -> tuple[str, int]:
        return _call(f"as_{dtype}", x)

    def choice_of(self, condition: Term, x: Term, y: Term) -> tuple[str, int]:
        return _call("where", condition, x, y)

    def call_of(self, function: str, term: Term) -> tuple[str, int]:
        return _call(function.rpartition("_")[0], *term.operands)

    def comparison_of(self, op: str, x: Term, y: Term) -> tuple[str, int]:
        left, right = (self._inside(each, _COMPARED + 1) for each in (x, y))
        return f"{left} {COMPARISONS[op]} {right}", _COMPARED

    def operation_of(self, term: Term) -> tuple[str, int]:
        if term.op in INFIX:
            sign, binding = INFIX[term.op]
            left, right = (self._inside(x, binding + at) for at, x in enumerate(term.operands))
            return f"{left} {sign} {right}", binding
        if term.op in _PREFIX:
            return _PREFIX[term.op] + self._inside(term.operands[0], _UNARY), _UNARY
        return _call(term.op, *term.operands)

    def _inside(self, term: Term, binding: int) -> str:
        text, own = self.term(term)
        return text if own >= binding else f"({text})"


_TERMS: Final = _TermText()


def _call(word: str, *operands: Term) -> tuple[str, int]:
    return f"{word}({', '.join(map(term_text, operands))})", _ATOM
