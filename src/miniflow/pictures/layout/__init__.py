"""Lay out a graph: plain data in, plain data out, for pictures, terminals and the explorer alike.

`lay_out` takes boxes of given sizes, links between them and, if wanted, groups of boxes; it returns
where everything goes. A group is laid out by itself, put into a frame, and then treated as one box
of the graph around it: frames never overlap, and nothing foreign stands inside one. A link that
crosses a frame's border is made of the piece outside and the piece inside. The same graph always
gives the same layout, on every machine.

>>> layout = lay_out([Box("x", 40, 20), Box("f", 60, 30)], [Link("x", "f")])
>>> layout.places["f"]
Place(x=92.0, y=0.0, width=60, height=30)
>>> layout.routes[0].points  # from the middle of x's right side to that of f's left side
((40.0, 15.0), (92.0, 15.0))
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, NamedTuple

from miniflow.pictures.layout.layered import Spacing
from miniflow.pictures.layout.mesh import Point, Size
from miniflow.pictures.layout.nesting import Frame, Inside, Margin, Nest, Wire

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


def lay_out(
    boxes: Sequence[Box],
    links: Sequence[Link],
    groups: Sequence[Group] = (),
    *,
    direction: Direction = "right",
    spacing: Spacing | None = None,
    padding: float = 14,
) -> Layout:
    """Place boxes, route links and draw frames round groups.

    All links point in `direction`. `padding` is the room between a frame and what is in it. Two
    thousand boxes take about a second. Raises ValueError if links run in a circle (a group counts
    as one box here: no path may leave it and come back), or name boxes or groups that do not exist.
    """
    _check(boxes, links, groups)
    down = direction == "down"
    nest = Nest(
        sizes={box.key: _turned((box.width, box.height), down) for box in boxes},
        parents={box.key: box.group for box in boxes}
        | {Frame(group.key): group.parent for group in groups},
        margins={group.key: _margin(group, padding, down) for group in groups},
        spacing=spacing or Spacing(),
    )
    wires = [
        Wire(link.source, link.target, link.label and _turned(link.label, down), *link[3:])
        for link in links
    ]
    return _turn(nest.lay_out(wires), boxes, wires, direction)


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


def _check(boxes: Sequence[Box], links: Sequence[Link], groups: Sequence[Group]) -> None:
    keys = {box.key for box in boxes}
    frames = {group.key for group in groups}
    if len(keys) < len(boxes) or len(frames) < len(groups):
        raise ValueError("two boxes or two groups have the same key")
    for end in (end for link in links for end in (link.source, link.target)):
        if end not in keys:
            raise ValueError(f"a link names the box {end!r}, which does not exist")
    for parent in [box.group for box in boxes] + [group.parent for group in groups]:
        if parent is not None and parent not in frames:
            raise ValueError(f"a box or group names the group {parent!r}, which does not exist")


def _turned(size: tuple[float, float], down: bool) -> Size:
    """A width and height as extents across and along the direction."""
    width, height = size
    return Size(width, height) if down else Size(height, width)


def _margin(group: Group, padding: float, down: bool) -> Margin:
    """Padding all round, the title above what is in the frame."""
    width, height = group.title
    top, other, least = (padding + height, padding), (padding, padding), _turned((width, 0), down)
    return Margin(other, top, least) if down else Margin(top, other, least)


def _turn(
    inside: Inside, boxes: Sequence[Box], wires: Sequence[Wire], direction: Direction
) -> Layout:
    """From coordinates across and along to x and y, rounded so that files stay small."""
    down = direction == "down"

    def point(at: Point) -> Point:
        x, y = at if down else (at[1], at[0])
        return round(x, 2), round(y, 2)

    def place(middle: Point, size: tuple[float, float]) -> Place:
        x, y = point(middle)
        return Place(round(x - size[0] / 2, 2), round(y - size[1] / 2, 2), *size)

    routes = []
    for index, wire in enumerate(wires):
        label = None
        if wire.label is not None:
            label = place(inside.labels[index], wire.label if down else wire.label[::-1])
        points = [point(at) for at in inside.ways[index]]
        routes.append(Route(tuple(dict.fromkeys(points)), label))
    frames = {
        key: Place(*point(corner), *point(size)) for key, (corner, size) in inside.frames.items()
    }
    width, height = point(inside.size)
    return Layout(
        width,
        height,
        direction,
        {box.key: place(inside.middles[box.key], (box.width, box.height)) for box in boxes},
        tuple(routes),
        frames,
    )
