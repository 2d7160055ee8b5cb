"""A program that runs many times in one call, each time with other rows of the data.

    for run in range(len(order)):
        X[...], y[...] = images[order[run]], labels[order[run]]    # steps like others
        seed = seeds[run]                                          # copied before each run
        the program
        losses[run] = loss                                         # copied after it

Rows are copied to where the program looks for a batch, by steps that come before the program's own
and may be shared out as these are. Where they follow each other in the data, they are read where
they lie. What Python computes of single numbers is computed beforehand, for each run, if it hangs
on a number that is another in each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any, Final

import numpy as np

from miniflow.backends.backend import SeriesResult
from miniflow.backends.blas import address_of
from miniflow.backends.memory import block
from miniflow.backends.native.filling import Memory, Scope
from miniflow.backends.native.frame import FrameWriter
from miniflow.backends.native.run import ByNumpy, ProgramRunner, Segment
from miniflow.ir import DTYPES
from miniflow.ir.dtypes import Array
from miniflow.lowering.loop_program import (
    ARGUMENT,
    KEPT,
    NUMBER,
    RESULT,
    BufferView,
    LoopProgram,
    Nest,
    NumpyCall,
)
from miniflow.lowering.nests import (
    ArrayParameter,
    Kernel,
    Loop,
    SizeParameter,
    Store,
    cast,
    load,
    name,
)

_ORDER: Final = "the rows"  # no buffer has a name like that
_ADDRESS: Final = 8  # bytes
_MOST: Final = 64  # numbers that Python makes of single numbers, and that are copied for each run


class NativeSeries:
    """The series of one program.

    It computes in the memory of the program's single runs, and so not at the same time.
    """

    def __init__(self, program: LoopProgram, memory: Memory, fed: frozenset[str]) -> None:
        self._program, self._memory = program, memory
        buffers = program.buffers
        given = {x: place for place, x in enumerate(program.arguments)}
        self._fed = {x: given[x] for x in fed if buffers[x].role == ARGUMENT}
        self._numbers = [place for x, place in given.items() if buffers[x].role == NUMBER]
        self._batches = {x: place for x, place in self._fed.items() if buffers[x].shape}
        places = [x for x, buffer in buffers.items() if buffer.role != NUMBER]
        places += [*map(_all_of, self._batches), _ORDER]
        self._place = {word: number for number, word in enumerate(places)}
        gathers = [_gather(x, buffers[x].dtype, buffers[x].shape) for x in self._batches]
        self._runner = ProgramRunner(program, memory, places, before=gathers)
        self._table = self._runner.filled
        segment = next(piece for piece in self._runner.pieces if isinstance(piece, Segment))
        self._first = segment.first
        self._in_place = self._table.series(segment.first, segment.last)
        self._gathering = self._table.series(0, segment.last)
        self._room = {x: block(buffers[x].nbytes) for x in self._batches}
        self._make_prefix(places)

    def _make_prefix(self, places: Sequence[str]) -> None:
        frame = FrameWriter(self._program, (), places, makes_results=False)
        self._cells: list[Array] = []
        for piece in self._runner.pieces:
            if isinstance(piece, ByNumpy):
                frame.compute(piece.step)
                target = piece.step.target
                if target.buffer in self._memory:
                    cell = self._memory[target.buffer][target.offset :]
                    self._cells.append(cell[: target.size])
        self._prepare = Scope(self._memory, self._table, self._runner.fail).bind(frame.finish())

    def run(
        self,
        arguments: Sequence[Any],
        data: Mapping[int, Array],
        order: Array,
        numbers: Mapping[int, Sequence[Any]],
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
        is_one = all(each[place] is first[place] for place in self._numbers for each in arguments)
        before, alive = self._numbers_of_runs(arguments[:1] if is_one else arguments)
        for x, place in self._fed.items():
            addresses = [address_of(each[place]) for each in arguments]
            self._write_addresses(x, addresses, before, alive)
        return self._make(len(arguments), self._in_place, before, alive)

    @property
    def nbytes(self) -> int:
        """How many bytes the outputs of one run have."""
        buffers = self._program.buffers
        outputs = (x for x in self._program.outputs if isinstance(x, BufferView))
        return sum(buffers[x.buffer].nbytes for x in outputs if buffers[x.buffer].role == RESULT)

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
            self._runner.fail(self._first if call is self._in_place[0] else 0, failed)
        except (ArithmeticError, IndexError) as error:
            return SeriesResult(made, [output[:made] for output in outputs], error)
        raise AssertionError("what failed says so")

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
            for x, place in self._batches.items():
                rows = data[place]
                step = rows.nbytes // max(len(rows), 1)
                self._write_addresses(x, rows.ctypes.data + order[:, 0] * step, before, alive)
            return self._in_place
        for x, place in self._batches.items():
            places[self._place[x]] = self._room[x].ctypes.data
            places[self._place[_all_of(x)]] = data[place].ctypes.data
        rows = np.ascontiguousarray(order, np.int64)
        addresses = rows.ctypes.data + np.arange(len(rows)) * (batch * rows.itemsize)
        alive.append(rows)
        self._write_addresses(_ORDER, addresses, before, alive)
        return self._gathering

    def _results(
        self, count: int, before: list[tuple[int, ...]], alive: list[Array]
    ) -> tuple[list[Array], list[tuple[int, ...]]]:
        """Make room for the results of all runs; list those that are copied after each."""
        outputs, after = list[Array](), list[tuple[int, ...]]()
        for output in self._program.outputs:
            assert isinstance(output, BufferView)
            buffer, dtype = self._program.buffers[output.buffer], DTYPES[output.dtype]
            if buffer.role == RESULT:
                found = np.empty((count, *buffer.shape), dtype)
                addresses = found.ctypes.data + np.arange(count) * buffer.nbytes
                self._write_addresses(output.buffer, addresses, before, alive)
            else:
                found = np.empty(count, dtype)
                cell = self._memory[output.buffer][output.offset :]
                size = dtype.itemsize
                after.append((found.ctypes.data, size, cell.ctypes.data, 0, size))
            outputs.append(found)
        return outputs, after

    def _write_addresses(
        self, buffer: str, addresses: Any, before: list[tuple[int, ...]], alive: list[Array]
    ) -> None:
        """Have the address of a buffer written before each run."""
        listed = np.ascontiguousarray(addresses, np.int64)
        alive.append(listed)
        at = self._table.address_of_place(self._place[buffer])
        before.append((at, 0, listed.ctypes.data, _ADDRESS, _ADDRESS))


def can_make_series(program: LoopProgram, runner: ProgramRunner) -> bool:
    """Return whether there is a series of a program: Python has no part in it but in what follows
    from single numbers, and its results are in memory.
    """
    first, last = runner.pieces[:-1], runner.pieces[-1:]
    outputs = [x.buffer for x in program.outputs if isinstance(x, BufferView)]
    known = {x for x, buffer in program.buffers.items() if buffer.role == NUMBER}
    if len(outputs) < len(program.outputs) or not known.isdisjoint(outputs):
        return False
    for piece in first:
        if not isinstance(piece, ByNumpy) or not isinstance(piece.step, NumpyCall):
            return False
        target, read = piece.step.target, piece.step.operands
        if not {x.buffer for x in read if isinstance(x, BufferView)} <= known:
            return False  # it may be another number after each run
        if program.buffers[target.buffer].role not in (KEPT, NUMBER):
            return False
        if target.size > _MOST or not target.is_contiguous:
            return False
        known.add(target.buffer)
    return bool(last) and isinstance(last[0], Segment)


def _is_consecutive(order: Array) -> bool:
    """Whether the rows of each run follow each other."""
    last = order.shape[1] - 1
    return bool((order[:, last] - order[:, 0] == last).all() and (np.diff(order) == 1).all())


def _listed(entries: Array) -> tuple[int, int]:
    return len(entries), entries.ctypes.data


def _all_of(name: str) -> str:
    return f"all of {name}"


def _gather(batch: str, dtype: str, shape: tuple[int, ...]) -> Nest:
    """The nest that copies the rows of a run to where its batch is looked for, bit by bit."""
    rows, columns = shape[0], prod(shape[1:])
    word = f"u{8 * DTYPES[dtype].itemsize}"
    views = (
        BufferView(batch, word, 0, (rows, columns), (columns, 1)),
        BufferView(_all_of(batch), word, 0, (rows, columns), (columns, 1)),
        BufferView(_ORDER, "i64", 0, (rows,), (1,)),
    )
    return Nest(_gathering_kernel(word), (rows, columns, *views))


def _gathering_kernel(dtype: str) -> Kernel:
    m, n, i, j = map(name, "mnij")
    batch, whole = (ArrayParameter(word, dtype, (m, n)) for word in ("batch", "whole"))
    order = ArrayParameter("order", "i64", (m,))
    row = cast(load(order, i), "size")
    copy = Store("batch", (i, j), load(whole, row, j))
    loops = Loop("i", m, (Loop("j", n, (copy,)),))
    return Kernel((SizeParameter("m"), SizeParameter("n"), batch, whole, order), (loops,))
