"""Which layer each node of a graph belongs to: the first of the four steps of a layered layout.

Every edge runs from a lower layer to a higher one. A longest-path pass gives each node the first
layer that its inputs allow; a second pass moves nodes later where that makes edges shorter, so that
a weight is drawn beside the layer that uses it and labels beside the loss, not all of them in one
column at the start.

The nodes are the integers `0 … count-1`, an edge is a pair of them. Linear in nodes and edges,
without recursion.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Edge = tuple[int, int]


def assign_layers(
    count: int,
    edges: Sequence[Edge],
    span: int = 1,
    first: Iterable[int] = (),
    last: Iterable[int] = (),
) -> list[int]:
    """The layer of every node, from 0; each edge crosses at least `span` layers.

    Nodes in `first` have no inputs and stay in layer 0; nodes in `last` have no readers and share
    the final layer.

    >>> assign_layers(5, [(0, 1), (1, 2), (2, 3), (4, 3)])  # node 4 is drawn beside its reader
    [0, 1, 2, 3, 2]
    """
    before, after = neighbours(count, edges)
    order = topological_order(before, after)
    layer = [0] * count
    for node in order:
        layer[node] = max((layer[n] + span for n in before[node]), default=0)
    final = max(layer, default=0)
    for node in last:
        layer[node] = final
    _move_later(order, before, after, layer, span, pinned={*first, *last})
    return layer


def neighbours(count: int, edges: Sequence[Edge]) -> tuple[list[list[int]], list[list[int]]]:
    """For every node the nodes that it reads and the nodes that read it, each once, in order of the
    edges.
    """
    before: list[list[int]] = [[] for _ in range(count)]
    after: list[list[int]] = [[] for _ in range(count)]
    for source, target in dict.fromkeys(edges):
        before[target].append(source)
        after[source].append(target)
    return before, after


def topological_order(before: list[list[int]], after: list[list[int]]) -> list[int]:
    """Every node after the nodes that it reads; ValueError if the edges run in a circle."""
    waiting = [len(inputs) for inputs in before]
    order = [node for node, missing in enumerate(waiting) if not missing]
    for node in order:
        for reader in after[node]:
            waiting[reader] -= 1
            if not waiting[reader]:
                order.append(reader)
    if len(order) < len(before):
        stuck = len(before) - len(order)
        raise ValueError(
            f"edges run in a circle: {stuck} of {len(before)} nodes wait for each other"
        )
    return order


def _move_later(
    order: list[int],
    before: list[list[int]],
    after: list[list[int]],
    layer: list[int],
    span: int,
    pinned: set[int],
) -> None:
    """Move nodes towards their readers where that makes no work of a node longer to carry.

    A node is free if all that leads to it serves nobody else: the whole of it moves up to its
    reader. Any other node moves as far as each of its inputs reaches anyway, on account of a reader
    further on. What comes from a node without inputs may get longer: a weight that is used in many
    places is carried to each of them.
    """
    free = [False] * len(order)
    for node in order:
        free[node] = node not in pinned and all(
            free[n] and len(after[n]) == 1 for n in before[node]
        )
    reach = [max((layer[n] for n in after[node]), default=0) for node in range(len(order))]
    for node in reversed(order):
        if node in pinned or not after[node]:
            continue
        latest = min(layer[n] for n in after[node]) - span
        if not free[node]:
            latest = min([latest, *(reach[n] for n in before[node] if before[n])])
        if latest > layer[node]:
            layer[node] = latest
            for source in before[node]:
                reach[source] = max(reach[source], latest)
