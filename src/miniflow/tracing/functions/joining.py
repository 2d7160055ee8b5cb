"""Arrays joined, cut, repeated, padded and copied into."""

from itertools import pairwise
from typing import Any

import numpy

from miniflow.tracing.arrays import as_traced, cast, is_traced_array, operand_of, wrap
from miniflow.tracing.functions.making import full
from miniflow.tracing.functions.registry import answers, axes_of, axis_of, hand_over
from miniflow.tracing.trace import Refused, active
from miniflow.tracing.traced import _COUNT, is_traced

np: Any = numpy  # its own types know nothing of tracers


@answers(np.concatenate)
def _concatenate(
    arrays: Any, axis: Any = 0, out: Any = None, dtype: Any = None, casting: str = "same_kind"
) -> Any:
    operands = [operand_of(array) for array in arrays]
    if axis is None:
        operands, axis = [operand_of(np.ravel(as_traced(array))) for array in arrays], 0
    joined = wrap(
        active().record("concatenate", operands, {"axis": axis_of(axis, len(operands[0].shape))})
    )
    joined = joined if dtype is None else cast(joined, dtype)
    if is_traced_array(joined):
        joined.contiguous = all(getattr(array, "contiguous", True) for array in arrays)
    return hand_over(joined, out)


@answers(np.stack)
def _stack(arrays: Any, axis: int = 0, out: Any = None) -> Any:
    joined = np.concatenate([np.expand_dims(as_traced(array), axis) for array in arrays], axis)
    return hand_over(joined, out)


@answers(np.vstack)
def _vstack(arrays: Any) -> Any:
    return np.concatenate([np.atleast_2d(as_traced(array)) for array in arrays], 0)


@answers(np.hstack)
def _hstack(arrays: Any) -> Any:
    arrays = [np.atleast_1d(as_traced(array)) for array in arrays]
    return np.concatenate(arrays, 0 if arrays[0].ndim == 1 else 1)


@answers(np.column_stack)
def _column_stack(arrays: Any) -> Any:
    columns = [np.reshape(a, (-1, 1)) if np.ndim(a) < 2 else a for a in map(as_traced, arrays)]
    return np.concatenate(columns, 1)


@answers(np.split)
def _split(x: Any, places: Any, axis: int = 0) -> Any:
    if np.ndim(places) == 0 and x.shape[axis] % int(places):
        raise ValueError("array split does not result in an equal division")
    return _array_split(x, places, axis)


@answers(np.array_split)
def _array_split(x: Any, places: Any, axis: int = 0) -> Any:
    axis = axis_of(axis, x.ndim)
    if np.ndim(places) == 0:  # so many parts; the first of them are longer by one, if need be
        size, longer = divmod(x.shape[axis], int(places))
        places = [i * size + min(i, longer) for i in range(1, int(places))]
    ends = [0, *map(int, places), x.shape[axis]]
    before = (slice(None),) * axis
    return [x[(*before, slice(a, b))] for a, b in pairwise(ends)]


@answers(np.tile)
def _tile(x: Any, reps: Any) -> Any:
    times = [int(n) for n in ((reps,) if np.ndim(reps) == 0 else reps)]
    shape = list(np.shape(x))
    times, shape = [1] * (len(shape) - len(times)) + times, [1] * (len(times) - len(shape)) + shape
    spread = np.broadcast_to(
        np.reshape(x, [n for length in shape for n in (1, length)]),
        [n for pair in zip(times, shape, strict=True) for n in pair],
    )
    return np.reshape(spread, [t * n for t, n in zip(times, shape, strict=True)]).copy()


@answers(np.repeat)
def _repeat(x: Any, repeats: Any, axis: Any = None) -> Any:
    x = np.ravel(as_traced(x)) if axis is None else as_traced(x)
    axis = axis_of(axis or 0, x.ndim)
    if is_traced(repeats):
        repeats = repeats._number(_COUNT)
    return np.take(x, np.repeat(np.arange(x.shape[axis]), repeats), axis)


@answers(np.flip)
def _flip(x: Any, axis: Any = None) -> Any:
    flipped = axes_of(axis, x.ndim)
    return x[tuple(slice(None, None, -1 if i in flipped else None) for i in range(x.ndim))]


@answers(np.roll)
def _roll(x: Any, shift: int, axis: Any = None) -> Any:
    if axis is None:
        return np.reshape(_roll(np.ravel(x), shift, 0), np.shape(x))
    axis, n = axis_of(axis, x.ndim), x.shape[axis]
    before = (slice(None),) * axis
    cut = (n - shift) % n if n else 0
    return np.concatenate([x[(*before, slice(cut, None))], x[(*before, slice(0, cut))]], axis)


@answers(np.pad)
def _pad(x: Any, pad_width: Any, mode: str = "constant", constant_values: Any = 0) -> Any:
    if mode != "constant":
        raise Refused(f"it pads in the mode {mode!r}.", "Padding with a constant is recorded.")
    if np.size(constant_values) != 1:
        raise Refused("it pads with several constants.", "Pad once for each of them.")
    widths = np.broadcast_to(np.asarray(pad_width), (x.ndim, 2)).tolist()
    shape = tuple(n + a + b for n, (a, b) in zip(x.shape, widths, strict=True))
    padded = full(shape, constant_values, x.dtype)
    padded[tuple(slice(a, a + n) for n, (a, _) in zip(x.shape, widths, strict=True))] = x
    return padded


@answers(np.copyto)
def _copyto(x: Any, value: Any, casting: str = "same_kind", where: Any = True) -> None:
    if where is not True or not is_traced_array(x):
        raise Refused("it calls np.copyto with where=, or into a fixed array.", "Write a[...] = b.")
    x.assign(value)
