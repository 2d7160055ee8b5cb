"""From a figure to places: measures the cards, lays the graph out, and finds room for labels and
notes.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from miniflow.pictures.cards import Arranged, arrange, label_size, width_of, words_width
from miniflow.pictures.figure import Figure, Frame, Key
from miniflow.pictures.layout import Box, Group, Layout, Link, Place, curve, lay_out
from miniflow.pictures.layout.layered import Spacing
from miniflow.pictures.layout.mesh import Point
from miniflow.pictures.stacks import StackKey, Way, stacks_of, straight_ways

MARGIN = 20.0  # round the whole picture
NOTE_LINE = 18.0
_NOTES_GAP = 22.0
_FRAME_TITLE = 18.0  # height of a frame's heading
_ENTRIES = Spacing(node=26, layer=170, slope=0.45)


@dataclass(frozen=True)
class Composition:
    """A figure with a place for everything in it; ways in the order of the figure's arrows."""

    figure: Figure
    arranged: dict[Key, Arranged]
    places: dict[Key, Place]
    frames: dict[Key, Place]
    headings: dict[Key, float]  # where the title of a frame starts
    ways: tuple[Way, ...]
    graph: tuple[float, float]  # width and height without margins and notes
    width: float
    height: float

    @property
    def origin(self) -> Point:
        """Where the graph's corner is in the picture: it stands in the middle, above its notes."""
        return (self.width - self.graph[0]) / 2, MARGIN

    @property
    def notes_x(self) -> float:
        """Where the widest note starts: the notes stand in a block in the middle."""
        widest = max((words_width(words) for words in self.figure.notes), default=0)
        return (self.width - widest) / 2

    @property
    def caption_at(self) -> float:
        """The height of the caption's baseline."""
        return self.notes_at + len(self.figure.notes) * NOTE_LINE

    @property
    def notes_at(self) -> float:
        """The height of the first note's baseline."""
        return MARGIN + self.graph[1] + _NOTES_GAP + 12


def compose(figure: Figure) -> Composition:
    """Find a place for everything in a figure."""
    entries = [arrange(card).width for card in figure.cards if card.kind == "entry"]
    arranged = {card.key: arrange(card, least=max(entries, default=0)) for card in figure.cards}
    stacks = stacks_of(figure, arranged)
    boxes = [
        Box(card.key, arranged[card.key].width, arranged[card.key].height, card.frame)
        for card in figure.cards
        if card.key not in stacks.box_of
    ]
    groups = [
        Group(frame.key, (width_of(frame.title, "label") + 10, _FRAME_TITLE), frame.parent)
        for frame in figure.frames
        if not frame.stack
    ]
    links = [
        Link(
            stacks.box_of.get(arrow.source, arrow.source),
            stacks.box_of.get(arrow.target, arrow.target),
            label_size(arrow.label) if arrow.label and not stacks.boxes else None,
            stacks.offset.get(arrow.source),
            stacks.offset.get(arrow.target),
        )
        for arrow in figure.arrows
    ]
    spacing = _ENTRIES if stacks.boxes else Spacing()
    layout = lay_out(
        boxes + stacks.boxes, links, groups, direction=figure.direction, spacing=spacing
    )
    places = {key: place for key, place in layout.places.items() if key in arranged}
    places |= stacks.places(layout, arranged)
    frames = dict(layout.frames)
    for key, place in layout.places.items():
        if isinstance(key, StackKey):
            frames[key.frame] = place
    if stacks.boxes:
        routes = [route.points for route in layout.routes]
        ways = straight_ways(figure, stacks, routes, places, list(frames.values()))
    else:
        ways = [Way(tuple(curve(r.points, figure.direction)), r.label) for r in layout.routes]
    headings = {
        frame.key: _heading_start(frame, frames[frame.key], layout)
        for frame in figure.frames
        if not frame.stack
    }
    return _frame_around(figure, arranged, places, frames, headings, tuple(ways), layout)


def _heading_start(frame: Frame, place: Place, layout: Layout) -> float:
    """Where a frame's title starts: as far to the left as no line comes down through it."""
    end, bottom = place.x + place.width, place.y + _FRAME_TITLE
    lines = [
        x1
        for route in layout.routes
        for (x1, y1), (x2, y2) in pairwise(route.points)
        if x1 == x2 and y1 < bottom and place.y < y2 and place.x < x1 < end
    ]
    width = width_of(frame.title, "label")
    first = place.x + 12
    for start in (first, *(x + 6 for x in sorted(lines))):
        if start + width + 5 < end and not any(start - 5 < x < start + width + 5 for x in lines):
            return start
    return first


def _frame_around(
    figure: Figure,
    arranged: dict[Key, Arranged],
    places: dict[Key, Place],
    frames: dict[Key, Place],
    headings: dict[Key, float],
    ways: tuple[Way, ...],
    layout: Layout,
) -> Composition:
    """The whole, with room for the notes and the margins."""
    notes = max([width_of(figure.caption, "label"), *map(words_width, figure.notes)])
    lines = len(figure.notes) + bool(figure.caption)
    below = _NOTES_GAP + lines * NOTE_LINE - 4 if lines else 0
    width = round(max(layout.width, notes) + 2 * MARGIN)
    height = round(layout.height + below + 2 * MARGIN)
    graph = (layout.width, layout.height)
    return Composition(figure, arranged, places, frames, headings, ways, graph, width, height)
