"""What the generated `numbers` calls: Python numbers as NumPy would take them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np


def convert(value: Any, dtype: Any) -> Any:
    """A number of a dtype. Raises OverflowError for an int that it does not hold.

    >>> convert(3, np.uint8), convert(0.5, np.float32)
    (np.uint8(3), np.float32(0.5))
    """
    if type(value) is int:
        return np.asarray(value, dtype)[()]
    with np.errstate(all="ignore"):
        return np.asarray(value).astype(dtype)[()]


def wrap(value: Any, dtype: Any) -> Any:
    """An int as `np.where` takes it: through int64, and then it wraps around."""
    return np.asarray(value, np.int64).astype(dtype)[()]


def clip(value: Any, dtype: Any) -> Any:
    """The number of a dtype that is nearest to an int."""
    info = np.iinfo(dtype)
    return dtype(min(max(int(value), info.min), info.max))


def side(value: Any, dtype: Any) -> Any:
    """-1, 0 or 1: whether an int lies below, in or above the range of a dtype.

    >>> int(side(-1, np.uint8)), int(side(300, np.uint8))
    (-1, 1)
    """
    info = np.iinfo(dtype)
    return np.int32(int(value > info.max) - int(value < info.min))


def python_power(x: Any, y: Any) -> Any:
    """Python's power, of which no complex number comes. Raises ArithmeticError if one would."""
    result = x**y
    if isinstance(result, complex):
        raise ArithmeticError(f"{x} ** {y} is a complex number")
    return result


SCOPE: Final[Mapping[str, Callable[..., Any]]] = {
    "convert": convert,
    "wrap": wrap,
    "clip": clip,
    "side": side,
    "python_power": python_power,
}
