"""A model as a module of JavaScript, for any number of rows, with its arrays in it.

The JavaScript backend writes a function for one number of rows. For any number, it writes two, and
the texts are laid side by side: where they differ, and in nothing but whole numbers, stands a·n +
b. A third has to be what follows from that. All that the backend knows of it is that nothing else
may depend on sizes.
"""

import json
import re
from typing import Any

from miniflow.backends.javascript import ARRAYS_JS, array_text
from miniflow.backends.javascript import BACKEND as JAVASCRIPT
from miniflow.backends.javascript import to_javascript as function_of
from miniflow.backends.rows import three_primes
from miniflow.errors import CompileError
from miniflow.exports.facts import facts_of, list_of
from miniflow.graph.values import describe
from miniflow.ir.dtypes import dtype_name
from miniflow.ir.program import Program
from miniflow.models import Model
from miniflow.options import OptionError
from miniflow.passes import optimize

NUMBER = re.compile(r"(\d+)(n?)")
ROWS = "$rows"


def to_javascript(what: Any, name: str = "program", *, batch: int | None = None) -> str:
    """Return a model as the text of a JavaScript module, or a program as that of one function.

    Args:
        what: a `Model`; or a `Program`, such as `mf.compile(...).program`, for which
            `backends.javascript.to_javascript` is asked.
        name: of the function; "program" by default.
        batch: of a model, for how many rows; by default for any number.

    The module exports `predict(...)`, which takes an array (typed or plain, in C order) for each
    input and returns the output's numbers in a typed array; `inputs` and `outputs`, which say
    names, shapes, dtypes and what the numbers mean; and `classNames`, null where they have none.

    Raises:
        CompileError: something cannot be expressed, or `name` is no name of a function.
        OptionError: `what` is neither.

    >>> import pathlib, tempfile, numpy as np, miniflow as mf
    >>> X, W = mf.Input("X"), mf.Parameter([[1.0], [2.0]], "W")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "model.safetensors")
    ...     mf.save(X @ W, path, inputs={X: np.zeros((1, 2))})
    ...     print(mf.to_javascript(mf.load(path)).splitlines()[0])
    // A model, written by miniflow 0.2.0.
    """
    if isinstance(what, Program):
        if batch is not None:
            raise OptionError(
                "to_javascript: a program has its number of rows: batch is for models."
            )
        return function_of(what, name)
    if not isinstance(what, Model):
        raise OptionError(f"to_javascript: a model or a program is written, not {describe(what)}.")
    return _module(what, name, batch)


def _module(model: Model, name: str, batch: int | None) -> str:
    facts = facts_of(model, batch)
    grows = batch is None and any(None in entry.shape for entry in model.inputs)
    code = _for_any_rows(model, name) if grows else _function(model, name, batch or 1)
    arrays = ",\n".join(
        f'  typedArray("{dtype_name(c.value.dtype)}", "{array_text(c.value)}")'
        for c in _optimized(model, batch or 2).constants
    )
    about = "\n".join(f"// {line}" for line in facts.text().splitlines())
    parts = [
        about,
        ARRAYS_JS.strip(),
        code.strip(),
        f"export const inputs = {_json(list_of(facts.inputs))};",
        f"export const outputs = {_json(list_of(facts.outputs))};",
        f"export const classNames = {_json(facts.class_names)};",
        f"const constants = [\n{arrays}\n];",
        _PREDICT.replace("NAME", name).replace("ROWS", "null" if grows else str(batch or 1)),
    ]
    return "\n\n".join(parts) + "\n"


_PREDICT = """const made = new Map();

/** How many rows an argument has; null where its shape does not depend on them. */
function rowsOf(array, { shape }) {
  if (shape[0] !== null) return null;
  const size = shape.slice(1).reduce((product, length) => product * length, 1);
  if (array.length % size !== 0) {
    throw new RangeError(`a row has ${size} numbers, which ${array.length} are no rows of`);
  }
  return array.length / size;
}

/** The output for an array for each input, row after row. */
export function predict(...args) {
  let rows = ROWS;
  if (rows === null) {
    const counts = inputs.map((entry, i) => rowsOf(args[i], entry)).filter((n) => n !== null);
    rows = counts[0];
    if (counts.some((count) => count !== rows)) throw new RangeError(`numbers of rows: ${counts}`);
  }
  if (!made.has(rows)) {
    made.clear();
    made.set(rows, NAME(constants, rows));
  }
  return made.get(rows).run(args)[0];
}"""


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=True)


def _optimized(model: Model, rows: int) -> Program:
    return optimize(model.program_for(rows), JAVASCRIPT.passes)


def _function(model: Model, name: str, rows: int, for_any_rows: bool = False) -> str:
    return function_of(_optimized(model, rows), name, for_any_rows=for_any_rows)


def _for_any_rows(model: Model, name: str) -> str:
    """The function with one more argument, the number of rows."""
    primes = three_primes(model.program_for)
    texts = {n: _function(model, name, n, for_any_rows=True) for n in primes}
    found = _with_rows(texts, f"function {name}(constants)", f"function {name}(constants, {ROWS})")
    if found is None:
        raise CompileError(
            "The model's code depends on the number of rows in more than its sizes: "
            "export it for one number of rows, batch=1."
        )
    return found


def _with_rows(texts: dict[int, str], head: str, new_head: str) -> str | None:
    """One text for all numbers of rows; None if they differ in more than lines a·n + b."""
    (n, first), (m, second), (k, third) = texts.items()
    pieces = [NUMBER.split(text) for text in (first, second, third)]
    if len({len(piece) for piece in pieces}) != 1:
        return None
    written = []
    for place, (a, b, c) in enumerate(zip(*pieces, strict=True)):
        if a == b == c:
            written.append(a)
            continue
        if place % 3 != 1:
            return None
        slope, rest = divmod(int(b) - int(a), m - n)
        offset = int(a) - slope * n
        if rest or slope * k + offset != int(c):
            return None
        line = ROWS if slope == 1 else f"{slope} * {ROWS}"
        line = f"({line}{offset:+d})" if offset else f"({line})"
        is_big = pieces[0][place + 1] == "n"
        written.append(f"BigInt{line}" if is_big else line)
        if is_big:
            for piece in pieces:
                piece[place + 1] = ""
    return "".join(written).replace(head, new_head, 1)
