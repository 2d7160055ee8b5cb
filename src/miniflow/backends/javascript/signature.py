"""The outside of the function: its arguments, its results, and what it tells about both."""

from __future__ import annotations

import json
from typing import Any

from miniflow.backends.javascript.dialect import quoted
from miniflow.backends.javascript.nest import NestText
from miniflow.backends.javascript.source import ScriptSource
from miniflow.backends.javascript.values import TYPED_ARRAYS, class_of, tag_of
from miniflow.ir.program import Literal, Output, Program, Variable


def read_arguments(source: ScriptSource) -> None:
    """Add the lines that name the constants and the arguments, and check them."""
    for place, constant in enumerate(source.program.constants):
        name = source.names(constant.variable)
        source.setup.append(f"const {name} = {_array(constant.variable, f'constants[{place}]')};")
    replaced = {output.replaces for output in source.program.outputs}
    for place, entry in enumerate(source.program.inputs):
        variable, given = entry.variable, f"args[{place}]"
        if variable.kind == "array":
            value = _array(variable, given, "owned" if variable in replaced else "fed")
        else:
            value = _number(tag_of(variable), given)
        source.lines.append(f"const {source.names(variable)} = {value};")


def _array(variable: Variable, given: str, function: str = "fed") -> str:
    kind, name = TYPED_ARRAYS[variable.dtype], quoted(variable.name or "an array")
    return f"{function}({given}, {kind}, {variable.type.size}, {name})"


def _number(tag: str, given: str) -> str:
    """A number as it is computed with; a Boolean or a bigint may be given as a number."""
    match class_of(tag):
        case "bigs":
            return f"BigInt({given})"
        case "bools":
            return f"Boolean({given})"
    return f"fround({given})" if tag == "f32" else f"Number({given})"


def write_results(source: ScriptSource, looks_at_new: bool) -> None:
    """Add the lines that update arguments, and return the results: after all that may throw, and
    after a look at what is new, if that is asked for.
    """
    outputs, nest = source.program.outputs, NestText(())
    updated = [o for o in outputs if o.replaces is not None and o.replaces.kind == "array"]
    value = next((o.operand for o in outputs if o.replaces is None), None)
    if updated and value is not None and value.shape == () and value.dtype[0] == "f":
        number, name = source.read(value, value.dtype, nest).text, getattr(value, "name", None)
        nest.add(f"finite({number}, {quoted(name or 'the value')});")
    for output in updated:
        new, old = output.operand, output.replaces
        if looks_at_new and new is not old and new.dtype[0] == "f":
            assert isinstance(new, Variable)
            assert isinstance(old, Variable)
            arrays = f"{source.array(old)}, {source.array(new)}"
            nest.add(f"staysFinite({arrays}, {quoted(old.name or 'an array')});")
    for output in updated:
        new, old = output.operand, output.replaces
        assert isinstance(new, Variable)
        assert isinstance(old, Variable)
        if new is not old:
            nest.add(f"{source.array(old)}.set({source.array(new)});")
    nest.add(f"return [{', '.join(_result(source, o, nest) for o in outputs)}];")
    source.close(nest)


def _result(source: ScriptSource, output: Output, nest: NestText) -> str:
    operand = output.operand
    if operand.kind == "array":
        assert isinstance(operand, Variable)
        if output.replaces is not None:
            return source.names(output.replaces)
        return f"{source.array(operand)}.slice()"
    return source.read(operand, tag_of(operand), nest).text


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
