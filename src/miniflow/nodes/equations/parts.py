"""Parts of arrays: looked at through windows, looked up along several axes, and written to. What
writes returns a changed copy: nothing in a graph changes.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from miniflow.errors import GraphError, ShapeError
from miniflow.graph import Op
from miniflow.graph.values import shape_of, where
from miniflow.nodes.options import as_written, index_parts, rising_axes, sizes


class Windows(Op):
    """Every place of a window that slides over some axes, one entry at a time.

    Args:
        x: any shape.
        axes: the axes that it slides over, in increasing order.
        window: its size along each of them.
        name: None by default.

    Raises:
        GraphError: axes are no whole numbers in increasing order, or window is no size for each.
        ShapeError: in the pass: x has no such axis, or a window is longer than it.

    Axis `axes[i]` of the value counts the places; the axes within the window come last. An entry
    that lies in several windows gets the sum of its gradients.

    >>> import numpy as np, miniflow as mf
    >>> x = mf.Input()
    >>> mf.value_and_grad(mf.nodes.Windows(x, (0,), (2,)), {x: np.array([1.0, 2.0, 3.0])}, [x])
    (array([[1., 2.],
           [2., 3.]]), [array([1., 2., 1.])])
    """

    primitive = "windows"

    def __init__(
        self, x: Any, axes: Sequence[int], window: Sequence[int], *, name: str | None = None
    ) -> None:
        Op.__init__(self, x, name=name)
        self.axes, self.window = rising_axes(self, axes), sizes(self, "window", window, least=1)
        if len(self.axes) != len(self.window):
            raise GraphError(
                f"{self}: axes={self.axes} and window={self.window} are not equally many: each "
                "axis has one size."
            )
        self.expects = f"an array with axes {self.axes} of at least {self.window}"

    def compute(self, x: Any) -> Any:
        return np.lib.stride_tricks.sliding_window_view(x, self.window, self.axes)

    def gradient(self, grad: Any, x: Any) -> Any:
        for axis, length in zip(reversed(self.axes), reversed(self.window), strict=True):
            # The last axis is within the window: each entry lies one further along `axis`.
            places = grad.shape[axis]
            shape = (*grad.shape[:axis], places + length - 1, *grad.shape[axis + 1 : -1])
            dx = np.zeros(shape, grad.dtype)
            for at in range(length):
                dx[(slice(None),) * axis + (slice(at, at + places),)] += grad[..., at]
            grad = dx
        return (grad,)


class _Written(Op):
    """What the nodes share that write a value into a part of a copy."""

    def validate(self, *values: Any) -> None:
        if not shape_of(values[0]):
            label = self.inbound_nodes[0].label
            raise ShapeError(f"{self}: {label} is a number, and has no part to write to.")

    def _for_value(self, grad: Any, value: Any) -> Any:
        """The gradient of the part for a value that was broadcast to it; ones in front of its shape
        are ignored when it is assigned.
        """
        shape = shape_of(value)
        while len(shape) > len(grad.shape) and shape[0] == 1:
            shape = shape[1:]
        extra = len(grad.shape) - len(shape)
        axes = [a for a, n in enumerate(grad.shape) if a < extra or shape[a - extra] == 1 != n]
        summed = np.sum(grad, axis=tuple(axes), keepdims=True) if axes else grad
        return np.reshape(summed, shape_of(value)) if shape_of(value) != summed.shape else summed


class SliceUpdate(_Written):
    """A copy of `x` in which `value` stands at `x[index]`.

    Args:
        x: any shape.
        value: broadcast to the shape of the part.
        index: numbers and slices, for the leading axes.
        name: None by default.

    Raises:
        GraphError: the index has something that NumPy does not take.
        ShapeError: in the pass: x has no such part, or value does not broadcast to it.

    What was written over has a gradient of 0, and the value the part of the gradient that lies
    where it stands.

    >>> import numpy as np, miniflow as mf
    >>> mf.value(mf.nodes.SliceUpdate(np.zeros(3), 1.0, (slice(1, None),)))
    array([0., 1., 1.])
    """

    primitive = "slice_update"

    def __init__(self, x: Any, value: Any, index: Any, *, name: str | None = None) -> None:
        Op.__init__(self, x, value, name=name)
        self.index = index_parts(self, index)
        self.expects = (
            f"an array in which [{', '.join(map(as_written, self.index))}] exists, and a value "
            "that broadcasts to it"
        )

    def compute(self, x: Any, value: Any) -> Any:
        written = x.copy()
        written[self.index] = value
        return written

    def gradient(self, grad: Any, x: Any, value: Any) -> Any:
        def dx() -> Any:
            kept = grad.copy()
            kept[self.index] = 0.0
            return kept

        return dx, lambda: self._for_value(grad[self.index], value)


class SliceAdd(_Written):
    """A copy of `x` to whose part `x[index]` a value is added.

    Args:
        x: any shape.
        value: broadcast to the shape of the part.
        index: numbers and slices, for the leading axes.
        name: None by default.

    Raises:
        GraphError: the index has something that NumPy does not take.
        ShapeError: in the pass: x has no such part, or value does not broadcast to it.

    x has the upstream gradient, and the value the part of it that lies where it was added.

    >>> import numpy as np, miniflow as mf
    >>> mf.value(mf.nodes.SliceAdd(np.ones(3), 1.0, (slice(1, None),)))
    array([1., 2., 2.])
    """

    primitive = "slice_add"

    def __init__(self, x: Any, value: Any, index: Any, *, name: str | None = None) -> None:
        Op.__init__(self, x, value, name=name)
        self.index = index_parts(self, index)
        self.expects = (
            f"an array in which [{', '.join(map(as_written, self.index))}] exists, and a value "
            "that broadcasts to it"
        )

    def compute(self, x: Any, value: Any) -> Any:
        written = x.copy()
        written[self.index] = written[self.index] + value
        return written

    def gradient(self, grad: Any, x: Any, value: Any) -> Any:
        return grad, lambda: self._for_value(grad[self.index], value)


def _brackets(x: Any, indices: Sequence[Any], axes: Sequence[int]) -> tuple[Any, ...]:
    """What the brackets hold to index these axes, and to take the others whole."""
    held: list[Any] = [slice(None)] * len(shape_of(x))
    for axis, index in zip(axes, indices, strict=True):
        held[axis] = index
    return tuple(held)


def _axes_of(node: Op, indices: Sequence[Any], axes: Any) -> tuple[int, ...]:
    """The axes, if there is one for each of the indices."""
    found = rising_axes(node, axes)
    if not found or len(found) != len(indices):
        raise GraphError(
            f"{node}: axes={found} are for {len(indices)} indices: one axis for each, at least one."
        )
    node.expects = f"an array with axes {found}, and indices for them that are there and broadcast"
    return found


class GatherAlong(Op):
    """Looked up along several axes at once: `x[i, :, j]` for the axes (0, 2).

    Args:
        x: any shape.
        indices: whole numbers that broadcast together, one node for each of the axes.
        axes: the axes that they index, in increasing order.
        name: None by default.

    Raises:
        GraphError: axes are no whole numbers in increasing order, one for each of the indices.
        ShapeError: in the pass: x has no such axes, or shapes do not broadcast.
        NodeError: in the pass: an index is out of range.

    An entry that is looked up several times gets the sum of its gradients.

    >>> import numpy as np, miniflow as mf
    >>> mf.value(mf.nodes.GatherAlong(np.eye(3), np.array([0, 2]), np.array([0, 1]), axes=(0, 1)))
    array([1., 0.])
    """

    primitive = "gather"

    def __init__(self, x: Any, *indices: Any, axes: Sequence[int], name: str | None = None) -> None:
        Op.__init__(self, x, *indices, name=name)
        self.axes = _axes_of(self, indices, axes)

    def compute(self, x: Any, *indices: Any) -> Any:
        return x[_brackets(x, indices, self.axes)]

    def gradient(self, grad: Any, x: Any, *indices: Any) -> Any:
        def dx() -> Any:
            dtype = x.dtype if x.dtype.kind == "f" else grad.dtype
            total = np.zeros(x.shape, dtype)
            np.add.at(total, _brackets(x, indices, self.axes), grad)
            return total

        return (dx, *[None] * len(indices))


class Scatter(_Written):
    """A copy of `x` into which a value is written where indices say; the last of several at one
    place stays.

    Args:
        x: any shape.
        value: broadcast to the shape of what is looked up there.
        indices, axes: as for `GatherAlong`.
        name: None by default.

    Raises:
        GraphError: axes are no whole numbers in increasing order, one for each of the indices.
        ShapeError: in the pass: x has no such axes, or shapes do not broadcast.
        NodeError: in the pass: an index is out of range.

    What was written over has a gradient of 0, and the value the part of the gradient that lies
    where it stands.

    >>> import numpy as np, miniflow as mf
    >>> mf.value(mf.nodes.Scatter(np.zeros(3), np.array([1.0, 2.0]), np.array([2, 2]), axes=(0,)))
    array([0., 0., 2.])
    """

    primitive = "gather_update"

    def __init__(
        self, x: Any, value: Any, *indices: Any, axes: Sequence[int], name: str | None = None
    ) -> None:
        Op.__init__(self, x, value, *indices, name=name)
        self.axes = _axes_of(self, indices, axes)

    def compute(self, x: Any, value: Any, *indices: Any) -> Any:
        written = x.copy()
        written[_brackets(x, indices, self.axes)] = value
        return written

    def gradient(self, grad: Any, x: Any, value: Any, *indices: Any) -> Any:
        at = _brackets(x, indices, self.axes)

        def dx() -> Any:
            kept = grad.copy()
            kept[at] = 0.0
            return kept

        def dvalue() -> Any:
            part = grad[at]
            return self._for_value(where(self._stays(x, indices, part), part, 0.0), value)

        return (dx, dvalue, *[None] * len(indices))

    def _stays(self, x: Any, indices: Sequence[Any], part: Any) -> Any:
        """Which of the entries that were written are there in the end, in the shape of the part."""
        places = np.broadcast_shapes(*map(shape_of, indices))
        number = np.reshape(np.arange(int(np.prod(places))), places)
        written = np.zeros(tuple(x.shape[axis] for axis in self.axes), np.int64)
        written[tuple(indices)] = number
        stays = written[tuple(indices)] == number
        are_neighbours = self.axes[-1] - self.axes[0] == len(self.axes) - 1
        behind = len(x.shape) - self.axes[-1] - 1 if are_neighbours else None
        if behind is None:
            behind = len(shape_of(part)) - len(places)
        return np.reshape(stays, (*places, *[1] * behind))


class ScatterAdd(_Written):
    """A copy of `x` to which a value is added where indices say, all of several at one place.

    Args:
        x: any shape.
        value: broadcast to the shape of what is looked up there.
        indices, axes: as for `GatherAlong`.
        name: None by default.

    Raises:
        GraphError: axes are no whole numbers in increasing order, one for each of the indices.
        ShapeError: in the pass: x has no such axes, or shapes do not broadcast.
        NodeError: in the pass: an index is out of range.

    x has the upstream gradient, and the value the part of it that lies where it was added.

    >>> import numpy as np, miniflow as mf
    >>> added = mf.nodes.ScatterAdd(np.zeros(3), np.array([1.0, 2.0]), np.array([2, 2]), axes=(0,))
    >>> mf.value(added)
    array([0., 0., 3.])
    """

    primitive = "scatter_add"

    def __init__(
        self, x: Any, value: Any, *indices: Any, axes: Sequence[int], name: str | None = None
    ) -> None:
        Op.__init__(self, x, value, *indices, name=name)
        self.axes = _axes_of(self, indices, axes)

    def compute(self, x: Any, value: Any, *indices: Any) -> Any:
        written = x.copy()
        np.add.at(written, _brackets(x, indices, self.axes), value)
        return written

    def gradient(self, grad: Any, x: Any, value: Any, *indices: Any) -> Any:
        at = _brackets(x, indices, self.axes)
        return (grad, lambda: self._for_value(grad[at], value), *[None] * len(indices))
