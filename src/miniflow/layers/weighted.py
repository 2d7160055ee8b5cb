"""The layers that learn: Dense, Embedding, the norms; those that convolve: `convolving`."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from miniflow import nodes
from miniflow.graph import Node
from miniflow.graph.rows import Row
from miniflow.initializers import ones, zeros
from miniflow.layers.base import Layer, Rng
from miniflow.layers.example_shapes import known_row
from miniflow.layers.named import (
    Initializer,
    NodeFunction,
    activated,
    activation_of,
    initializer_before,
    initializer_of,
)
from miniflow.options import OptionError, whole


class Dense(Layer):
    """A fully connected layer: activation(X W + b), with X (n, inputs) and W (inputs, units).

    Args:
        units: how many outputs it has.
        activation: a name ("relu", "leaky_relu", "gelu", "silu", "elu", "softplus", "sigmoid",
            "hard_sigmoid", "tanh", "softmax", "log_softmax"), a node class, or any function of a
            node; None by default.
        kernel_initializer: a function as in `miniflow.initializers`, or its name; by default
            "he_normal" before relu, leaky_relu, gelu and silu, else "glorot_uniform".
        bias_initializer: "zeros" by default.
        name: "dense1", ... by default.
        rng: a generator or a seed; None by default: it differs each time. Two layers with the same
            seed begin with the same numbers: give them one generator, or put them in a
            `Sequential`.

    Raises:
        OptionError: units, an activation or an initializer is none.
        ShapeError: when it is called: the examples are no rows of numbers.

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
        W = self.parameter_on(x, "W", self._shape_of_kernel, self.kernel_initializer)
        b = self.parameter_on(x, "b", self._shape_of_bias, self.bias_initializer)
        return activated(nodes.Linear(x, W, b, name=name), self.activation)

    def _shape_of_kernel(self, row: Row) -> tuple[int, ...]:
        return (row.shape or (1,))[-1], self.units

    def _shape_of_bias(self, row: Row) -> tuple[int, ...]:
        return (self.units,)


class Embedding(Layer):
    """A row of numbers for each of a vocabulary of whole numbers; see `mf.Embedding`.

    Args:
        count: how many there are: the layer takes whole numbers in [0, count), of any shape.
        units: how many numbers a row has.
        initializer: a function as in `miniflow.initializers`, or its name; by default normal
            numbers of variance 1 / units, so that a row is about 1 long.
        name: "embedding1", ... by default.
        rng: as for `Dense`.

    Raises:
        OptionError: count, units or the initializer is none.
        GraphError: in the pass: a number is not in [0, count).

    >>> import numpy as np, miniflow as mf
    >>> words = mf.layers.Input((12,), name="words", dtype=np.int64)
    >>> embedding = mf.layers.Embedding(20_000, 64)
    >>> embedding(words), embedding.parameters["W"].value.shape
    (<Embedding 'embedding1'>, (20000, 64))
    """

    kind = "embedding"

    def __init__(
        self,
        count: int,
        units: int,
        *,
        initializer: Initializer | str | None = None,
        name: str | None = None,
        rng: Rng = None,
    ) -> None:
        Layer.__init__(self, name, rng)
        self.count = whole("Embedding", "count", count, least=1)
        self.units = whole("Embedding", "units", units, least=1)
        self.initializer = initializer_of(_unit_rows if initializer is None else initializer)

    def build(self, x: Node, name: str) -> Node:
        row = known_row(x)
        if row is not None and row.dtype.kind not in "iu":
            raise OptionError(
                f"{self!r} takes whole numbers, and {x.label} has {row.dtype}: say it where they "
                f"are fed, mf.layers.Input({row.shape}, dtype=np.int64)."
            )
        W = self.parameter("W", (self.count, self.units), self.initializer, np.float32)
        return nodes.Embedding(x, W, name=name)


class LayerNorm(Layer):
    """Each row brought to mean 0 and variance 1, times a gain, plus a shift; see `mf.LayerNorm`.

    Args:
        epsilon: what is added to the variance; 1e-5 by default.
        name: "norm1", ... by default.

    Raises:
        GraphError: when it is called: epsilon is not above 0.

    Shapes stay as they are, (..., n); gain and shift have the shape (n,).

    >>> import numpy as np, miniflow as mf
    >>> from miniflow import layers
    >>> X = layers.Input((3,), name="X")
    >>> mf.value(layers.LayerNorm()(X), {X: np.zeros((2, *(3,)))}).shape
    (2, 3)
    """

    kind = "norm"

    def __init__(self, *, epsilon: float = 1e-5, name: str | None = None) -> None:
        Layer.__init__(self, name)
        self.epsilon = epsilon

    def build(self, x: Node, name: str) -> Node:
        gain = self.parameter_on(x, "gain", _last_axis, ones)
        shift = self.parameter_on(x, "shift", _last_axis, zeros)
        return nodes.LayerNorm(x, gain, shift, epsilon=self.epsilon, name=name)


class BatchNorm(Layer):
    """Each channel brought to mean 0 and variance 1, times a gain, plus a shift; see
    `mf.BatchNorm`.

    Args:
        seed: a `mf.Seed`, of which a graph needs one. `fit` feeds it, and the statistics are those
            of the batch; where it is not fed, the running ones are taken. -1 for these always: a
            layer that is not to learn.
        momentum: how much of the running statistics stays at each step; 0.99 by default.
        epsilon: what is added to the variance; 1e-3 by default.
        name: "batchnorm1", ... by default.

    Raises:
        GraphError: when it is called: momentum is not in [0, 1], or epsilon not above 0.

    Shapes stay as they are, (n, ..., c), channels last. Gain and shift are parameters, the running
    mean and variance `states`, of the shape (c,); these are float32 at least. Where it follows a
    layer without an activation, a model file has it folded into that.

    >>> import numpy as np, miniflow as mf
    >>> from miniflow import layers
    >>> X, seed = layers.Input((8, 8, 3), name="X"), mf.Seed()
    >>> norm = layers.BatchNorm(seed)
    >>> mf.value(norm(X), {X: np.zeros((2, 8, 8, 3)), seed: 0}).shape
    (2, 8, 8, 3)
    >>> list(norm.parameters), list(norm.states), norm.states["variance"].value.round(2)
    (['gain', 'shift'], ['mean', 'variance'], array([0.99, 0.99, 0.99], dtype=float32))
    """

    kind = "batchnorm"

    def __init__(
        self,
        seed: Any,
        *,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        name: str | None = None,
    ) -> None:
        Layer.__init__(self, name)
        self.seed, self.momentum, self.epsilon = seed, momentum, epsilon

    def build(self, x: Node, name: str) -> Node:
        gain = self.parameter_on(x, "gain", _last_axis, ones)
        shift = self.parameter_on(x, "shift", _last_axis, zeros)
        mean = self.state_on(x, "mean", _last_axis, zeros)
        variance = self.state_on(x, "variance", _last_axis, ones)
        options: dict[str, Any] = {"momentum": self.momentum, "epsilon": self.epsilon}
        return nodes.BatchNorm(x, gain, shift, mean, variance, self.seed, name=name, **options)


def _last_axis(row: Row) -> tuple[int, ...]:
    return row.shape[-1:]


def _unit_rows(shape: Sequence[int], rng: np.random.Generator, dtype: DTypeLike) -> NDArray[Any]:
    return rng.normal(0.0, 1 / math.sqrt(shape[1]), shape).astype(dtype)
