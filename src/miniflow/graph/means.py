"""Means and norms: results of the size of what goes into them, whose sums and squares are not.

The mean of [1e308, 1e308] is 1e308, and their sum is no float64; the norm of [1e20, 1e20] is a
float32, and its square is not. What is here gives the result wherever the dtype holds it. float32
adds up in float64; float64, for which there is nothing wider, adds up what a power of two has made
smaller, which leaves the digits as they are.
"""

from math import prod
from typing import Any

import numpy as np

from miniflow.graph.values import promote, shape_of, where

SMALL = 2.0**-540  # times any float64: its square is one, too
_BLOCK = 16384  # entries that are squared at a time: they stay in the nearest cache


def shrink(count: int) -> float:
    """A power of two: the sum of so many numbers, times it, is smaller than the largest of them.

    >>> shrink(3), shrink(4)
    (0.25, 0.125)
    """
    return 2.0 ** -count.bit_length()


def mean(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The mean along axes, in the floating dtype of `x`.

    >>> float(mean(np.array([1.5e308, 1.7e308]))), mean(np.float32([3e38, 1e38]))
    (1.6e+308, np.float32(2e+38))
    """
    x = promote(x)
    if _is_narrow(x):
        wide = np.mean(x, axis=axis, dtype=np.float64, keepdims=keepdims)
        return wide.astype(x.dtype)
    count = _count(x, axis)
    small = shrink(count)
    return np.sum(x * small, axis=axis, keepdims=keepdims) / (count * small)


def mean_square(x: Any) -> Any:
    """The mean of the squares of all entries, in the floating dtype of `x`.

    >>> float(mean_square(np.array([2.0**512, 0.0]))) == 2.0**1023
    True
    """
    if _is_narrow(x):
        return np.mean(np.square(x, dtype=np.float64)).astype(x.dtype)
    count = _count(x, None)
    small = shrink(count)
    return np.sum(x * small * x) / (count * small)


def root_mean_square(x: Any, axis: Any = None, keepdims: bool = False, epsilon: float = 0.0) -> Any:
    """The root of the mean of the squares along axes, or of that plus `epsilon`, in the floating
    dtype of `x`.

    It is no larger than the largest entry, whose square may be. At 0, where the root has an
    infinite slope, that is taken to be 0, also by whoever differentiates what is computed here.

    >>> float(root_mean_square(np.array([3e200, 3e200])))
    3e+200
    >>> float(root_mean_square(np.array([3.0, 5.0]), epsilon=8.0))
    5.0
    """
    if _is_narrow(x):
        square = np.mean(np.square(x, dtype=np.float64), axis=axis, keepdims=keepdims)
        root = np.sqrt(square + epsilon) if epsilon else _root(square)
        return root.astype(x.dtype)
    count = _count(x, axis)
    with np.errstate(over="ignore"):
        plain = np.sum(x * x, axis=axis, keepdims=keepdims) / count
    small = x * SMALL
    scaled = np.sum(small * small, axis=axis, keepdims=keepdims) / count
    fits = plain < np.inf
    square = where(fits, plain, scaled)
    root = np.sqrt(square + where(fits, epsilon, 0.0)) if epsilon else _root(square)
    return root * where(fits, 1.0, 1.0 / SMALL)


def _root(square: Any) -> Any:
    is_zero = square == 0
    return where(is_zero, 0.0, np.sqrt(where(is_zero, 1.0, square)))


def hypot(x: Any, y: Any, out: Any = None) -> Any:
    """`np.hypot(x, y)`: √(x² + y²), entry by entry, and no square that overflows or underflows.

    NumPy takes ten times as long for it as for the squares; where these go wrong, it is asked.

    >>> hypot(np.array([3.0, 3e200]), np.array([4.0, 4e200]))
    array([5.e+000, 5.e+200])
    """
    if not _is_plain(x, y, out):
        return np.hypot(x, y) if out is None else np.hypot(x, y, out=out)
    out = np.empty_like(x) if out is None else out
    flat, other, to = x.reshape(-1), y.reshape(-1), out.reshape(-1)
    with np.errstate(over="raise", under="raise"):
        for start in range(0, flat.size, _BLOCK):
            at = slice(start, start + _BLOCK)
            try:
                squares = flat[at] * flat[at]
                squares += other[at] * other[at]
                if np.isnan(squares.max()):  # of NaN and infinity, the length is infinite
                    raise FloatingPointError
                np.sqrt(squares, out=to[at])
            except FloatingPointError:
                with np.errstate(all="ignore"):
                    np.hypot(flat[at], other[at], out=to[at])
    return out


def _is_plain(x: Any, y: Any, out: Any) -> bool:
    """Whether these are arrays of one shape and dtype that lie in C order, with an axis."""
    arrays = (x, y) if out is None else (x, y, out)
    return all(
        type(array) is np.ndarray
        and array.ndim
        and array.flags.c_contiguous
        and (array.shape, array.dtype) == (x.shape, x.dtype)
        for array in arrays
    )


def _is_narrow(x: Any) -> bool:
    return hasattr(x, "dtype") and x.dtype.itemsize < 8


def _count(x: Any, axis: Any) -> int:
    shape = shape_of(x)
    axes = range(len(shape)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    return prod(shape[a] for a in axes) if shape else 1
