"""Where everything stands in the explorer, for every way in which its groups can be open or closed.

A page has no layout of its own: it moves between the ones that `layout.lay_out` has made for it. A
group is one box of the graph around it, open or closed, so each set of open groups is a layout by
itself. With few groups there is one for every set; with many, for the sets that are one click from
the first, from all open and from all closed, and a page takes the nearest. Each is there twice,
from left to right for wide windows and from top to bottom for phones, unless the graph is large.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from miniflow.graph import Constant, Node
from miniflow.pictures.cards import LONGEST_LINE, width_of
from miniflow.pictures.graphs import chain
from miniflow.pictures.groups import MOST_CARDS, GroupKey, repeated_blocks
from miniflow.pictures.layout import Box, Direction, Group, Layout, Link, Place, curve, lay_out
from miniflow.pictures.metrics import shorten
from miniflow.pictures.naming import group_paths
from miniflow.pictures.reading import Reading, class_of, name_of
from miniflow.pictures.svg import head_data, path_data, without_head

FEW_LAYOUTS = 16  # up to so many, two clicks are thought ahead
MOST_PLACES = 4000  # cards in all layouts together
_WIDEST = 24  # characters of a title
_SIDE, _LINE, _NUMBER = 12.0, 17.0, 15.0
_LEAST = 108.0  # room for a number, or a heat map
_FRAME_TITLE = 24.0

State = frozenset[GroupKey]  # the groups that are open


class Face(NamedTuple):
    """What is written on a card, and its size; the numbers are written below."""

    title: str
    subtitle: str
    width: float
    height: float


@dataclass(frozen=True)
class Grouped:
    """The groups that can be opened: for each node those around it, outermost first."""

    chains: dict[Node, tuple[GroupKey, ...]]
    titles: dict[GroupKey, str]
    first: State

    @cached_property
    def around(self) -> dict[GroupKey, tuple[GroupKey, ...]]:
        """For each group those around it, outermost first; outer groups come first."""
        found: dict[GroupKey, tuple[GroupKey, ...]] = {}
        for chain_ in self.chains.values():
            for depth, key in enumerate(chain_):
                found.setdefault(key, chain_[:depth])
        return dict(sorted(found.items(), key=lambda item: len(item[1])))

    @property
    def keys(self) -> list[GroupKey]:
        """Every group once, each after those around it."""
        return list(self.around)

    def parent(self, key: GroupKey) -> GroupKey | None:
        """The group around a group."""
        return self.around[key][-1] if self.around[key] else None


def group_nodes(reading: Reading) -> Grouped:
    """The named groups of a graph; of a large one without, its repeated blocks."""
    chains: dict[Node, tuple[GroupKey, ...]] = {
        node: tuple(GroupKey(path[: depth + 1]) for depth in range(len(path)))
        for node, path in group_paths(reading).items()
    }
    titles = {key: str(key.name[-1]) for c in chains.values() for key in c}  # type: ignore[index]
    if not titles and len(reading.nodes) > MOST_CARDS:
        chains, titles = repeated_blocks(reading)
        if _cards(chains, frozenset()) > MOST_CARDS:  # blocks by accident, which help nobody
            chains, titles = dict.fromkeys(reading.nodes, ()), {}
    return Grouped(chains, titles, _first(chains))


def _first(chains: Mapping[Node, tuple[GroupKey, ...]]) -> State:
    """As much as possible open, depth by depth, without too many cards."""
    best = State()
    for depth in range(1, 1 + max(map(len, chains.values()), default=0)):
        state = frozenset(key for chain_ in chains.values() for key in chain_[:depth])
        if _cards(chains, state) <= MOST_CARDS:
            best = state
    return best


def _cards(chains: Mapping[Node, tuple[GroupKey, ...]], state: State) -> int:
    """How many cards there are if these groups are open."""
    return len({_card(node, chain_, state) for node, chain_ in chains.items()})


def _card(node: Node, chain_: tuple[GroupKey, ...], state: State) -> Node | GroupKey:
    """On whose card a node is: on its own, or on that of the outermost closed group around it."""
    return next((key for key in chain_ if key not in state), node)


def states(groups: Grouped) -> list[State]:
    """The sets of open groups to lay out, the first one first.

    First come those that are one click away from it, then those that are one click from these, as
    long as there are few. An open group in a closed one makes no difference, and is left out.
    """
    everything, nothing = frozenset(groups.keys), State()
    found: dict[State, None] = dict.fromkeys((groups.first, everything, nothing))
    places = sum(_cards(groups.chains, state) for state in found)
    waiting = [groups.first]
    for state in waiting:
        if state is not groups.first and len(found) >= FEW_LAYOUTS:
            break
        for key in groups.keys:
            near = _visible(groups, state ^ {key} | set(groups.around[key]))
            cards = _cards(groups.chains, near)
            if near not in found and places + cards <= MOST_PLACES:
                found[near] = None
                places += cards
                waiting.append(near)
    return list(found)


def _visible(groups: Grouped, state: State) -> State:
    return frozenset(key for key in state if state.issuperset(groups.around[key]))


class Faces(NamedTuple):
    """The cards of all nodes, and of all groups when they are closed."""

    nodes: dict[Node, Face]
    groups: dict[GroupKey, Face]

    def size(self, card: Node | GroupKey) -> tuple[float, float]:
        """How large a card is."""
        face = self.nodes[card] if isinstance(card, Node) else self.groups[card]
        return face.width, face.height


def faces(reading: Reading, groups: Grouped, shapes: Mapping[Node, str]) -> Faces:
    """What is written on every card; `shapes` are those of the values, "" for numbers."""
    nodes = {node: _node_face(reading, groups, node, shapes[node]) for node in reading.nodes}
    members: dict[GroupKey, list[Node]] = {key: [] for key in groups.keys}
    for node, chain_ in groups.chains.items():
        for key in chain_:
            members[key].append(node)
    closed = {key: _group_face(groups, key, inside) for key, inside in members.items()}
    return Faces(nodes, closed)


def _node_face(reading: Reading, groups: Grouped, node: Node, shape: str) -> Face:
    name, kind = name_of(node), class_of(node)
    for key in reversed(groups.chains[node]):  # the frame says the rest
        if isinstance(key.name, tuple) and name.startswith("/".join(map(str, key.name)) + "/"):
            name = name[len("/".join(map(str, key.name))) + 1 :]
            break
    title = shorten(name or reading.called[node], _WIDEST)
    subtitle = shorten(kind, _WIDEST) if name else ""
    if isinstance(node, Constant) and not name:
        return Face(title, "", max(44.0, width_of(title, "title") + 2 * _SIDE), 34.0)
    heading = width_of(title, "title") + (width_of(shape, "small") + 10 if shape else 0)
    numbers = (
        _LEAST if shape not in ("2", "3") else 15 + width_of("[−0.00 ]" * int(shape), "number")
    )
    width = max(numbers, heading, width_of(subtitle, "label")) + 2 * _SIDE
    lines = _LINE * (2 if subtitle else 1) + 2 * _NUMBER
    return Face(title, subtitle, float(round(width)), round(lines + 24))


def _group_face(groups: Grouped, key: GroupKey, inside: list[Node]) -> Face:
    title = shorten(groups.titles[key], _WIDEST)
    subtitle = shorten(chain([node for node in inside if node.inbound_nodes]), LONGEST_LINE - 10)
    width = max(_LEAST, width_of(title, "title") + 26, width_of(subtitle, "label"))
    return Face(title, subtitle, float(round(width + 2 * _SIDE + 6)), 80.0)


# --- Layouts


def layouts(reading: Reading, groups: Grouped, cards: Faces) -> list[dict[str, Any]]:
    """All layouts, as plain data; a page opens with the first, or the second on a phone."""
    both = len(reading.nodes) <= 2 * MOST_CARDS
    directions: tuple[Direction, ...] = ("right", "down") if both else ("right",)
    return [
        _layout(reading, groups, cards, state, direction)
        for state in states(groups)
        for direction in directions
    ]


def _layout(
    reading: Reading,
    groups: Grouped,
    cards: Faces,
    state: State,
    direction: Direction,
) -> dict[str, Any]:
    index = {node: i for i, node in enumerate(reading.nodes)}
    number = {key: i for i, key in enumerate(groups.keys)}
    card_of: dict[Node, Node | GroupKey] = {}
    frame_of: dict[Node | GroupKey, GroupKey | None] = {}
    for node, chain_ in groups.chains.items():
        card = card_of[node] = _card(node, chain_, state)
        inside = chain_[: chain_.index(card)] if isinstance(card, GroupKey) else chain_
        frame_of[card] = inside[-1] if inside else None
    arrows: dict[tuple[Node | GroupKey, Node | GroupKey], list[list[int]]] = {}
    for node in reading.nodes:
        for source in dict.fromkeys(node.inbound_nodes):
            if card_of[source] != card_of[node]:
                pair = [index[node], index[source]]
                arrows.setdefault((card_of[source], card_of[node]), []).append(pair)
    used = {key for key in frame_of.values() if key is not None}
    used |= {outer for key in used for outer in groups.around[key]}
    frames = [key for key in groups.keys if key in used]
    layout = lay_out(
        [Box(card, *cards.size(card), frame) for card, frame in frame_of.items()],
        [Link(*ends) for ends in arrows],
        [Group(key, _heading_size(groups, key), groups.parent(key)) for key in frames],
        direction=direction,
    )

    def key_of(card: Node | GroupKey) -> str:
        return f"n{index[card]}" if isinstance(card, Node) else f"g{number[card]}"

    return {
        "open": sorted(number[key] for key in state),
        "direction": direction,
        "width": layout.width,
        "height": layout.height,
        "cards": [[key_of(card), *_corner(layout.places[card])] for card in frame_of],
        "frames": [[number[key], *layout.frames[key]] for key in frames],
        "arrows": _arrows(
            layout, [(key_of(a), key_of(b), pairs) for (a, b), pairs in arrows.items()]
        ),
    }


def _heading_size(groups: Grouped, key: GroupKey) -> tuple[float, float]:
    return width_of(shorten(groups.titles[key], _WIDEST), "label") + 34, _FRAME_TITLE


def _corner(place: Place) -> tuple[float, float, float, float]:
    return place.x, place.y, place.width, place.height


def _arrows(layout: Layout, ends: list[tuple[str, str, list[list[int]]]]) -> list[dict[str, Any]]:
    """Lines with a head at either end: forward the value goes one way, backward the gradient goes
    the other.
    """
    found = []
    for route, (source, target, pairs) in zip(layout.routes, ends, strict=True):
        pieces = curve(route.points, layout.direction)
        back = pieces[0][::-1]
        inner = [without_head(back)[::-1], *pieces[1:]] if len(pieces) > 1 else None
        found.append(
            {
                "from": source,
                "to": target,
                "edges": pairs,
                "line": path_data([*pieces[:-1], without_head(pieces[-1])]),
                "head": head_data(pieces[-1]),
                "back": path_data(inner or [without_head(back)[::-1]]),
                "tail": head_data(back),
            }
        )
    return found
