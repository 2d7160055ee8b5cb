"""The operators that `passes.recognise` finds, as ONNX has them.

ONNX's images are (n, channels, height, width), and the nodes' have their channels last: so a window
slides between two transpositions, and where two such operators follow each other, a runtime leaves
out those in between. A kernel that is known is written in ONNX's order; others are brought into it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from miniflow.backends.onnx.elementwise import Emit
from miniflow.backends.onnx.writing import GraphWriter
from miniflow.ir.dtypes import Array
from miniflow.ir.program import Equation, Operand, Variable

TO_FIRST: Final = (0, 3, 1, 2)
TO_LAST: Final = (0, 2, 3, 1)


def _affine(w: GraphWriter, e: Equation) -> str:
    return w.op("Gemm", *(w.read(place) for place in range(3)))


def _simple(operator: str) -> Emit:
    return lambda w, e: w.op(operator, w.read(0))


def _along(operator: str) -> Emit:
    return lambda w, e: w.op(operator, w.read(0), axis=e.params["axis"])


def _geometry(e: Equation) -> dict[str, Any]:
    return {name: e.params[name] for name in ("strides", "dilations", "pads")}


def _convolution(w: GraphWriter, e: Equation) -> str:
    groups, has_bias = e.params["groups"], e.params["has_bias"]
    x = w.op("Transpose", w.read(0), perm=TO_FIRST)
    kernels = [_kernel(w, e, 1 + place) for place in range(groups)]
    kernel = kernels[0] if groups == 1 else w.op("Concat", *kernels, axis=0)
    bias = [w.read(1 + groups)] if has_bias else []
    images = w.op("Conv", x, kernel, *bias, group=groups, kernel_shape=e.params["window"],
                  **_geometry(e))  # fmt: skip
    return w.op("Transpose", images, perm=TO_LAST)


def _kernel(w: GraphWriter, e: Equation, place: int) -> str:
    """A kernel (kh · kw · c, o) as (o, c, kh, kw)."""
    operand, (height, width) = e.operands[place], e.params["window"]
    rows, outputs = operand.shape
    shape = (height, width, rows // (height * width), outputs)
    known = _known(w, operand)
    if known is not None:
        array = np.ascontiguousarray(known.reshape(shape).transpose(3, 2, 0, 1))
        return w.initializer(array, f"{_name(w, operand)}_kernel")
    return w.op("Transpose", w.reshape(w.read(place), shape), perm=(3, 2, 0, 1))


def _known(w: GraphWriter, operand: Operand) -> Array | None:
    """An array of the file, or one in another shape."""
    if not isinstance(operand, Variable):
        return None
    made = w.made.get(operand)
    if made is not None and made.primitive == "reshape":
        inner = _known(w, made.operands[0])
        return None if inner is None else inner.reshape(operand.shape)
    return w.arrays.get(operand)


def _name(w: GraphWriter, operand: Operand) -> str:
    made = w.made.get(operand) if isinstance(operand, Variable) else None
    if made is not None:
        return _name(w, made.operands[0])
    return (operand.name if isinstance(operand, Variable) else None) or "W"


def _pool(operator: str) -> Emit:
    def emit(w: GraphWriter, e: Equation) -> str:
        x = w.op("Transpose", w.read(0), perm=TO_FIRST)
        settings = _geometry(e) | {"kernel_shape": e.params["window"]}
        if operator == "AveragePool":
            del settings["dilations"]  # which are 1
            settings["count_include_pad"] = 1
        return w.op("Transpose", w.op(operator, x, **settings), perm=TO_LAST)

    return emit


RECOGNISED: Final[Mapping[str, Emit]] = {
    "affine": _affine,
    "sigmoid": _simple("Sigmoid"),
    "softmax": _along("Softmax"),
    "log_softmax": _along("LogSoftmax"),
    "convolution": _convolution,
    "max_pool": _pool("MaxPool"),
    "average_pool": _pool("AveragePool"),
}
"""How each of these operators is written."""
