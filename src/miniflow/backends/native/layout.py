"""A program laid out: all that a run of it needs, as plain data.

Whoever lowers a program makes a `ProgramLayout` (`run`, `frame`, `table`); whoever runs it fills
one in (`filling`) and needs nothing of what made it. So a layout can be kept on disk, beside the
machine code that it names (`kept`), and a program that was compiled before is not lowered again.
"""

from __future__ import annotations

import marshal
from array import array
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np

from miniflow.backends.native.machine import Address
from miniflow.ir.dtypes import DTYPES, Array

LARGEST: Final = 2**20  # bytes of constants in a layout that is kept

Recipe: TypeAlias = "tuple[Any, ...]"  # what an object is, in words: see `filling.Scope`
GIVEN: Final = "given"  # an object that only whoever lowered the program has


class Room(NamedTuple):
    """The memory of a buffer, or that it lies in the memory of its `alias`; of a constant, what is
    in it.
    """

    name: str
    dtype: str
    nbytes: int
    alias: str | None = None
    value: Array | None = None


class TableLayout(NamedTuple):
    """The steps, as `table` lays them out: functions, where the arguments of each begin among the
    `numbers`, and what the places of the table of memory are.

    `shared` has the steps that are done in pieces, and how many nanoseconds they take; `workers` is
    the place of the pool.
    """

    functions: Sequence[int]
    begins: Sequence[int]
    numbers: Sequence[int]
    places: Sequence[Recipe]
    shared: Mapping[int, float]
    workers: int


class ProgramFrame(NamedTuple):
    """The text of the Python function around a run, and what its words mean."""

    text: str
    scope: Mapping[str, Recipe]


class ProgramLayout(NamedTuple):
    """A program laid out. `has_series`: whether many runs can be one call; `is_one_call`: whether
    Python makes one call for all of a run.
    """

    rooms: Sequence[Room]
    table: TableLayout
    frame: ProgramFrame
    has_series: bool
    is_one_call: bool


class BatchPlaces(NamedTuple):
    """Of a batch: which argument it is, its place, that of the next run's and that of the whole
    array in the table of memory, and how many bytes it has.
    """

    argument: int
    batch: int
    following: int
    whole: int
    nbytes: int


class ResultPlace(NamedTuple):
    """Of a result that the caller keeps: its place in the table of memory, and what it is."""

    number: int
    shape: tuple[int, ...]
    dtype: str
    nbytes: int


class CellPlace(NamedTuple):
    """So many numbers of a buffer that is kept."""

    buffer: str
    dtype: str
    offset: int
    size: int


class SeriesLayout(NamedTuple):
    """Many runs of a program, laid out.

    The steps of the program are those from `first` to before `last`; those that gather rows come
    before. `order` is the place of the rows in the table of memory. Where a run `gathers_beside`
    its steps for the next one, `next_order` is the place of those rows, and `done` that of the
    address of what is gathered already. `fed` has of each array that is fed which argument it is,
    and its place; `numbers` which arguments are single numbers; `cells` what Python writes before
    a run, by the function of `frame`.
    """

    table: TableLayout
    frame: ProgramFrame
    first: int
    last: int
    order: int
    next_order: int
    done: int
    gathers_beside: bool
    fed: Sequence[tuple[int, int]]
    numbers: Sequence[int]
    batches: Sequence[BatchPlaces]
    cells: Sequence[CellPlace]
    outputs: Sequence[ResultPlace | CellPlace]


Find: TypeAlias = "Callable[[Sequence[str]], Sequence[int] | None]"
"""Gives the addresses of machine code by its keys; None if it has not all of them."""


def pack(layout: ProgramLayout) -> bytes | None:
    """Return a layout as bytes; None if it cannot be kept: what Python does in it is more than its
    text, or constants are large.
    """
    if any(recipe[0] == GIVEN for recipe in layout.frame.scope.values()):
        return None
    if sum(room.nbytes for room in layout.rooms if room.value is not None) > LARGEST:
        return None
    rooms = [
        (*room[:4], None if room.value is None else np.ascontiguousarray(room.value).tobytes())
        for room in layout.rooms
    ]
    rest = tuple(rooms), _frame_data(layout.frame), layout.has_series, layout.is_one_call
    return marshal.dumps((_table_data(layout.table), *rest))


def unpack(data: bytes, find: Find) -> ProgramLayout | None:
    """Return the layout that `pack` made bytes of; None if some of its machine code is missing."""
    table_data, rooms, frame, has_series, is_one_call = marshal.loads(data)
    table = _table_of(table_data, find)
    if table is None:
        return None
    found = [
        Room(name, dtype, nbytes, alias, None if x is None else np.frombuffer(x, DTYPES[dtype]))
        for name, dtype, nbytes, alias, x in rooms
    ]
    return ProgramLayout(found, table, _frame_of(frame), has_series, is_one_call)


def pack_series(layout: SeriesLayout) -> bytes:
    """Return a series as bytes."""
    outputs = [(isinstance(x, ResultPlace), tuple(x)) for x in layout.outputs]
    lists = (layout.fed, layout.batches, layout.cells, outputs)
    plain: list[Any] = [tuple(map(tuple, each)) for each in lists]
    where = layout.first, layout.last, layout.order, layout.next_order, layout.done
    rest = (*where, layout.gathers_beside), tuple(layout.numbers), tuple(plain)
    return marshal.dumps((_table_data(layout.table), _frame_data(layout.frame), rest))


def unpack_series(data: bytes, find: Find) -> SeriesLayout | None:
    """Return the series that `pack_series` made bytes of; None as of `unpack`."""
    table_data, frame, (where, numbers, plain) = marshal.loads(data)
    fed, batches, cells, outputs = plain
    table = _table_of(table_data, find)
    if table is None:
        return None
    places = [BatchPlaces(*x) for x in batches], [CellPlace(*x) for x in cells]
    found = [ResultPlace(*x) if is_result else CellPlace(*x) for is_result, x in outputs]
    return SeriesLayout._make((table, _frame_of(frame), *where, fed, numbers, *places, found))


def _frame_data(frame: ProgramFrame) -> tuple[Any, ...]:
    return frame.text, tuple(frame.scope.items())


def _frame_of(data: tuple[Any, ...]) -> ProgramFrame:
    text, scope = data
    return ProgramFrame(text, dict(scope))


def _table_data(table: TableLayout) -> tuple[Any, ...]:
    """A table with the keys of machine code in place of its addresses."""
    keys: dict[str, int] = {}

    def code(address: Any) -> int:
        return keys.setdefault(address.key, len(keys))

    functions = tuple(map(code, table.functions))
    moved = [(at, code(n)) for at, n in enumerate(table.numbers) if isinstance(n, Address)]
    numbers = array("q", table.numbers)
    for at, _ in moved:
        numbers[at] = 0
    return (
        functions,
        tuple(table.begins),
        numbers.tobytes(),
        tuple(moved),
        tuple(table.places),
        tuple(table.shared.items()),
        table.workers,
        tuple(keys),
    )


def _table_of(data: tuple[Any, ...], find: Find) -> TableLayout | None:
    functions, begins, numbers, moved, places, shared, workers, keys = data
    codes = find(keys)
    if codes is None:
        return None
    filled = np.frombuffer(numbers, np.int64).tolist()
    for at, code in moved:
        filled[at] = codes[code]
    called = [codes[number] for number in functions]
    return TableLayout(called, begins, filled, places, dict(shared), workers)
