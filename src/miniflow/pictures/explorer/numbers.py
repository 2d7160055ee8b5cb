"""Numbers on their way into a page: small arrays whole, large ones summarised.

An array of up to `MOST_WHOLE` entries is written with every digit. Of a larger one the page gets
what a picture shows: shape, mean, standard deviation, norm, range, and a heat map of at most 24 by
12 squares. So a recorded pass over a large network stays a small file.

JSON has no NaN and no infinities: they are written as the strings "NaN", "Infinity" and
"-Infinity", which JavaScript's `Number` reads.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from miniflow.pictures.metrics import shorten
from miniflow.pictures.thumbnail import heat_levels

MOST_WHOLE = 256  # entries of an array that is written whole


def as_data(value: Any) -> dict[str, Any] | None:
    """A value as plain data for JSON; None if there is none.

    >>> as_data(np.array([1.0, np.inf]))
    {'shape': [2], 'dtype': 'float64', 'data': [1.0, 'Infinity']}
    """
    if value is None:
        return None
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        return {"shape": [], "dtype": "object", "text": shorten(repr(value), 60)}
    data = {"shape": list(array.shape), "dtype": array.dtype.name}
    if array.size <= MOST_WHOLE:
        return data | {"data": [as_number(x) for x in array.ravel().tolist()]}
    return data | {"summary": summary(array), "levels": levels(array)}


def as_number(x: Any) -> Any:
    """A number as JSON can hold it."""
    if isinstance(x, bool) or not isinstance(x, float) or math.isfinite(x):
        return x
    return "NaN" if math.isnan(x) else "Infinity" if x > 0 else "-Infinity"


def summary(array: np.ndarray[Any, Any]) -> dict[str, Any]:
    """Statistics of the finite entries in double precision, and how many are not finite."""
    flat = array.astype(np.float64).ravel()
    finite = flat[np.isfinite(flat)]
    odd = flat.size - finite.size
    if not finite.size:
        return {"odd": odd}
    scale = float(np.abs(finite).max()) or 1.0  # so that squares neither overflow nor vanish
    part = finite / scale
    return {
        "mean": scale * float(part.mean()),
        "sd": scale * float(part.std()),
        "norm": as_number(scale * float(np.sqrt(part @ part))),  # of huge numbers too much to hold
        "low": float(finite.min()),
        "high": float(finite.max()),
        "odd": odd,
    }


def levels(array: np.ndarray[Any, Any]) -> list[list[int]]:
    """The rows of the heat map: −7 to 7, from the largest negative to the largest positive."""
    grid = heat_levels(array)
    return [] if grid is None else grid.tolist()
