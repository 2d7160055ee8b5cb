"""Primitives that reduce, multiply matrices, move and make arrays, as operators."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Final

import numpy as np

from miniflow.backends.onnx.elementwise import WIDE, Emit
from miniflow.backends.onnx.sizes import RowLine, Size
from miniflow.backends.onnx.writing import GraphWriter, cannot
from miniflow.ir.dtypes import DTYPES
from miniflow.ir.program import Equation, Literal, Variable

FEW: Final = 4096  # places of a window that are written out


# --- Reductions


def _accumulated(operator: str) -> Emit:
    """A sum or a product, in the result's dtype: of half-precision numbers, in single."""

    def emit(w: GraphWriter, e: Equation) -> str:
        dtype = e.result.dtype
        inner = "f32" if dtype == "f16" else WIDE.get(dtype, dtype)
        return w.cast(_reduced(w, e, operator, w.read(0, inner)), inner, dtype)

    return emit


def _extreme(operator: str) -> Emit:
    def emit(w: GraphWriter, e: Equation) -> str:
        dtype = e.result.dtype
        if dtype == "bool":
            return _test(w, e, operator == "ReduceMin")
        inner = WIDE.get(dtype, dtype)
        if dtype != "u64":
            return w.cast(_reduced(w, e, operator, w.read(0, inner)), inner, dtype)
        turned = _turn_sign(w, w.read(0))  # the order of signed numbers
        return _turn_sign_back(w, _reduced(w, e, operator, turned))

    return emit


def _turn_sign(w: GraphWriter, name: str) -> str:
    top = w.constant(1 << 63, "u64")
    return w.cast(w.op("BitwiseXor", name, top), "u64", "i64")


def _turn_sign_back(w: GraphWriter, name: str) -> str:
    return w.op("BitwiseXor", w.cast(name, "i64", "u64"), w.constant(1 << 63, "u64"))


def _test(w: GraphWriter, e: Equation, wants_all: bool) -> str:
    """Whether any entry is true; whether all are: not any that is false."""
    x = w.read(0, "bool")
    counted = w.cast(w.op("Not", x) if wants_all else x, "bool", "i64")
    found = w.op("Greater", _reduced(w, e, "ReduceSum", counted), w.constant(0))
    return w.op("Not", found) if wants_all else found


def _reduced(w: GraphWriter, e: Equation, operator: str, name: str) -> str:
    axis, keepdims = e.params["axis"], e.params["keepdims"]
    if not axis:
        return w.op("Identity", name)
    return w.op(operator, name, w.constant(axis), keepdims=int(keepdims))


def _arg(operator: str) -> Emit:
    def emit(w: GraphWriter, e: Equation) -> str:
        dtype = e.operands[0].dtype
        inner = dtype if dtype[0] == "f" else ("i64" if dtype[-2:] in ("32", "64") else "i32")
        axis, keepdims = e.params["axis"], e.params["keepdims"]
        return w.op(operator, w.read(0, inner), axis=axis, keepdims=int(keepdims))

    return emit


def _cumsum(w: GraphWriter, e: Equation) -> str:
    dtype = e.result.dtype
    inner = "f32" if dtype == "f16" else WIDE.get(dtype, dtype)
    total = w.op("CumSum", w.read(0, inner), w.constant(e.params["axis"]))
    return w.cast(total, inner, dtype)


# --- Products of matrices


def _matmul(w: GraphWriter, e: Equation) -> str:
    dtype = e.result.dtype
    inner = "i64" if dtype == "bool" else WIDE.get(dtype, dtype)
    one, other = (len(operand.shape) for operand in e.operands)
    if max(one, other) > 2 or dtype[0] != "f":
        return _plain_product(w, e, inner, one, other)
    (a, turns_a), (b, turns_b) = _untransposed(w, e, 0), _untransposed(w, e, 1)
    if not turns_a and not turns_b:
        return _plain_product(w, e, inner, one, other)
    a = w.op("Unsqueeze", a, w.constant([0])) if one == 1 else a
    b = w.op("Unsqueeze", b, w.constant([1])) if other == 1 else b
    product = w.op("Gemm", a, b, transA=int(turns_a) or None, transB=int(turns_b) or None)
    return _without_axes(w, product, one, other)


def _untransposed(w: GraphWriter, e: Equation, place: int) -> tuple[str, bool]:
    """A matrix, and whether it is to be transposed. (Products with transpositions in front of them
    are what onnxruntime joins itself: in double precision before 1.25 it has no kernel then, and of
    a vector its result is wrong.)
    """
    operand = e.operands[place]
    made = w.made.get(operand) if isinstance(operand, Variable) else None
    if made is None or made.primitive != "transpose" or made.params["axes"] != (1, 0):
        return w.read(place, e.result.dtype), False
    source = made.operands[0]
    if not isinstance(source, Variable):
        return w.read(place, e.result.dtype), False
    return w.cast(w.values[source], source.dtype, e.result.dtype), True


def _plain_product(w: GraphWriter, e: Equation, inner: str, one: int, other: int) -> str:
    a, b = w.read(0, inner), w.read(1, inner)
    a = w.op("Unsqueeze", a, w.constant([0])) if one == 1 else a
    b = w.op("Unsqueeze", b, w.constant([-1])) if other == 1 else b
    product = w.cast(w.op("MatMul", a, b), inner, e.result.dtype)
    return _without_axes(w, product, one, other)


def _without_axes(w: GraphWriter, product: str, one: int, other: int) -> str:
    """The product of what was a vector, without the axis that it was lent."""
    dropped = [*[-2] * (one == 1), *[-1] * (other == 1)]
    return w.op("Squeeze", product, w.constant(dropped)) if dropped else product


def _gemm(w: GraphWriter, e: Equation) -> str:
    """Beta c + alpha (a @ b)."""
    c, a, b, alpha, beta = (w.read(place, e.result.dtype) for place in range(5))
    scales = [operand.value if isinstance(operand, Literal) else None for operand in e.operands[3:]]
    if None not in scales:
        first, second = (float(scale) for scale in scales)  # type: ignore[arg-type]
        return w.op("Gemm", a, b, c, alpha=first, beta=second)
    scaled = w.op("Mul", w.op("MatMul", a, b), alpha)
    return w.op("Add", w.op("Mul", c, beta), scaled)


# --- Movement


def _reshape(w: GraphWriter, e: Equation) -> str:
    return w.reshape(w.read(0), w.shape_of(e.result))


def _transpose(w: GraphWriter, e: Equation) -> str:
    return w.op("Transpose", w.read(0), perm=e.params["axes"])


def _broadcast_to(w: GraphWriter, e: Equation) -> str:
    return w.expand(w.read(0), w.shape_of(e.result))


def _windows(w: GraphWriter, e: Equation) -> str:
    """Each axis that a window slides along becomes two, of places and of what is seen there."""
    name = w.read(0)
    axes, window = e.params["axes"], e.params["window"]
    places = w.shape_of(e.result)
    ndim = len(e.operands[0].shape)
    at = 0
    order: list[int] = []
    inner: list[int] = []
    for axis in range(ndim):
        order.append(at)
        if axis in axes:
            length = window[axes.index(axis)]
            name = w.op("Gather", name, _seen_from(w, places[axis], length), axis=at)
            inner.append(at + 1)
            at += 1
        at += 1
    return w.op("Transpose", name, perm=(*order, *inner))


def _seen_from(w: GraphWriter, places: Size, length: int) -> str:
    if isinstance(places, int):
        return w.constant(np.arange(places)[:, None] + np.arange(length))
    column = w.reshape(count_up(w, 0, places), (places, 1))
    return w.op("Add", column, w.constant(np.arange(length)))


def _concatenate(w: GraphWriter, e: Equation) -> str:
    dtype = e.result.dtype
    parts = [w.read(place, dtype) for place in range(len(e.operands))]
    return w.op("Concat", *parts, axis=e.params["axis"])


# --- Creation


def _full(w: GraphWriter, e: Equation) -> str:
    dtype = e.params["dtype"]
    return w.expand(w.read(0, dtype), w.shape_of(e.result))


def _arange(w: GraphWriter, e: Equation) -> str:
    start, stop, step = (w.twins.param(e, key) for key in ("start", "stop", "step"))
    dtype = e.params["dtype"]
    if isinstance(start, int) and isinstance(stop, int) and isinstance(step, int):
        if len(range(start, stop, step)) <= FEW:
            return w.constant(np.arange(start, stop, step).astype(DTYPES[dtype]), dtype)
        return w.cast(count_up(w, start, stop, step), "i64", dtype)
    if not isinstance(step, int):
        raise cannot(e, "it counts in steps that depend on the number of rows")
    return w.cast(count_up(w, start, stop, step), "i64", dtype)


def count_up(w: GraphWriter, start: Size, stop: Size, step: int = 1) -> str:
    """The whole numbers from `start` to before `stop`."""
    return w.op("Range", _one(w, start), _one(w, stop), w.constant(step))


def _one(w: GraphWriter, size: Size) -> str:
    if isinstance(size, RowLine):
        return w.op("Reshape", w.size(size), w.constant([]))
    return w.constant(size)


ARRAYS: Final[Mapping[str, Emit]] = {
    "sum": _accumulated("ReduceSum"),
    "prod": _accumulated("ReduceProd"),
    "max": _extreme("ReduceMax"),
    "min": _extreme("ReduceMin"),
    "any": partial(_test, wants_all=False),
    "all": partial(_test, wants_all=True),
    "argmax": _arg("ArgMax"),
    "argmin": _arg("ArgMin"),
    "cumsum": _cumsum,
    "matmul": _matmul,
    "gemm": _gemm,
    "reshape": _reshape,
    "transpose": _transpose,
    "broadcast_to": _broadcast_to,
    "windows": _windows,
    "concatenate": _concatenate,
    "full": _full,
    "arange": _arange,
}
"""How each of these primitives is written."""
