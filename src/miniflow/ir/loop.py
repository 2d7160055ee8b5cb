"""The one loop that a program has: `scan`, whose body is a program.

    states = scan(first, x, y, w, body=step, sequences=2, reverse=False)

The *state* is an array that each turn replaces, and the result is its history. The body takes the
state, one item of each sequence (the first so many operands after `first`; time is their first
axis) and the values from outside, which are the same in every turn; its only output is the next
state, of the same dtype and shape. Entry t of the result is the state after item t, also where
`reverse` goes through the items from the last to the first. A body may show something else that it
computes, by a second output: then the result is the history of that. Scans that differ in what they
show alone, with the very same equations in their bodies, can be one loop (`passes.keep`).

States and items without axes are NumPy scalars in the body. A body has no constants: what it needs
comes from outside.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import numpy as np

from miniflow.ir.dtypes import DTYPES, Array, ProgramError, Value, ValueType
from miniflow.ir.primitive import Primitive
from miniflow.ir.program import Equation, Operand, Program
from miniflow.ir.rules import BOOL, INT, Form, check_shape, need_array, of_shape

PROGRAM: Final = Form("a program", lambda value: type(value) is Program)
NAME: Final = "scan"


def body_of(equation: Equation) -> Program | None:
    """The body of a scan; None for every other equation."""
    return equation.params["body"] if equation.primitive == NAME else None


def shows_more(equation: Equation) -> bool:
    """Whether it is a scan that shows what another one computes anyway, by the same body."""
    body = body_of(equation)
    return body is not None and len(body.outputs) > 1


def item_types(first: Operand, sequences: Iterable[Operand]) -> list[ValueType]:
    """The types in which a body gets the state and an item of each sequence."""
    shapes = [(x.dtype, x.shape[1:]) for x in sequences]
    return [of_shape(dtype, shape) for dtype, shape in [(first.dtype, first.shape), *shapes]]


def _scan(first: Value, *values: Value, body: Program, sequences: int, reverse: bool) -> Array:
    from miniflow.ir.evaluate import evaluate

    items, outside = values[:sequences], values[sequences:]
    state: Any = np.asarray(first)[()]
    count = len(items[0])  # type: ignore[arg-type]
    shown = body.outputs[-1].operand
    history = np.empty((count, *shown.shape), DTYPES[shown.dtype])
    for t in range(count)[:: -1 if reverse else 1]:
        now = [x[t] for x in items]  # type: ignore[index]
        try:
            state, *_, history[t] = 2 * evaluate(body, [state, *now, *outside])
        except ProgramError as error:
            raise error.__cause__ or error from None  # what NumPy said
    return history


def _infer_scan(
    first: Operand, *values: Operand, body: Program, sequences: int, reverse: bool
) -> ValueType:
    if not 1 <= sequences <= len(values):
        raise ProgramError(f"goes through {sequences} of {len(values)} operands")
    if first.type.kind == "python":
        raise ProgramError("a state is an array or a number of NumPy's")
    items, outside = values[:sequences], values[sequences:]
    for x in items:
        need_array(x, 1)
    counts = {x.shape[0] for x in items}
    if len(counts) > 1 or 0 in counts:
        raise ProgramError(f"goes through sequences of {sorted(counts)} items")
    state, *others = item_types(first, items)
    wanted = [state, *others, *(x.type for x in outside)]
    given = [entry.variable.type for entry in body.inputs]
    if given != wanted:
        raise ProgramError(f"its body takes {_list(given)}, and is given {_list(wanted)}")
    if len(body.outputs) not in (1, 2) or any(o.replaces is not None for o in body.outputs):
        raise ProgramError(
            f"its body has {len(body.outputs)} outputs: it has one, the next state, and perhaps "
            "what it shows"
        )
    new = body.outputs[0].operand.type
    if (new.dtype, new.shape) != (state.dtype, state.shape) or new.kind == "python":
        raise ProgramError(f"its state is {state}, and {new} after a turn")
    if body.constants:
        raise ProgramError("its body has constants: they are operands of the scan")
    shown = body.outputs[-1].operand.type
    if shown.kind == "python":
        raise ProgramError(f"what its body shows is {shown}")
    shape = (*counts, *shown.shape)
    check_shape(shape, shown.dtype)
    return ValueType(shown.dtype, shape)


def _list(types: Iterable[ValueType]) -> str:
    return ", ".join(map(str, types))


def _flops(result: ValueType, first: Operand, *values: Operand, body: Program, **_: object) -> int:
    from miniflow.ir.cost import cost

    if len(body.outputs) > 1:
        return 0  # of the loop that computes it anyway
    return result.shape[0] * cost(body).total.flops


SCAN: Final = Primitive(
    NAME,
    "loop",
    None,
    _scan,
    _infer_scan,
    {"body": PROGRAM, "sequences": INT, "reverse": BOOL},
    _flops,
)
