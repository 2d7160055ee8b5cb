"""The layers that learn nothing: pooling, other shapes, Dropout, an activation by itself."""

import math
from collections.abc import Sequence
from typing import Any

from miniflow import nodes
from miniflow.errors import ShapeError
from miniflow.graph import Node
from miniflow.layers.base import Layer, checked_shape
from miniflow.layers.example_shapes import known_row
from miniflow.layers.named import NodeFunction, activation_of, checked_node
from miniflow.nodes.sliding import Padding, Pair


class MaxPool(Layer):
    """The largest number of each window; see `mf.MaxPool`. The name is "pool1", ... by default.

    Args:
        size: of the window, one number or (height, width); 2 by default.
        stride: from window to window; the size by default.
        padding: "valid" (none, the default), "same" or the width of a border.
        name: "pool1", ... by default.

    Raises:
        GraphError: when it is called: size, stride or padding does not fit.
        ShapeError: when it is called: the examples are no images, or too small.

    >>> import numpy as np, miniflow as mf
    >>> from miniflow import layers
    >>> X = layers.Input((8, 8, 3), name="X")
    >>> mf.value(layers.MaxPool(2)(X), {X: np.zeros((2, *(8, 8, 3)))}).shape
    (2, 4, 4, 3)
    """

    kind = "pool"
    node: Any = nodes.MaxPool

    def __init__(
        self,
        size: int | Pair = 2,
        *,
        stride: int | Pair | None = None,
        padding: Padding = "valid",
        name: str | None = None,
    ) -> None:
        Layer.__init__(self, name)
        self.size = size
        self.options: dict[str, Any] = {"stride": stride, "padding": padding}

    def build(self, x: Node, name: str) -> Node:
        made: Node = self.node(x, self.size, name=name, **self.options)
        return made


class AveragePool(MaxPool):
    """The mean of each window; see `mf.AveragePool`. The name is "pool1", ... by default.

    Args:
        size: of the window, one number or (height, width); 2 by default.
        stride: from window to window; the size by default.
        padding: "valid" (none, the default), "same" or the width of a border.
        name: "pool1", ... by default.

    Raises:
        GraphError: when it is called: size, stride or padding does not fit.
        ShapeError: when it is called: the examples are no images, or too small.

    >>> import numpy as np, miniflow as mf
    >>> from miniflow import layers
    >>> X = layers.Input((8, 8, 3), name="X")
    >>> mf.value(layers.AveragePool()(X), {X: np.zeros((2, *(8, 8, 3)))}).shape
    (2, 4, 4, 3)
    """

    node = nodes.AveragePool


class GlobalAveragePool(Layer):
    """The mean of each channel over all places; see `mf.GlobalAveragePool`.

    Args:
        rng: not used; None by default.
        name: "pool1", ... by default.

    Raises:
        ShapeError: when it is called: the examples have channels alone.

    From shape (n, ..., c) to (n, c).

    >>> import numpy as np, miniflow as mf
    >>> from miniflow import layers
    >>> X = layers.Input((8, 8, 3), name="X")
    >>> mf.value(layers.GlobalAveragePool()(X), {X: np.zeros((2, *(8, 8, 3)))}).shape
    (2, 3)
    """

    kind = "pool"

    def build(self, x: Node, name: str) -> Node:
        return nodes.GlobalAveragePool(x, name=name)


class Upsample(Layer):
    """Images made larger by whole numbers; see `mf.Upsample`.

    Args:
        size: how many times as high and as wide, one number or (height, width); 2 by default.
        name: "upsample1", ... by default.

    Raises:
        GraphError: when it is called: size is no whole number of at least 1.
        ShapeError: when it is called: the examples are no images.

    >>> import numpy as np, miniflow as mf
    >>> from miniflow import layers
    >>> X = layers.Input((8, 8, 3), name="X")
    >>> mf.value(layers.Upsample(2)(X), {X: np.zeros((2, *(8, 8, 3)))}).shape
    (2, 16, 16, 3)
    """

    kind = "upsample"

    def __init__(self, size: int | Pair = 2, *, name: str | None = None) -> None:
        Layer.__init__(self, name)
        self.size = size

    def build(self, x: Node, name: str) -> Node:
        return nodes.Upsample(x, self.size, name=name)


class Flatten(Layer):
    """All axes but the first as one: images as rows of numbers.

    Args:
        name: "flatten1", ... by default.
        rng: not used; None by default.

    Raises:
        ShapeError: when it is called: there is no axis of rows.

    >>> import numpy as np, miniflow as mf
    >>> from miniflow import layers
    >>> X = layers.Input((8, 8, 3), name="X")
    >>> mf.value(layers.Flatten()(X), {X: np.zeros((2, *(8, 8, 3)))}).shape
    (2, 192)
    """

    kind = "flatten"

    def build(self, x: Node, name: str) -> Node:
        return nodes.Flatten(x, name=name)


class Reshape(Layer):
    """Each example in another shape: rows of 784 numbers as images (28, 28, 1).

    Args:
        shape: that of one example.
        name: "reshape1", ... by default.

    Raises ShapeError where an example has another number of entries.

    >>> import numpy as np, miniflow as mf
    >>> from miniflow import layers
    >>> X = layers.Input((784,), name="X")
    >>> mf.value(layers.Reshape((28, 28, 1))(X), {X: np.zeros((2, *(784,)))}).shape
    (2, 28, 28, 1)
    """

    kind = "reshape"

    def __init__(self, shape: Sequence[int], *, name: str | None = None) -> None:
        Layer.__init__(self, name)
        self.shape = checked_shape("Reshape", shape)

    def build(self, x: Node, name: str) -> Node:
        row, entries = known_row(x), math.prod(self.shape)
        if row is not None and math.prod(row.shape) != entries:
            raise ShapeError(
                f"{self!r}: one example of {x} has shape {row.shape}, {math.prod(row.shape):,} "
                f"entries, and {self.shape} has {entries:,}."
            )
        return nodes.Reshape(x, (-1, *self.shape), name=name)


class Dropout(Layer):
    """Entries set to 0 at random where the seed is fed; see `mf.Dropout`.

    Args:
        rate: the probability that an entry is dropped.
        seed: a `mf.Seed`, of which a graph needs one. `fit` feeds it; where it is not fed, nothing
            is dropped.
        name: "dropout1", ... by default.

    Raises:
        GraphError: when it is called: rate is not in [0, 1).

    Shapes stay as they are.

    >>> import numpy as np, miniflow as mf
    >>> from miniflow import layers
    >>> X = layers.Input((3,), name="X")
    >>> mf.value(layers.Dropout(0.5, mf.Seed())(X), {X: np.zeros((2, *(3,)))}).shape
    (2, 3)
    """

    kind = "dropout"

    def __init__(self, rate: float, seed: Any, *, name: str | None = None) -> None:
        Layer.__init__(self, name)
        self.rate, self.seed = rate, seed

    def build(self, x: Node, name: str) -> Node:
        return nodes.Dropout(x, self.seed, self.rate, name=name)


class Activation(Layer):
    """An activation by itself: `Activation("relu")`; named "relu1", ... by default.

    Args:
        activation: a name, a node class, or a function of a node, as for `Dense`; shapes stay as
            they are.
        name: "relu1", ... by default.

    Raises:
        OptionError: there is no such activation.

    >>> import numpy as np, miniflow as mf
    >>> from miniflow import layers
    >>> X = layers.Input((3,), name="X")
    >>> mf.value(layers.Activation("relu")(X), {X: np.zeros((2, *(3,)))}).shape
    (2, 3)
    """

    def __init__(self, activation: str | NodeFunction, *, name: str | None = None) -> None:
        Layer.__init__(self, name)
        self.activation = activation_of(activation)
        self.kind = activation if isinstance(activation, str) else "activation"

    def build(self, x: Node, name: str) -> Node:
        node = x if self.activation is None else checked_node(self.activation, self.activation(x))
        node.name = name if node.name is None else node.name
        return node
