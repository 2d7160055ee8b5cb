"""Primitives that reduce, multiply matrices, move and make arrays, in `jax.lax`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from miniflow.backends.jax.operands import DTYPE_NAMES, OperandWriter, WriteEquation
from miniflow.ir.program import Equation

# Reductions.


def _with_axes(e: Equation, text: str) -> str:
    """What is reduced, with axes of length one if they are kept."""
    shape = e.result.shape
    return f"lax.reshape({text}, {shape})" if e.params.get("keepdims") else text


def _sum(w: OperandWriter, e: Equation) -> str:
    x = w.text(e.operands[0], e.result.dtype)
    return _with_axes(e, f"functions.summed({x}, {e.params['axis']})")


def _reduction(name: str, dtype: str = "") -> WriteEquation:
    """A reduction by a function of `lax`, in a dtype; by default in that of the result."""

    def write(w: OperandWriter, e: Equation) -> str:
        x = w.text(e.operands[0], dtype or e.result.dtype)
        return _with_axes(e, f"lax.{name}({x}, {e.params['axis']})")

    return write


def _argmax(w: OperandWriter, e: Equation) -> str:
    x = w.as_it_is(e.operands[0])
    return _with_axes(e, f"lax.{e.primitive}({x}, {e.params['axis']}, i64)")


def _cumsum(w: OperandWriter, e: Equation) -> str:
    return f"lax.cumsum({w.text(e.operands[0], e.result.dtype)}, {e.params['axis']})"


# Products of matrices.


def _matmul(w: OperandWriter, e: Equation) -> str:
    a, b = (w.text(o, e.result.dtype) for o in e.operands)
    return f"functions.product({a}, {b}, {_precision(e.result.dtype)})"


def _precision(dtype: str) -> str:
    """What a product is computed in: of float32, as the options say."""
    if dtype == "f32":
        return "PRECISION"
    return "lax.Precision.HIGHEST" if dtype[0] == "f" else "None"


def _gemm(w: OperandWriter, e: Equation) -> str:
    c, a, b, alpha, beta = e.operands
    dtype, shape = e.result.dtype, e.result.shape
    texts = [w.text(x, dtype) for x in (c, a, b)]
    product = f"functions.product({texts[1]}, {texts[2]}, {_precision(dtype)})"
    scaled = f"lax.mul({texts[0]}, {w.text(beta, dtype, shape)})"
    return f"lax.add({scaled}, lax.mul({product}, {w.text(alpha, dtype, shape)}))"


# Movement and creation.


def _reshape(w: OperandWriter, e: Equation) -> str:
    return f"lax.reshape({w.text(e.operands[0], e.result.dtype)}, {e.params['shape']})"


def _transpose(w: OperandWriter, e: Equation) -> str:
    return f"lax.transpose({w.text(e.operands[0], e.result.dtype)}, {e.params['axes']})"


def _broadcast_to(w: OperandWriter, e: Equation) -> str:
    return w.text(e.operands[0], e.result.dtype, e.params["shape"])


def _windows(w: OperandWriter, e: Equation) -> str:
    x = w.read(e.operands[0])
    return f"functions.windows({x}, {e.params['axes']}, {e.params['window']})"


def _concatenate(w: OperandWriter, e: Equation) -> str:
    parts = [w.text(x, e.result.dtype) for x in e.operands]
    return f"lax.concatenate([{', '.join(parts)}], {e.params['axis']})"


def _arange(w: OperandWriter, e: Equation) -> str:
    start, step = e.params["start"], e.params["step"]
    (count,), dtype = e.result.shape, DTYPE_NAMES[e.result.dtype]
    if (start, step) == (0, 1):
        return f"lax.iota({dtype}, {count})"
    return f"functions.counted({start}, {step}, {count}, {dtype})"


ARRAYS: Final[Mapping[str, WriteEquation]] = {
    "sum": _sum,
    "prod": _reduction("reduce_prod"),
    "max": _reduction("reduce_max"),
    "min": _reduction("reduce_min"),
    "any": _reduction("reduce_or", "bool"),
    "all": _reduction("reduce_and", "bool"),
    "argmax": _argmax,
    "argmin": _argmax,
    "cumsum": _cumsum,
    "matmul": _matmul,
    "gemm": _gemm,
    "reshape": _reshape,
    "transpose": _transpose,
    "broadcast_to": _broadcast_to,
    "full": _broadcast_to,
    "windows": _windows,
    "concatenate": _concatenate,
    "arange": _arange,
}
"""How each of these primitives is written."""
