"""Conv2D: the same small set of weights at every place of an image.

A convolution is a matrix product in disguise. What the kernel sees at one place, laid out as a row
of kh · kw · c numbers, times the kernel as a matrix, gives the o numbers of the result at that
place; all places of all images are the rows of one large matrix. `sliding_window_view` shows that
matrix without building it, the product copies it, and the gradients are those of `Linear`: one
product for the kernel, and one for the image, whose rows are added back to where they were seen.
"""

from typing import Any

import numpy as np

from miniflow.errors import ShapeError
from miniflow.graph import Op
from miniflow.graph.checks import whole
from miniflow.graph.integers import as_operands
from miniflow.graph.values import shape_of
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

    def compute(self, x: Any, W: Any, b: Any = None) -> Any:
        window, places = self._geometry(x, W, b)
        x, W, b = as_operands(x, W, b, owner=self)
        channels = W.shape[2]
        columns = [
            self._seen(x[..., g * channels : (g + 1) * channels], window, places)
            for g in range(self.groups)
        ]
        self.cache["columns"] = columns
        parts = [seen @ kernel for seen, kernel in zip(columns, self._matrices(W), strict=True)]
        Z = parts[0] if self.groups == 1 else np.concatenate(parts, axis=1)
        Z = np.reshape(Z, (x.shape[0], *places.counts, W.shape[3]))
        return Z if b is None else Z + b

    def gradient(self, grad: Any, x: Any, W: Any, b: Any = None) -> Any:
        window, places = self._geometry(x, W, b)
        grad, W = as_operands(grad, W)
        outputs = W.shape[3] // self.groups
        G = np.reshape(grad, (-1, W.shape[3]))
        Gs = [G[:, g * outputs : (g + 1) * outputs] for g in range(self.groups)]

        def dx() -> Any:
            parts = [
                self._spread(Gg @ kernel.T, x, W, window, places)
                for Gg, kernel in zip(Gs, self._matrices(W), strict=True)
            ]
            return parts[0] if self.groups == 1 else np.concatenate(parts, axis=3)

        def dW() -> Any:
            shape = (*W.shape[:3], outputs)
            columns = self.cache["columns"]
            parts = [np.reshape(seen.T @ Gg, shape) for seen, Gg in zip(columns, Gs, strict=True)]
            return parts[0] if self.groups == 1 else np.concatenate(parts, axis=3)

        return (dx, dW) if b is None else (dx, dW, lambda: np.sum(grad, axis=(0, 1, 2)))

    def _matrices(self, W: Any) -> list[Any]:
        """The kernels of each group as a matrix (kh · kw · c, o)."""
        outputs = W.shape[3] // self.groups
        return [
            np.reshape(W[..., g * outputs : (g + 1) * outputs], (-1, outputs))
            for g in range(self.groups)
        ]

    def _seen(self, x: Any, window: Window, places: Places) -> Any:
        """What the kernel sees at each place, a row each: (n · oh · ow, kh · kw · c)."""
        span = tuple(d * (k - 1) + 1 for k, d in zip(window.size, window.dilation, strict=True))
        seen = np.lib.stride_tricks.sliding_window_view(padded(x, places), span, axis=(1, 2))
        (sy, sx), (dy, dx) = window.stride, window.dilation
        seen = seen[:, ::sy, ::sx, :, ::dy, ::dx]  # (n, oh, ow, c, kh, kw)
        kh, kw = window.size
        rows, columns = x.shape[0] * places.counts[0] * places.counts[1], kh * kw * x.shape[3]
        return np.reshape(np.transpose(seen, (0, 1, 2, 4, 5, 3)), (rows, columns))

    def _spread(self, rows: Any, x: Any, W: Any, window: Window, places: Places) -> Any:
        """Gradients of what was seen, added up where it was seen: the reverse of `_seen`."""
        n, height, width, _ = x.shape
        (top, bottom), (left, right) = places.border
        parts = np.reshape(rows, (n, *places.counts, *W.shape[:3]))
        dx = np.zeros((n, top + height + bottom, left + width + right, W.shape[2]), rows.dtype)
        for i, j in entries(window):
            dx[entry(window, places, i, j)] += parts[:, :, :, i, j, :]
        return without_border(dx, places)

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
