"""Compiled steps as the runner in `machine` finds them: a table of functions and their arguments.

All arguments stand in one array of 64-bit numbers. A place in memory is two of them: the place of
the buffer in another table, that of addresses, and an offset in bytes. In a loop these offsets
move: the end of a turn is a step of its own (`machine.turn`), which adds to them, goes back to the
first step of the loop, and after the last turn puts them back.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from miniflow.backends.memory import block
from miniflow.backends.native import machine, workers
from miniflow.backends.native.compiled import CompiledStep, NumberCell, SharedScratch
from miniflow.ir import DTYPES, Equation
from miniflow.ir.dtypes import Array
from miniflow.lowering.loop_evaluate import number_cell

_NUMBER: int = 8  # bytes
WORTH_WAKING = 150_000  # nanoseconds that a run spends in steps that are done in pieces
WORKERS = "the workers"  # no buffer has a name like that


class StepTable:
    """The steps, in order; `equations` has those that each of them computes."""

    def __init__(self, buffers: Sequence[str]) -> None:
        self.equations: list[tuple[Equation, ...]] = []
        self.shared: dict[int, float] = {}  # steps that are done in pieces: how long they take
        self._functions: list[int] = []
        self._begins: list[int] = []  # where the arguments of a step begin
        self._numbers: list[int] = []
        self._moving: dict[str, list[tuple[int, int]]] = {}  # numbers, and by how much, by index
        self._places: dict[str | NumberCell, int] = {n: place for place, n in enumerate(buffers)}
        self._scratch: dict[str, int] = {}  # bytes of what steps share, by a word for it

    def __len__(self) -> int:
        return len(self._functions)

    def add(self, step: CompiledStep, equations: tuple[Equation, ...]) -> None:
        """Add a step."""
        self._begin(step.function, equations)
        self._hand(step)

    def _hand(self, step: CompiledStep, whose: str = "") -> None:
        """Lay down the arguments of a step; a piece has scratch of its own."""
        for argument in step.arguments:
            if isinstance(argument, int):
                self._numbers.append(argument)
            elif isinstance(argument, NumberCell):
                self._numbers += (self._place(argument), 0)
            elif isinstance(argument, SharedScratch):
                word = f"scratch of {argument.word}{whose}"  # no buffer has a name like that
                self._scratch[word] = max(argument.nbytes, self._scratch.get(word, 0))
                self._numbers += (self._place(word), 0)
            else:
                self._numbers.append(self._place(argument.buffer))
                itemsize = DTYPES[argument.dtype].itemsize
                for index, by in argument.moves:
                    moving = self._moving.setdefault(index, [])
                    moving.append((len(self._numbers), by * itemsize))
                self._numbers.append(argument.nbytes_before)

    def add_shared(
        self,
        whole: CompiledStep,
        pieces: Sequence[Sequence[CompiledStep]],
        equations: tuple[Equation, ...],
        nanoseconds: float,
    ) -> None:
        """Add a step that is done in pieces where there are workers (`sharing`)."""
        self._begin(machine.shared_step(), equations)
        here = len(self._numbers)
        self._numbers += (self._place(WORKERS), len(pieces))
        fields = len(self._numbers)
        self._numbers += [0] * (2 * (len(pieces) + 1))
        for number, steps in enumerate(((whole,), *pieces)):
            whose = f" of piece {number}" if number else ""
            self._refer(fields + 2 * number, here, steps, whose)
        self.shared[len(self) - 1] = nanoseconds

    def _refer(self, at: int, here: int, steps: Sequence[CompiledStep], whose: str) -> None:
        """Write down, `at` a place, a function and where its arguments lie, which come now."""
        function = steps[0].function if len(steps) == 1 else machine.sequence()
        begin = len(self._numbers)
        self._numbers[at : at + 2] = (function, _NUMBER * (begin - here))
        if len(steps) == 1:
            self._hand(steps[0], whose)
            return
        self._numbers += (len(steps), *[0] * (2 * len(steps)))
        for number, step in enumerate(steps):
            self._refer(begin + 1 + 2 * number, begin, (step,), whose)

    def add_turn(self, index: str, count: int, first: int) -> None:
        """End a loop that began with the step `first`."""
        length = len(self) - first
        self._begin(machine.turn(), ())
        here, moving = len(self._numbers), self._moving.pop(index, [])
        self._numbers += (0, count, -length - 1, len(moving))
        for number, by in moving:
            self._numbers += (_NUMBER * (number - here), by, -by * (count - 1))

    def _begin(self, function: int, equations: tuple[Equation, ...]) -> None:
        self.equations.append(equations)
        self._functions.append(function)
        self._begins.append(len(self._numbers))

    def _place(self, what: str | NumberCell) -> int:
        return self._places.setdefault(what, len(self._places))

    def finish(self, memory: Mapping[str, Array]) -> FilledTable:
        """Lay it out, with the addresses of all that is known."""
        found: dict[str | NumberCell, Array] = dict(memory.items())
        found |= {word: block(nbytes) for word, nbytes in self._scratch.items()}
        cells = [what for what in self._places if isinstance(what, NumberCell)]
        found |= {cell: number_cell(cell.literal, cell.dtype) for cell in cells}
        addresses = [found[what].ctypes.data if what in found else 0 for what in self._places]
        filled = FilledTable(self._functions, self._begins, self._numbers, addresses, found)
        filled.shared, filled.workers = self.shared, self._places.get(WORKERS, 0)
        return filled


class FilledTable:
    """A table that can be run.

    `places` has the address of each buffer; those of arguments and results are written there before
    a run. `shared` has the steps that are done in pieces, and how many nanoseconds they take;
    `workers` is the place of the pool.
    """

    def __init__(
        self,
        functions: Sequence[int],
        begins: Sequence[int],
        numbers: Sequence[int],
        addresses: Sequence[int],
        alive: Any,
    ) -> None:
        self.shared: dict[int, float] = {}
        self.workers = 0
        self.places = (ctypes.c_int64 * max(len(addresses), 1))(*addresses)
        self._numbers = np.array([*numbers, 0], np.int64)
        self._before = self._numbers.copy()
        first = self._numbers.ctypes.data
        rows = [(f, first + _NUMBER * at) for f, at in zip(functions, begins, strict=True)]
        self._steps = np.array(rows or [(0, 0)], np.int64)
        self._alive: list[Any] = [alive]  # what compiled code uses, by address

    def segment(self, first: int, last: int) -> Any:
        """Return a function that runs the steps from `first` to before `last`."""
        where = self._steps.ctypes.data + first * self._steps.strides[0]
        places = ctypes.addressof(self.places)
        segment = np.array([places, where, last - first, 0, 0], np.int64)
        self._alive.append(segment)
        shared = [ns for number, ns in self.shared.items() if first <= number < last]
        if not shared or sum(shared) < WORTH_WAKING:
            return partial(machine.runner(), segment.ctypes.data)
        segment[3:] = workers.pool().address, places + _NUMBER * self.workers
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
        if not any(first <= number < last for number in self.shared):
            return partial(machine.series_runner(False), numbers.ctypes.data), numbers
        numbers[3:5] = workers.pool().address, places + _NUMBER * self.workers
        return workers.run_shared(machine.series_runner(True), numbers.ctypes.data), numbers

    def address_of_place(self, number: int) -> int:
        """Return where the address of a buffer stands."""
        return ctypes.addressof(self.places) + _NUMBER * number

    def reset(self) -> None:
        """Put back what a loop has moved that did not come to its end."""
        np.copyto(self._numbers, self._before)
