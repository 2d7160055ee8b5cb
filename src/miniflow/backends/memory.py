"""Memory for arrays as vector instructions and BLAS like it: from a line of the cache onwards."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

ALIGNMENT: Final = 64  # bytes: a line of the processor's cache, and the widest registers


def block(nbytes: int) -> npt.NDArray[np.uint8]:
    """Allocate memory that begins at a multiple of 64 bytes; what is in it is undefined.

    >>> block(100).ctypes.data % 64, block(100).nbytes
    (0, 100)
    """
    memory = np.empty(nbytes + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + nbytes]
