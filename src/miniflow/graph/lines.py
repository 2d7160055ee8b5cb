"""Arrays that begin with a line of the processor's cache.

NumPy's large arrays begin 16 bytes after one, so that each vector of 64 bytes lies in two. Compiled
code reads and writes parameters in such vectors; where two threads do, that costs an eighth of a
training step.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

_LINE: Final = 64  # bytes
_SMALL: Final = 1024
_zeros: Final = np.zeros  # itself, also while a pass is recorded, and `np.zeros` makes tracers


def aligned_zeros(shape: tuple[int, ...], dtype: Any) -> Any:
    """Zeros. A small array is one of NumPy's own.

    >>> aligned_zeros((100, 7), np.float32).ctypes.data % 64, aligned_zeros((2,), np.float32)
    (0, array([0., 0.], dtype=float32))
    """
    found = np.dtype(dtype)
    size = int(np.prod(shape, dtype=np.int64)) * found.itemsize
    if size < _SMALL:
        return _zeros(shape, found)
    memory = _zeros(size + _LINE, np.uint8)
    first = -memory.ctypes.data % _LINE
    return memory[first : first + size].view(found).reshape(shape)


def aligned_copy(array: Any, dtype: Any) -> Any:
    """A copy, in C order; of what is no array of NumPy's, a tracer, as NumPy makes it.

    >>> numbers = np.arange(1000.0).reshape(10, 100).T
    >>> copy = aligned_copy(numbers, np.float32)
    >>> copy.ctypes.data % 64, copy.flags.c_contiguous, bool((copy == numbers).all())
    (0, True, True)
    """
    if type(array) is not np.ndarray or array.nbytes < _SMALL:
        return np.array(array, dtype, order="C")
    copy = aligned_zeros(array.shape, dtype)
    np.copyto(copy, array, casting="unsafe")
    return copy
