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


def pack(layout: ProgramLayout) -> bytes | None:
    """Return a layout as bytes; None if it cannot be kept: what Python does in it is more than its
    text, or constants are large.
    """
    table, frame = layout.table, layout.frame
    if any(recipe[0] == GIVEN for recipe in frame.scope.values()):
        return None
    if sum(room.nbytes for room in layout.rooms if room.value is not None) > LARGEST:
        return None
    keys: dict[str, int] = {}

    def code(address: Any) -> int:
        return keys.setdefault(address.key, len(keys))

    moved = [(at, code(n)) for at, n in enumerate(table.numbers) if isinstance(n, Address)]
    numbers = array("q", table.numbers)
    for at, _ in moved:
        numbers[at] = 0
    plain = (
        tuple(map(code, table.functions)),
        tuple(table.begins),
        numbers.tobytes(),
        tuple(moved),
        tuple(table.places),
        tuple(table.shared.items()),
        table.workers,
    )
    rooms = [
        (*room[:4], None if room.value is None else np.ascontiguousarray(room.value).tobytes())
        for room in layout.rooms
    ]
    scope = tuple(frame.scope.items())
    return marshal.dumps(
        (tuple(keys), tuple(rooms), plain, frame.text, scope, layout.has_series, layout.is_one_call)
    )


def unpack(
    data: bytes, find: Callable[[Sequence[str]], Sequence[int] | None]
) -> ProgramLayout | None:
    """Return the layout that `pack` made bytes of; `find` gives the addresses of machine code by
    its keys. None if it has not all of them.
    """
    keys, rooms, plain, text, scope, has_series, is_one_call = marshal.loads(data)
    codes = find(keys)
    if codes is None:
        return None
    functions, begins, numbers, moved, places, shared, workers = plain
    filled = np.frombuffer(numbers, np.int64).tolist()
    for at, code in moved:
        filled[at] = codes[code]
    table = TableLayout(
        [codes[number] for number in functions], begins, filled, places, dict(shared), workers
    )
    found = [
        Room(name, dtype, nbytes, alias, None if x is None else np.frombuffer(x, DTYPES[dtype]))
        for name, dtype, nbytes, alias, x in rooms
    ]
    return ProgramLayout(found, table, ProgramFrame(text, dict(scope)), has_series, is_one_call)
