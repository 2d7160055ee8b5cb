"""Gradients that nobody wrote: what a node's `forward` or `compute` does is recorded, and lifted.

Whatever records is derived: writes in place, caches, loops over shapes. What does not is refused,
with its line.
"""

from collections.abc import Sequence
from typing import Any

from miniflow.errors import CompileError, GradientError
from miniflow.graph import Node
from miniflow.graph.deriving import Derived
from miniflow.graph.plans import Plan
from miniflow.interpreter.passes import forward_pass, start_pass
from miniflow.models.lifted import LiftedProgram, lift_code, told_by
from miniflow.tracing.walk import Walk


def derive_gradients(node: Node, upstream: Any, inbound: Sequence[Node]) -> Derived:
    """The gradients for these inbound nodes, from the upstream gradient; None where the value does
    not depend on one; and the narrowest floating dtype that the node computes in.

    Raises GradientError, with the line, where what `forward` does cannot be recorded.
    """
    sources = list(dict.fromkeys(node.inbound_nodes))
    values = [source.value for source in sources]
    try:
        graph = lift_forward(node, sources, values)
    except CompileError as error:
        name = "gradient" if hasattr(node, "compute") else "backward"
        raise GradientError(
            f"{node} has no {name} method, and its gradient cannot be derived from what its code "
            f"does. {told_by(error)} Write the {name} method."
        ) from error
    graph.forward(values)
    found = dict(
        zip(sources, graph.backward(upstream, [n in inbound for n in sources]), strict=True)
    )
    return [_in_dtype_of(source.value, found[source]) for source in inbound], graph.narrowest


def _in_dtype_of(value: Any, gradient: Any) -> Any:
    """A gradient in the floating dtype of what it is for: where an array of float64 was on the way,
    it is wider.
    """
    wanted, seen = getattr(value, "dtype", None), getattr(gradient, "dtype", None)
    if wanted is None or seen is None or wanted == seen or wanted.kind != "f":
        return gradient
    return gradient.astype(wanted)


def lift_forward(node: Node, sources: Sequence[Node], values: Sequence[Any]) -> LiftedProgram:
    """What a node's `forward` computes from the values of its inbound nodes, as a graph."""

    def run(walk: Walk) -> Any:
        plan = Plan([], [node.inbound_nodes[:]], {source: [] for source in sources}, {})
        this_pass = start_pass(node, plan, (), tracing=True)
        forward_pass(node, plan, {}, this_pass, walk.call_forward)
        return walk.call(node, "forward", lambda: node.value)

    return lift_code([node], sources, values, run)
