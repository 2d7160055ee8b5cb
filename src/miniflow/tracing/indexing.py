"""`x[index]` and `x[index] = value` on traced arrays, for every index that NumPy knows.

An index is taken apart as NumPy takes it apart. Numbers, slices, None and `...` alone give a view.
With an array of integers among them, the slices are applied first, as a view, and the arrays
(numbers count as arrays then) pick from it: a `gather`. An array of booleans that is fixed is the
list of places where it is true; one that is computed can be written through (`x[mask] = 0`) and not
read, since the shape of the result would depend on the numbers.
"""

from collections.abc import Sequence
from types import EllipsisType
from typing import Any, NamedTuple

import numpy as np

from miniflow.ir.indexing import slice_index
from miniflow.ir.program import Operand
from miniflow.tracing.arrays import TracedArray, View, is_traced_list, operand_of, wrap
from miniflow.tracing.trace import Refused, active
from miniflow.tracing.traced import is_traced


def get_item(x: TracedArray, index: Any) -> Any:
    """`x[index]`."""
    index = _known_mask(index)
    if _is_traced_mask(index):
        raise Refused(
            "it picks entries with a mask that is computed (x[mask]): a shape that may differ.",
            "Keep the shape: np.where(mask, x, 0), or x * mask.",
        )
    parts = _parts(x, index)
    if not parts.arrays:
        if parts.is_entry:
            params = {"index": slice_index(parts.basic, x.shape)}
            return wrap(active().record("slice", [x.read()], params))
        return _basic_view(x, parts)
    chosen = _basic_view(x, parts)
    axes, indices = tuple(parts.arrays), tuple(parts.arrays.values())
    if all(operand.type.kind != "array" for operand in indices) and len(axes) < chosen.ndim:
        return chosen.look(_picked_view(axes, indices), contiguous=False)
    picked = active().record("gather", [chosen.read(), *indices], {"axes": axes})
    # Where what is picked comes to lie behind another axis, the order in memory is NumPy's affair.
    return wrap(picked, contiguous=chosen.contiguous and axes[0] == 0)


def set_item(x: TracedArray, index: Any, value: Any) -> None:
    """`x[index] = value`."""
    record = active().record
    index = _known_mask(index)
    if _is_traced_mask(index):
        _write_through_mask(x, index, value)
        return
    parts = _parts(x, index)
    if not parts.arrays:
        _basic_view(x, parts).assign(value)
        return
    chosen = _basic_view(x, parts)
    new = operand_of(value)
    operands = [chosen.read(), new, *parts.arrays.values()]
    chosen.write(record("gather_update", operands, {"axes": tuple(parts.arrays)}))


def add_at(x: Any, index: Any, value: Any) -> None:
    """`np.add.at(x, index, value)`: entries that are named several times get all of their
    values.
    """
    parts = _parts(x, index)
    if not parts.arrays:
        view = _basic_view(x, parts)
        view.assign(wrap(view.read()) + value)
        return
    chosen = _basic_view(x, parts)
    operands = [chosen.read(), operand_of(value), *parts.arrays.values()]
    chosen.write(active().record("scatter_add", operands, {"axes": tuple(parts.arrays)}))


class _Parts(NamedTuple):
    """An index taken apart.

    basic: one number or slice for each axis of the array; `expanded` the shape after None has put
        in axes of one;
    arrays: axis after that → operand that picks along it;
    is_entry: whether one entry is picked, as a number.
    """

    basic: tuple[int | slice, ...]
    expanded: tuple[int, ...] | None
    arrays: dict[int, Operand]
    is_entry: bool


def _parts(x: TracedArray, index: Any) -> _Parts:
    given = [_plain(entry) for entry in (index if isinstance(index, tuple) else (index,))]
    entries = _complete(x, given)
    is_advanced = any(type(entry) not in (int, slice, type(None)) for entry in entries)
    basic: list[int | slice] = []
    shape: list[int] = []  # of the array after the basic part and the Nones
    arrays: dict[int, Operand] = {}
    for entry in entries:
        axis = len(basic)
        if entry is None:
            shape.append(1)
        elif isinstance(entry, slice):
            shape.append(len(range(*entry.indices(x.shape[axis]))))
            basic.append(entry)
        elif type(entry) is int and not is_advanced:
            basic.append(entry)
        else:
            arrays[len(shape)] = operand_of(np.int64(entry) if type(entry) is int else entry)
            shape.append(x.shape[axis])
            basic.append(slice(None))
    _check_dots(given, tuple(arrays))
    has_none = any(entry is None for entry in entries)
    is_entry = all(type(entry) is int for entry in entries) and Ellipsis not in given
    return _Parts(tuple(basic), tuple(shape) if has_none else None, arrays, is_entry)


def _complete(x: TracedArray, entries: list[Any]) -> list[Any]:
    """The entries with `...` written out, fixed masks as places, and slices for the axes that
    are not named.
    """
    named = sum(map(_axes_named, entries))
    if named > x.ndim:
        raise IndexError(f"too many indices: {named} for an array of {x.ndim} axes")
    dots = [i for i, entry in enumerate(entries) if entry is Ellipsis]
    if len(dots) > 1:
        raise IndexError("an index can only have a single ellipsis ('...')")
    written: list[Any] = []
    axis = 0
    for entry in entries if dots else [*entries, Ellipsis]:
        count = x.ndim - named if entry is Ellipsis else _axes_named(entry)
        if entry is Ellipsis:
            written += [slice(None)] * count
        elif _is_fixed_mask(entry):
            if entry.shape != x.shape[axis : axis + count]:
                raise IndexError(f"a mask of shape {entry.shape} for an array of shape {x.shape}")
            written += np.nonzero(entry)
        else:
            written.append(entry)
        axis += count
    return written


def _axes_named(entry: Any) -> int:
    """How many axes an entry of an index is about, if it is not `...`."""
    if entry is None or entry is Ellipsis:
        return 0
    return entry.ndim if _is_fixed_mask(entry) else 1


def _is_fixed_mask(entry: Any) -> bool:
    return isinstance(entry, np.ndarray) and not is_traced(entry) and entry.dtype == bool


def _check_dots(given: list[Any], axes: tuple[int, ...]) -> None:
    """Refuse a `...` that stands for no axis between arrays which pick along neighbouring axes:
    NumPy lays what they pick first then, and a `gather` in place.
    """
    picking = [
        i for i, e in enumerate(given) if not isinstance(e, (slice, type(None), EllipsisType))
    ]
    dots = [i for i, entry in enumerate(given) if entry is Ellipsis]
    are_neighbours = bool(axes) and axes[-1] - axes[0] == len(axes) - 1
    if are_neighbours and axes[0] > 0 and dots and picking[0] < dots[0] < picking[-1]:
        raise Refused("its index has `...` for no axis between two arrays.", "Leave the ... out.")


def _plain(entry: Any) -> Any:
    """One entry of an index as int, slice of ints, None, Ellipsis, an array, or a traced value."""
    if entry is None or entry is Ellipsis:
        return entry
    if isinstance(entry, slice):
        bounds = (entry.start, entry.stop, entry.step)
        return slice(*(None if bound is None else bound.__index__() for bound in bounds))
    if is_traced(entry):
        operand = entry.read()
        if operand.type.dtype == "bool":
            mask = active().known_value(operand)
            if mask is None:
                raise Refused(
                    "it mixes a computed mask with other indices.", "Use np.where(mask, a, b)."
                )
            return mask
        if operand.type.dtype[0] not in "iu":
            raise IndexError("arrays used as indices must be of integer type")
        known = None if operand.type.kind == "array" else active().known_value(operand)
        return entry if known is None else int(known)
    if isinstance(entry, (bool, np.bool_)):
        raise Refused("it indexes with True or False.", "Use np.where(condition, a, b).")
    if isinstance(entry, (int, np.integer)):
        return int(entry)
    if isinstance(entry, range):
        return entry
    if is_traced_list(entry):
        return wrap(operand_of(entry))
    return np.asarray(entry) if np.size(entry) else np.asarray(entry, dtype=int)


def _basic_view(x: TracedArray, parts: _Parts) -> TracedArray:
    view = x
    index = slice_index(parts.basic, x.shape)
    if not x.ndim:  # a slice of no axes would be a number
        return reshaped_view(x, parts.expanded or ())
    if all(isinstance(entry, int) for entry in index):  # x[0, ...]: no axis is left
        ones = tuple((entry, 1, 1) for entry in index)
        return reshaped_view(x.look(_slice_view(ones), x.contiguous), parts.expanded or ())
    whole = tuple((0, n, 1) if n else (0, 0, 1) for n in x.shape)
    if index != whole or (parts.expanded is None and not parts.arrays):
        view = x.look(_slice_view(index), x.contiguous and _is_one_block(index, x.shape))
    if parts.expanded is not None:
        view = reshaped_view(view, parts.expanded)
    return view


def _is_one_block(index: Any, shape: tuple[int, ...]) -> bool:
    """Whether what is taken lies in one piece in C order: numbers, then at most one run, then
    all.
    """
    rest = [(entry, n) for entry, n in zip(index, shape, strict=True) if not isinstance(entry, int)]
    leading = len(index) - len(rest)
    are_leading = all(isinstance(entry, int) for entry in index[:leading])
    steps = all(entry[2] == 1 for entry, _ in rest)
    return are_leading and steps and all(entry[1] == n for entry, n in rest[1:])


def _slice_view(index: Any) -> View:
    def undo(below: Operand, new: Operand) -> Operand:
        return active().record("slice_update", [below, new], {"index": index})

    return View("slice", {"index": index}, undo)


def _picked_view(axes: tuple[int, ...], indices: tuple[Operand, ...]) -> View:
    """What numbers that are computed pick, `x[i]`: a view, like that of numbers written down."""

    def undo(below: Operand, new: Operand) -> Operand:
        return active().record("gather_update", [below, new, *indices], {"axes": axes})

    return View("gather", {"axes": axes}, undo, indices)


def broadcast_view(x: TracedArray, shape: tuple[int, ...]) -> TracedArray:
    """The same memory, with entries repeated; it cannot be written to."""

    def undo(below: Operand, new: Operand) -> Operand:
        raise Refused(
            "it writes to what np.broadcast_to gave, and that cannot be written to.",
            "Work on a copy: np.broadcast_to(x, shape).copy().",
        )

    return x.look(View("broadcast_to", {"shape": shape}, undo), contiguous=False)


def windows_view(x: TracedArray, axes: tuple[int, ...], window: tuple[int, ...]) -> TracedArray:
    """The same memory, seen through a window at every place; it cannot be written to."""

    def undo(below: Operand, new: Operand) -> Operand:
        raise Refused(
            "it writes to what sliding_window_view gave, and that cannot be written to.",
            "Write to the array itself, slice by slice: x[:, i : i + n] += part.",
        )

    return x.look(View("windows", {"axes": axes, "window": window}, undo), contiguous=False)


def reshaped_view(x: TracedArray, shape: Sequence[int]) -> TracedArray:
    """The same memory in another shape."""

    def undo(below: Operand, new: Operand) -> Operand:
        return active().record("reshape", [new], {"shape": below.shape})

    return x.look(View("reshape", {"shape": tuple(shape)}, undo), x.contiguous)


def transposed_view(x: TracedArray, axes: tuple[int, ...]) -> TracedArray:
    """The same memory with the axes in another order."""
    back = tuple(int(i) for i in np.argsort(axes))

    def undo(below: Operand, new: Operand) -> Operand:
        return active().record("transpose", [new], {"axes": back})

    stays = axes == tuple(range(x.ndim))
    return x.look(View("transpose", {"axes": axes}, undo), x.contiguous and stays)


def _known_mask(index: Any) -> Any:
    """A mask that the code wrote down, or worked out from nothing that is fed, as a real one."""
    if _is_traced_mask(index):
        known = active().known_value(index.read())
        return index if known is None else known
    return index


def _is_traced_mask(index: Any) -> bool:
    return is_traced(index) and index.read().type.dtype == "bool"


def _write_through_mask(x: TracedArray, mask: Any, value: Any) -> None:
    """`x[mask] = value` is a choice, entry by entry, if one value (or one for each entry of x)
    is written.
    """
    record = active().record
    new, condition = operand_of(value), mask.read()
    if new.shape not in ((), (1,)):
        raise Refused(
            "it writes a list of values through a mask that is computed (x[mask] = values).",
            "Write np.where(mask, values, x) with values in the shape of x.",
        )
    extra = x.ndim - len(condition.shape)
    if extra < 0 or condition.shape != x.shape[: len(condition.shape)]:
        raise IndexError(f"a mask of shape {condition.shape} for an array of shape {x.shape}")
    if extra:
        condition = record("reshape", [condition], {"shape": condition.shape + (1,) * extra})
    if new.type.dtype != x.type.dtype or new.type.kind == "python":
        new = record("cast", [new], {"dtype": x.type.dtype})
    chosen = record("where", [condition, new, x.read()])
    x.write(chosen)
