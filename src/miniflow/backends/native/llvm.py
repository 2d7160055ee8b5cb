"""How LLVM writes things down: types, constants, conversions, addresses."""

from __future__ import annotations

import struct
from typing import Final

import numpy as np

from miniflow.lowering.nests import SIZE

SIGNED: Final = "i64"  # what a size is

LLVM_TYPES: Final = {"f32": "float", "f64": "double", "bool": "i1", "size": "i64"} | {
    f"{letter}{bits}": f"i{bits}" for letter in "iu" for bits in (8, 16, 32, 64)
}


def number_text(number: bool | int | float, dtype: str) -> str:
    """Return a constant; a float by its bits."""
    if dtype == "bool":
        return "true" if number else "false"
    if dtype[0] != "f":
        return str(int(number))
    with np.errstate(over="ignore"):
        rounded = float(np.float32(number)) if dtype == "f32" else float(number)
    return f"0x{int.from_bytes(struct.pack('>d', rounded)):016X}"


def conversion(of: str, to: str) -> str:
    """Return LLVM's instruction that converts a number; a float to an integer is cut off."""
    of, to = (SIGNED if dtype == SIZE else dtype for dtype in (of, to))
    signed = of[0] == "i"
    if of[0] == "f":
        if to[0] == "f":
            return "fpext" if to == "f64" else "fptrunc"
        return "fptosi" if to[0] == "i" else "fptoui"
    if to[0] == "f":
        return "sitofp" if signed else "uitofp"
    bits = {"bool": 1}.get(of) or int(of[1:])
    if int(to[1:]) == bits:
        return "bitcast"
    return "trunc" if int(to[1:]) < bits else "sext" if signed else "zext"


def element(dtype: str, name: str, pointer: str, index: str) -> str:
    """Return the line that sets `name` to where an element of an array lies."""
    memory = "i8" if dtype == "bool" else LLVM_TYPES[dtype]
    return f"%{name} = getelementptr inbounds {memory}, ptr {pointer}, i64 {index}"


def load_pointer(name: str, offset: int) -> list[str]:
    """Return lines that set `name` to places[arguments[offset]] + arguments[offset + 1] bytes."""
    return [
        element("i64", f"{name}.a", "%arguments", str(offset)),
        f"%{name}.index = load i64, ptr %{name}.a",
        element("i64", f"{name}.b", "%arguments", str(offset + 1)),
        f"%{name}.bytes = load i64, ptr %{name}.b",
        element("i64", f"{name}.c", "%places", f"%{name}.index"),
        f"%{name}.base = load ptr, ptr %{name}.c",
        element("i8", name, f"%{name}.base", f"%{name}.bytes"),
    ]
