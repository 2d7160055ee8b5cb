"""How far apart: losses of numbers that bear outliers (Huber, L1), the distance of distributions
(KLDivergence), and the angle between vectors (CosineSimilarity). `loss.py` has MSE and the losses
of classes.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from miniflow.errors import GraphError, ShapeError
from miniflow.graph import Op
from miniflow.graph.checks import number
from miniflow.graph.integers import as_operands
from miniflow.graph.means import mean
from miniflow.graph.values import promote, shape_of, where
from miniflow.nodes.activation import below_largest
from miniflow.nodes.loss import check_same_shape, entries_of, half_error
from miniflow.nodes.options import one_axis


class _NumberLoss(Op):
    """A mean over all entries of how far predictions are from their targets."""

    answers = "numbers"

    def validate(self, prediction: Any, target: Any) -> None:
        check_same_shape(self, prediction, target)

    def count_correct(self, logits: Any, labels: Any) -> None:
        """Numbers have no accuracy."""

    def divisor(self, shapes: Sequence[tuple[int, ...]], values: dict[int, Any]) -> float:
        """The number of entries."""
        return math.prod(shapes[0])


class L1(_NumberLoss):
    """The mean absolute error, `mean(|prediction - target|)`.

    Args:
        prediction: any shape.
        target: the same shape.
        name: None by default.

    Its derivative is the sign of the error, divided by the number of entries; where the error is 0
    it is taken to be 0. Raises ShapeError where the shapes differ.

    >>> import numpy as np, miniflow as mf
    >>> p, t = mf.Input(), mf.Input()
    >>> mf.value_and_grad(mf.L1(p, t), {p: np.array([1.0, 5.0]), t: np.array([1.0, 1.0])}, [p])
    (np.float64(2.0), [array([0. , 0.5])])
    """

    def __init__(self, prediction: Any, target: Any, *, name: str | None = None) -> None:
        Op.__init__(self, prediction, target, name=name)

    def compute(self, prediction: Any, target: Any) -> Any:
        return 2 * mean(np.abs(half_error(prediction, target)))

    def gradient(self, grad: Any, prediction: Any, target: Any) -> Any:
        p, t = map(promote, as_operands(prediction, target))
        share = grad / entries_of(prediction)
        dp = where(p > t, share, where(p < t, -share, 0.0))
        return dp, lambda: -dp


class Huber(_NumberLoss):
    """The mean of e²/2 where the error e = prediction - target is small, |e| <= δ, and of
    δ (|e| - δ/2) elsewhere: outliers count as much as they are far, and not the square of it.

    Args:
        prediction: any shape.
        target: the same shape.
        delta: δ, where the line begins, above 0; 1.0 by default.
        name: None by default.

    Its derivative is e, held between -δ and δ, divided by the number of entries. Raises ShapeError
    where the shapes differ, GraphError where δ is not positive.

    Source: P. J. Huber, "Robust estimation of a location parameter", 1964.

    >>> import numpy as np, miniflow as mf
    >>> p, t = mf.Input(), mf.Input()
    >>> mf.value_and_grad(mf.Huber(p, t), {p: np.array([1.0, 9.0]), t: np.array([0.0, 0.0])}, [p])
    (np.float64(4.5), [array([0.5, 0.5])])
    """

    def __init__(
        self, prediction: Any, target: Any, *, delta: float = 1.0, name: str | None = None
    ) -> None:
        Op.__init__(self, prediction, target, name=name)
        self.delta = number(self, "delta", delta)
        if self.delta == 0:
            raise GraphError(f"{self}: delta must be positive, not {delta!r}.")

    def compute(self, prediction: Any, target: Any) -> Any:
        half = np.abs(promote(half_error(prediction, target)))
        near = np.minimum(half, self.delta / 2)  # with |e| = 2 half: near · (4 half - 2 near)
        return 4 * mean(near * (half - near / 2))

    def gradient(self, grad: Any, prediction: Any, target: Any) -> Any:
        half = promote(half_error(prediction, target))
        held = np.minimum(np.maximum(half, -self.delta / 2), self.delta / 2)
        share = held * (2 * grad / entries_of(prediction))
        return share, lambda: -share


class KLDivergence(Op):
    """How far the softmax of logits is from a distribution: the mean over the rows of Σ_j y_j
    (log y_j - log softmax(x)_j), the Kullback-Leibler divergence of the softmax from y.

        ∂L/∂x = (softmax(x) Σ_j y_j - y) / n

    Args:
        x: logits, shape (n, ..., k); each vector of k of them is a row.
        y: the distribution, in the same shape: numbers of at least 0 that add up to 1 along the
            last axis. The logits of another network become one by `mf.Softmax`.
        name: None by default.

    It is computed from logits, as all losses of classes here: no softmax underflows on the way. A y
    of 0 adds nothing; there the gradient for y, whose slope is infinite, is taken to be 0. Where y
    is above 0 and a logit is -∞, the divergence is infinite.

    Raises ShapeError where the shapes differ, GraphError where y is no distribution.

    Source: S. Kullback, R. A. Leibler, "On information and sufficiency", 1951.

    >>> import numpy as np, miniflow as mf
    >>> x, y = mf.Input(), mf.Input()
    >>> feed = {x: np.array([[0.0, 0.0]]), y: np.array([[1.0, 0.0]])}
    >>> value, (dx,) = mf.value_and_grad(mf.KLDivergence(x, y), feed, [x])
    >>> round(float(value), 4), dx
    (0.6931, array([[-0.5,  0.5]]))
    """

    def __init__(self, x: Any, y: Any, *, name: str | None = None) -> None:
        Op.__init__(self, x, y, name=name)

    def validate(self, x: Any, y: Any) -> None:
        check_same_shape(self, x, y)
        x_label, y_label = (node.label for node in self.inbound_nodes)
        if not shape_of(x):
            raise ShapeError(f"{self}: {x_label} is a number; logits have shape (n, ..., k).")
        y = np.asarray(y, np.float64)
        sums = y.sum(axis=-1)
        if not (y.min() >= 0 and np.abs(sums - 1).max() <= _OFF):
            raise GraphError(
                f"{self}: {y_label} runs from {y.min():g} to {y.max():g}, and its rows add up to "
                f"{sums.min():g} to {sums.max():g}; each is a distribution, of numbers of at least "
                "0 that add up to 1."
            )

    def count_correct(self, logits: Any, labels: Any) -> None:
        """A distribution says no class."""

    def divisor(self, shapes: Sequence[tuple[int, ...]], values: dict[int, Any]) -> float:
        """The number of rows."""
        return math.prod(shapes[0][:-1])

    def compute(self, x: Any, y: Any) -> Any:
        x, y = map(promote, as_operands(x, y))
        terms = y * self._half_of_logs(x, y)
        return 2 * np.sum(mean(terms, tuple(range(len(x.shape) - 1))))

    def gradient(self, grad: Any, x: Any, y: Any) -> Any:
        x, y = map(promote, as_operands(x, y))
        share = grad / math.prod(x.shape[:-1])

        def dx() -> Any:
            powers = np.exp(below_largest(x, -1))
            soft = powers / np.sum(powers, axis=-1, keepdims=True)
            return (soft * np.sum(y, axis=-1, keepdims=True) - y) * share

        def dy() -> Any:
            slope = 2 * ((self._half_of_logs(x, y) + 0.5) * share)
            return where(y > 0, slope, 0.0)

        return dx, dy

    def _half_of_logs(self, x: Any, y: Any) -> Any:
        """Half of log y - log softmax(x), all of which may be no number; 0 where y is 0."""
        sums = np.sum(np.exp(below_largest(x, -1)), axis=-1, keepdims=True)
        below = 0.5 * x - 0.5 * np.max(x, axis=-1, keepdims=True)
        halves = 0.5 * np.log(where(y > 0, y, 1.0)) - (below - 0.5 * np.log(sums))
        return where(y > 0, halves, 0.0)


_OFF = 1e-2  # how far a row of float16, added up, may be from 1


class CosineSimilarity(Op):
    """The cosine of the angle between vectors: `Σ x y / (|x| |y|)` along an axis, from -1 to 1.

    Args:
        x, y: the same shape, or shapes that broadcast.
        axis: that of the vectors; the last by default.
        name: None by default.

    Raises:
        GraphError: axis is not a whole number.
        ShapeError: in the pass: the shapes do not broadcast, or have no such axis.

    The value has the shape of the two without that axis. With u = x / |x|, v = y / |y| and s the
    value, dx = (v - s u) / |x|. A vector of zeros has no angle: its similarity is taken to be 0,
    and so are the gradients. The size of the vectors does not matter, up to the ends of the dtype.

    >>> import numpy as np, miniflow as mf
    >>> mf.value(mf.CosineSimilarity(np.array([[3.0, 0.0], [3.0, 4.0]]), np.array([1e200, 0.0])))
    array([1. , 0.6])
    """

    expects = "shapes that broadcast, with at least one entry along the axis"

    def __init__(self, x: Any, y: Any, axis: int = -1, *, name: str | None = None) -> None:
        Op.__init__(self, x, y, name=name)
        self.axis = one_axis(self, axis)

    def compute(self, x: Any, y: Any) -> Any:
        (u, _, _), (v, _, _) = self._units(x, y)
        return np.sum(u * v, axis=self.axis)

    def gradient(self, grad: Any, x: Any, y: Any) -> Any:
        (u, x_norm, x_largest), (v, y_norm, y_largest) = self._units(x, y)
        s = np.expand_dims(self.value, self.axis)
        grad = np.expand_dims(grad, self.axis)

        def along(away: Any, norm: Any, largest: Any) -> Any:
            slope = grad * away / norm / where(largest > 0, largest, 1.0)
            return where(np.minimum(x_largest, y_largest) > 0, slope, 0.0)

        return (
            lambda: along(v - s * u, x_norm, x_largest),
            lambda: along(u - s * v, y_norm, y_largest),
        )

    def _units(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Both as vectors of length 1 (or 0), with their norm in units of their largest entry."""
        x, y = map(promote, as_operands(x, y, owner=self))
        shape = np.broadcast_shapes(shape_of(x), shape_of(y))
        if not -len(shape) <= self.axis < len(shape):
            x_label, y_label = (node.label for node in self.inbound_nodes)
            raise ShapeError(
                f"{self}: {x_label} has shape {shape_of(x)} and {y_label} has shape {shape_of(y)}; "
                f"it takes {self.expects}, {self.axis}."
            )
        return self._unit(np.broadcast_to(x, shape)), self._unit(np.broadcast_to(y, shape))

    def _unit(self, x: Any) -> tuple[Any, Any, Any]:
        largest = np.max(np.abs(x), axis=self.axis, keepdims=True)
        scaled = x / where(largest > 0, largest, 1.0)
        norm = np.sqrt(np.sum(scaled * scaled, axis=self.axis, keepdims=True))
        norm = where(norm > 0, norm, 1.0)
        return scaled / norm, norm, largest
