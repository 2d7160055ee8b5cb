"""The chain rule as a picture: all paths from one node to another, lit, with the local derivative
on each edge.

Below the graph stands the sum: for each path the product of its local derivatives, from the end
back to the start, what it comes to, and the total over all paths. For arrays a product means what
the backward pass does: each node's `backward` applied to what the one after it handed back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from miniflow.errors import GraphError
from miniflow.graph import Node
from miniflow.pictures.chain import PathProduct, chain_rule, times
from miniflow.pictures.figure import Figure, Span, Words
from miniflow.pictures.local import (
    LocalDerivative,
    as_forward_left_them,
    local_derivative,
    pull_back,
)
from miniflow.pictures.reading import Reading
from miniflow.pictures.values import number, seen

Edge = tuple[Node, Node]


def light_paths(figure: Figure, reading: Reading, start: Node, end: Node) -> Figure:
    """The figure with all paths from `start` to `end` lit and the chain rule below.

    Raises GraphError if `end` does not depend on `start` or one of them is not in the picture.
    """
    on_path = between(reading, start, end)
    with as_forward_left_them([node for node in on_path if node.value is not None]):
        return _lit(figure, reading, on_path)


def _lit(figure: Figure, reading: Reading, on_path: list[Node]) -> Figure:
    start, end = on_path[0], on_path[-1]
    ran = all(node.value is not None for node in on_path)
    local: dict[Edge, LocalDerivative | None] = {}
    for node in on_path:
        for source in node.inbound_nodes:
            if source in on_path and (source, node) not in local:
                local[source, node] = local_derivative(node, source) if ran else None
    unlabelled = set(local)  # a node that uses an input twice has one derivative for both uses
    arrows = []
    for arrow in figure.arrows:
        edge = (arrow.source, arrow.target)
        label: tuple[Words, ...] = ()
        if edge in unlabelled:
            label = edge_label(partial(reading, edge[1], edge[0]), local[edge])
            unlabelled.discard(edge)
        arrows.append(replace(arrow, lit=edge in local, label=label))
    return replace(
        figure,
        title=f"{figure.title}: {partial(reading, end, start)} along all paths",
        cards=tuple(replace(card, lit=card.key in on_path) for card in figure.cards),
        arrows=tuple(arrows),
        notes=_notes(reading, on_path, local if ran else None),
    )


def between(reading: Reading, start: Node, end: Node) -> list[Node]:
    """The nodes on any path from `start` to `end`, in order, both included."""
    for node in (start, end):
        if node not in reading.consumers:
            raise GraphError(f"paths=(start, end): {node} does not lead to what is drawn.")
    after, before = {start}, {end}
    for node in reading.nodes:
        if not after.isdisjoint(node.inbound_nodes):
            after.add(node)
    for node in reversed(reading.nodes):
        if not before.isdisjoint(reading.consumers[node]):
            before.add(node)
    if start is end or end not in after:
        raise GraphError(f"paths=(start, end): no path leads from {start} to {end}.")
    return [node for node in reading.nodes if node in after and node in before]


def partial(reading: Reading, node: Node, source: Node) -> str:
    """The derivative of one node with respect to another, as it is written."""
    return f"∂{reading.called[node]}/∂{reading.called[source]}"


def edge_label(name: str, local: LocalDerivative | None) -> tuple[Words, ...]:
    """A local derivative as the label of an edge: its number or entries, or what kind of matrix it
    is.
    """
    if local is None:
        return ((Span(name, "gradient"),),)
    if local.kind == "number":
        return ((Span(f"{name} = "), Span(text_of(local.value), "gradient")),)
    if local.kind == "jacobian":
        shape = "" if local.value is None else "×".join(map(str, local.value.shape)) + " "
        return (Span(name),), (Span(f"{shape}Jacobian", "gradient"),)
    shown, name = seen(local.value), f"{name}{' elementwise' * (local.kind == 'elementwise')}"
    if shown is None or not shown.rows or _uniform(local.value):
        return (Span(name),), (Span(text_of(local.value), "gradient"),)
    rows = [f"[{' '.join(row)}]" for row in shown.rows]
    return (Span(name),), *((Span(row, "gradient"),) for row in rows)


def _notes(
    reading: Reading, on_path: list[Node], local: Mapping[Edge, LocalDerivative | None] | None
) -> tuple[Words, ...]:
    """The lines below the picture: one product a path, and their sum; `local` is None if nothing
    has run.
    """
    start, end = on_path[0], on_path[-1]
    members = set(on_path)
    before = {n: [s for s in dict.fromkeys(n.inbound_nodes) if s in members] for n in on_path}
    result = None if local is None else text_of(total(before, start, end))

    def product(path: list[Node]) -> PathProduct:
        return _product(reading, path, local)

    return chain_rule(partial(reading, end, start), before, start, [end], product, result)


def _product(
    reading: Reading, path: list[Node], local: Mapping[Edge, LocalDerivative | None] | None
) -> PathProduct:
    edges = list(pairwise(path))[::-1]
    symbols = " · ".join(partial(reading, node, source) for source, node in edges)
    route = " → ".join(reading.called[node] for node in path)
    if local is None:
        return PathProduct(symbols, "", "", route)
    factors = [local[edge] for edge in edges]
    numbers = ""
    if all(factor is not None and factor.kind == "number" for factor in factors):
        numbers = times(text_of(factor.value) for factor in factors if factor)
    upstream: Any = np.ones(np.shape(path[-1].value))[()]
    for source, node in edges:
        upstream = pull_back(node, upstream)[source]
    return PathProduct(symbols, numbers, text_of(upstream), route)


def total(before: dict[Node, list[Node]], start: Node, end: Node) -> Any:
    """The sum over all paths: one backward pass over the nodes between, which are in order."""
    gradients: dict[Node, Any] = {end: np.ones(np.shape(end.value))[()]}
    for node in reversed(before):
        if before[node]:
            handed = pull_back(node, gradients[node])
            for source in before[node]:
                gradients[source] = gradients.get(source, 0) + handed[source]
    return gradients[start]


def text_of(value: Any) -> str:
    """A value on one line: its entries, or its shape and a summary."""
    shown = seen(value)
    if shown is None:
        return ""
    if _uniform(value):
        return f"{shown.shape}: all {number(np.ravel(value)[0])}"
    return shown.text if shown.rows else f"{shown.shape}: {shown.text}"


def _uniform(value: Any) -> bool:
    """Whether an array has several entries, all of them the same."""
    array = np.asarray(value)
    return array.size > 1 and bool(array.min() == array.max())
