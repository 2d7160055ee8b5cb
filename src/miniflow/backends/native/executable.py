"""A program as machine code, and as the text of it.

A program that was compiled before, by this process or another, is laid out on disk (`kept`): it is
run without being lowered, and lowered only when somebody wants to look at it, or it fails.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from miniflow.backends.native import kept
from miniflow.backends.native.filling import FilledTable, Scope, allocate
from miniflow.backends.native.processor import remark
from miniflow.backends.native.workers import can_share

if TYPE_CHECKING:
    from miniflow.backends.backend import Buffers, Groups, TimedRun
    from miniflow.backends.native.lowered import LoweredProgram
    from miniflow.backends.native.series import NativeSeries
    from miniflow.ir.program import Program
    from miniflow.lowering.loop_program import LoopProgram


class NativeExecutable:
    """A program as machine code.

    `run` takes one argument for each input, of exactly its type, and returns the outputs that
    replace no input; those that do are written into the array of that input. `source` is the code,
    to be read: the text of `loop_program`.
    """

    backend = "native"

    def __init__(self, program: Program) -> None:
        self.program = program
        self._made: LoweredProgram | None = None
        self._series: NativeSeries | None = None
        self._key = kept.key_of(program)
        layout = kept.read(self._key)
        if layout is None:
            self._memory = self._lowered.allocate()
            self.run, runner = self._lowered.make_run(self._memory)
            layout = self._lowered.lay_out(runner)
            kept.write(self._key, layout)
        else:
            self._memory = allocate(layout.rooms)
            table = FilledTable(layout.table, self._memory)
            fail = _Failure(program, table)
            self.run = Scope(self._memory, table, fail).bind(layout.frame)
        self._has_series, self._is_one_call = layout.has_series, layout.is_one_call

    @property
    def _lowered(self) -> LoweredProgram:
        if self._made is None:
            self._made = _lower(self.program)
        return self._made

    @property
    def loop_program(self) -> LoopProgram:
        """The program, lowered."""
        return self._lowered.loop_program

    @property
    def source(self) -> str:
        """The loop program, and the kernels that it runs, with the nodes that lines come from; of
        steps that are shared out, in how many pieces.
        """
        from miniflow.lowering.loop_text import loop_text
        from miniflow.lowering.shared_loops import notes_of

        said = remark()
        head = f"# {said[0].upper()}{said[1:]}.\n" if said else ""
        if self.loop_program.updated and not self._has_series:
            head += "# NumPy has a part in each step: an epoch is a loop in Python.\n"
        note = notes_of(self.loop_program) if can_share() else lambda step: ""
        return head + loop_text(self.loop_program, note)

    @property
    def is_one_call(self) -> bool:
        """Whether all of it is machine code, which Python calls once."""
        return self._is_one_call

    @property
    def series(self) -> NativeSeries | None:
        """Many runs in one call; None where Python has a part in each. It is made when it is asked
        for first: by no lock, which another thread might hold when a process forks.
        """
        if self._series is None and self._has_series:
            self._series = self._make_series()
        return self._series

    def _make_series(self) -> NativeSeries:
        from miniflow.backends.native.series import NativeSeries

        layout = kept.read_series(self._key)
        if layout is not None:
            return NativeSeries(layout, self._memory, _Failure(self.program, is_series=True))
        writer = self._lowered.series_writer(self._memory)
        layout = writer.lay_out()
        kept.write_series(self._key, layout)
        return NativeSeries(layout, self._memory, writer.runner.fail)

    @property
    def groups(self) -> Groups:
        """The equations of each nest."""
        from miniflow.lowering.epilogues import without_epilogues
        from miniflow.lowering.loop_program import Nest, steps_of

        steps = without_epilogues(self.loop_program.steps)
        nests = (step for step in steps_of(steps) if isinstance(step, Nest))
        own = set(self.program.equations)
        groups = dict.fromkeys(nest.equations for nest in nests)
        return tuple(group for group in groups if group and own.issuperset(group))

    @property
    def buffers(self) -> Buffers:
        """The memory that is allocated for good, and which values lie in it."""
        return self._lowered.buffers()

    def timed(self) -> TimedRun:
        """The same step in parts, to be run on the same memory."""
        return self._lowered.timed(self._memory)


class _Failure:
    """Raises what a step has to say that failed, of a program that was not lowered: it is now."""

    def __init__(
        self, program: Program, table: FilledTable | None = None, *, is_series: bool = False
    ) -> None:
        self._program, self._table, self._is_series = program, table, is_series

    def __call__(self, first: int, failed: int) -> None:
        if self._table is not None:
            self._table.reset()
        lowered = _lower(self._program)
        memory = lowered.allocate()
        is_series = self._is_series
        runner = lowered.series_writer(memory).runner if is_series else lowered.make_run(memory)[1]
        runner.fail(first, failed)


def _lower(program: Program) -> LoweredProgram:
    from miniflow.backends.native.lowered import LoweredProgram

    return LoweredProgram(program)


def make(program: Program) -> NativeExecutable:
    """Make machine code of a program; see `lower`."""
    return NativeExecutable(program)
