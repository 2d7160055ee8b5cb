"""float16 is stored as float16 and computed in float32: the one place that says so.

A float16 has eleven binary digits and ends at 65,504: counts, squares and sums of what it can hold
are often none. So miniflow's own nodes are handed float32 in its place, and what they make of it is
rounded to float16 once, when it is stored.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

NO_DTYPE = np.dtype(bool)  # stands for the dtype of Python's numbers


def holds_half(values: Sequence[Any]) -> bool:
    """Whether there is a float16 among some values.

    >>> holds_half([1.0, np.float32(1)]), holds_half([1.0, np.zeros(2, np.float16)])
    (False, True)
    """
    return any(getattr(value, "dtype", NO_DTYPE).char == "e" for value in values)


def widen(values: Sequence[Any]) -> list[Any]:
    """The values with float32 in the place of float16.

    >>> widen([np.float16(0.5), 3])
    [np.float32(0.5), 3]
    """
    return [value.astype(np.float32) if holds_half((value,)) else value for value in values]


def narrow(result: Any, values: Sequence[Any]) -> Any:
    """What was computed from `widen(values)`, in the dtype that NumPy would have made of them.

    >>> narrow(np.float32(0.1), [np.float16(1), 10])
    np.float16(0.1)
    >>> narrow(np.float32(0.1), [np.float16(1), np.float32(10)])
    np.float32(0.1)
    """
    if _is_single(result) and not any(map(_is_single, values)):
        return result.astype(np.float16)
    return result


def _is_single(value: Any) -> bool:
    return bool(getattr(value, "dtype", NO_DTYPE).char == "f")
