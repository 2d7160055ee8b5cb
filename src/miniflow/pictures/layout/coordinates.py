"""Where each node stands inside its layer: the third step of a layered layout.

The order is given; the positions should make long edges straight and put each node before the
middle of its neighbours. The method is that of Brandes and Köpf, "Fast and simple horizontal
coordinate assignment" (2001): join each vertex with a middle neighbour into straight lines, push
the lines together as far as the sizes allow, do so in all four directions (neighbours before or
after, towards one side or the other), and take the middle of the four results. Compaction follows
longest paths between the lines, which needs no recursion and keeps unequal sizes apart.

One thing is added: pieces of the graph's main path are joined first, whatever the direction.
Otherwise each of a row of residual blocks would be joined to its short cut in two of the four
results, and the row become a staircase.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from math import inf

from miniflow.pictures.layout.crossings import Adjacency


def place_across(
    layers: list[list[int]],
    before: Adjacency,
    after: Adjacency,
    is_bend: Sequence[bool],
    main: set[tuple[int, int]],
    slant: Mapping[tuple[int, int], float],
    separation: Callable[[int, int], float],
) -> list[float]:
    """The position of every vertex across the layers, the smallest being 0.

    `is_bend` marks the vertices that only carry a long edge through a layer: a line between two of
    them stays straight before all others; then come the pieces in `main`, at most one on either
    side of a vertex. `slant` is how far the second vertex of a piece stands from the first where
    the piece is straight, if that is not 0 because the piece does not join their middles.
    `separation(a, b)` is the least distance between the middles of adjacent vertices.
    """
    count = len(before)
    if not count:
        return []
    place = [0] * count  # in the vertex's layer
    for layer in layers:
        for index, vertex in enumerate(layer):
            place[vertex] = index
    conflicts = _conflicts(layers, before, is_bend, place)
    results: list[list[float]] = []
    for backwards in (False, True):
        ordered = layers[::-1] if backwards else layers
        middles = [_middles(near, place) for near in (after if backwards else before)]
        preferred = dict(main) if backwards else {b: a for a, b in main}
        for vertex, neighbour in preferred.items():
            middles[vertex] = [neighbour]
        for mirrored in (False, True):
            rows = [row[::-1] for row in ordered] if mirrored else ordered
            sides = [-x for x in place] if mirrored else place
            root, shift = _align(rows, middles, sides, preferred, conflicts, slant)
            if mirrored:
                shift = [-x for x in shift]
            positions = _compact(rows, root, shift, separation)
            results.append([-x for x in positions] if mirrored else positions)
    return _balance(results)


def _middles(near: list[int], place: list[int]) -> list[int]:
    """The neighbour that stands in the middle, or the two that do."""
    if len(near) < 2:
        return near
    near = sorted(near, key=place.__getitem__)
    return near[(len(near) - 1) // 2 : len(near) // 2 + 1]


def _conflicts(
    layers: list[list[int]], before: Adjacency, is_bend: Sequence[bool], place: list[int]
) -> set[tuple[int, int]]:
    """The pieces of edges that cross a straight piece of a long edge, and so may not be straight
    themselves; named both ways round.
    """
    found: set[tuple[int, int]] = set()
    for upper, lower in pairwise(layers):
        scanned, lowest = 0, 0
        for index, vertex in enumerate(lower):
            inner = next((n for n in before[vertex] if is_bend[vertex] and is_bend[n]), None)
            if inner is None and index < len(lower) - 1:
                continue
            highest = len(upper) if inner is None else place[inner]
            for other in lower[scanned : index + 1]:
                for source in before[other]:
                    outside = not lowest <= place[source] <= highest
                    if outside and not (is_bend[other] and is_bend[source]):
                        found |= {(source, other), (other, source)}
            scanned, lowest = index + 1, highest
    return found


def _align(
    rows: list[list[int]],
    middles: Adjacency,
    place: list[int],
    preferred: Mapping[int, int],
    conflicts: set[tuple[int, int]],
    slant: Mapping[tuple[int, int], float],
) -> tuple[list[int], list[float]]:
    """Join vertices with a middle neighbour into lines that do not cross.

    Returns for each vertex the first one of its line, and how far it stands from that one.
    """
    root = list(range(len(place)))
    shift = [0.0] * len(place)
    taken = set(preferred.values())  # each vertex continues into one line only
    for row in rows[1:]:
        furthest = -inf
        for vertex in row:
            if vertex in preferred:
                taken.discard(preferred[vertex])
            for candidate in sorted(middles[vertex], key=place.__getitem__):
                if candidate in taken or place[candidate] <= furthest:
                    continue
                if (candidate, vertex) not in conflicts:
                    step = slant.get((candidate, vertex), 0.0) - slant.get((vertex, candidate), 0.0)
                    root[vertex] = root[candidate]
                    shift[vertex] = shift[candidate] + step
                    taken.add(candidate)
                    furthest = place[candidate]
                    break
    return root, shift


def _compact(
    rows: list[list[int]],
    root: list[int],
    shift: list[float],
    separation: Callable[[int, int], float],
) -> list[float]:
    """Push the lines together: each as near the start as those before it allow, then as near those
    after it.
    """
    count = len(root)
    gaps: dict[int, dict[int, float]] = {}  # line -> the lines next to it, and their least distance
    waiting = [0] * count
    for row in rows:
        for left, right in pairwise(row):
            lines = gaps.setdefault(root[left], {})
            if root[right] not in lines:
                waiting[root[right]] += 1
            gap = separation(left, right) + shift[left] - shift[right]
            lines[root[right]] = max(lines.get(root[right], gap), gap)
    order = [line for line in range(count) if root[line] == line and not waiting[line]]
    x = [-inf] * count
    for line in order:
        x[line] = 0.0
    for line in order:
        for other, gap in gaps.get(line, {}).items():
            x[other] = max(x[other], x[line] + gap)
            waiting[other] -= 1
            if not waiting[other]:
                order.append(other)
    for line in reversed(order):
        if line in gaps:
            x[line] = max(x[line], min(x[other] - gap for other, gap in gaps[line].items()))
    return [x[root[vertex]] + shift[vertex] for vertex in range(count)]


def _balance(results: list[list[float]]) -> list[float]:
    """The middle of the four results for each vertex, after lining them up with the narrowest.

    A result much wider than the narrowest is left out: it is a staircase that another direction
    avoided.
    """
    widths = [max(xs) - min(xs) for xs in results]
    narrowest = results[widths.index(min(widths))]
    low, high = min(narrowest), max(narrowest)
    shifted = []
    for index, xs in enumerate(results):
        if widths[index] <= 1.3 * min(widths):
            shift = high - max(xs) if index % 2 else low - min(xs)
            shifted.append([x + shift for x in xs])
    half = (len(shifted) - 1) // 2
    middle = []
    for values in zip(*shifted, strict=True):
        ranked = sorted(values)
        middle.append((ranked[half] + ranked[-1 - half]) / 2)
    start = min(middle)
    return [x - start for x in middle]
