"""The order of the nodes inside each layer: the second step of a layered layout.

Edges cross less if every node stands near the middle of its neighbours. Sweeping forwards and
backwards, each layer is sorted by the mean position of its neighbours in the layer just sorted (the
barycentre rule of Sugiyama, Tagawa and Toda, 1981); then adjacent nodes change places wherever that
removes crossings (Gansner et al., "A technique for drawing directed graphs", 1993). The best order
seen wins. Here every edge joins neighbouring layers: longer ones have been cut into pieces by
`layout`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from itertools import islice, pairwise

Adjacency = list[list[int]]

_PATIENCE = 4  # rounds without improvement before we stop
_WORK = 60_000  # vertices and pieces of edges to visit: keeps thousands of nodes within a second
_MOST_STARTS = 12


def order_layers(
    layers: list[list[int]], before: Adjacency, after: Adjacency, share: float = 1
) -> list[list[int]]:
    """The same layers, each in an order that makes edges cross little; equal inputs give equal
    orders.

    What is found depends on the order one starts from, so small graphs are begun several times.
    `share` is the part of the work that may be spent here, where the graph is one group of many.
    """
    size = max(1, sum(map(len, layers)) + sum(map(len, after)))
    work = int(_WORK * share)
    starts = min(_MOST_STARTS, max(2, work // (40 * size)))
    rounds = max(2, min(24, work // (size * starts)))
    place = [0] * len(before)  # of each vertex in its layer
    best, fewest = [list(layer) for layer in layers], count_crossings(layers, after)
    for current in islice(_starts(layers, before, after), starts):
        _number(current, place)
        stale = 0
        for turn in range(rounds):
            if not fewest or stale > _PATIENCE:
                break
            _sweep(current, before if turn % 2 == 0 else after, place, forwards=turn % 2 == 0)
            if size < work // 4:
                _exchange(current, before, after, place)
            crossings = count_crossings(current, after, fewest)
            stale += 1
            if crossings < fewest:
                best, fewest, stale = [list(layer) for layer in current], crossings, 0
    return best


def _starts(
    layers: list[list[int]], before: Adjacency, after: Adjacency
) -> Iterator[list[list[int]]]:
    """Orders to start from: as given, by depth, and then shuffled, the same way every time."""
    yield [list(layer) for layer in layers]
    by_depth = _by_depth(layers, before, after)
    yield [list(layer) for layer in by_depth]
    state = 1
    while True:
        shuffled = [list(layer) for layer in by_depth]
        for layer in shuffled:
            for index in range(len(layer) - 1, 0, -1):
                state = state * 48271 % 0x7FFFFFFF  # Lehmer's generator
                other = state % (index + 1)
                layer[index], layer[other] = layer[other], layer[index]
        yield shuffled


def count_crossings(layers: list[list[int]], after: Adjacency, limit: float = float("inf")) -> int:
    """How many pairs of edges cross, if the vertices of each layer stand in the given order.

    Having found `limit` of them it stops.

    >>> count_crossings([[0, 1], [2, 3]], after=[[3], [2], [], []])
    1
    """
    total = 0
    for upper, lower in pairwise(layers):
        place = {vertex: index for index, vertex in enumerate(lower)}
        seen = [-1]  # ends of the edges so far, sorted: those beyond a new end are crossed
        for vertex in upper:
            near = after[vertex]
            ends = [place[n] for n in near] if len(near) < 2 else sorted(place[n] for n in near)
            for end in ends:
                if end < seen[-1]:
                    total += len(seen) - bisect_right(seen, end)
            for end in ends:
                insort(seen, end)
        if total >= limit:
            break
    return total


def _number(layers: list[list[int]], place: list[int]) -> None:
    for layer in layers:
        for index, vertex in enumerate(layer):
            place[vertex] = index


def _by_depth(layers: list[list[int]], before: Adjacency, after: Adjacency) -> list[list[int]]:
    """A first order in which what belongs together stands together: that of a depth-first walk from
    the last layer.
    """
    level = {vertex: index for index, layer in enumerate(layers) for vertex in layer}
    result: list[list[int]] = [[] for _ in layers]
    seen: set[int] = set()
    for start in (vertex for layer in reversed(layers) for vertex in layer):
        stack = [start]
        while stack:
            vertex = stack.pop()
            if vertex not in seen:
                seen.add(vertex)
                result[level[vertex]].append(vertex)
                stack.extend(n for n in reversed(after[vertex]) if n not in seen)
                stack.extend(n for n in reversed(before[vertex]) if n not in seen)
    return result


def _sweep(
    layers: list[list[int]], neighbours: Adjacency, place: list[int], forwards: bool
) -> None:
    """Sort layer after layer by the mean position of the neighbours; vertices without any keep
    their places.
    """
    for layer in layers if forwards else reversed(layers):
        wished = {}
        for vertex in layer:
            near = neighbours[vertex]
            if near:
                wished[vertex] = sum([place[n] for n in near]) / len(near)
        ordered = sorted(wished, key=wished.__getitem__)
        if len(ordered) < len(layer):
            rest = iter(ordered)
            ordered = [next(rest) if vertex in wished else vertex for vertex in layer]
        layer[:] = ordered
        for index, vertex in enumerate(layer):
            place[vertex] = index


def _exchange(
    layers: list[list[int]], before: Adjacency, after: Adjacency, place: list[int]
) -> None:
    """Let adjacent vertices change places while that removes crossings."""
    for _ in range(8):
        improved = False
        for layer in layers:
            for index in range(len(layer) - 1):
                left, right = layer[index], layer[index + 1]
                gain = _surplus(before[left], before[right], place)
                gain += _surplus(after[left], after[right], place)
                if gain > 0:
                    layer[index], layer[index + 1] = right, left
                    place[left], place[right] = index + 1, index
                    improved = True
        if not improved:
            return


def _surplus(left: list[int], right: list[int], place: list[int]) -> int:
    """How many more crossings there are with the neighbours in this order than in the other."""
    if len(left) * len(right) > 100:
        a, b = (sorted(place[n] for n in ends) for ends in (left, right))
        return sum(len(a) - bisect_right(a, end) - bisect_left(a, end) for end in b)
    surplus = 0
    for one in left:
        here = place[one]
        for other in right:
            there = place[other]
            surplus += (here > there) - (here < there)
    return surplus
