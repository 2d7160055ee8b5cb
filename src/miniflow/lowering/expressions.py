"""What each primitive is inside a loop, as a term.

`EXPRESSIONS` is the table. An entry makes a term of the operands', one for floats and one for
integers; where there is none, `can_fuse` says no and the primitive is no part of a loop.

The operands of a ufunc are converted first, as NumPy's own rule of promotion has it
(`lowering.loop_dtypes`).
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import partial
from math import inf
from typing import Final, NamedTuple, TypeAlias

import numpy as np

from miniflow.ir import DTYPES, Equation, Literal, Operand, Variable
from miniflow.lowering.loop_dtypes import loop_dtypes
from miniflow.lowering.nest_text import COMPARISONS
from miniflow.lowering.nests import (
    Term,
    absolute,
    apply,
    call,
    cast,
    compare,
    maximum,
    minimum,
    not_equal,
    sqrt,
    where,
)

BAKED: Final = (0.0, 1.0, -1.0, 2.0, 0.5)  # numbers that kernels hold; others are handed to them
"""Kernels are shared by all programs in which they fit. A batch size, say, would spoil that."""

BITWISE: Final = ("bitwise_and", "bitwise_or", "bitwise_xor")
SHIFTS: Final = ("left_shift", "right_shift")  # by a number that is written into the kernel

Operation: TypeAlias = "Callable[..., Term]"


class Writings(NamedTuple):
    """What makes a term of an equation's operands: for floats, for integers, and for booleans."""

    floats: Operation | None = None
    integers: Operation | None = None
    bools: Operation | None = None


def _all(operation: Operation) -> Writings:
    return Writings(operation, operation, operation)


def _both(operation: Operation) -> Writings:
    return Writings(operation, operation)


def _bits(operation: Operation) -> Writings:
    return Writings(integers=operation, bools=operation)


def _bool(x: Term) -> Term:
    return cast(x, "bool")


def _sign(x: Term) -> Term:
    return where(x > 0.0, 1.0, where(x < 0.0, -1.0, x + 0.0))


EXPRESSIONS: Final[dict[str, Writings]] = {
    "add": _both(operator.add),
    "subtract": _both(operator.sub),
    "multiply": _both(operator.mul),
    "divide": Writings(operator.truediv),
    "power": Writings(lambda x, exponent: x * x),  # the exponent is 2, or it is no loop
    "maximum": Writings(maximum, lambda x, y: where(x > y, x, y)),
    "minimum": Writings(minimum, lambda x, y: where(x < y, x, y)),
    "negative": _both(operator.neg),
    "absolute": Writings(absolute, lambda x: where(x < 0, -x, x)),
    "sign": Writings(_sign),
    "floor": Writings(partial(apply, "floor")),
    "ceil": Writings(partial(apply, "ceil")),
    "rint": Writings(partial(apply, "rint")),
    "sqrt": Writings(sqrt),
    **{name: Writings(partial(call, name)) for name in ("exp", "expm1", "log", "log1p", "tanh")},
    "hypot": Writings(partial(call, "hypot")),
    **{name: _both(partial(compare, name)) for name in COMPARISONS},
    "logical_and": _all(lambda x, y: _bool(x) & _bool(y)),
    "logical_or": _all(lambda x, y: _bool(x) | _bool(y)),
    "logical_not": _all(lambda x: ~_bool(x)),
    **{name: _bits(partial(apply, name)) for name in BITWISE},
    **{name: Writings(integers=partial(apply, name)) for name in SHIFTS},
    "isnan": Writings(lambda x: not_equal(x, x)),
    "isfinite": Writings(lambda x: absolute(x) < inf),
    "where": _all(where),
    "cast": _all(lambda x: x),
    "full": _all(lambda x: x),
    "broadcast_to": _all(lambda x: x),
    # One number of each row; the index is looked after where the loops are written.
    "gather": _all(lambda x: x),
    "gather_update": _all(lambda x, new, is_there: where(is_there, new, x)),
    "scatter_add": _both(lambda x, more, is_there: where(is_there, x + more, x)),
}

REDUCTIONS: Final = ("sum", "max", "min")
RENAMINGS: Final = ("reshape", "slice", "transpose")
_INDEXED: Final = ("gather", "gather_update", "scatter_add")


def can_fuse(equation: Equation) -> bool:
    """Whether a loop can compute the equation; what it indexes, and how, is not looked at."""
    if any(type_.dtype == "f16" for type_ in (equation.result, *equation.operands)):
        return False
    variables = [operand for operand in equation.operands if isinstance(operand, Variable)]
    if any(map(_is_python_int, variables)):
        return False  # an int of any size
    if not variables and equation.primitive != "full":
        return False  # a constant
    if equation.primitive in RENAMINGS:
        return True
    if equation.primitive in REDUCTIONS:
        return equation.operands[0].dtype != "bool" or equation.primitive == "sum"
    if equation.primitive not in EXPRESSIONS or not _is_square_if_power(equation):
        return False
    if equation.primitive in _INDEXED and equation.operands[-1].dtype == "u64":
        return False  # the language has signed indices
    try:
        dtypes = loop_dtypes(equation)
    except TypeError:
        return False
    if equation.primitive in SHIFTS and not _is_within_its_bits(equation.operands[1], dtypes[1]):
        return False
    fits = all(map(_converts_alike, equation.operands, dtypes))
    if equation.primitive in COMPARISONS and len(set(dtypes)) > 1:
        return False  # NumPy compares i64 and u64 as they are
    return fits and _operation(equation) is not None


def _is_python_int(operand: Operand) -> bool:
    return operand.kind == "python" and operand.dtype == "i64"


def _is_square_if_power(equation: Equation) -> bool:
    if equation.primitive != "power":
        return True
    exponent = equation.operands[1]
    return isinstance(exponent, Literal) and exponent.kind == "python" and exponent.value == 2


def _is_within_its_bits(amount: Operand, dtype: str | None) -> bool:
    """Whether a shift is by a known number of bits, as many as there are at most: what processors
    do with more, or with less than none, is not what NumPy does.
    """
    if dtype is None or not isinstance(amount, Literal):
        return False
    return 0 <= int(amount.value) < np.iinfo(DTYPES[dtype]).bits


def _converts_alike(operand: Operand, dtype: str | None) -> bool:
    """Whether the conversion to `dtype` is one that C and NumPy define, and define alike."""
    if dtype is None:
        return False
    if isinstance(operand, Literal) and dtype[0] in "iu":
        limits = np.iinfo(DTYPES[dtype])
        return operand.dtype[0] != "f" and limits.min <= int(operand.value) <= limits.max
    if isinstance(operand, Literal) and operand.dtype[0] == "i":
        return abs(int(operand.value)) < 2**53
    return not (operand.dtype[0] == "f" and dtype[0] in "iu")


def write_term(equation: Equation, *operands: Term) -> Term:
    """Return the term that an equation is of its operands, which are converted already."""
    operation = _operation(equation)
    assert operation is not None
    return operation(*operands)


def _operation(equation: Equation) -> Operation | None:
    entry = EXPRESSIONS[equation.primitive]
    dtype = loop_dtypes(equation)[1 if equation.primitive == "where" else 0]
    if dtype is None:
        return None
    return {"f": entry.floats, "b": entry.bools}.get(dtype[0], entry.integers)
