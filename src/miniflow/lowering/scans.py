"""A scan becomes a `Repeat` of its body's steps, whose places move with the time.

The history has one more row than there are items, for the first state: so each turn reads its state
in one row and writes the next one into the row after it, or before it, in reverse.

    h[at 0] = first
    repeat t in 28:
        ... h[32 * t] ... x[12 * t] ...
        h[32 + 32 * t] = ...
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from miniflow.ir import Equation, Literal, Operand
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
    """Write the loop; `write_groups` writes the steps of the body."""
    result, params = scan.result, scan.params
    first, *others = scan.operands
    count, is_reverse = result.shape[0], params["reverse"]
    row = prod(result.shape[1:])
    memory = draft.new(result.name or "states", result.dtype, (count + 1, *result.shape[1:]))
    states = memory._replace(shape=result.shape[1:], strides=c_strides(result.shape[1:]))
    shape, strides = result.shape, c_strides(result.shape)
    values.bind(
        result, BufferView(memory.buffer, result.dtype, 0 if is_reverse else row, shape, strides)
    )
    step = -row if is_reverse else row
    start = count * row if is_reverse else 0
    before = values.in_memory(first, result.dtype)
    assert before is not None
    laid = before._replace(shape=states.shape, strides=before.strides or states.strides)
    draft.add(Copy(states._replace(offset=start), laid, equations=(scan,)))
    items = [_in_one_piece(x, scan, draft, values) for x in others[: params["sequences"]]]
    outside = [_in_one_piece(x, scan, draft, values) for x in others[params["sequences"] :]]
    body = body_in_place(params["body"])
    plan = make_plan(fuse(body, draft.target.can_fuse), adds_products=draft.target.adds_products)
    draft.made_in.update(dict.fromkeys(body.equations, draft.made_in.get(scan, scan)))
    with draft.repeat("t", count) as index:
        now = states._replace(offset=start, moves=(*states.moves, (index, step)))
        places: list[Number] = [now]
        places += (_item(x, index, count, is_reverse) for x in items)
        places += [*outside, now._replace(offset=start + step)]
        inner = Values(
            draft, plan, dict(zip((e.variable for e in body.inputs), places, strict=True))
        )
        write_groups(draft, plan, inner)
        assign_new_values(draft, plan, inner, {})


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
