"""The lines around a step's work: taking the arguments apart, handing out the results.

New values of inputs are computed in place where that is possible, and else copied at the end. A
result that is the old value of something is copied before anything is overwritten. What the caller
gets is the caller's own.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping

from miniflow.backends.native.draft import Draft
from miniflow.ir import DTYPES, Output, Variable
from miniflow.lowering.groups import LOOP, NUMBER, EquationGroup


def write_head(draft: Draft) -> None:
    """Write the first lines: where the arguments lie, and memory for results.

    It is called last, when it is known what compiled code reads.
    """
    step, inputs = draft.step, draft.plan.program.inputs
    if inputs:
        names = ", ".join(draft.values.name(entry.variable) for entry in inputs)
        names += "," if len(inputs) == 1 else ""
        *lines, last = textwrap.wrap(f"({names})", 80, subsequent_indent=" ")
        for line in (*lines, f"{last} = arguments"):
            step.head(line)
    kept = 0
    for entry in inputs:
        name, place = draft.values.name(entry.variable), draft.memory.find(entry.variable)
        if place is None:
            continue
        if entry.role == "fed":
            step.head(f"places[{place}] = address_of({name})")
        else:
            update = f"seen[{kept}], places[{place}] = {name}, address_of({name})"
            step.head(f"if {name} is not seen[{kept}]: {update}")
            kept += 1
    step.bind("seen", [None] * kept)
    for variable in sorted(draft.plan.returned, key=draft.values.name):
        name, place = draft.values.name(variable), draft.memory.find(variable)
        dtype = step.bind(f"{variable.dtype}_", DTYPES[variable.dtype])
        step.head(f"{name} = np.empty({variable.shape}, {dtype})")
        if place is not None:
            step.head(f"places[{place}] = address_of({name})")


def copy_old_values(draft: Draft) -> dict[Output, str]:
    """Copy what is to be handed out, or assigned, as it was before this step; return the names."""
    replaced = {o.replaces for o in draft.plan.program.outputs if o.replaces is not None}
    copies: dict[Output, str] = {}
    for output in draft.plan.program.outputs:
        value = output.operand
        if not isinstance(value, Variable) or value is output.replaces or value.kind != "array":
            continue
        if draft.values.layout(value).base in replaced:
            name = copies[output] = f"old_{len(copies) + 1}_"
            draft.step.line(f"{name} = np.array({draft.values.text(value)})")
    return copies


def check_value(draft: Draft, group: EquationGroup) -> None:
    """Write the check that the value is finite, unless it is part of the loop that computes it."""
    if draft.plan.finite is not None and group.kind != LOOP:
        draft.step.bind("check_finite_", _check_finite)
        add = draft.step.first if group.kind == NUMBER else draft.step.line
        add(f"check_finite_({draft.values.text(draft.plan.finite)})")


def _check_finite(value: float) -> None:
    if not math.isfinite(value):
        raise FloatingPointError(f"the value is {value}; nothing was updated")


def assign_new_values(draft: Draft, copies: Mapping[Output, str]) -> None:
    """Copy the new values that have not been computed in place."""
    for output in draft.plan.program.outputs:
        new, old = output.operand, output.replaces
        if old is None or new is old or not isinstance(new, Variable):
            continue
        if draft.memory.home(new) is not old:
            source = copies.get(output) or draft.values.text(new)
            draft.step.line(f"np.copyto({draft.values.name(old)}, {source})")


def hand_out(draft: Draft, copies: Mapping[Output, str]) -> None:
    """Write the line that returns the results."""
    given: set[Variable] = set()
    texts = []
    for output in draft.plan.handed_out():
        value = output.operand
        text = copies.get(output) or draft.values.text(value)
        is_own = output in copies or value.kind != "array"
        if isinstance(value, Variable) and value in draft.plan.returned and value not in given:
            given.add(value)
            is_own = True
        texts.append(text if is_own else f"np.array({text})")
    draft.step.line(f"return [{', '.join(texts)}]")
