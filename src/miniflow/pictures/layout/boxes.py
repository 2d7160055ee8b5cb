"""What goes into a layout, boxes, links and groups, and what comes out: where everything goes."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, NamedTuple

from miniflow.pictures.layout.mesh import Point

Direction = Literal["right", "down"]


class Box(NamedTuple):
    """A node of the graph to lay out: any hashable key, its size, and the key of the group it
    belongs to.
    """

    key: Hashable
    width: float
    height: float
    group: Hashable | None = None


class Link(NamedTuple):
    """An edge from one box to another.

    `label` is the (width, height) to keep free for a label on the line. `leave` and `arrive`, if
    given, fix where on the side of its box the line starts and ends, as a distance from the side's
    middle (downwards or to the right).
    """

    source: Hashable
    target: Hashable
    label: tuple[float, float] | None = None
    leave: float | None = None
    arrive: float | None = None


class Group(NamedTuple):
    """A frame around boxes (those that name its key) and around other groups; `title` is its
    heading's size.
    """

    key: Hashable
    title: tuple[float, float] = (0, 0)
    parent: Hashable | None = None


class Place(NamedTuple):
    """A rectangle: its top left corner and its size; x grows to the right, y downwards."""

    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> Point:
        return self.x + self.width / 2, self.y + self.height / 2


class Route(NamedTuple):
    """The way of one link, from the border of its source to the border of its target.

    Between two successive points the line is straight if it keeps to the layout's direction, else
    an S-curve that leaves and arrives in that direction (see `curve`). `label` is the place kept
    free for the link's label.
    """

    points: tuple[Point, ...]
    label: Place | None = None


@dataclass(frozen=True)
class Layout:
    """Where everything goes; routes in the order of the links, everything between (0, 0) and
    (width, height).
    """

    width: float
    height: float
    direction: Direction
    places: dict[Hashable, Place]
    routes: tuple[Route, ...]
    frames: dict[Hashable, Place]


def curve(points: Sequence[Point], direction: Direction) -> list[tuple[Point, ...]]:
    """The pieces of a route: (start, end) for a straight one, (start, two control points, end) for
    an S-curve.

    >>> curve([(0, 0), (10, 8)], "right")
    [((0, 0), (5.0, 0), (5.0, 8), (10, 8))]
    """
    pieces: list[tuple[Point, ...]] = []
    for start, end in pairwise(points):
        (x1, y1), (x2, y2) = start, end
        if direction == "down" and x1 != x2:
            pieces.append((start, (x1, (y1 + y2) / 2), (x2, (y1 + y2) / 2), end))
        elif direction == "right" and y1 != y2:
            pieces.append((start, ((x1 + x2) / 2, y1), ((x1 + x2) / 2, y2), end))
        else:
            pieces.append((start, end))
    return pieces
