"""Primitives that read and write parts of arrays, as operators.

Reading is Slice, Gather and GatherND. Writing is a comparison and a choice: which entry lies in the
part that is written, and which value is written there. Where several values are added up in one
place, as in the gradient of an embedding, the comparison is a matrix of zeros and ones, and what
adds up is a product of matrices: in the same order on every run, which a scatter does not promise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any, Final

import numpy as np

from miniflow.backends.onnx.arrays import count_up
from miniflow.backends.onnx.elementwise import WIDE, Emit, choose
from miniflow.backends.onnx.sizes import Size
from miniflow.backends.onnx.writing import GraphWriter, cannot
from miniflow.ir.dtypes import DTYPES
from miniflow.ir.program import Equation, Literal, Variable
from miniflow.ir.rules import broadcast

BEFORE_ALL: Final = -(2**62)  # the end of a slice that goes back to the first entry
LARGEST: Final = 2**26  # entries of a comparison; of what would need more, a scatter is made


# --- Parts by slices


def _slice(w: GraphWriter, e: Equation) -> str:
    index, shape = w.twins.param(e, "index"), w.shape_of(e.operands[0])
    name = w.read(0)
    starts, ends, axes, steps = [], [], [], []
    for axis, (entry, length) in enumerate(zip(index, shape, strict=True)):
        start, count, step = entry if isinstance(entry, tuple) else (entry, 1, 1)
        if isinstance(entry, tuple) and (start, count, step) == (0, length, 1):
            continue
        axes.append(axis)
        starts.append(start)
        ends.append(_end(e, start, count, step))
        steps.append(step)
    if axes:
        bounds = (w.shape(starts), w.shape(ends), w.constant(axes), w.constant(steps))
        name = w.op("Slice", name, *bounds)
    dropped = [axis for axis, entry in enumerate(index) if not isinstance(entry, tuple)]
    if dropped:
        return w.op("Squeeze", name, w.constant(dropped))
    return name if axes else w.op("Identity", name)


def _end(e: Equation, start: Size, count: Size, step: Size) -> Size:
    if not isinstance(step, int):
        raise cannot(e, "its slice has a step that depends on the number of rows")
    end = start + step * count
    return BEFORE_ALL if isinstance(end, int) and end < 0 else end


def _slice_update(w: GraphWriter, e: Equation) -> str:
    return _write_slice(w, e, adds=False)


def _slice_add(w: GraphWriter, e: Equation) -> str:
    return _write_slice(w, e, adds=True)


def _write_slice(w: GraphWriter, e: Equation, adds: bool) -> str:
    dtype = e.result.dtype
    index, shape = w.twins.param(e, "index"), w.shape_of(e.operands[0])
    entries = [entry if isinstance(entry, tuple) else (entry, 1, 1) for entry in index]
    parts = [
        axis
        for axis, (entry, n) in enumerate(zip(entries, shape, strict=True))
        if entry != (0, n, 1)
    ]
    if any(count == 0 for _, count, _ in entries):
        return w.op("Identity", w.read(0))
    lengths = _lengths_in_place(w.shape_of(e.operands[1]), index)
    value = w.read(1, dtype)
    if lengths != w.shape_of(e.operands[1]):
        value = w.reshape(value, lengths)
    if (padded := _as_border(w, e, value, lengths, entries, parts, adds)) is not None:
        return padded
    x = w.read(0)
    masks = []
    for axis in parts:
        mask, source = _places_of(w, e, entries[axis], shape[axis])
        masks.append(w.reshape(mask, [shape[axis], *[1] * (len(shape) - axis - 1)]))
        if lengths[axis] != 1:
            value = w.op("Gather", value, source, axis=axis)
    if adds:
        inner = WIDE.get(dtype, dtype)
        if dtype == "bool":
            value = w.op("Or", x, value)
        else:
            total = w.op("Add", w.cast(x, dtype, inner), w.cast(value, dtype, inner))
            value = w.cast(total, inner, dtype)
    if not masks:
        return w.expand(value, shape)
    mask = masks[0]
    for other in masks[1:]:
        mask = w.op("And", mask, other)
    return choose(w, mask, dtype, value, x)


def _lengths_in_place(shape: Sequence[Size], index: Sequence[Any]) -> tuple[Size, ...]:
    """The shape of a value, with an axis for each axis of what it is written to."""
    kept = sum(isinstance(entry, tuple) for entry in index)
    own = [1] * (kept - len(shape)) + list(shape[len(shape) - kept :] if kept else [])
    return tuple(own.pop(0) if isinstance(entry, tuple) else 1 for entry in index)


def _places_of(
    w: GraphWriter, e: Equation, entry: tuple[Size, Size, Size], length: Size
) -> tuple[str, str]:
    """Along one axis: which places are written, and from which entry of the value."""
    start, count, step = entry
    if isinstance(start, int) and isinstance(count, int) and isinstance(length, int):
        assert isinstance(step, int)
        places = np.arange(start, start + count * step, step)
        is_written, number = np.zeros(length, bool), np.zeros(length, np.int64)
        is_written[places], number[places] = True, np.arange(count)
        return w.constant(is_written, "bool"), w.constant(number)
    if step != 1:
        raise cannot(e, "it writes to every second place, of as many as there are rows")
    source = w.op("Sub", count_up(w, 0, length), w.size(start))
    fits = w.op(
        "And",
        w.op("GreaterOrEqual", source, w.constant(0)),
        w.op("Less", source, w.size(count)),
    )
    return fits, w.op("Where", fits, source, w.constant(0))


def _as_border(
    w: GraphWriter,
    e: Equation,
    value: str,
    lengths: Sequence[Size],
    entries: Sequence[tuple[Size, Size, Size]],
    parts: Sequence[int],
    adds: bool,
) -> str | None:
    """A value in the midst of an array that is one number everywhere is that value with a border
    of it: the usual way to pad.
    """
    made = w.made.get(e.operands[0]) if isinstance(e.operands[0], Variable) else None
    if made is None or made.primitive != "full" or not isinstance(made.operands[0], Literal):
        return None
    number, shape = made.operands[0].value, w.shape_of(e.operands[0])
    before, after = [], []
    for axis, ((start, count, step), length) in enumerate(zip(entries, shape, strict=True)):
        rest = length - start - count
        if step != 1 or not isinstance(start, int) or not isinstance(rest, int):
            return None
        if lengths[axis] != count:
            return None
        before.append(start)
        after.append(rest)
    if not parts or (adds and number != 0):
        return None
    dtype = e.result.dtype
    inner = "i64" if dtype == "bool" else WIDE.get(dtype, dtype)
    pads = w.constant([*before, *after])
    border = w.constant(np.asarray(number).astype(DTYPES[inner]), inner)
    return w.cast(w.op("Pad", w.cast(value, dtype, inner), pads, border), inner, dtype)


# --- Parts by indices


def _index(w: GraphWriter, e: Equation, place: int, length: Size) -> str:
    """An index counted from 0, as i64."""
    name = w.read(place, "i64")
    if e.operands[place].dtype[0] == "u":
        return name
    is_negative = w.op("Less", name, w.constant(0))
    return w.op("Where", is_negative, w.op("Add", name, _scalar(w, length)), name)


def _scalar(w: GraphWriter, size: Size) -> str:
    if isinstance(size, int):
        return w.constant(size)
    return w.op("Reshape", w.size(size), w.constant([]))


def _gather(w: GraphWriter, e: Equation) -> str:
    axes, x = e.params["axes"], w.read(0)
    shape = w.shape_of(e.operands[0])
    if len(axes) == 1:
        return w.op("Gather", x, _index(w, e, 1, shape[axes[0]]), axis=axes[0])
    first, front = _order(len(shape), axes)
    if front != tuple(range(len(shape))):
        x = w.op("Transpose", x, perm=front)
    picked = w.op("GatherND", x, _stacked_indices(w, e, 1))
    if first == 0:
        return picked
    ndim = len(e.result.shape)
    indexed = ndim - len(front) + len(axes)
    perm = (*range(indexed, indexed + first), *range(indexed), *range(indexed + first, ndim))
    return w.op("Transpose", picked, perm=perm)


def _order(ndim: int, axes: Sequence[int]) -> tuple[int, tuple[int, ...]]:
    """Where the indexed axes go in what is picked; and all axes, the indexed ones first."""
    are_neighbours = axes[-1] - axes[0] == len(axes) - 1
    others = tuple(axis for axis in range(ndim) if axis not in axes)
    return (axes[0] if are_neighbours else 0), (*axes, *others)


def _indexed_shape(w: GraphWriter, e: Equation, first: int) -> tuple[Size, ...]:
    """The shape that the indices have together."""
    shapes = [e.operands[place].shape for place in range(first, len(e.operands))]
    whole = broadcast(shapes)
    known = [w.shape_of(e.operands[place]) for place in range(first, len(e.operands))]
    sizes: list[Size] = []
    for axis in range(len(whole)):
        back = len(whole) - axis
        sizes.append(
            next(
                size[-back]
                for size, shape in zip(known, shapes, strict=True)
                if len(shape) >= back and shape[-back] == whole[axis]
            )
        )
    return tuple(sizes)


def _stacked_indices(w: GraphWriter, e: Equation, first: int) -> str:
    """All indices in one array, whose last axis has one entry for each axis that is indexed."""
    axes, shape = e.params["axes"], w.shape_of(e.operands[0])
    whole = _indexed_shape(w, e, first)
    columns = []
    for place, axis in enumerate(axes, first):
        name = _index(w, e, place, shape[axis])
        if w.shape_of(e.operands[place]) != whole:
            name = w.expand(name, whole)
        columns.append(w.op("Unsqueeze", name, w.constant([-1])))
    return columns[0] if len(columns) == 1 else w.op("Concat", *columns, axis=-1)


def _gather_update(w: GraphWriter, e: Equation) -> str:
    return _write_indexed(w, e, adds=False)


def _scatter_add(w: GraphWriter, e: Equation) -> str:
    return _write_indexed(w, e, adds=True)


def _write_indexed(w: GraphWriter, e: Equation, adds: bool) -> str:
    indexed = broadcast([operand.shape for operand in e.operands[2:]])
    if 0 in (prod(indexed), e.operands[1].type.size, e.result.type.size):
        return w.op("Identity", w.read(0))
    if adds and e.result.dtype[0] != "f" and e.operands[1].dtype[0] == "f":
        raise cannot(e, f"it adds {e.operands[1].type} to whole numbers, {e.result.type}")
    if _is_one_a_row(w, e):
        return _write_rows(w, e, adds)
    dtype, axes, shape = e.result.dtype, e.params["axes"], w.shape_of(e.operands[0])
    first, front = _order(len(shape), axes)
    whole = _indexed_shape(w, e, 2)
    others = [shape[axis] for axis in front[len(axes) :]]
    x = w.op("Transpose", w.read(0), perm=front)
    place = (*others[:first], *whole, *others[first:])
    value = _value_at(w, e, place, dtype)
    if first:
        k = len(whole)
        perm = (*range(first, first + k), *range(first), *range(first + k, len(place)))
        value = w.op("Transpose", value, perm=perm)
    result = _write_first(w, e, adds, x, value, [shape[axis] for axis in axes], whole, others)
    back = tuple(int(i) for i in np.argsort(front))
    return w.op("Transpose", result, perm=back)


def _value_at(w: GraphWriter, e: Equation, place: Sequence[Size], dtype: str) -> str:
    """The value, in the shape of the place that it is written to."""
    value, shape = w.read(1, dtype), w.shape_of(e.operands[1])
    if len(shape) > len(place):
        shape = shape[len(shape) - len(place) :]
        value = w.reshape(value, shape)
    return value if tuple(shape) == tuple(place) else w.expand(value, place)


def _is_one_a_row(w: GraphWriter, e: Equation) -> bool:
    """Whether one place is written in each row: x[arange(n), y]."""
    if e.params["axes"] != (0, 1) or len(e.operands) != 4:
        return False
    rows, columns = e.operands[2:]
    count = w.shape_of(e.operands[0])[0]
    if w.shape_of(rows) != (count,) or w.shape_of(columns) != (count,):
        return False
    assert isinstance(rows, Variable)
    made = w.made.get(rows)
    if made is not None and made.primitive == "arange":
        return bool(made.params["start"] == 0 and made.params["step"] == 1)
    known = w.arrays.get(rows)
    return known is not None and np.array_equal(known, np.arange(len(known)))


def _write_rows(w: GraphWriter, e: Equation, adds: bool) -> str:
    dtype, shape = e.result.dtype, w.shape_of(e.operands[0])
    rest = shape[2:]
    value = w.reshape(_value_at(w, e, (shape[0], *rest), dtype), (shape[0], 1, *rest))
    columns = w.reshape(_index(w, e, 3, shape[1]), (shape[0], 1, *[1] * len(rest)))
    numbers = w.reshape(count_up(w, 0, shape[1]), (shape[1], *[1] * len(rest)))
    is_here = w.op("Equal", columns, numbers)
    x = w.read(0)
    if adds:
        value = _sum(w, dtype, x, value)
    return choose(w, is_here, dtype, value, x)


def _sum(w: GraphWriter, dtype: str, x: str, y: str) -> str:
    if dtype == "bool":
        return w.op("Or", x, y)
    inner = WIDE.get(dtype, dtype)
    return w.cast(w.op("Add", w.cast(x, dtype, inner), w.cast(y, dtype, inner)), inner, dtype)


def _write_first(
    w: GraphWriter,
    e: Equation,
    adds: bool,
    x: str,
    value: str,
    lengths: Sequence[Size],
    whole: Sequence[Size],
    others: Sequence[Size],
) -> str:
    """Write values (*whole, *others) to places along the first axes of x (*lengths, *others)."""
    dtype, entries = e.result.dtype, _product([*lengths, *whole])
    if isinstance(entries, int) and entries > LARGEST:
        kind = "add" if adds else "none"
        return w.op("ScatterND", x, _stacked_indices(w, e, 2), value, reduction=kind)
    places, written, row = _product(lengths), _product(whole), _product(others)
    if places is None or written is None or row is None:
        raise cannot(e, "it writes to places along two axes whose lengths depend on the rows")
    at = _flat_index(w, e, lengths, whole)
    numbers = w.reshape(count_up(w, 0, places), (places, 1))
    is_here = w.op("Equal", w.reshape(at, (1, written)), numbers)  # (places, written)
    flat = w.reshape(x, (places, row))
    values = w.reshape(value, (written, row))
    if adds:
        result = _add_up(w, dtype, is_here, flat, values)
    else:
        count = w.op("Add", count_up(w, 0, written), w.constant(1))
        last = w.op("ReduceMax", w.op("Mul", w.cast(is_here, "bool", "i64"), count),
                    w.constant([1]), keepdims=0)  # fmt: skip
        is_written = w.reshape(w.op("Greater", last, w.constant(0)), (places, 1))
        source = w.op("Max", w.op("Sub", last, w.constant(1)), w.constant(0))
        result = choose(w, is_written, dtype, w.op("Gather", values, source, axis=0), flat)
    return w.reshape(result, (*lengths, *others))


def _add_up(w: GraphWriter, dtype: str, is_here: str, x: str, values: str) -> str:
    inner = {"f16": "f32", "bool": "i64", "i32": "i64"}.get(dtype, WIDE.get(dtype, dtype))
    if inner[0] == "f":
        here = w.cast(is_here, "bool", inner)
        total = w.op("Gemm", here, w.cast(values, dtype, inner), w.cast(x, dtype, inner))
        return w.cast(total, inner, dtype)
    product = w.op("MatMul", w.cast(is_here, "bool", inner), w.cast(values, dtype, inner))
    return w.cast(w.op("Add", w.cast(x, dtype, inner), product), inner, dtype)


def _flat_index(w: GraphWriter, e: Equation, lengths: Sequence[Size], whole: Sequence[Size]) -> str:
    """One number for each place, counted through all axes that are indexed."""
    total = ""
    for place, length in enumerate(lengths, 2):
        name = _index(w, e, place, length)
        if total:
            name = w.op("Add", w.op("Mul", total, _scalar(w, length)), name)
        total = name
    return w.expand(total, whole)


def _product(sizes: Sequence[Size]) -> Size | None:
    """The product of sizes; None if more than one depends on the number of rows."""
    lines = [size for size in sizes if not isinstance(size, int)]
    count = prod(size for size in sizes if isinstance(size, int))
    if not lines:
        return count
    return lines[0] * count if len(lines) == 1 else None


PARTS: Final[Mapping[str, Emit]] = {
    "slice": _slice,
    "slice_update": _slice_update,
    "slice_add": _slice_add,
    "gather": _gather,
    "gather_update": _gather_update,
    "scatter_add": _scatter_add,
}
"""How each of these primitives is written."""
