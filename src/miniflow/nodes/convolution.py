"""Conv2D and Conv1D: the same small set of weights at every place of an image, or of a sequence,
which is an image one pixel high.
"""

import operator
from typing import Any

import numpy as np

from miniflow.errors import GraphError, ShapeError
from miniflow.graph import Node, Op
from miniflow.graph.checks import is_whole, whole
from miniflow.graph.integers import as_operands
from miniflow.graph.values import describe, shape_of
from miniflow.nodes.correlation import correlate, gradient_of_images, gradient_of_kernels
from miniflow.nodes.scaling import scaled_layer
from miniflow.nodes.sliding import (
    Padding,
    Pair,
    Places,
    Window,
    check_images,
    padding_of,
    pair_of,
    places_on,
)


class Conv2D(Op):
    """Cross-correlation of images with kernels: Z[n, y, x, o] = Σ_ijc X[n, y·s+i·d, x·s+j·d, c]
    W[i, j, c, o] + b[o].

    Args:
        x: images, channels last: shape (n, h, w, c).
        W: kernels: shape (kh, kw, c / groups, o).
        b: shape (o,); None by default: no bias.
        stride: from place to place, one number or (height, width); 1 by default.
        padding: "valid" (none, the default), "same" (with a stride of 1 the result is as large as
            the image), or the width of a border of zeros.
        dilation: distance between neighbouring entries of the kernel on the image; 1 by default.
        groups: into how many groups the channels are divided, each with kernels of its own; 1 by
            default.
        name: None by default.

    The value has shape (n, oh, ow, o). "Convolution" follows the field's usage: the kernel is not
    flipped.

    Raises ShapeError where the shapes do not go together.

    Source: Y. LeCun et al., "Gradient-based learning applied to document recognition", 1998.

    With the upstream gradient G, dW is the cross-correlation of x with G, dx that of G, with a
    border, with the kernels turned round, and db the sum of G over all axes but the last.

    >>> import numpy as np, miniflow as mf
    >>> x = np.arange(9.0).reshape(1, 3, 3, 1)
    >>> edges = np.array([[-1.0, 1.0]]).reshape(1, 2, 1, 1)  # the difference of two neighbours
    >>> mf.value(mf.Conv2D(x, edges))[0, :, :, 0]
    array([[1., 1.],
           [1., 1.],
           [1., 1.]])
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
        groups: int = 1,
        name: str | None = None,
    ) -> None:
        Op.__init__(self, x, W, *(() if b is None else (b,)), name=name)
        self.stride = pair_of(self, "stride", stride)
        self.dilation = pair_of(self, "dilation", dilation)
        self.padding = padding_of(self, padding)
        self.groups = whole(self, "groups", groups, least=1)

    def with_channels_scaled(self, scale: Any, shift: Any) -> Node | None:
        return scaled_layer(self, scale, shift, (3,))

    def compute(self, x: Any, W: Any, b: Any = None) -> Any:
        window, places = self._geometry(x, W, b)
        x, W, b = as_operands(x, W, b, owner=self)
        Z, self.cache["columns"] = correlate(x, W, window, places, self.groups)
        return Z if b is None else Z + b

    def gradient(self, grad: Any, x: Any, W: Any, b: Any = None) -> Any:
        window, places = self._geometry(x, W, b)
        grad, W = as_operands(grad, W)

        def dx() -> Any:
            return gradient_of_images(grad, W, x.shape, window, places, self.groups)

        def dW() -> Any:
            return gradient_of_kernels(grad, self.cache["columns"], W.shape, self.groups)

        return (dx, dW) if b is None else (dx, dW, lambda: np.sum(grad, axis=(0, 1, 2)))

    def _geometry(self, x: Any, W: Any, b: Any) -> tuple[Window, Places]:
        x_label, w_label, *b_label = (node.label for node in self.inbound_nodes)
        check_images(str(self), x_label, x)
        shape = shape_of(W)
        channels = x.shape[3] // self.groups
        if x.shape[3] % self.groups:
            raise ShapeError(
                f"{self}: {x_label} has {x.shape[3]} channels, which do not make "
                f"{self.groups} groups."
            )
        if len(shape) != 4 or shape[2] != channels or shape[3] % self.groups or 0 in shape[:2]:
            raise ShapeError(
                f"{self}: {x_label} has shape {x.shape} and {w_label} has shape {shape}; {w_label} "
                f"must have shape (kernel height, kernel width, {channels}, o)"
                + (f", with o a multiple of {self.groups}." if self.groups > 1 else ".")
            )
        if b is not None and shape_of(b) != shape[3:]:
            raise ShapeError(
                f"{self}: {b_label[0]} has shape {shape_of(b)}; it must have shape {shape[3:]}: "
                f"an entry for each kernel of {w_label}, {shape}."
            )
        window = Window((shape[0], shape[1]), self.stride, self.dilation, self.padding)
        return window, places_on(window, x.shape[1], x.shape[2], str(self))


class Conv1D(Op):
    """Cross-correlation of sequences with kernels: Z[n, t, o] = Σ_ic X[n, t·s+i·d, c] W[i, c, o]
    + b[o].

    Args:
        x: sequences, channels last: shape (n, t, c).
        W: kernels: shape (k, c / groups, o).
        b: shape (o,); None by default: no bias.
        stride: from place to place; 1 by default.
        padding: "valid" (none, the default), "same" (with a stride of 1 the result is as long as
            the sequence), or the width of a border of zeros.
        dilation: distance between neighbouring entries of the kernel on the sequence; 1 by default.
        groups: into how many groups the channels are divided, each with kernels of its own; 1 by
            default.
        name: None by default.

    The value has shape (n, places, o). Raises ShapeError where the shapes do not go together.

    Source: A. Waibel et al., "Phoneme recognition using time-delay neural networks", 1989.

    With the upstream gradient G, dW is the cross-correlation of x with G, dx that of G, with a
    border, with the kernels turned round, and db the sum of G over all axes but the last.

    >>> import numpy as np, miniflow as mf
    >>> x = np.array([1.0, 4.0, 9.0, 16.0]).reshape(1, 4, 1)
    >>> mf.value(mf.Conv1D(x, np.array([-1.0, 1.0]).reshape(2, 1, 1)))[0, :, 0]
    array([3., 5., 7.])
    """

    def __init__(
        self,
        x: Any,
        W: Any,
        b: Any = None,
        *,
        stride: int = 1,
        padding: int | str = "valid",
        dilation: int = 1,
        groups: int = 1,
        name: str | None = None,
    ) -> None:
        Op.__init__(self, x, W, *(() if b is None else (b,)), name=name)
        self.stride = whole(self, "stride", stride, least=1)
        self.dilation = whole(self, "dilation", dilation, least=1)
        self.groups = whole(self, "groups", groups, least=1)
        self.padding = padding_along_one_axis(self, padding)

    def with_channels_scaled(self, scale: Any, shift: Any) -> Node | None:
        return scaled_layer(self, scale, shift, (2,))

    def compute(self, x: Any, W: Any, b: Any = None) -> Any:
        window, places = self._geometry(
            shape_of(x), shape_of(W), None if b is None else shape_of(b)
        )
        x, W, b = as_operands(x, W, b, owner=self)
        Z, self.cache["columns"] = correlate(x[:, None], W[None], window, places, self.groups)
        Z = Z[:, 0]
        return Z if b is None else Z + b

    def gradient(self, grad: Any, x: Any, W: Any, b: Any = None) -> Any:
        window, places = self._geometry(x.shape, W.shape, None if b is None else b.shape)
        grad, W = as_operands(grad, W)
        G, kernels = grad[:, None], W[None]

        def dx() -> Any:
            shape = (x.shape[0], 1, *x.shape[1:])
            return gradient_of_images(G, kernels, shape, window, places, self.groups)[:, 0]

        def dW() -> Any:
            columns = self.cache["columns"]
            return gradient_of_kernels(G, columns, kernels.shape, self.groups)[0]

        return (dx, dW) if b is None else (dx, dW, lambda: np.sum(grad, axis=(0, 1)))

    def _geometry(
        self, x: tuple[int, ...], W: tuple[int, ...], b: tuple[int, ...] | None
    ) -> tuple[Window, Places]:
        x_label, w_label, *b_label = (node.label for node in self.inbound_nodes)
        if len(x) != 3:
            raise ShapeError(
                f"{self}: {x_label} has shape {x}; it must be a stack of sequences with their "
                "channels last, (n, length, channels)."
            )
        if x[2] % self.groups:
            raise ShapeError(
                f"{self}: {x_label} has {x[2]} channels, which do not make {self.groups} groups."
            )
        channels = x[2] // self.groups
        if len(W) != 3 or W[1] != channels or W[2] % self.groups or W[0] == 0:
            raise ShapeError(
                f"{self}: {x_label} has shape {x} and {w_label} has shape {W}; {w_label} must have "
                f"shape (kernel length, {channels}, o)"
                + (f", with o a multiple of {self.groups}." if self.groups > 1 else ".")
            )
        if b is not None and b != W[2:]:
            raise ShapeError(
                f"{self}: {b_label[0]} has shape {b}; it must have shape {W[2:]}: an entry for "
                f"each kernel of {w_label}, {W}."
            )
        padding = self.padding if isinstance(self.padding, str) else (0, self.padding)
        window = Window((1, W[0]), (1, self.stride), (1, self.dilation), padding)
        return window, places_on(window, 1, x[1], str(self))


def padding_along_one_axis(owner: object, padding: int | str) -> int | str:
    """`"valid"` as 0, `"same"` as it is, the width of a border as a number; else GraphError."""
    if isinstance(padding, str):
        both = padding_of(owner, padding)
        return both if isinstance(both, str) else both[1]
    if is_whole(padding) and operator.index(padding) >= 0:
        return operator.index(padding)
    raise GraphError(
        f"{owner}: padding must be 'valid', 'same' or a whole number ≥ 0, not {describe(padding)}."
    )
