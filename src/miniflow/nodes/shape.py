"""Nodes that move entries without changing them: reshape, transpose, concatenate, index, look up,
choose.
"""

import math
from itertools import pairwise
from typing import Any

import numpy as np

from miniflow.errors import GraphError, ShapeError
from miniflow.graph import Node, Op
from miniflow.graph.integers import as_one_array
from miniflow.graph.operators import OPERATORS, WAYS
from miniflow.graph.values import ones_like, shape_of, where
from miniflow.nodes.arithmetic import BROADCASTING
from miniflow.nodes.options import as_written, index_parts, one_axis, order_of_axes, shape_to_fill


class Reshape(Op):
    """The same entries in another shape.

    Args:
        x: any shape.
        shape: the new shape; one size may be -1, to be worked out.
        name: None by default.

    Raises:
        GraphError: shape is no whole number and no tuple of them, or has two of -1.
        ShapeError: in the pass: x has another number of entries.

    The gradient is reshaped back.

    >>> import numpy as np, miniflow as mf
    >>> mf.value(mf.Reshape(np.arange(4), (2, -1)))
    array([[0, 1],
           [2, 3]])
    """

    primitive = "reshape"

    def __init__(self, x: Any, shape: int | tuple[int, ...], *, name: str | None = None) -> None:
        Op.__init__(self, x, name=name)
        self.shape = shape_to_fill(self, shape)
        self.expects = f"an array whose number of entries fits the new shape, {self.shape}"

    def compute(self, x: Any) -> Any:
        return np.reshape(x, self.shape)

    def gradient(self, grad: Any, x: Any) -> Any:
        return (np.reshape(grad, shape_of(x)),)


class Flatten(Op):
    """All axes but the first as one: a row for each example, as `Linear` takes them.

    Args:
        x: shape (n, ...).
        name: None by default.

    Raises:
        ShapeError: in the pass: x is a number.

    The gradient is reshaped back.

    >>> import numpy as np, miniflow as mf
    >>> mf.value(mf.Flatten(np.zeros((2, 3, 4)))).shape
    (2, 12)
    """

    expects = "an array with at least one axis"

    def __init__(self, x: Any, *, name: str | None = None) -> None:
        Op.__init__(self, x, name=name)

    def compute(self, x: Any) -> Any:
        shape = shape_of(x)
        if not shape:
            label = self.inbound_nodes[0].label
            raise ShapeError(f"{self}: {label} is a number; it takes {self.expects}.")
        return np.reshape(x, (shape[0], math.prod(shape[1:])))

    def gradient(self, grad: Any, x: Any) -> Any:
        return (np.reshape(grad, shape_of(x)),)


class Transpose(Op):
    """The axes in another order.

    Args:
        x: any shape.
        axes: for each axis of the result, the axis of `x` that it was; reversed by default.
        name: None by default.

    Raises:
        GraphError: axes is no order of axes.
        ShapeError: in the pass: x has another number of axes.

    The gradient goes back in the order of `x`.

    >>> import numpy as np, miniflow as mf
    >>> mf.value(mf.Transpose(np.array([[1, 2, 3]]))).shape
    (3, 1)
    """

    primitive = "transpose"

    def __init__(
        self, x: Any, axes: tuple[int, ...] | None = None, *, name: str | None = None
    ) -> None:
        Op.__init__(self, x, name=name)
        self.axes = order_of_axes(self, axes)
        self.expects = f"an array with {'its' if self.axes is None else len(self.axes)} axes"

    def compute(self, x: Any) -> Any:
        return np.transpose(x, self.axes)

    def gradient(self, grad: Any, x: Any) -> Any:
        if self.axes is None:
            return (np.transpose(grad),)
        rank = len(self.axes)
        back = sorted(range(rank), key=lambda i: self.axes[i] % rank)  # type: ignore[index]
        return (np.transpose(grad, back),)


class Concat(Op):
    """Arrays one after another along an axis; they agree along all others.

    Args:
        inputs: at least one node or array.
        axis: 0 by default.
        name: None by default.

    Raises:
        GraphError: there is no node, they stand in a list, or axis is not a whole number.
        ShapeError: in the pass: sizes differ along another axis.

    Each has the part of the gradient that lies where it stands.

    >>> import numpy as np, miniflow as mf
    >>> mf.value(mf.Concat(np.array([1, 2]), np.array([3])))
    array([1, 2, 3])
    """

    primitive = "concatenate"
    expects = "arrays of one rank whose sizes agree along every axis but the concatenated one"

    def __init__(self, *inputs: Any, axis: int = 0, name: str | None = None) -> None:
        if not inputs:
            raise GraphError("Concat takes at least one node.")
        for given in inputs:
            if isinstance(given, (list, tuple)) and any(isinstance(x, Node) for x in given):
                raise GraphError(
                    "Concat takes its nodes one by one, and not in a list: Concat(x, y, axis=0)."
                )
        Op.__init__(self, *inputs, name=name)
        self.axis = one_axis(self, axis)

    def compute(self, *values: Any) -> Any:
        return np.concatenate(as_one_array(*values, owner=self), axis=self.axis)

    def gradient(self, grad: Any, *values: Any) -> Any:
        axis = self.axis % len(grad.shape)
        ends = np.cumsum([0] + [shape_of(value)[axis] for value in values]).tolist()
        before = (slice(None),) * axis
        return [grad[(*before, slice(start, end))] for start, end in pairwise(ends)]


class GetItem(Op):
    """`x[index]`, for every index that NumPy knows: numbers, slices, None, `...`, arrays of
    integers, masks.

    Args:
        x: an array.
        index: fixed; an index that is itself computed or fed goes through `Gather`.
        name: None by default.

    Raises:
        GraphError: the index has something that NumPy does not take, or a node.
        ShapeError: in the pass: x has no such entries.

    An entry that is taken several times gets the sum of its gradients.

    >>> import numpy as np, miniflow as mf
    >>> x = mf.Input()
    >>> mf.value_and_grad(x[[0, 0, 2]], {x: np.array([1.0, 2.0, 3.0])}, [x])
    (array([1., 1., 3.]), [array([2., 0., 1.])])
    """

    primitive = "slice"

    def __init__(self, x: Any, index: Any, *, name: str | None = None) -> None:
        Op.__init__(self, x, name=name)
        parts = index if isinstance(index, tuple) else (index,)
        if any(isinstance(part, Node) for part in parts):
            raise GraphError(f"{self}: an index that is a node goes through Gather(x, index).")
        self.index = index_parts(self, index)
        self.expects = f"an array in which [{', '.join(map(as_written, self.index))}] exists"
        self._may_repeat = any(isinstance(part, np.ndarray) for part in self.index)

    def validate(self, x: Any) -> None:
        if not hasattr(x, "shape"):
            raise ShapeError(
                f"{self}: {self.inbound_nodes[0].label} is the number {x}; it takes {self.expects}."
            )

    def compute(self, x: Any) -> Any:
        return x[self.index]

    def gradient(self, grad: Any, x: Any) -> Any:
        dx = _zeros_for(x, grad)
        if self._may_repeat:
            np.add.at(dx, self.index, grad)
        else:
            dx[self.index] = grad
        return (dx,)


class Gather(Op):
    """`table[indices]`: the rows of a table that a list of integers names; an embedding look-up.

    Args:
        table: shape (k, ...).
        indices: integers in [0, k), any shape.
        name: None by default.

    Raises:
        ShapeError: in the pass: the indices are no integers, or the table is a number.
        GraphError: in the pass: an index is not in [0, k).

    The value has shape `indices.shape + table.shape[1:]`; a row named several times gets the sum of
    its gradients.

    >>> import numpy as np, miniflow as mf
    >>> mf.value(mf.Gather(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1, 1, 0])))
    array([[3., 4.],
           [3., 4.],
           [1., 2.]])
    """

    def __init__(self, table: Any, indices: Any, *, name: str | None = None) -> None:
        Op.__init__(self, table, indices, name=name)

    def validate(self, table: Any, indices: Any) -> None:
        rows = shape_of(table)[0] if shape_of(table) else 0
        indices = np.asarray(indices)
        if not shape_of(table) or indices.dtype.kind not in "iu":
            raise ShapeError(
                f"{self} takes a table of shape (k, ...) and integers; it got a table of shape "
                f"{shape_of(table)} and indices of dtype {indices.dtype}."
            )
        if indices.size and not 0 <= indices.min() <= indices.max() < rows:
            raise GraphError(
                f"{self}: the indices run from {indices.min()} to {indices.max()}; "
                f"the table of shape {shape_of(table)} has the rows 0 to {rows - 1}."
            )

    def compute(self, table: Any, indices: Any) -> Any:
        return table[indices]

    def gradient(self, grad: Any, table: Any, indices: Any) -> Any:
        return lambda: added_up(table, indices, grad), None


def added_up(table: Any, indices: Any, grad: Any) -> Any:
    """The gradient of a table whose rows were looked up: each row has the sum of its own."""
    dx = _zeros_for(table, grad)
    np.add.at(dx, indices, grad)
    return dx


def _zeros_for(x: Any, grad: Any) -> Any:
    """Where gradients of single entries of `x` are added up, in the dtype of the gradients."""
    return np.zeros(x.shape, grad.dtype if hasattr(grad, "dtype") else ones_like(x).dtype)


class Where(Op):
    """`x` where the condition holds, `y` elsewhere.

    Args:
        condition: booleans (or numbers, true where they are not 0).
        x: where it holds.
        y: where it does not.
        name: None by default.

    Raises:
        GraphError: an operand is neither a node nor numbers.
        ShapeError: in the pass: the shapes do not broadcast.

    Both are computed, and what is not chosen gets a gradient of 0. Where its own derivative is
    infinite or NaN, 0 times that is NaN: so choose what goes into it as well. This is √|v|,

        Where(v >= 0, Sqrt(Where(v >= 0, v, 1.0)), Sqrt(Where(v >= 0, 1.0, -v)))

    and without the inner `Where`s its gradient would be NaN everywhere.

    >>> import numpy as np, miniflow as mf
    >>> mf.value(mf.Where(np.array([True, False]), np.array([1.0, 2.0]), -1.0))
    array([ 1., -1.])
    """

    primitive = "where"
    expects = BROADCASTING
    chooses = True

    def __init__(self, condition: Any, x: Any, y: Any, *, name: str | None = None) -> None:
        Op.__init__(self, condition, x, y, name=name)

    def compute(self, condition: Any, x: Any, y: Any) -> Any:
        return where(condition, *as_one_array(x, y, owner=self))

    def gradient(self, grad: Any, condition: Any, x: Any, y: Any) -> Any:
        return None, lambda: where(condition, grad, 0.0), lambda: where(condition, 0.0, grad)


OPERATORS["[]"] = GetItem
WAYS.update(
    reshape="mf.Reshape(x, shape)",
    ravel="mf.Reshape(x, (-1,))",
    flatten="mf.Reshape(x, (-1,)), or mf.Flatten(x) for a row an example",
    squeeze="mf.Reshape(x, shape)",
    expand_dims="x[None]",
    transpose="mf.Transpose(x, axes)",
    permute_dims="mf.Transpose(x, axes)",
    matrix_transpose="mf.Transpose(x, axes)",
    swapaxes="mf.Transpose(x, axes)",
    moveaxis="mf.Transpose(x, axes)",
    rollaxis="mf.Transpose(x, axes)",
    concatenate="mf.Concat(x, y, axis=0)",
    append="mf.Concat(x, y, axis=0)",
    vstack="mf.Concat(x, y, axis=0)",
    hstack="mf.Concat(x, y, axis=1)",
    repeat="mf.Gather(x, indices)",
    take="mf.Gather(x, indices)",
    where="mf.Where(condition, x, y)",
    nan_to_num="mf.Where(mf.Equal(x, x), x, 0.0)",
)
