"""A program as machine code, and as the text of it."""

from __future__ import annotations

from functools import cached_property

from miniflow.backends.native.lowering import Lowered, lower_schedule
from miniflow.errors import printable
from miniflow.ir import Program
from miniflow.lowering.expressions import can_fuse
from miniflow.lowering.fuse import Schedule, fuse
from miniflow.lowering.nest_text import nest_lines
from miniflow.lowering.nests import Kernel


class NativeExecutable:
    """A program as machine code.

    `run` takes one argument for each input, of exactly its type, and returns the outputs that
    replace no input; those that do are written into the array of that input. `source` is the code,
    to be read; `schedule` has the groups that it is made of, `groups` those that are loops.
    """

    backend = "native"

    def __init__(self, schedule: Schedule, lowered: Lowered) -> None:
        self.schedule = schedule
        self.program = schedule.program
        self.groups = lowered.loops
        self.buffers = lowered.buffers
        self.run = lowered.run
        self.timed = lowered.timed
        self._lowered = lowered

    @cached_property
    def source(self) -> str:
        """The kernels, each line with the node that it comes from, and the function around them."""
        texts = [_commented(name, kernel) for kernel, name in self._lowered.kernels]
        bodies = [
            f"# body_{number}_, a turn of the loop:\n\n{body.source}"
            for number, body in enumerate(self._lowered.bodies, 1)
        ]
        return "\n\n".join([*texts, self._lowered.text, *bodies])


def make(program: Program) -> NativeExecutable:
    """Make machine code of a program; see `lower`."""
    schedule = fuse(program, can_fuse)
    return NativeExecutable(schedule, lower_schedule(schedule))


def _commented(name: str, kernel: Kernel) -> str:
    """Return a kernel's text; a comment says where another node begins."""
    written = nest_lines(kernel, name)
    lines = [line.text for line in written]
    width = min(max(map(len, lines[1:]), default=0), 60)
    node = ""
    for number, line in enumerate(written):
        origin = line.equation.origin if line.equation else None
        if origin and origin.node != node:
            node = origin.node
            lines[number] = f"{lines[number]:{width}}  # {printable(node)}"
    return "\n".join(lines) + "\n"
