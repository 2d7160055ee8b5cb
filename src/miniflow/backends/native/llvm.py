"""How LLVM writes things down: types, constants, conversions, addresses."""

from __future__ import annotations

import ast
import struct
from typing import Final, NamedTuple

import numpy as np

LLVM_TYPES: Final = {"f32": "float", "f64": "double", "bool": "i1"} | {
    f"{letter}{bits}": f"i{bits}" for letter in "iu" for bits in (8, 16, 32, 64)
}


class KernelError(Exception):
    """A kernel is not in the language; a defect of whoever wrote it, never of a user."""


class Term(NamedTuple):
    """A value in LLVM's text and its type; a literal that has no type yet has its number."""

    text: str
    type: str
    number: float | None = None


def typed(term: Term) -> str:
    """Return a value with its type in front, as an operand."""
    return f"{LLVM_TYPES[term.type]} {term.text}"


def as_type(term: Term, kind: str) -> Term:
    """Give a literal its type; anything else stays what it is."""
    if term.number is None or not kind:
        return term
    if kind == "bool":
        return Term("true" if term.number else "false", kind)
    if kind[0] != "f":
        return Term(str(int(term.number)), kind)
    with np.errstate(over="ignore"):
        rounded = float(np.float32(term.number)) if kind == "f32" else float(term.number)
    bits = int.from_bytes(struct.pack(">d", rounded))
    return Term(f"0x{bits:016X}", kind)


def fit(term: Term, kind: str, node: ast.expr) -> Term:
    """Return a term of that type; raise KernelError if it has another."""
    term = as_type(term, kind)
    if term.type != kind:
        raise KernelError(f"{ast.unparse(node)}: {kind} was expected, and found {term.type}")
    return term


def conversion(of: str, to: str) -> str:
    """Return LLVM's instruction that converts a number; a float to an integer is cut off."""
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


def element(kind: str, name: str, pointer: str, index: str) -> str:
    """Return the line that sets `name` to where an element of an array lies."""
    memory = "i8" if kind == "bool" else LLVM_TYPES[kind]
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
