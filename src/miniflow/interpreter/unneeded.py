"""What is fed to nodes that have no part in the output: told once, and left out."""

import warnings
import weakref
from collections.abc import Container, Mapping, Sequence
from typing import Any

from miniflow.errors import FeedError
from miniflow.graph import Node
from miniflow.graph.places import users_level
from miniflow.graph.values import describe


class FeedWarning(UserWarning):
    """Something was fed that has no part in the output: a node of another graph."""


def only_needed(
    feed_dict: Mapping[Any, Any], output: Node, needed: Container[Any], name: str = "feed_dict"
) -> dict[Node, Any]:
    """What is fed to the nodes that `output` depends on; see `tell_not_needed` for the others.

    Args:
        feed_dict: node → value.
        output: the node.
        needed: the nodes that it depends on; it itself need not be among them.
        name: what messages call `feed_dict`.
    """
    feed = {n: x for n, x in feed_dict.items() if n in needed or n is output}
    if len(feed) < len(feed_dict):
        others = [node for node in feed_dict if node not in feed]
        tell_not_needed(others, output, name)
    return feed


def tell_not_needed(others: Sequence[Any], output: Node, name: str = "feed_dict") -> None:
    """Warn of nodes that are fed and have no part in the output; once, for one dictionary may serve
    a loss and its logits.

    Raises FeedError if they are no nodes.
    """
    for node in others:
        if not isinstance(node, Node):
            raise FeedError(f"{name} has the key {describe(node)}: its keys are nodes.")
    told = _told_as_not_needed.setdefault(output, weakref.WeakSet())
    if new := [str(node) for node in others if node not in told]:
        told.update(others)
        warnings.warn(
            f"{output} does not depend on {' and '.join(new)}: what is fed to "
            f"{'it' if len(new) == 1 else 'them'} has no effect.",
            FeedWarning,
            stacklevel=users_level(),
        )


_told_as_not_needed: "weakref.WeakKeyDictionary[Node, weakref.WeakSet[Node]]" = (
    weakref.WeakKeyDictionary()
)
