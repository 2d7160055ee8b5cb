"""Nodes that put arrays together, take them apart and move their entries round: Stack, Split, Pad,
Flip and Roll. `shape.py` has Reshape, Transpose, Concat and indexing.
"""

import math
import operator
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from miniflow.errors import GraphError, ShapeError
from miniflow.graph import Node, Op
from miniflow.graph.checks import is_listed, is_whole, number
from miniflow.graph.integers import as_one_array, as_operands
from miniflow.graph.operators import WAYS
from miniflow.graph.values import describe, shape_of
from miniflow.nodes.options import Axes, one_axis, some_axes


class Stack(Op):
    """Arrays of one shape side by side, along a new axis.

    Args:
        inputs: at least one node or array.
        axis: where the new axis stands in the result; 0 by default.
        name: None by default.

    Raises:
        GraphError: there is no node, they stand in a list, or axis is not a whole number.
        ShapeError: in the pass: the shapes differ.


    Each has the part of the gradient that lies where it stands.

    >>> import numpy as np, miniflow as mf
    >>> mf.value(mf.Stack(np.array([1, 2]), np.array([3, 4]), axis=1))
    array([[1, 3],
           [2, 4]])
    """

    expects = "arrays of one shape, and an axis of the result"

    def __init__(self, *inputs: Any, axis: int = 0, name: str | None = None) -> None:
        if not inputs:
            raise GraphError("Stack takes at least one node.")
        for given in inputs:
            if isinstance(given, (list, tuple)) and any(isinstance(x, Node) for x in given):
                raise GraphError(
                    "Stack takes its nodes one by one, and not in a list: Stack(x, y, axis=0)."
                )
        Op.__init__(self, *inputs, name=name)
        self.axis = one_axis(self, axis)

    def compute(self, *values: Any) -> Any:
        return np.stack(as_one_array(*values, owner=self), axis=self.axis)

    def gradient(self, grad: Any, *values: Any) -> Any:
        before = (slice(None),) * (self.axis % len(grad.shape))
        return [grad[(*before, i)] for i in range(len(values))]


class Split(Op):
    """An array in parts along an axis: `a, b, c = Split(x, 3)`. Its value is x as it is; its parts
    are nodes of their own, to be unpacked, gone through, or taken by number.

    Args:
        x: an array.
        parts: how many, all of one size; or the size of each, such as (64, 64, 32).
        axis: along which; 0 by default.
        name: None by default.

    Raises ShapeError where the parts do not make up the axis.

    The gradients of the parts are put together again; of a part that nobody uses it is 0.

    >>> import numpy as np, miniflow as mf
    >>> first, second = mf.Split(np.array([[1, 2, 3, 4]]), 2, axis=1)
    >>> mf.value(first), mf.value(second)
    (array([[1, 2]]), array([[3, 4]]))
    >>> mf.value(mf.Split(np.array([1, 2, 3, 4]), (1, 3))[1])
    array([2, 3, 4])
    """

    expects = "an array that has that axis"

    def __init__(
        self, x: Any, parts: int | Sequence[int], axis: int = 0, *, name: str | None = None
    ) -> None:
        Op.__init__(self, x, name=name)
        given: Any = parts
        sizes = list(given) if is_listed(given) else [given]
        least = 0 if is_listed(parts) else 1
        if not sizes or not all(is_whole(n) and operator.index(n) >= least for n in sizes):
            raise GraphError(
                f"{self}: parts is how many there are, 1 or more, or a list of their sizes, not "
                f"{describe(parts)}."
            )
        whole = [operator.index(n) for n in sizes]
        self.sizes = whole if is_listed(parts) else None
        self.count = len(whole) if is_listed(parts) else whole[0]
        self.axis = one_axis(self, axis)

    def compute(self, x: Any) -> Any:
        self.bounds(x)
        return x

    def gradient(self, grad: Any, x: Any) -> Any:
        return (grad,)

    def bounds(self, x: Any) -> list[int]:
        """Where the parts begin along the axis, and where the last one ends."""
        shape, label = shape_of(x), self.inbound_nodes[0].label
        if not -len(shape) <= self.axis < len(shape):
            raise ShapeError(
                f"{self}: {label} has shape {shape}, which has no axis {self.axis}; it takes "
                f"{self.expects}."
            )
        length = shape[self.axis]
        if self.sizes is None and length % self.count:
            raise ShapeError(
                f"{self}: {label} has shape {shape}, and {length} entries along axis {self.axis} "
                f"do not make {self.count} parts of one size; give their sizes, in a list."
            )
        sizes = [length // self.count] * self.count if self.sizes is None else self.sizes
        if sum(sizes) != length:
            raise ShapeError(
                f"{self}: {label} has shape {shape}, and parts of {tuple(sizes)} along axis "
                f"{self.axis} have {sum(sizes)} entries together, not {length}."
            )
        return [sum(sizes[:i]) for i in range(len(sizes) + 1)]

    def __len__(self) -> int:  # type: ignore[override]
        return self.count

    def __getitem__(self, index: Any) -> "SplitPart":
        if not is_whole(index) or not -self.count <= operator.index(index) < self.count:
            raise GraphError(
                f"{self}: in brackets stands the number of a part, 0 to {self.count - 1}, not "
                f"{describe(index)}."
            )
        return SplitPart(self, operator.index(index) % self.count)

    def __iter__(self) -> Iterator["SplitPart"]:  # type: ignore[override]
        return (self[i] for i in range(self.count))


class SplitPart(Op):
    """One part of a `Split`, which makes it.

    Args:
        split: the `Split`.
        number: which of its parts, counted from 0.
        name: None by default.
    """

    widens_float16 = True

    def __init__(self, split: Split, number: int, *, name: str | None = None) -> None:
        Op.__init__(self, split, name=name)
        self.number = number

    def compute(self, x: Any) -> Any:
        return x[self._place(x)]

    def gradient(self, grad: Any, x: Any) -> Any:
        dx = np.zeros(x.shape, grad.dtype)
        dx[self._place(x)] = grad
        return (dx,)

    def _place(self, x: Any) -> tuple[slice, ...]:
        split: Any = self.inbound_nodes[0]
        start, end = split.bounds(x)[self.number : self.number + 2]
        return (*(slice(None),) * (split.axis % len(x.shape)), slice(start, end))


class Pad(Op):
    """A border of one number round an array.

    Args:
        x: an array.
        width: entries of the border along each axis, as for `np.pad`: one number for before and
            after on every axis; (before, after) for every axis; or a pair for each axis,
            ((0, 0), (1, 1), (2, 2), (0, 0)) for images.
        value: what the border is made of; 0 by default.
        name: None by default.

    Raises:
        GraphError: width has something that is no whole number of at least 0, or value is no
            number.
        ShapeError: in the pass: there are pairs for another number of axes.

    The gradient of what is not border is passed on. Whole numbers stay whole beside a whole value.

    >>> import numpy as np, miniflow as mf
    >>> mf.value(mf.Pad(np.array([[1, 2]]), ((0, 0), (1, 2))))
    array([[0, 1, 2, 0, 0]])
    """

    def __init__(self, x: Any, width: Any, *, value: Any = 0, name: str | None = None) -> None:
        Op.__init__(self, x, name=name)
        self.width = _widths(self, width)
        if is_whole(value) and abs(operator.index(value)) < 2**63:
            self.fill: float = operator.index(value)
        else:
            infinite = isinstance(value, (float, np.floating)) and math.isinf(value)
            self.fill = float(value) if infinite else number(self, "value", value, least=-math.inf)

    def compute(self, x: Any) -> Any:
        widths = self._of_each_axis(x)
        (x, value) = as_operands(x, self.fill, whole=True, owner=self)
        shape = [n + a + b for n, (a, b) in zip(x.shape, widths, strict=True)]
        wide = np.full(shape, value, x.dtype)
        wide[self._inside(x, widths)] = x
        return wide

    def gradient(self, grad: Any, x: Any) -> Any:
        return (grad[self._inside(x, self._of_each_axis(x))],)

    def _inside(self, x: Any, widths: list[tuple[int, int]]) -> tuple[slice, ...]:
        return tuple(slice(a, a + n) for n, (a, _) in zip(x.shape, widths, strict=True))

    def _of_each_axis(self, x: Any) -> list[tuple[int, int]]:
        shape = shape_of(x)
        if not shape or (len(self.width) != 1 and len(self.width) != len(shape)):
            what = f"has shape {shape}" if shape else "is a number"
            pairs = f"{len(self.width)} axes" if len(self.width) > 1 else "at least one axis"
            raise ShapeError(
                f"{self}: {self.inbound_nodes[0].label} {what}; with that width it takes an array "
                f"with {pairs}."
            )
        return self.width * len(shape) if len(self.width) == 1 else self.width


class Flip(Op):
    """The entries in reverse order, along axes.

    Args:
        x: an array.
        axis: an axis, a tuple of axes, or None for all of them (default).
        name: None by default.

    Raises:
        GraphError: axis is no whole number, no tuple of them and not None.
        ShapeError: in the pass: x has no such axis.

    The gradient is turned back.

    >>> import numpy as np, miniflow as mf
    >>> mf.value(mf.Flip(np.array([[1, 2], [3, 4]]), axis=1))
    array([[2, 1],
           [4, 3]])
    """

    expects = "an array that has that axis"

    def __init__(self, x: Any, axis: Axes = None, *, name: str | None = None) -> None:
        Op.__init__(self, x, name=name)
        self.axis = some_axes(self, axis)

    def compute(self, x: Any) -> Any:
        _check_axes(self, x, self.axis)
        return np.flip(x, self.axis)

    def gradient(self, grad: Any, x: Any) -> Any:
        return (np.flip(grad, self.axis),)


class Roll(Op):
    """The entries moved on along an axis; what leaves at the end comes back at the beginning.

    Args:
        x: an array.
        shift: how far; negative: towards the beginning. One number, or one for each axis.
        axis: an axis, a tuple of axes, or None (default): along all entries in C order.
        name: None by default.

    Raises:
        GraphError: shift or axis is no whole number and no tuple of them, or they differ in number.
        ShapeError: in the pass: x has no such axis.

    The gradient is moved back.

    >>> import numpy as np, miniflow as mf
    >>> mf.value(mf.Roll(np.array([1, 2, 3, 4]), 1))
    array([4, 1, 2, 3])
    """

    expects = "an array that has that axis"

    def __init__(
        self, x: Any, shift: int | Sequence[int], axis: Axes = None, *, name: str | None = None
    ) -> None:
        Op.__init__(self, x, name=name)
        self.axis = some_axes(self, axis)
        axes = self.axis if isinstance(self.axis, tuple) else (self.axis,)
        given: Any = shift
        shifts = list(given) if is_listed(given) else [given] * len(axes)
        if len(shifts) != len(axes) or not all(map(is_whole, shifts)):
            raise GraphError(
                f"{self}: shift is a whole number, or one for each axis in axis={self.axis}, not "
                f"{describe(shift)}."
            )
        self.moves = [(operator.index(n), axis) for n, axis in zip(shifts, axes, strict=True)]

    def compute(self, x: Any) -> Any:
        _check_axes(self, x, self.axis)
        for shift, axis in self.moves:
            x = np.roll(x, shift, axis)
        return x

    def gradient(self, grad: Any, x: Any) -> Any:
        for shift, axis in self.moves:
            grad = np.roll(grad, -shift, axis)
        return (grad,)


def _check_axes(node: Op, x: Any, axis: Axes) -> None:
    """ShapeError where a value is a number, or has not all of these axes, or one of them twice."""
    shape, label = shape_of(x), node.inbound_nodes[0].label
    axes = axis if isinstance(axis, tuple) else () if axis is None else (axis,)
    fits = all(-len(shape) <= a < len(shape) for a in axes)
    if not shape or not fits:
        raise ShapeError(f"{node}: {label} has shape {shape}; it takes {node.expects}.")
    if len({a % len(shape) for a in axes}) < len(axes):
        raise ShapeError(f"{node}: axis={axis} names an axis of {label}, {shape}, twice.")


def _widths(node: Pad, width: Any) -> list[tuple[int, int]]:
    """One pair (before, after) for all axes, or one for each."""
    given = list(width) if is_listed(width) else [width, width]
    if not any(map(is_listed, given)):
        given = [given]
    pairs = [list(pair) if is_listed(pair) else [] for pair in given]
    if not pairs or not all(
        len(pair) == 2 and all(is_whole(n) and operator.index(n) >= 0 for n in pair)
        for pair in pairs
    ):
        raise GraphError(
            f"{node}: width is a whole number of at least 0, (before, after), or such a pair for "
            f"each axis, not {describe(width)}."
        )
    return [(operator.index(a), operator.index(b)) for a, b in pairs]


WAYS.update(
    stack="mf.Stack(x, y, axis=0)",
    split="mf.Split(x, parts, axis=axis)",
    array_split="mf.Split(x, sizes, axis=axis)",
    hsplit="mf.Split(x, parts, axis=1)",
    vsplit="mf.Split(x, parts, axis=0)",
    pad="mf.Pad(x, width)",
    flip="mf.Flip(x, axis)",
    flipud="mf.Flip(x, 0)",
    fliplr="mf.Flip(x, 1)",
    roll="mf.Roll(x, shift, axis)",
)
