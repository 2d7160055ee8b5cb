"""The JavaScript backend: a program becomes one plain function on typed arrays, without dependency.

    code = to_javascript(step.program, name="step")

The way there: `prepare` rewrites what JavaScript has no need of, `layout` says where elements lie,
`grouping` sorts the equations into loop nests; `loops` and `calls` write these into a `Source`,
with the help of `dialect` (how each primitive is written), `values` (how each dtype is) and `nest`
(the loops themselves). What NumPy has and JavaScript has not is in `functions.js`.

It is not among the backends that `compile` can run, as there is no JavaScript in Python: the code
is for a page.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from importlib.resources import files

import numpy as np

from miniflow.backends.javascript.calls import write_call
from miniflow.backends.javascript.grouping import schedule
from miniflow.backends.javascript.layout import Views
from miniflow.backends.javascript.loops import write_loop
from miniflow.backends.javascript.nest import INDENT
from miniflow.backends.javascript.prepare import prepare
from miniflow.backends.javascript.signature import read_arguments, signature, write_results
from miniflow.backends.javascript.source import WORDS, Source, called_in, functions
from miniflow.errors import CompileError
from miniflow.ir.dtypes import Array, dtype_name
from miniflow.ir.program import Program

__all__ = ["ARRAYS_JS", "array_text", "to_javascript"]

ARRAYS_JS = (files(__package__) / "arrays.js").read_text(encoding="utf-8")
"""The text of `typedArray(dtype, base64)`, which reads in a page what `array_text` wrote."""


def array_text(array: Array) -> str:
    """Return an array as base64 text, for `typedArray` in a page to read.

    >>> array_text(np.array([1.0, -2.0], np.float32))
    'AACAPwAAAMA='
    """
    dtype = "f4" if dtype_name(array.dtype) == "f16" else array.dtype.newbyteorder("<")
    return base64.b64encode(np.ascontiguousarray(array, dtype).tobytes()).decode("ascii")


def to_javascript(program: Program, name: str = "program") -> str:
    """Return a program as the text of one JavaScript function.

    Args:
        program: what to write. That of `mf.compile(...)` (its `.program`) is optimised already;
            others may be given to `miniflow.passes.optimize` first.
        name: of the function.

    Called with the program's constants (a typed array each), the function allocates all memory and
    returns `{inputs, constants, outputs, run}`. `run(args)` takes one argument for each input and
    returns one result for each output. Arrays are typed arrays in C order; integers of 64 bits are
    bigints, and exact. An input for which an output has the new value is updated in place, after
    everything else. Where NumPy or Python would raise, a RangeError is thrown that names the node;
    then nothing was updated. `docs/javascript.md` has the table of types, and an example.

    Raises:
        CompileError: `name` is no name of a function.

    >>> from miniflow.ir import Builder, ValueType
    >>> b = Builder()
    >>> x = b.input(ValueType("f32", (2, 3)), name="x")
    >>> code = to_javascript(b.program([b.add("exp", (x,), name="e")]), "f")
    >>> print(code[code.index("  function run") : code.index("    return [")].rstrip())
      function run(args) {
        const x = fed(args[0], Float32Array, 6, "x");
    <BLANKLINE>
        for (let i = 0; i < 6; i++) {
          e[i] = exp(x[i]);
        }
    """
    if not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) or name in WORDS:
        raise CompileError(f"A function of JavaScript cannot be called {name!r}.")
    prepared = prepare(program)
    views = Views(prepared)
    source = Source(prepared, schedule(prepared, views), views, name)
    read_arguments(source)
    for group in source.plan.groups:
        source.lines.append("")
        if group.space is None:
            write_call(source, group.equations[0])
        else:
            write_loop(source, group)
    source.lines.append("")
    write_results(source)
    return _text(source)


def _text(source: Source) -> str:
    """Put the parts together: what is called, the set-up, `run`, and what is told about it."""
    told = []
    for title, entries in signature(source.program).items():
        told += [f"const {title} = [", *_indented(f"{entry}," for entry in entries), "];"]
    code = ["function run(args) {", *_indented(source.lines), "}"]
    math, ours = called_in("\n".join([*source.setup, *code]))
    parts = [
        [f"const {{ {', '.join(math)} }} = Math;"] if math else [],
        told,
        *(functions()[function].split("\n") for function in ours),
        source.setup,
        code,
        ["return { inputs, constants: expected, outputs, run };"],
    ]
    lines = [f"function {source.name}(constants) {{", '  "use strict";']
    for part in parts:
        lines += ["", *_indented(part)] if part else []
    return "\n".join([*lines, "}"]) + "\n"


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"{INDENT}{line}" if line else "" for line in lines]
