"""A graph cut into pieces that each join neighbouring layers, as the layered layout needs it.

Boxes keep their numbers; bends, where a long line passes a layer, and labels are added behind them
as further vertices. All lines that leave a box at one point share their bends: a value with many
readers is one line with branches, and a weight that five hundred steps read costs five hundred
bends, not a hundred thousand.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from miniflow.pictures.layout.layering import neighbours, topological_order

Point = tuple[float, float]


class Extent(NamedTuple):
    """The extent of a box across the layers and along them."""

    across: float
    along: float


class FlatEdge(NamedTuple):
    """An edge between boxes given by index; `leave` and `arrive` fix where on the side it starts
    and ends, as a distance from the middle.
    """

    source: int
    target: int
    label: Extent | None = None
    leave: float | None = None
    arrive: float | None = None


class Mesh:
    """Boxes, bends and labels as vertices, each in its layer.

    Attributes:
        before, after: for each vertex its neighbours in the layer before and the one after.
        layers: the vertices of each layer.
        via: for each line the vertex that comes last before its target.
        parent, stem: for each bend and label the vertex before it, and the line that led to it.
    """

    def __init__(
        self, sizes: Sequence[Extent], layer: list[int], lines: Sequence[FlatEdge]
    ) -> None:
        self.lines = list(lines)
        self.sizes = list(sizes)
        self.layer = list(layer)
        self.boxes = len(sizes)
        self.is_bend = [False] * self.boxes
        self.parent: dict[int, int] = {}
        self.stem: dict[int, FlatEdge] = {}
        trunks: dict[tuple[int, float | None], list[int]] = {}
        self.via = [self._lead(line, trunks) for line in lines]
        pieces = [(before, vertex) for vertex, before in self.parent.items()]
        pieces += [(via, line.target) for via, line in zip(self.via, lines, strict=True)]
        self.before, self.after = neighbours(len(self.layer), pieces)
        self.layers: list[list[int]] = [[] for _ in range(max(self.layer, default=-1) + 1)]
        for vertex, level in enumerate(self.layer):
            self.layers[level].append(vertex)

    def _lead(self, line: FlatEdge, trunks: dict[tuple[int, float | None], list[int]]) -> int:
        """Lead a line up to the layer before its target; the vertex where it is then."""
        start = self.layer[line.source] + 1
        end = self.layer[line.target] - (1 if line.label else 0)
        bends = trunks.setdefault((line.source, line.leave), [])
        while len(bends) < end - start:
            before = bends[-1] if bends else line.source
            bends.append(self._add(start + len(bends), Extent(0, 0), before, line))
            self.is_bend[bends[-1]] = True
        via = bends[end - start - 1] if end > start else line.source
        return self._add(end, line.label, via, line) if line.label else via

    def _add(self, level: int, size: Extent, before: int, line: FlatEdge) -> int:
        vertex = len(self.layer)
        self.layer.append(level)
        self.sizes.append(size)
        self.is_bend.append(False)
        self.parent[vertex] = before
        self.stem[vertex] = line
        return vertex

    def slant(self) -> dict[tuple[int, int], float]:
        """How far the second vertex of a piece stands from the first where the piece is straight.

        Only for pieces that start or end at fixed places; the mean, if several lines share one.
        """
        found: dict[tuple[int, int], list[float]] = {}
        for vertex, line in self.stem.items():
            if line.leave and self.parent[vertex] == line.source:
                found[line.source, vertex] = [line.leave]
        for via, line in zip(self.via, self.lines, strict=True):
            leave = (line.leave or 0.0) if via == line.source else 0.0
            if line.leave is not None or line.arrive is not None:
                found.setdefault((via, line.target), []).append(leave - (line.arrive or 0.0))
        return {piece: sum(slants) / len(slants) for piece, slants in found.items()}

    def main_path(self, first: Collection[int], last: Collection[int]) -> set[tuple[int, int]]:
        """The pieces that lie on the longest way through both of their ends, where that is unique.

        What comes in by the outermost layers counts for more than what begins there.
        """
        edges = [(line.source, line.target) for line in self.lines]
        before, after = neighbours(self.boxes, edges)
        order = topological_order(before, after)
        depth, height = [0] * len(self.layer), [0] * len(self.layer)
        for box in order:
            depth[box] = max((depth[n] + 1 for n in before[box]), default=int(box in first))
        for box in reversed(order):
            height[box] = max((height[n] + 1 for n in after[box]), default=int(box in last))
        for vertex, line in self.stem.items():
            depth[vertex] = depth[line.source]
        for vertex in reversed(range(self.boxes, len(self.layer))):  # from the ends of the lines
            height[vertex] = max(height[reader] for reader in self.after[vertex])
        best_before = [_only_highest(sources, depth) for sources in self.before]
        best_after = [_only_highest(readers, height) for readers in self.after]
        return {
            (source, vertex)
            for vertex, source in enumerate(best_before)
            if source is not None and best_after[source] == vertex
        }


def _only_highest(vertices: list[int], value: list[int]) -> int | None:
    """The vertex with the highest value, if there is one such."""
    if not vertices:
        return None
    highest = max(vertices, key=value.__getitem__)
    return highest if sum(value[v] == value[highest] for v in vertices) == 1 else None
