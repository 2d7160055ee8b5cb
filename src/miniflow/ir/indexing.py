"""The primitives that read and write parts of arrays.

NumPy has one notation for two things, so there are two families:

- `slice`, `slice_update`, `slice_add` (basic indexing): param `index` has one entry per axis:
  either an int, which drops the axis, or ``(start, count, step)``, the elements start,
  start + step, ..., `count` of them. The step may be negative, and an empty run is ``(0, 0, 1)``.
  `slice_index` makes it from what Python's brackets hold.
- `gather`, `gather_update`, `scatter_add` (advanced indexing): operands are integers that index the
  axes that the param `axes` lists, in increasing order; the other axes are taken whole. ``gather(x,
  i, j, axes=(0, 2))`` is ``x[i, :, j]``, with NumPy's rule for where the indexed axes go: in place
  if they are neighbours, else first.

The writing ones are functions: they return a changed copy of their first operand; the value is the
second. `slice_add` adds it to what is there; `gather_update` writes (the last of several writes to
one place wins), `scatter_add` adds (all of them, as `np.add.at`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import numpy as np

from miniflow.ir.dtypes import Array, ProgramError, Value, ValueType
from miniflow.ir.primitive import Primitive, view
from miniflow.ir.program import Operand
from miniflow.ir.rules import INDEX, INTS, broadcast, need_array, need_axes, of_shape, sample

Index: TypeAlias = "tuple[int | tuple[int, int, int], ...]"


def slice_index(brackets: Sequence[int | slice], shape: tuple[int, ...]) -> Index:
    """Return the param `index` for what Python's brackets hold: ints and slices, for the leading
    axes.

    Raises IndexError as NumPy does.

    >>> slice_index((-1, slice(None, None, -1)), (5, 3, 2))
    (4, (2, 3, -1), (0, 2, 1))
    """
    if len(brackets) > len(shape):
        raise IndexError(f"too many indices: {len(brackets)} for shape {shape}")
    whole = (slice(None),) * (len(shape) - len(brackets))
    return tuple(
        _slice_entry(entry, length)
        for entry, length in zip((*brackets, *whole), shape, strict=True)
    )


def _slice_entry(entry: int | slice, length: int) -> int | tuple[int, int, int]:
    if isinstance(entry, slice):
        run = range(*entry.indices(length))
        return (run.start, len(run), run.step) if run else (0, 0, 1)
    if not -length <= entry < length:
        raise IndexError(f"index {entry} is out of bounds for an axis of length {length}")
    return int(entry) % length


def brackets(index: Index) -> tuple[int | slice, ...]:
    """Return what Python's brackets would hold for the param `index`; the reverse of `slice_index`.

    >>> brackets((4, (2, 3, -1)))
    (4, slice(2, None, -1))
    """
    return tuple(_bracket(entry) for entry in index)


def _bracket(entry: int | tuple[int, int, int]) -> int | slice:
    if isinstance(entry, int):
        return entry
    start, count, step = entry
    stop = start + count * step
    return slice(start, stop if stop >= 0 else None, step)


def bracket_text(entries: Sequence[int | slice | str]) -> str:
    """Return what stands in Python's brackets as text; a string among the entries is code.

    >>> bracket_text((2, slice(1, None, 2), slice(None), "rows"))
    '2, 1::2, :, rows'
    """
    return ", ".join(map(_entry_text, entries)) or "()"


def _entry_text(entry: int | slice | str) -> str:
    if not isinstance(entry, slice):
        return str(entry)
    start, stop = ("" if bound is None else bound for bound in (entry.start, entry.stop))
    return f"{start}:{stop}" + ("" if entry.step in (None, 1) else f":{entry.step}")


def _slice(x: Any, *, index: Index) -> Any:
    return x[brackets(index)]


def _infer_slice(x: Operand, *, index: Index) -> ValueType:
    if x.type.kind == "python":
        raise ProgramError("a Python number has no parts")
    return of_shape(x.type.dtype, _slice_shape(x, index))


def _slice_shape(x: Operand, index: Index) -> tuple[int, ...]:
    if len(index) != len(x.shape):
        raise ProgramError(f"index {index} should have one entry for each axis of {x.type}")
    shape = []
    for entry, length in zip(index, x.shape, strict=True):
        if isinstance(entry, int):
            fits = 0 <= entry < length
        else:
            start, count, step = entry
            last = start + (count - 1) * step
            inside = step != 0 and count > 0 and 0 <= start < length and 0 <= last < length
            fits = inside or entry == (0, 0, 1)
            shape.append(count)
        if not fits:
            raise ProgramError(f"index {index} is outside of {x.type}")
    return tuple(shape)


def _slice_update(x: Array, value: Value, *, index: Index) -> Array:
    result = x.copy()
    result[brackets(index)] = value
    return result


def _infer_slice_update(x: Operand, value: Operand, *, index: Index) -> ValueType:
    need_array(x)
    check_assignable(value, _slice_shape(x, index))
    return x.type


def _slice_add(x: Array, value: Value, *, index: Index) -> Array:
    result = x.copy()
    result[brackets(index)] = result[brackets(index)] + value
    return result


def _infer_slice_add(x: Operand, value: Operand, *, index: Index) -> ValueType:
    need_array(x)
    check_fits(value, value.shape, _slice_shape(x, index))
    if sample(np.add, x, value).dtype != x.type.dtype:
        raise ProgramError(f"{value.type} added to {x.type} would widen it")
    return x.type


def check_assignable(value: Operand, place: tuple[int, ...]) -> None:
    """Raise `ProgramError` unless a value can be assigned to a place of this shape: it is broadcast
    to it, and axes of length one in front of it are ignored.
    """
    shape = value.shape
    while place and len(shape) > len(place) and shape[0] == 1:
        shape = shape[1:]
    check_fits(value, shape, place)


def check_fits(value: Operand, shape: tuple[int, ...], place: tuple[int, ...]) -> None:
    """Raise `ProgramError` unless a value of this shape broadcasts to a place of that."""
    n = len(shape)
    fits = n <= len(place) and all(
        length in (1, wanted) for length, wanted in zip(shape, place[len(place) - n :], strict=True)
    )
    if not fits:
        raise ProgramError(f"{value.type} does not fit into a place of shape {place}")


def _at(x: Any, indices: Sequence[Value], axes: tuple[int, ...]) -> tuple[Any, ...]:
    where: list[Any] = [slice(None)] * np.ndim(x)
    for axis, index in zip(axes, indices, strict=True):
        where[axis] = index
    return tuple(where)


def _gather(x: Array, *indices: Value, axes: tuple[int, ...]) -> Any:
    return x[_at(x, indices, axes)]


def _infer_gather(x: Operand, *indices: Operand, axes: tuple[int, ...]) -> ValueType:
    return of_shape(x.type.dtype, _gather_shape(x, indices, axes))


def _gather_shape(x: Operand, indices: Sequence[Operand], axes: tuple[int, ...]) -> tuple[int, ...]:
    need_array(x, 1)
    if not indices or len(indices) != len(axes):
        raise ProgramError(f"{len(indices)} indices for axes {axes}")
    need_axes(axes, x)
    for index in indices:
        if index.type.dtype[0] not in "iu":
            raise ProgramError(f"indices are integers, not {index.type}")
    indexed = broadcast([index.shape for index in indices])
    others = [n for axis, n in enumerate(x.shape) if axis not in axes]
    are_neighbours = axes[-1] - axes[0] == len(axes) - 1
    first = axes[0] if are_neighbours else 0
    return (*others[:first], *indexed, *others[first:])


def _gather_update(x: Array, value: Value, *indices: Value, axes: tuple[int, ...]) -> Array:
    result = x.copy()
    result[_at(x, indices, axes)] = value
    return result


def _infer_gather_update(
    x: Operand, value: Operand, *indices: Operand, axes: tuple[int, ...]
) -> ValueType:
    check_assignable(value, _gather_shape(x, indices, axes))
    return x.type


def _scatter_add(x: Array, value: Value, *indices: Value, axes: tuple[int, ...]) -> Array:
    result = x.copy()
    np.add.at(result, _at(x, indices, axes), value)
    return result


def _infer_scatter_add(
    x: Operand, value: Operand, *indices: Operand, axes: tuple[int, ...]
) -> ValueType:
    check_fits(value, value.shape, _gather_shape(x, indices, axes))
    sample(_add_at, x, value)  # NumPy may refuse to add such dtypes in place
    return x.type


def _add_at(x: Array, value: Value) -> Array:
    np.add.at(x, ([0],), value)
    return x


def value_size(result: ValueType, x: Operand, value: Operand, *_: Operand, **params: object) -> int:
    """The operations of adding a value to a part of an array."""
    return value.type.size


INDEXING: Final = (
    view("slice", "indexing", _slice, _infer_slice, {"index": INDEX}),
    Primitive("slice_update", "indexing", 2, _slice_update, _infer_slice_update, {"index": INDEX}),
    Primitive(
        "slice_add", "indexing", 2, _slice_add, _infer_slice_add, {"index": INDEX}, value_size
    ),
    Primitive("gather", "indexing", None, _gather, _infer_gather, {"axes": INTS}),
    Primitive(
        "gather_update", "indexing", None, _gather_update, _infer_gather_update, {"axes": INTS}
    ),
    Primitive(
        "scatter_add",
        "indexing",
        None,
        _scatter_add,
        _infer_scatter_add,
        {"axes": INTS},
        value_size,
    ),
)
