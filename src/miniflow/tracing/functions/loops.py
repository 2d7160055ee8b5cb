"""A loop over time is one equation: its body is recorded once, as a program of its own.

What the body uses from outside are operands of the `scan`. The way back is a scan the other way,
which carries the gradient of the state; it computes nothing else. With all states and all their
gradients there, what is left does not wait for anything: the gradients of the items and of the
nodes outside are computed for all turns at once (`ir.vectorize`), those of weights as one product.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy

from miniflow.graph import Node
from miniflow.graph.plans import Pass
from miniflow.interpreter.loops import (
    LoopNode,
    apart,
    check_sequences,
    check_state,
    loop_backward,
    loop_forward,
    loop_wrt,
)
from miniflow.ir.dtypes import DTYPES, ValueType, dtype_name
from miniflow.ir.loop import item_types
from miniflow.ir.program import (
    Input,
    Literal,
    Operand,
    Origin,
    Params,
    Program,
    Variable,
    count_uses,
    without_unneeded,
)
from miniflow.ir.vectorize import Vectorizer
from miniflow.tracing.arrays import as_traced, cast, is_traced_array, operand_of, wrap
from miniflow.tracing.functions.registry import answers
from miniflow.tracing.trace import Trace, active, recording
from miniflow.tracing.walk import Walk, show_arrays

np: Any = numpy  # its own types know nothing of tracers


class _Body(NamedTuple):
    """A recorded body, and what it reads from outside: operands of the recording around it."""

    program: Program
    outside: list[Operand]


@answers(loop_forward)
def _loop_forward(loop: LoopNode, first: Any, *values: Any) -> Any:
    check_sequences(loop, apart(loop, values)[0])
    start, *operands = map(operand_of, (first, *values))
    items, rest = apart(loop, operands)
    if start.kind == "python":  # it takes the dtype that the body makes of it
        start = operand_of(cast(wrap(start), DTYPES[_step_of(loop, start, items, rest)[1].dtype]))
    body, new = _step_of(loop, start, items, rest)
    check_state(loop, _Shown.of(start.type), _Shown.of(new))
    return _scan(body, start, items, loop.reverse)


def _step_of(
    loop: LoopNode, first: Operand, items: Sequence[Operand], outside: Sequence[Operand]
) -> tuple[_Body, ValueType]:
    """The body of the loop, and the type of the state that it makes."""
    (state, *types), this_pass = item_types(first, items), loop.body.start(tracing=True)
    state = first.type if first.kind == "python" else state

    def step(walk: Walk, state: Any, *now: Any) -> list[Operand]:
        new = loop.body.forward(this_pass, state, now, walk.call_forward)
        return [_not_python(walk.call(loop.body.output, "forward", partial(operand_of, new)))]

    leading = {"state": state, **dict(zip(_item_names(loop), types, strict=True))}
    body = _record_body(loop, leading, outside, step)
    return body, body.program.outputs[0].operand.type


def _item_names(loop: LoopNode) -> list[str]:
    count = len(loop.body.items)
    return ["item"] if count == 1 else [f"item{i}" for i in range(count)]


def _not_python(new: Operand) -> Operand:
    return operand_of(cast(wrap(new), DTYPES[new.dtype])) if new.kind == "python" else new


@answers(loop_backward)
def _loop_backward(
    loop: LoopNode,
    needed: Sequence[bool],
    grad: Any,
    history: Any,
    first: Any,
    *values: Any,
) -> list[Any]:
    sequences, rest = apart(loop, values)
    grad, history, *items = map(as_traced, (grad, history, *sequences))
    start = cast(first, history.dtype)
    outside = list(map(operand_of, rest))
    before = _states_before(history, start, loop.reverse)
    turns = [before, *items, history]
    carried = _gradients_of_states(loop, grad, turns, outside)
    first_turn = -1 if loop.reverse else 0
    gradients: list[Any] = [carried[first_turn] if needed[0] else None, *[None] * len(needed[1:])]
    if any(needed[1:]):
        total = _with_those_of_the_next(grad, carried, loop.reverse)
        found = iter(_gradients_of_the_rest(loop, needed, total, turns, outside))
        gradients[1:] = [next(found) if is_needed else None for is_needed in needed[1:]]
    return gradients


def _states_before(history: Any, first: Any, reverse: bool) -> Any:
    """The state before each turn."""
    first = np.reshape(first, (1, *history.shape[1:]))
    if history.shape[0] == 1:
        return first
    return np.concatenate((history[1:], first) if reverse else (first, history[:-1]), axis=0)


def _with_those_of_the_next(grad: Any, carried: Any, reverse: bool) -> Any:
    """The whole gradient of each state: its own, and what the turn after it hands back."""
    own, count = operand_of(cast(grad, carried.dtype)), grad.shape[0]
    if count == 1:
        return wrap(own)
    handed_back = operand_of(carried[:-1] if reverse else carried[1:])
    place = (int(reverse), count - 1, 1)
    index = (place, *((0, length, 1) for length in grad.shape[1:]))
    return wrap(active().record("slice_add", [own, handed_back], {"index": index}))


def _gradients_of_states(
    loop: LoopNode, grad: Any, turns: Sequence[Any], outside: Sequence[Operand]
) -> Any:
    """The gradient with respect to the state before each turn: a scan the other way. `turns` are
    the states before, the items and the states after.
    """
    before = turns[0]
    dtype = np.result_type(grad.dtype, before.dtype if before.dtype.kind == "f" else np.float64)
    params = {"shape": before.shape[1:], "dtype": dtype_name(dtype)}
    zeros = active().record("full", [Literal(0)], params)
    carried = zeros if before.ndim > 1 else Literal(dtype.type(0))
    sequences = list(map(operand_of, (grad, *turns)))
    names = ("carried", "upstream", *_turn_names(loop))
    types = dict(zip(names, item_types(carried, sequences), strict=True))
    this_pass = loop.body.start([loop.body.state], tracing=True)

    def step_back(walk: Walk, carried: Any, upstream: Any, *turn: Any) -> list[Operand]:
        (gradient,) = _run(loop, this_pass, walk, turn, lambda: upstream + carried)
        return [operand_of(cast(gradient, dtype))]

    body = _record_body(loop, types, outside, step_back)
    return _scan(body, carried, sequences, not loop.reverse)


def _turn_names(loop: LoopNode) -> list[str]:
    return ["state", *_item_names(loop), "new"]


def _gradients_of_the_rest(
    loop: LoopNode,
    needed: Sequence[bool],
    total: Any,
    turns: Sequence[Any],
    outside: Sequence[Operand],
) -> list[Any]:
    """The gradients of the items, side by side, and of the nodes outside, added up."""
    stacks = list(map(operand_of, (total, *turns)))
    names = ("upstream", *_turn_names(loop))
    types = dict(zip(names, item_types(stacks[0], stacks)[1:], strict=True))
    wrt = loop_wrt(loop, needed)
    this_pass = loop.body.start(wrt, tracing=True)

    def one_turn(walk: Walk, upstream: Any, *turn: Any) -> list[Operand]:
        return list(map(operand_of, _run(loop, this_pass, walk, turn, lambda: +upstream, wrt)))

    body = _record_body(loop, types, outside, one_turn)
    inputs = [entry.variable for entry in body.program.inputs]
    written = Vectorizer(
        partial(_add, active()),
        total.shape[0],
        dict(zip(inputs, stacks, strict=False)),
        dict(zip(inputs[len(stacks) :], body.outside, strict=True)),
    )
    written.learn(body.program.equations)
    operands = [output.operand for output in body.program.outputs]
    return [
        wrap(written.stack(operand) if node in loop.body.items else written.total(operand))
        for node, operand in zip(wrt, operands, strict=True)
    ]


def _run(
    loop: LoopNode,
    this_pass: Pass,
    walk: Walk,
    turn: Sequence[Any],
    upstream: Callable[[], Any],
    wrt: Sequence[Any] = (),
) -> list[Any]:
    """The body forward and backward; the gradients for `wrt`, that of the state by default. What
    the turn has made of the state is known by now, and not computed again.
    """

    def call(node: Node, phase: str, method: Callable[[], Any]) -> Any:
        return walk.call_forward(node, "backward", method)

    state, *items, new = turn
    made = loop.body.forward(this_pass, state, items, call)
    if is_traced_array(made) and made.storage.contents.type == new.storage.contents.type:
        made.become(new)
    walk.trace.origin = walk.origin_of(loop.body.output, "backward")
    wanted = wrt or [loop.body.state]
    return loop.body.backward(this_pass, upstream(), wanted, walk.call)


def _add(
    trace: Trace, primitive: str, operands: Sequence[Operand], params: Params, origin: Origin | None
) -> Variable:
    before, trace.origin = trace.origin, origin
    try:
        return trace.record(primitive, list(operands), params)
    finally:
        trace.origin = before


def _scan(body: _Body, first: Operand, sequences: Sequence[Operand], reverse: bool) -> Any:
    """The equation; sequences that the body does not read are left out, all but one."""
    read, (state, *items) = count_uses(body.program), body.program.inputs
    pairs = list(zip(items, sequences, strict=False))
    kept = [(entry, x) for entry, x in pairs if entry.variable in read] or pairs[:1]
    inputs = (state, *(entry for entry, _ in kept), *items[len(pairs) :])
    program = replace(body.program, inputs=inputs)
    params = {"body": program, "sequences": len(kept), "reverse": reverse}
    return wrap(active().record("scan", [first, *(x for _, x in kept), *body.outside], params))


def _record_body(
    loop: LoopNode,
    leading: dict[str, ValueType],
    outside: Sequence[Operand],
    run: Callable[..., list[Operand]],
) -> _Body:
    """Record `run(walk, *leading)` as a program of its own. Numbers outside are written into it,
    other values are inputs, arrays that its nodes keep too; those that it does not read are left
    out.
    """
    nodes, around = loop.body.nodes, active()
    with recording(lambda trace: nullcontext()) as trace, _shown_arrays(nodes):
        given = [_input(trace, type_, name) for name, type_ in leading.items()]
        values = [
            x.value if isinstance(x, Literal) else _input(trace, x.type, x.name) for x in outside
        ]
        with loop.body.given(values):
            index = {n: -2 - i for i, n in enumerate((*nodes, *loop.body.outside))}
            outputs = run(Walk(trace, index), *given)
        program = without_unneeded(trace.builder.program(outputs))
    read = count_uses(program)
    own, others = program.inputs[: len(given)], program.inputs[len(given) :]
    named = [x for x in outside if not isinstance(x, Literal)]
    kept = [(e, x) for e, x in zip(others, named, strict=True) if e.variable in read]
    kept += [(Input(c.variable), around.constant(c.value)) for c in program.constants]
    inputs = (*own, *(entry for entry, _ in kept))
    return _Body(Program(inputs, program.equations, program.outputs), [x for _, x in kept])


@contextmanager
def _shown_arrays(nodes: Sequence[Node]) -> Iterator[None]:
    """Inside the block, arrays that nodes keep are seen as constants of this recording."""
    shown = show_arrays(nodes)
    try:
        yield
    finally:
        for node, name, value in shown:
            if is_traced_array(node.__dict__.get(name)):
                node.__dict__[name] = value


def _input(trace: Trace, type_: ValueType, name: str | None) -> Any:
    tracer = wrap(trace.builder.input(type_, "fed", name))
    if is_traced_array(tracer):
        tracer.storage.locked = "that array is the loop's"
    return tracer


class _Shown(NamedTuple):
    """Stands for a value where its shape and its dtype are looked at."""

    shape: tuple[int, ...]
    dtype: Any

    @classmethod
    def of(cls, type_: ValueType) -> "_Shown":
        return cls(type_.shape, DTYPES[type_.dtype])
