"""How each elementwise primitive and each reduction is written in JavaScript: two tables.

`WRITINGS` has a template for floats, for integers that are numbers, for those that are bigints, and
for booleans. An operand is first converted to the dtype in which NumPy's loop would read it; the
result is rounded to its dtype, but where the template is `exact`. Functions that JavaScript does
not have are in `functions.js`.

Arithmetic of Python numbers alone is Python's own: ints do not wrap around, a division by zero is
an error.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np

from miniflow.backends.javascript.values import (
    PYTHON_INT,
    ScriptExpression,
    class_of,
    converted,
    fill,
    rounded,
    tag_of,
)
from miniflow.ir.dtypes import DTYPES
from miniflow.ir.program import Equation, Literal, Operand, Variable, is_number
from miniflow.ir.rules import is_python
from miniflow.lowering.loop_dtypes import loop_dtypes

FLOATS: Final = ("floats",)
ALL: Final = (*FLOATS, "ints", "bigs", "bools")  # the columns of the table

Read = Callable[[Operand, str], ScriptExpression]  # an operand, as a value of a dtype


class Writing(NamedTuple):
    """Templates of a primitive, None where NumPy has no such loop; which of them are `exact`."""

    floats: str | None = None
    ints: str | None = None
    bigs: str | None = None
    bools: str | None = None
    exact: tuple[str, ...] = ()


def _number(
    template: str,
    ints: str = "",
    bigs: str = "",
    bools: str | None = None,
    exact: tuple[str, ...] = (),
) -> Writing:
    return Writing(template, ints or template, bigs or template, bools, exact)


def _whole(template: str) -> Writing:
    """A function to whole numbers, which leaves integers alone."""
    return Writing(template, "{0}", "{0}", "{0}", exact=ALL)


def _any(template: str) -> Writing:
    """Whatever it is about, it is not changed."""
    return Writing(template, template, template, template, exact=ALL)


def _comparison(sign: str) -> Writing:
    return _any(f"{{0}} {sign} {{1}}")


def _bits(sign: str, bools: str) -> Writing:
    return Writing(None, f"{{0}} {sign} {{1}}", f"{{0}} {sign} {{1}}", bools, exact=("bools",))


WRITINGS: Final[dict[str, Writing]] = {
    # Arithmetic.
    "add": _number("{0} + {1}", bools="{0} || {1}"),
    "subtract": _number("{0} - {1}"),
    "multiply": _number("{0} * {1}", ints="imul({0}, {1})", bools="{0} && {1}"),
    "divide": Writing("{0} / {1}"),
    "floor_divide": _number(
        "floorDivide({0}, {1})", "floorDivideInts({0}, {1})", "floorDivideBigs({0}, {1})"
    ),
    "remainder": _number(
        "remainder({0}, {1})", "remainderOfInts({0}, {1})", "remainderOfBigs({0}, {1})"
    ),
    "power": _number(
        "power({0}, {1})", "powerOfInts({0}, {1}, {where})", "powerOfBigs({0}, {1}, {where})"
    ),
    "maximum": _number("max({0}, {1})", bigs="larger({0}, {1})", bools="{0} || {1}", exact=ALL),
    "minimum": _number("min({0}, {1})", bigs="smaller({0}, {1})", bools="{0} && {1}", exact=ALL),
    "negative": _number("-{0}", exact=FLOATS),
    "absolute": _number("abs({0})", bigs="absOfBig({0})", bools="{0}", exact=FLOATS),
    "sign": _number("sign({0}) + 0", "sign({0})", "signOfBig({0})", exact=ALL),
    "floor": _whole("floor({0})"),
    "ceil": _whole("ceil({0})"),
    "rint": _whole("rint({0})"),
    # Functions.
    "sqrt": Writing("sqrt({0})"),
    "hypot": Writing("hypot({0}, {1})"),
    "exp": Writing("exp({0})"),
    "expm1": Writing("expm1({0})"),
    "log": Writing("log({0})"),
    "log1p": Writing("log1p({0})"),
    "sin": Writing("sin({0})"),
    "cos": Writing("cos({0})"),
    "tanh": Writing("tanh({0})"),
    "arctan": Writing("atan({0})"),
    # Comparison and logic.
    "greater": _comparison(">"),
    "greater_equal": _comparison(">="),
    "less": _comparison("<"),
    "less_equal": _comparison("<="),
    "equal": _comparison("==="),
    "not_equal": _comparison("!=="),
    "logical_and": Writing(bools="{0} && {1}", exact=ALL),
    "logical_or": Writing(bools="{0} || {1}", exact=ALL),
    "logical_not": Writing(bools="!{0}", exact=ALL),
    "bitwise_and": _bits("&", "{0} && {1}"),
    "bitwise_or": _bits("|", "{0} || {1}"),
    "bitwise_xor": _bits("^", "{0} !== {1}"),
    "left_shift": Writing(None, "leftShift({0}, {1})", "leftShiftOfBig({0}, {1})"),
    "right_shift": Writing(None, "rightShift({0}, {1})", "rightShiftOfBig({0}, {1})", exact=ALL),
    "isnan": Writing("isNaN({0})", "false", "false", "false", exact=ALL),
    "isfinite": Writing("isFinite({0})", "true", "true", "true", exact=ALL),
    "where": _any("{0} ? {1} : {2}"),
    "cast": _any("{0}"),
    "full": _any("{0}"),
}

COMPARISONS: Final = ("greater", "greater_equal", "less", "less_equal", "equal", "not_equal")
_LOGIC: Final = ("logical_and", "logical_or", "logical_not")
_SHIFTS: Final = ("left_shift", "right_shift")
_DIVISIONS: Final = ("divide", "floor_divide", "remainder")
_PYTHON: Final = ("add", "subtract", "multiply", *_DIVISIONS, "power", "negative", "absolute")


class ReductionWriting(NamedTuple):
    """How a reduction begins, for each class of dtypes, and how it goes on with the next `{1}`.

    `{low}` and `{high}` are the limits of the dtype.
    """

    start: Writing
    step: Writing


REDUCTIONS: Final[dict[str, ReductionWriting]] = {
    "sum": ReductionWriting(Writing("0", "0", "0n"), _number("{0} + {1}")),
    "prod": ReductionWriting(Writing("1", "1", "1n"), _number("{0} * {1}")),
    "max": ReductionWriting(Writing("-Infinity", "{low}", "{low}n", "false"), WRITINGS["maximum"]),
    "min": ReductionWriting(Writing("Infinity", "{high}", "{high}n", "true"), WRITINGS["minimum"]),
    "any": ReductionWriting(Writing(bools="false"), WRITINGS["logical_or"]),
    "all": ReductionWriting(Writing(bools="true"), WRITINGS["logical_and"]),
}


class WrittenValue(NamedTuple):
    """What an equation computes: `raw` has still to be rounded to its dtype, unless `is_exact`."""

    raw: ScriptExpression
    tag: str
    is_exact: bool = False

    @property
    def rounded(self) -> ScriptExpression:
        """The value, of its dtype."""
        return self.raw if self.is_exact else rounded(self.raw, self.tag)


def template(writing: Writing, tag: str) -> str:
    """The template for a dtype."""
    found: str | None = getattr(writing, class_of(tag))
    assert found is not None, f"there is a writing for {tag}"
    return found


def where_text(equation: Equation) -> str:
    """The node of an equation, as a string of JavaScript, for messages."""
    return quoted(equation.origin.node if equation.origin else equation.primitive)


def quoted(text: str | None) -> str:
    r"""A string of JavaScript (or null) that can stand in any HTML page.

    >>> print(quoted("</script>"))
    "\u003c/script>"
    """
    return json.dumps(text).replace("<", "\\u003c")


def write(equation: Equation, read: Read) -> WrittenValue:
    """Write an elementwise equation."""
    name, operands, result = equation.primitive, equation.operands, equation.result
    if is_python(operands) and (name in _PYTHON or name in COMPARISONS):
        return _python(equation, read)
    if name in ("cast", "full"):
        return _cast(operands[0], result.dtype, read)
    tags = _loop_tags(equation)
    parts = [read(operand, tag) for operand, tag in zip(operands, tags, strict=True)]
    if name == "where":  # lets a Python int wrap around, as no other primitive does
        parts = [_wrapping(o, tag, read) for o, tag in zip(operands, tags, strict=True)]
    writing = WRITINGS[name]
    if name == "power" and is_number(operands[1], 2) and _is_repeatable(parts[0]):
        parts[1], writing = parts[0], WRITINGS["multiply"]
    elif name == "power" and is_number(operands[1], 0.5) and tags[0] in ("f32", "f64"):
        parts, writing = parts[:1], WRITINGS["sqrt"]  # as NumPy does it
    elif name in _SHIFTS and _is_within_its_bits(operands[1], tags[1]):
        sign = "<<" if name == "left_shift" else ">>>" if tags[0] == "u32" else ">>"
        writing = writing._replace(ints=f"{{0}} {sign} {{1}}", bigs=f"{{0}} {sign} {{1}}")
    text = template(writing, tags[-1])
    if name in ("equal", "not_equal") and len({class_of(tag) for tag in tags}) > 1:
        text = text.replace("==", "=")  # == compares a number with a bigint
    raw = fill(text, *parts, where=where_text(equation))
    return WrittenValue(raw, result.dtype, class_of(tags[-1]) in writing.exact)


def _cast(x: Operand, dtype: str, read: Read) -> WrittenValue:
    tag = tag_of(x)
    if class_of(tag) == class_of(dtype) == "floats" and isinstance(x, Literal) is False:
        return WrittenValue(
            read(x, tag), dtype, _is_narrower(tag, dtype)
        )  # an array may round by itself
    return WrittenValue(read(x, dtype), dtype, is_exact=True)


def _is_narrower(tag: str, dtype: str) -> bool:
    return int(tag[1:]) <= int(dtype[1:])


def _loop_tags(equation: Equation) -> list[str]:
    operands = equation.operands
    if equation.primitive in _LOGIC:
        return ["bool"] * len(operands)
    dtypes = loop_dtypes(equation)
    return [d or tag_of(operand) for d, operand in zip(dtypes, operands, strict=True)]


def _is_within_its_bits(amount: Operand, tag: str) -> bool:
    """Whether a shift is by a known number of bits, as JavaScript's operators have it."""
    return isinstance(amount, Literal) and 0 <= int(amount.value) < np.iinfo(DTYPES[tag]).bits


def _wrapping(operand: Operand, tag: str, read: Read) -> ScriptExpression:
    is_int = tag_of(operand) == PYTHON_INT and isinstance(operand, Variable)
    return converted(read(operand, "i64"), "i64", tag) if is_int else read(operand, tag)


def _is_repeatable(part: ScriptExpression) -> bool:
    return re.fullmatch(r"\w+(\[[^\]]*\])?", part.text) is not None


def _python(equation: Equation, read: Read) -> WrittenValue:
    """Python's own arithmetic."""
    name, operands, result = equation.primitive, equation.operands, equation.result
    where = where_text(equation)
    if name in COMPARISONS:
        tags = ["f64" if operand.dtype == "f64" else PYTHON_INT for operand in operands]
        text = template(WRITINGS[name], "f64")
        text = text.replace("==", "=") if len(set(tags)) > 1 else text
        parts = [read(operand, tag) for operand, tag in zip(operands, tags, strict=True)]
        return WrittenValue(fill(text, *parts), "bool", is_exact=True)
    tag = PYTHON_INT if result.dtype == "i64" else "f64"
    parts = [read(operand, tag) for operand in operands]
    text = template(WRITINGS[name], tag)
    if name in _DIVISIONS:
        parts[1] = fill("nonzero({0}, {where})", parts[1], where=where)
    if name == "power":
        text = "{0} ** {1}" if tag == PYTHON_INT else "pythonPower({0}, {1}, {where})"
    return WrittenValue(fill(text, *parts, where=where), tag, is_exact=True)
