"""A loop over time: `scan`, which runs a small graph once for each item of a sequence.

The small graph, the body, is built once, by calling the user's `step` with nodes. What it uses from
outside are inbound nodes of the `Scan`, like the first state and the sequence; so they get their
gradients as everywhere, and the rest of the graph need not know that there is a loop.
"""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from miniflow.errors import GraphError
from miniflow.graph import Input, Node, Op
from miniflow.graph.op import as_node
from miniflow.graph.plans import passes_under_way
from miniflow.graph.values import describe
from miniflow.interpreter.loops import LoopBody, loop_backward, loop_forward


def scan(
    step: Callable[..., Any],
    first: Any,
    sequence: Any,
    reverse: bool = False,
    *,
    name: str | None = None,
) -> "Scan":
    """A loop over time: state_t = step(state_{t-1}, item_t), and the value is all the states.

    Args:
        step: called once, now, with nodes for the state and for one item; returns a node, the next
            state. It may use nodes from outside: parameters, inputs, anything computed. These are
            the same at every step; so is what a `Dropout` in it drops.
        first: the state before the first item, a node, an array or a number: shape (...). The
            states have its shape and dtype; a Python number takes the dtype that the step makes of
            it.
        sequence: a node or an array of shape (T, ...): T items, one or more; time is the first
            axis. Or a list of them, equally long, that are gone through side by side: then it is
            step(state, item, other), with an item of each.
        reverse: True to go through the items from the last to the first; False by default.
        name: None by default.

    Value: shape (T, ...): entry t is the state after item t, with `reverse=True` as well.

    However many items there are, a compiled program has one equation for it, and few for its
    gradients: it is compiled as fast for 1,000 items as for one. A state of several parts (the cell
    and the output of an LSTM) is one array: put together with `Concat`, taken apart with `[...]`.

    Raises:
        GraphError: `step` is not a function of a state and the items, or returns no node; a
            `DummyGrad` stands in it.
        ShapeError: in a pass: the sequence has no axes, or no items; the state changes its shape or
            dtype.

    >>> import numpy as np, miniflow as mf
    >>> xs = mf.Input("xs")
    >>> totals = mf.scan(lambda total, x: total + x, 0.0, xs)
    >>> mf.value(totals, {xs: np.array([1.0, 2.0, 3.0])})
    array([1., 3., 6.])
    >>> W = mf.Parameter([[0.5]], "W")
    >>> states = mf.scan(lambda h, x: mf.Tanh(h @ W + x), np.zeros((1, 1)), xs)
    >>> _, (dW,) = mf.value_and_grad(mf.Sum(states), {xs: np.ones((4, 1, 1))}, wrt=[W])
    >>> dW.shape
    (1, 1)
    """
    if not callable(step):
        raise GraphError(
            f"scan: step is a function of a state and an item, step(state, item), not "
            f"{describe(step)}."
        )
    if type(reverse) is not bool:
        raise GraphError(f"scan: reverse is True or False, not {describe(reverse)}.")
    first = as_node(first, "scan")
    several = type(sequence) in (list, tuple) and any(isinstance(one, Node) for one in sequence)
    sequences = [as_node(one, "scan") for one in (sequence if several else [sequence])]
    state, items = Input("state"), [Input("item") for _ in sequences]
    state._stands_for = first, False
    for item, of in zip(items, sequences, strict=True):
        item._stands_for = of, True
    called = f"scan {name!r}" if name is not None else "scan"
    _check_takes(step, called, 1 + len(items))
    new = step(state, *items)
    if not isinstance(new, Node):
        parts = isinstance(new, (list, tuple)) and any(isinstance(x, Node) for x in new)
        raise GraphError(
            f"{called}: step returned {describe(new)}; it returns one node, the next state"
            + (": parts are put together with Concat." if parts else ".")
        )
    loop = Scan.over(state, items, new, first, sequences, reverse, name=name)
    for node in loop.parts:
        if node.upstream_is_fed:
            raise GraphError(
                f"{called}: {node} in its step is fed its upstream gradient, which differs from "
                "step to step: it stands outside."
            )
    return loop


def _check_takes(step: Callable[..., Any], called: str, count: int) -> None:
    """Raise GraphError if a function cannot be called with so many values."""
    try:
        inspect.signature(step).bind(*[None] * count)
    except TypeError as error:
        items = "item" if count == 2 else "item, other"
        raise GraphError(
            f"{called}: step is called as step(state, {items}), with {count} values: {error}."
        ) from None
    except ValueError:  # of some that are written in C nobody knows
        return


class _NextState(Op):
    """The end of a body: what the step has returned, a node of its own, whatever else uses that."""

    @property
    def label(self) -> str:
        return "Scan"

    def compute(self, x: Any) -> Any:
        return x

    def gradient(self, grad: Any, x: Any) -> Any:
        return (grad,)


class Scan(Op):
    """The node that `scan` makes: a body, the first state, and a sequence for each of the body's
    items.
    """

    primitive = "scan"

    def __init__(
        self,
        body: LoopBody,
        first: Any,
        sequences: Sequence[Any],
        reverse: bool,
        *,
        name: str | None = None,
    ) -> None:
        Op.__init__(self, first, *sequences, *body.outside, name=name)
        self.body = body
        self.parts = body.nodes
        self.reverse = reverse

    @classmethod
    def over(
        cls,
        state: Node,
        items: Sequence[Node],
        new: Node,
        first: Any,
        sequences: Sequence[Any],
        reverse: bool,
        *,
        name: str | None = None,
    ) -> "Scan":
        """The loop whose body is the graph from the inputs `state` and `items` to `new`."""
        return cls(LoopBody(state, items, _NextState(new)), first, sequences, reverse, name=name)

    def compute(self, first: Any, *values: Any) -> Any:
        return loop_forward(self, first, *values)

    def gradient(self, grad: Any, first: Any, *values: Any) -> Any:
        needed = passes_under_way[-1].needed if passes_under_way else self.inbound_nodes
        flags = [node in needed for node in self.inbound_nodes]
        return loop_backward(self, flags, grad, self.value, first, *values)
