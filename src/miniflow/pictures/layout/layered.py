"""A layered layout of one flat graph, in coordinates of its own: `across` the layers and `along`
them.

The steps are those of Sugiyama, Tagawa and Toda (1981): give every node a layer (`layering`), cut
long edges into pieces that pass from layer to layer through bends, order the layers so that edges
cross little (`crossings`), place the vertices across (`coordinates`), and draw the edges (here).
Each layer is a band as thick as its thickest box. Inside a band an edge runs straight through the
place of its bend; it turns only in the gap between two bands, where there are no boxes. That is why
no edge can cross a box, whatever the graph. All edges that leave a box at one point share their
bends, so that a value with many readers becomes one line with branches.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from miniflow.pictures.layout.coordinates import place_across
from miniflow.pictures.layout.crossings import order_layers
from miniflow.pictures.layout.layering import assign_layers
from miniflow.pictures.layout.mesh import Extent, FlatEdge, Mesh, Point

_SHORT = 0.4  # of the usual gap, beside a layer without boxes


class Spacing(NamedTuple):
    """Distances, in the unit of the boxes' sizes: pixels, or characters in a terminal."""

    node: float = 22  # between boxes of one layer
    bend: float = 12  # between a line and what stands beside it
    layer: float = 52  # between two layers, at the least
    label: float = 29  # the same where there are labels between them
    slope: float = 0.3  # of a gap's length to the furthest that a line moves across in it
    port: float = 8  # between arrowheads that end on one box
    corner: float = 5  # kept free at both ends of a box's side


class Flat(NamedTuple):
    """Where everything is: middles of boxes and of labels, and the points of each line; all start
    near 0.
    """

    middles: list[Point]  # (across, along)
    routes: list[list[Point]]
    labels: list[Point | None]


def lay_out_flat(
    sizes: Sequence[Extent],
    lines: Sequence[FlatEdge],
    spacing: Spacing,
    first: Collection[int] = (),
    last: Collection[int] = (),
    share: float = 1,
) -> Flat:
    """Place boxes of these sizes and draw these lines; boxes in `first` and `last` keep to the
    outermost layers. `share`: see `order_layers`.
    """
    span = 2 if any(line.label for line in lines) else 1  # labels get layers of their own
    edges = [(line.source, line.target) for line in lines]
    mesh = Mesh(sizes, assign_layers(len(sizes), edges, span, first, last), lines)
    mesh.layers = order_layers(mesh.layers, mesh.before, mesh.after, share)
    narrow = [index >= mesh.boxes or size.across == 0 for index, size in enumerate(mesh.sizes)]

    def separation(a: int, b: int) -> float:
        gap = spacing.bend if narrow[a] or narrow[b] else spacing.node
        return (mesh.sizes[a].across + mesh.sizes[b].across) / 2 + gap

    places = place_across(
        mesh.layers,
        mesh.before,
        mesh.after,
        mesh.is_bend,
        mesh.main_path(first, last),
        mesh.slant(),
        separation,
    )
    across = [round(x, 2) for x in places]  # so that straight lines are exactly straight
    if span == 2:
        spacing = spacing._replace(layer=spacing.label)
    bands = _bands(mesh, across, spacing)
    arrivals = _arrivals(mesh, lines, across, spacing)
    middles = [(x, sum(bands[level]) / 2) for x, level in zip(across, mesh.layer, strict=True)]
    return Flat(
        middles[: mesh.boxes],
        _routes(mesh, arrivals, across, bands),
        [middles[via] if line.label else None for via, line in zip(mesh.via, lines, strict=True)],
    )


def _bands(mesh: Mesh, across: list[float], spacing: Spacing) -> list[tuple[float, float]]:
    """Where each layer starts and ends; the gap after it is longer if lines move far across in it.

    Beside a layer without boxes, which lines only pass through, a short gap will do.
    """
    thickness = [max(mesh.sizes[vertex].along for vertex in layer) for layer in mesh.layers]
    bands: list[tuple[float, float]] = []
    start = 0.0
    for index, layer in enumerate(mesh.layers):
        end = start + thickness[index]
        bands.append((start, end))
        furthest = max(
            (abs(across[v] - across[n]) for v in layer for n in mesh.after[v]), default=0.0
        )
        empty = not all(thickness[index : index + 2])
        least = spacing.layer * (_SHORT if empty else 1)
        start = end + max(least, min(furthest * spacing.slope, 3 * spacing.layer))
    return bands


def _arrivals(
    mesh: Mesh, lines: Sequence[FlatEdge], across: list[float], spacing: Spacing
) -> list[float]:
    """Where on its target's side each line ends, from the middle: in the order in which the lines
    come in.
    """
    arriving: dict[int, list[int]] = {}
    for index, line in enumerate(lines):
        arriving.setdefault(line.target, []).append(index)
    result = [0.0] * len(lines)
    for target, indices in arriving.items():
        wished = {}
        for i in indices:
            via = mesh.via[i]
            leave = (lines[i].leave or 0.0) if via == lines[i].source else 0.0
            wished[i] = across[via] + leave - across[target]
        indices = sorted(indices, key=wished.__getitem__)
        half = max(0.0, mesh.sizes[target].across / 2 - spacing.corner)
        half = min(half, (len(indices) - 1) * spacing.port)
        offsets = spread([wished[i] for i in indices], spacing.port, half)
        for index, offset in zip(indices, offsets, strict=True):
            fixed = lines[index].arrive
            result[index] = offset if fixed is None else fixed
    return result


def spread(wished: Sequence[float], gap: float, half: float) -> list[float]:
    """The nearest positions to these ascending ones that are `gap` apart and lie in [-half, half].

    Least squares under an order is the pool-adjacent-violators rule; where the room is short the
    gap shrinks.

    >>> spread([0.0, 40.0], gap=9, half=9)
    [0.0, 9]
    """
    if len(wished) < 2:
        return [0.0] * len(wished)
    gap = min(gap, 2 * half / (len(wished) - 1))
    pools: list[tuple[float, int]] = []  # mean and size of runs that have to move together
    for index, wish in enumerate(wished):
        mean, size = min(max(wish, -half), half) - index * gap, 1
        while pools and pools[-1][0] > mean:
            other, more = pools.pop()
            mean, size = (mean * size + other * more) / (size + more), size + more
        pools.append((mean, size))
    flat = [mean for mean, size in pools for _ in range(size)]
    limit = half - (len(wished) - 1) * gap
    return [min(max(mean, -half), limit) + index * gap for index, mean in enumerate(flat)]


def _routes(
    mesh: Mesh, arrivals: list[float], across: list[float], bands: list[tuple[float, float]]
) -> list[list[Point]]:
    """The points of each line: straight through each band, from one x to another in each gap."""

    def outset(line: FlatEdge) -> list[Point]:
        start, end = bands[mesh.layer[line.source]]
        x = across[line.source] + (line.leave or 0.0)
        return [(x, (start + end + mesh.sizes[line.source].along) / 2), (x, end)]

    ways: dict[int, list[Point]] = {}  # up to the end of the band of each bend and label
    for vertex, parent in mesh.parent.items():
        way = ways[parent] if parent in ways else outset(mesh.stem[vertex])
        x, (start, end) = across[vertex], bands[mesh.layer[vertex]]
        ways[vertex] = without_repeats([*way, (x, start), (x, end)])
    routes = []
    for via, line, arrival in zip(mesh.via, mesh.lines, arrivals, strict=True):
        start, end = bands[mesh.layer[line.target]]
        x = across[line.target] + arrival
        arriving = [(x, start), (x, (start + end - mesh.sizes[line.target].along) / 2)]
        routes.append(without_repeats([*(ways[via] if via in ways else outset(line)), *arriving]))
    return routes


def without_repeats(points: list[Point]) -> list[Point]:
    """The same path without points that repeat the one before or lie on a straight line between
    their neighbours.
    """
    kept: list[Point] = []
    for point in points:
        if kept and kept[-1] == point:
            continue
        if len(kept) > 1 and kept[-2][0] == kept[-1][0] == point[0]:
            kept.pop()
        kept.append(point)
    return kept
