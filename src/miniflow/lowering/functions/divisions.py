"""Division to whole numbers, and what is left: NumPy's floor_divide and remainder.

What is left has the sign of the divisor. By zero, whole numbers give 0, and floats what IEEE has.
"""

from __future__ import annotations

from miniflow.lowering.functions.definition import FLOATS, for_each
from miniflow.lowering.nests import (
    Term,
    absolute,
    apply,
    copysign,
    equal,
    not_equal,
    where,
)

SIGNED, UNSIGNED = ("i8", "i16", "i32", "i64"), ("u8", "u16", "u32", "u64")


def _differ(x: Term, y: Term) -> Term:
    """Whether one of two numbers is negative, and one is not."""
    return (x < 0) ^ (y < 0)


@for_each("floor_divide", *UNSIGNED)
def floor_divide_of_unsigned(x: Term, y: Term) -> Term:
    """The floor of x / y."""
    return where(equal(y, 0), 0, apply("quotient", x, where(equal(y, 0), 1, y)))


@for_each("remainder", *UNSIGNED)
def remainder_of_unsigned(x: Term, y: Term) -> Term:
    """What is left: x - y ⌊x / y⌋."""
    divisor = where(equal(y, 0), 1, y)
    return where(equal(y, 0), 0, x - apply("quotient", x, divisor) * divisor)


def _towards_zero(x: Term, y: Term) -> tuple[Term, Term]:
    """The quotient without its fraction, and what is left; if y is -1 or 0, something else."""
    divisor = where(equal(y, 0) | equal(y, -1), 1, y)  # the least number divided by -1 overflows
    quotient = apply("quotient", x, divisor)
    return quotient, x - quotient * divisor


@for_each("floor_divide", *SIGNED)
def floor_divide_of_signed(x: Term, y: Term) -> Term:
    """The floor of x / y; the least number divided by -1 is itself."""
    quotient, left = _towards_zero(x, y)
    floored = where(not_equal(left, 0) & _differ(x, y), quotient - 1, quotient)
    return where(equal(y, 0), 0, where(equal(y, -1), -x, floored))


@for_each("remainder", *SIGNED)
def remainder_of_signed(x: Term, y: Term) -> Term:
    """What is left: x - y ⌊x / y⌋."""
    _, left = _towards_zero(x, y)
    floored = where(not_equal(left, 0) & _differ(x, y), left + y, left)
    return where(equal(y, 0) | equal(y, -1), 0, floored)


@for_each("floor_divide", *FLOATS)
def floor_divide_of_floats(x: Term, y: Term) -> Term:
    """The floor of x / y, made of what is left as exactly as it can be."""
    left = apply("fmod", x, y)
    quotient = (x - left) / y
    quotient = where(not_equal(left, 0.0) & _differ(left, y), quotient - 1.0, quotient)
    whole = apply("floor", quotient)
    whole = where(quotient - whole > 0.5, whole + 1.0, whole)
    whole = where(equal(quotient, 0.0), copysign(quotient * 0.0, x / y), whole)
    return where(equal(y, 0.0), x / y, whole)


@for_each("remainder", *FLOATS)
def remainder_of_floats(x: Term, y: Term) -> Term:
    """What is left: x - y ⌊x / y⌋; a zero has the sign of y."""
    left = apply("fmod", x, y)
    moved = where(_differ(left, y), left + y, left)
    moved = where(equal(left, 0.0), copysign(absolute(left), y), moved)
    return where(equal(y, 0.0), left, moved)
