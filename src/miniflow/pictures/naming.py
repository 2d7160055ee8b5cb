"""Which named group each node of a graph belongs to: "block1/attention/W" is W in attention in
block1.

Names with slashes are enough. What has no such name goes where it obviously belongs: an unnamed
operation with its weights, else with the last operation that it reads; unnamed leaves with their
only reader; an operation called "block1/attention" into the group of that name. A group is only
kept as far as it is one piece of the graph: no path may leave it and come back, for then it could
not be drawn as one box.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from miniflow.graph import Node
from miniflow.pictures.layout.layering import neighbours
from miniflow.pictures.reading import Reading, name_of

Path = tuple[str, ...]
N = TypeVar("N", bound=Hashable)


class Alone(NamedTuple):
    """An item that is in no group, among the paths of groups."""

    item: Hashable


def group_paths(reading: Reading) -> dict[Node, Path]:
    """For every node the groups around it, outermost first; () for all if no name has a slash in
    it.
    """
    paths: dict[Node, Path] = {}
    for node in reading.nodes:
        paths[node] = _parts(node)[:-1]
    if not any(paths.values()):
        return _with_insides(reading, paths)
    known = {path[:depth] for path in paths.values() for depth in range(1, len(path) + 1)}
    for node in reading.nodes:
        if _parts(node) in known and node.inbound_nodes:
            paths[node] = _parts(node)
        elif not node.name and node.inbound_nodes and reading.consumers[node]:
            paths[node] = _path_of_orphan(reading.inbound[node], paths)
    for node in reversed(reading.nodes):
        if not node.name and not node.inbound_nodes and len(reading.consumers[node]) == 1:
            paths[node] = paths[reading.consumers[node][0]]
    _drop_single_groups(paths)
    edges = [(source, node) for node in reading.nodes for source in reading.inbound[node]]
    return _with_insides(reading, in_one_piece(edges, paths))


def _with_insides(reading: Reading, paths: dict[Node, Path]) -> dict[Node, Path]:
    """A node that is shown with the graph inside it stands with that in a group of its name."""
    for node, outer in reading.inside.items():
        paths[node] = (*paths[outer], reading.called[outer])
    for outer in {*reading.inside.values()}:
        paths[outer] = (*paths[outer], reading.called[outer])
    return paths


def _parts(node: Node) -> Path:
    return tuple(part for part in name_of(node).split("/") if part)


def _path_of_orphan(inbound: Sequence[Node], paths: Mapping[Node, Path]) -> Path:
    """The group of an unnamed operation: that of its weights, else of the last operation among its
    inputs.
    """
    leaves = [paths[source] for source in inbound if not source.inbound_nodes]
    named = [path for path in leaves if path]
    if named:
        return _common(named)
    works = [source for source in inbound if source.inbound_nodes]
    order = {source: index for index, source in enumerate(paths)}
    return paths[max(works, key=order.__getitem__)] if works else ()


def _common(paths: Sequence[Path]) -> Path:
    """The groups that all of these paths begin with."""
    shared = []
    for parts in zip(*paths, strict=False):
        if len(set(parts)) > 1:
            break
        shared.append(parts[0])
    return tuple(shared)


def _drop_single_groups(paths: dict[Node, Path]) -> None:
    """Take away groups with a single node, and groups that hold nothing but another group.

    What was in one stands in the group around it then, which holds as many things as before.
    """
    members: dict[Path, set[object]] = {}
    for node, path in paths.items():
        for depth in range(1, len(path) + 1):
            child: object = path[: depth + 1] if depth < len(path) else node
            members.setdefault(path[:depth], set()).add(child)
    for node, path in paths.items():
        kept, name = [], ""
        for depth, part in enumerate(path, start=1):
            name += part
            if len(members[path[:depth]]) > 1:
                kept.append(name)
                name = ""
            else:
                name += "/"  # before the name of the group inside
        paths[node] = tuple(kept)


def in_one_piece(edges: Sequence[tuple[N, N]], paths: dict[N, Path]) -> dict[N, Path]:
    """The same, without the groups that a path leaves and comes back to; of several that tangle,
    the smallest go.

    `paths` names the groups around each item of any graph, outermost first; it is changed and
    returned.
    """
    depth = 0
    while any(len(path) > depth for path in paths.values()):
        tangled = _first_tangle(edges, paths, depth)
        if tangled is None:
            depth += 1
            continue
        for item, path in paths.items():
            if path[: depth + 1] == tangled:
                paths[item] = _path_without(path, depth)
    return paths


def _path_without(path: Path, depth: int) -> Path:
    """The path without one group; what was in it keeps that name before its own."""
    inner = path[depth + 1 :]
    return path[:depth] + ((f"{path[depth]}/{inner[0]}", *inner[1:]) if inner else ())


def _first_tangle(edges: Sequence[tuple[N, N]], paths: Mapping[N, Path], depth: int) -> Path | None:
    """The smallest group at a depth that is on a circle when all groups there are single boxes;
    None if none is.
    """
    unit: dict[N, Hashable] = {
        item: path[: depth + 1] if len(path) > depth else Alone(item)
        for item, path in paths.items()
    }
    index = {box: i for i, box in enumerate(dict.fromkeys(unit.values()))}
    pairs = [
        (index[unit[a]], index[unit[b]])
        for a, b in edges
        if unit[a] != unit[b] and paths[a][:depth] == paths[b][:depth]
    ]
    before, after = neighbours(len(index), pairs)
    on_circle = _on_circles(before, after)
    sizes: dict[Path, int] = {}
    for item, box in unit.items():
        if not isinstance(box, Alone) and index[box] in on_circle:
            path = paths[item][: depth + 1]
            sizes[path] = sizes.get(path, 0) + 1
    return min(sizes, key=lambda path: (sizes[path], path), default=None)


def _on_circles(before: list[list[int]], after: list[list[int]]) -> set[int]:
    """Boxes that remain when those without inputs, and then those without readers, have been taken
    away.
    """
    left = set(range(len(before)))
    for inputs, readers in ((before, after), (after, before)):
        waiting = [sum(n in left for n in found) for found in inputs]
        free = [box for box in left if not waiting[box]]
        for box in free:
            left.discard(box)
            for reader in readers[box]:
                if reader in left:
                    waiting[reader] -= 1
                    if not waiting[reader]:
                        free.append(reader)
    return left
