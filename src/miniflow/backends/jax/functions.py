"""What NumPy's functions mean where `jax.lax` has none that means the same: generated code calls
these. Operands are arrays of one dtype and shape, unless a function says otherwise.

Where NumPy or Python would raise, an array cannot: such a function returns beside its result
whether something was wrong, `bool[]`, and the result is of no use then.
"""

from __future__ import annotations

from math import prod
from typing import Any, Final

import numpy as np
from jax import lax
from jax.dtypes import bfloat16

Ints = tuple[int, ...]

INDEX_WRONG: Final = 1
NUMBER_WRONG: Final = 2
NOT_FINITE: Final = 4

STACKED: Final = 24  # places of a window that are written as one slice each


def _full_like(x: Any, value: Any) -> Any:
    return lax.full(x.shape, x.dtype.type(value), x.dtype)


def _any(x: Any) -> Any:
    return lax.reduce_or(x, tuple(range(x.ndim)))


def flags(before: Any, indices: list[Any], numbers: list[Any], check: Any = None) -> Any:
    """What went wrong before and in a step, as bits: an index, a number, a check that is not
    finite.
    """
    wrong = before
    for bit, found in ((INDEX_WRONG, indices), (NUMBER_WRONG, numbers)):
        for one in found:
            wrong = lax.bitwise_or(wrong, lax.select(one, np.uint8(bit), np.uint8(0)))
    if check is not None:
        bit = lax.select(lax.is_finite(check), np.uint8(0), np.uint8(NOT_FINITE))
        wrong = lax.bitwise_or(wrong, bit)
    return wrong


# Arithmetic.


def is_true(x: Any) -> Any:
    """Whether a number is not 0; NaN is not."""
    return lax.ne(x, _full_like(x, 0))


def from_mask(x: Any, dtype: Any) -> Any:
    """1 where a mask is true, else 0. It is no conversion: XLA would take that times NaN for 0."""
    one, zero = (lax.full(x.shape, dtype(n), dtype) for n in (1, 0))
    return lax.select(x, one, zero)


def divide_whole(x: Any, y: Any) -> tuple[Any, Any]:
    """Quotient and remainder of integers, rounded down; 0 and 0 where y is 0, as NumPy has it."""
    zero, one = _full_like(x, 0), _full_like(x, 1)
    is_zero = lax.eq(y, zero)
    safe = lax.select(is_zero, one, y)
    is_signed = np.issubdtype(x.dtype, np.signedinteger)
    if is_signed:  # the most negative number over -1 wraps around to itself
        flips = lax.eq(y, _full_like(x, -1))
        safe = lax.select(flips, one, safe)
    quotient, rest = lax.div(x, safe), lax.rem(x, safe)
    if is_signed:
        differ = lax.ne(lax.lt(rest, zero), lax.lt(safe, zero))
        below = lax.bitwise_and(lax.ne(rest, zero), differ)
        quotient = lax.select(below, lax.sub(quotient, one), quotient)
        rest = lax.select(below, lax.add(rest, safe), rest)
        quotient = lax.select(flips, lax.neg(x), quotient)
        rest = lax.select(flips, zero, rest)
    return lax.select(is_zero, zero, quotient), lax.select(is_zero, zero, rest)


def _copy_sign(size: Any, sign: Any) -> Any:
    """A size with the sign of a number, which may be that of -0.0."""
    zero = _full_like(sign, 0)
    below = lax.lt(lax.div(_full_like(sign, 1), sign), zero)
    negative = lax.select(lax.eq(sign, zero), below, lax.lt(sign, zero))
    return lax.select(negative, lax.neg(size), size)


def floor_divide(x: Any, y: Any) -> Any:
    """NumPy's `x // y` of fractions."""
    zero, one = _full_like(x, 0), _full_like(x, 1)
    rest = lax.rem(x, y)
    quotient = lax.div(lax.sub(x, rest), y)
    differ = lax.ne(lax.lt(y, zero), lax.lt(rest, zero))
    below = lax.bitwise_and(lax.ne(rest, zero), differ)
    quotient = lax.select(below, lax.sub(quotient, one), quotient)
    down = lax.floor(quotient)
    is_next = lax.gt(lax.sub(quotient, down), _full_like(x, 0.5))
    down = lax.select(is_next, lax.add(down, one), down)
    signed_zero = _copy_sign(zero, lax.div(x, y))
    down = lax.select(lax.eq(quotient, zero), signed_zero, down)
    return lax.select(lax.eq(y, zero), lax.div(x, y), down)


def remainder(x: Any, y: Any) -> Any:
    """NumPy's `x % y` of fractions: it has the sign of `y`."""
    zero = _full_like(x, 0)
    rest = lax.rem(x, y)
    differ = lax.ne(lax.lt(y, zero), lax.lt(rest, zero))
    moved = lax.select(differ, lax.add(rest, y), rest)
    return lax.select(lax.eq(rest, zero), _copy_sign(zero, y), moved)


def whole_power(x: Any, y: Any) -> tuple[Any, Any]:
    """`x ** y` of integers, which wraps around; and whether an exponent is negative."""
    zero, one = _full_like(x, 0), _full_like(x, 1)
    is_signed = np.issubdtype(x.dtype, np.signedinteger)
    wrong = _any(lax.lt(y, zero)) if is_signed else np.bool_(False)

    def turn(_: Any, state: Any) -> Any:
        result, base, left = state
        odd = lax.ne(lax.bitwise_and(left, one), zero)
        result = lax.select(odd, lax.mul(result, base), result)
        return result, lax.mul(base, base), lax.shift_right_logical(left, one)

    bits = 8 * x.dtype.itemsize
    result, _, _ = lax.fori_loop(0, bits, turn, (one, x, lax.max(y, zero) if is_signed else y))
    return result, wrong


def sign(x: Any) -> Any:
    """-1, 0 or 1, and NaN of NaN: -0.0 has no sign here, as for NumPy."""
    zero = _full_like(x, 0)
    return lax.select(lax.eq(x, zero), zero, lax.sign(x))


def hypot(x: Any, y: Any) -> Any:
    """The root of x² + y², without an overflow on the way."""
    x, y = lax.abs(x), lax.abs(y)
    large, small = lax.max(x, y), lax.min(x, y)
    zero, infinite = _full_like(x, 0), _full_like(x, np.inf)
    ratio = lax.div(small, lax.select(lax.eq(large, zero), _full_like(x, 1), large))
    root = lax.mul(large, lax.sqrt(lax.add(_full_like(x, 1), lax.mul(ratio, ratio))))
    is_infinite = lax.bitwise_or(lax.eq(x, infinite), lax.eq(y, infinite))
    return lax.select(is_infinite, infinite, root)


def to_whole(x: Any, dtype: Any) -> tuple[Any, Any]:
    """Fractions as integers, and whether one of them is NaN or out of range."""
    info, wide = np.iinfo(dtype), lax.convert_element_type(x, np.float64)
    low, high = float(info.min), float(info.max) + 1.0  # 2**63 is the first that is too large
    if low - 1.0 == low:
        above = lax.ge(wide, _full_like(wide, low))
    else:
        above = lax.gt(wide, _full_like(wide, low - 1.0))
    below = lax.lt(wide, _full_like(wide, high))
    inside = lax.bitwise_and(above, below)  # neither, of NaN
    safe = lax.select(inside, x, _full_like(x, 0))
    return lax.convert_element_type(safe, dtype), _any(lax.bitwise_not(inside))


def compare_outside(compared: Any, side: Any, above: bool, below: bool) -> Any:
    """A comparison with an integer that may lie outside of a dtype: where `side` says that it is
    larger (1) than all of it, or smaller (-1), the answer is known.
    """
    known_above = lax.full(compared.shape, np.bool_(above), np.bool_)
    known_below = lax.full(compared.shape, np.bool_(below), np.bool_)
    chosen = lax.select(lax.gt(side, np.int32(0)), known_above, compared)
    return lax.select(lax.lt(side, np.int32(0)), known_below, chosen)


def counted(start: int, step: int, count: int, dtype: Any) -> Any:
    """start, start + step, ..., `count` of them."""
    steps = lax.mul(lax.iota(np.int64, count), lax.full((count,), np.int64(step), np.int64))
    numbers = lax.add(steps, lax.full((count,), np.int64(start), np.int64))
    return lax.convert_element_type(numbers, dtype)


# Windows.


def windows(x: Any, axes: Ints, window: Ints) -> Any:
    """`np.lib.stride_tricks.sliding_window_view`: the axes within the window come last."""
    for axis, length in zip(axes, window, strict=True):
        places = x.shape[axis] - length + 1
        shape = tuple(places if a == axis else n for a, n in enumerate(x.shape))
        if length <= STACKED:
            parts = [
                lax.expand_dims(lax.slice_in_dim(x, k, k + places, axis=axis), (x.ndim,))
                for k in range(length)
            ]
            x = parts[0] if length == 1 else lax.concatenate(parts, x.ndim)
            continue
        at = lax.add(
            lax.broadcast_in_dim(lax.iota(np.int32, places), (places, length), (0,)),
            lax.broadcast_in_dim(lax.iota(np.int32, length), (places, length), (1,)),
        )
        found = gather(x, (at,), (axis,))  # (..., places, length, ...)
        order = [a for a in range(found.ndim) if a != axis + 1]
        x = lax.transpose(found, (*order, axis + 1))
        assert x.shape == (*shape, length)
    return x


# Parts of arrays.


def part(x: Any, index: tuple[Any, ...]) -> Any:
    """The part that an index names: for each axis an int or (start, count, step)."""
    entries = [(e, 1, 1) if isinstance(e, int) else e for e in index]
    runs = [(s, c, t) if t > 0 else (s + (c - 1) * t, c, -t) for s, c, t in entries]
    starts = tuple(s if c else 0 for s, c, _ in runs)
    stops = tuple(s + (c - 1) * t + 1 if c else 0 for s, c, t in runs)
    found = lax.slice(x, starts, stops, tuple(t for _, _, t in runs))
    backwards = tuple(a for a, (_, c, t) in enumerate(entries) if t < 0 and c > 1)
    if backwards:
        found = lax.rev(found, backwards)
    kept = tuple(n for n, e in zip(found.shape, index, strict=True) if not isinstance(e, int))
    return lax.reshape(found, kept)


def _spread(value: Any, index: tuple[Any, ...], shape: Ints, fill: Any) -> Any:
    """A value in its place in an array of that shape, which is filled elsewhere."""
    entries = [(e, 1, 1) if isinstance(e, int) else e for e in index]
    value = lax.reshape(value, tuple(c for _, c, _ in entries))
    backwards = tuple(a for a, (_, c, t) in enumerate(entries) if t < 0 and c > 1)
    if backwards:
        value = lax.rev(value, backwards)
    if 0 in value.shape:
        return lax.full(shape, fill, value.dtype)
    padding = []
    for (start, count, step), length in zip(entries, shape, strict=True):
        low = start if step > 0 else start + (count - 1) * step
        stop = low + (count - 1) * abs(step) + 1
        padding.append((low, length - stop, abs(step) - 1 if count > 1 else 0))
    return lax.pad(value, fill, padding)


def part_written(x: Any, value: Any, index: tuple[Any, ...]) -> Any:
    """A copy with a value, of the shape of the part, in that part."""
    entries = [(e, 1, 1) if isinstance(e, int) else e for e in index]
    if all(step == 1 or count == 1 for _, count, step in entries):
        value = lax.reshape(value, tuple(c for _, c, _ in entries))
        return lax.dynamic_update_slice(x, value, [np.int32(s) for s, _, _ in entries])
    where = np.zeros(x.shape, np.bool_)
    from miniflow.ir.indexing import brackets

    where[brackets(index)] = True
    return lax.select(where, _spread(value, index, x.shape, x.dtype.type(0)), x)


def part_added(x: Any, value: Any, index: tuple[Any, ...]) -> Any:
    """A copy with a value added in a part."""
    if x.dtype == np.bool_:
        return lax.bitwise_or(x, _spread(value, index, x.shape, x.dtype.type(False)))
    return lax.add(x, _spread(value, index, x.shape, x.dtype.type(0)))


# Entries at indices.


def index_of(given: Any, length: int) -> tuple[Any, Any]:
    """An index as NumPy counts, from the end where it is negative, and whether one is not there."""
    if length == 0 or given.size == 0:
        wrong = np.bool_(given.size > 0)
        return lax.full(given.shape, np.int32(0), np.int32), wrong
    wide = lax.convert_element_type(given, np.int64)
    n, zero = _full_like(wide, length), _full_like(wide, 0)
    if np.issubdtype(given.dtype, np.signedinteger):
        least = _full_like(wide, -length)
        outside = lax.bitwise_or(lax.lt(wide, least), lax.ge(wide, n))
        wide = lax.select(lax.lt(wide, zero), lax.add(wide, n), wide)
    else:  # the largest of 64 bits become negative
        outside = lax.bitwise_or(lax.lt(wide, zero), lax.ge(wide, n))
    safe = lax.select(outside, zero, wide)
    is_short = length < 2**31
    return lax.convert_element_type(safe, np.int32 if is_short else np.int64), _any(outside)


def _starts(indices: tuple[Any, ...]) -> tuple[Any, Ints]:
    shape = np.broadcast_shapes(*(i.shape for i in indices))
    dtype = max((i.dtype for i in indices), key=lambda d: d.itemsize)
    joined = [
        lax.expand_dims(
            lax.broadcast_in_dim(
                lax.convert_element_type(i, dtype),
                shape,
                tuple(range(len(shape) - i.ndim, len(shape))),
            ),
            (len(shape),),
        )
        for i in indices
    ]
    return (joined[0] if len(joined) == 1 else lax.concatenate(joined, len(shape))), shape


def _window_axes(ndim: int, axes: Ints, indexed: int) -> Ints:
    """Which axes of what is gathered are those that are taken whole."""
    first = axes[0] if axes[-1] - axes[0] == len(axes) - 1 else 0
    others = ndim - len(axes)
    return (*range(first), *range(first + indexed, others + indexed))


def gather(x: Any, indices: tuple[Any, ...], axes: Ints) -> Any:
    """`x[..., i, j, ...]`: indices, from 0 and all there, for some axes; the others whole."""
    starts, shape = _starts(indices)
    sizes = tuple(1 if a in axes else n for a, n in enumerate(x.shape))
    if 0 in x.shape:
        whole = _window_axes(x.ndim, axes, len(shape))
        others = iter(n for a, n in enumerate(x.shape) if a not in axes)
        places = iter(shape)
        count = x.ndim - len(axes) + len(shape)
        result = tuple(next(others) if a in whole else next(places) for a in range(count))
        return lax.full(result, x.dtype.type(0), x.dtype)
    numbers = lax.GatherDimensionNumbers(
        offset_dims=_window_axes(x.ndim, axes, len(shape)),
        collapsed_slice_dims=axes,
        start_index_map=axes,
    )
    mode = lax.GatherScatterMode.PROMISE_IN_BOUNDS
    return lax.gather(x, starts, numbers, sizes, mode=mode)


def _scattered(write: Any, x: Any, value: Any, indices: tuple[Any, ...], axes: Ints) -> Any:
    starts, shape = _starts(indices)
    if 0 in x.shape or 0 in value.shape:
        return x
    numbers = lax.ScatterDimensionNumbers(
        update_window_dims=_window_axes(x.ndim, axes, len(shape)),
        inserted_window_dims=axes,
        scatter_dims_to_operand_dims=axes,
    )
    mode = lax.GatherScatterMode.PROMISE_IN_BOUNDS
    return write(x, starts, value, numbers, mode=mode)


def added_at(x: Any, value: Any, indices: tuple[Any, ...], axes: Ints) -> Any:
    """A copy with every entry of a value added at its place, as `np.add.at` does."""
    if x.dtype == np.bool_:
        x, value = (lax.convert_element_type(a, np.int32) for a in (x, value))
        found = _scattered(lax.scatter_add, x, value, indices, axes)
        return lax.ne(found, _full_like(found, 0))
    return _scattered(lax.scatter_add, x, value, indices, axes)


def written_at(x: Any, value: Any, indices: tuple[Any, ...], axes: Ints) -> Any:
    """A copy with a value written at places; of several for one place the last one stays."""
    if 0 in x.shape or 0 in value.shape:
        return x
    count = prod(value.shape)
    numbers = lax.reshape(lax.iota(np.int32 if count < 2**31 else np.int64, count), value.shape)
    nobody = lax.full(x.shape, numbers.dtype.type(-1), numbers.dtype)
    last = _scattered(lax.scatter_max, nobody, numbers, indices, axes)
    is_written = lax.ge(last, _full_like(last, 0))
    taken = gather(lax.reshape(value, (count,)), (lax.max(last, _full_like(last, 0)),), (0,))
    return lax.select(is_written, taken, x)


# Products.


def product(a: Any, b: Any, precision: Any) -> Any:
    """`np.matmul` of two arrays of one dtype: (..., m, k) @ (..., k, n)."""
    dtype = a.dtype
    if dtype == np.bool_:
        a, b = (lax.convert_element_type(x, np.int32) for x in (a, b))
        found = product(a, b, None)
        return lax.ne(found, _full_like(found, 0))
    if dtype == np.float16:
        a, b = (lax.convert_element_type(x, np.float32) for x in (a, b))
        return lax.convert_element_type(product(a, b, precision), np.float16)
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    if b.ndim > 2:  # one product for each matrix of the stack
        a, b = (
            x if x.shape[:-2] == batch or x.ndim == 1 else _with_batch(x, batch) for x in (a, b)
        )
        if a.ndim == 1:
            a = lax.broadcast_in_dim(a, (*batch, *a.shape), (len(batch),))
        stack = tuple(range(len(batch)))
        contract = ((a.ndim - 1,), (b.ndim - 2,))
        numbers = (contract, (stack, stack))
    else:
        numbers = (((a.ndim - 1,), (max(b.ndim - 2, 0),)), ((), ()))
    if precision == lax.DotAlgorithmPreset.BF16_BF16_F32:  # which a CPU computes in float32 else
        a, b = (lax.convert_element_type(x, bfloat16) for x in (a, b))
        return lax.dot_general(a, b, numbers, preferred_element_type=dtype)
    return lax.dot_general(a, b, numbers, precision=precision, preferred_element_type=dtype)


def _with_batch(x: Any, batch: Ints) -> Any:
    shape = (*batch, *x.shape[-2:])
    return lax.broadcast_in_dim(x, shape, tuple(range(len(shape) - x.ndim, len(shape))))


def summed(x: Any, axes: Ints) -> Any:
    """The sum over axes; halves are added in float32, as NumPy does."""
    if not axes:
        return x
    if x.dtype == np.float16:
        wide = lax.convert_element_type(x, np.float32)
        return lax.convert_element_type(lax.reduce_sum(wide, axes), np.float16)
    return lax.reduce_sum(x, axes)
