"""The JavaScript backend: a program becomes one plain function on typed arrays, without dependency.

    code = to_javascript(step.program, name="step")

The way there: `miniflow.lowering` makes a loop program of it, as it does for native code: memory,
and steps that are nests of loops, products, copies and loops of steps. `print_js` prints the nests,
`conversions` says how numbers of each dtype are written and rounded. `step` writes the calls of
these, one after the other, with arithmetic of Python's `numbers` before them, into a
`ScriptSource`; `memory` has the arrays that they work on, `signature` what is around them, and
`function` puts the text together. What NumPy has and JavaScript has not is in `functions.js`.

It is not among the backends that `compile` can run, as there is no JavaScript in Python: the code
is for a page.
"""

from __future__ import annotations

import base64
from importlib.resources import files

import numpy as np

from miniflow.backends.backend import WRITE, Backend
from miniflow.ir.dtypes import Array, dtype_name
from miniflow.ir.program import Program
from miniflow.passes import TIDY, hoist

__all__ = ["ARRAYS_JS", "BACKEND", "array_text", "to_javascript"]

ARRAYS_JS = (files(__package__) / "arrays.js").read_text(encoding="utf-8")
"""The text of `typedArray(dtype, base64)`, which reads in a page what `array_text` wrote."""


def array_text(array: Array) -> str:
    """Return an array as base64 text, for `typedArray` in a page to read.

    >>> array_text(np.array([1.0, -2.0], np.float32))
    'AACAPwAAAMA='
    """
    dtype = "f4" if dtype_name(array.dtype) == "f16" else array.dtype.newbyteorder("<")
    return base64.b64encode(np.ascontiguousarray(array, dtype).tobytes()).decode("ascii")


def to_javascript(program: Program, name: str = "program", *, for_any_rows: bool = False) -> str:
    """Return a program as the text of one JavaScript function.

    Args:
        program: what to write. That of `mf.compile(...)` (its `.program`) is optimised already;
            others may be given to `miniflow.passes.optimize` first.
        name: of the function.
        for_any_rows: whether the text shall be one for other numbers of rows as well, once its
            whole numbers are replaced: nothing else in it depends on them.

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
    >>> print(code[code.index("  function kernel") : code.index("  return {")].rstrip())
      function kernel_1(a1, a2) {
        for (let j = 0; j < 6; j++) {
          a2[j] = exp_f32(a1[j]);
        }
      }
    <BLANKLINE>
      function run(args) {
        const x = fed(args[0], Float32Array, 6, "x");
        const e = new Float32Array(6);
        kernel_1(x, e);
    <BLANKLINE>
        return [e];
      }
    """
    from miniflow.backends.javascript.function import function_text

    return function_text(program, name, for_any_rows)


BACKEND = Backend(name="javascript", lower=to_javascript, passes=(*TIDY, hoist), purpose=WRITE)
