"""How a series of runs of one program is laid out (`series` runs it): the program's own steps, with
those before them that gather rows of the data.
"""

from __future__ import annotations

from math import prod
from typing import Final

from miniflow.backends.native.filling import Memory
from miniflow.backends.native.frame import FrameWriter
from miniflow.backends.native.gathering import Gathers, RowGather
from miniflow.backends.native.layout import (
    BatchPlaces,
    CellPlace,
    ProgramFrame,
    ResultPlace,
    SeriesLayout,
)
from miniflow.backends.native.run import ByNumpy, ProgramRunner, Segment
from miniflow.ir import DTYPES
from miniflow.lowering.loop_program import (
    ARGUMENT,
    KEPT,
    NUMBER,
    RESULT,
    Buffer,
    BufferView,
    LoopProgram,
    NumpyCall,
)

_ORDER, _NEXT_ORDER = "the rows", "the next rows"  # no buffer has a name like that
_DONE: Final = "which rows are gathered"
_MOST: Final = 64  # numbers that Python makes of single numbers, and that are copied for each run


class SeriesWriter:
    """Lays out the series of one program.

    Attributes:
        runner: of the steps, with those that gather.
    """

    def __init__(self, program: LoopProgram, memory: Memory, fed: frozenset[str]) -> None:
        self._program = program
        buffers = program.buffers
        self._given = {x: place for place, x in enumerate(program.arguments)}
        self._fed = [x for x in self._given if x in fed and buffers[x].role == ARGUMENT]
        self._batches = [x for x in self._fed if buffers[x].shape]
        self._places = [x for x, buffer in buffers.items() if buffer.role != NUMBER]
        self._places += [*map(_all_of, self._batches), *map(_next_of, self._batches)]
        self._places += [_ORDER, _NEXT_ORDER, _DONE]
        self._place = {word: number for number, word in enumerate(self._places)}
        gathers = self._gathers() if self._batches else None
        self.runner = ProgramRunner(program, memory, self._places, gathers=gathers)

    def lay_out(self) -> SeriesLayout:
        """Return it as data."""
        buffers, given, place = self._program.buffers, self._given, self._place
        segment = next(piece for piece in self.runner.pieces if isinstance(piece, Segment))
        return SeriesLayout(
            table=self.runner.laid_out,
            frame=self._prefix(),
            first=segment.first,
            last=segment.last,
            order=place[_ORDER],
            next_order=place[_NEXT_ORDER],
            done=place[_DONE],
            gathers_beside=self.runner.gathers_beside,
            fed=[(given[x], place[x]) for x in self._fed],
            numbers=[given[x] for x in given if buffers[x].role == NUMBER],
            batches=[
                BatchPlaces(
                    given[x], place[x], place[_next_of(x)], place[_all_of(x)], buffers[x].nbytes
                )
                for x in self._batches
            ],
            cells=self._cells(),
            outputs=[self._output(x) for x in self._program.outputs if isinstance(x, BufferView)],
        )

    def _gathers(self) -> Gathers:
        done = BufferView(_DONE, "i64", 0, (1,), (1,))
        each = [_gather(x, self._program.buffers[x], x, _ORDER) for x in self._batches]
        following = [
            _gather(_next_of(x), self._program.buffers[x], x, _NEXT_ORDER) for x in self._batches
        ]
        return Gathers(tuple(x._replace(done=done) for x in each), tuple(following), done)

    def _by_numpy(self) -> list[NumpyCall]:
        steps = [piece.step for piece in self.runner.pieces if isinstance(piece, ByNumpy)]
        return [step for step in steps if isinstance(step, NumpyCall)]

    def _prefix(self) -> ProgramFrame:
        """The function that does what Python does before a run."""
        frame = FrameWriter(self._program, (), self._places, makes_results=False)
        for step in self._by_numpy():
            frame.compute(step)
        return frame.finish()

    def _cells(self) -> list[CellPlace]:
        targets = [step.target for step in self._by_numpy()]
        return [
            CellPlace(x.buffer, x.dtype, x.offset, x.size)
            for x in targets
            if self._program.buffers[x.buffer].role != NUMBER
        ]

    def _output(self, output: BufferView) -> ResultPlace | CellPlace:
        buffer = self._program.buffers[output.buffer]
        if buffer.role == RESULT:
            shape = tuple(buffer.shape)
            return ResultPlace(self._place[output.buffer], shape, output.dtype, buffer.nbytes)
        return CellPlace(output.buffer, output.dtype, output.offset, 1)


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


def _all_of(name: str) -> str:
    return f"all of {name}"


def _next_of(name: str) -> str:
    return f"the next of {name}"


def _gather(to: str, buffer: Buffer, name: str, order: str) -> RowGather:
    """The step that copies the rows of a run to where its batch is looked for."""
    rows, columns = buffer.shape[0], prod(buffer.shape[1:])
    return RowGather(
        BufferView(to, buffer.dtype, 0, (rows, columns), (columns, 1)),
        BufferView(_all_of(name), buffer.dtype, 0, (rows, columns), (columns, 1)),
        BufferView(order, "i64", 0, (rows,), (1,)),
        rows,
        columns * DTYPES[buffer.dtype].itemsize,
    )
