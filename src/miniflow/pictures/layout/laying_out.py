"""`lay_out`: from boxes and links to places and routes, in either direction.

The steps below know two axes, `across` the layers and `along` them; here x and y are turned into
those, and back.
"""

from __future__ import annotations

from collections.abc import Sequence

from miniflow.pictures.layout.boxes import Box, Direction, Group, Layout, Link, Place, Route
from miniflow.pictures.layout.layered import Spacing
from miniflow.pictures.layout.mesh import Extent, Point
from miniflow.pictures.layout.nesting import FrameKey, Inside, Margin, Nesting, Wire


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
    nest = Nesting(
        sizes={box.key: _extent((box.width, box.height), down) for box in boxes},
        parents={box.key: box.group for box in boxes}
        | {FrameKey(group.key): group.parent for group in groups},
        margins={group.key: _margin(group, padding, down) for group in groups},
        spacing=spacing or Spacing(),
    )
    wires = [
        Wire(link.source, link.target, link.label and _extent(link.label, down), *link[3:])
        for link in links
    ]
    return _turn(nest.lay_out(wires), boxes, wires, direction)


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


def _extent(size: tuple[float, float], down: bool) -> Extent:
    """A width and height as extents across and along the direction."""
    width, height = size
    return Extent(width, height) if down else Extent(height, width)


def _margin(group: Group, padding: float, down: bool) -> Margin:
    """Padding all round, the title above what is in the frame."""
    width, height = group.title
    top, other, least = (padding + height, padding), (padding, padding), _extent((width, 0), down)
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
