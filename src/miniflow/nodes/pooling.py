"""MaxPool and AveragePool: one number for each window of an image, channel by channel; and
GlobalAveragePool: one for all of it.

The first two go over the entries of the window, not over its places: the entry (i, j) of all
windows at once is a slice of the image, and a window of four entries makes four slices.
"""

import math
from typing import Any

import numpy as np

from miniflow.errors import ShapeError
from miniflow.graph import Op
from miniflow.graph.means import mean, shrink
from miniflow.graph.values import promote, shape_of
from miniflow.nodes.sliding import (
    Padding,
    Pair,
    Places,
    Window,
    check_images,
    entries,
    entry,
    padded,
    padding_of,
    pair_of,
    places_on,
    without_border,
)


class _Pool(Op):
    """What both have: a window, and where it lies."""

    def __init__(
        self,
        x: Any,
        size: int | Pair = 2,
        *,
        stride: int | Pair | None = None,
        padding: Padding = "valid",
        name: str | None = None,
    ) -> None:
        Op.__init__(self, x, name=name)
        both = pair_of(self, "size", size)
        step = both if stride is None else pair_of(self, "stride", stride)
        self.window = Window(both, step, (1, 1), padding_of(self, padding))

    def _places(self, x: Any) -> Places:
        check_images(str(self), self.inbound_nodes[0].label, x)
        return places_on(self.window, x.shape[1], x.shape[2], str(self))


class MaxPool(_Pool):
    """The largest number in each window: Z[n, y, x, c] = max_ij X[n, y·s+i, x·s+j, c].

    Args:
        x: images, channels last: shape (n, h, w, c).
        size: of the window, one number or (height, width); 2 by default.
        stride: from window to window; the size by default, so that they lie side by side.
        padding: "valid" (none, the default), "same" or the width of a border, which is never the
            largest, and narrower than the window: else a window would lie on nothing else.
        name: None by default.

    Raises:
        GraphError: size, stride or padding is none.
        ShapeError: in the pass: x is no stack of images, or a window does not fit on them.

    Where several entries of a window are the largest, the first of them, row by row, gets the
    gradient. A NaN is the largest of its window, as it is for `np.max`.

    >>> import numpy as np, miniflow as mf
    >>> x = np.arange(16.0).reshape(1, 4, 4, 1)
    >>> mf.value(mf.MaxPool(x))[0, :, :, 0]
    array([[ 5.,  7.],
           [13., 15.]])
    """

    def compute(self, x: Any) -> Any:
        places = self._places(x)
        wide = self._wide(x, places)
        first, *others = (wide[entry(self.window, places, i, j)] for i, j in entries(self.window))
        largest = first
        for other in others:
            largest = np.maximum(largest, other)
        return largest if others else np.copy(largest)

    def gradient(self, grad: Any, x: Any) -> Any:
        places = self._places(x)
        wide, largest = self._wide(x, places), self.value
        dx = np.zeros(wide.shape, grad.dtype)
        is_free = np.ones(largest.shape, bool)
        is_image = padded(np.ones((1, *x.shape[1:3], 1), bool), places, False)
        for i, j in entries(self.window):
            at = entry(self.window, places, i, j)
            is_here = np.logical_or(wide[at] == largest, np.isnan(wide[at]))
            if places.is_padded:  # the border is as large as an image of -inf
                is_here = np.logical_and(is_here, is_image[at])
            is_here = np.logical_and(is_free, is_here)
            dx[at] += np.where(is_here, grad, np.zeros((), grad.dtype))
            is_free = np.logical_and(is_free, np.logical_not(is_here))
        return (without_border(dx, places),)

    def _places(self, x: Any) -> Places:
        places, size = _Pool._places(self, x), self.window.size
        if any(before >= k for (before, _), k in zip(places.border, size, strict=True)):
            raise ShapeError(
                f"{self}: a window of {size[0]} × {size[1]} would lie on nothing but its border; "
                f"padding must be smaller than the window, not {self.window.padding}."
            )
        return places

    def _wide(self, x: Any, places: Places) -> Any:
        return padded(promote(x), places, -np.inf)


class AveragePool(_Pool):
    """The mean of each window: Z[n, y, x, c] = (1 / kh kw) Σ_ij X[n, y·s+i, x·s+j, c].

    Args:
        x: images, channels last: shape (n, h, w, c).
        size: of the window, one number or (height, width); 2 by default.
        stride: from window to window; the size by default, so that they lie side by side.
        padding: "valid" (none, the default), "same" or the width of a border of zeros, which count.
        name: None by default.

    Raises:
        GraphError: size, stride or padding is none.
        ShapeError: in the pass: x is no stack of images, or a window does not fit on them.

    Each entry has its share of the gradient of each window in which it lies.

    >>> import numpy as np, miniflow as mf
    >>> x = np.arange(16.0).reshape(1, 4, 4, 1)
    >>> mf.value(mf.AveragePool(x))[0, :, :, 0]
    array([[ 2.5,  4.5],
           [10.5, 12.5]])
    """

    def compute(self, x: Any) -> Any:
        places = self._places(x)
        small = shrink(self._entries)  # the sum itself may be no number of the dtype
        wide = padded(promote(x) * small, places)
        total: Any = None
        for i, j in entries(self.window):
            part = wide[entry(self.window, places, i, j)]
            total = part if total is None else total + part
        return total * (1.0 / (self._entries * small))

    def gradient(self, grad: Any, x: Any) -> Any:
        places = self._places(x)
        (top, bottom), (left, right) = places.border
        n, height, width, channels = x.shape
        dx = np.zeros((n, top + height + bottom, left + width + right, channels), grad.dtype)
        share = grad * (1.0 / self._entries)
        for i, j in entries(self.window):
            dx[entry(self.window, places, i, j)] += share
        return (without_border(dx, places),)

    @property
    def _entries(self) -> int:
        return self.window.size[0] * self.window.size[1]


class GlobalAveragePool(Op):
    """The mean of each channel over all places: Z[n, c] = mean over y and x of X[n, y, x, c].

    Args:
        x: images or sequences, channels last: shape (n, ..., c), with one axis or more between.
        name: None by default.

    Raises:
        ShapeError: in the pass: x has no axis between the first and the last.

    The value has shape (n, c). Each place's gradient is its share of the channel's.

    Source: M. Lin, Q. Chen, S. Yan, "Network in network", 2013.

    >>> import numpy as np, miniflow as mf
    >>> mf.value(mf.GlobalAveragePool(np.arange(8.0).reshape(1, 2, 2, 2)))
    array([[3., 4.]])
    """

    def __init__(self, x: Any, *, name: str | None = None) -> None:
        Op.__init__(self, x, name=name)

    def compute(self, x: Any) -> Any:
        shape = shape_of(x)
        if len(shape) < 3 or 0 in shape[1:-1]:
            label = self.inbound_nodes[0].label
            raise ShapeError(
                f"{self}: {label} has shape {shape}; it must have shape (n, ..., channels), with "
                "at least one place between: images are (n, height, width, channels)."
            )
        return mean(x, tuple(range(1, len(shape) - 1)))

    def gradient(self, grad: Any, x: Any) -> Any:
        places = x.shape[1:-1]
        share = np.reshape(grad, (x.shape[0], *(1,) * len(places), x.shape[-1]))
        return (np.broadcast_to(share / math.prod(places), x.shape).copy(),)
