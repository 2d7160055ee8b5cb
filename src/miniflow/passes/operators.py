"""The operators that other tools know by a name, as primitives: what `recognise` finds.

    affine(a, b, c)                                  a @ b + c
    sigmoid(x)                                       1 / (1 + e^-x)
    softmax(x, axis), log_softmax(x, axis)
    convolution(x, *kernels, b, window, strides, dilations, pads, groups, has_bias)
    max_pool(x, window, strides, dilations, pads), average_pool(...)

Images are (n, height, width, channels), as the nodes have them; `pads` is the border above, at the
left, below, at the right. A convolution has a kernel for each group of channels, the matrix
(kh · kw · c, o) that the windows are multiplied with. A border counts as zeros, and in a mean too;
it is never the largest of a window.

`OPERATORS` declares them as `ir.primitives` does its own: a program that has some is checked and
evaluated with `check(program, also=OPERATORS)`.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any, Final

import numpy as np

from miniflow.ir.dtypes import Array, ProgramError, ValueType
from miniflow.ir.primitive import Primitive
from miniflow.ir.primitives import infer
from miniflow.ir.program import Operand, Variable
from miniflow.ir.rules import BOOL, INT, INTS, need_array, need_axis

Ints = tuple[int, ...]


def _affine(a: Array, b: Array, c: Array) -> Any:
    return np.matmul(a, b) + c


def _infer_affine(a: Operand, b: Operand, c: Operand) -> ValueType:
    product = infer("matmul", (a, b), {})
    if infer("add", (Variable(product), c), {}) != product or len(product.shape) != 2:
        raise ProgramError(f"{c.type} does not fit the product of {a.type} and {b.type}")
    return product


def _sigmoid(x: Array) -> Any:
    return np.exp(np.minimum(x, 0)) / (1 + np.exp(-np.abs(x)))


def _infer_same(x: Operand) -> ValueType:
    return infer("exp", (x,), {})


def _softmax(x: Array, *, axis: int) -> Any:
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def _log_softmax(x: Array, *, axis: int) -> Any:
    shifted = x - x.max(axis=axis, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True))


def _infer_along(x: Operand, *, axis: int) -> ValueType:
    need_axis(axis, x)
    return infer("exp", (x,), {})


def _seen(x: Array, window: Ints, strides: Ints, dilations: Ints, pads: Ints, border: Any) -> Array:
    """What a window sees at each of its places: (n, oh, ow, c, kh, kw)."""
    top, left, bottom, right = pads
    wide = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=border)
    spans = tuple(d * (k - 1) + 1 for k, d in zip(window, dilations, strict=True))
    places = np.lib.stride_tricks.sliding_window_view(wide, spans, (1, 2))
    (sy, sx), (dy, dx) = strides, dilations
    return places[:, ::sy, ::sx, :, ::dy, ::dx]


def _convolution(
    x: Array, *others: Array, groups: int, has_bias: bool, window: Ints, **geometry: Ints
) -> Any:
    kernels = others[:groups]
    seen = _seen(x, window, **geometry, border=0)
    n, height, width, channels = seen.shape[:4]
    c = channels // groups
    parts = [
        seen[:, :, :, g * c : (g + 1) * c].transpose(0, 1, 2, 4, 5, 3).reshape(-1, len(kernel))
        @ kernel
        for g, kernel in enumerate(kernels)
    ]
    result = np.concatenate(parts, axis=1).reshape(n, height, width, -1)
    return result + others[-1] if has_bias else result


def _infer_convolution(
    x: Operand, *others: Operand, groups: int, has_bias: bool, window: Ints, **geometry: Ints
) -> ValueType:
    if groups < 1 or len(others) != groups + has_bias:
        raise ProgramError(f"{len(others)} operands for {groups} groups")
    shape = _places(x, window, **geometry)
    rows = prod(window) * (x.shape[3] // groups)
    kernels = others[:groups]
    if any(len(k.shape) != 2 or k.shape[0] != rows or k.dtype != x.dtype for k in kernels):
        raise ProgramError(f"kernels {[str(k.type) for k in kernels]} for {x.type}")
    outputs = sum(kernel.shape[1] for kernel in kernels)
    if has_bias and others[-1].type != ValueType(x.dtype, (outputs,)):
        raise ProgramError(f"a bias {others[-1].type} for {outputs} outputs")
    return ValueType(x.dtype, (*shape, outputs))


def _max_pool(x: Array, **geometry: Any) -> Any:
    return _seen(x, **geometry, border=-np.inf).max(axis=(4, 5))


def _average_pool(x: Array, **geometry: Any) -> Any:
    return _seen(x, **geometry, border=0).mean(axis=(4, 5), dtype=x.dtype)


def _infer_pool(x: Operand, **geometry: Ints) -> ValueType:
    return ValueType(x.dtype, (*_places(x, **geometry), x.shape[3]))


def _places(x: Operand, window: Ints, strides: Ints, dilations: Ints, pads: Ints) -> Ints:
    """The first three lengths of what a window that slides over images gives."""
    need_array(x)
    if len(x.shape) != 4 or x.dtype[0] != "f":
        raise ProgramError(f"slides over images of fractions, (n, h, w, c), not over {x.type}")
    if [len(window), len(strides), len(dilations), len(pads)] != [2, 2, 2, 4] or min(pads) < 0:
        raise ProgramError("a window, strides and dilations are two numbers, pads are four")
    if min(*window, *strides, *dilations) < 1:
        raise ProgramError("a window, strides and dilations are 1 or more")
    counts = []
    for axis in range(2):
        length = x.shape[1 + axis] + pads[axis] + pads[2 + axis]
        span = dilations[axis] * (window[axis] - 1) + 1
        counts.append((length - span) // strides[axis] + 1)
    if min(counts) < 1:
        raise ProgramError(f"a window of {window} does not fit {x.type}")
    return x.shape[0], counts[0], counts[1]


_AXIS: Final = {"axis": INT}
_GEOMETRY: Final = {"window": INTS, "strides": INTS, "dilations": INTS, "pads": INTS}

OPERATORS: Final[Mapping[str, Primitive]] = {
    primitive.name: primitive
    for primitive in (
        Primitive("affine", "matmul", 3, _affine, _infer_affine),
        Primitive("sigmoid", "elementwise", 1, _sigmoid, _infer_same),
        Primitive("softmax", "reduction", 1, _softmax, _infer_along, _AXIS),
        Primitive("log_softmax", "reduction", 1, _log_softmax, _infer_along, _AXIS),
        Primitive(
            "convolution",
            "matmul",
            None,
            _convolution,
            _infer_convolution,
            {**_GEOMETRY, "groups": INT, "has_bias": BOOL},
        ),
        Primitive("max_pool", "reduction", 1, _max_pool, _infer_pool, _GEOMETRY),
        Primitive("average_pool", "reduction", 1, _average_pool, _infer_pool, _GEOMETRY),
    )
}
"""These operators by name."""
