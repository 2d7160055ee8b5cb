"""A program that runs many times in one call, each time with other rows of the data.

    for run in range(len(order)):
        X[...], y[...] = images[order[run]], labels[order[run]]    # steps like others
        seed = seeds[run]                                          # copied before each run
        the program
        losses[run] = loss                                         # copied after it

Rows are copied to where the program looks for a batch, by steps that come before the program's own
and may be shared out as these are, or done beside the run before (`gathering`). Where they follow
each other in the data, they are read where they lie. What Python computes of single numbers is
computed beforehand, for each run, if it hangs on a number that is another in each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from miniflow.backends.backend import DataWalk, SeriesResult
from miniflow.backends.blas import address_of
from miniflow.backends.memory import block
from miniflow.backends.native.filling import FilledTable, Memory, Scope
from miniflow.backends.native.layout import ResultPlace, SeriesLayout
from miniflow.backends.thread_limit import max_threads
from miniflow.ir.dtypes import DTYPES, Array

_ADDRESS: Final = 8  # bytes


class NativeSeries:
    """The series of one program.

    It computes in the memory of the program's single runs, and so not at the same time. `fail`
    raises what a step that failed has to say, given how many steps come before its call.
    """

    is_shared = False
    lengths: tuple[int, ...] | None = None

    def __init__(
        self, layout: SeriesLayout, memory: Memory, fail: Callable[[int, int], None]
    ) -> None:
        self._layout, self._memory, self._fail = layout, memory, fail
        self._table = FilledTable(layout.table, memory)
        self._in_place = self._table.series(layout.first, layout.last)
        self._gathering = self._table.series(0, layout.last)
        self._rooms = [[block(batch.nbytes) for batch in layout.batches]]
        self._done = np.zeros(1, np.int64)
        self._table.places[layout.done] = self._done.ctypes.data
        self._cells = [memory[x.buffer][x.offset :][: x.size] for x in layout.cells]
        self._prepare = Scope(memory, self._table, self._raise).bind(layout.frame)

    def run(
        self,
        arguments: Sequence[Any],
        data: Mapping[int, Array],
        order: Array,
        numbers: Mapping[int, Sequence[Any]],
        walk: DataWalk,
    ) -> SeriesResult:
        """Make the runs; see `StepSeries`."""
        count = len(order)
        handed = [list(arguments) for _ in range(count if numbers else 1)]
        for place, each in numbers.items():
            for run, arguments_of_run in enumerate(handed):
                arguments_of_run[place] = each[run]
        before, alive = self._numbers_of_runs(handed)
        call = self._look_at(data, order, before, alive)
        return self._make(count, call, before, alive)

    def run_each(self, arguments: Sequence[Sequence[Any]]) -> SeriesResult:
        """Make runs with arguments of their own; see `StepSeries`."""
        first = arguments[0]
        numbers = self._layout.numbers
        self._table.places[self._layout.next_order] = 0
        is_one = all(each[place] is first[place] for place in numbers for each in arguments)
        before, alive = self._numbers_of_runs(arguments[:1] if is_one else arguments)
        for place, number in self._layout.fed:
            addresses = [address_of(each[place]) for each in arguments]
            self._write_addresses(number, addresses, before, alive)
        return self._make(len(arguments), self._in_place, before, alive)

    @property
    def nbytes(self) -> int:
        """How many bytes the outputs of one run have."""
        return sum(x.nbytes for x in self._layout.outputs if isinstance(x, ResultPlace))

    def _make(
        self,
        count: int,
        what: tuple[Callable[[], int], Array],
        before: list[tuple[int, ...]],
        alive: list[Array],
    ) -> SeriesResult:
        call, fields = what
        outputs, after = self._results(count, before, alive)
        lists = [np.array(x, np.int64).reshape(-1, 5) for x in (before, after)]
        fields[1], fields[5] = count, 0
        fields[6:10] = (*_listed(lists[0]), *_listed(lists[1]))
        failed = call()
        made = int(fields[5])
        if not failed:
            return SeriesResult(made, outputs)
        try:
            self._raise(self._layout.first if call is self._in_place[0] else 0, failed)
        except (ArithmeticError, IndexError) as error:
            return SeriesResult(made, [output[:made] for output in outputs], error)
        raise AssertionError("what failed says so")

    def _raise(self, first: int, failed: int) -> None:
        self._table.reset()
        self._fail(first, failed)

    def _numbers_of_runs(
        self, handed: Sequence[Sequence[Any]]
    ) -> tuple[list[tuple[int, ...]], list[Array]]:
        """Compute what Python does, once or for each run; list what is copied before each run, and
        where from: a run may have written something else to the same memory.
        """
        found = [np.empty((len(handed), cell.size), cell.dtype) for cell in self._cells]
        with np.errstate(all="ignore"):
            for run, arguments in enumerate(handed):
                self._prepare(arguments)
                for values, cell in zip(found, self._cells, strict=True):
                    values[run] = cell
        is_one, pairs = len(handed) == 1, zip(self._cells, found, strict=True)
        return [
            (cell.ctypes.data, 0, x.ctypes.data, 0 if is_one else cell.nbytes, cell.nbytes)
            for cell, x in pairs
        ], found

    def _look_at(
        self,
        data: Mapping[int, Array],
        order: Array,
        before: list[tuple[int, ...]],
        alive: list[Array],
    ) -> tuple[Callable[[], int], Array]:
        """Say where the rows of each run are; return which steps are to run."""
        places, batch = self._table.places, order.shape[1]
        if _is_consecutive(order):
            for x in self._layout.batches:
                rows = data[x.argument]
                step = rows.nbytes // max(len(rows), 1)
                where = rows.ctypes.data + order[:, 0] * step
                self._write_addresses(x.batch, where, before, alive)
            places[self._layout.next_order] = 0
            return self._in_place
        for x, room in zip(self._layout.batches, self._rooms[0], strict=True):
            places[x.batch] = room.ctypes.data
            places[x.whole] = data[x.argument].ctypes.data
        rows = np.ascontiguousarray(order, np.int64)
        addresses = rows.ctypes.data + np.arange(len(rows)) * (batch * rows.itemsize)
        alive.append(rows)
        self._write_addresses(self._layout.order, addresses, before, alive)
        self._gather_beside(addresses, before, alive)
        return self._gathering

    def _gather_beside(
        self, addresses: Array, before: list[tuple[int, ...]], alive: list[Array]
    ) -> None:
        """Say where the rows of each run's next one are, and where they are to go: runs take turns
        with two places; with one, if nobody is there who could do it meanwhile.
        """
        self._done[0] = self._table.places[self._layout.next_order] = 0
        if not self._layout.gathers_beside or max_threads() == 1 or len(addresses) == 1:
            return
        if len(self._rooms) == 1:
            self._rooms.append([block(batch.nbytes) for batch in self._layout.batches])
        is_odd = np.arange(len(addresses) + 1) % 2
        following = np.append(addresses[1:], 0)
        self._write_addresses(self._layout.next_order, following, before, alive)
        for x, *both in zip(self._layout.batches, *self._rooms, strict=True):
            turns = np.array([room.ctypes.data for room in both])[is_odd]
            self._write_addresses(x.batch, turns[:-1], before, alive)
            self._write_addresses(x.following, turns[1:], before, alive)

    def _results(
        self, count: int, before: list[tuple[int, ...]], alive: list[Array]
    ) -> tuple[list[Array], list[tuple[int, ...]]]:
        """Make room for the results of all runs; list those that are copied after each."""
        outputs, after = list[Array](), list[tuple[int, ...]]()
        for output in self._layout.outputs:
            dtype = DTYPES[output.dtype]
            if isinstance(output, ResultPlace):
                found = np.empty((count, *output.shape), dtype)
                addresses = found.ctypes.data + np.arange(count) * output.nbytes
                self._write_addresses(output.number, addresses, before, alive)
            else:
                found = np.empty(count, dtype)
                cell = self._memory[output.buffer][output.offset :]
                size = dtype.itemsize
                after.append((found.ctypes.data, size, cell.ctypes.data, 0, size))
            outputs.append(found)
        return outputs, after

    def _write_addresses(
        self, place: int, addresses: Any, before: list[tuple[int, ...]], alive: list[Array]
    ) -> None:
        """Have the address of a buffer written before each run."""
        listed = np.ascontiguousarray(addresses, np.int64)
        alive.append(listed)
        at = self._table.address_of_place(place)
        before.append((at, 0, listed.ctypes.data, _ADDRESS, _ADDRESS))


def _is_consecutive(order: Array) -> bool:
    """Whether the rows of each run follow each other."""
    last = order.shape[1] - 1
    return bool((order[:, last] - order[:, 0] == last).all() and (np.diff(order) == 1).all())


def _listed(entries: Array) -> tuple[int, int]:
    return len(entries), entries.ctypes.data
