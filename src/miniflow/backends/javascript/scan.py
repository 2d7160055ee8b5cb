"""A scan as JavaScript: the body is a function of its own, within the function of the program, and
is called in a loop; it writes each state into the history.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from miniflow.backends.javascript.print_js import INDENT
from miniflow.ir.program import Equation, Operand
from miniflow.lowering.bodies import body_in_place

if TYPE_CHECKING:
    from miniflow.backends.javascript.step import StepWriter


def write_scan(step: StepWriter, equation: Equation) -> None:
    """Add the lines of a scan to `run`, and its body to the set-up."""
    source, result = step.source, equation.result
    first, *rest = (step.whole(operand) for operand in equation.operands)
    body, turn = source.fresh("body"), source.fresh("turn")
    text = step.function_text(body_in_place(equation.params["body"]), body)
    source.setup += [*text.rstrip().split("\n"), f"const {turn} = {body}([]);"]
    count, split = result.shape[0], equation.params["sequences"]
    state, t, place = (source.fresh(hint) for hint in ("state", "turn_number", "place"))
    items = [_item(step, x, t) for x in rest[:split]]
    outside = [_value(step, x) for x in rest[split:]]
    order = f"{t} = 0; {t} < {count}; {t}++"
    if equation.params["reverse"]:
        order = f"{t} = {count - 1}; {t} >= 0; {t}--"
    given = ", ".join([state, *items, *outside, place])
    history = source.array(step.home(result))
    new = place if result.shape[1:] else step.entry(history, t, result.dtype)
    source.lines += [
        f"let {state} = {_value(step, first)};",
        f"for (let {order}) {{",
        f"{INDENT}const {place} = {_part(history, result, t)};",
        f"{INDENT}{turn}.run([{given}]);",
        f"{INDENT}{state} = {new};",
        "}",
    ]


def _value(step: StepWriter, operand: Operand) -> str:
    return step.number(operand) if operand.kind != "array" else step.array_of(operand)


def _item(step: StepWriter, sequence: Operand, t: str) -> str:
    if not sequence.shape[1:]:
        return step.entry(step.array_of(sequence), t, sequence.dtype)
    return _part(step.array_of(sequence), sequence, t)


def _part(name: str, sequence: Operand, t: str) -> str:
    size = sequence.type.size // sequence.shape[0]
    return f"{name}.subarray({t} * {size}, ({t} + 1) * {size})"
