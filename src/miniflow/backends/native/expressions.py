"""How the native backend writes each primitive inside a loop, in the language of kernels.

`EXPRESSIONS` is the table. An entry is a template of the operands, one for floats and one for
integers; where there is none, `can_fuse` says no and the primitive runs as a call of NumPy.

The operands of a ufunc are converted first, as NumPy's own rule of promotion has it
(`lowering.loop_dtypes`).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from miniflow.ir import DTYPES, Equation, Literal, Operand, Variable
from miniflow.lowering.loop_dtypes import loop_dtypes

BAKED: Final = (0.0, 1.0, -1.0, 2.0, 0.5)  # numbers that kernels hold; others are handed to them
"""Kernels are shared by all programs in which they fit. A batch size, say, would spoil that."""


class Templates(NamedTuple):
    """Templates for floats, for integers, and for booleans."""

    floats: str | None = None
    integers: str | None = None
    bools: str | None = None


def _both(template: str) -> Templates:
    return Templates(template, template)


def _bits(operator: str) -> Templates:
    template = f"{{0}} {operator} {{1}}"
    return Templates(integers=template, bools=template)


EXPRESSIONS: Final[dict[str, Templates]] = {
    "add": _both("{0} + {1}"),
    "subtract": _both("{0} - {1}"),
    "multiply": _both("{0} * {1}"),
    "divide": Templates("{0} / {1}"),
    "power": Templates("{0} * {0}"),  # the exponent is 2, or it is no loop
    "maximum": Templates("maximum({0}, {1})", "where({0} > {1}, {0}, {1})"),
    "minimum": Templates("minimum({0}, {1})", "where({0} < {1}, {0}, {1})"),
    "negative": _both("-{0}"),
    "absolute": Templates("absolute({0})", "where({0} < 0, -{0}, {0})"),
    "sign": Templates("where({0} > 0.0, 1.0, where({0} < 0.0, -1.0, {0} + 0.0))"),
    "floor": Templates("floor({0})"),
    "ceil": Templates("ceil({0})"),
    "rint": Templates("rint({0})"),
    "sqrt": Templates("sqrt({0})"),
    "hypot": Templates("hypot({0}, {1})"),
    "exp": Templates("exp({0})"),
    "expm1": Templates("expm1({0})"),
    "log": Templates("log({0})"),
    "log1p": Templates("log1p({0})"),
    "tanh": Templates("tanh({0})"),
    "greater": _both("{0} > {1}"),
    "greater_equal": _both("{0} >= {1}"),
    "less": _both("{0} < {1}"),
    "less_equal": _both("{0} <= {1}"),
    "equal": _both("{0} == {1}"),
    "not_equal": _both("{0} != {1}"),
    "logical_and": Templates(*["bool_({0}) & bool_({1})"] * 3),
    "logical_or": Templates(*["bool_({0}) | bool_({1})"] * 3),
    "logical_not": Templates(*["~bool_({0})"] * 3),
    "bitwise_and": _bits("&"),
    "bitwise_or": _bits("|"),
    "bitwise_xor": _bits("^"),
    "left_shift": Templates(integers="{0} << {1}"),
    "right_shift": Templates(integers="{0} >> {1}"),
    "isnan": Templates("{0} != {0}"),
    "isfinite": Templates("absolute({0}) < inf"),
    "where": Templates(*["where({0}, {1}, {2})"] * 3),
    "cast": Templates(*["{0}"] * 3),
    "full": Templates(*["{0}"] * 3),
    "broadcast_to": Templates(*["{0}"] * 3),
    # One number of each row; the index is looked after where the loops are written.
    "gather": Templates(*["{0}"] * 3),
    "gather_update": Templates(*["where({column} == {label}, {1}, {0})"] * 3),
    "scatter_add": Templates(*["where({column} == {label}, {0} + {1}, {0})"] * 2),
}

REDUCTIONS: Final = ("sum", "max", "min")
RENAMINGS: Final = ("reshape", "slice", "transpose")
_COMPARISONS: Final = ("greater", "greater_equal", "less", "less_equal", "equal", "not_equal")
_INDEXED: Final = ("gather", "gather_update", "scatter_add")
SHIFTS: Final = ("left_shift", "right_shift")  # by a number that is written into the kernel


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
    if equation.primitive in _COMPARISONS and len(set(dtypes)) > 1:
        return False  # NumPy compares i64 and u64 as they are
    return fits and _template(equation) is not None


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


def expression(equation: Equation, operands: list[str], **words: str) -> str:
    """Return the expression of an equation for the texts of its operands, already converted."""
    template = _template(equation)
    assert template is not None
    return template.format(*operands, **words)


def _template(equation: Equation) -> str | None:
    entry = EXPRESSIONS[equation.primitive]
    dtype = loop_dtypes(equation)[1 if equation.primitive == "where" else 0]
    if dtype is None:
        return None
    return {"f": entry.floats, "b": entry.bools}.get(dtype[0], entry.integers)


def converted(text: str, of: str, to: str) -> str:
    """Return `text`, of the dtype `of`, as a `to`."""
    if of == to:
        return text
    return f"bool_({text})" if to == "bool" else f"{to}({text})"
