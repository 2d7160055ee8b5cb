"""A program that is lowered for this machine: the loop program, and what runs it."""

from __future__ import annotations

from miniflow.backends.backend import Buffers, TimedPart, TimedRun
from miniflow.backends.native.filling import Memory, Run, allocate
from miniflow.backends.native.frame import rooms_of
from miniflow.backends.native.layout import ProgramLayout
from miniflow.backends.native.products.steps import (
    can_finish,
    can_multiply,
    can_read_windows,
    can_sum,
)
from miniflow.backends.native.run import ProgramRunner, make_run
from miniflow.backends.native.series_layout import SeriesWriter, can_make_series
from miniflow.backends.native.workers import can_share
from miniflow.ir.program import Program
from miniflow.lowering.draft import Target
from miniflow.lowering.loop_program import KEPT, SCRATCH
from miniflow.lowering.lower import lower_program
from miniflow.lowering.pieces import MOST


def _target() -> Target:
    pieces = MOST if can_share() else 1
    return Target(
        can_multiply,
        can_read_windows,
        can_finish,
        can_sum,
        continues_products=True,
        pieces=pieces,
    )


class LoweredProgram:
    """The loop program of a program."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.lowering = lower_program(program, _target())
        self.loop_program = self.lowering.loop_program
        named = zip(self.loop_program.arguments, program.inputs, strict=True)
        self._fed = frozenset(name for name, entry in named if entry.role == "fed")

    def allocate(self) -> Memory:
        """Return memory in which it runs."""
        return allocate(rooms_of(self.loop_program))

    def make_run(self, memory: Memory) -> tuple[Run, ProgramRunner]:
        """Return the function that runs it, and what that calls."""
        return make_run(self.loop_program, memory, self._fed)

    def series_writer(self, memory: Memory) -> SeriesWriter:
        """Return what lays out many runs of it, where that can be."""
        return SeriesWriter(self.loop_program, memory, self._fed)

    def lay_out(self, runner: ProgramRunner) -> ProgramLayout:
        """Return all that a run needs, as data."""
        return ProgramLayout(
            rooms_of(self.loop_program),
            runner.laid_out,
            runner.frame,
            can_make_series(self.loop_program, runner),
            runner.calls_compiled_code_once,
        )

    def timed(self, memory: Memory) -> TimedRun:
        """Return a run in parts."""
        run, runner = make_run(self.loop_program, memory, self._fed, in_parts=True)
        outer = self.lowering.made_in
        parts = [
            TimedPart(text, tuple(dict.fromkeys(outer.get(e, e) for e in equations)))
            for text, equations in runner.parts
        ]
        return TimedRun(run, tuple(parts), self.program)

    def buffers(self) -> Buffers:
        """Return the buffers that have memory of their own, and which of them each value is in."""
        buffers = self.loop_program.buffers
        kept = {
            name: buffer.alias or name
            for name, buffer in buffers.items()
            if buffer.role in (KEPT, SCRATCH) and buffer.shape
        }
        number = {owner: k for k, owner in enumerate(dict.fromkeys(kept.values()))}
        sizes = tuple(buffers[owner].nbytes for owner in number)
        named = self.lowering.buffers.items()
        return Buffers(sizes, {v: number[kept[name]] for v, name in named if name in kept})
