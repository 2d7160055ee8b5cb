"""The outside of the function: its arguments, its results, and what it tells about both."""

from __future__ import annotations

import json
from typing import Any

from miniflow.backends.javascript.step import StepPrinter
from miniflow.backends.javascript.values import quoted
from miniflow.ir.program import Literal, Program, Variable


def write_results(printer: StepPrinter, looks_at_new: bool) -> None:
    """Add the lines that update arguments, and return the results: after all that may throw, and
    after a look at what is new, if that is asked for.
    """
    source, outputs = printer.source, printer.program.outputs
    names = {
        printer.name_of[o.replaces]: o.replaces.name or "an array"
        for o in outputs
        if o.replaces is not None and o.replaces.kind == "array"
    }
    results = iter(printer.loop_program.outputs)
    texts, value = list[str](), None
    for output in outputs:
        old = output.replaces
        if isinstance(old, Variable) and old.kind == "array":
            texts.append(printer.name_of[old])
            continue
        result = next(results)
        is_array = output.operand.kind == "array"
        texts.append(result.buffer if is_array else printer.number(result))  # type: ignore[union-attr]
        if old is None and value is None:
            value = texts[-1], output.operand
    source.lines.append("")
    if names and value is not None and value[1].shape == () and value[1].dtype[0] == "f":
        told = quoted(getattr(value[1], "name", None) or "the value")
        source.lines.append(f"finite({value[0]}, {told});")
    arrays = [(copy.target.buffer, printer.array(copy.source)) for copy in printer.assigned]
    for (name, array), copy in zip(arrays, printer.assigned, strict=True):
        if looks_at_new and copy.target.dtype[0] == "f":
            source.lines.append(f"staysFinite({name}, {array}, {quoted(names[name])});")
    source.lines += (f"{name}.set({array});" for name, array in arrays)
    source.lines.append(f"return [{', '.join(texts)}];")


def signature(program: Program) -> dict[str, list[str]]:
    """What the function tells about its inputs, constants and outputs: lines of JSON."""
    places = {entry.variable: place for place, entry in enumerate(program.inputs)}
    return {
        "inputs": [_described(e.variable, e.variable.name, role=e.role) for e in program.inputs],
        "expected": [_described(c.variable, c.variable.name) for c in program.constants],
        "outputs": [
            _described(
                o.operand,
                o.name or getattr(o.operand, "name", None),
                role=o.role,
                replaces=None if o.replaces is None else places[o.replaces],
            )
            for o in program.outputs
        ],
    }


def _described(operand: Variable | Literal, name: str | None, **more: Any) -> str:
    told = {"name": name, "shape": operand.shape, "dtype": operand.dtype, "kind": operand.kind}
    return json.dumps({**told, **more}).replace("<", "\\u003c")
