"""A pass over a graph, recorded: every number that the interpreter computes on the way.

The explorer replays it. Forward, each node has a value. Backward, each node hands one gradient to
each of its inputs, which is the upstream gradient times a local derivative, and each node adds up
what its consumers hand it. All of it is read off the nodes after one ordinary pass, and the nodes
are put back as they were.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from miniflow.errors import GraphError
from miniflow.graph import Node, Parameter
from miniflow.graph.plans import plan_for
from miniflow.graph.typed import FedNode
from miniflow.interpreter.feeding import checked_feed, is_input
from miniflow.interpreter.guarding import guard
from miniflow.interpreter.passes import (
    alone,
    backward_pass,
    forward_pass,
    one_pass_at_a_time,
    start_pass,
)
from miniflow.pictures.local import (
    LocalDerivative,
    depends,
    local_derivative,
    other_values,
    row_of,
    seems_elementwise,
)
from miniflow.tracing.keeping import preserved_deeply

MOST_ROWS = 16  # entries of a node whose Jacobian is written out
MOST_ENTRIES = 256  # of such a Jacobian
MOST_PULLS = 240  # rows of Jacobians in one page

Edge = tuple[int, int]  # a consumer and one of its inputs, by their places in the graph's order


class Recorded(NamedTuple):
    """A pass: nodes by their places in `order`, the output last."""

    order: list[Node]
    feed: dict[Node, Any]
    values: list[Any]
    handed: dict[Edge, Any]  # what a consumer hands back to an input
    gradients: list[Any]  # the sum of that, for each node; None for what depends on constants alone
    local: dict[Edge, LocalDerivative]  # a large Jacobian has no value

    @property
    def wanted(self) -> list[Node]:
        """The nodes that have a gradient."""
        pairs = zip(self.order, self.gradients, strict=True)
        return [node for node, gradient in pairs if gradient is not None]


def record_pass(output: Node, feed_dict: Mapping[FedNode, Any] | None) -> Recorded:
    """Run both passes for the gradients of everything, and record them.

    Args:
        output: the node to start the backward pass from.
        feed_dict: input → value; what is not in it keeps the value that it has.

    Raises:
        GraphError: an input has no value; and whatever the passes raise.

    >>> import miniflow as mf
    >>> x = mf.Input("x")
    >>> recorded = record_pass(x * x + x, {x: 3.0})
    >>> recorded.values, [float(g) for g in recorded.gradients]
    ([3.0, 9.0, 12.0], [7.0, 1.0, 1.0])
    >>> {edge: float(local.value) for edge, local in recorded.local.items()}
    {(1, 0): 6.0, (2, 1): 1.0, (2, 0): 1.0}
    """
    plan = plan_for(output)
    order = [*plan.order, output]
    with one_pass_at_a_time, preserved_deeply(order), np.errstate(all="ignore"):
        feed = {**_present(order), **checked_feed(feed_dict, output, plan.consumers)}
        missing = [f"{n}" for n in order if is_input(n) and feed.get(n) is None]
        if missing:
            have = "has" if len(missing) == 1 else "have"
            raise GraphError(
                f"The explorer replays a pass, and {', '.join(missing)} {have} no value yet: run "
                "mf.value_and_grad(...) first, or hand over what to feed: .explore({x: 3.0}), or "
                '.explorer({x: 3.0}).save("graph.html").'
            )
        wanted = _depending_on_feed(order, feed)
        if plan.live is not None:  # the others are told as constants are
            wanted = {n: None for n in wanted if n is output or n in plan.live}
        this_pass = start_pass(output, plan, list(wanted))
        forward_pass(output, plan, guard(plan, feed), this_pass)
        index = {node: i for i, node in enumerate(order)}
        edges = [
            (node, source)
            for node in order
            for source in dict.fromkeys(node.inbound_nodes)
            if source in wanted and node in wanted and not node.stops_gradient
        ]
        local = _local_derivatives(edges)  # before backward, which may work in place
        gradients = dict(zip(wanted, backward_pass(list(wanted), this_pass), strict=True))
        return Recorded(
            order,
            feed,
            [_copy(node.value) for node in order],
            {(index[node], index[s]): np.copy(node.gradients[s]) for node, s in edges},
            [np.copy(gradients[node]) if node in gradients else None for node in order],
            {(index[node], index[s]): local[node, s] for node, s in edges},
        )


def _depending_on_feed(order: list[Node], feed: Mapping[Node, Any]) -> dict[Node, None]:
    """The nodes that depend on something that is fed or learned: nobody asks for the gradient of
    a constant.
    """
    found: dict[Node, None] = {}
    for node in order:
        is_source = node in feed or isinstance(node, Parameter)
        if is_source or not found.keys().isdisjoint(node.inbound_nodes):
            found[node] = None
    return found or dict.fromkeys(order)


def _present(order: list[Node]) -> dict[Node, Any]:
    """What the inputs were last fed; and the gradients that nodes are fed."""
    feed = {node: node.value for node in order if is_input(node) and node.value is not None}
    for node in order:
        if node.upstream_is_fed and node.cache.get("gradient") is not None:
            feed[node] = node.cache["gradient"]
    return feed


def _copy(value: Any) -> Any:
    return value.copy() if isinstance(value, np.ndarray) else value


def _local_derivatives(edges: list[tuple[Node, Node]]) -> dict[tuple[Node, Node], LocalDerivative]:
    found: dict[tuple[Node, Node], LocalDerivative] = {}
    pulls = 0
    for node, source in edges:
        local = _local(node, source)
        if local.kind == "jacobian" and local.value is not None:
            pulls += np.size(node.value)
            if pulls > MOST_PULLS:
                local = LocalDerivative("jacobian", None)
        found[node, source] = local
    return found


def _local(node: Node, source: Node) -> LocalDerivative:
    """The local derivative in the simplest form that holds for other values too."""
    if node.upstream_is_fed:  # it hands on what it was fed, whatever comes from above
        ones = np.ones(np.shape(node.value))
        return LocalDerivative("elementwise" if ones.shape else "number", ones)
    try:
        return _simplest(node, source)
    except Exception:  # a backward that can run only once after each forward, say
        return LocalDerivative("unknown", None)


def _simplest(node: Node, source: Node) -> LocalDerivative:
    kind, value = local_derivative(node, source)
    if kind == "elementwise" and not _stays_elementwise(node, source):
        kind, value = "jacobian", None
        if np.size(node.value) * np.size(source.value) <= MOST_ENTRIES:
            value = np.stack([_jacobian_row(node, source, i) for i in range(np.size(node.value))])
    if kind == "jacobian" and value is not None:
        rows, columns = value.shape
        value = value if rows <= MOST_ROWS and rows * columns <= MOST_ENTRIES else None
    return LocalDerivative(kind, value)


def _jacobian_row(node: Node, source: Node, i: int) -> Any:
    unit = np.zeros(np.shape(node.value))
    unit.reshape(-1)[i] = 1.0
    return row_of(node, source, unit).ravel()


def _stays_elementwise(node: Node, source: Node) -> bool:
    """Whether each entry depends on one entry whatever the values: a weight of zeros, for one,
    makes a matrix product look as if it did.
    """
    if np.size(node.value) * np.size(source.value) <= 4096:
        matrix = depends(node)[source]
        return not np.any(matrix & ~np.eye(len(matrix), dtype=bool))
    others = list(dict.fromkeys(node.inbound_nodes))
    with alone(node, moved=others):
        for i, other in enumerate(others):
            value = np.asarray(other.value)
            if value.dtype.kind == "f":
                other.value = other_values(value, 7 * i)
        try:
            node.forward()
            return seems_elementwise(node, source)
        except Exception:  # whatever a node's own code raises when it is fed strange numbers
            return True
