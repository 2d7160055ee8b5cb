"""DepthwiseConv2D, each channel with kernels of its own; and ConvTranspose2D, which makes images
larger: the gradient of a convolution, run forward.
"""

from typing import Any

import numpy as np

from miniflow.errors import ShapeError
from miniflow.graph import Node, Op
from miniflow.graph.integers import as_operands
from miniflow.graph.values import shape_of
from miniflow.nodes.correlation import correlate, gradient_of_images, gradient_of_kernels
from miniflow.nodes.scaling import scaled_layer
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


class DepthwiseConv2D(Op):
    """Each channel with kernels of its own: Z[n, y, x, c·m+q] = Σ_ij X[n, y·s+i·d, x·s+j·d, c]
    W[i, j, c, q] + b[c·m+q].

    Args:
        x: images, channels last: shape (n, h, w, c).
        W: kernels: shape (kh, kw, c, m), m for each channel.
        b: shape (c · m,); None by default: no bias.
        stride, padding, dilation: as for `Conv2D`.
        name: None by default.

    The value has shape (n, oh, ow, c · m), the results of a channel side by side. A `Conv2D` of
    (1, 1) after it mixes the channels. Raises ShapeError where the shapes do not go together.

    Source: F. Chollet, "Xception: deep learning with depthwise separable convolutions", 2017.

    The gradients are those of a `Conv2D` with a group for each channel.

    >>> import numpy as np, miniflow as mf
    >>> x = np.arange(8.0).reshape(1, 2, 2, 2)
    >>> mf.value(mf.DepthwiseConv2D(x, np.array([1.0, 10.0]).reshape(1, 1, 2, 1)))[0, 0]
    array([[ 0., 10.],
           [ 2., 30.]])
    """

    def __init__(
        self,
        x: Any,
        W: Any,
        b: Any = None,
        *,
        stride: int | Pair = 1,
        padding: Padding = "valid",
        dilation: int | Pair = 1,
        name: str | None = None,
    ) -> None:
        Op.__init__(self, x, W, *(() if b is None else (b,)), name=name)
        self.stride = pair_of(self, "stride", stride)
        self.dilation = pair_of(self, "dilation", dilation)
        self.padding = padding_of(self, padding)

    def with_channels_scaled(self, scale: Any, shift: Any) -> Node | None:
        return scaled_layer(self, scale, shift, (2, 3))

    def compute(self, x: Any, W: Any, b: Any = None) -> Any:
        window, places = self._geometry(x, W, b)
        x, W, b = as_operands(x, W, b, owner=self)
        wide = padded(x, places)
        total: Any = None
        for i, j in entries(window):
            part = wide[entry(window, places, i, j)][..., None] * W[i, j]
            total = part if total is None else total + part
        Z = np.reshape(total, (*total.shape[:3], W.shape[2] * W.shape[3]))
        return Z if b is None else Z + b

    def gradient(self, grad: Any, x: Any, W: Any, b: Any = None) -> Any:
        window, places = self._geometry(x, W, b)
        grad, x, W = as_operands(grad, x, W)
        G = np.reshape(grad, (*grad.shape[:3], *W.shape[2:]))

        def dx() -> Any:
            (top, bottom), (left, right) = places.border
            n, height, width, channels = x.shape
            dx = np.zeros((n, top + height + bottom, left + width + right, channels), grad.dtype)
            for i, j in entries(window):
                dx[entry(window, places, i, j)] += np.sum(G * W[i, j], axis=4)
            return without_border(dx, places)

        def dW() -> Any:
            wide = padded(x, places)
            seen = [wide[entry(window, places, i, j)][..., None] for i, j in entries(window)]
            parts = [np.sum(part * G, axis=(0, 1, 2)) for part in seen]
            return np.reshape(np.stack(parts), W.shape)

        return (dx, dW) if b is None else (dx, dW, lambda: np.sum(grad, axis=(0, 1, 2)))

    def _geometry(self, x: Any, W: Any, b: Any) -> tuple[Window, Places]:
        x_label, w_label, *b_label = (node.label for node in self.inbound_nodes)
        check_images(str(self), x_label, x)
        shape, channels = shape_of(W), x.shape[3]
        if len(shape) != 4 or shape[2] != channels or 0 in shape[:2]:
            raise ShapeError(
                f"{self}: {x_label} has shape {x.shape} and {w_label} has shape {shape}; {w_label} "
                f"must have shape (kernel height, kernel width, {channels}, m): m kernels for each "
                "channel."
            )
        _check_bias(self, b_label, b, (shape[2] * shape[3],), f"each result of {w_label}, {shape}")
        window = Window((shape[0], shape[1]), self.stride, self.dilation, self.padding)
        return window, places_on(window, x.shape[1], x.shape[2], str(self))


class ConvTranspose2D(Op):
    """A convolution the other way: each entry of the image, times the kernel, is added to the
    result where a `Conv2D` would have seen it. Z[n, y·s+i·d-p, x·s+j·d-p, o] += X[n, y, x, c]
    W[i, j, o, c], + b[o].

    Args:
        x: images, channels last: shape (n, h, w, c).
        W: kernels: shape (kh, kw, o, c), that of the `Conv2D` from o channels to c.
        b: shape (o,); None by default: no bias.
        stride: how many times as large the result is, about; one number or (height, width); 1 by
            default.
        padding: "valid" (the default: all of the result), "same" (it has h · s rows and w · s
            columns), or the width of a border that is cut off.
        dilation: distance between neighbouring entries of the kernel on the result; 1 by default.
        name: None by default.

    The value has shape (n, oh, ow, o), where oh = (h - 1) s + d (kh - 1) + 1 - 2p, or h · s where
    padding is "same"; and is the gradient, for its images, of a `Conv2D` with these kernels, stride
    and padding, whose result has the gradient x.

    Raises ShapeError where the shapes do not go together, or the border leaves nothing.

    Source: V. Dumoulin, F. Visin, "A guide to convolution arithmetic for deep learning", 2016.

    With the upstream gradient G, dx is the `Conv2D` of G with these kernels, and db the sum of G
    over all axes but the last.

    >>> import numpy as np, miniflow as mf
    >>> x = np.array([1.0, 2.0]).reshape(1, 1, 2, 1)
    >>> mf.value(mf.ConvTranspose2D(x, np.ones((1, 2, 1, 1)), stride=(1, 2)))[0, 0, :, 0]
    array([1., 1., 2., 2.])
    """

    def __init__(
        self,
        x: Any,
        W: Any,
        b: Any = None,
        *,
        stride: int | Pair = 1,
        padding: Padding = "valid",
        dilation: int | Pair = 1,
        name: str | None = None,
    ) -> None:
        Op.__init__(self, x, W, *(() if b is None else (b,)), name=name)
        self.stride = pair_of(self, "stride", stride)
        self.dilation = pair_of(self, "dilation", dilation)
        self.padding = padding_of(self, padding)

    def with_channels_scaled(self, scale: Any, shift: Any) -> Node | None:
        return scaled_layer(self, scale, shift, (2,))

    def compute(self, x: Any, W: Any, b: Any = None) -> Any:
        window, places, shape = self._geometry(x, W, b)
        x, W, b = as_operands(x, W, b, owner=self)
        Z = gradient_of_images(x, W, shape, window, places, 1)
        return Z if b is None else Z + b

    def gradient(self, grad: Any, x: Any, W: Any, b: Any = None) -> Any:
        window, places, _ = self._geometry(x, W, b)
        grad, x, W = as_operands(grad, x, W)
        seen, columns = correlate(grad, W, window, places, 1)
        gradients = seen, lambda: gradient_of_kernels(x, columns, W.shape, 1)
        return gradients if b is None else (*gradients, lambda: np.sum(grad, axis=(0, 1, 2)))

    def _geometry(self, x: Any, W: Any, b: Any) -> tuple[Window, Places, tuple[int, ...]]:
        """The window, where it lies on the result, and the shape of that."""
        x_label, w_label, *b_label = (node.label for node in self.inbound_nodes)
        check_images(str(self), x_label, x)
        shape, channels = shape_of(W), x.shape[3]
        if len(shape) != 4 or shape[3] != channels or 0 in shape[:2]:
            raise ShapeError(
                f"{self}: {x_label} has shape {x.shape} and {w_label} has shape {shape}; {w_label} "
                f"must have shape (kernel height, kernel width, o, {channels})."
            )
        _check_bias(self, b_label, b, (shape[2],), f"each channel of the result of {w_label}")
        window = Window((shape[0], shape[1]), self.stride, self.dilation, self.padding)
        height, width = (self._length(window, axis, x.shape[1 + axis]) for axis in (0, 1))
        if min(height, width) < 1:
            raise ShapeError(
                f"{self}: {x_label} has shape {x.shape}; with a border of {self.padding} cut off, "
                f"the result would have {height} × {width} places."
            )
        places = places_on(window, height, width, str(self))
        return window, places, (x.shape[0], height, width, shape[2])

    def _length(self, window: Window, axis: int, length: int) -> int:
        """How long the result is along an axis on which the image has this length."""
        if isinstance(window.padding, str):
            return length * window.stride[axis]
        span = window.dilation[axis] * (window.size[axis] - 1) + 1
        return (length - 1) * window.stride[axis] + span - 2 * window.padding[axis]


def _check_bias(node: Op, label: list[str], b: Any, wanted: tuple[int, ...], for_each: str) -> None:
    if b is not None and shape_of(b) != wanted:
        raise ShapeError(
            f"{node}: {label[0]} has shape {shape_of(b)}; it must have shape {wanted}: an entry "
            f"for {for_each}."
        )
