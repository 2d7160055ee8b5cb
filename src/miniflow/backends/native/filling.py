"""From a program that is laid out (`layout`) to one that runs: memory, the table of its steps with
addresses in it, and the Python function around a run.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeAlias

import numpy as np

from miniflow.backends.blas import address_of
from miniflow.backends.memory import block
from miniflow.backends.native import machine, workers
from miniflow.backends.native.layout import ProgramFrame, Recipe, Room, TableLayout
from miniflow.ir.dtypes import DTYPES, Array
from miniflow.ir.primitives import PRIMITIVES
from miniflow.lowering.views import part_of

NUMBER_BYTES: Final = 8
WORTH_WAKING = 150_000  # nanoseconds that a run spends in steps that are done in pieces

Memory: TypeAlias = "dict[str, Array]"
Run: TypeAlias = "Callable[..., list[Any]]"


def allocate(rooms: Sequence[Room]) -> Memory:
    """Return the memory that a program keeps, flat, by buffer: constants, and what is neither
    handed in nor handed out.
    """
    memory: Memory = {}
    for room in rooms:
        if room.value is not None:
            memory[room.name] = room.value.reshape(-1)
        elif room.alias is None:
            memory[room.name] = block(room.nbytes).view(DTYPES[room.dtype])
    for room in rooms:
        if room.alias is not None:
            owner = memory[room.alias].view(np.uint8)
            memory[room.name] = owner[: room.nbytes].view(DTYPES[room.dtype])
    return memory


class FilledTable:
    """A table that can be run.

    `places` has the address of each buffer; those of arguments and results are written there before
    a run.
    """

    def __init__(self, layout: TableLayout, memory: Mapping[str, Array]) -> None:
        self._layout = layout
        found = [_found(place, memory) for place in layout.places]
        addresses = [0 if array is None else array.ctypes.data for array in found]
        self.places = (ctypes.c_int64 * max(len(addresses), 1))(*addresses)
        self._numbers = np.array([*layout.numbers, 0], np.int64)
        self._before = self._numbers.copy()
        first = self._numbers.ctypes.data
        pairs = zip(layout.functions, layout.begins, strict=True)
        rows = [(function, first + NUMBER_BYTES * at) for function, at in pairs]
        self._steps = np.array(rows or [(0, 0)], np.int64)
        self._alive: list[Any] = [memory, found]  # what compiled code uses, by address

    def segment(self, first: int, last: int) -> Any:
        """Return a function that runs the steps from `first` to before `last`."""
        where = self._steps.ctypes.data + first * self._steps.strides[0]
        places = ctypes.addressof(self.places)
        segment = np.array([places, where, last - first, 0, 0], np.int64)
        self._alive.append(segment)
        shared = [ns for number, ns in self._layout.shared.items() if first <= number < last]
        if not shared or sum(shared) < WORTH_WAKING:
            return partial(machine.runner(), segment.ctypes.data)
        segment[3:] = workers.pool().address, places + NUMBER_BYTES * self._layout.workers
        return workers.run_shared(machine.shared_runner(), segment.ctypes.data)

    def series(self, first: int, last: int) -> tuple[Callable[[], int], Array]:
        """Return a function that runs those steps many times, and what `calling.series_text` asks
        for: the caller fills in all but where the steps are.
        """
        where = self._steps.ctypes.data + first * self._steps.strides[0]
        places = ctypes.addressof(self.places)
        steps = np.array([places, where, last - first], np.int64)
        numbers = np.zeros(10, np.int64)
        numbers[0] = steps.ctypes.data
        self._alive += (steps, numbers)
        if not any(first <= number < last for number in self._layout.shared):
            return partial(machine.series_runner(False), numbers.ctypes.data), numbers
        numbers[3:5] = workers.pool().address, places + NUMBER_BYTES * self._layout.workers
        return workers.run_shared(machine.series_runner(True), numbers.ctypes.data), numbers

    def address_of_place(self, number: int) -> int:
        """Return where the address of a buffer stands."""
        return ctypes.addressof(self.places) + NUMBER_BYTES * number

    def reset(self) -> None:
        """Put back what a loop has moved that did not come to its end."""
        np.copyto(self._numbers, self._before)


def _found(place: Recipe, memory: Mapping[str, Array]) -> Array | None:
    """What lies at a place: a buffer that is kept, a number, or memory that steps share; None where
    the address is written later.
    """
    match place:
        case ("buffer", name):
            return memory.get(name)
        case ("cell", dtype, content):
            return np.frombuffer(content, DTYPES[dtype]).copy()
        case ("scratch", nbytes):
            return block(nbytes)
        case ("zeros", nbytes):
            memory_of_zeros = block(nbytes)
            memory_of_zeros[:] = 0
            return memory_of_zeros
    return None


class Scope:
    """Makes the objects that the words of a frame mean.

    Args:
        memory: by buffer.
        table: the steps, and their places.
        fail: raises what a step that failed has to say.
        given: objects of whoever lowered the program.
    """

    def __init__(
        self,
        memory: Memory,
        table: FilledTable,
        fail: Callable[[int, int], None],
        given: Sequence[Any] = (),
    ) -> None:
        self._memory, self._table = memory, table
        self._fail, self._given = fail, given

    def bind(self, frame: ProgramFrame) -> Run:
        """Return the function of a frame."""
        scope: dict[str, Any] = {
            "address_of": address_of,
            "copyto": np.copyto,
            "empty": np.empty,
            "places": self._table.places,
            "part_of": part_of,
            "fail": self._fail,
        }
        scope |= {word: self._make(recipe) for word, recipe in frame.scope.items()}
        exec(compile(frame.text, "<native step>", "exec"), scope)
        return scope.pop("step")  # type: ignore[no-any-return]  # so there is no cycle

    def _make(self, recipe: Recipe) -> Any:
        match recipe:
            case ("dtype", name):
                return DTYPES[name]
            case ("numpy", name):
                return getattr(np, name)
            case ("compute", name):
                return PRIMITIVES[name].compute
            case ("array", name, shape, strides, offset):
                return part_of(self._memory[name], shape, strides, offset)
            case ("cell", name, offset):
                return self._memory[name][offset:][:1].reshape(())
            case ("python", number):
                return number
            case ("scalar", dtype, content):
                return np.frombuffer(content, DTYPES[dtype])[0]
            case ("none", count):
                return [None] * count
            case ("segment", first, last):
                return self._table.segment(first, last)
            case ("given", number):
                return self._given[number]
        raise AssertionError(f"a recipe that nobody knows: {recipe[0]}")
