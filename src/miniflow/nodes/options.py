"""The options of nodes, checked when a node is built: what does not fit is told with the node's
name and the line that built it. NumPy's numbers are as good as Python's.
"""

import operator
from typing import Any

import numpy as np

from miniflow.errors import GraphError
from miniflow.graph import Node
from miniflow.graph.checks import is_listed, is_whole
from miniflow.graph.values import describe

Axes = int | tuple[int, ...] | None

MOST_AXES = 64  # of an array of NumPy's


def one_axis(node: Node, x: Any) -> int:
    """`x` as an axis."""
    if not is_whole(x):
        raise GraphError(f"{node}: axis is a whole number, not {describe(x)}.")
    axis = operator.index(x)
    if not -MOST_AXES <= axis < MOST_AXES:
        raise GraphError(f"{node}: there is no axis {axis}: arrays have {MOST_AXES} at most.")
    return axis


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
        return one_axis(node, x)
    axes = tuple(one_axis(node, axis) for axis in x)
    if len(set(axes)) < len(axes):
        raise GraphError(f"{node}: axis={axes} names an axis twice.")
    return axes


def rising_axes(node: Node, x: Any) -> tuple[int, ...]:
    """`x` as axes, counted from 0, each of them greater than the one before."""
    axes = tuple(x) if is_listed(x) else (None,)
    if all(map(is_whole, axes)):
        axes = tuple(one_axis(node, axis) for axis in axes)
        if axes == tuple(sorted({axis for axis in axes if axis >= 0})):
            return axes
    raise GraphError(
        f"{node}: axes are whole numbers of at least 0, in increasing order, (0, 2) say, not "
        f"{describe(x)}."
    )


def sizes(node: Node, name: str, x: Any, *, least: int = 0) -> tuple[int, ...]:
    """`x` as a tuple of sizes, all of at least `least`."""
    found = tuple(x) if is_listed(x) else (None,)
    if all(is_whole(size) and least <= operator.index(size) < 2**63 for size in found):
        return tuple(map(operator.index, found))
    raise GraphError(
        f"{node}: {name} is a tuple of whole numbers of at least {least}, not {describe(x)}."
    )


def index_parts(node: Node, x: Any) -> tuple[Any, ...]:
    """What the brackets hold in `array[x]`, if NumPy knows it."""
    parts = tuple(index_part(node, part) for part in (x if isinstance(x, tuple) else (x,)))
    if sum(part is Ellipsis for part in parts) > 1:
        raise GraphError(f"{node}: an index has one `...` at most.")
    return parts


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


def index_part(node: Node, part: Any) -> Any:
    """One part of an index, if NumPy knows it; a list as the array that NumPy makes of it: an empty
    one picks nothing.
    """
    if part is None or part is Ellipsis or isinstance(part, bool) or is_whole(part):
        return part
    if isinstance(part, slice):
        bounds = (part.start, part.stop, part.step)
        if all(bound is None or is_whole(bound) for bound in bounds):
            if part.step is not None and operator.index(part.step) == 0:
                raise GraphError(f"{node}: a slice with a step of 0 goes nowhere.")
            return part
    elif isinstance(part, (list, np.ndarray, np.generic)):
        try:
            array = np.asarray(part)
        except ValueError:  # lists of different lengths
            array = np.asarray(None)
        if isinstance(part, list) and not array.size:
            return array.astype(np.intp)
        if array.dtype.kind in "biu":
            return array if isinstance(part, list) else part
    written = as_written(part) if isinstance(part, slice) else describe(part)
    raise GraphError(
        f"{node}: an index has whole numbers, slices of them, None, `...`, and arrays of whole "
        f"numbers or of booleans; not {written}."
    )


def as_written(part: Any) -> str:
    """One part of an index as it stands between brackets: `0:2` for slice(0, 2)."""
    if isinstance(part, slice):
        written = ["" if n is None else str(n) for n in (part.start, part.stop, part.step)]
        return ":".join(written if written[2] else written[:2])
    if isinstance(part, np.ndarray):
        return f"array of shape {part.shape}" if part.size > 8 else str(part.tolist())
    return "..." if part is Ellipsis else str(part)
