"""Nests of loops, as data: what a kernel is before any language is written.

    kernel(m: size, n: size, x: f32[m, n], b: f32[n], total: f32[m], out: f32[m, n]):
        for i in range(m):
            s = f64(0.0)
            for j in range(n):
                t1 = x[i, j] + b[j]
                out[i, j] = exp(t1)
                s += f64(t1)
            total[i] = f32(s)

A `Kernel` has parameters (sizes, numbers, arrays) and statements: `Loop`, `Let`, `Begin` and
`Accumulate` (a total), `Store`, `If` and `Fail`. What is computed is a `Term`: a constant, a name,
an entry of an array, or an operation on terms. A term has a dtype, and nothing is promoted: a
Python number takes the dtype of what it meets, and all else is converted by name (`cast`).

Terms are made by Python's operators and by the functions of this file; the operations are called as
NumPy calls its ufuncs, and mean the same. Floating-point arithmetic is done as written, each
operation rounded by itself, with one exception: what is accumulated may be added up in any order,
which is what lets a printer make a sum of eight numbers at a time. Arrays do not overlap.

`nest_text` writes a kernel for people, `nest_check` verifies one, `nest_evaluate` says what it
means; the backends print it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import numpy as np

from miniflow.ir.dtypes import DTYPES
from miniflow.ir.program import Equation

LOOP_DTYPES: Final = {"size", *DTYPES}  # those that a term can have
SIZE: Final = "size"  # the dtype of sizes and places, beside those of `DTYPES`: 64 bits

Number: TypeAlias = "bool | int | float"
Numeric: TypeAlias = "Term | Number"


@dataclass(frozen=True, slots=True)
class Term:
    """A value of one dtype.

    `op` is ``const`` (`what` is the number), ``name`` (`what` is it), ``load`` (`what` is the
    array, the operands are the indices), ``cast``, ``bits`` (the same bits as another dtype),
    ``where``, ``fma``, ``quotient`` (of whole numbers, without its fraction; the divisor is neither
    0 nor -1), ``call`` (`what` is a function of `functions`), or the name of a ufunc of NumPy's.
    """

    op: str
    dtype: str
    operands: tuple[Term, ...] = ()
    what: str | Number = ""

    def __add__(self, other: Numeric) -> Term:
        return _arithmetic("add", self, other)

    def __radd__(self, other: Numeric) -> Term:
        return _arithmetic("add", other, self)

    def __sub__(self, other: Numeric) -> Term:
        return _arithmetic("subtract", self, other)

    def __rsub__(self, other: Numeric) -> Term:
        return _arithmetic("subtract", other, self)

    def __mul__(self, other: Numeric) -> Term:
        return _arithmetic("multiply", self, other)

    def __rmul__(self, other: Numeric) -> Term:
        return _arithmetic("multiply", other, self)

    def __truediv__(self, other: Numeric) -> Term:
        return _arithmetic("divide", self, other)

    def __rtruediv__(self, other: Numeric) -> Term:
        return _arithmetic("divide", other, self)

    def __lshift__(self, other: Numeric) -> Term:
        return _arithmetic("left_shift", self, other)

    def __rshift__(self, other: Numeric) -> Term:
        return _arithmetic("right_shift", self, other)

    def __and__(self, other: Numeric) -> Term:
        return _arithmetic("bitwise_and", self, other)

    def __or__(self, other: Numeric) -> Term:
        return _arithmetic("bitwise_or", self, other)

    def __xor__(self, other: Numeric) -> Term:
        return _arithmetic("bitwise_xor", self, other)

    def __neg__(self) -> Term:
        return Term("negative", self.dtype, (self,))

    def __invert__(self) -> Term:
        return Term("invert", self.dtype, (self,))

    def __lt__(self, other: Numeric) -> Term:
        return compare("less", self, other)

    def __le__(self, other: Numeric) -> Term:
        return compare("less_equal", self, other)

    def __gt__(self, other: Numeric) -> Term:
        return compare("greater", self, other)

    def __ge__(self, other: Numeric) -> Term:
        return compare("greater_equal", self, other)


# Making terms.


def constant(number: Number | np.generic, dtype: str) -> Term:
    """A number."""
    kind: type = {"b": bool, "f": float}.get(dtype[0], int)
    return Term("const", dtype, (), kind(number))


def name(word: str, dtype: str = SIZE) -> Term:
    """What a parameter, a loop or a `Let` has given a name."""
    return Term("name", dtype, (), word)


def load(array: ArrayParameter, *index: Numeric) -> Term:
    """An entry of an array."""
    return Term("load", array.dtype, tuple(_fit(i, SIZE) for i in index), array.name)


def cast(x: Numeric, dtype: str) -> Term:
    """A number in another dtype; a float becomes an integer by leaving out its fraction."""
    if not isinstance(x, Term):
        return constant(x, dtype)
    return x if x.dtype == dtype else Term("cast", dtype, (x,))


def bits(x: Term, dtype: str) -> Term:
    """What has the same bits in another dtype of that size."""
    return Term("bits", dtype, (x,))


def where(condition: Term, x: Numeric, y: Numeric) -> Term:
    """`x` where the condition holds, else `y`."""
    x, y = _pair(x, y)
    return Term("where", x.dtype, (condition, x, y))


def compare(op: str, x: Numeric, y: Numeric) -> Term:
    """A comparison by its NumPy name: ``equal``, ``less``, ..."""
    return Term(op, "bool", _pair(x, y))


def equal(x: Numeric, y: Numeric) -> Term:
    """Whether two numbers are equal (`==` compares terms)."""
    return compare("equal", x, y)


def not_equal(x: Numeric, y: Numeric) -> Term:
    """Whether two numbers differ."""
    return compare("not_equal", x, y)


def apply(op: str, x: Numeric, *others: Numeric) -> Term:
    """An operation by name on numbers of one dtype, which the result has, too."""
    dtype = next(o.dtype for o in (x, *others) if isinstance(o, Term))
    return Term(op, dtype, tuple(_fit(o, dtype) for o in (x, *others)))


def absolute(x: Term) -> Term:
    """|x|."""
    return apply("absolute", x)


def maximum(x: Numeric, y: Numeric) -> Term:
    """The larger one; NaN if one is NaN."""
    return apply("maximum", x, y)


def minimum(x: Numeric, y: Numeric) -> Term:
    """The smaller one; NaN if one is NaN."""
    return apply("minimum", x, y)


def copysign(x: Term, y: Term) -> Term:
    """|x| with the sign of y."""
    return apply("copysign", x, y)


def sqrt(x: Term) -> Term:
    """√x."""
    return apply("sqrt", x)


def fma(x: Numeric, y: Numeric, z: Numeric) -> Term:
    """``x * y + z``, rounded once where the processor can."""
    return apply("fma", x, y, z)


def call(function: str, *operands: Term) -> Term:
    """A function of `functions`, for the dtype of its operands."""
    dtype = operands[0].dtype
    return Term("call", dtype, operands, f"{function}_{dtype}")


def _arithmetic(op: str, x: Numeric, y: Numeric) -> Term:
    x, y = _pair(x, y)
    return Term(op, x.dtype, (x, y))


def _pair(x: Numeric, y: Numeric) -> tuple[Term, Term]:
    dtype = x.dtype if isinstance(x, Term) else y.dtype if isinstance(y, Term) else ""
    return _fit(x, dtype), _fit(y, dtype)


def _fit(x: Numeric, dtype: str) -> Term:
    return x if isinstance(x, Term) else constant(x, dtype)


# Statements. `equation` is where one comes from, for those who read: it does not count when kernels
# are compared.


@dataclass(frozen=True, slots=True)
class Let:
    """``name = value``, once in its block."""

    name: str
    value: Term
    equation: Equation | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Begin:
    """``name = value``, of which more is made by `Accumulate`."""

    name: str
    value: Term
    equation: Equation | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Accumulate:
    """``name = by(name, value)``; a sum (``add``) may be made in any order."""

    name: str
    value: Term
    by: str = "add"
    equation: Equation | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Store:
    """``array[index] = value``, or ``+= value``, in any order, if it `adds`."""

    array: str
    index: tuple[Term, ...]
    value: Term
    adds: bool = False
    equation: Equation | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Loop:
    """``for index in range(start, stop, step)``, the step being positive.

    `is_parallel`: the turns may run in any order, or at once.
    """

    index: str
    stop: Term
    body: tuple[Statement, ...]
    start: Term = field(default_factory=lambda: constant(0, SIZE))
    step: int = 1
    is_parallel: bool = False
    equation: Equation | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class If:
    """Statements that run where a condition holds."""

    condition: Term
    body: tuple[Statement, ...]
    equation: Equation | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Fail:
    """The kernel ends here with a status other than 0, and says why; 0 means that all is well.

    `about` has numbers that a message may show: of an index, it, its axis and the axis's length.
    """

    status: int
    equation: Equation | None = field(default=None, compare=False)
    about: tuple[Term, ...] = ()


Statement: TypeAlias = "Let | Begin | Accumulate | Store | Loop | If | Fail"


# Kernels.


@dataclass(frozen=True, slots=True)
class SizeParameter:
    """A number of things."""

    name: str


@dataclass(frozen=True, slots=True)
class NumberParameter:
    """A single number, which lies in memory."""

    name: str
    dtype: str


@dataclass(frozen=True, slots=True)
class ArrayParameter:
    """An array in C order, whose shape is told in terms of sizes; without one, it is memory in
    which an index counts the entries from where it begins.
    """

    name: str
    dtype: str
    shape: tuple[Term, ...] = ()


Parameter: TypeAlias = "SizeParameter | NumberParameter | ArrayParameter"


@dataclass(frozen=True, slots=True)
class Kernel:
    """Statements and what they are handed, by name. Kernels that do the same are equal."""

    parameters: tuple[Parameter, ...]
    body: tuple[Statement, ...]

    def statements(self) -> Iterator[Statement]:
        """All statements, those of loops after the loop."""
        waiting = list(reversed(self.body))
        while waiting:
            statement = waiting.pop()
            yield statement
            if isinstance(statement, (Loop, If)):
                waiting += reversed(statement.body)


def terms_of(statement: Statement) -> tuple[Term, ...]:
    """The terms that a statement computes itself, not those of what is in it."""
    match statement:
        case Store(index=index, value=value):
            return (*index, value)
        case Loop(start=start, stop=stop):
            return (start, stop)
        case If(condition=condition):
            return (condition,)
        case Fail(about=about):
            return about
    return (statement.value,)


def terms_within(terms: Iterable[Term]) -> Iterator[Term]:
    """These terms and all that they are made of, each before its operands."""
    waiting = [*terms][::-1]
    while waiting:
        term = waiting.pop()
        yield term
        waiting += reversed(term.operands)


def loads_within(terms: Iterable[Term]) -> Iterator[Term]:
    """What of these terms, and within them, reads from an array."""
    return (term for term in terms_within(terms) if term.op == "load")


def functions_called(kernel_or_function: Any) -> dict[str, None]:
    """The functions of `functions` that are called, each once, in the order of the text."""
    roots = (term for s in kernel_or_function.statements() for term in terms_of(s))
    return {str(term.what): None for term in terms_within(roots) if term.op == "call"}


def written_arrays(kernel: Kernel) -> dict[str, bool]:
    """The arrays that a kernel stores to, and whether it reads one before it has."""
    read: set[str] = set()
    written: dict[str, bool] = {}
    for statement in kernel.statements():
        read |= loaded_arrays(statement)
        if isinstance(statement, Store):
            written.setdefault(statement.array, statement.adds or statement.array in read)
    return written


def loaded_arrays(statement: Statement) -> set[str]:
    """The arrays that a statement itself reads from, but for what it adds to."""
    return {str(term.what) for term in loads_within(terms_of(statement))}
