"""The layers that convolve: Conv2D, Conv1D, DepthwiseConv2D and ConvTranspose2D, each with kernels
of its own, a bias and an activation. What they have in common is in `_Convolution`.
"""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from miniflow import nodes
from miniflow.graph import Node
from miniflow.graph.rows import Row
from miniflow.initializers import zeros
from miniflow.layers.base import Layer, Rng
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


class _Convolution(Layer):
    """Kernels, a bias and an activation. A subclass says which node, and the kernels' shape."""

    kind = "conv"
    node: Any = None

    def __init__(
        self,
        activation: str | NodeFunction | None,
        kernel_initializer: Initializer | str | None,
        bias_initializer: Initializer | str,
        name: str | None,
        rng: Rng,
        **options: Any,
    ) -> None:
        Layer.__init__(self, name, rng)
        self.options = options
        self.activation = activation_of(activation)
        self.kernel_initializer = initializer_of(
            initializer_before(activation) if kernel_initializer is None else kernel_initializer
        )
        self.bias_initializer = initializer_of(bias_initializer)

    def kernels(self, channels: int) -> tuple[tuple[int, ...], int]:
        """The shape of the kernels on an image of so many channels, and how many biases."""
        raise NotImplementedError

    def drawn(self, shape: Any, rng: np.random.Generator, dtype: DTypeLike) -> NDArray[Any]:
        """First values of the kernels."""
        return self.kernel_initializer(shape, rng, dtype)

    def build(self, x: Node, name: str) -> Node:
        W = self.parameter_on(x, "W", self._shape_of_kernels, self.drawn)
        b = self.parameter_on(x, "b", self._shape_of_biases, self.bias_initializer)
        return activated(self.node(x, W, b, name=name, **self.options), self.activation)

    def _shape_of_kernels(self, row: Row) -> tuple[int, ...]:
        return self.kernels((row.shape or (1,))[-1])[0]

    def _shape_of_biases(self, row: Row) -> tuple[int, ...]:
        return (self.kernels((row.shape or (1,))[-1])[1],)


class Conv2D(_Convolution):
    """A convolution with kernels of its own, and an activation; see `mf.Conv2D`.

    Args:
        filters: how many kernels, and channels of the result.
        size: of the kernels, one number or (height, width).
        stride, padding, dilation, groups: as for `mf.Conv2D`.
        activation, kernel_initializer, bias_initializer, name, rng: as for `Dense`; the name is
            "conv1", ... by default.

    Raises:
        OptionError: a number, an activation or an initializer does not fit.
        ShapeError: when it is called: the examples have other axes, or are too small.

    Images have their channels last, (n, height, width, channels); the kernels are
    (height, width, channels / groups, filters).

    >>> import miniflow as mf
    >>> images = mf.layers.Input((28, 28, 1), name="images")
    >>> conv = mf.layers.Conv2D(16, 5, activation="relu")
    >>> conv(images), conv.parameters["W"].value.shape
    (<ReLU 'conv1/relu'>, (5, 5, 1, 16))
    """

    node = nodes.Conv2D

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
        self.filters = whole("Conv2D", "filters", filters, least=1)
        self.size = pair_of("Conv2D", "size", size)
        self.groups = whole("Conv2D", "groups", groups, least=1)
        _Convolution.__init__(
            self,
            activation,
            kernel_initializer,
            bias_initializer,
            name,
            rng,
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=self.groups,
        )

    def kernels(self, channels: int) -> tuple[tuple[int, ...], int]:
        return (*self.size, channels // self.groups, self.filters), self.filters


class Conv1D(_Convolution):
    """A convolution over sequences, and an activation; see `mf.Conv1D`.

    Args:
        filters: how many kernels, and channels of the result.
        size: how long the kernels are.
        stride, padding, dilation, groups: as for `mf.Conv1D`.
        activation, kernel_initializer, bias_initializer, name, rng: as for `Dense`; the name is
            "conv1", ... by default.

    Raises:
        OptionError: a number, an activation or an initializer does not fit.
        ShapeError: when it is called: the examples have other axes, or are too small.

    Sequences have their channels last, (n, length, channels); the kernels are
    (size, channels / groups, filters).

    >>> import miniflow as mf
    >>> sound = mf.layers.Input((100, 2), name="sound")
    >>> conv = mf.layers.Conv1D(16, 5, activation="relu")
    >>> conv(sound), conv.parameters["W"].value.shape
    (<ReLU 'conv1/relu'>, (5, 2, 16))
    """

    node = nodes.Conv1D

    def __init__(
        self,
        filters: int,
        size: int,
        activation: str | NodeFunction | None = None,
        *,
        stride: int = 1,
        padding: int | str = "valid",
        dilation: int = 1,
        groups: int = 1,
        kernel_initializer: Initializer | str | None = None,
        bias_initializer: Initializer | str = zeros,
        name: str | None = None,
        rng: Rng = None,
    ) -> None:
        self.filters = whole("Conv1D", "filters", filters, least=1)
        self.size = whole("Conv1D", "size", size, least=1)
        self.groups = whole("Conv1D", "groups", groups, least=1)
        _Convolution.__init__(
            self,
            activation,
            kernel_initializer,
            bias_initializer,
            name,
            rng,
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=self.groups,
        )

    def kernels(self, channels: int) -> tuple[tuple[int, ...], int]:
        return (self.size, channels // self.groups, self.filters), self.filters


class DepthwiseConv2D(_Convolution):
    """Each channel with kernels of its own, and an activation; see `mf.DepthwiseConv2D`.

    Args:
        size: of the kernels, one number or (height, width).
        multiplier: how many kernels a channel has; 1 by default.
        stride, padding, dilation: as for `mf.DepthwiseConv2D`.
        activation, kernel_initializer, bias_initializer, name, rng: as for `Dense`; the name is
            "conv1", ... by default.

    Raises:
        OptionError: a number, an activation or an initializer does not fit.
        ShapeError: when it is called: the examples have other axes, or are too small.

    The kernels are (height, width, channels, multiplier); each begins as that of an image of one
    channel would.

    >>> import miniflow as mf
    >>> images = mf.layers.Input((28, 28, 8), name="images")
    >>> conv = mf.layers.DepthwiseConv2D(3, activation="relu")
    >>> conv(images), conv.parameters["W"].value.shape
    (<ReLU 'conv1/relu'>, (3, 3, 8, 1))
    """

    node = nodes.DepthwiseConv2D

    def __init__(
        self,
        size: int | Pair,
        activation: str | NodeFunction | None = None,
        *,
        multiplier: int = 1,
        stride: int | Pair = 1,
        padding: Padding = "valid",
        dilation: int | Pair = 1,
        kernel_initializer: Initializer | str | None = None,
        bias_initializer: Initializer | str = zeros,
        name: str | None = None,
        rng: Rng = None,
    ) -> None:
        self.size = pair_of("DepthwiseConv2D", "size", size)
        self.multiplier = whole("DepthwiseConv2D", "multiplier", multiplier, least=1)
        _Convolution.__init__(
            self,
            activation,
            kernel_initializer,
            bias_initializer,
            name,
            rng,
            stride=stride,
            padding=padding,
            dilation=dilation,
        )

    def kernels(self, channels: int) -> tuple[tuple[int, ...], int]:
        return (*self.size, channels, self.multiplier), channels * self.multiplier

    def drawn(self, shape: Any, rng: np.random.Generator, dtype: DTypeLike) -> NDArray[Any]:
        each = (*self.size, 1, self.multiplier)
        kernels = [self.kernel_initializer(each, rng, dtype) for _ in range(shape[2])]
        return np.concatenate(kernels, axis=2)


class ConvTranspose2D(_Convolution):
    """A convolution the other way, to larger images, and an activation; see `mf.ConvTranspose2D`.

    Args:
        filters: how many channels the result has.
        size: of the kernels, one number or (height, width).
        stride, padding, dilation: as for `mf.ConvTranspose2D`.
        activation, kernel_initializer, bias_initializer, name, rng: as for `Dense`; the name is
            "conv1", ... by default.

    Raises:
        OptionError: a number, an activation or an initializer does not fit.
        ShapeError: when it is called: the examples have other axes, or are too small.

    The kernels are (height, width, filters, channels).

    >>> import miniflow as mf
    >>> images = mf.layers.Input((7, 7, 32), name="images")
    >>> conv = mf.layers.ConvTranspose2D(16, 3, "relu", stride=2, padding="same")
    >>> conv(images), conv.parameters["W"].value.shape
    (<ReLU 'conv1/relu'>, (3, 3, 16, 32))
    """

    node = nodes.ConvTranspose2D

    def __init__(
        self,
        filters: int,
        size: int | Pair,
        activation: str | NodeFunction | None = None,
        *,
        stride: int | Pair = 1,
        padding: Padding = "valid",
        dilation: int | Pair = 1,
        kernel_initializer: Initializer | str | None = None,
        bias_initializer: Initializer | str = zeros,
        name: str | None = None,
        rng: Rng = None,
    ) -> None:
        self.filters = whole("ConvTranspose2D", "filters", filters, least=1)
        self.size = pair_of("ConvTranspose2D", "size", size)
        _Convolution.__init__(
            self,
            activation,
            kernel_initializer,
            bias_initializer,
            name,
            rng,
            stride=stride,
            padding=padding,
            dilation=dilation,
        )

    def kernels(self, channels: int) -> tuple[tuple[int, ...], int]:
        return (*self.size, self.filters, channels), self.filters

    def drawn(self, shape: Any, rng: np.random.Generator, dtype: DTypeLike) -> NDArray[Any]:
        height, width, filters, channels = shape
        kernels = self.kernel_initializer((height, width, channels, filters), rng, dtype)
        return np.ascontiguousarray(np.swapaxes(kernels, 2, 3))
