"""Groups within a layered layout: each is laid out by itself and then is one box of the graph
around it.

A link whose ends lie in different groups passes a port on the border of every frame between them.
The inside of a frame is laid out first and decides where its ports are; the layout around it then
leads the line to that place. Links from one box into one frame share a port, so the way of a link
is the chain of its pieces: out of the source's frames, across, into the target's frames.
Coordinates are `across` and `along`, as in `layered`.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from miniflow.pictures.layout.layered import Flat, Spacing, lay_out_flat, without_repeats
from miniflow.pictures.layout.mesh import Extent, FlatEdge, Point

Key = Hashable


class FrameKey(NamedTuple):
    """A group's key among the keys of boxes: a group and a box may bear the same name."""

    group: Key


class Wire(NamedTuple):
    """A link between boxes, by their keys."""

    source: Key
    target: Key
    label: Extent | None = None
    leave: float | None = None
    arrive: float | None = None


class Margin(NamedTuple):
    """Room that a frame keeps before and after what is in it, and the least size of its inside."""

    across: tuple[float, float] = (0, 0)
    along: tuple[float, float] = (0, 0)
    least: Extent = Extent(0, 0)


class _Port(NamedTuple):
    """Where lines from one place of one box pass a frame's border."""

    source: Key
    leave: float | None


@dataclass
class Inside:
    """A laid-out group, its corner at (0, 0). Middles of boxes, ways of wires by their index,
    frames by group.
    """

    size: Extent
    middles: dict[Key, Point] = field(default_factory=dict)
    ways: dict[int, list[Point]] = field(default_factory=dict)
    labels: dict[int, Point] = field(default_factory=dict)
    frames: dict[Key, tuple[Point, Extent]] = field(default_factory=dict)  # corner and size
    ports: dict[_Port, float] = field(default_factory=dict)  # place across, from the corner


@dataclass(frozen=True)
class Nesting:
    """Boxes with their sizes, and for every box and group the group around it (None: the picture
    itself).
    """

    sizes: Mapping[Key, Extent]
    parents: Mapping[Key, Key | None]  # of box keys and of frames
    margins: Mapping[Key, Margin]  # by group
    spacing: Spacing

    def lay_out(self, wires: Sequence[Wire]) -> Inside:
        paths = {key: self._path(key) for key in self.sizes}
        members: dict[Key | None, list[Key]] = {}
        for key, parent in self.parents.items():
            members.setdefault(parent, []).append(key)
        return self._group(None, 0, list(enumerate(wires)), paths, members)

    def _path(self, key: Key) -> tuple[Key, ...]:
        """The frames around a box from the outermost inwards, then the box."""
        path = [key]
        parent = self.parents[key]
        while parent is not None:
            path.append(FrameKey(parent))
            parent = self.parents[FrameKey(parent)]
        return tuple(reversed(path))

    def _group(
        self,
        group: Key | None,
        depth: int,
        wires: list[tuple[int, Wire]],
        paths: dict[Key, tuple[Key, ...]],
        members: dict[Key | None, list[Key]],
    ) -> Inside:
        """Lay out one group, innermost first; `wires` are those with an end or two inside it."""

        def here(key: Key) -> Key | None:
            """The member of this group that is the box or holds it; None for a box outside."""
            path = paths[key]
            inside = depth == 0 or (len(path) > depth and path[depth - 1] == FrameKey(group))
            return path[depth] if inside else None

        ends = {index: (here(wire.source), here(wire.target)) for index, wire in wires}
        subgroups: dict[Key, Inside] = {}
        for member in members.get(group, []):
            if isinstance(member, FrameKey):
                touching = [(i, wire) for i, wire in wires if member in ends[i]]
                subgroups[member] = self._group(member.group, depth + 1, touching, paths, members)
        level = _Level(self, members.get(group, []), subgroups)
        for index, wire in wires:
            if ends[index][0] != ends[index][1] or ends[index][0] not in subgroups:
                level.connect(index, wire, *ends[index])
        share = min(1.0, len(level.sizes) / len(self.sizes)) if self.sizes else 1.0
        return level.inside(self.margins.get(group, Margin()), share)


class _Level:
    """The layout of one group's own members, its subgroups being boxes by now."""

    def __init__(
        self, nest: Nesting, members: Sequence[Key], subgroups: Mapping[Key, Inside]
    ) -> None:
        self.nest = nest
        self.members = members
        self.subgroups = subgroups
        self.vertex = {member: index for index, member in enumerate(members)}
        self.sizes = [
            subgroups[member].size if member in subgroups else nest.sizes[member]
            for member in members
        ]
        self.entries: dict[_Port, int] = {}
        self.exits: dict[_Port, int] = {}
        self.lines: list[FlatEdge] = []
        self.shared: dict[FlatEdge, int] = {}
        self.pieces: list[tuple[int, int, Key | None, Key | None, _Port]] = []

    def connect(self, index: int, wire: Wire, source: Key | None, target: Key | None) -> None:
        """Add the piece of a wire that runs on this level; None stands for an end outside the
        group.
        """
        port = _Port(wire.source, wire.leave)
        start, leave = self._end(source, port, wire.leave, self.entries)
        end, arrive = self._end(target, port, wire.arrive, self.exits)
        ends_here = target in self.nest.sizes  # at its box, not at a frame's border
        line = FlatEdge(start, end, wire.label if ends_here else None, leave, arrive)
        number = len(self.lines) if ends_here else self.shared.setdefault(line, len(self.lines))
        if number == len(self.lines):
            self.lines.append(line)
        self.pieces.append((index, number, source, target, port))

    def _end(
        self, member: Key | None, port: _Port, fixed: float | None, ports: dict[_Port, int]
    ) -> tuple[int, float | None]:
        """The vertex at which a line starts or ends, and where on its side."""
        if member is None:
            if port not in ports:
                ports[port] = len(self.sizes)
                self.sizes.append(Extent(0, 0))
            return ports[port], None
        if member in self.subgroups:
            inside = self.subgroups[member]
            return self.vertex[member], inside.ports[port] - inside.size.across / 2
        return self.vertex[member], fixed

    def inside(self, margin: Margin, share: float) -> Inside:
        """Lay the level out, put subgroups into their places, join the pieces of wires."""
        ends = self.entries.values(), self.exits.values()
        flat = lay_out_flat(self.sizes, self.lines, self.nest.spacing, *ends, share)
        move, size = _fit(flat, self.sizes, self.lines, margin)
        result = Inside(size)
        corners: dict[Key, Point] = {}
        for member, middle in zip(self.members, flat.middles, strict=False):
            at = (middle[0] + move[0], middle[1] + move[1])
            if member in self.subgroups:
                inner = self.subgroups[member]
                corner = (at[0] - inner.size.across / 2, at[1] - inner.size.along / 2)
                corners[member] = corner
                _adopt(result, inner, corner, member)
            else:
                result.middles[member] = at
        for port, vertex in [*self.entries.items(), *self.exits.items()]:
            result.ports[port] = flat.middles[vertex][0] + move[0]
        for index, number, source, target, port in self.pieces:
            way = _shift(flat.routes[number], move)
            if source is None:
                way.insert(0, (result.ports[port], 0))
            if target is None:
                way.append((result.ports[port], size.along))
            if source in corners:
                way = _shift(self.subgroups[source].ways[index], corners[source]) + way
            if target in corners:
                way = way + _shift(self.subgroups[target].ways[index], corners[target])
            result.ways[index] = without_repeats(way)
            label = flat.labels[number]
            if label is not None:
                result.labels[index] = (label[0] + move[0], label[1] + move[1])
        return result


def _fit(
    flat: Flat, sizes: Sequence[Extent], lines: Sequence[FlatEdge], margin: Margin
) -> tuple[Point, Extent]:
    """How far to move everything so that the margins are kept, and the size of the whole."""
    extents = list(zip(flat.middles, sizes, strict=True))
    extents += [
        (at, line.label)
        for at, line in zip(flat.labels, lines, strict=True)
        if at is not None and line.label is not None
    ]
    extents += [(point, Extent(0, 0)) for route in flat.routes for point in route]
    if not extents:
        extents = [((0, 0), Extent(0, 0))]
    low = [min(at[axis] - size[axis] / 2 for at, size in extents) for axis in (0, 1)]
    high = [max(at[axis] + size[axis] / 2 for at, size in extents) for axis in (0, 1)]
    spare = [max(0.0, margin.least[axis] - (high[axis] - low[axis])) / 2 for axis in (0, 1)]
    before = [(margin.across, margin.along)[axis][0] + spare[axis] for axis in (0, 1)]
    after = [(margin.across, margin.along)[axis][1] + spare[axis] for axis in (0, 1)]
    move = (before[0] - low[0], before[1] - low[1])
    return move, Extent(*(high[axis] - low[axis] + before[axis] + after[axis] for axis in (0, 1)))


def _adopt(result: Inside, inner: Inside, corner: Point, member: Key) -> None:
    """Take over what a subgroup holds, moved to where the subgroup now is."""
    assert isinstance(member, FrameKey)
    result.frames[member.group] = (corner, inner.size)
    for key, (at, size) in inner.frames.items():
        result.frames[key] = ((at[0] + corner[0], at[1] + corner[1]), size)
    for box, at in inner.middles.items():
        result.middles[box] = (at[0] + corner[0], at[1] + corner[1])
    for index, way in inner.ways.items():
        result.ways[index] = _shift(way, corner)
    for index, at in inner.labels.items():
        result.labels[index] = (at[0] + corner[0], at[1] + corner[1])


def _shift(way: Iterable[Point], move: Point) -> list[Point]:
    return [(x + move[0], y + move[1]) for x, y in way]
