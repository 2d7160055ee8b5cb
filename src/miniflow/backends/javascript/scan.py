"""A scan as JavaScript: the body is a function of its own, within the function of the program, and
is called in a loop; it writes each state into the history.
"""

from __future__ import annotations

from collections.abc import Callable

from miniflow.backends.javascript.nest import INDENT, NestText
from miniflow.backends.javascript.source import ScriptSource
from miniflow.backends.javascript.values import ScriptExpression, tag_of
from miniflow.ir.program import Equation, Operand, Program, Variable
from miniflow.lowering.bodies import body_in_place


def write_scan(
    source: ScriptSource, equation: Equation, function_text: Callable[[Program, str], str]
) -> None:
    """Add the lines of a scan to `run`, and its body to the set-up."""
    source.lines += source.label(equation.origin)
    body, turn = source.fresh("body"), source.fresh("turn")
    source.setup += function_text(body_in_place(equation.params["body"]), body).rstrip().split("\n")
    source.setup.append(f"const {turn} = {body}([]);")
    result = equation.result
    count = result.shape[0]
    first, *rest = equation.operands
    split = equation.params["sequences"]
    state, t, place = (source.fresh(hint) for hint in ("state", "turn_number", "place"))
    items = [_item(source, x, t) for x in rest[:split]]
    outside = [_value(source, x) for x in rest[split:]]
    order = f"{t} = 0; {t} < {count}; {t}++"
    if equation.params["reverse"]:
        order = f"{t} = {count - 1}; {t} >= 0; {t}--"
    given = ", ".join([state, *items, *outside, place])
    new = place if result.shape[1:] else source.place(result, t).text
    source.lines += [
        f"let {state} = {_value(source, first)};",
        f"for (let {order}) {{",
        f"{INDENT}const {place} = {_part(source.array(result), result, t)};",
        f"{INDENT}{turn}.run([{given}]);",
        f"{INDENT}{state} = {new};",
        "}",
    ]


def _value(source: ScriptSource, operand: Operand) -> str:
    if operand.kind != "array":
        value: ScriptExpression = source.read(operand, tag_of(operand), NestText(()))
        return value.text
    return source.array(_memory(source, operand))


def _memory(source: ScriptSource, operand: Operand) -> Variable:
    base = source.views.of(operand).base
    assert isinstance(base, Variable)
    return base


def _item(source: ScriptSource, sequence: Operand, t: str) -> str:
    memory = _memory(source, sequence)
    if not sequence.shape[1:]:
        return source.place(memory, t).text
    return _part(source.array(memory), sequence, t)


def _part(name: str, sequence: Operand, t: str) -> str:
    size = sequence.type.size // sequence.shape[0]
    return f"{name}.subarray({t} * {size}, ({t} + 1) * {size})"
