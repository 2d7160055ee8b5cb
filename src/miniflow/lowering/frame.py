"""What stands around a step's work: what the caller hands in, and what it gets.

New values of inputs are computed in place where that is possible, and else copied at the end. A
result that is the old value of something is copied before anything is overwritten. What the caller
gets is the caller's own.
"""

from __future__ import annotations

from collections.abc import Mapping

from miniflow.ir import Output, Variable
from miniflow.lowering.draft import Draft
from miniflow.lowering.loop_program import KEPT, RESULT, BufferView, Copy, Number
from miniflow.lowering.plan import StepPlan
from miniflow.lowering.values import Values
from miniflow.lowering.views import c_strides

Copies = Mapping[Output, BufferView]


def take_arguments(plan: StepPlan, values: Values) -> tuple[str, ...]:
    """Return the buffers that the caller hands in."""
    return tuple(values.place(entry.variable).buffer for entry in plan.program.inputs)


def copy_old_values(draft: Draft, plan: StepPlan, values: Values) -> Copies:
    """Copy what is to be handed out, or assigned, as it was before this step; say where."""
    replaced = {o.replaces for o in plan.program.outputs if o.replaces is not None}
    copies: dict[Output, BufferView] = {}
    for output in plan.program.outputs:
        value = output.operand
        if not isinstance(value, Variable) or value is output.replaces or value.kind != "array":
            continue
        if values.layout(value).base in replaced:
            role = RESULT if output.replaces is None else KEPT
            copies[output] = _copy(draft, values, value, role)
    return copies


def _copy(draft: Draft, values: Values, value: Variable, role: str) -> BufferView:
    place = values.place(value)
    name = draft.declare(Variable(value.type, value.name), role)
    copy = BufferView(name, place.dtype, 0, place.shape, c_strides(place.shape))
    draft.add(Copy(copy, place))
    return copy


def assign_new_values(
    draft: Draft, plan: StepPlan, values: Values, copies: Copies, in_one_piece: bool = False
) -> None:
    """Copy the new values that have not been computed in place; those that lie scattered by way of
    a copy `in_one_piece`, if that is asked for.
    """
    assigned: list[Copy] = []
    for output in plan.program.outputs:
        new, old = output.operand, output.replaces
        if old is None or new is old or not isinstance(new, Variable):
            continue
        if values.home(new) is not old:
            source = copies.get(output) or values.place(new)
            if in_one_piece and not source.is_contiguous:
                source = _copy(draft, values, new, KEPT)
            assigned.append(Copy(values.place(old), source))
    for copy in assigned:
        draft.add(copy)


def hand_out(draft: Draft, plan: StepPlan, values: Values, copies: Copies) -> tuple[Number, ...]:
    """Return what the caller gets: of arrays, results that are handed out once."""
    given: set[Variable] = set()
    found: list[Number] = []
    for output in plan.handed_out():
        value = output.operand
        if output in copies:
            found.append(copies[output])
        elif not isinstance(value, Variable) or value.kind != "array":
            found.append(values.operand(value))
        elif value in plan.returned and value not in given:
            given.add(value)
            found.append(values.place(value))
        else:
            found.append(_copy(draft, values, value, RESULT))
    return tuple(found)
