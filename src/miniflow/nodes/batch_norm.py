"""BatchNorm: each channel brought to mean 0 and variance 1, over the batch while training, and with
running statistics, which are states, otherwise.
"""

from math import prod
from typing import Any

import numpy as np

from miniflow.errors import GraphError, ShapeError
from miniflow.graph import Constant, Node, Op, State
from miniflow.graph.checks import number
from miniflow.graph.integers import as_operands
from miniflow.graph.means import mean, root_mean_square, shrink
from miniflow.graph.values import promote, shape_of
from miniflow.nodes.dropout import Seed, check_seed, is_not_fed
from miniflow.nodes.normalization import root_of_epsilon


class BatchNorm(Op):
    """Normalisation of channels: Z = gain · (X - mean) / √(variance + ε) + shift.

    Args:
        x: shape (n, ..., c), channels last: rows of features (n, c), sequences (n, T, c), images
            (n, h, w, c).
        gain: shape (c,).
        shift: shape (c,).
        mean: a `State` of shape (c,): the running mean, zeros to begin with.
        variance: a `State` of shape (c,): the running variance, ones to begin with.
        seed: a `Seed`, that of the graph's Dropouts say, or any node or number that is a whole
            number ≥ 0 while training and negative otherwise.
        momentum: how much of the running statistics stays, 0 ≤ momentum ≤ 1; 0.99 by default.
        epsilon: what is added to the variance; 1e-3 by default.
        name: None by default.

    While training, mean and variance are those of the channel over all other axes of the batch (the
    variance divides by the count), and the running ones become momentum · old + (1 - momentum) ·
    new. Otherwise the running ones are taken, and stay. So it is for a pass that does not feed the
    seed: `mf.evaluate`, `mf.predict`, validation and model files. Of a single number a channel, the
    variance is 0 and Z the shift.

    Raises:
        GraphError: mean or variance is no `State`; momentum or epsilon does not fit, or epsilon is
            too small for the dtype.
        ShapeError: in the pass: gain, shift, mean or variance has not the shape (c,).
        NotFiniteError: in the pass: a running statistic would no longer be finite.

    With the upstream gradient G, X̂ = (X - mean) / √(variance + ε), and sums and means over all axes
    but the last, the gradients of gain and shift are Σ G · X̂ and Σ G, and while training

        dX = gain / √(variance + ε) · (G - mean(G) - X̂ · mean(G · X̂))

    otherwise dX = gain / √(variance + ε) · G.

    Sources: S. Ioffe, C. Szegedy, "Batch normalization: accelerating deep network training by
    reducing internal covariate shift", 2015; momentum and ε are those of Keras, as is the running
    variance, for which PyTorch divides by the count less one, and whose momentum is one less this.

    >>> import numpy as np, miniflow as mf
    >>> x, seed = mf.Input("x"), mf.Seed()
    >>> mean, variance = mf.State(np.zeros(1), "mean"), mf.State(np.ones(1), "variance")
    >>> norm = BatchNorm(x, np.ones(1), np.zeros(1), mean, variance, seed, momentum=0.9)
    >>> rows = np.array([[1.0], [3.0]])
    >>> mf.value(norm, {x: rows, seed: 0}).round(3).ravel(), mean.value, variance.value
    (array([-1.,  1.]), array([0.2]), array([1.]))
    >>> mf.value(norm, {x: rows}).round(1).ravel(), mean.value
    (array([0.8, 2.8]), array([0.2]))
    """

    decides_dtype = 3

    def __init__(
        self,
        x: Any,
        gain: Any,
        shift: Any,
        mean: Any,
        variance: Any,
        seed: Any,
        *,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        name: str | None = None,
    ) -> None:
        Op.__init__(self, x, gain, shift, mean, variance, seed, name=name)
        for what, node in (("mean", mean), ("variance", variance)):
            if not isinstance(node, State):
                raise GraphError(
                    f"{self}: {what} is a State, mf.State(np.zeros(3), {what!r}), not {node!r}."
                )
        self.momentum = number(self, "momentum", momentum)
        if self.momentum > 1:
            raise GraphError(f"{self}: momentum is at most 1, not {momentum!r}.")
        self.epsilon = number(self, "epsilon", epsilon)
        if self.epsilon == 0:
            raise GraphError(f"{self}: epsilon must be positive, not {epsilon!r}.")

    validates_shape_of = 0

    def validate(self, x: Any, gain: Any, shift: Any, mean: Any, variance: Any, seed: Any) -> None:
        check_seed(self, self.inbound_nodes[5], seed)

    def compute(self, x: Any, gain: Any, shift: Any, running: Any, variance: Any, seed: Any) -> Any:
        self._check(*map(shape_of, (x, gain, shift, running, variance)))
        x, gain, shift = as_operands(x, gain, shift, owner=self)
        normalised, _ = self._normalised(x, running, variance, seed, is_forward=True)
        return gain * normalised + shift

    def gradient(
        self, grad: Any, x: Any, gain: Any, shift: Any, running: Any, variance: Any, seed: Any
    ) -> Any:
        grad, x, gain = as_operands(grad, x, gain)
        normalised, deviation = self._normalised(x, running, variance, seed)
        axes = tuple(range(len(x.shape) - 1))
        count = prod(x.shape[:-1])
        along, level = mean(grad * normalised, axes), mean(grad, axes)
        rate = gain / deviation

        def dx() -> Any:
            if is_not_fed(seed):
                return grad * rate
            zero = np.zeros_like(level)
            a, b = np.where(seed < 0, zero, along), np.where(seed < 0, zero, level)
            return (grad - b - normalised * a) * rate

        def of_statistics(power: int, factor: Any) -> Any:
            slope = factor * count * rate / deviation**power
            return slope if is_not_fed(seed) else np.where(seed < 0, slope, np.zeros_like(slope))

        return (
            dx,
            lambda: along * count,
            lambda: level * count,
            lambda: of_statistics(0, -level),
            lambda: of_statistics(1, -0.5 * along),
            None,
        )

    def channel_scale(self) -> tuple[Node, Any, Any] | None:
        x, *kept, seed = self.inbound_nodes
        if not (all(node.keeps_a_value for node in kept) and type(seed) in (Seed, Constant)):
            return None
        values = [np.asarray(node.value, np.float64) for node in kept]
        if not is_not_fed(seed.value) or len({value.shape for value in values}) > 1:
            return None
        gain, shift, running, variance = values
        scale = gain / np.sqrt(variance + self.epsilon)
        return x, scale, shift - running * scale

    def _normalised(
        self, x: Any, running: Any, variance: Any, seed: Any, is_forward: bool = False
    ) -> tuple[Any, Any]:
        """X̂ and √(variance + ε); going forward while training, the states are set."""
        x = promote(x)
        least = root_of_epsilon(self, self.epsilon, x.dtype)
        own_mean, deviation = running.astype(x.dtype), np.sqrt(variance + self.epsilon)
        center, deviation = 0.5 * own_mean, 0.5 * deviation.astype(x.dtype)
        if not is_not_fed(seed):
            is_other = seed < 0
            found, own_variance, root = _of_batch(x, self.epsilon, least)
            if is_forward:
                self._set(3, running, found, is_other)
                self._set(4, variance, own_variance, is_other)
            center = np.where(is_other, center, 0.5 * found)
            deviation = np.where(is_other, deviation, 0.5 * root)
        # Half of each: what lies between two numbers may be twice as large as either.
        return (0.5 * x - center) / deviation, 2.0 * deviation

    def _set(self, place: int, old: Any, found: Any, is_other: Any) -> None:
        state = self.inbound_nodes[place]
        assert isinstance(state, State), "it was one"
        new = self.momentum * old + (1.0 - self.momentum) * found.astype(old.dtype)
        state.set(np.where(is_other, old, new), self)

    def _check(
        self,
        x: tuple[int, ...],
        gain: tuple[int, ...],
        shift: tuple[int, ...],
        running: tuple[int, ...],
        variance: tuple[int, ...],
    ) -> None:
        labels = [node.label for node in self.inbound_nodes]
        if len(x) < 2 or 0 in x:
            raise ShapeError(
                f"{self}: {labels[0]} has shape {x}: it takes rows, (n, c), or images, "
                "(n, h, w, c), channels last, and one number or more of each channel."
            )
        for label, seen in zip(labels[1:5], (gain, shift, running, variance), strict=True):
            if seen != x[-1:]:
                raise ShapeError(
                    f"{self}: {label} has shape {seen}; it must have shape {x[-1:]}: an entry for "
                    f"each channel of {labels[0]}, {x}."
                )


def _of_batch(x: Any, epsilon: float, least: float) -> tuple[Any, Any, Any]:
    """Mean, variance and √(variance + ε) of each channel, whose square `least` is the root of ε.

    float32 adds up in float64. float64 computes with the distances to the first number, which are 0
    where all are equal, in a unit in which their sum is no larger than a number of the dtype.
    """
    axes = tuple(range(len(x.shape) - 1))
    if x.dtype.itemsize < 8:
        wide = np.mean(x, axis=axes, dtype=np.float64)
        square = np.mean(np.square(x - wide), axis=axes)
        return wide.astype(x.dtype), square, np.sqrt(square + epsilon).astype(x.dtype)
    first = x[(0,) * len(axes)]
    unit = shrink(prod(x.shape[:-1]))
    away = unit * x - unit * first
    level = np.mean(away, axis=axes)
    root, least = root_mean_square(away - level, axes), least * unit
    larger = np.maximum(root, least)  # √(root² + least²), by way of squares that are ≤ 1
    deviation = larger * np.sqrt((root / larger) ** 2 + (least / larger) ** 2)
    return first + level / unit, np.square(root / unit), deviation / unit
