"""The same numbers in another shape or order: views wherever NumPy makes views."""

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy

from miniflow.tracing.arrays import (
    TracedArray,
    as_traced,
    is_traced_array,
    operand_of,
    wrap,
    zero_d,
)
from miniflow.tracing.functions.registry import answers, axes_of, axis_of
from miniflow.tracing.indexing import (
    broadcast_view,
    reshaped_view,
    transposed_view,
    windows_view,
)
from miniflow.tracing.trace import Refused, Storage, active

np: Any = numpy  # its own types know nothing of tracers


@answers(np.reshape)
def _reshape(
    x: Any, shape: Any = None, order: str = "C", *, newshape: Any = None, copy: Any = None
) -> Any:
    shape = newshape if shape is None else shape
    x = as_traced(x)
    operand = x.read()
    if order != "C":
        raise Refused(f"it reshapes in the order {order!r}.", "Transpose, then reshape in C order.")
    wanted = [int(n) for n in ((shape,) if np.ndim(shape) == 0 else shape)]
    if -1 in wanted:
        at = wanted.index(-1)
        others = prod(wanted[:at] + wanted[at + 1 :])
        size = prod(operand.shape)
        wanted[at] = size // others if others and size % others == 0 else 0
    if prod(wanted) != prod(operand.shape):
        raise ValueError(
            f"cannot reshape array of shape {operand.shape} into shape {tuple(wanted)}"
        )
    if operand.type.kind == "scalar" and not wanted:
        return x
    if not is_traced_array(x):
        return wrap(active().record("reshape", [operand], {"shape": tuple(wanted)}))
    if x.contiguous or _only_ones_change(x.shape, wanted):
        return reshaped_view(x, wanted)
    # NumPy makes a view if it can, and else a copy. Reading is the same; writing would not be.
    x.storage.locked = "a reshape of it may share its memory, or may not"
    copy_or_view = active().record("reshape", [operand], {"shape": tuple(wanted)})
    return TracedArray(
        Storage(copy_or_view, "it may share the memory of the array it was reshaped from")
    )


def _only_ones_change(shape: Sequence[int], wanted: Sequence[int]) -> bool:
    return [n for n in shape if n != 1] == [n for n in wanted if n != 1]


@answers(np.ravel)
def _ravel(x: Any, order: str = "C") -> Any:
    return _reshape(x, (-1,), order) if prod(np.shape(x)) else _reshape(x, (0,), order)


@answers(np.transpose, np.permute_dims)
def _transpose(x: Any, axes: Any = None) -> Any:
    x = as_traced(x)
    if not is_traced_array(x):
        return zero_d(x) if operand_of(x).type.kind == "python" else x
    if axes is None:
        order = tuple(reversed(range(x.ndim)))
    else:
        order = tuple(axis_of(a, x.ndim) for a in axes)
        if sorted(order) != list(range(x.ndim)):
            raise ValueError("axes don't match array")
    return transposed_view(x, order) if x.ndim > 1 else x


@answers(np.swapaxes)
def _swapaxes(x: Any, axis1: int, axis2: int) -> Any:
    order = list(range(x.ndim))
    i, j = axis_of(axis1, x.ndim), axis_of(axis2, x.ndim)
    order[i], order[j] = j, i
    return _transpose(x, order)


@answers(np.moveaxis)
def _moveaxis(x: Any, source: Any, destination: Any) -> Any:
    moved, places = ([axis_of(a, x.ndim) for a in np.atleast_1d(s)] for s in (source, destination))
    order = [axis for axis in range(x.ndim) if axis not in moved]
    for place, axis in sorted(zip(places, moved, strict=True)):
        order.insert(place, axis)
    return _transpose(x, order)


@answers(np.expand_dims)
def _expand_dims(x: Any, axis: Any) -> Any:
    shape = list(np.shape(x))
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    for a in axes_of(axes, len(shape) + len(axes)):
        shape.insert(a, 1)
    return np.reshape(x, shape)


@answers(np.squeeze)
def _squeeze(x: Any, axis: Any = None) -> Any:
    shape = np.shape(x)
    gone = [i for i, n in enumerate(shape) if n == 1] if axis is None else axes_of(axis, len(shape))
    if any(shape[i] != 1 for i in gone):
        raise ValueError("cannot select an axis to squeeze out which has size not equal to one")
    return np.reshape(x, [n for i, n in enumerate(shape) if i not in gone])


@answers(np.atleast_1d)
def _atleast_1d(x: Any) -> Any:
    return np.reshape(x, (1,)) if np.ndim(x) == 0 else x


@answers(np.atleast_2d)
def _atleast_2d(x: Any) -> Any:
    return x if np.ndim(x) > 1 else np.reshape(x, (1, -1))


@answers(np.broadcast_to)
def _broadcast_to(x: Any, shape: Any, subok: bool = False) -> Any:
    wanted = (int(shape),) if np.ndim(shape) == 0 else tuple(int(n) for n in shape)
    x = as_traced(x)
    return broadcast_view(x if is_traced_array(x) else zero_d(x), wanted)


@answers(np.lib.stride_tricks.sliding_window_view)
def _sliding_window_view(
    x: Any, window_shape: Any, axis: Any = None, *, subok: bool = False, writeable: bool = False
) -> Any:
    window = tuple(
        int(n) for n in ((window_shape,) if np.ndim(window_shape) == 0 else window_shape)
    )
    x = as_traced(x)
    if writeable:
        raise Refused("it asks for windows that can be written to.", "Write to the array itself.")
    if axis is None:
        if len(window) != x.ndim:
            raise ValueError(f"a window of shape {window} for an array of {x.ndim} axes")
        axes = tuple(range(x.ndim))
    else:
        axes = tuple(axis_of(a, x.ndim) for a in ((axis,) if np.ndim(axis) == 0 else axis))
    if sorted(set(axes)) != list(axes):
        raise Refused("its windows name an axis twice, or out of order.", "Sort the axes.")
    return windows_view(x, axes, window)
