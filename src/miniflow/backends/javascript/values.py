"""How values of each dtype are written in JavaScript: numbers, conversions of dtype, rounding.

    dtype            a value is              arrays are
    bool             a boolean               Uint8Array, of 0 and 1
    i8 .. u32        a number                Int8Array ... Uint32Array
    i64, u64         a bigint                BigInt64Array, BigUint64Array
    f16              a number                Float32Array
    f32, f64         a number                Float32Array, Float64Array
    Python int       a bigint of any size    -

JavaScript computes with doubles (and with integers of any size), so a result is rounded to its
dtype, or wrapped around, wherever it does not go into an array that does so by itself.
"""

from __future__ import annotations

import re
from math import isfinite
from typing import Any, Final, NamedTuple

import numpy as np

from miniflow.ir.dtypes import DTYPES
from miniflow.ir.program import Literal, Operand

PYTHON_INT: Final = "int"  # beside the names of the dtypes: an int that does not wrap around

TYPED_ARRAYS: Final = {
    "bool": "Uint8Array",
    **{f"i{bits}": f"Int{bits}Array" for bits in (8, 16, 32)},
    **{f"u{bits}": f"Uint{bits}Array" for bits in (8, 16, 32)},
    "i64": "BigInt64Array",
    "u64": "BigUint64Array",
    "f16": "Float32Array",
    "f32": "Float32Array",
    "f64": "Float64Array",
}

ROUNDED: Final = {
    "f16": "half({0})",
    "f32": "fround({0})",
    "i8": "{0} << 24 >> 24",
    "i16": "{0} << 16 >> 16",
    "i32": "{0} | 0",
    "u8": "{0} & 255",
    "u16": "{0} & 65535",
    "u32": "{0} >>> 0",
    "i64": "BigInt.asIntN(64, {0})",
    "u64": "BigInt.asUintN(64, {0})",
}

# What NumPy's casts of floats to integers give on the usual processors, outside of their range too.
_FROM_FLOAT: Final = {
    "u32": "Number(BigInt.asUintN(32, toBig({0})))",
    "i64": "toBig({0})",
    "u64": "toUnsignedBig({0})",
}

_MAX_EXACT: Final = 2**53
_CALL = re.compile(r"[\w.]+\(.*\)")
_DIGITS: Final = {"f16": 11, "f32": 24, "f64": 53}  # binary, of a float


class ScriptExpression(NamedTuple):
    """Code; `is_atom`: it needs no parentheses; `number`: the same as 0 or 1, of a boolean."""

    text: str
    is_atom: bool = True
    number: str = ""

    @property
    def inside(self) -> str:
        """The text as part of a larger expression."""
        return self.text if self.is_atom else f"({self.text})"


def fill(template: str, *parts: ScriptExpression, **words: str) -> ScriptExpression:
    """Put expressions into a template, in parentheses where they need them.

    >>> sum = fill("{0} + {1}", ScriptExpression("a"), ScriptExpression("b"))
    >>> fill("{0} * {1}", sum, sum).text, fill("exp({0})", sum).text
    ('(a + b) * (a + b)', 'exp(a + b)')
    """
    if template == "{0}":
        return parts[0]
    is_call = _CALL.fullmatch(template) is not None
    texts = [part.text if is_call else part.inside for part in parts]
    return ScriptExpression(template.format(*texts, **words), is_call or template.isalnum())


def class_of(tag: str) -> str:
    """Which column of a table a dtype is in: floats, ints, bigs or bools."""
    if tag in ("i64", "u64", PYTHON_INT):
        return "bigs"
    return {"f": "floats", "b": "bools"}.get(tag[0], "ints")


def tag_of(operand: Operand) -> str:
    """The name of an operand's dtype, or `PYTHON_INT`."""
    is_int = operand.kind == "python" and operand.dtype == "i64"
    return PYTHON_INT if is_int else operand.dtype


def rounded(value: ScriptExpression, tag: str) -> ScriptExpression:
    """A result that was computed as a double, or as an integer of any size, as one of its dtype."""
    return fill(ROUNDED.get(tag, "{0}"), value)


def stored(value: ScriptExpression, dtype: str) -> str:
    """The text of what is assigned to an element of an array, which rounds by itself."""
    return as_number(value).text if dtype == "bool" else value.text


def as_number(value: ScriptExpression) -> ScriptExpression:
    """A boolean as 0 or 1."""
    return ScriptExpression(value.number) if value.number else fill("{0} ? 1 : 0", value)


def literal(value: Any, tag: str) -> ScriptExpression:
    """Write a number as one of a dtype.

    >>> literal(0.1, "f32").text, literal(3, "i64").text, literal(-2.0, "f64").text
    ('fround(0.1)', '3n', '-2')
    """
    kind = class_of(tag)
    if kind == "bools":
        return ScriptExpression("true" if bool(value) else "false")
    if kind == "bigs":
        number = int(value) if tag == PYTHON_INT else int(np.array(value).astype(DTYPES[tag]))
        return ScriptExpression(f"{number}n", number >= 0)
    if kind == "ints":
        number = int(np.array(value).astype(DTYPES[tag]))
        return ScriptExpression(str(number), number >= 0)
    with np.errstate(all="ignore"):
        exact = DTYPES[tag].type(value)
    if not isfinite(exact):
        text = "NaN" if np.isnan(exact) else "Infinity" if exact > 0 else "-Infinity"
        return ScriptExpression(text, not text.startswith("-"))
    short = repr(float(str(exact)))
    if float(short) != float(exact):
        return ScriptExpression(f"fround({short})" if tag == "f32" else repr(float(exact)))
    text = short.removesuffix(".0")
    return ScriptExpression(text, not text.startswith("-"))


def literal_of(operand: Literal, tag: str) -> ScriptExpression:
    """Write a literal as a number of a dtype; a Python int wraps around."""
    value = operand.value
    if tag != PYTHON_INT and class_of(tag) in ("ints", "bigs") and type(value) is int:
        limits = np.iinfo(DTYPES[tag])
        value = (value - limits.min) % 2**limits.bits + limits.min
    return literal(value, tag)


def converted(value: ScriptExpression, of: str, to: str) -> ScriptExpression:
    """A value of one dtype as a value of another, as NumPy converts it."""
    if of == to:
        return value
    source, target = class_of(of), class_of(to)
    if target == "bools":
        return fill("{0} !== 0n" if source == "bigs" else "{0} !== 0", value)
    if source == "bools":
        number = as_number(value)
        return fill("{0} ? 1n : 0n", value) if target == "bigs" else number
    if target == "floats":
        number = fill("Number({0})", value) if source == "bigs" else value
        return number if _digits(of) <= _DIGITS[to] else rounded(number, to)
    if source == "floats":
        wrapped = fill(_FROM_FLOAT.get(to, "toInteger({0})"), value)
        return wrapped if to in (*_FROM_FLOAT, "i32") else rounded(wrapped, to)
    if of == PYTHON_INT:
        limits = np.iinfo(DTYPES[to])
        fitting = fill(f"fitting({{0}}, {limits.min}n, {limits.max}n)", value)
        return fitting if target == "bigs" else fill("Number({0})", fitting)
    if target == "bigs":
        return _to_big(value, of, to)
    if source == "bigs":
        kind = "Int" if to[0] == "i" else "Uint"
        return fill(f"Number(BigInt.as{kind}N({8 * DTYPES[to].itemsize}, {{0}}))", value)
    return value if np.can_cast(DTYPES[of], DTYPES[to]) else rounded(value, to)


def _to_big(value: ScriptExpression, of: str, to: str) -> ScriptExpression:
    big = value if class_of(of) == "bigs" else fill("BigInt({0})", value)
    is_kept = to == PYTHON_INT or (of != PYTHON_INT and np.can_cast(DTYPES[of], DTYPES[to]))
    return big if is_kept else rounded(big, to)


def _digits(tag: str) -> int:
    if tag == PYTHON_INT:
        return 64
    return _DIGITS.get(tag) or int(np.iinfo(DTYPES[tag]).bits) - (tag[0] == "i")


def is_small_sum(dtype: str, count: int) -> bool:
    """Whether doubles add up so many integers of a dtype exactly."""
    if dtype == "bool":
        return count < _MAX_EXACT
    return class_of(dtype) == "ints" and count * 2 ** (8 * DTYPES[dtype].itemsize) < _MAX_EXACT
