"""What goes into a pass, checked: the output, `wrt`, `feed_dict` and what it lacks."""

import inspect
from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from miniflow.errors import FeedError, GradientError, GraphError, ShapeError
from miniflow.graph import Input, Node, Parameter
from miniflow.graph.checks import is_listed
from miniflow.graph.plans import Plan
from miniflow.graph.several import SeveralOutputs
from miniflow.graph.typed import FedNode
from miniflow.graph.values import as_value, describe, way_to_a_node
from miniflow.interpreter.unneeded import tell_not_needed


def checked_output(node: Any) -> Node:
    """What a pass is asked for, if it is a node."""
    if not isinstance(node, Node):
        given = node.values() if isinstance(node, dict) else node
        several = (
            is_listed(given)
            and isinstance(given, Collection)
            and any(isinstance(one, Node) for one in given)
        )
        only = ": one at a time" if several else way_to_a_node(node)
        raise GraphError(f"The output is a node, and {describe(node)} was given{only}.")
    return node


def checked_outputs(node: Any) -> Node:
    """What a pass is asked for, if it is a node or a list of nodes, which counts as one."""
    if not isinstance(node, (list, tuple)):
        return checked_output(node)
    if not node:
        raise GraphError("The list of outputs is empty: a pass is asked for one node or more.")
    wrong = [f"{describe(x)} at {i}" for i, x in enumerate(node) if not isinstance(x, Node)]
    if wrong:
        raise GraphError(f"The list of outputs has {wrong[0]}: it is a list of nodes.")
    return SeveralOutputs(node)


def checked_wrt(output: Node, plan: Plan, wrt: Iterable[Node]) -> list[Node]:
    """`wrt` as a list, if all of it are nodes that the output depends on."""
    if isinstance(wrt, Node):
        raise GradientError(f"wrt is a list of nodes: write wrt=[...] round {wrt}.")
    if type(wrt) is not list and not is_listed(wrt):
        raise GradientError(f"wrt is a list of nodes, and {describe(wrt)} was given.")
    nodes = list(wrt)
    for node in nodes:
        if not isinstance(node, Node):
            raise GradientError(f"wrt has {describe(node)}: it is a list of nodes.")
        if node is not output and node not in plan.consumers:
            raise GradientError(
                f"{output} does not depend on {node}, so it has no gradient with respect to it."
            )
    return nodes


def parameters_of(output: Node, plan: Plan) -> list[Node]:
    """What a gradient is taken with respect to where nobody says: all parameters that are not
    frozen.
    """
    order = (*plan.order, output)
    inside = [n for n in order if isinstance(n, Parameter) and n.is_trained]
    parameters: list[Node] = [node for node in inside if node.trainable]
    if inside and not parameters:
        raise GradientError(
            f"{output}: every Parameter that it depends on has trainable=False: say with respect "
            "to which nodes its gradient is wanted, wrt=[...]."
        )
    if not parameters:
        inputs = ", ".join(node.name or type(node).__name__ for node in order if is_input(node))
        raise GradientError(
            f"{output} depends on no Parameter: say with respect to which nodes its gradient is "
            f"wanted, wrt=[{inputs or '...'}]."
        )
    return parameters


def checked_feed(
    feed_dict: Mapping[FedNode, Any] | None, output: Node, needed: Container[Any]
) -> dict[Node, Any]:
    """`feed_dict` with its keys checked and its values made into numbers and arrays, without what
    `output` does not depend on (`needed` has what it does, without itself perhaps).
    """
    # Nearly always a dict: its type is asked first, as that takes a part of the time.
    if type(feed_dict) is not dict and not isinstance(feed_dict, Mapping):
        if feed_dict is None:
            return {}
        raise FeedError(
            f"feed_dict is a dictionary of node → value, and was {describe(feed_dict)}."
        )
    feed: dict[Node, Any] = {}
    others = []
    for node, fed in feed_dict.items():
        if node not in needed and node is not output:
            others.append(node)
            continue
        if not isinstance(node, Input) and not wants_a_value(type(node).forward, optional=True):
            raise FeedError(
                f"feed_dict has {node}, which is computed from its inbound nodes: feed those."
                if node.inbound_nodes
                else f"feed_dict has {node}, which makes its own value: its forward() takes none."
            )
        if fed is None:
            raise FeedError(f"feed_dict gives None for {node}: it takes a number or an array.")
        feed[node] = as_value(fed, node)
    if others:
        tell_not_needed(others, output)
    return feed


def give_to_sources(feed: Mapping[Node, Any]) -> dict[Node, Any]:
    """The feed without the sources that make their own values (`forward(self)` of a node without
    inbound nodes): they are given theirs here, and keep them until their state is put back.
    """
    fed = {}
    for node, value in feed.items():
        if node.inbound_nodes or wants_a_value(type(node).forward, optional=True):
            fed[node] = value
        else:
            node.value = value
            node.__dict__["forward"] = lambda: None
    return fed


def end_feed(feed: dict[Node, Any]) -> None:
    """Let the nodes that keep a value of their own have it back."""
    for node in feed:
        if node.keeps_a_value:
            node.forward()


@lru_cache(maxsize=512)
def wants_a_value(forward: Any, optional: bool = False) -> bool:
    """Whether a class's `forward(self, value)` takes a value, or cannot do without one."""
    given = [None, None] if optional else [None]
    try:
        inspect.signature(forward).bind(*given)
    except TypeError:
        return not optional
    return optional


def is_input(node: Node) -> bool:
    """Whether a node gets its value from outside: an `Input`, or a class of the user's own that
    does as it does.
    """
    if node.inbound_nodes or node.keeps_a_value:
        return False
    forward = type(node).forward
    return wants_a_value(forward) or wants_a_value(forward, optional=True)


def check_fed_enough(order: Sequence[Node], feed: Mapping[Node, Any]) -> None:
    """Raise FeedError if a pass over `order` was fed too little."""
    missing = [str(node) for node in order if node not in feed and _lacks_a_value(node)]
    if missing:
        them = "it" if len(missing) == 1 else "them"
        raise FeedError(
            f"{order[-1]} needs a value for {', '.join(missing)}: add {them} to feed_dict."
        ) from None


def _lacks_a_value(node: Node) -> bool:
    return is_input(node) and (node.value is None or wants_a_value(type(node).forward))


def not_one_number(node: Node, shape: tuple[int, ...]) -> ShapeError:
    """The error for training that is given many numbers to make small."""
    return ShapeError(
        f"{node} has a value of shape {shape}; what is trained is one number: take the Mean of it."
    )
