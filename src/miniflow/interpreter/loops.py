"""Loops over time: a small graph, the body, run once for each item of a sequence.

    forward:   state ← body(state, item), for every item; the states are the value
    backward:  the same items the other way round, the body forward and then backward in each turn

A body is a graph between two inputs, the state and the item (or the items of several sequences,
side by side); what it uses besides are the values of
nodes *outside*, which are the same in every turn. The two walks are those of `passes`, over the
body's nodes alone. Gradients of the items stand side by side, those of the nodes outside add up,
and that of the state is carried from turn to turn.

A recorder of programs answers `loop_forward` and `loop_backward` in its own way (`tracing`): it
runs the body once.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol

import numpy as np

from miniflow.errors import ShapeError
from miniflow.graph import Constant, Node
from miniflow.graph.plans import Pass, Plan, ancestors_in_order, make_plan, passes_under_way
from miniflow.graph.values import shape_of, zeros_like
from miniflow.interpreter.bench import set_values
from miniflow.interpreter.keeping import attributes_preserved
from miniflow.interpreter.passes import (
    CallNode,
    TheEnd,
    backward_pass,
    fit_gradient,
    forward_pass,
    start_pass,
)


class LoopBody:
    """What happens in each turn: the graph that leads from a state and an item to the next state.

    Args:
        state: an input.
        items: one or more, each for the items of one sequence.
        output: the node of the next state.

    Attributes:
        outside: the nodes that it uses and that depend on none of these, in order; numbers
            (`Constant`s) are its own.
    """

    def __init__(self, state: Node, items: Sequence[Node], output: Node) -> None:
        self.state, self.items, self.output = state, list(items), output
        inside, outside = {state, *items}, dict[Node, None]()
        self._order = [state, *items]
        for node in ancestors_in_order(output):
            if node is output or not inside.isdisjoint(node.inbound_nodes):
                inside.add(node)
                for source in dict.fromkeys(node.inbound_nodes):
                    if source not in inside and _is_number(source):
                        inside.add(source)
                        self._order.append(source)
                    elif source not in inside:
                        outside[source] = None
                if node is not output:
                    self._order.append(node)
        self.outside = list(outside)
        self._plan: Plan | None = None

    @property
    def nodes(self) -> list[Node]:
        """The nodes that it runs."""
        return [*self._order, self.output]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_plan": None}

    def start(self, wrt: Sequence[Node] = (), tracing: bool = False) -> Pass:
        """A pass over the body, for the gradients with respect to these nodes."""
        return start_pass(self.output, self._own_plan(), wrt, tracing)._replace(repeats=True)

    def _own_plan(self) -> Plan:
        if self._plan is None:
            consumers: dict[Node, list[Node]] = {n: [] for n in (*self._order, *self.outside)}
            for node in self._order:
                for source in dict.fromkeys(node.inbound_nodes):
                    consumers[source].append(node)
            inbound = [node.inbound_nodes[:] for node in self.nodes]
            self._plan = make_plan(self.output, self._order, inbound, consumers)
        return self._plan

    @contextmanager
    def given(self, values: Sequence[Any]) -> Iterator[None]:
        """Inside the block, the nodes outside have these values."""
        with attributes_preserved(self.outside):
            set_values(dict(zip(self.outside, values, strict=True)))
            yield

    def forward(
        self, this_pass: Pass, state: Any, items: Sequence[Any], call: CallNode | None = None
    ) -> Any:
        """The next state."""
        feed = {self.state: state, **dict(zip(self.items, items, strict=True))}
        forward_pass(self.output, self._own_plan(), feed, this_pass, call)
        return self.output.value

    def backward(
        self, this_pass: Pass, upstream: Any, wrt: Sequence[Node], call: CallNode | None = None
    ) -> list[Any]:
        """After `forward`: the gradients for these nodes, from that of the next state."""
        this_pass.consumers[self.output] = TheEnd(self.output, lambda: upstream)
        backward_pass((), this_pass, call)
        with this_pass:
            asked = [(node, partial(_gradient_for, node, this_pass)) for node in wrt]
            return [ask() if call is None else call(node, "backward", ask) for node, ask in asked]


def _is_number(node: Node) -> bool:
    """Whether it is what a number in an expression has become."""
    return type(node) is Constant and node.name is None and shape_of(node.value) == ()


def _gradient_for(node: Node, this_pass: Pass) -> Any:
    if not this_pass.consumers[node] or node not in this_pass.needed:
        return zeros_like(node.value)
    return fit_gradient(node.upstream_gradient(), node)


class LoopNode(Protocol):
    """The node that loops: what it runs, and whether it goes through the items from the last."""

    body: LoopBody
    reverse: bool


def loop_forward(loop: LoopNode, first: Any, *values: Any) -> Any:
    """The states, one after each item: (T, ...) for sequences of T items; the values are those of
    the sequences and then those of the nodes outside.
    """
    recorder = _recorder_among(first, *values)
    if recorder is not None:
        return recorder(loop_forward, (), (loop, first, *values), {})
    sequences, outside = apart(loop, values)
    check_sequences(loop, sequences)
    body, history, state = loop.body, None, first
    this_pass = body.start()
    count = len(sequences[0])
    with body.given(outside):
        for t in _turns(loop, count):
            new = body.forward(this_pass, state, [sequence[t] for sequence in sequences])
            check_state(loop, state, new)
            if history is None:
                history = np.empty((count, *shape_of(new)), getattr(new, "dtype", float))
            history[t] = new
            state = history[t]
    return history


def loop_backward(
    loop: LoopNode,
    needed: Sequence[bool],
    grad: Any,
    history: Any,
    first: Any,
    *values: Any,
) -> list[Any]:
    """The gradients for the first state, the sequences and the nodes outside, None where one is not
    needed: from that of the history, and the history itself.
    """
    recorder = _recorder_among(grad, history, first, *values)
    if recorder is not None:
        return list(recorder(loop_backward, (), (loop, needed, grad, history, first, *values), {}))
    sequences, outside = apart(loop, values)
    body = loop.body
    wrt = loop_wrt(loop, needed)
    this_pass = body.start([body.state, *wrt])
    turns = _turns(loop, len(sequences[0]))
    before = [first, *(history[t] for t in turns[:-1])]
    carried, items, totals = None, dict[Node, Any](), dict[Node, Any]()
    with body.given(outside):
        for t, state in zip(reversed(turns), reversed(before), strict=True):
            upstream = grad[t] + (0.0 if carried is None else carried)
            body.forward(this_pass, state, [sequence[t] for sequence in sequences])
            carried, *others = body.backward(this_pass, upstream, [body.state, *wrt])
            for node, gradient in zip(wrt, others, strict=True):
                if node not in body.items:
                    totals[node] = totals[node] + gradient if node in totals else gradient
                    continue
                if node not in items:
                    items[node] = np.empty((len(turns), *shape_of(gradient)), gradient.dtype)
                items[node][t] = gradient
    found = {**items, **totals}
    sources = (*body.items, *body.outside)
    return [carried if needed[0] else None, *(found.get(node) for node in sources)]


def apart(loop: LoopNode, values: Sequence[Any]) -> tuple[Sequence[Any], Sequence[Any]]:
    """The values of the sequences, and those of the nodes outside."""
    count = len(loop.body.items)
    return values[:count], values[count:]


def loop_wrt(loop: LoopNode, needed: Sequence[bool]) -> list[Node]:
    """The items and the nodes outside, as far as their gradients are needed."""
    sources = (*loop.body.items, *loop.body.outside)
    return [node for node, is_needed in zip(sources, needed[1:], strict=True) if is_needed]


def _turns(loop: LoopNode, count: int) -> range:
    return range(count)[:: -1 if loop.reverse else 1]


def check_sequences(loop: LoopNode, sequences: Sequence[Any]) -> None:
    """Raise ShapeError unless there are items to go through, and equally many of each sequence."""
    shapes = [shape_of(sequence) for sequence in sequences]
    for shape in shapes:
        if not shape:
            raise ShapeError(
                f"{loop}: its sequence is one number; time is the first axis of a sequence, "
                "(T, ...)."
            )
        if shape[0] == 0:
            raise ShapeError(
                f"{loop}: its sequence has no items, shape {shape}; it takes one or more."
            )
    if len({shape[0] for shape in shapes}) > 1:
        raise ShapeError(
            f"{loop}: its sequences have shapes {', '.join(map(str, shapes))}; those that are gone "
            "through side by side are equally long: time is the first axis."
        )


def check_state(loop: LoopNode, state: Any, new: Any) -> None:
    """Raise ShapeError unless the state after a turn is like the one before. A first state that is
    a Python number takes the dtype of the next.
    """
    before, after = getattr(state, "dtype", None), getattr(new, "dtype", np.dtype(float))
    if shape_of(state) == shape_of(new) and (before is None or before == after):
        return
    raise ShapeError(
        f"{loop}: its state has shape {shape_of(state)} and dtype {before or 'float64'} before a "
        f"step and shape {shape_of(new)} and dtype {after} after it; it must stay the same: give "
        "the first state the shape and the dtype that the step returns."
    )


def _recorder_among(*values: Any) -> Any:
    """The way in which a recorder of programs answers functions, if one is at work: its arrays are
    among the values, or made in place of NumPy's.
    """
    found = next(filter(_is_recorded, values), None)
    if found is None and passes_under_way and passes_under_way[-1].tracing:
        found = next(filter(_is_recorded, [np.empty(0)]), None)
    return None if found is None else type(found).__array_function__.__get__(found)


def _is_recorded(value: Any) -> bool:
    """Whether it is an array that answers NumPy's functions, and none of NumPy's."""
    kind = type(value)
    return hasattr(kind, "__array_function__") and not issubclass(kind, np.ndarray)
