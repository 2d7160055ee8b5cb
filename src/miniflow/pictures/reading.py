"""What a picture needs to know of a graph: its nodes in order, what to call them, what the last
pass left on them.

Reading changes nothing: values and gradients are those of the last pass over the nodes, whatever
its output was.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from miniflow.errors import printable
from miniflow.graph import Constant, Node, Parameter
from miniflow.graph.plans import ancestors_in_order
from miniflow.interpreter.passes import alone
from miniflow.pictures.figure import Kind
from miniflow.pictures.values import number

_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


class Reading:
    """The nodes that lead to some outputs, each after its inputs, and what is known of them."""

    def __init__(self, outputs: Sequence[Node]) -> None:
        self.outputs = list(dict.fromkeys(outputs))
        found = dict.fromkeys(n for output in outputs for n in ancestors_in_order(output))
        self.nodes: list[Node] = []
        self.inbound: dict[Node, list[Node]] = {}  # where the arrows of each come from
        self.inside: dict[Node, Node] = {}  # a node of the graph inside another → that one
        for node in found:
            self._take_in(node)
        self.consumers: dict[Node, list[Node]] = {node: [] for node in self.nodes}
        for node in self.nodes:
            for source in dict.fromkeys(self.inbound[node]):
                self.consumers[source].append(node)
        self.called = _unique_names(self.nodes)

    def _take_in(self, node: Node) -> None:
        """Note a node; before it the graph inside it, whose inputs are its own."""
        self.inbound[node] = list(node.inbound_nodes)
        shown = node.graph_inside()
        if shown is not None:
            stands_for, output = shown
            for inner in ancestors_in_order(output):
                if inner not in stands_for and inner not in self.inbound:
                    self.nodes.append(inner)
                    self.inside[inner] = node
                    self.inbound[inner] = [stands_for.get(n, n) for n in inner.inbound_nodes]
            self.inbound[node] = [stands_for.get(output, output)]
        self.nodes.append(node)

    def kind(self, node: Node) -> Kind:
        """Which of the shapes a node is drawn in."""
        if isinstance(node, Parameter):
            return "parameter"
        if isinstance(node, Constant):
            return "constant"
        if not node.inbound_nodes:
            return "input"
        return "output" if node in self.outputs else "operation"

    def gradient(self, node: Node) -> Any:
        """The gradient of the output with respect to the node's value, None if the last pass left
        none.

        Where no gradient flows, to whole numbers that are labels or indices, consumers leave zeros:
        those are no gradient either.
        """
        if isinstance(node, Constant):
            return None
        consumers = self.consumers[node]
        if not node.inbound_nodes:
            total = node.gradients.get(node)
        elif node.upstream_is_fed or not consumers:
            total = self._upstream(node) if node.gradients else None
        else:
            handed_back = [consumer.gradients.get(node) is not None for consumer in consumers]
            total = self._upstream(node) if all(handed_back) else None
        if total is None:
            return None
        is_countable = np.asarray(node.value).dtype.kind in "biu"
        return None if is_countable and not np.any(total) else total

    def _upstream(self, node: Node) -> Any:
        with alone(node, self.consumers[node] or None):
            return node.upstream_gradient()

    @property
    def forward_ran(self) -> bool:
        """Whether any operation has a value."""
        return any(node.value is not None for node in self.nodes if node.inbound_nodes)

    @property
    def backward_ran(self) -> bool:
        """Whether any operation has left gradients."""
        return any(node.gradients for node in self.nodes if node.inbound_nodes)


def _unique_names(nodes: Sequence[Node]) -> dict[Node, str]:
    """A name for each node that no other one has: its own, or its class; with a subscript where
    that is not unique.
    """
    wanted = {node: _own_name(node) for node in nodes}
    counts: dict[str, int] = {}
    for name in wanted.values():
        counts[name] = counts.get(name, 0) + 1
    numbers: dict[str, int] = {}
    result: dict[Node, str] = {}
    taken = set(wanted.values())
    for node, name in wanted.items():
        unique = name
        while counts[name] > 1 and (unique == name or unique in taken):
            numbers[name] = numbers.get(name, 0) + 1
            unique = name + str(numbers[name]).translate(_SUBSCRIPTS)
        result[node] = unique
        taken.add(unique)
    return result


def name_of(node: Node) -> str:
    """The node's name on one line, "" if it has none."""
    return printable(node.name or "")


def class_of(node: object) -> str:
    """The name of the node's class on one line: a class may be called anything."""
    return printable(type(node).__name__)


def _own_name(node: Node) -> str:
    if node.name:
        return name_of(node)
    if isinstance(node, Constant) and np.ndim(node.value) == 0 and node.value is not None:
        return number(node.value)
    return class_of(node)
