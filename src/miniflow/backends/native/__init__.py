"""The native backend: fused loops in machine code, matrix products in NumPy's own OpenBLAS.

It needs the package llvmlite (the extra ``native``). A program goes this way:

- `prepare` and `passes.fuse`: the equations are sorted into groups;
- `kernels` writes each loop as text, in a language of its own (`language`), which
  `machine` turns into machine code. Kernels are generic in shape, and shared: by the layers
  of a network, by programs, and by processes, through a cache on disk (`cache`);
- `plan` decides where values lie (`memory`, `updates`), and `lowering` lists the compiled steps:
  kernels, matrix products (`products`), and copies of what does not lie in one piece (`movements`,
  `strided`). Convolutions go through the batch tile by tile (`tiling`). A loop in machine code runs
  these steps one after the other (`step`). What none of them does is a call of NumPy in between.

So a training step is one call into compiled code. `lower` makes it.
"""

from __future__ import annotations

from functools import cached_property

from miniflow.backends import blas
from miniflow.backends.native import machine
from miniflow.backends.native.expressions import can_fuse
from miniflow.backends.native.kernels import Kernel
from miniflow.backends.native.lowering import Lowered, lower_schedule
from miniflow.backends.native.prepare import prepare
from miniflow.ir import Program
from miniflow.lowering.fuse import Schedule, fuse


class Executable:
    """A program as machine code.

    `run` takes one argument for each input, of exactly its type, and returns the outputs that
    replace no input; those that do are written into the array of that input. `source` is the code,
    to be read; `schedule` has the groups that it is made of.
    """

    def __init__(self, schedule: Schedule, lowered: Lowered) -> None:
        self.schedule = schedule
        self.run = lowered.run
        self._lowered = lowered

    @cached_property
    def source(self) -> str:
        """The kernels, each line with the node that it comes from, and the function around them."""
        texts = [_commented(name, kernel) for name, kernel in self._lowered.kernels]
        return "\n\n".join([*texts, self._lowered.text])


def is_available() -> bool:
    """Whether this machine has what the native backend needs."""
    return machine.is_available()


def lower(program: Program) -> Executable:
    """Make machine code of a program.

    >>> import numpy as np
    >>> from miniflow.ir import Builder, ValueType
    >>> b = Builder()
    >>> x = b.input(ValueType("f32", (4,)), name="x")
    >>> step = lower(b.program([b.add("maximum", (x, 0))]))
    >>> step.run([np.array([-1, 0, 1, 2], np.float32)])
    [array([0., 0., 1., 2.], dtype=float32)]
    """
    schedule = fuse(prepare(program), can_fuse)
    return Executable(schedule, lower_schedule(schedule, blas.find()))


def _commented(name: str, kernel: Kernel) -> str:
    """Return a kernel's text; a comment says where another node begins."""
    lines = [line.text for line in kernel.lines]
    lines[0] = lines[0].replace("def kernel(", f"def {name}(", 1)
    width = min(max(map(len, lines[1:]), default=0), 60)
    node = ""
    for number, line in enumerate(kernel.lines):
        origin = line.equation.origin if line.equation else None
        if origin and origin.node != node:
            node = origin.node
            lines[number] = f"{lines[number]:{width}}  # {node}"
    return "\n".join(lines) + "\n"
