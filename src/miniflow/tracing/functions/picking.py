"""Choosing between values, and picking entries of an array by index."""

from typing import Any

import numpy

from miniflow.tracing.arrays import (
    TracedArray,
    as_traced,
    is_traced_array,
    number_of,
    operand_of,
    wrap,
)
from miniflow.tracing.functions.making import full
from miniflow.tracing.functions.registry import answers, axis_of, hand_over
from miniflow.tracing.trace import Refused, Storage, active
from miniflow.tracing.traced import is_traced

np: Any = numpy  # its own types know nothing of tracers


@answers(np.where)
def _where(condition: Any, *choices: Any) -> Any:
    if len(choices) != 2:
        raise Refused(
            "it calls np.where(condition), whose shape depends on the numbers.",
            "np.where(c, a, b).",
        )
    operands = [operand_of(value) for value in (condition, *choices)]
    chosen = wrap(active().record("where", operands))
    chosen.contiguous = all(getattr(x, "contiguous", True) for x in (condition, *choices))
    return chosen


@answers(np.clip)
def _clip(
    x: Any,
    a_min: Any = None,
    a_max: Any = None,
    out: Any = None,
    *,
    min: Any = None,
    max: Any = None,
) -> Any:
    low, high = (a_min if a_min is not None else min), (a_max if a_max is not None else max)
    if low is None and high is None:
        return hand_over(np.positive(x), out)  # not the array itself: NumPy makes a new one
    x = x if low is None else np.maximum(x, low)
    x = x if high is None else np.minimum(x, high)
    return hand_over(x, out)


@answers(np.take)
def _take(x: Any, indices: Any, axis: Any = None, out: Any = None, mode: str = "raise") -> Any:
    if mode != "raise":
        raise Refused(
            f"it calls np.take with mode={mode!r}.", "Use np.clip, or % n, on the indices."
        )
    x = as_traced(x)
    x = np.ravel(x) if axis is None else x
    indices = indices if is_traced(indices) else np.asarray(indices)  # a copy, of one number too
    taken = x[(*(slice(None),) * axis_of(axis or 0, x.ndim), indices)]
    return hand_over(taken, out)


@answers(np.take_along_axis)
def _take_along_axis(x: Any, indices: Any, axis: Any) -> Any:
    return as_traced(x)[_along(x, indices, axis)]


@answers(np.put_along_axis)
def _put_along_axis(x: Any, indices: Any, values: Any, axis: Any) -> None:
    if not is_traced_array(x):
        raise Refused(
            "it writes into an array that it did not make in this call.", "Use np.zeros(...)."
        )
    x[_along(x, indices, axis)] = values


def _along(x: Any, indices: Any, axis: int) -> tuple[Any, ...]:
    axis, rank = axis_of(axis, np.ndim(x)), np.ndim(x)
    others = [
        np.arange(n).reshape([-1 if i == j else 1 for j in range(rank)])
        for i, n in enumerate(np.shape(x))
    ]
    return tuple(indices if i == axis else other for i, other in enumerate(others))


@answers(np.diagonal)
def _diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    picked = _picked_diagonal(x, offset, axis1, axis2)
    if is_traced_array(x):  # NumPy's looks at the same memory, and cannot be written to
        x.storage.locked = "its diagonal was taken, which shares its memory"
    return TracedArray(Storage(picked.read(), "the diagonal of an array cannot be written to"))


def _picked_diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    if np.ndim(x) != 2 or (axis1, axis2) != (0, 1):
        raise Refused("it takes the diagonal of a stack.", "The diagonal of a matrix is recorded.")
    rows, columns = np.nonzero(np.eye(*np.shape(x), k=offset) > 0)
    return x[rows, columns]


@answers(np.diag)
def _diag(x: Any, k: int = 0) -> Any:
    if np.ndim(x) == 2:
        return _picked_diagonal(x, k)
    return np.where(np.eye(len(x), dtype=bool), x, _zero_of(x)) if k == 0 else _diag_at(x, k)


def _zero_of(x: Any) -> Any:
    return np.zeros((), x.dtype)[()]  # of its dtype: a Python 0 would make integers of booleans


def _diag_at(x: Any, k: int) -> Any:
    n = len(x) + abs(k)
    placed = full((n, n), 0, x.dtype)
    rows = np.arange(len(x)) + max(0, -k)
    placed[rows, rows + k] = x
    return placed


@answers(np.diagflat)
def _diagflat(x: Any, k: int = 0) -> Any:
    return _diag(np.ravel(as_traced(x)), k)


@answers(np.trace)
def _trace_of(x: Any, offset: int = 0) -> Any:
    return np.sum(_picked_diagonal(x, offset))


@answers(np.tril)
def _tril(x: Any, k: int = 0) -> Any:
    return np.where(np.tri(*np.shape(x)[-2:], k=k) > 0, x, _zero_of(x))


@answers(np.triu)
def _triu(x: Any, k: int = 0) -> Any:
    return np.where(np.tri(*np.shape(x)[-2:], k=k - 1) > 0, _zero_of(x), x)


@answers(np.round, np.around)
def _round(x: Any, decimals: int = 0, out: Any = None) -> Any:
    if operand_of(x).type.dtype[0] in "iu" and decimals >= 0:
        return hand_over(np.positive(x), out)
    rounded = np.rint(x) if decimals == 0 else np.rint(x * 10.0**decimals) / 10.0**decimals
    return hand_over(rounded, out)


@answers(np.nan_to_num)
def _nan_to_num(
    x: Any, copy: bool = True, nan: float = 0.0, posinf: Any = None, neginf: Any = None
) -> Any:
    if not copy:
        raise Refused("it calls np.nan_to_num with copy=False.", "Use what it returns.")
    if operand_of(x).type.dtype[0] != "f":
        return np.positive(x)
    largest = np.finfo(x.dtype).max.item()
    x = np.where(np.isnan(x), nan, x)
    x = np.where(x == np.inf, largest if posinf is None else posinf, x)
    return number_of(np.where(x == -np.inf, -largest if neginf is None else neginf, x))
