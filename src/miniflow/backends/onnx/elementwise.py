"""Primitives that compute entry by entry, as operators.

ONNX's operators take operands of one dtype, and runtimes have kernels for a few. So each primitive
names the dtype in which it computes: the one that NumPy would, and for whole numbers of other than
32 and 64 bits, 64 bits, of which the lower ones are kept: sums, products and differences wrap round
as NumPy's do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, TypeAlias

import numpy as np

from miniflow.backends.onnx import functions
from miniflow.backends.onnx.writing import GraphWriter
from miniflow.ir.dtypes import DTYPES, ProgramError
from miniflow.ir.program import Equation, Literal
from miniflow.ir.rules import sample

Emit: TypeAlias = "Callable[[GraphWriter, Equation], str]"

WIDE: Final = {"i8": "i64", "i16": "i64", "u8": "i64", "u16": "i64", "u32": "i64", "u64": "i64"}
"""Where whole numbers are computed."""

MOST_FACTORS: Final = 8  # of a power that is written as a product


def common_dtype(e: Equation) -> str:
    """The dtype in which NumPy compares, or chooses between, an equation's operands."""
    try:
        return sample(np.maximum, *e.operands).dtype
    except ProgramError:  # a number that is too large for the other's dtype
        return "i64"


def _arithmetic(operator: str) -> Emit:
    def emit(w: GraphWriter, e: Equation) -> str:
        dtype = e.result.dtype
        inner = WIDE.get(dtype, dtype)
        if dtype == "bool":  # sums are or, products are and
            return w.op("Or" if operator == "Add" else "And", *_all(w, e, "bool"))
        return w.cast(w.op(operator, *_all(w, e, inner)), inner, dtype)

    return emit


def _all(w: GraphWriter, e: Equation, dtype: str) -> list[str]:
    return [w.read(place, dtype) for place in range(len(e.operands))]


def _function(operator: str) -> Emit:
    """A function of one number, which a whole number has itself as its value (`floor`)."""

    def emit(w: GraphWriter, e: Equation) -> str:
        dtype = e.result.dtype
        if dtype[0] != "f":
            return w.op("Identity", w.read(0, dtype))
        return w.op(operator, w.read(0, dtype))

    return emit


def _signed(operator: str) -> Emit:
    def emit(w: GraphWriter, e: Equation) -> str:
        dtype = e.result.dtype
        if dtype == "bool":
            return w.op("Identity", w.read(0))
        inner = "f32" if dtype == "f16" else WIDE.get(dtype, dtype)  # the sign of NaN is NaN
        if dtype[0] == "u" and operator != "Neg":
            inner = dtype
        return w.cast(w.op(operator, w.read(0, inner)), inner, dtype)

    return emit


def _extreme(operator: str) -> Emit:
    def emit(w: GraphWriter, e: Equation) -> str:
        dtype = e.result.dtype
        if dtype == "bool":
            return w.op("Or" if operator == "Max" else "And", *_all(w, e, "bool"))
        if dtype[0] == "f" and operator == "Max" and _is_zero(e.operands[1]):
            return w.op("Relu", w.read(0, dtype))
        inner = dtype if dtype == "u64" else WIDE.get(dtype, dtype)
        return w.cast(w.op(operator, *_all(w, e, inner)), inner, dtype)

    return emit


def _is_zero(operand: object) -> bool:
    return isinstance(operand, Literal) and operand.value == 0


def _comparison(operator: str) -> Emit:
    def emit(w: GraphWriter, e: Equation) -> str:
        dtype = common_dtype(e)
        if dtype == "bool":
            dtype = "i32"
        elif dtype != "u64":
            dtype = WIDE.get(dtype, dtype)
        if operator != "NotEqual":
            return w.op(operator, *_all(w, e, dtype))
        return w.op("Not", w.op("Equal", *_all(w, e, dtype)))

    return emit


def _logical(operator: str) -> Emit:
    return lambda w, e: w.op(operator, *_all(w, e, "bool"))


def _bitwise(operator: str) -> Emit:
    def emit(w: GraphWriter, e: Equation) -> str:
        dtype = e.result.dtype
        return w.op(operator if dtype == "bool" else f"Bitwise{operator}", *_all(w, e, dtype))

    return emit


# --- Division of whole numbers, and remainders: rounded down, 0 where the divisor is 0.


def _floor_divide(w: GraphWriter, e: Equation) -> str:
    return _division(w, e, wants_remainder=False)


def _remainder(w: GraphWriter, e: Equation) -> str:
    return _division(w, e, wants_remainder=True)


def _division(w: GraphWriter, e: Equation, wants_remainder: bool) -> str:
    dtype = e.result.dtype
    inner = dtype if dtype == "u64" else WIDE.get(dtype, dtype)
    x, y = _all(w, e, inner)
    if inner[0] == "f":
        return _float_division(w, inner, x, y, wants_remainder)
    zero, one = w.constant(0, inner), w.constant(1, inner)
    divisor = e.operands[1]
    is_safe = isinstance(divisor, Literal) and divisor.value != 0
    by_zero = w.op("Equal", y, zero)
    if not is_safe:
        y = choose(w, by_zero, inner, one, y)
    result = w.op("Mod", x, y)
    if not wants_remainder:
        result = _round_down(w, inner, x, y, result)
    if not is_safe:
        result = choose(w, by_zero, inner, zero, result)
    return w.cast(result, inner, dtype)


def _round_down(w: GraphWriter, dtype: str, x: str, y: str, rest: str) -> str:
    """The quotient of whole numbers, which is rounded towards zero, rounded down."""
    quotient = w.op("Div", x, y)
    if dtype[0] == "u":
        return quotient
    zero = w.constant(0, dtype)
    differ = w.op("Xor", w.op("Less", x, zero), w.op("Less", y, zero))
    is_above = w.op("And", differ, w.op("Not", w.op("Equal", rest, zero)))
    return w.op("Sub", quotient, w.cast(is_above, "bool", dtype))


def _float_division(w: GraphWriter, dtype: str, x: str, y: str, wants_remainder: bool) -> str:
    """NumPy's: the remainder has the divisor's sign; the quotient is what makes it, rounded."""
    zero, one = w.constant(0, dtype), w.constant(1, dtype)
    rest = w.op("Mod", x, y, fmod=1)
    is_rest = w.op("Not", w.op("Equal", rest, zero))
    differ = w.op("Xor", w.op("Less", rest, zero), w.op("Less", y, zero))
    shifted = w.op("And", is_rest, differ)
    if wants_remainder:
        return w.op("Where", shifted, w.op("Add", rest, y), rest)
    quotient = w.op("Div", w.op("Sub", x, rest), y)
    quotient = w.op("Where", shifted, w.op("Sub", quotient, one), quotient)
    down = w.op("Floor", quotient)
    is_below = w.op("Greater", w.op("Sub", quotient, down), w.constant(0.5, dtype))
    rounded = w.op("Where", is_below, w.op("Add", down, one), down)
    return w.op("Where", w.op("Equal", y, zero), w.op("Div", x, y), rounded)


def _power(w: GraphWriter, e: Equation) -> str:
    dtype = e.result.dtype
    inner = WIDE.get(dtype, dtype)
    exponent = e.operands[1]
    if isinstance(exponent, Literal) and type(w.twins.number(e, 1)) is int:
        number = int(exponent.value)
        if 1 <= number <= MOST_FACTORS:
            x = w.read(0, inner)
            return w.cast(_product_of(w, x, number), inner, dtype)
    if inner[0] == "f":
        return w.op("Pow", *_all(w, e, inner))
    return w.cast(_whole_power(w, e, inner), inner, dtype)


def _product_of(w: GraphWriter, x: str, times: int) -> str:
    """X to the power of a small number."""
    if times == 1:
        return w.op("Identity", x)
    half = x if times // 2 == 1 else _product_of(w, x, times // 2)
    squared = w.op("Mul", half, half)
    return w.op("Mul", squared, x) if times % 2 else squared


def _whole_power(w: GraphWriter, e: Equation, inner: str) -> str:
    """Whole numbers to the power of whole numbers, wrapping round: a factor for each bit."""
    x, by = w.read(0, inner), w.read(1, "i64")
    bits = min(8 * DTYPES[e.operands[1].dtype].itemsize, 63)
    one, two = w.constant(1, inner), w.constant(2)
    result = one
    for bit in range(bits):
        factor = w.op("Where", w.op("Equal", w.op("Mod", by, two), w.constant(1)), x, one)
        result = w.op("Mul", result, factor)
        if bit < bits - 1:
            x, by = w.op("Mul", x, x), w.op("Div", by, two)
    return result


# --- Questions


def _isnan(w: GraphWriter, e: Equation) -> str:
    if e.operands[0].dtype[0] == "f":
        return w.op("IsNaN", w.read(0))
    x = w.read(0, "i64")
    return w.op("Not", w.op("Equal", x, x))


def _isfinite(w: GraphWriter, e: Equation) -> str:
    dtype = e.operands[0].dtype
    if dtype[0] == "f":
        return is_finite(w, w.read(0), dtype)
    x = w.read(0, "i64")
    return w.op("Equal", x, x)


def is_finite(w: GraphWriter, x: str, dtype: str) -> str:
    """Whether a number of fractions is neither NaN nor infinite."""
    largest = w.constant(np.finfo(DTYPES[dtype]).max, dtype)
    return w.op("LessOrEqual", w.op("Abs", x), largest)


# --- Bits


def _shift(w: GraphWriter, e: Equation, direction: str) -> str:
    """Shifted by as many bits as there are, or more, or less than none: only the sign is left."""
    dtype = e.result.dtype
    bits = 8 * DTYPES[dtype].itemsize
    x, by = w.read(0, dtype), w.read(1, dtype)
    is_negative = None
    if dtype[0] == "i":  # of a negative number all bits are turned over, and turned back
        is_negative = w.op("Less", w.cast(x, dtype, "i64"), w.constant(0, "i64"))
        if direction == "RIGHT":
            turned = w.op("BitwiseNot", w.cast(x, dtype, "i64"))
            x = w.op("Where", is_negative, turned, w.cast(x, dtype, "i64"))
        x = w.cast(x, "i64" if direction == "RIGHT" else dtype, "i64")
        x, by = w.cast(x, "i64", "u64"), w.cast(w.cast(by, dtype, "i64"), "i64", "u64")
    else:
        x, by = w.cast(x, dtype, "u64"), w.cast(by, dtype, "u64")
    fits = w.op("Less", by, w.constant(bits, "u64"))
    shifted = w.op("BitShift", x, w.op("Min", by, w.constant(63, "u64")), direction=direction)
    shifted = w.cast(shifted, "u64", "i64")
    shifted = w.op("Where", fits, shifted, w.constant(0, "i64"))
    if is_negative is not None and direction == "RIGHT":
        shifted = w.op("Where", is_negative, w.op("BitwiseNot", shifted), shifted)
    return w.cast(shifted, "i64", dtype)


# --- Choosing, and other dtypes


def _where(w: GraphWriter, e: Equation) -> str:
    condition = w.read(0, "bool")
    return choose(
        w, condition, e.result.dtype, w.read(1, e.result.dtype), w.read(2, e.result.dtype)
    )


def choose(w: GraphWriter, condition: str, dtype: str, x: str, y: str) -> str:
    """X where a condition is true, else y, both of that dtype."""
    if dtype == "bool":
        other = w.op("And", w.op("Not", condition), y)
        return w.op("Or", w.op("And", condition, x), other)
    inner = WIDE.get(dtype, dtype)
    chosen = w.op("Where", condition, w.cast(x, dtype, inner), w.cast(y, dtype, inner))
    return w.cast(chosen, inner, dtype)


def _cast(w: GraphWriter, e: Equation) -> str:
    new = e.params["dtype"]
    name = w.read(0, new)
    return w.op("Identity", name) if e.operands[0].dtype == new else name


ELEMENTWISE: Final[Mapping[str, Emit]] = {
    "add": _arithmetic("Add"),
    "subtract": _arithmetic("Sub"),
    "multiply": _arithmetic("Mul"),
    "divide": _arithmetic("Div"),
    "floor_divide": _floor_divide,
    "remainder": _remainder,
    "power": _power,
    "maximum": _extreme("Max"),
    "minimum": _extreme("Min"),
    "negative": _signed("Neg"),
    "absolute": _signed("Abs"),
    "sign": _signed("Sign"),
    "floor": _function("Floor"),
    "ceil": _function("Ceil"),
    "rint": _function("Round"),
    "sqrt": _function("Sqrt"),
    "hypot": functions.hypot,
    "exp": _function("Exp"),
    "expm1": functions.expm1,
    "log": _function("Log"),
    "log1p": functions.log1p,
    "sin": _function("Sin"),
    "cos": functions.cos,
    "tanh": _function("Tanh"),
    "arctan": functions.arctan,
    "greater": _comparison("Greater"),
    "greater_equal": _comparison("GreaterOrEqual"),
    "less": _comparison("Less"),
    "less_equal": _comparison("LessOrEqual"),
    "equal": _comparison("Equal"),
    "not_equal": _comparison("NotEqual"),
    "logical_and": _logical("And"),
    "logical_or": _logical("Or"),
    "logical_not": _logical("Not"),
    "isnan": _isnan,
    "isfinite": _isfinite,
    "bitwise_and": _bitwise("And"),
    "bitwise_or": _bitwise("Or"),
    "bitwise_xor": _bitwise("Xor"),
    "left_shift": partial(_shift, direction="LEFT"),
    "right_shift": partial(_shift, direction="RIGHT"),
    "where": _where,
    "cast": _cast,
}
"""How each elementwise primitive is written."""
