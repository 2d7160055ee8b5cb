"""Functions that ONNX has not, or runtimes have not in double precision, by others."""

from __future__ import annotations

from typing import Final

import numpy as np

from miniflow.backends.onnx.writing import GraphWriter
from miniflow.ir.dtypes import DTYPES
from miniflow.ir.program import Equation

QUARTER: Final = np.pi / 2


def hypot(w: GraphWriter, e: Equation) -> str:
    """√(x² + y²) without overflow on the way: the larger one times √(1 + the quotient²)."""
    dtype = e.result.dtype
    x, y = (w.op("Abs", name) for name in (w.read(0, dtype), w.read(1, dtype)))
    large, small = w.op("Max", x, y), w.op("Min", x, y)
    zero, one = w.constant(0, dtype), w.constant(1, dtype)
    largest = w.constant(np.finfo(DTYPES[dtype]).max, dtype)
    is_plain = w.op("And", w.op("Greater", large, zero), w.op("LessOrEqual", large, largest))
    quotient = w.op("Div", small, w.op("Where", is_plain, large, one))
    root = w.op("Sqrt", w.op("Add", one, w.op("Mul", quotient, quotient)))
    plain = w.op("Where", is_plain, w.op("Mul", large, root), large)
    is_infinite = w.op("Or", w.op("Greater", x, largest), w.op("Greater", y, largest))
    return w.op("Where", is_infinite, w.constant(np.inf, dtype), plain)


def cos(w: GraphWriter, e: Equation) -> str:
    """Cos x; in double precision, for which not every runtime has it, 1 - 2 sin² (x / 2)."""
    dtype = e.result.dtype
    x = w.read(0, dtype)
    if dtype != "f64":
        return w.op("Cos", x)
    sine = w.op("Sin", w.op("Mul", x, w.constant(0.5, dtype)))
    twice = w.op("Mul", w.op("Mul", sine, sine), w.constant(2, dtype))
    return w.op("Sub", w.constant(1, dtype), twice)


def expm1(w: GraphWriter, e: Equation) -> str:
    """eˣ - 1, exact near 0: (u - 1) x / log u for u = eˣ (W. Kahan)."""
    dtype = e.result.dtype
    x = w.read(0, dtype)
    one = w.constant(1, dtype)
    u = w.op("Exp", x)
    less = w.op("Sub", u, one)
    small = w.op("Less", w.op("Abs", x), w.constant(0.5, dtype))
    is_one = w.op("Equal", u, one)
    use = w.op("And", small, w.op("Not", is_one))
    log = w.op("Log", w.op("Where", use, u, w.constant(2, dtype)))
    near = w.op("Div", w.op("Mul", less, x), log)
    return w.op("Where", is_one, x, w.op("Where", use, near, less))


def log1p(w: GraphWriter, e: Equation) -> str:
    """log(1 + x), exact near 0: x log u / (u - 1) for u = 1 + x (W. Kahan)."""
    dtype = e.result.dtype
    x = w.read(0, dtype)
    one = w.constant(1, dtype)
    u = w.op("Add", one, x)
    less = w.op("Sub", u, one)
    log = w.op("Log", u)
    small = w.op("Less", w.op("Abs", x), w.constant(0.5, dtype))
    is_one = w.op("Equal", u, one)
    use = w.op("And", small, w.op("Not", is_one))
    near = w.op("Div", w.op("Mul", log, x), w.op("Where", use, less, one))
    return w.op("Where", is_one, x, w.op("Where", use, near, log))


def arctan(w: GraphWriter, e: Equation) -> str:
    """The angle whose tangent is x; in double precision, that in single precision, y, and what is
    missing: the angle of the small tangent (z - tan y) / (1 + z tan y). z is |x|, or 1 / |x| if
    that is less.
    """
    dtype = e.result.dtype
    x = w.read(0, dtype)
    if dtype != "f64":
        return w.op("Atan", x)
    one = w.constant(1, dtype)
    size = w.op("Abs", x)
    is_large = w.op("Greater", size, one)
    z = w.op("Where", is_large, w.op("Div", one, size), size)
    y = w.cast(w.op("Atan", w.cast(z, "f64", "f32")), "f32", "f64")
    sine = w.op("Sin", y)
    tangent = w.op("Div", sine, w.op("Sqrt", w.op("Sub", one, w.op("Mul", sine, sine))))
    rest = w.op("Div", w.op("Sub", z, tangent), w.op("Add", one, w.op("Mul", z, tangent)))
    angle = w.op("Add", y, rest)
    angle = w.op("Where", is_large, w.op("Sub", w.constant(QUARTER, dtype), angle), angle)
    return w.op("Where", w.op("Less", x, w.constant(0, dtype)), w.op("Neg", angle), angle)
