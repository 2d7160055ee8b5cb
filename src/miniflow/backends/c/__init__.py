"""The C backend: programs become one file of C99 that needs nothing but the mathematical library.

    text = to_c(step.program, name="step")           # one program, as one function

The way there: `miniflow.lowering` makes a loop program, as for native code; `preparing` leaves
nests and products in it alone; `memory` lays out one piece of scratch memory. `kernels` prints
nests, `products` products in tiles, `function` the steps as calls of these; `parts` keeps what the
functions of a file share, and `printing` writes the file: a header, and behind it the
implementation. With fused multiply-adds, the bits are those of the native backend.

It is not among the backends that `compile` can run: who compiles a file is somebody else.
"""

from __future__ import annotations

from typing import Final

from miniflow.backends.backend import WRITE, Backend
from miniflow.ir.dtypes import DTYPES
from miniflow.ir.program import Program, handed_out
from miniflow.passes import FOR_LOOPS

__all__ = ["BACKEND", "PASSES", "to_c"]

PASSES: Final = FOR_LOOPS


def to_c(program: Program, name: str = "program") -> str:
    """Return a program, after its passes, as a file of C with one function, `NAME_run`.

    It takes a pointer for each input (a number, where it is a single number) and one for each
    output, and returns 0; or what went wrong, as the file's header says. An input for which an
    output has the new value is a part of the state, `NAME_state`.

    Raises:
        CompileError: something cannot be expressed; the message names the node.

    >>> from miniflow.ir import Builder, ValueType
    >>> b = Builder()
    >>> x = b.input(ValueType("f32", (2, 3)), name="x")
    >>> code = to_c(b.program([b.add("negative", (x,), name="n")]), "f")
    >>> print(code[code.index("int f_run(", code.index("f_memory")) :].split("}")[0])
    int f_run(const float *x, float *out) {
      return f_run_with(&f_memory, x, out);
    <BLANKLINE>
    """
    import numpy as np

    from miniflow.backends.c.names import CNames
    from miniflow.backends.c.printing import Field, FunctionOfFile, print_file

    names, words = CNames(), CNames()
    replaced = {output.replaces for output in program.outputs}
    fields = {
        number: Field(names(e.variable.name), e.variable.type, np.zeros(e.variable.shape, dtype))
        for number, e in enumerate(program.inputs)
        if e.variable in replaced and (dtype := DTYPES[e.variable.dtype])
    }
    outputs = [words(output.name or "out") for output in handed_out(program)]
    function = FunctionOfFile("run", program, fields, outputs, "One run.")
    return print_file(name, "", [function], list(fields.values()))


BACKEND = Backend(name="c", lower=to_c, passes=PASSES, purpose=WRITE)
