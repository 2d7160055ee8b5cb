"""Upsample: images made larger, each pixel a block of its own kind."""

from typing import Any

import numpy as np

from miniflow.graph import Op
from miniflow.nodes.sliding import Pair, check_images, pair_of


class Upsample(Op):
    """Images made larger by whole numbers: Z[n, y, x, c] = X[n, ⌊y / sy⌋, ⌊x / sx⌋, c].

    Args:
        x: images, channels last: shape (n, h, w, c).
        size: how many times as high and as wide, one number or (height, width); 2 by default.
        name: None by default.

    Raises:
        GraphError: size is no whole number of at least 1.
        ShapeError: in the pass: x is no stack of images.

    The value has shape (n, h · sy, w · sx, c). A pixel's gradient is the sum over its block.

    >>> import numpy as np, miniflow as mf
    >>> mf.value(mf.Upsample(np.array([1.0, 2.0]).reshape(1, 1, 2, 1)))[0, :, :, 0]
    array([[1., 1., 2., 2.],
           [1., 1., 2., 2.]])
    """

    def __init__(self, x: Any, size: int | Pair = 2, *, name: str | None = None) -> None:
        Op.__init__(self, x, name=name)
        self.size = pair_of(self, "size", size)

    def compute(self, x: Any) -> Any:
        check_images(str(self), self.inbound_nodes[0].label, x)
        n, height, width, channels = x.shape
        rows, columns = self.size
        blocks = np.broadcast_to(
            x[:, :, None, :, None, :], (n, height, rows, width, columns, channels)
        )
        return np.reshape(blocks, (n, height * rows, width * columns, channels))

    def gradient(self, grad: Any, x: Any) -> Any:
        n, height, width, channels = x.shape
        rows, columns = self.size
        blocks = np.reshape(grad, (n, height, rows, width, columns, channels))
        return (np.sum(blocks, axis=(2, 4)),)
