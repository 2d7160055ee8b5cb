"""How numbers and arrays of each dtype are handed over in JavaScript.

dtype            a number is             arrays are
bool             a boolean               Uint8Array, of 0 and 1
i8 .. u32        a number                Int8Array ... Uint32Array
i64, u64         a bigint                BigInt64Array, BigUint64Array
f16              a number                Float32Array
f32, f64         a number                Float32Array, Float64Array
Python int       a bigint of any size    -
"""

from __future__ import annotations

import json
from typing import Any, Final

import numpy as np

from miniflow.backends.javascript.conversions import BIGS, number_text
from miniflow.errors import printable
from miniflow.ir.dtypes import DTYPES
from miniflow.ir.program import Equation, Literal, Operand
from miniflow.lowering.expressions import is_python_int, number_in

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


def literal_text(literal: Literal, dtype: str) -> str:
    """A number that is written into a program, in a dtype; a Python int wraps around."""
    return number_text(number_in(literal, dtype), dtype)


def own_text(literal: Literal) -> str:
    """A number as it is: a Python int is of any size."""
    return (
        f"{int(literal.value)}n" if is_python_int(literal) else literal_text(literal, literal.dtype)
    )


def entry_text(value: Any, dtype: str) -> str:
    """An element as it is put into an array."""
    number = np.asarray(value).astype(DTYPES[dtype])[()].item()
    return number_text(
        int(number) if dtype == "bool" else number, "u8" if dtype == "bool" else dtype
    )


def converted_int(text: str, dtype: str, how: str) -> str:
    """A Python int, converted as `lowering.parameters.Converted` says."""
    if dtype == "f64" or dtype == "size":
        return f"Number({text})"
    limits = np.iinfo(DTYPES[dtype])
    if how == "side":
        return f"side({text}, {limits.min}n, {limits.max}n)"
    if how == "wraps":
        number = f"BigInt.as{'Int' if dtype[0] == 'i' else 'Uint'}N({limits.bits}, {text})"
    else:
        function = "nearest" if how == "nearest" else "fitting"
        number = f"{function}({text}, {limits.min}n, {limits.max}n)"
    return number if dtype in BIGS else f"Number({number})"


def quoted(text: str | None) -> str:
    r"""A string of JavaScript (or null) that can stand in any HTML page.

    >>> print(quoted("</script>"))
    "\u003c/script>"
    """
    return json.dumps(text).replace("<", "\\u003c")


def in_comment(text: str) -> str:
    """Text of the user's, fit for a comment in any HTML page."""
    return printable(text).replace("<", "\\u003c")


def where_text(equation: Equation) -> str:
    """The node of an equation, as a string of JavaScript, for messages."""
    return quoted(equation.origin.node if equation.origin else equation.primitive)


def is_number(operand: Operand) -> bool:
    """Whether a value is a number in JavaScript, rather than an array."""
    return isinstance(operand, Literal) or operand.kind != "array"
