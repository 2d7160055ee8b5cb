"""A graph of single numbers: the entries of small matrices, and which depends on which, with its
derivative.

What a node's entries depend on is found by running its own `backward` with one unit of upstream
gradient at a time (see `local`). One node is opened further: cross-entropy of a softmax gets a
stage for the probabilities, since what happens between them and the loss is the point of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from miniflow.graph import Node
from miniflow.pictures.local import depends, jacobian, pull_back
from miniflow.pictures.reading import Reading

MOST_ENTRIES = 16  # of a matrix that is opened
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


class Entry(NamedTuple):
    """One entry of a node's value, by its place in reading order; None: the whole node, if it is
    too large to open.

    `stage` tells the probabilities inside a cross-entropy from its value.
    """

    node: Node
    place: int | None
    stage: str = ""


@dataclass
class Entries:
    """`stacks`: (node, stage) → its entries. `before`: entry → what it depends on → derivative,
    None if not known.
    """

    stacks: dict[tuple[Node, str], list[Entry]] = field(default_factory=dict)
    before: dict[Entry, dict[Entry, float | None]] = field(default_factory=dict)
    values: dict[Entry, float] = field(default_factory=dict)


def open_entries(reading: Reading) -> Entries:
    """The entries of all nodes of a graph that has been run."""
    entries = Entries()
    for node in reading.nodes:
        own = (
            [Entry(node, i) for i in range(np.size(node.value))]
            if opens(node)
            else [Entry(node, None)]
        )
        probabilities = _probabilities(node)
        if probabilities is not None:
            _add_softmax(entries, node, own, probabilities)
            continue
        _add(entries, (node, ""), own, np.asarray(node.value))
        if not node.inbound_nodes:
            continue
        known = all(opens(n) for n in (node, *node.inbound_nodes))
        structure, derivatives = (depends(node), jacobian(node)) if known else ({}, {})
        for source in dict.fromkeys(node.inbound_nodes):
            for entry, other in _pairs(own, entries.stacks[source, ""]):
                if not known:
                    entries.before[entry][other] = None
                elif not structure[source].any():  # it only chooses, as an index does
                    entries.before[entry][other] = 0.0
                elif structure[source][entry.place, other.place]:
                    entries.before[entry][other] = float(
                        derivatives[source][entry.place, other.place]
                    )
    return entries


def opens(node: Node) -> bool:
    """Whether a node's value is small enough, and of a kind, to be drawn entry by entry."""
    value = node.value
    numeric = (
        isinstance(value, (int, float, np.generic, np.ndarray))
        and np.asarray(value).dtype.kind in "iuf"
    )
    return numeric and np.ndim(value) <= 2 and 0 < np.size(value) <= MOST_ENTRIES


def entry_name(reading: Reading, entry: Entry) -> str:
    """What an entry is called: "Z₁₂" counts from one, as in mathematics; "1,2" where the matrix has
    no short name.
    """
    name = "p" if entry.stage else reading.called[entry.node]
    shape = np.shape(entry.node.inbound_nodes[0].value if entry.stage else entry.node.value)
    if entry.place is None or not shape:
        return name
    numbers = [str(int(i) + 1) for i in np.unravel_index(entry.place, shape)]
    if len(name) > 3 or any(len(number) > 1 for number in numbers):
        return ",".join(numbers) if len(name) > 3 else f"{name}[{','.join(numbers)}]"
    return name + "".join(numbers).translate(_SUBSCRIPTS)


def _add(
    entries: Entries, stack: tuple[Node, str], own: list[Entry], values: np.ndarray[Any, Any]
) -> None:
    entries.stacks[stack] = own
    for entry in own:
        entries.before[entry] = {}
        if entry.place is not None:
            entries.values[entry] = values.reshape(-1)[entry.place].item()


def _pairs(own: list[Entry], others: list[Entry]) -> Iterator[tuple[Entry, Entry]]:
    for entry in own:
        for other in others:
            yield entry, other


def _probabilities(node: Node) -> np.ndarray[Any, Any] | None:
    """The softmax inside a plain cross-entropy of small logits; None for any other node.

    A class of that name that computes something else (a sum instead of a mean, smoothed labels) is
    not opened: its own gradient has to be that of the mean over rows of −log p at the label.
    """
    if type(node).__name__ != "CrossEntropyWithSoftmax" or len(node.inbound_nodes) != 2:
        return None
    logits, labels = node.inbound_nodes
    x, y = np.asarray(logits.value), np.asarray(labels.value)
    if not opens(logits) or x.ndim != 2 or y.shape != x.shape[:1] or y.dtype.kind not in "iu":
        return None
    powers = np.exp(x - x.max(axis=1, keepdims=True))
    p: np.ndarray[Any, Any] = powers / powers.sum(axis=1, keepdims=True)
    expected = (p - np.eye(x.shape[1])[y]) / len(x)
    return p if np.allclose(pull_back(node, 1.0).get(logits, np.nan), expected) else None


def _add_softmax(entries: Entries, node: Node, own: list[Entry], p: np.ndarray[Any, Any]) -> None:
    """The probabilities, each depending on its whole row of logits, and the loss, on one of each
    row.
    """
    logits, labels = node.inbound_nodes
    rows, columns = p.shape
    stage = [Entry(node, place, "softmax") for place in range(p.size)]
    _add(entries, (node, "softmax"), stage, p)
    _add(entries, (node, ""), own, np.asarray(node.value))
    chosen = np.asarray(labels.value)
    given = entries.stacks[logits, ""]
    for row in range(rows):
        for j in range(columns):
            entry = stage[row * columns + j]
            for k in range(columns):
                slope = p[row, j] * ((j == k) - p[row, k])
                entries.before[entry][given[row * columns + k]] = float(slope)
            carries = chosen[row] == j
            entries.before[own[0]][entry] = float(-1 / (rows * p[row, j])) if carries else 0.0
    for entry in entries.stacks[labels, ""]:
        entries.before[own[0]][entry] = 0.0  # they choose, and nothing flows back to them
