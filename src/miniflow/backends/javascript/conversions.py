"""Numbers of each dtype in JavaScript: written, rounded, and converted from one to another.

An expression is a text, and how tightly it binds.
"""

from __future__ import annotations

from math import isinf, isnan
from typing import Any, Final

import numpy as np

from miniflow.backends.braces import ATOM
from miniflow.ir.dtypes import DTYPES
from miniflow.lowering.nests import SIZE

ROUNDED: Final = {  # a result that was computed as a double, or as an integer of any size
    "f16": "half({})",
    "f32": "fround({})",
    "i8": "({}) << 24 >> 24",
    "i16": "({}) << 16 >> 16",
    "i32": "({}) | 0",
    "u8": "({}) & 255",
    "u16": "({}) & 65535",
    "u32": "({}) >>> 0",
    "i64": "BigInt.asIntN(64, {})",
    "u64": "BigInt.asUintN(64, {})",
}
BIGS: Final = ("i64", "u64")


def rounded(text: str, binding: int, dtype: str) -> tuple[str, int]:
    rounding = ROUNDED[dtype]
    if rounding[0] != "(":
        return rounding.format(text), ATOM
    if binding == ATOM:
        rounding = rounding.replace("({})", "{}")
    return rounding.format(text), 2 if "|" in rounding or "&" in rounding else 4


def converted(text: str, bound: int, of: str, to: str) -> tuple[str, int]:
    if to[0] == "f":
        if of in BIGS:
            text, bound = f"Number({text})", ATOM
        is_exact = (
            to == "f64" or (of, to) == ("f16", "f32") or (of[1:] in ("8", "16") and to == "f32")
        )
        return (text, bound) if is_exact else rounded(text, bound, to)
    if of[0] == "f":
        whole = f"trunc({text})"
        return (f"BigInt({whole})", ATOM) if to in BIGS else rounded(whole, ATOM, to)
    if of in BIGS and to in BIGS:
        return rounded(text, bound, to)
    if to in BIGS:
        big = f"BigInt({text})"
        return rounded(big, ATOM, to) if to == "u64" and of[0] != "u" else (big, ATOM)
    if of in BIGS and to == SIZE:
        return f"Number({text})", ATOM
    if of in BIGS:
        kind = "Int" if to[0] == "i" else "Uint"
        return f"Number(BigInt.as{kind}N({to[1:]}, {text}))", ATOM
    if to == SIZE or (of != SIZE and np.can_cast(DTYPES[of], DTYPES[to])):
        return text, bound
    return rounded(text, bound, to)


def number_text(number: Any, dtype: str) -> str:
    """Write a number of a dtype.

    >>> number_text(0.1, "f32"), number_text(3, "i64"), number_text(-2.0, "f64")
    ('0.10000000149011612', '3n', '-2')
    """
    if dtype == "bool":
        return "true" if number else "false"
    if dtype[0] != "f":
        return f"{int(number)}n" if dtype in BIGS else str(int(number))
    with np.errstate(all="ignore"):
        exact = float(np.array(number).astype(DTYPES[dtype]))
    if isnan(exact) or isinf(exact):
        return "NaN" if isnan(exact) else "Infinity" if exact > 0 else "-Infinity"
    return repr(exact).removesuffix(".0")
