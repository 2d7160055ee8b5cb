"""The NumPy backend: a program becomes readable Python that calls NumPy on memory planned once.

    executable = lower(program)
    print(executable.source)
    outputs = executable.run(arguments)

The way there: the passes join products for BLAS, save exponentials and calls, and make long runs
of short ones; `dialect` writes out the conversions that NumPy would make in passing,
`lowering.memory` plans where every array lies, `emit` writes each equation (with `numbers` and
`indexing`), `source` collects the text, `executable` makes it run. That text is what runs, and what
a traceback shows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from miniflow.backends.backend import Backend
from miniflow.ir.program import Program
from miniflow.passes import (
    TIDY,
    batch,
    batch_parts,
    contract,
    hoist,
    prefer_long_runs,
    share_exponentials,
    touch_rows,
)

if TYPE_CHECKING:
    from miniflow.backends.numpy.executable import NumPyExecutable


def lower(program: Program) -> NumPyExecutable:
    """Make a program ready to be run by NumPy.

    Matrix products go through NumPy's own OpenBLAS where it is found (`blas.find`), else through
    `np.matmul`.

    Raises ProgramError if the program gives a new value to an input that is no array.

    >>> from miniflow.ir import Builder, ValueType
    >>> b = Builder()
    >>> x = b.input(ValueType("f64", (), "python"), name="x")
    >>> executable = lower(b.program([b.add("multiply", (b.add("add", (x, 1.0)), x))]))
    >>> print(executable.source, end="")
    def step(arguments):
        (x,) = arguments
        return [(x + 1.0) * x]
    >>> executable.run([3.0])
    [12.0]
    """
    from miniflow.backends.numpy.executable import make

    return make(program)


BACKEND = Backend(
    name="numpy",
    has_blas=True,
    lower=lower,
    passes=(
        *(*TIDY, hoist, batch, touch_rows, contract, *TIDY),
        *(share_exponentials, batch_parts, prefer_long_runs),
    ),
)
