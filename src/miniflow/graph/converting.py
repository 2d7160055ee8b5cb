"""What is in an array that has no real numbers, and how a user makes numbers of it: for messages.

Tables hand out columns as arrays of objects: of nullable numbers, of categories, of text; and a
table with one of these among its columns is one array of objects.
"""

import numbers
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

import numpy as np

_NUMBERS: Final = (numbers.Real, np.bool_, Decimal, Fraction)

_TEXT: Final = (
    "there is text in it: x.astype(float) reads numbers from it; of words, pd.get_dummies(x) makes "
    "columns, and np.unique(x, return_inverse=True)[1] class numbers"
)
_OF_KIND: Final = {
    "U": _TEXT,
    "S": _TEXT,
    "T": _TEXT,
    "M": "there are dates in it: (x - x.min()) / np.timedelta64(1, 'D') counts the days",
    "m": "there are spans of time in it: x / np.timedelta64(1, 's') counts the seconds",
    "c": "there are complex ones in it: x.real and x.imag are real",
    "V": "it has named fields: np.column_stack([x[name] for name in x.dtype.names]) has columns",
}


def way_to_numbers(array: Any) -> str:
    """How the sentence goes on that refuses an array: what is in it, and what makes numbers of it.
    Nothing is said of a single value.

    >>> print(way_to_numbers(np.array([1, None])))
    , and entries are missing (None): x.to_numpy(float, na_value=0.0) of a table fills them
    >>> print(way_to_numbers(np.array([1, 2], object)))
    , and its numbers are kept as objects: x.astype(float) makes numbers of them
    """
    kind = array.dtype.kind if getattr(array, "ndim", 0) else ""
    found = _of_objects(array) if kind == "O" else _OF_KIND.get(kind)
    return f", and {found}" if found else ""


def _of_objects(array: Any) -> str:
    strange = [entry for entry in array.flat if not isinstance(entry, _NUMBERS)]
    if any(isinstance(entry, (str, bytes)) for entry in strange):
        return _TEXT
    missing = [entry for entry in strange if entry is None or type(entry).__name__ in _MISSING]
    if missing:
        fills = "x.to_numpy(float, na_value=0.0) of a table fills them"
        return f"entries are missing ({missing[0]}): {fills}"
    if strange:
        return f"there is one of class {type(strange[0]).__name__} in it: make a number of each"
    return "its numbers are kept as objects: x.astype(float) makes numbers of them"


_MISSING: Final = ("NAType", "NaTType")  # pandas', which is not imported to ask
