"""A scan becomes a `Repeat` of its body's steps, whose places move with the time.

The history has one more row than there are items, for the first state: so each turn reads its state
in one row and writes the next one into the row after it, or before it, in reverse. What else scans
show of the same body (`passes.keep`) is written by the same loop, each turn into its own row.

    h[at 0] = first
    repeat t in 28:
        ... h[32 * t] ... x[12 * t] ...
        h[32 + 32 * t] = ...
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import prod

from miniflow.ir import Equation, Literal, Operand
from miniflow.ir.loop import body_of
from miniflow.ir.program import Output
from miniflow.lowering.bodies import body_in_place
from miniflow.lowering.draft import Draft
from miniflow.lowering.frame import assign_new_values
from miniflow.lowering.fuse import fuse
from miniflow.lowering.loop_program import BufferView, Copy, Number
from miniflow.lowering.plan import StepPlan, make_plan
from miniflow.lowering.values import Values
from miniflow.lowering.views import c_strides

WriteGroups = Callable[[Draft, StepPlan, Values], None]


def write_scan(scan: Equation, draft: Draft, values: Values, write_groups: WriteGroups) -> None:
    """Write the loop, for all scans of the program that are the same but for what they show, unless
    it is there already; `write_groups` writes the steps of the body.
    """
    if values.is_bound(scan.result):
        return
    params = scan.params
    first, *others = scan.operands
    start_type = params["body"].inputs[0].variable.type
    count, is_reverse, shape = scan.result.shape[0], params["reverse"], start_type.shape
    row = prod(shape)
    same = [e for e in values.program.equations if is_same_loop(e, scan)]
    word = next((e.result.name for e in same if len(e.params["body"].outputs) == 1), None)
    memory = draft.new(word or "states", start_type.dtype, (count + 1, *shape))
    states = memory._replace(shape=shape, strides=c_strides(shape))
    step = -row if is_reverse else row
    start = count * row if is_reverse else 0
    before = values.in_memory(first, start_type.dtype)
    assert before is not None
    laid = before._replace(shape=states.shape, strides=before.strides or states.strides)
    draft.add(Copy(states._replace(offset=start), laid, equations=(scan,)))
    items = [_in_one_piece(x, scan, draft, values) for x in others[: params["sequences"]]]
    outside = [_in_one_piece(x, scan, draft, values) for x in others[params["sequences"] :]]
    shown: dict[Operand, BufferView] = {}
    new = params["body"].outputs[0]
    for equation in same:
        result, output = equation.result, equation.params["body"].outputs[-1]
        if len(equation.params["body"].outputs) == 1:
            whole = memory._replace(offset=0 if is_reverse else row, shape=result.shape)
            values.bind(result, whole)
            continue
        if output.operand not in shown:
            shown[output.operand] = draft.new(result.name or "values", result.dtype, result.shape)
        values.bind(result, shown[output.operand])
    all_outputs = (new, *(Output(operand) for operand in shown))
    body = body_in_place(replace(params["body"], outputs=all_outputs))
    plan = make_plan(fuse(body, draft.target.can_fuse), adds_products=draft.target.adds_products)
    draft.made_in.update(dict.fromkeys(body.equations, draft.made_in.get(scan, scan)))
    with draft.repeat("t", count) as index:
        now = states._replace(offset=start, moves=(*states.moves, (index, step)))
        places: list[Number] = [now]
        places += (_item(x, index, count, is_reverse) for x in items)
        places += [*outside, now._replace(offset=start + step)]
        places += (_item(x, index, count, is_reverse) for x in shown.values())
        inner = Values(
            draft, plan, dict(zip((e.variable for e in body.inputs), places, strict=True))
        )
        write_groups(draft, plan, inner)
        assign_new_values(draft, plan, inner, {})


def is_same_loop(a: Equation, b: Equation) -> bool:
    """Whether two equations are scans that differ in what they show alone."""
    first, second = body_of(a), body_of(b)
    if first is None or second is None or first.equations is not second.equations:
        return False
    is_same = a.params["sequences"], a.params["reverse"]
    return a.operands == b.operands and is_same == (b.params["sequences"], b.params["reverse"])


def _item(sequence: Number, index: str, count: int, is_reverse: bool) -> BufferView:
    """Where the item of a sequence is at each time."""
    assert isinstance(sequence, BufferView)
    step = sequence.strides[0]
    return sequence._replace(
        offset=sequence.offset + ((count - 1) * step if is_reverse else 0),
        shape=sequence.shape[1:],
        strides=sequence.strides[1:],
        moves=(*sequence.moves, (index, -step if is_reverse else step)),
    )


def _in_one_piece(operand: Operand, scan: Equation, draft: Draft, values: Values) -> Number:
    """Where an operand lies; in the order of its elements, which a body takes for granted."""
    found = values.operand(operand)
    if isinstance(found, Literal) or operand.kind != "array" or found.is_contiguous:
        return found
    copy = draft.new(found.buffer, found.dtype, found.shape)
    draft.add(Copy(copy, found, equations=(scan,)))
    return copy
