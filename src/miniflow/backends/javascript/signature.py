"""The outside of the function: its arguments, its results, and what it tells about both."""

from __future__ import annotations

import json
from typing import Any

from miniflow.backends.javascript.step import StepWriter
from miniflow.backends.javascript.values import TYPED_ARRAYS, quoted
from miniflow.ir.program import Literal, Output, Program, Variable


def read_arguments(step: StepWriter) -> None:
    """Add the lines that name the constants and the arguments, and check them."""
    source, program = step.source, step.source.program
    for place, constant in enumerate(program.constants):
        name = source.names(constant.variable)
        source.setup.append(f"const {name} = {_array(constant.variable, f'constants[{place}]')};")
    replaced = {output.replaces for output in program.outputs}
    for place, entry in enumerate(program.inputs):
        variable, given = entry.variable, f"args[{place}]"
        if variable.kind == "array":
            value = _array(variable, given, "owned" if variable in replaced else "fed")
        else:
            value = _number(variable.dtype, given)
        source.lines.append(f"const {source.names(variable)} = {value};")


def _array(variable: Variable, given: str, function: str = "fed") -> str:
    kind, name = TYPED_ARRAYS[variable.dtype], quoted(variable.name or "an array")
    return f"{function}({given}, {kind}, {variable.type.size}, {name})"


def _number(dtype: str, given: str) -> str:
    """A number as it is computed with; a Boolean or a bigint may be given as a number."""
    if dtype == "bool":
        return f"Boolean({given})"
    if dtype in ("i64", "u64"):
        return f"BigInt({given})"
    return f"fround({given})" if dtype == "f32" else f"Number({given})"


def write_results(step: StepWriter, looks_at_new: bool) -> None:
    """Add the lines that update arguments, and return the results: after all that may throw, and
    after a look at what is new, if that is asked for.
    """
    source, outputs = step.source, step.source.program.outputs
    arrays = {id(o): step.own_array(o) for o in outputs if o.operand.kind == "array"}
    updated = [o for o in outputs if o.replaces is not None and o.replaces.kind == "array"]
    value = next((o.operand for o in outputs if o.replaces is None), None)
    source.lines.append("")
    if updated and value is not None and value.shape == () and value.dtype[0] == "f":
        name = getattr(value, "name", None)
        source.lines.append(f"finite({step.number(value)}, {quoted(name or 'the value')});")
    for output in updated:
        new, old = output.operand, output.replaces
        assert isinstance(old, Variable)
        if looks_at_new and new is not old and new.dtype[0] == "f":
            told = f"{source.names(old)}, {arrays[id(output)]}, {quoted(old.name or 'an array')}"
            source.lines.append(f"staysFinite({told});")
    for output in updated:
        if output.operand is not output.replaces:
            assert output.replaces is not None
            source.lines.append(f"{source.names(output.replaces)}.set({arrays[id(output)]});")
    results = ", ".join(_result(step, output, arrays.get(id(output), "")) for output in outputs)
    source.lines.append(f"return [{results}];")


def _result(step: StepWriter, output: Output, array: str) -> str:
    if output.operand.kind != "array":
        return step.number(output.operand)
    if output.replaces is not None:
        return step.source.names(output.replaces)
    return f"{array}.slice()"


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
