"""The four primitives that only this backend has: elements are picked by their *positions*, which
are computed and checked once. They stand for `gather`, `gather_update` and `scatter_add` where all
axes are indexed, or one.

    at = positions(i, j, lengths=(n, k))       # i * k + j, and IndexError if one is out of range
    take(x, at, axis=None)                     # x[i, j]; with axis=0 and one index: x[i]
    put(x, value, at, axis=None)               # x with x[i, j] = value
    accumulate(x, value, at, axis=None, is_unique=False)    # x with x[i, j] += value

`DIALECT` declares them as `ir.primitives` does its own, so a prepared program can be checked and
evaluated: `check(program, also=DIALECT)`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from miniflow.ir.dtypes import Array, ProgramError, Value, ValueType
from miniflow.ir.indexing import check_assignable, check_fits, value_size
from miniflow.ir.primitive import Primitive
from miniflow.ir.program import Operand
from miniflow.ir.rules import BOOL, INTS, Form, broadcast, is_int, need_array, need_axis, of_shape


def _positions(*indices: Array, lengths: tuple[int, ...]) -> Array:
    at: Any = 0
    for index, length in zip(indices, lengths, strict=True):
        index = np.asarray(index, np.int64)
        if ((index < -length) | (index >= length)).any():
            raise IndexError(f"an index is out of bounds for an axis of length {length}")
        at = at * length + index % max(length, 1)
    return np.asarray(at)


def _infer_positions(*indices: Operand, lengths: tuple[int, ...]) -> ValueType:
    if not indices or len(indices) != len(lengths):
        raise ProgramError(f"{len(indices)} indices for axes of the lengths {lengths}")
    for index in indices:
        need_array(index)
        if index.dtype[0] not in "iu":
            raise ProgramError(f"indices are integers, not {index.type}")
    return ValueType("i64", broadcast([index.shape for index in indices]))


def _take(x: Array, at: Array, *, axis: int | None) -> Any:
    return np.take(x, at, axis)


def _infer_take(x: Operand, at: Operand, *, axis: int | None) -> ValueType:
    return of_shape(x.dtype, _place(x, at, axis))


def _place(x: Operand, at: Operand, axis: int | None) -> tuple[int, ...]:
    """The shape of what is picked."""
    need_array(x, 1)
    if at.dtype != "i64":
        raise ProgramError(f"positions are i64, not {at.type}")
    if axis is None:
        return at.shape
    need_axis(axis, x)
    return (*x.shape[:axis], *at.shape, *x.shape[axis + 1 :])


def _seen(x: Array, at: Array, axis: int | None) -> tuple[Array, Any]:
    """The array as positions count its elements, and what to index it with."""
    return (x.reshape(-1), at) if axis is None else (x, (*[slice(None)] * axis, at))


def _put(x: Array, value: Value, at: Array, *, axis: int | None) -> Array:
    result = x.copy(order="C")
    view, index = _seen(result, at, axis)
    view[index] = value
    return result


def _infer_put(x: Operand, value: Operand, at: Operand, *, axis: int | None) -> ValueType:
    check_assignable(value, _place(x, at, axis))
    return x.type


def _accumulate(x: Array, value: Value, at: Array, *, axis: int | None, is_unique: bool) -> Array:
    result = x.copy(order="C")
    view, index = _seen(result, at, axis)
    np.add.at(view, index, value)
    return result


def _infer_accumulate(
    x: Operand, value: Operand, at: Operand, *, axis: int | None, is_unique: bool
) -> ValueType:
    check_fits(value, value.shape, _place(x, at, axis))
    return x.type


_AXIS: Final = {"axis": Form("an int or None", lambda value: value is None or is_int(value))}

DIALECT: Final[Mapping[str, Primitive]] = {
    primitive.name: primitive
    for primitive in (
        Primitive("positions", "indexing", None, _positions, _infer_positions, {"lengths": INTS}),
        Primitive("take", "indexing", 2, _take, _infer_take, _AXIS),
        Primitive("put", "indexing", 3, _put, _infer_put, _AXIS),
        Primitive(
            "accumulate",
            "indexing",
            3,
            _accumulate,
            _infer_accumulate,
            {**_AXIS, "is_unique": BOOL},
            value_size,
        ),
    )
}
"""These primitives by name."""
