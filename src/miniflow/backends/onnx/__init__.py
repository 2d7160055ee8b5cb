"""The ONNX backend: a program becomes a file that other runtimes read, in ordinary operators.

    data = to_onnx(step.program)                     # for the shapes that it was recorded with
    data = for_any_rows(model.program_for, about)    # for any number of rows

The way there: `printing` walks over a program and has each equation written by `elementwise`,
`functions`, `arrays`, `parts`, `recognised` or `loop` into a `GraphWriter` (`writing`), which knows
names, constants, dtypes and shapes; `protobuf` makes bytes of it. What depends on the number of
rows is found by laying two programs side by side (`sizes`). No package is needed to write a file:
`onnx` and `onnxruntime` judge it in the tests.

It is not among the backends that `compile` can run: who runs a file is somebody else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from miniflow.backends.backend import WRITE, Backend
from miniflow.backends.rows import three_primes
from miniflow.errors import CompileError
from miniflow.ir.program import Program
from miniflow.passes import TIDY, hoist, optimize
from miniflow.passes.recognise import recognise

if TYPE_CHECKING:
    from miniflow.backends.onnx.printing import About

__all__ = ["BACKEND", "for_any_rows", "prepare", "to_onnx"]

PASSES = (*TIDY, hoist)


def prepare(program: Program) -> Program:
    """The program with the operators that others know (`passes.recognise`): convolutions, means of
    windows and sigmoids in half and single precision, for which runtimes have kernels; in double, a
    program's own steps do it. The bodies of loops stay as they are.
    """
    return recognise(program, dtypes=("f16", "f32"))


def to_onnx(program: Program, about: About | None = None) -> bytes:
    r"""Return the bytes of a file for a program, for the shapes that the program has.

    Args:
        program: what to write, after the passes of `BACKEND`.
        about: what the file says of itself; nothing by default.

    An input for which an output has the new value stays an input, and the new value is an output,
    `NAME_new`: whoever runs the file hands it in again. It is the old value where the check or the
    value of the program is not finite.

    Raises:
        CompileError: something has no operator; the message names the node.

    >>> from miniflow.ir import Builder, ValueType
    >>> b = Builder()
    >>> x = b.input(ValueType("f32", (2, 3)), name="x")
    >>> data = to_onnx(b.program([b.add("exp", (x,), name="e")]))
    >>> data[:2], b"Exp" in data
    (b'\x08\x08', True)
    """
    from miniflow.backends.onnx.printing import About, print_model
    from miniflow.backends.onnx.sizes import Twins

    return print_model(Twins(prepare(program)), about or About())


def for_any_rows(program_for: Callable[[int], Program], about: About | None = None) -> bytes:
    """Return the bytes of a file for any number of rows, which the file calls n.

    `program_for(n)` is the program for n rows, as it was recorded. It is asked for two prime
    numbers that divide no length of the program, so that no length is a multiple of n by chance;
    and then, with a third in place of the second, the file has to come out the same to the byte.

    Raises:
        CompileError: as `to_onnx` does, or the program depends on the number of rows in a way that
            the file cannot say.
    """
    from miniflow.backends.onnx.printing import About, print_model
    from miniflow.backends.onnx.sizes import Twins

    first, *others = (
        (n, prepare(optimize(program_for(n), PASSES))) for n in three_primes(program_for)
    )
    files = [
        print_model(Twins(first[1], other, first[0], n), about or About()) for n, other in others
    ]
    if files[0] != files[1]:
        raise CompileError(
            "It depends on the number of rows in a way that no file for any number of rows can "
            "say. Export it for one number of rows: batch=1."
        )
    return files[0]


BACKEND = Backend(name="onnx", lower=to_onnx, passes=PASSES, purpose=WRITE)
