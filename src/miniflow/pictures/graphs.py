"""The figure of a graph: cards for its nodes and groups, an arrow for each use of a value."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import groupby

import numpy as np

from miniflow.graph import Constant, Node, Parameter
from miniflow.pictures.figure import Arrow, Card, Figure
from miniflow.pictures.groups import Grouping, GroupKey
from miniflow.pictures.layout import Direction
from miniflow.pictures.reading import Reading, class_of, name_of
from miniflow.pictures.values import seen, shape_text

_DESCRIBED = 30  # nodes that a description lists one by one


def graph_figure(
    reading: Reading, grouping: Grouping, title: str | None, direction: Direction, values: bool
) -> Figure:
    """The figure of all nodes that were read, grouped."""
    cards = []
    for key, nodes in grouping.members().items():
        if isinstance(key, GroupKey):
            cards.append(group_card(reading, grouping, key, nodes))
        else:
            cards.append(node_card(reading, grouping, nodes[-1], nodes[:-1], values))
    return Figure(
        title or title_of(reading),
        describe(reading),
        tuple(cards),
        tuple(_arrows(reading, grouping)),
        grouping.frames,
        caption=run_caption(reading, values),
        direction=direction,
    )


def _arrows(reading: Reading, grouping: Grouping) -> list[Arrow]:
    """An arrow for each use of a value; between groups one for all."""
    arrows: list[Arrow] = []
    drawn: set[tuple[Hashable, Hashable]] = set()
    for node in reading.nodes:
        for source in reading.inbound[node]:
            ends = grouping.card_of[source], grouping.card_of[node]
            own = ends == (source, node)
            if ends[0] != ends[1] and (own or ends not in drawn):
                drawn.add(ends)
                arrows.append(Arrow(*ends))
    return arrows


def node_card(
    reading: Reading, grouping: Grouping, node: Node, leaves: Sequence[Node], values: bool
) -> Card:
    """The card of one node, with the leaves that are written on it: what it is, what the last pass
    left.
    """
    kind = class_of(node)
    frame = grouping.frame_of.get(node)
    name = name_of(node)
    if frame is not None and isinstance(frame.name, tuple):  # the frame says the rest
        name = name.removeprefix("/".join(frame.name) + "/")
    bare = isinstance(node, Constant) and not name and np.ndim(node.value) == 0
    value = gradient = None
    remarks = [" · ".join(f"{reading.called[leaf]} {shape_of(leaf)}".strip() for leaf in leaves)]
    if node.derives_gradient and node.inbound_nodes:
        remarks.append("gradient derived")
    if values and not bare:
        value, gradient = seen(node.value), seen(reading.gradient(node))
        if value is None and reading.forward_ran:
            remarks.append("not run yet")
    return Card(
        node,
        reading.kind(node),
        reading.called[node] if bare else name or kind,
        kind if name or bare else "",
        shape_of(node),
        value,
        gradient,
        remarks=tuple(filter(None, remarks)),
        called=reading.called[node],
        tooltip=statement(reading, node),
        frame=frame,
    )


def group_card(reading: Reading, grouping: Grouping, key: GroupKey, nodes: Sequence[Node]) -> Card:
    """The card of a closed group: what is computed in it, how large it is, what comes out."""
    inside = set(nodes)
    results = [
        n for n in nodes if not inside.issuperset(reading.consumers[n]) or n in reading.outputs
    ]
    weights = sum(np.size(node.value) for node in nodes if isinstance(node, Parameter))
    operation = chain([node for node in nodes if node.inbound_nodes])
    counts = f"{len(nodes):,} nodes" + (f" · {weights:,} parameters" if weights else "")
    return Card(
        key,
        "group",
        grouping.titles[key],
        operation if operation != grouping.titles[key] else "",
        shape_of(results[0]) if len(results) == 1 else "",
        remarks=(counts,),
        tooltip="; ".join(statement(reading, node) for node in nodes[:12])
        + "; …" * (len(nodes) > 12),
        frame=grouping.frame_of.get(key),
    )


def chain(nodes: Sequence[Node]) -> str:
    """The operations in their order: "3 × Linear → ReLU"."""
    runs = [(kind, len(list(run))) for kind, run in groupby(class_of(n) for n in nodes)]
    shown = [kind if count == 1 else f"{count:,} × {kind}" for kind, count in runs]
    for length in range(1, len(shown) // 2 + 1):  # a pattern that repeats is written once
        copies, rest = divmod(len(shown), length)
        if not rest and shown == shown[:length] * copies:
            pattern = " → ".join(shown[:length])
            return f"{copies} × ({pattern})" if length > 1 else f"{copies} × {pattern}"
    return " → ".join(shown)


def shape_of(node: Node) -> str:
    """The shape of a node's value, "" for numbers and for nodes without a value."""
    return shape_text(node.value.shape) if isinstance(node.value, np.ndarray) else ""


def statement(reading: Reading, node: Node) -> str:
    """What a node is, in one line: "g = Mul(x, y)"."""
    called, kind = reading.called[node], class_of(node)
    inputs = ", ".join(reading.called[source] for source in reading.inbound[node])
    what = f"{kind}({inputs})" if reading.inbound[node] else kind
    shape = shape_of(node)
    return (what if called == kind else f"{called} = {what}") + (f", {shape}" if shape else "")


def title_of(reading: Reading) -> str:
    """A title where the user gives none."""
    names = ", ".join(reading.called[output] for output in reading.outputs)
    return f"The graph of {names}"


def describe(reading: Reading) -> str:
    """The graph in words, for those who cannot see it."""
    shown = reading.nodes[-_DESCRIBED:]
    start = f"{len(reading.nodes)} nodes. "
    if len(shown) < len(reading.nodes):
        start += f"The last {len(shown)}: "
    return start + "; ".join(statement(reading, node) for node in shown) + "."


def run_caption(reading: Reading, values: bool) -> str:
    """Which passes have been run, where one has not."""
    if not values or all(not node.inbound_nodes for node in reading.nodes):
        return ""
    if not reading.forward_ran:
        return "Not run yet: no values, no gradients."
    if not reading.backward_ran:
        return "Forward pass only: no gradients yet."
    return ""
