"""A graph as it is saved for inference: a node that only scales and shifts the channels of a layer
is part of that layer.

What a node comes to in inference, it says itself (`Node.channel_scale`), and a layer what it would
be with its channels scaled (`Node.with_channels_scaled`). Here the one takes the place of both, as
long as the graph is recorded; nothing of it stays.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from miniflow.graph import Node
from miniflow.graph.plans import ancestors_in_order


class Folded(NamedTuple):
    """A graph without such nodes: its output, and for each parameter that was made for it, by its
    name, what the node was called that it has in it.
    """

    output: Node
    parameters: dict[str, str]


@contextmanager
def fold_channels(output: Node) -> Iterator[Folded]:
    """Inside the block, the graph without such nodes. Held during it: `one_pass_at_a_time`."""
    order = ancestors_in_order(output)
    consumers: dict[Node, list[Node]] = {node: [] for node in order}
    for node in order:
        for source in dict.fromkeys(node.inbound_nodes):
            consumers[source].append(node)
    instead: dict[Node, Node] = {}
    names: dict[str, str] = {}
    for node in order:
        found = node.channel_scale()
        if found is None or consumers[found[0]] != [node]:
            continue
        layer, scale, shift = found
        made = layer.with_channels_scaled(scale, shift)
        if made is not None:
            made.name = layer.name if node.name is None else node.name
            instead[node] = made
            names |= {str(p.name): str(node.name) for p in made.inbound_nodes[1:] if p.name}
    rewired = [
        (node, node.inbound_nodes)
        for node in (*order, *instead.values())
        if not instead.keys().isdisjoint(node.inbound_nodes)
    ]
    try:
        for node, inbound in rewired:
            node.inbound_nodes = [instead.get(source, source) for source in inbound]
        yield Folded(instead.get(output, output), names)
    finally:
        for node, inbound in rewired:
            node.inbound_nodes = inbound
