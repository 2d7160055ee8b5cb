"""Reductions: Sum, Mean and Max, over all entries or along axes."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from miniflow.errors import ShapeError
from miniflow.graph import Op
from miniflow.graph.checks import flag
from miniflow.graph.integers import whole_or_floating
from miniflow.graph.means import mean
from miniflow.graph.operators import WAYS
from miniflow.graph.values import in_dtype_of, shape_of, where
from miniflow.nodes.options import Axes, some_axes


class Reduction(Op):
    """What the reductions share: an axis (None: all), keepdims, and the way back to the shape
    before.

    Args:
        x: any shape.
        axis: an axis, a tuple of axes, or None for all of them (default); by its name or, as for
            NumPy, without it: `Sum(x, 0)`.
        keepdims: whether the reduced axes stay, with size 1; False by default.
        name: None by default.
    """

    expects = "an array that has that axis"

    def __init__(
        self, x: Any, axis: Axes = None, *, keepdims: bool = False, name: str | None = None
    ) -> None:
        Op.__init__(self, x, name=name)
        self.axis = some_axes(self, axis)
        self.keepdims = flag(self, "keepdims", keepdims)

    @property
    def keeps_rows(self) -> bool:  # type: ignore[override]
        """Whether its value has rows, as what it is of: the first axis stays."""
        axes = (self.axis,) if isinstance(self.axis, int) else self.axis
        return axes is not None and 0 not in axes

    def _axes(self, x: Any) -> Axes:
        """The axis, as NumPy is told it; ShapeError where two of them are the same one."""
        shape, axis = shape_of(x), self.axis
        if not shape and axis in (0, -1):  # NumPy lets a number have one here
            return None
        if isinstance(axis, tuple) and _names_one_twice(axis, len(shape)):
            label = self.inbound_nodes[0].label
            raise ShapeError(f"{self}: axis={axis} names an axis of {label}, {shape}, twice.")
        return axis

    def reduced_axes(self, rank: int) -> set[int]:
        """The axes that are reduced, counted from 0."""
        axes: Any = range(rank) if self.axis is None else np.atleast_1d(self.axis)
        return {int(axis) % rank for axis in axes}

    def _kept(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of the result had keepdims been True."""
        reduced = self.reduced_axes(len(shape))
        return tuple(1 if i in reduced else n for i, n in enumerate(shape))

    def _spread(self, reduced: Any, x: Any) -> Any:
        """One entry of the result, repeated for every entry of `x` that went into it."""
        shape = shape_of(x)
        if not shape:  # NumPy lets a number have an "axis 0", too
            return reduced
        return np.broadcast_to(np.reshape(reduced, self._kept(shape)), shape).copy()


class Sum(Reduction):
    """The sum of the entries.

    Args:
        x: any shape.
        axis: an axis, a tuple of axes, or None for all of them (default).
        keepdims: whether the reduced axes stay, with size 1; False by default.
        name: None by default.

    Raises:
        GraphError: axis is no whole number, no tuple of them and not None, or names an axis twice;
            keepdims is not True or False.
        ShapeError: in the pass: x has no such axis.

    Each entry has the gradient of the sum that it went into.

    >>> import numpy as np, miniflow as mf
    >>> x = mf.Input()
    >>> mf.value_and_grad(mf.Sum(x, axis=0), {x: np.ones((2, 3))}, [x])
    (array([2., 2., 2.]), [array([[1., 1., 1.],
           [1., 1., 1.]])])
    """

    primitive = "sum"
    adds_up = True
    is_linear_reduction = True

    def compute(self, x: Any) -> Any:
        total = partial(np.sum, axis=self._axes(x), keepdims=self.keepdims)
        digits = math.log2(max(1, math.prod(shape_of(x))))  # of the number of entries
        return whole_or_floating(total, lambda bits: bits[0] + digits, (x,), self)

    def gradient(self, grad: Any, x: Any) -> Any:
        return (self._spread(grad, x),)


class Mean(Reduction):
    """The mean of the entries: their sum divided by their number.

    Args:
        x: any shape.
        axis: an axis, a tuple of axes, or None for all of them (default).
        keepdims: whether the reduced axes stay, with size 1; False by default.
        name: None by default.

    Raises:
        GraphError: axis is no whole number, no tuple of them and not None, or names an axis twice;
            keepdims is not True or False.
        ShapeError: in the pass: x has no such axis.

    Each entry has its share of the gradient of its mean.

    >>> import numpy as np, miniflow as mf
    >>> x = mf.Input()
    >>> mf.value_and_grad(mf.Mean(x), {x: np.array([1.0, 3.0])}, [x])
    (np.float64(2.0), [array([0.5, 0.5])])
    """

    is_linear_reduction = True

    def divisor(self, shapes: Sequence[tuple[int, ...]], values: dict[int, Any]) -> float:
        """The number of entries that are averaged."""
        return math.prod(shapes[0]) / max(1, math.prod(self._kept(shapes[0])))

    def compute(self, x: Any) -> Any:
        return mean(x, self._axes(x), self.keepdims)

    def gradient(self, grad: Any, x: Any) -> Any:
        shape = shape_of(x)
        entries = math.prod(shape) // max(1, math.prod(shape_of(self.value)))
        return (self._spread(grad, x) / max(1, entries),)


class Max(Reduction):
    """The largest entry; where several are equal, they share its gradient.

    Args:
        x: any shape.
        axis: an axis, a tuple of axes, or None for all of them (default).
        keepdims: whether the reduced axes stay, with size 1; False by default.
        name: None by default.

    Raises:
        GraphError: axis is no whole number, no tuple of them and not None, or names an axis twice;
            keepdims is not True or False.
        ShapeError: in the pass: x has no such axis, or nothing along it.

    >>> import numpy as np, miniflow as mf
    >>> x = mf.Input()
    >>> mf.value_and_grad(mf.Max(x), {x: np.array([1.0, 3.0, 3.0])}, [x])
    (np.float64(3.0), [array([0. , 0.5, 0.5])])
    """

    primitive = "max"
    expects = "an array that has that axis, and at least one entry along it"

    def compute(self, x: Any) -> Any:
        return np.max(x, axis=self._axes(x), keepdims=self.keepdims)

    def gradient(self, grad: Any, x: Any) -> Any:
        largest = self._spread(self.value, x) == x
        ties = self._spread(np.sum(largest, axis=self._axes(x), keepdims=True), x)
        # The division in the dtype of the gradient: integers would promote float32 to float64.
        spread = self._spread(grad, x)
        return (where(largest, spread / in_dtype_of(spread, ties), 0.0),)


def _names_one_twice(axes: tuple[int, ...], rank: int) -> bool:
    inside = {axis % rank for axis in axes if -rank <= axis < rank}
    return len(inside) < len(axes) and all(-rank <= axis < rank for axis in axes)


WAYS.update(
    {
        "add.reduce": "mf.Sum(x)",
        "maximum.reduce": "mf.Max(x)",
        "minimum.reduce": "-mf.Max(-x)",
    },
    sum="mf.Sum(x)",
    nansum="mf.Sum(mf.Where(mf.Equal(x, x), x, 0.0))",
    count_nonzero="mf.Sum(mf.NotEqual(x, 0))",
    norm="mf.Sqrt(mf.Sum(x ** 2))",
    mean="mf.Mean(x)",
    average="mf.Mean(x)",
    var="mf.Mean((x - mf.Mean(x)) ** 2)",
    std="mf.Sqrt(mf.Mean((x - mf.Mean(x)) ** 2))",
    max="mf.Max(x)",
    amax="mf.Max(x)",
    min="-mf.Max(-x)",
    amin="-mf.Max(-x)",
    any="mf.Max(mf.NotEqual(x, 0))",
    all="mf.Not(mf.Max(mf.Equal(x, 0)))",
)
