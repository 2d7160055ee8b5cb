"""Prod, the product of entries; and CumSum, the sums on the way along an axis."""

import math
from functools import partial
from typing import Any

import numpy as np

from miniflow.errors import ShapeError
from miniflow.graph import Op
from miniflow.graph.integers import as_operands, whole_or_floating
from miniflow.graph.operators import WAYS
from miniflow.graph.values import shape_of
from miniflow.nodes.options import one_axis
from miniflow.nodes.reduction import Reduction


class Prod(Reduction):
    """The product of the entries, multiplied one after the other.

    Args:
        x: any shape.
        axis: an axis, a tuple of axes, or None for all of them (default).
        keepdims: whether the reduced axes stay, with size 1; False by default.
        name: None by default.

    Raises:
        GraphError: axis is no whole number, no tuple of them and not None, or names an axis twice;
            keepdims is not True or False.
        ShapeError: in the pass: x has no such axis.

    An entry's gradient is the product of all others, found without a division: where one entry is
    0, that one has a gradient; where two are, none has.

    >>> import numpy as np, miniflow as mf
    >>> x = mf.Input()
    >>> mf.value_and_grad(mf.Prod(x), {x: np.array([2.0, 0.0, 3.0])}, [x])
    (np.float64(0.0), [array([0., 6., 0.])])
    """

    primitive = "prod"

    def compute(self, x: Any) -> Any:
        product = partial(np.prod, axis=self._axes(x), keepdims=self.keepdims)
        entries = math.prod(shape_of(x))
        return whole_or_floating(product, lambda bits: bits[0] * entries, (x,), self)

    def gradient(self, grad: Any, x: Any) -> Any:
        shape = shape_of(x)
        if not shape:
            return (grad,)
        grad, x = as_operands(grad, x)
        reduced = self.reduced_axes(len(shape))
        kept = [i for i in range(len(shape)) if i not in reduced]
        order = kept + sorted(reduced)
        moved = np.transpose(x, order)
        sizes = [math.prod(shape[i] for i in axes) for axes in (kept, reduced)]
        rows = np.reshape(moved, sizes)
        others = _products_before(rows) * _products_before(rows[:, ::-1])[:, ::-1]
        back = sorted(range(len(shape)), key=order.__getitem__)
        others = np.transpose(np.reshape(others, moved.shape), back)
        return (self._spread(grad, x) * others,)


class CumSum(Op):
    """The sums on the way along an axis: `Z_i = x_0 + ... + x_i`.

    Args:
        x: any shape with at least one axis.
        axis: along which is added up; the last by default.
        name: None by default.

    Raises:
        GraphError: axis is not a whole number.
        ShapeError: in the pass: x has no such axis.

    With the upstream gradient G, dx_i = G_i + G_i+1 + ...

    >>> import numpy as np, miniflow as mf
    >>> x = mf.Input()
    >>> mf.value_and_grad(mf.CumSum(x), {x: np.array([1.0, 2.0, 4.0])}, [x])
    (array([1., 3., 7.]), [array([3., 2., 1.])])
    """

    primitive = "cumsum"
    expects = "an array that has that axis"

    def __init__(self, x: Any, axis: int = -1, *, name: str | None = None) -> None:
        Op.__init__(self, x, name=name)
        self.axis = one_axis(self, axis)

    def compute(self, x: Any) -> Any:
        shape = shape_of(x)
        if not shape:
            label = self.inbound_nodes[0].label
            raise ShapeError(f"{self}: {label} is a number; it takes {self.expects}.")
        sums = partial(np.cumsum, axis=self.axis)
        digits = math.log2(max(1, math.prod(shape)))
        return whole_or_floating(sums, lambda bits: bits[0] + digits, (x,), self)

    def gradient(self, grad: Any, x: Any) -> Any:
        return (np.flip(np.cumsum(np.flip(grad, self.axis), axis=self.axis), self.axis),)


def _products_before(rows: Any) -> Any:
    """For each entry of a row, the product of those before it: doubling, in log n steps.

    >>> _products_before(np.array([[2.0, 3.0, 5.0, 7.0]]))
    array([[ 1.,  2.,  6., 30.]])
    """
    count = rows.shape[1]
    if count == 0:
        return rows
    products = np.concatenate([np.ones((rows.shape[0], 1), rows.dtype), rows[:, :-1]], axis=1)
    step = 1
    while step < count:
        longer = products[:, step:] * products[:, :-step]
        products = np.concatenate([products[:, :step], longer], axis=1)
        step *= 2
    return products


WAYS.update({"multiply.reduce": "mf.Prod(x)"}, prod="mf.Prod(x)", cumsum="mf.CumSum(x, axis=axis)")
