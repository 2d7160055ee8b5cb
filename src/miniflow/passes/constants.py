"""Rules about what is known beforehand: numbers, arrays that hold one number everywhere, and
constants.

An array that holds one number (`np.zeros_like(x)`, a gradient of ones) is worth knowing as a
number: an elementwise equation reads the number instead, and after that the rules about 0 and 1
see it.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from miniflow.ir.dtypes import DTYPES, Array, type_of
from miniflow.ir.primitives import PRIMITIVES
from miniflow.ir.program import Equation, Literal, Operand
from miniflow.passes.rewriting import Call, Expression, Rewriter

MAX_SIZE: Final = 512  # elements of an array that is computed here, or read to compute one
MAX_BITS: Final = 64  # of a Python int
MOVEMENTS: Final = ("reshape", "transpose", "broadcast_to", "slice", "gather")
_CREATIONS: Final = ("full", "arange", "broadcast_to")  # these stay as they are: they say more


def number_in(operand: Operand, look: Rewriter) -> Operand | None:
    """Return the one number (a literal, or a value of shape ()) that an array is full of."""
    made = look.definition(operand, "full", "broadcast_to")
    if made is None:
        return _number_of(look.array(operand))
    (number,) = made.operands
    if isinstance(number, Literal):
        return _in_dtype(number, operand.dtype)
    return number if number.shape == () and number.dtype == operand.dtype else None


def _number_of(array: Array | None) -> Literal | None:
    if array is None or not 0 < array.size <= MAX_SIZE:
        return None
    first = array[(0,) * array.ndim]
    return Literal(first) if array.tobytes() == first.tobytes() * array.size else None


def _in_dtype(number: Literal, dtype: str) -> Literal | None:
    try:
        with np.errstate(all="ignore"):
            return Literal(np.full(1, number.value, DTYPES[dtype])[0])
    except (OverflowError, ValueError):
        return None


def spread(equation: Equation, look: Rewriter) -> Expression | None:
    """Elementwise equations broadcast by themselves: read what was broadcast, not the result."""
    operands = tuple(_before_spreading(operand, look) for operand in equation.operands)
    if operands == equation.operands:
        return None
    return Call(equation.primitive, operands, equation.params)


def _before_spreading(operand: Operand, look: Rewriter) -> Operand:
    number = number_in(operand, look)
    if number is not None:
        return number
    made = look.definition(operand, "broadcast_to")
    return operand if made is None or made.operands[0].kind != "array" else made.operands[0]


def part(equation: Equation, look: Rewriter) -> Expression | None:
    """A part, or another shape, of an array that holds one number holds that number."""
    x = equation.operands[0]
    number = x if isinstance(x, Literal) else number_in(x, look)
    if number is None or equation.result.kind == "scalar":
        return number
    return Call("broadcast_to", (number,), {"shape": equation.result.shape})


def written(equation: Equation, look: Rewriter) -> Expression | None:
    """What is written into a part of an array is broadcast by itself. Floats that are written into
    integers stay an array: NumPy refuses the number NaN there, but takes an array of it.
    """
    x, value, *indices = equation.operands
    number = number_in(value, look)
    if number is None or (value.dtype[0] == "f" and x.dtype[0] != "f"):
        return None
    return Call(equation.primitive, (x, number, *indices), equation.params)


def known(equation: Equation, look: Rewriter) -> Expression | None:
    """What is computed from literals and constants alone is a literal or a constant, if small."""
    if equation.primitive in _CREATIONS or equation.result.type.size > MAX_SIZE:
        return None
    values = []
    for operand in equation.operands:
        value = _value(operand, look)
        if value is None:
            return None
        values.append(value)
    if equation.primitive == "power" and _is_large_power(values):
        return None
    result = _computed(equation, values)
    if result is None or type_of(result) != equation.result.type:
        return None
    if isinstance(result, np.ndarray):
        return look.constant(result)
    return None if type(result) is int and result.bit_length() > MAX_BITS else Literal(result)


def _value(operand: Operand, look: Rewriter) -> Any:
    if isinstance(operand, Literal):
        return operand.value
    if operand.type.size > MAX_SIZE:
        return None
    made = look.definition(operand, "full", "arange")
    if made is None:
        return look.array(operand)
    values = [_value(operand, look) for operand in made.operands]
    return None if any(value is None for value in values) else _computed(made, values)


def _computed(equation: Equation, values: list[Any]) -> Any:
    """Compute an equation; None where NumPy raises, so that it raises when the program runs."""
    try:
        with np.errstate(all="ignore"):
            return PRIMITIVES[equation.primitive].compute(*values, **equation.params)
    except Exception:
        return None


def _is_large_power(values: list[Any]) -> bool:
    """Whether Python would compute an integer of very many digits."""
    return all(type(value) is int for value in values) and max(map(abs, values)) > MAX_BITS
