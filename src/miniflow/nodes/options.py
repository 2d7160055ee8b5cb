"""The options of nodes, checked when a node is built: what does not fit is told with the node's
name and the line that built it. NumPy's numbers are as good as Python's.
"""

import operator
from typing import Any

from miniflow.errors import GraphError
from miniflow.graph import Node
from miniflow.graph.checks import is_listed, is_whole
from miniflow.graph.values import describe

Axes = int | tuple[int, ...] | None


def one_axis(node: Node, x: Any) -> int:
    """`x` as an axis."""
    if not is_whole(x):
        raise GraphError(f"{node}: axis is a whole number, not {describe(x)}.")
    return operator.index(x)


def some_axes(node: Node, x: Any) -> Axes:
    """`x` as an axis, a tuple of axes, or None for all of them."""
    if x is None:
        return None
    if not is_listed(x):
        if not is_whole(x):
            raise GraphError(
                f"{node}: axis is a whole number, a tuple of them, or None for all axes, "
                f"not {describe(x)}."
            )
        return operator.index(x)
    axes = tuple(one_axis(node, axis) for axis in x)
    if len(set(axes)) < len(axes):
        raise GraphError(f"{node}: axis={axes} names an axis twice.")
    return axes


def order_of_axes(node: Node, x: Any) -> tuple[int, ...] | None:
    """`x` as an order of as many axes as it has entries; None stands for the reverse of it."""
    if x is None:
        return None
    axes = tuple(x) if is_listed(x) else (None,)
    rank = len(axes)
    if all(map(is_whole, axes)):
        axes = tuple(map(operator.index, axes))
        if sorted(axis % rank for axis in axes if -rank <= axis < rank) == list(range(rank)):
            return axes
    raise GraphError(
        f"{node}: axes is an order of all axes, (1, 0) or (0, 2, 1) say, or None to reverse them, "
        f"not {describe(x)}."
    )


def shape_to_fill(node: Node, x: Any) -> tuple[int, ...]:
    """`x` as a shape, of which one size may be -1."""
    sizes = tuple(x) if is_listed(x) else (x,)
    if all(map(is_whole, sizes)):
        shape = tuple(map(operator.index, sizes))
        if all(size >= -1 for size in shape) and shape.count(-1) <= 1:
            return shape
    raise GraphError(
        f"{node}: shape is a whole number or a tuple of them, of which one may be -1, to be worked "
        f"out; not {describe(x)}."
    )
