"""Two arrays, one expected and one computed by a learner: where they differ, in numbers to be read.

Numbers agree if they differ by no more than `tolerance · (1 + |expected|)`.
"""

from typing import Any

import numpy as np

from miniflow.lab.results import Difference, WrongEntry

TOLERANCE = 1e-6


def agree(actual: Any, expected: Any, tolerance: float = TOLERANCE) -> bool:
    """Whether two arrays have one shape and the same numbers.

    >>> agree(0.1 + 0.2, 0.3), agree([1.0, 2.0], [1.0]), agree(float("nan"), 0.0)
    (True, False, False)
    """
    actual, expected = numbers_in(actual), numbers_in(expected)
    if actual is None or expected is None or actual.shape != expected.shape:
        return False
    return not bool(differs(actual, expected, tolerance).any())


def numbers_in(value: Any) -> Any:
    """A value as an array of numbers, or None if it is not one."""
    try:
        array = np.asarray(value)
    except (ValueError, TypeError):
        return None
    return array if array.dtype.kind in "biufc" else None


def differs(actual: Any, expected: Any, tolerance: float) -> Any:
    actual, expected = actual * 1.0, expected * 1.0  # booleans and integers too
    with np.errstate(all="ignore"):
        near = np.abs(actual - expected) <= tolerance * (1 + np.abs(expected))
    return ~(near | (actual == expected) | (np.isnan(actual) & np.isnan(expected)))


def difference(actual: Any, expected: Any, tolerance: float, what: str) -> Difference:
    """Where two arrays differ that do: the first index, and the worst."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    if actual.shape != expected.shape:
        return Difference(what, expected.shape, actual.shape, size=expected.size)
    wrong = differs(actual, expected, tolerance)
    with np.errstate(all="ignore"):
        distance = np.where(wrong, np.abs(actual.astype(float) - expected.astype(float)), -1.0)
    distance = np.where(np.isnan(distance), np.inf, distance)
    first, worst = np.argmax(wrong), np.argmax(distance)
    return Difference(
        what,
        expected.shape,
        actual.shape,
        int(wrong.sum()),
        int(expected.size),
        tuple(entry(actual, expected, int(flat)) for flat in dict.fromkeys((first, worst))),
    )


def entry(actual: Any, expected: Any, flat: int) -> WrongEntry:
    index = tuple(int(i) for i in np.unravel_index(flat, expected.shape))
    return WrongEntry(index, short(expected[index]), short(actual[index]))


def short(number: Any) -> str:
    """A number in six digits.

    >>> short(0.1 + 0.2), short(np.float64(-3.0)), short(12), short(np.nan)
    ('0.3', '-3', '12', 'nan')
    """
    number = number.item() if isinstance(number, np.generic) else number
    return f"{number:.6g}" if isinstance(number, float) else str(number)
