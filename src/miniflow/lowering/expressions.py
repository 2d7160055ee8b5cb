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
from math import copysign, inf
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np

from miniflow.ir import DTYPES, Equation, Literal, Operand, Variable
from miniflow.lowering.loop_dtypes import loop_dtypes
from miniflow.lowering.nest_walk import COMPARISONS
from miniflow.lowering.nests import (
    Term,
    absolute,
    apply,
    call,
    cast,
    compare,
    constant,
    equal,
    maximum,
    minimum,
    not_equal,
    sqrt,
    where,
)

BAKED: Final = (0.0, 1.0, -1.0, 2.0, 0.5)  # numbers that kernels hold; others are handed to them
"""Kernels are shared by all programs in which they fit. A batch size, say, would spoil that."""

BITWISE: Final = ("bitwise_and", "bitwise_or", "bitwise_xor")
SHIFTS: Final = ("left_shift", "right_shift")
BAKED_OPERANDS: Final = (*SHIFTS, "power")  # a number there is written into the kernel
MOVING: Final = ("where", "cast", "full", "broadcast_to", "gather", "gather_update")

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


def _each(floats: Operation, integers: Operation, bools: Operation) -> Writings:
    return Writings(floats, integers, bools)


def _bool(x: Term) -> Term:
    return cast(x, "bool")


def _sign(x: Term) -> Term:
    return where(x > 0.0, 1.0, where(x < 0.0, -1.0, x + 0.0))


def _same(x: Term) -> Term:
    return x


def _always(answer: bool) -> Operation:
    return lambda x: constant(answer, "bool")


def _compare(name: str) -> Writings:
    return _each(
        partial(compare, name),
        partial(_compare_integers, name),
        lambda x, y: compare(name, cast(x, "u8"), cast(y, "u8")),
    )


def _compare_integers(name: str, x: Term, y: Term) -> Term:
    """Whole numbers as they are, signed beside unsigned ones of 64 bits, too."""
    if x.dtype == y.dtype:
        return compare(name, x, y)
    if x.dtype == "u64":
        return _compare_integers(_TURNED.get(name, name), y, x)
    return where(x < 0, compare(name, constant(0, "u8"), 1), compare(name, cast(x, "u64"), y))


_TURNED: Final = {
    "less": "greater",
    "less_equal": "greater_equal",
    "greater": "less",
    "greater_equal": "less_equal",
}


def _shift(name: str, x: Term, by: Term) -> Term:
    """A shift; where it is not by as many bits as there are, nothing is left but the sign."""
    if by.op == "const" and 0 <= int(by.what) < _bits_of(x.dtype):
        return apply(name, x, by)
    is_within = by < _bits_of(x.dtype)
    if not _is_unsigned(by):
        is_within = (by >= 0) & is_within
    shifted = apply(name, x, where(is_within, by, 0))
    if name == "left_shift" or x.dtype[0] == "u":
        return where(is_within, shifted, 0)
    return where(is_within, shifted, x >> (_bits_of(x.dtype) - 1))


def _is_unsigned(x: Term) -> bool:
    """Whether it is known not to be below 0."""
    was = x.operands[0] if x.op == "cast" else x
    return was.dtype[0] == "u" or was.dtype == "bool"


def _bits_of(dtype: str) -> int:
    return int(dtype[1:])


def _power(x: Term, exponent: Term) -> Term:
    """A power of floats; for 2 and 1/2 there is something faster, which NumPy takes, too."""
    if exponent.op == "const" and exponent.what in (2.0, 0.5):
        return x * x if exponent.what == 2.0 else sqrt(x)
    return call("power", x, exponent)


def _power_or_root(x: Term, exponent: Term) -> Term:
    """A power by a single number: if that is 1/2, NumPy takes the root."""
    return where(equal(exponent, 0.5), sqrt(x), call("power", x, exponent))


def _may_be_a_half(exponent: Operand) -> bool:
    return isinstance(exponent, Variable) and exponent.kind != "array"


def _whole_power(x: Term, exponent: Term) -> Term:
    """A power of whole numbers, where the exponent is known: squares and products."""
    assert exponent.op == "const"
    left, factor, result = int(exponent.what), x, None
    while left:
        if left & 1:
            result = factor if result is None else result * factor
        left >>= 1
        factor = factor * factor if left else factor
    return constant(1, x.dtype) if result is None else result


EXPRESSIONS: Final[dict[str, Writings]] = {
    "add": _each(operator.add, operator.add, operator.or_),
    "subtract": _both(operator.sub),
    "multiply": _each(operator.mul, operator.mul, operator.and_),
    "divide": Writings(operator.truediv),
    "floor_divide": _both(partial(call, "floor_divide")),
    "remainder": _both(partial(call, "remainder")),
    "power": _both(_power)._replace(integers=_whole_power),
    "maximum": _each(maximum, lambda x, y: where(x > y, x, y), operator.or_),
    "minimum": _each(minimum, lambda x, y: where(x < y, x, y), operator.and_),
    "negative": _both(operator.neg),
    "absolute": _each(absolute, lambda x: where(x < 0, -x, x), _same),
    "sign": Writings(_sign, lambda x: where(x > 0, 1, where(x < 0, -1, x))),
    **{name: _each(partial(apply, name), _same, _same) for name in ("floor", "ceil", "rint")},
    "sqrt": Writings(sqrt),
    **{name: Writings(partial(call, name)) for name in ("exp", "expm1", "log", "log1p", "tanh")},
    **{name: Writings(partial(call, name)) for name in ("sin", "cos", "arctan", "hypot")},
    **{name: _compare(name) for name in COMPARISONS},
    "logical_and": _all(lambda x, y: _bool(x) & _bool(y)),
    "logical_or": _all(lambda x, y: _bool(x) | _bool(y)),
    "logical_not": _all(lambda x: ~_bool(x)),
    **{name: _bits(partial(apply, name)) for name in BITWISE},
    **{name: Writings(integers=partial(_shift, name)) for name in SHIFTS},
    "isnan": _each(lambda x: not_equal(x, x), _always(False), _always(False)),
    "isfinite": _each(lambda x: absolute(x) < inf, _always(True), _always(True)),
    "where": _all(where),
    "cast": _all(lambda x: x),
    "full": _all(lambda x: x),
    "broadcast_to": _all(lambda x: x),
    # One number of each row; the index is looked after where the loops are written.
    "gather": _all(lambda x: x),
    "gather_update": _all(lambda x, new, is_there: where(is_there, new, x)),
    "scatter_add": _each(
        lambda x, more, is_there: where(is_there, x + more, x),
        lambda x, more, is_there: where(is_there, x + more, x),
        lambda x, more, is_there: where(is_there, x | more, x),
    ),
}

REDUCTIONS: Final = ("sum", "max", "min")
RENAMINGS: Final = ("reshape", "slice", "transpose")
_INDEXED: Final = ("gather", "gather_update", "scatter_add")


def can_fuse(equation: Equation) -> bool:
    """Whether a loop can compute the equation; what it indexes, and how, is not looked at."""
    variables = [operand for operand in equation.operands if isinstance(operand, Variable)]
    if any(map(is_python_int, variables)):
        return False  # an int of any size
    if not variables and equation.primitive != "full":
        return False  # a constant
    if equation.primitive in RENAMINGS:
        return True
    if equation.primitive in REDUCTIONS:
        dtypes = (equation.operands[0].dtype, equation.result.dtype)
        return "f16" not in dtypes and (dtypes[0] != "bool" or equation.primitive == "sum")
    if equation.primitive in _INDEXED and equation.operands[-1].dtype == "u64":
        return False  # the language has signed indices
    return has_term(equation)


def has_term(equation: Equation) -> bool:
    """Whether there is a term for an equation, of operands that are in the dtypes of its loop."""
    if equation.primitive not in EXPRESSIONS:
        return False
    try:
        dtypes = dtypes_in_loop(equation)
    except TypeError:
        return False
    if None in dtypes:
        return False  # a Python int that may lie outside of the dtype that it is compared with
    if equation.primitive == "power" and str(dtypes[0])[0] != "f":
        exponent = equation.operands[1]
        if not isinstance(exponent, Literal) or int(exponent.value) < 0:
            return False  # that is a loop of its own, which may fail
    return _operation(equation) is not None


def dtypes_in_loop(equation: Equation) -> tuple[str | None, ...]:
    """The dtypes of `loop_dtypes`; an int of any size of which only the truth is asked, is a float.

    None is left where it is compared.
    """
    dtypes = loop_dtypes(equation)
    if equation.primitive in COMPARISONS:
        return dtypes
    return tuple(dtype or "f64" for dtype in dtypes)


def is_python_int(operand: Operand) -> bool:
    """Whether it is an int of any size."""
    return operand.kind == "python" and operand.dtype == "i64"


def is_baked(equation: Equation, literal: Literal) -> bool:
    """Whether a number is part of the kernel, rather than handed to it."""
    number = float(literal.value)
    is_minus_zero = number == 0.0 and copysign(1.0, number) < 0.0  # equal to 0.0, and no other
    return equation.primitive in BAKED_OPERANDS or (number in BAKED and not is_minus_zero)


def is_small_sum(dtype: str, count: int) -> bool:
    """Whether so many integers of a dtype have a sum that a double, or a size, holds exactly."""
    bits = 1 if dtype == "bool" else int(dtype[1:])
    return dtype[0] != "f" and count << bits < 2**53


def number_in(literal: Literal, dtype: str) -> Any:
    """The number as NumPy converts it to a dtype; Python's ints wrap around."""
    value = literal.value
    if dtype[0] in "iu" and literal.dtype[0] != "b":
        with np.errstate(all="ignore"):
            whole = int(value) if literal.dtype[0] != "f" else int(np.array(value).astype("i8"))
        limits = np.iinfo(DTYPES[dtype])
        return (whole - limits.min) % 2**limits.bits + limits.min
    return value


def convert(x: Term, dtype: str) -> Term:
    """A number in another dtype, as NumPy converts it on the usual processors: what does not fit a
    signed integer becomes the smallest one, and smaller integers are cut out of larger ones.
    """
    if x.dtype[0] != "f" or dtype[0] not in "iu" or x.op == "const":
        return cast(x, dtype)
    x = cast(x, "f32") if x.dtype == "f16" else x
    if dtype == "u64":
        is_large = x >= 2.0**63
        small = cast(convert(where(is_large, 0.0, x), "i64"), "u64")
        fits = is_large & (x < 2.0**64)
        return where(is_large, where(fits, cast(where(fits, x, 0.0), "u64"), 0), small)
    if dtype in ("i64", "u32"):
        is_inside = (x >= -(2.0**63)) & (x < 2.0**63)
        whole = where(is_inside, cast(where(is_inside, x, 0.0), "i64"), -(2**63))
        return cast(whole, dtype)
    is_inside = (x > -2147483649.0) & (x < 2147483648.0)
    if x.dtype == "f32":
        is_inside = (x >= -2147483648.0) & (x < 2147483648.0)
    return cast(where(is_inside, cast(where(is_inside, x, 0.0), "i32"), -(2**31)), dtype)


def write_term(equation: Equation, *operands: Term) -> Term:
    """Return the term that an equation is of its operands, which are converted already.

    Half-precision floats are only moved: what is computed of them, is computed as f32.
    """
    operation = _operation(equation)
    assert operation is not None
    if equation.primitive in MOVING:
        return operation(*operands)
    wide = (cast(x, "f32") if x.dtype == "f16" else x for x in operands)
    result = operation(*wide)
    return cast(result, "f16") if equation.result.dtype == "f16" else result


def _operation(equation: Equation) -> Operation | None:
    entry = EXPRESSIONS[equation.primitive]
    if equation.primitive == "power" and _may_be_a_half(equation.operands[1]):
        entry = entry._replace(floats=_power_or_root)
    dtype = dtypes_in_loop(equation)[1 if equation.primitive == "where" else 0]
    if dtype is None:
        return None
    return {"f": entry.floats, "b": entry.bools}.get(dtype[0], entry.integers)
