"""A program as machine code, and as the text of it."""

from __future__ import annotations

from miniflow.backends.backend import Buffers, Groups, TimedPart, TimedRun
from miniflow.backends.native.frame import allocate
from miniflow.backends.native.processor import remark
from miniflow.backends.native.products.steps import can_finish, can_multiply, can_read_windows
from miniflow.backends.native.run import make_run
from miniflow.backends.native.series import NativeSeries, can_make_series
from miniflow.backends.native.workers import can_share
from miniflow.ir import Program
from miniflow.lowering.draft import Target
from miniflow.lowering.epilogues import without_epilogues
from miniflow.lowering.loop_program import KEPT, SCRATCH, Nest, steps_of
from miniflow.lowering.loop_text import loop_text
from miniflow.lowering.lower import Lowering, lower_program
from miniflow.lowering.pieces import pieces_note


class NativeExecutable:
    """A program as machine code.

    `run` takes one argument for each input, of exactly its type, and returns the outputs that
    replace no input; those that do are written into the array of that input. `source` is the code,
    to be read: the text of `loop_program`.
    """

    backend = "native"

    def __init__(self, program: Program) -> None:
        self.program = program
        self._lowering = lower_program(program, Target(can_multiply, can_read_windows, can_finish))
        self.loop_program = self._lowering.loop_program
        named = zip(self.loop_program.arguments, program.inputs, strict=True)
        self._fed = frozenset(name for name, entry in named if entry.role == "fed")
        self._memory = allocate(self.loop_program)
        self.run, self._runner = make_run(self.loop_program, self._memory, self._fed)
        self._has_series = can_make_series(self.loop_program, self._runner)
        self._series: NativeSeries | None = None

    @property
    def source(self) -> str:
        """The loop program, and the kernels that it runs, with the nodes that lines come from; of
        steps that are shared out, in how many pieces.
        """
        said = remark()
        head = f"# {said[0].upper()}{said[1:]}.\n" if said else ""
        if self.loop_program.updated and not self._has_series:
            head += "# NumPy has a part in each step: an epoch is a loop in Python.\n"
        return head + loop_text(self.loop_program, pieces_note if can_share() else lambda step: "")

    @property
    def is_one_call(self) -> bool:
        """Whether all of it is machine code, which Python calls once."""
        return self._runner.calls_compiled_code_once

    @property
    def series(self) -> NativeSeries | None:
        """Many runs in one call; None where Python has a part in each. It is made when it is asked
        for first: by no lock, which another thread might hold when a process forks.
        """
        if self._series is None and self._has_series:
            self._series = NativeSeries(self.loop_program, self._memory, self._fed)
        return self._series

    @property
    def groups(self) -> Groups:
        """The equations of each nest."""
        steps = without_epilogues(self.loop_program.steps)
        nests = (step for step in steps_of(steps) if isinstance(step, Nest))
        own = set(self.program.equations)
        groups = dict.fromkeys(nest.equations for nest in nests)
        return tuple(group for group in groups if group and own.issuperset(group))

    @property
    def buffers(self) -> Buffers:
        """The memory that is allocated for good, and which values lie in it."""
        return buffers_of(self._lowering)

    def timed(self) -> TimedRun:
        """The same step in parts, to be run on the same memory."""
        given = (self.loop_program, self._memory, self._fed)
        run, runner = make_run(*given, in_parts=True)
        outer = self._lowering.made_in
        parts = [
            TimedPart(text, tuple(dict.fromkeys(outer.get(e, e) for e in equations)))
            for text, equations in runner.parts
        ]
        return TimedRun(run, tuple(parts), self.program)


def buffers_of(lowering: Lowering) -> Buffers:
    """The buffers that have memory of their own, and which of them each value is kept in."""
    buffers = lowering.loop_program.buffers
    kept = {
        name: buffer.alias or name
        for name, buffer in buffers.items()
        if buffer.role in (KEPT, SCRATCH) and buffer.shape
    }
    number = {owner: k for k, owner in enumerate(dict.fromkeys(kept.values()))}
    sizes = tuple(buffers[owner].nbytes for owner in number)
    found = {v: number[kept[name]] for v, name in lowering.buffers.items() if name in kept}
    return Buffers(sizes, found)


def make(program: Program) -> NativeExecutable:
    """Make machine code of a program; see `lower`."""
    return NativeExecutable(program)
