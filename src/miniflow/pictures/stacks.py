"""Matrices opened into their entries: each a stack of circles that the layout treats as one box.

The circles of a stack stand in one column (or row, if the picture runs downwards), under the
matrix's name. An arrow from entry to entry is straight, and leaves and arrives at the height of its
own circle. Labels are put on such an arrow where they cover no other label.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise, product
from math import ceil
from typing import NamedTuple

from miniflow.pictures.cards import Arranged, label_size, width_of
from miniflow.pictures.figure import Arrow, Card, Figure, Frame, Key
from miniflow.pictures.layout import Box, Direction, Layout, Place
from miniflow.pictures.layout.mesh import Point

TITLE_HEIGHT = 40.0  # of a stack's heading: title and subtitle
_GAP, _SIDE = 8.0, 10.0
_STEEPEST = 1.0  # tangent of the angle at which a line leaves a circle, from the layout's direction


class Way(NamedTuple):
    """How an arrow runs: straight pieces of two points, curved ones of four, the last ending at its
    target.
    """

    pieces: tuple[tuple[Point, ...], ...]
    label: Place | None


class StackKey(NamedTuple):
    """The key of a stack's box, apart from the keys of cards."""

    frame: Key


@dataclass
class Stacks:
    """The stacks of a figure: their boxes, and where in its box each entry is."""

    direction: Direction
    boxes: list[Box] = field(default_factory=list)
    box_of: dict[Key, Key] = field(default_factory=dict)  # entry -> its stack's box
    corner: dict[Key, Point] = field(default_factory=dict)  # entry -> top left corner in the box
    offset: dict[Key, float] = field(
        default_factory=dict
    )  # entry -> from the middle of the box's side

    def add(self, frame: Frame, cards: Sequence[Card], size: float, least: float) -> None:
        """Make a box of a frame and its circles of one size, at least as wide as the heading of
        any.
        """
        box = StackKey(frame.key)
        long = len(cards) * size + (len(cards) - 1) * _GAP
        down = self.direction == "down"
        inner = (long, size) if down else (size, long)
        width = 2.0 * ceil(max(inner[0], least) / 2 + _SIDE)
        height = TITLE_HEIGHT + inner[1] + _SIDE
        left = (width - inner[0]) / 2
        for index, card in enumerate(cards):
            step = index * (size + _GAP)
            x, y = (left + step, TITLE_HEIGHT) if down else (left, TITLE_HEIGHT + step)
            self.box_of[card.key] = box
            self.corner[card.key] = (x, y)
            self.offset[card.key] = (x - width / 2 if down else y - height / 2) + size / 2
        self.boxes.append(Box(box, width, height, frame.parent))

    def places(self, layout: Layout, arranged: Mapping[Key, Arranged]) -> dict[Key, Place]:
        """Where each entry is in a layout of the boxes."""
        found: dict[Key, Place] = {}
        for key, (x, y) in self.corner.items():
            box = layout.places[self.box_of[key]]
            size = arranged[key].width
            found[key] = Place(round(box.x + x, 2), round(box.y + y, 2), size, size)
        return found

    def way(
        self, points: Sequence[Point], arrow: Arrow, places: Mapping[Key, Place]
    ) -> list[Point]:
        """A route whose ends on a stack's border are moved on to the circles inside, facing each
        other.
        """
        way = list(points)
        if arrow.source in self.box_of:
            way[0] = places[arrow.source].middle
        if arrow.target in self.box_of:
            way[-1] = places[arrow.target].middle
        starts, ends = (way[0], way[1]), (way[-1], way[-2])
        if arrow.source in self.box_of:
            way[0] = self._on_circle(places[arrow.source], *starts)
        if arrow.target in self.box_of:
            way[-1] = self._on_circle(places[arrow.target], *ends)
        return way

    def _on_circle(self, place: Place, middle: Point, towards: Point) -> Point:
        """Where the circle meets a line from its middle, but never far from the side that faces the
        next layer.
        """
        across, along = (0, 1) if self.direction == "down" else (1, 0)
        step = [towards[0] - middle[0], towards[1] - middle[1]]
        sign = 1.0 if step[along] >= 0 else -1.0
        tangent = max(-_STEEPEST, min(_STEEPEST, step[across] / (abs(step[along]) or 1.0)))
        length = place.width / 2 / (1 + tangent**2) ** 0.5
        result = [0.0, 0.0]
        result[along] = middle[along] + sign * length
        result[across] = middle[across] + tangent * length
        return round(result[0], 2), round(result[1], 2)


def straight_ways(
    figure: Figure,
    stacks: Stacks,
    routes: Sequence[Sequence[Point]],
    places: Mapping[Key, Place],
    frames: Sequence[Place],
) -> list[Way]:
    """The arrows of a figure with stacks, from circle to circle, and where their labels stand."""
    lines = [
        stacks.way(route, arrow, places) for route, arrow in zip(routes, figure.arrows, strict=True)
    ]
    lit = [max(pairwise(w), key=_length) for w in lines]
    others = [line for line, arrow in zip(lit, figure.arrows, strict=True) if arrow.label]
    ways: list[Way] = []
    taken: list[Place] = []
    for line, points, arrow in zip(lit, lines, figure.arrows, strict=True):
        label = None
        if arrow.label:
            label = put_label(
                line, arrow, taken, [other for other in others if other is not line], frames
            )
            taken += [label] if label else []
        ways.append(Way(tuple(pairwise(points)), label))
    return ways


def put_label(
    line: tuple[Point, Point],
    arrow: Arrow,
    taken: Sequence[Place],
    others: Sequence[tuple[Point, Point]],
    frames: Sequence[Place],
) -> Place | None:
    """A place for a label by its line: off other lit lines, in the middle; None where every place
    is taken by other labels and frames.
    """
    (x1, y1), (x2, y2) = line
    width, height = label_size(arrow.label)
    lean = abs(x2 - x1) / (abs(y2 - y1) or 1.0)  # how far the line moves sideways in a row of text
    beside = width / 2 + 5 + min(20.0, lean * height / 2)
    best: tuple[float, Place | None] = float("inf"), None
    shares = (0.5, 0.56, 0.44, 0.62, 0.38, 0.68, 0.32, 0.74, 0.26, 0.8, 0.2)
    for share, aside in product(shares, (0, 1, -1)):  # on the line, or to one side of it
        x = x1 + (x2 - x1) * share + aside * beside
        y = y1 + (y2 - y1) * share
        place = Place(round(x - width / 2, 2), round(y - height / 2, 2), width, height)
        cost = abs(share - 0.5) + abs(aside) + 10 * sum(_meet(place, line) for line in others)
        if cost < best[0] and not any(overlap(place, other) for other in (*taken, *frames)):
            best = cost, place
    return best[1]


def _length(line: tuple[Point, Point]) -> float:
    return abs(line[1][0] - line[0][0]) + abs(line[1][1] - line[0][1])


def _meet(place: Place, line: tuple[Point, Point]) -> bool:
    """Whether a line passes through a rectangle: whether it is between both pairs of sides at
    once.
    """
    enters, leaves = 0.0, 1.0  # as shares of the line
    for axis in (0, 1):
        start, step = line[0][axis], line[1][axis] - line[0][axis]
        low, high = place[axis] - start, place[axis] + place[axis + 2] - start
        if step:
            sides = sorted((low / step, high / step))
            enters, leaves = max(enters, sides[0]), min(leaves, sides[1])
        elif not low < 0 < high:
            return False
    return enters < leaves


def overlap(a: Place, b: Place) -> bool:
    """Whether two rectangles have points in common."""
    apart_x = a.x + a.width <= b.x or b.x + b.width <= a.x
    apart_y = a.y + a.height <= b.y or b.y + b.height <= a.y
    return not (apart_x or apart_y)


def stacks_of(figure: Figure, arranged: Mapping[Key, Arranged]) -> Stacks:
    """The stacks that a figure's frames ask for."""
    stacks = Stacks(figure.direction)
    frames = [frame for frame in figure.frames if frame.stack]
    members: dict[Key, list[Card]] = {frame.key: [] for frame in frames}
    for card in figure.cards:
        if card.frame in members:
            members[card.frame].append(card)
    size = max((arranged[card.key].width for own in members.values() for card in own), default=0)
    least = max(
        (
            max(width_of(frame.title, "title"), width_of(frame.subtitle, "label"))
            for frame in frames
        ),
        default=0,
    )
    for frame in frames:
        stacks.add(frame, members[frame.key], size, least)
    return stacks
