"""The figure of a graph opened into entries: every number a circle, every dependence an arrow.

With paths, those from one entry to the end are lit, each arrow with its local derivative, and the
sum of products stands below: Linear's two paths from an entry of X to Z, or the one probability
that carries a loss back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np

from miniflow.errors import GraphError
from miniflow.graph import Node
from miniflow.pictures.chain import PathProduct, chain_rule, times
from miniflow.pictures.entries import (
    MOST_ENTRIES,
    Entries,
    Entry,
    entry_name,
    open_entries,
    opens,
)
from miniflow.pictures.figure import Arrow, Card, Figure, Frame, Span, Words
from miniflow.pictures.graphs import describe, node_card, title_of
from miniflow.pictures.groups import Grouping
from miniflow.pictures.layout import Direction
from miniflow.pictures.local import as_forward_left_them
from miniflow.pictures.reading import Reading, class_of
from miniflow.pictures.values import Seen, number

MOST_LABELS = 24  # derivatives that are written on arrows
_ZERO = "Dashed: the derivative is 0, nothing flows back."
End = Node | Sequence[Any]  # a node, or a node and the index of one of its entries


def element_figure(
    outputs: tuple[Node, ...],
    title: str | None,
    direction: Direction,
    paths: tuple[End, End] | None,
) -> Figure:
    """The entries of a graph that has been run; raises GraphError if it has not."""
    seeds = Reading(outputs)
    reading = Reading([o.inbound_nodes[0] if o.upstream_is_fed else o for o in outputs])
    for node in reading.nodes:
        if node.value is None:
            raise GraphError(
                f"{node} has no value yet: elements=True shows numbers, so run a pass first."
            )
    with as_forward_left_them(reading.nodes):
        entries = open_entries(reading)
    figure = Figure(
        title or f"{title_of(reading)}, entry by entry",
        describe(reading),
        tuple(_cards(reading, seeds, entries)),
        tuple(
            Arrow(source, entry, dashed=slope == 0)
            for entry, sources in entries.before.items()
            for source, slope in sources.items()
        ),
        tuple(_frames(reading, entries)),
        direction=direction,
    )
    if any(arrow.dashed for arrow in figure.arrows):
        figure = replace(figure, caption=_ZERO)
    return figure if paths is None else _light(figure, seeds, entries, *paths)


def _cards(reading: Reading, seeds: Reading, entries: Entries) -> list[Card]:
    cards: list[Card] = []
    for (node, stage), own in entries.stacks.items():
        gradient = None if stage else seeds.gradient(node)
        for entry in own:
            if entry.place is None:
                cards.append(node_card(reading, Grouping({}), node, (), True))
                cards[-1] = replace(cards[-1], key=entry)
                continue
            slope = None if gradient is None else np.reshape(gradient, -1)[entry.place]
            cards.append(
                Card(
                    entry,
                    "entry",
                    entry_name(reading, entry),
                    value=_one(entries.values[entry]),
                    gradient=None if slope is None else _one(slope),
                    tooltip=_tooltip(reading, entry),
                    frame=(node, stage),
                )
            )
    return cards


def _one(x: Any) -> Seen:
    return Seen("", rows=((number(x),),))


def _tooltip(reading: Reading, entry: Entry) -> str:
    shape = np.shape(entry.node.inbound_nodes[0].value if entry.stage else entry.node.value)
    index = (
        ", ".join(str(int(i)) for i in np.unravel_index(entry.place or 0, shape)) if shape else ""
    )
    name = "softmax" if entry.stage else reading.called[entry.node]
    return f"{name}[{index}]" if index else name


def _frames(reading: Reading, entries: Entries) -> list[Frame]:
    frames = []
    for (node, stage), own in entries.stacks.items():
        if own[0].place is not None:
            name, kind = reading.called[node], class_of(node)
            shown, subtitle = ("p", "softmax") if stage else (name, kind if name != kind else "")
            if (node, "softmax") in entries.stacks and not stage:
                subtitle = "cross-entropy"
            frames.append(Frame((node, stage), shown, stack=True, subtitle=subtitle))
    return frames


def _light(figure: Figure, reading: Reading, entries: Entries, start: End, end: End) -> Figure:
    """The figure with the paths from one entry (or all of a node's) to the end lit, and what they
    sum up to.
    """
    starts, ends = _resolve(entries, start), _resolve(entries, end)
    before = _between(entries, starts, ends)
    if starts == ends or not any(entry in before for entry in starts):
        raise GraphError(
            f"paths=(start, end): nothing flows back from {_name_of_end(end)} to "
            f"{_name_of_end(start)}."
        )
    names = {entry: entry_name(reading, entry) for entry in before}
    count = sum(map(len, before.values()))
    arrows = []
    for arrow in figure.arrows:
        entry, source = arrow.target, arrow.source
        assert isinstance(entry, Entry)
        assert isinstance(source, Entry)
        lit = entry in before and source in before[entry]
        slope = entries.before[entry][source] if lit and count <= MOST_LABELS else None
        label: tuple[Words, ...] = ()
        if slope is not None:
            symbol = f"∂{names[entry]}/∂{names[source]} = "
            label = ((Span(symbol), Span(number(slope), "gradient")),)
        arrows.append(replace(arrow, lit=lit, label=label))
    caption = figure.caption
    if count > MOST_LABELS:
        caption = f"{count} lit arrows, too many to label; one entry has fewer. {caption}".strip()
    notes: tuple[Words, ...] = ()
    if len(starts) == 1:
        notes = _notes(reading, entries, before, names, starts[0], ends)
    return replace(
        figure,
        cards=tuple(replace(card, lit=card.key in before) for card in figure.cards),
        arrows=tuple(arrows),
        notes=notes,
        caption=caption,
    )


def _resolve(entries: Entries, end: End) -> list[Entry]:
    """The entries that an end of the paths names: all of a node's, or the one at an index."""
    node, index = _parts(end)
    if not isinstance(node, Node):
        raise GraphError(f"paths=(start, end): {end!r} is neither a node nor an entry of one.")
    if node.upstream_is_fed:
        node = node.inbound_nodes[0]
    own = entries.stacks.get((node, ""))
    if own is None:
        raise GraphError(f"paths=(start, end): {node} does not lead to what is drawn.")
    shape = np.shape(node.value)
    if not index and not opens(node):
        raise GraphError(
            f"paths=(start, end): {node} of shape {shape} is not opened into entries; numbers and "
            f"matrices of up to {MOST_ENTRIES} are."
        )
    if not index:
        return own
    try:
        place = int(np.ravel_multi_index(index, shape)) if opens(node) else None
    except (ValueError, TypeError):
        place = None
    if place is None:
        raise GraphError(
            f"paths=(start, end): {node} of shape {shape} has no entry {tuple(index)} to draw."
        )
    return [own[place]]


def _between(entries: Entries, starts: list[Entry], ends: list[Entry]) -> dict[Entry, list[Entry]]:
    """The entries on the paths, in order, each with those that it depends on by a derivative that
    is not 0.
    """
    carrying = {
        entry: [source for source, slope in sources.items() if slope]
        for entry, sources in entries.before.items()
    }
    after, wanted = set(starts), set(ends)
    for entry, sources in carrying.items():
        if not after.isdisjoint(sources):
            after.add(entry)
    for entry in reversed(carrying):
        if entry in wanted:
            wanted.update(carrying[entry])
    members = after & wanted
    return {
        entry: [source for source in carrying[entry] if source in members and entry not in starts]
        for entry in carrying
        if entry in members
    }


def _notes(
    reading: Reading,
    entries: Entries,
    before: dict[Entry, list[Entry]],
    names: dict[Entry, str],
    start: Entry,
    ends: list[Entry],
) -> tuple[Words, ...]:
    """The sum of products over the paths from one entry.

    Paths that end in the entries of a matrix are each weighted by that entry's own gradient,
    "∂L/∂Z₁₂": of the output if it is a number, else of whatever L the last pass took it to be.
    """
    ends = [entry for entry in ends if entry in before]
    matrix = np.size(ends[0].node.value) > 1
    gradient = reading.gradient(ends[0].node) if matrix else None
    given = [1.0 if gradient is None else _at(gradient, entry) for entry in ends]
    upstream = dict(zip(ends, given, strict=True))
    output = reading.outputs[0]
    whole = "L" if np.size(output.value) > 1 else reading.called[output]
    top = whole if matrix else names[ends[0]]
    slopes = dict.fromkeys(before, 0.0) | upstream
    for entry in reversed(before):
        for source in before[entry]:
            slopes[source] += _slope(entries, entry, source) * slopes[entry]

    def product(path: list[Entry]) -> PathProduct:
        edges = list(pairwise(path))[::-1]
        symbols = [f"∂{names[entry]}/∂{names[source]}" for source, entry in edges]
        factors = [_slope(entries, entry, source) for source, entry in edges]
        if matrix:
            symbols.insert(0, f"∂{top}/∂{names[path[-1]]}")
            factors.insert(0, upstream[path[-1]])
        route = " → ".join(names[entry] for entry in path)
        return PathProduct(
            " · ".join(symbols), times(map(number, factors)), number(prod(factors)), route
        )

    total = number(slopes[start])
    return chain_rule(f"∂{top}/∂{names[start]}", before, start, ends, product, total)


def _slope(entries: Entries, entry: Entry, source: Entry) -> float:
    return entries.before[entry][source] or 0.0


def _at(gradient: Any, entry: Entry) -> float:
    return float(np.reshape(gradient, -1)[entry.place])


def _parts(end: End) -> tuple[Any, list[Any]]:
    """The node of an end of the paths, and the index of its entry: [] for all of them."""
    node, *index = end if isinstance(end, (tuple, list)) and end else (end,)
    return node, index


def _name_of_end(end: End) -> str:
    node, index = _parts(end)
    return f"{node}{index}" if index else str(node)
