"""Which nodes of a graph get a card of their own, which share one, and which stand together in a
frame.

A small graph is drawn whole, its named groups (see `naming`) as frames. A large one is closed up in
steps, until few enough cards are left: weights that serve one operation are written on its card;
named groups become single cards, the innermost first; repeated blocks (see `repeats`) become cards,
and long rows of them one card. Layout and drawing know nothing of this: they see cards, arrows and
frames.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from miniflow.graph import Node
from miniflow.pictures.figure import Frame
from miniflow.pictures.layout.layering import Edge, assign_layers, neighbours
from miniflow.pictures.naming import Path, group_paths
from miniflow.pictures.reading import Reading, class_of
from miniflow.pictures.repeats import RepeatedRun, find_repeats

Groups = Literal["auto", "open", "closed", "none"]

MOST_CARDS, MOST_LAYERS = 60, 30  # that "auto" draws: in all, and one after the other
_MOST_COPIES = 12  # of a repeated block that are drawn one by one


class GroupKey(NamedTuple):
    """The key of a closed group's card or of an open one's frame."""

    name: Hashable


@dataclass
class Grouping:
    """`card_of`: node → key of its card: itself, the operation on whose card it is written, or a
    GroupKey.

    `titles` names the closed groups; `frame_of` says in which frame a card is.
    """

    card_of: dict[Node, Hashable]
    titles: dict[GroupKey, str] = field(default_factory=dict)
    frame_of: dict[Hashable, GroupKey | None] = field(default_factory=dict)
    frames: tuple[Frame, ...] = ()

    def members(self) -> dict[Hashable, list[Node]]:
        """The nodes of each card, in order."""
        found: dict[Hashable, list[Node]] = {}
        for node, card in self.card_of.items():
            found.setdefault(card, []).append(node)
        return found


def group(reading: Reading, how: Groups) -> Grouping:
    """Group the nodes of a graph: "none" not at all, "open" in frames, "closed" as far as it goes,
    "auto" as needed.
    """
    if how == "none":
        return Grouping({node: node for node in reading.nodes})
    paths = group_paths(reading)
    grouping = _by_name(reading, paths, None, fold=False)
    if how == "open" or (how == "auto" and _is_small(reading, grouping)):
        return grouping
    deepest = max(map(len, paths.values()), default=0)
    depths: list[int | None] = [1] if how == "closed" else [None, *range(deepest, 0, -1)]
    for depth in depths:
        grouping = _by_name(reading, paths, depth, fold=True)
        if how == "auto" and _is_small(reading, grouping):
            return _by_repeats(reading, grouping, only_rows=True)
    return _by_repeats(reading, grouping)


def _is_small(reading: Reading, grouping: Grouping) -> bool:
    """Whether there are few enough cards, not too many of them in a row."""
    cards, edges = _card_graph(reading, grouping)
    return len(cards) <= MOST_CARDS and max(assign_layers(len(cards), edges)) < MOST_LAYERS


def _card_graph(reading: Reading, grouping: Grouping) -> tuple[list[Hashable], list[Edge]]:
    """The cards, and the edges between them by their numbers."""
    card_of = grouping.card_of
    index = {card: number for number, card in enumerate(dict.fromkeys(card_of.values()))}
    edges = [
        (index[card_of[source]], index[card_of[node]])
        for node in reading.nodes
        for source in reading.inbound[node]
        if card_of[source] != card_of[node]
    ]
    return list(index), edges


def _by_name(reading: Reading, paths: dict[Node, Path], depth: int | None, fold: bool) -> Grouping:
    """Groups at `depth` and deeper closed (None: all open); `fold`: leaves on the card of their
    only reader.
    """
    card_of: dict[Node, Hashable] = {}
    titles: dict[GroupKey, str] = {}
    frame_of: dict[Hashable, GroupKey | None] = {}
    for node in reversed(reading.nodes):  # readers first
        path = paths[node]
        readers = reading.consumers[node]
        if depth is not None and len(path) >= depth:
            key = GroupKey(path[:depth])
            card_of[node], titles[key] = key, path[depth - 1]
            frame_of[key] = GroupKey(path[: depth - 1]) if depth > 1 else None
        elif fold and reading.kind(node) in ("parameter", "constant") and len(readers) == 1:
            card_of[node] = card_of[readers[0]]
        else:
            card_of[node] = node
            frame_of[node] = GroupKey(path) if path else None
    card_of = {node: card_of[node] for node in reading.nodes}
    return Grouping(card_of, titles, frame_of, _frames(frame_of.values()))


def _frames(used: Iterable[GroupKey | None]) -> tuple[Frame, ...]:
    """A frame for each group in use and for each group around one, outer ones first."""
    paths: dict[Path, None] = {}
    for key in used:
        if key is not None and isinstance(key.name, tuple):
            for depth in range(1, len(key.name) + 1):
                paths.setdefault(key.name[:depth])
    return tuple(
        Frame(GroupKey(path), path[-1], GroupKey(path[:-1]) if len(path) > 1 else None)
        for path in sorted(paths, key=len)
    )


def _by_repeats(reading: Reading, grouping: Grouping, only_rows: bool = False) -> Grouping:
    """Close repeated blocks among the cards there are, within one frame; `only_rows`: only long
    rows of groups.
    """
    members = grouping.members()
    order = [card for card in _in_order(reading, grouping) if not _is_leaf(members[card])]
    kinds = [tuple(type(node).__name__ for node in members[card]) for card in order]
    repeats = find_repeats(kinds)
    left = len(members) - sum((r.length - 1) * r.copies for r in repeats)
    new_card: dict[Hashable, GroupKey] = {}
    titles, frame_of = dict(grouping.titles), dict(grouping.frame_of)
    for index, repeat in enumerate(repeats):
        whole = repeat.copies > _MOST_COPIES or left > MOST_CARDS
        cards = order[repeat.start : repeat.start + repeat.copies * repeat.length]
        frames = {grouping.frame_of.get(card) for card in cards}
        rows = whole and all(isinstance(card, GroupKey) for card in cards)
        if len(frames) > 1 or (only_rows and not rows) or (repeat.length == 1 and not whole):
            continue
        titled = _titles(grouping, cards, repeat, whole)
        for copy in range(repeat.copies):
            start = repeat.start + copy * repeat.length
            key = GroupKey(("repeat", index, -1 if whole else copy))
            new_card |= dict.fromkeys(order[start : start + repeat.length], key)
            titles[key] = titled[copy]
            frame_of[key] = next(iter(frames))
    card_of = {node: new_card.get(card, card) for node, card in grouping.card_of.items()}
    _take_in_inputs(reading, card_of)
    return Grouping(card_of, titles, frame_of, grouping.frames)


def _take_in_inputs(reading: Reading, card_of: dict[Node, Hashable]) -> None:
    """Inputs that are many, one for each copy of a repeated block, go onto the card of its row."""
    inputs: dict[Hashable, list[Node]] = {}
    for node, card in card_of.items():
        readers = {card_of[reader] for reader in reading.consumers[node]}
        if card == node and not node.inbound_nodes and len(readers) == 1:
            inputs.setdefault(readers.pop(), []).append(node)
    for card, own in inputs.items():
        if isinstance(card, GroupKey) and len(own) > _MOST_COPIES:
            card_of |= dict.fromkeys(own, card)


class BlockGroups(NamedTuple):
    """Repeated blocks as groups to open and close: for each node those around it, outermost first,
    and what the groups are called.
    """

    around: dict[Node, tuple[GroupKey, ...]]
    titles: dict[GroupKey, str]


def repeated_blocks(reading: Reading) -> BlockGroups:
    """The repeated blocks of a graph without named groups, and around each long row of them one
    more group.
    """
    grouping = _by_name(reading, dict.fromkeys(reading.nodes, ()), None, fold=True)
    members = grouping.members()
    order = [card for card in _in_order(reading, grouping) if not _is_leaf(members[card])]
    around: dict[Hashable, tuple[GroupKey, ...]] = {}
    titles: dict[GroupKey, str] = {}
    for index, repeat in enumerate(find_repeats([type(card).__name__ for card in order])):
        row = (GroupKey(("repeat", index, -1)),) if repeat.copies > _MOST_COPIES else ()
        titles |= dict.fromkeys(row, f"{repeat.copies:,} blocks")
        for copy in range(repeat.copies):
            start = repeat.start + copy * repeat.length
            block = (GroupKey(("repeat", index, copy)),) if repeat.length > 1 else ()
            titles |= dict.fromkeys(block, f"block {copy + 1} of {repeat.copies}")
            around |= dict.fromkeys(order[start : start + repeat.length], (*row, *block))
    found = {node: around.get(card, ()) for node, card in grouping.card_of.items()}
    return BlockGroups(found, titles)


def _titles(
    grouping: Grouping, cards: list[Hashable], repeat: RepeatedRun, whole: bool
) -> list[str]:
    """What the copies of a repeated block are called; if drawn as a `whole`, all the same."""
    if not whole:
        return [f"block {copy + 1} of {repeat.copies}" for copy in range(repeat.copies)]
    names = [grouping.titles[card] for card in cards if isinstance(card, GroupKey)]
    title = f"{repeat.copies:,} blocks"
    if names:
        title = f"{names[0]} … {names[-1]}"
    elif repeat.length == 1:
        title = f"{repeat.copies:,} × {class_of(cards[0])}"
    return [title] * repeat.copies


def _is_leaf(nodes: list[Node]) -> bool:
    return len(nodes) == 1 and not nodes[0].inbound_nodes


def _in_order(reading: Reading, grouping: Grouping) -> list[Hashable]:
    """The cards, each after those that it reads, and what belongs to one branch together (depth
    first).
    """
    cards, edges = _card_graph(reading, grouping)
    before, _ = neighbours(len(cards), edges)
    order: list[Hashable] = []
    entered: set[int] = set()
    for start in range(len(cards)):
        stack = [(start, iter(before[start]))] if start not in entered else []
        entered.add(start)
        while stack:
            card, rest = stack[-1]
            source = next((s for s in rest if s not in entered), None)
            if source is None:
                order.append(cards[card])
                stack.pop()
            else:
                entered.add(source)
                stack.append((source, iter(before[source])))
    return order
