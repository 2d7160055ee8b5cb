"""The native backend: fused loops and matrix products in machine code.

It needs the package llvmlite (the extra ``native``). A program goes this way:

- `miniflow.lowering` makes a loop program of it: memory, and steps that are nests of loops,
  products, copies and loops of steps;
- `print_llvm` prints a nest in LLVM's language, of which `machine` makes machine code. Kernels are
  generic in shape, and shared: by the layers of a network, by programs, and by processes, through
  a cache on disk (`cache`);
- `compiled` and `products` make compiled steps, `table` lays them out with what they are handed,
  and a loop in machine code runs them one after the other, turn after turn. Large ones are done in
  pieces by several threads (`workers`, `sharing`), to the same bits. What is left is NumPy's
  (`run`); Python's is the frame around all (`frame`).
- What comes of that is plain data (`layout`), from which `filling` makes what runs. It is kept on
  disk as well (`kept`), so that a program that was compiled before is not lowered again.

So a training step is one call into compiled code, and many steps with rows of the same data are one
(`series`). `lower` makes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from miniflow.backends.backend import Backend
from miniflow.ir.dtypes import ValueType
from miniflow.ir.loop import body_of
from miniflow.ir.program import Program
from miniflow.passes import FOR_LOOPS

if TYPE_CHECKING:
    from miniflow.backends.native.executable import NativeExecutable

MOST_KINDS: Final = 300  # of equations in a program that `auto` has compiled to machine code


def is_available() -> bool:
    """Whether this machine has what the native backend needs, and llvmlite knows its processor."""
    from miniflow.backends.native import machine

    return machine.is_available()


def lower(program: Program) -> NativeExecutable:
    """Make machine code of a program.

    >>> import numpy as np
    >>> from miniflow.ir import Builder, ValueType
    >>> b = Builder()
    >>> x = b.input(ValueType("f32", (4,)), name="x")
    >>> step = lower(b.program([b.add("maximum", (x, 0))]))
    >>> step.run([np.array([-1, 0, 1, 2], np.float32)])
    [array([0., 0., 1., 2.], dtype=float32)]
    """
    from miniflow.backends.native.executable import make

    return make(program)


def declines(program: Program) -> str:
    """Why machine code is not worth the while that it takes to make it; "" if it is.

    Machine code is faster for whatever computes arrays. Loops that are alike are compiled once, and
    kept on disk. So what counts is not how long a program is, but how many different equations it
    has: a network unrolled over two hundred time steps has few.
    """
    kinds = _kinds(program)
    if not any(type_.shape for _, type_ in kinds):
        return "it computes no arrays"
    if len(kinds) > MOST_KINDS:
        return f"{len(kinds)} kinds of equations, more than {MOST_KINDS}, take long to compile"
    return ""


def _kinds(program: Program) -> set[tuple[str, ValueType]]:
    """The kinds of equations in a program, and in the bodies of its loops."""
    kinds = {(e.primitive, e.result.type) for e in program.equations}
    return kinds.union(*(_kinds(b) for e in program.equations if (b := body_of(e)) is not None))


def remark() -> str:
    """What is to be said of the bits of results on this machine; as a rule nothing."""
    from miniflow.backends.native import processor

    return processor.remark()


def same_bits_on() -> str:
    """Where its results have the same bits."""
    from miniflow.backends.native import processor

    return processor.same_bits_on()


BACKEND = Backend(
    name="native",
    lower=lower,
    passes=FOR_LOOPS,
    package="llvmlite",
    extra="native",
    declines=declines,
    remark=remark,
    same_bits_on=same_bits_on,
)
