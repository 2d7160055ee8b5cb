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
from typing import Final

from miniflow.ir import DTYPES, Equation, Literal, Operand, Program, ValueType, Variable
from miniflow.ir.loop import body_of
from miniflow.ir.program import Input, Output
from miniflow.lowering.bodies import body_in_place
from miniflow.lowering.draft import Draft
from miniflow.lowering.frame import assign_new_values
from miniflow.lowering.fuse import fuse
from miniflow.lowering.loop_program import BufferView, Copy, Number
from miniflow.lowering.plan import StepPlan, make_plan
from miniflow.lowering.values import Values
from miniflow.lowering.views import c_strides

_LONG: Final = 64  # bytes of a row
WriteGroups = Callable[[Draft, StepPlan, Values], None]


def write_scan(scan: Equation, draft: Draft, values: Values, write_groups: WriteGroups) -> None:
    """Write the loop, for all scans of the program that are the same but for what they show;
    `write_groups` writes the steps of the body.
    """
    params = scan.params
    first, *others = scan.operands
    start_type = params["body"].inputs[0].variable.type
    count, is_reverse, shape = scan.result.shape[0], params["reverse"], start_type.shape
    row = prod(shape)
    same = [e for e in values.program.equations if is_same_loop(e, scan)]
    word = next((e.result.name for e in same if _shows_state(e)), None)
    memory = draft.new(word or "states", start_type.dtype, (count + 1, *shape))
    states = memory._replace(shape=shape, strides=c_strides(shape))
    step = -row if is_reverse else row
    start = count * row if is_reverse else 0
    before = values.in_memory(first, start_type.dtype)
    assert before is not None
    laid = before._replace(shape=states.shape, strides=before.strides or states.strides)
    draft.add(Copy(states._replace(offset=start), laid, equations=(scan,)))
    body, items = _with_items(scan, draft, values)
    outside = [_in_one_piece(x, scan, draft, values) for x in others[params["sequences"] :]]
    shown: dict[Operand, BufferView] = {}
    new = params["body"].outputs[0]
    for equation in same:
        result, output = equation.result, equation.params["body"].outputs[-1]
        if _shows_state(equation):
            whole = memory._replace(offset=0 if is_reverse else row, shape=result.shape)
            values.bind(result, whole)
            continue
        if output.operand not in shown:
            shown[output.operand] = draft.new(result.name or "values", result.dtype, result.shape)
        values.bind(result, shown[output.operand])
    _bind_states_before(scan, memory, values)
    all_outputs = (new, *(Output(operand) for operand in shown))
    body = body_in_place(replace(body, outputs=all_outputs))
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


def _bind_states_before(scan: Equation, memory: BufferView, values: Values) -> None:
    """Let the states before each turn, where they are put together after the loop, be rows of what
    the loop has written.
    """
    made: dict[Operand, Equation] = {e.result: e for e in values.program.equations}
    histories = [e.result for e in made.values() if is_same_loop(e, scan) and _shows_state(e)]
    if not histories or not values.is_alone(histories[0]):
        return
    (history, *_), is_reverse = histories, scan.params["reverse"]
    count, row = history.shape[0], prod(history.shape[1:])
    whole = tuple((0, length, 1) for length in history.shape[1:])

    def is_first(x: Operand) -> bool:
        equation = made.get(x)
        first = made.get(scan.operands[0])
        if equation is None or equation.primitive == "reshape":
            return equation is not None and equation.operands[0] is scan.operands[0]
        is_full = first is not None and equation.primitive == first.primitive == "full"
        return is_full and first is not None and equation.operands == first.operands

    def is_rest(x: Operand) -> bool:
        equation = made.get(x)
        if equation is None or equation.primitive != "slice" or equation.operands[0] is not history:
            return False
        return bool(equation.params["index"] == ((int(is_reverse), count - 1, 1), *whole))

    for equation in values.program.equations:
        if equation.primitive == "concatenate" and len(equation.operands) == 2:
            first, rest = equation.operands[:: -1 if is_reverse else 1]
            is_before = equation.result.type == history.type and is_first(first) and is_rest(rest)
            if is_before and values.is_alone(equation.result):
                start = row if is_reverse else 0
                values.bind(equation.result, memory._replace(offset=start, shape=history.shape))


def _shows_state(scan: Equation) -> bool:
    return len(scan.params["body"].outputs) == 1


def is_same_loop(a: Equation, b: Equation) -> bool:
    """Whether two equations are scans that differ in what they show alone."""
    first, second = body_of(a), body_of(b)
    if first is None or second is None or first.equations is not second.equations:
        return False
    is_same = a.params["sequences"], a.params["reverse"]
    return a.operands == b.operands and is_same == (b.params["sequences"], b.params["reverse"])


def _with_items(scan: Equation, draft: Draft, values: Values) -> tuple[Program, list[Number]]:
    """The body, and where the items of each sequence lie. Where their rows are long and lie apart,
    as after a transposition, the body looks at the first part of longer ones; else what does not
    lie in one piece is copied.
    """
    body, places = scan.params["body"], list[Number]()
    inputs, looks = list(body.inputs), list[Equation]()
    for number, x in enumerate(scan.operands[1 : 1 + scan.params["sequences"]], 1):
        found = values.operand(x)
        if not isinstance(found, BufferView) or not _has_long_rows(found):
            places.append(_in_one_piece(x, scan, draft, values))
            continue
        (_, rows, length), apart = found.shape, found.strides[1]
        longer = Variable(ValueType(found.dtype, (rows, apart)), inputs[number].variable.name)
        index = ((0, rows, 1), (0, length, 1))
        looks.append(Equation("slice", (longer,), {"index": index}, inputs[number].variable))
        inputs[number] = Input(longer)
        shape, strides = (found.shape[0], rows, apart), (found.strides[0], apart, 1)
        places.append(found._replace(shape=shape, strides=strides))
    return replace(body, inputs=tuple(inputs), equations=(*looks, *body.equations)), places


def _has_long_rows(view: BufferView) -> bool:
    """Whether the items of a sequence are matrices whose rows lie apart, each in one piece, and are
    at least as long as a vector.
    """
    if len(view.shape) != 3 or view.is_contiguous:
        return False
    nbytes = view.shape[2] * DTYPES[view.dtype].itemsize
    return view.strides[2] == 1 and view.strides[1] >= view.shape[2] and nbytes >= _LONG


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
