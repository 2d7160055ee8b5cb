"""The layers that learn: Dense, Conv2D and LayerNorm."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from miniflow import nodes
from miniflow.graph import Node
from miniflow.initializers import ones, zeros
from miniflow.layers.base import Layer, Rng
from miniflow.layers.example_shapes import Row, row_of
from miniflow.layers.named import (
    Initializer,
    NodeFunction,
    activated,
    activation_of,
    initializer_before,
    initializer_of,
)
from miniflow.nodes.sliding import Padding, Pair, pair_of
from miniflow.options import whole


class Dense(Layer):
    """A fully connected layer: activation(X W + b), with X (n, inputs) and W (inputs, units).

    Args:
        units: how many outputs it has.
        activation: a name ("relu", "leaky_relu", "gelu", "sigmoid", "tanh", "softmax",
            "log_softmax"), a node class, or any function of a node; None by default.
        kernel_initializer: a function as in `miniflow.initializers`, or its name; by default
            "he_normal" before relu, leaky_relu and gelu, else "glorot_uniform".
        bias_initializer: "zeros" by default.
        name: "dense1", ... by default.
        rng: a generator or a seed; None by default: it differs each time. Two layers with the same
            seed begin with the same numbers: give them one generator, or put them in a
            `Sequential`.

    >>> import miniflow as mf
    >>> X = mf.layers.Input((784,), name="X")
    >>> hidden = mf.layers.Dense(128, activation="relu")(X)
    >>> hidden
    <ReLU 'dense1/relu'>
    >>> [(node.name, node.value.shape) for node in hidden.inbound_nodes[0].inbound_nodes[1:]]
    [('dense1/W', (784, 128)), ('dense1/b', (128,))]
    """

    kind = "dense"

    def __init__(
        self,
        units: int,
        activation: str | NodeFunction | None = None,
        *,
        kernel_initializer: Initializer | str | None = None,
        bias_initializer: Initializer | str = zeros,
        name: str | None = None,
        rng: Rng = None,
    ) -> None:
        Layer.__init__(self, name, rng)
        self.units = whole("Dense", "units", units, least=1)
        self.activation = activation_of(activation)
        self.kernel_initializer = initializer_of(
            initializer_before(activation) if kernel_initializer is None else kernel_initializer
        )
        self.bias_initializer = initializer_of(bias_initializer)

    def build(self, x: Node, name: str) -> Node:
        row = row_of(x)
        inputs, dtype = (row.shape or (1,))[-1], _floating(row)
        W = self.parameter("W", (inputs, self.units), self.kernel_initializer, dtype)
        b = self.parameter("b", (self.units,), self.bias_initializer, dtype)
        return activated(nodes.Linear(x, W, b, name=name), self.activation)


class Conv2D(Layer):
    """A convolution with kernels of its own, and an activation; see `mf.Conv2D`.

    Args:
        filters: how many kernels, and channels of the result.
        size: of the kernels, one number or (height, width).
        stride, padding, dilation, groups: as for `mf.Conv2D`.
        activation, kernel_initializer, bias_initializer, name, rng: as for `Dense`; the name is
            "conv1", ... by default.

    Images have their channels last, (n, height, width, channels); the kernels are
    (height, width, channels / groups, filters).

    >>> import miniflow as mf
    >>> images = mf.layers.Input((28, 28, 1), name="images")
    >>> conv = mf.layers.Conv2D(16, 5, activation="relu")
    >>> conv(images), conv.parameters["W"].value.shape
    (<ReLU 'conv1/relu'>, (5, 5, 1, 16))
    """

    kind = "conv"

    def __init__(
        self,
        filters: int,
        size: int | Pair,
        activation: str | NodeFunction | None = None,
        *,
        stride: int | Pair = 1,
        padding: Padding = "valid",
        dilation: int | Pair = 1,
        groups: int = 1,
        kernel_initializer: Initializer | str | None = None,
        bias_initializer: Initializer | str = zeros,
        name: str | None = None,
        rng: Rng = None,
    ) -> None:
        Layer.__init__(self, name, rng)
        self.filters = whole("Conv2D", "filters", filters, least=1)
        self.size = pair_of("Conv2D", "size", size)
        self.groups = whole("Conv2D", "groups", groups, least=1)
        self.options: dict[str, Any] = {"stride": stride, "padding": padding, "dilation": dilation}
        self.activation = activation_of(activation)
        self.kernel_initializer = initializer_of(
            initializer_before(activation) if kernel_initializer is None else kernel_initializer
        )
        self.bias_initializer = initializer_of(bias_initializer)

    def build(self, x: Node, name: str) -> Node:
        row = row_of(x)
        channels, dtype = (row.shape or (1,))[-1] // self.groups, _floating(row)
        shape = (*self.size, channels, self.filters)
        W = self.parameter("W", shape, self.kernel_initializer, dtype)
        b = self.parameter("b", (self.filters,), self.bias_initializer, dtype)
        node = nodes.Conv2D(x, W, b, groups=self.groups, name=name, **self.options)
        return activated(node, self.activation)


class LayerNorm(Layer):
    """Each row brought to mean 0 and variance 1, times a gain, plus a shift; see `mf.LayerNorm`.

    Args:
        epsilon: what is added to the variance; 1e-5 by default.
        name: "norm1", ... by default.
    """

    kind = "norm"

    def __init__(self, *, epsilon: float = 1e-5, name: str | None = None) -> None:
        Layer.__init__(self, name)
        self.epsilon = epsilon

    def build(self, x: Node, name: str) -> Node:
        row = row_of(x)
        gain = self.parameter("gain", row.shape[-1:], ones, _floating(row))
        shift = self.parameter("shift", row.shape[-1:], zeros, _floating(row))
        return nodes.LayerNorm(x, gain, shift, epsilon=self.epsilon, name=name)


def _floating(row: Row) -> DTypeLike:
    """The dtype of parameters that meet such rows: theirs, or float32 if they are whole."""
    return row.dtype if row.dtype.kind == "f" else np.float32
