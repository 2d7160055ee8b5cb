"""Arrays like another array, and copies."""

from typing import Any

import numpy

from miniflow.ir.dtypes import DTYPES, dtype_name
from miniflow.tracing.arrays import as_traced, cast, operand_of, wrap, zero_d
from miniflow.tracing.functions.registry import answers
from miniflow.tracing.trace import active

np: Any = numpy  # its own types know nothing of tracers


def full(shape: Any, value: Any, dtype: Any = None, contiguous: bool = True) -> Any:
    """An array of one value, which can be written to."""
    sizes = (int(shape),) if np.ndim(shape) == 0 else tuple(int(n) for n in shape)
    operand = operand_of(value)
    dtype = _dtype_of(operand) if dtype is None else dtype
    if operand.shape:
        return cast(np.broadcast_to(as_traced(value), sizes), dtype)
    params = {"shape": sizes, "dtype": dtype_name(dtype)}
    return wrap(active().record("full", [operand], params), contiguous)


def _full_like(x: Any, value: Any, dtype: Any, shape: Any) -> Any:
    operand = operand_of(x)
    dtype = _dtype_of(operand) if dtype is None else dtype
    contiguous = getattr(x, "contiguous", True)
    return full(operand.shape if shape is None else shape, value, dtype, contiguous)


def _dtype_of(operand: Any) -> Any:
    return DTYPES[operand.type.dtype]


@answers(np.zeros_like, np.empty_like)
def _zeros_like(
    x: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None
) -> Any:
    return _full_like(x, 0, dtype, shape)


@answers(np.ones_like)
def _ones_like(
    x: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None
) -> Any:
    return _full_like(x, 1, dtype, shape)


@answers(np.full_like)
def _values_like(
    x: Any, value: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None
) -> Any:
    return _full_like(x, value, dtype, shape)


@answers(np.copy)
def _copy(x: Any, order: str = "K", subok: bool = False) -> Any:
    operand = operand_of(x)
    if operand.type.kind != "array":
        return zero_d(x)
    return wrap(operand, getattr(x, "contiguous", True))
