"""Losses: one number that says how wrong the output is; and DummyGrad, for looking at gradients
without one.
"""

import math
import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np

from miniflow.errors import FeedError, GraphError, ShapeError
from miniflow.graph import Op
from miniflow.graph.checks import is_whole
from miniflow.graph.hits import Hits, largest_at_label, signs
from miniflow.graph.integers import as_operands
from miniflow.graph.means import mean, mean_square, shrink
from miniflow.graph.values import (
    in_dtype_of,
    ones_like,
    promote,
    shape_of,
    where,
)
from miniflow.nodes.activation import below_largest, sigmoid, softmax
from miniflow.nodes.class_weights import class_weights_of, weight_of_each

_UNSIGNED = {  # in either order of bytes: a file's may not be the machine's
    np.dtype(f"{order}i{size}"): np.dtype(f"{order}u{size}")
    for order in "<>"
    for size in (1, 2, 4, 8)
}


class CrossEntropyWithSoftmax(Op):
    """The mean over the rows of -log softmax(x)[label].

        L = 1/n · Σ_i -log(softmax(x_i)[y_i]),    ∂L/∂x = (softmax(x) - onehot(y)) / n

    Args:
        x: logits, shape (n, k); or with more axes before the last, (n, h, w, k) say, the logits of
            each pixel: each vector of k logits counts as a row.
        y: labels, integers in [0, k), shape (n,): that of the logits without the last axis.
        label_smoothing: ε in [0, 1): the target is 1 - ε + ε/k at the label and ε/k elsewhere; 0 by
            default (Szegedy et al., "Rethinking the Inception Architecture", 2016).
        class_weights: numbers of at least 0, shape (k,), or a dictionary {class: weight}, of which
            other classes have 1; each class's share of the loss counts that much, and the mean is
            over the weights of the labels. None (all 1) by default.
        ignore: the number, below 0, of a label that counts nothing, as that of padding: the mean is
            over the others. None by default: every label is a class.
        name: None by default.

    Raises:
        GraphError: label_smoothing or class_weights is none; in the pass: a label is not in [0, k).
        ShapeError: in the pass: the shapes do not go together.

    The logits are shifted by their largest, so that ±1e4 is as good as ±1, and -∞ is a class that
    is ruled out. A batch whose labels' weights are all 0, or are all ignored, counts nothing: its
    loss is 0, and its gradient.

    >>> import numpy as np, miniflow as mf
    >>> x, y = mf.Input("x"), mf.Input("y")
    >>> loss = mf.CrossEntropyWithSoftmax(x, y)
    >>> feed = {x: np.array([[0.5, 1.0, 1.5]]), y: np.array([1])}
    >>> value, (dx,) = mf.value_and_grad(loss, feed, [x])
    >>> round(float(value), 4), dx.round(4)
    (1.1803, array([[ 0.1863, -0.6928,  0.5065]]))
    """

    answers = "classes"

    def __init__(
        self,
        x: Any,
        y: Any,
        *,
        label_smoothing: float = 0.0,
        class_weights: Any = None,
        ignore: int | None = None,
        name: str | None = None,
    ) -> None:
        Op.__init__(self, x, y, name=name)
        if ignore is not None and not (is_whole(ignore) and ignore < 0):
            raise GraphError(
                f"{self}: ignore is a whole number below 0, which is no class, not {ignore!r}."
            )
        self.ignore = None if ignore is None else int(ignore)
        is_number = isinstance(label_smoothing, numbers.Real)
        if isinstance(label_smoothing, bool) or not (is_number and 0 <= label_smoothing < 1):
            raise GraphError(f"{self}: label_smoothing is in [0, 1), and was {label_smoothing!r}.")
        self.label_smoothing = float(label_smoothing)
        self.class_weights = (
            None if class_weights is None else class_weights_of(self, class_weights)
        )

    @property
    def divisor_reads(self) -> tuple[int, ...]:  # type: ignore[override]
        """With weights, or with labels that are ignored, what is divided by depends on the
        labels.
        """
        return () if self.class_weights is None and self.ignore is None else (1,)

    def divisor(self, shapes: Sequence[tuple[int, ...]], values: dict[int, Any]) -> float:
        """The number of rows that are not ignored; with `class_weights`, the sum of the labels'
        weights.
        """
        if self.class_weights is None and self.ignore is None:
            return math.prod(shapes[0][:-1])
        labels = np.asarray(values[1])
        labels = labels if self.ignore is None else labels[labels != self.ignore]
        if self.class_weights is None:
            return labels.size
        weights = weight_of_each(self, self.class_weights, shapes[0])
        return float(np.sum(np.take(weights, labels)))

    def _softmax(self, x: Any) -> Any:
        """The softmax of a vector, or of each row of a matrix."""
        return softmax(x)

    def validate(self, x: Any, y: Any) -> None:
        seen, y = shape_of(x), np.asarray(y)
        if len(seen) < 2 or y.shape != seen[:-1] or 0 in seen or y.dtype.kind not in "iu":
            self._refuse_labels(seen, y)
        # Read as unsigned, a negative label is too large: one look instead of two. And to find the
        # place of the largest takes a third of the time of `max`, which matters at every step.
        if self.ignore is not None:
            y = np.where(y == self.ignore, 0, y)
        unsigned = y.view(_UNSIGNED[y.dtype]) if y.dtype.kind == "i" else y
        if unsigned.item(unsigned.argmax()) >= seen[-1]:
            logits, labels = (node.label for node in self.inbound_nodes)
            raise GraphError(
                f"{self}: {labels} has labels from {y.min()} to {y.max()}; "
                f"{logits} of shape {seen} has the classes 0 to {seen[-1] - 1}."
            )
        if self.class_weights is not None:
            weight_of_each(self, self.class_weights, seen)

    def _refuse_labels(self, seen: tuple[int, ...], y: Any) -> None:
        logits, labels = (node.label for node in self.inbound_nodes)
        if len(seen) < 2 or 0 in seen:
            raise ShapeError(
                f"{self}: {logits} has shape {seen}; logits have shape (n, k), or (n, ..., k), "
                "with one row and one class or more."
            )
        if y.shape != seen[:-1]:
            hint, rows = "", len(seen) - 1
            if y.shape == (*seen[:-1], 1):
                hint = f" Take its only column: y[{':, ' * rows}0]."
            elif y.shape == seen:
                hint = f" One-hot labels become numbers by y.argmax(axis={rows})."
            raise ShapeError(
                f"{self}: {labels} has shape {y.shape}; labels have shape {seen[:-1]}, "
                f"one for each {'row' if rows == 1 else 'vector'} of {logits}, {seen}.{hint}"
            )
        if y.dtype.kind == "f" and not (broken := np.isfinite(y) & (y == np.rint(y))).all():
            place = tuple(int(i) for i in np.unravel_index(np.argmin(broken), y.shape))
            at = place[0] if len(place) == 1 else place
            raise GraphError(
                f"{self}: {labels} has {y[place]} at index {at}; labels are the numbers of "
                f"classes, integers from 0 to {seen[-1] - 1}."
            )
        raise GraphError(
            f"{self}: {labels} has dtype {y.dtype}; labels are integers: y.astype(int)."
        )

    def compute(self, x: Any, y: Any) -> Any:
        x, y = _as_rows(promote(x), y)
        y, counts = self._find_ignored(x, y)
        powers = np.exp(below_largest(x, 1))
        totals = np.sum(powers, axis=1, keepdims=True)
        self.cache["probabilities"] = powers / totals
        # -log softmax, in small: two logits may lie further apart than the largest number.
        n = x.shape[0]
        small = shrink(n)
        logs, largest = small * np.log(totals), small * np.max(x, axis=1, keepdims=True)
        if self.label_smoothing == 0 and self.class_weights is None:
            of_labels = logs[:, 0] + (largest[:, 0] - small * x[np.arange(n), y])
            if counts is None:
                return np.sum(of_labels) / (n * small)
            return np.sum(where(counts > 0, of_labels, 0.0)) / (_at_least_one(counts) * small)
        shares = self.cache["shares"] = self._shares(self.cache["probabilities"], y, counts)
        counted = where(shares > 0, logs + (largest - small * x), 0.0)  # 0 · ∞ is not 0
        return np.sum(shares * counted) / small

    def gradient(self, grad: Any, x: Any, y: Any) -> Any:
        probabilities, shape = self.cache["probabilities"], x.shape
        x, y = _as_rows(x, y)
        y, counts = self._find_ignored(probabilities, y)
        n = x.shape[0]
        if self.label_smoothing == 0 and self.class_weights is None:
            share = grad / n if counts is None else counts * (grad / _at_least_one(counts))
            dx = probabilities * (share if counts is None else share[:, None])
            dx[np.arange(n), y] -= share
        else:
            shares = self.cache["shares"]
            dx = (probabilities * np.sum(shares, axis=1, keepdims=True) - shares) * grad
        return dx if len(shape) == 2 else np.reshape(dx, shape), None

    def _find_ignored(self, x: Any, y: Any) -> tuple[Any, Any]:
        """The labels, with a class in place of those that are ignored, and for each 1 where it
        counts and 0 where not; None, where nothing is ignored.
        """
        if self.ignore is None:
            return y, None
        is_counted = y != self.ignore
        return np.where(is_counted, y, 0), is_counted.astype(x.dtype)

    def _shares(self, like: Any, y: Any, counts: Any) -> Any:
        """How much each class of each row counts in the mean."""
        n, k = like.shape
        targets = np.full((n, k), self.label_smoothing / k, like.dtype)
        targets[np.arange(n), y] += 1 - self.label_smoothing
        if counts is not None:
            targets = targets * counts[:, None]
        if self.class_weights is None:
            return targets / (n if counts is None else _at_least_one(counts))
        weights = weight_of_each(self, self.class_weights, like.shape).astype(like.dtype)
        of_labels = np.take(weights, y)
        total = np.sum(of_labels if counts is None else of_labels * counts)
        return where(total > 0, targets * weights / where(total > 0, total, 1.0), 0.0)


def _at_least_one(counts: Any) -> Any:
    return np.maximum(np.sum(counts), 1.0)


def _as_rows(x: Any, y: Any) -> tuple[Any, Any]:
    """Logits of any rank as a matrix, and their labels as a vector."""
    if len(x.shape) == 2:
        return x, y
    return np.reshape(x, (-1, x.shape[-1])), np.reshape(y, (-1,))


class BinaryCrossEntropy(Op):
    """The mean of -y log σ(z) - (1 - y) log(1 - σ(z)), from logits: yes or no, entry by entry.

    Args:
        z: logits, any shape.
        y: the probability of yes, in [0, 1], in the same shape.
        name: None by default.

    Raises:
        GraphError: in the pass: an entry of y is not in [0, 1].
        ShapeError: in the pass: the shapes differ.

    Computed as max(z, 0) - z y + log(1 + e^-|z|), which cannot overflow; ∂L/∂z = (σ(z) - y) / n. A
    logit of ±∞ is a certainty: it costs nothing where it is right.

    >>> import numpy as np, miniflow as mf
    >>> z, y = mf.Input(), mf.Input()
    >>> loss = mf.BinaryCrossEntropy(z, y)
    >>> float(mf.value(loss, {z: np.array([1e4, -1e4]), y: np.array([1, 1])}))
    5000.0
    """

    answers = "yes or no"

    def __init__(self, z: Any, y: Any, *, name: str | None = None) -> None:
        Op.__init__(self, z, y, name=name)

    def validate(self, z: Any, y: Any) -> None:
        check_same_shape(self, z, y)
        y = np.asarray(y)
        if not (y.min() >= 0 and y.max() <= 1):
            raise GraphError(
                f"{self}: {self.inbound_nodes[1].label} runs from {y.min()} to {y.max()}; "
                "it holds probabilities, from 0 to 1."
            )

    def compute(self, z: Any, y: Any) -> Any:
        z, y = map(promote, as_operands(z, y))
        size = np.abs(z)
        apart = in_dtype_of(z, z > 0) - y
        wrong = where(z > 0, apart, -apart)  # how far the sign of z is from the truth
        return mean(where(wrong != 0, size, 0.0) * wrong + np.log1p(np.exp(-size)))

    def gradient(self, grad: Any, z: Any, y: Any) -> Any:
        share = grad / entries_of(z)
        z, y = map(promote, as_operands(z, y))
        return lambda: (sigmoid(z) - y) * share, lambda: -z * share

    def count_correct(self, logits: Any, labels: Any) -> Hits | None:
        """How many logits have the sign of their label, which is 0 or 1: entry by entry."""
        return signs(logits, labels)

    def divisor(self, shapes: Sequence[tuple[int, ...]], values: dict[int, Any]) -> float:
        """The number of entries."""
        return math.prod(shapes[0])


class MSE(Op):
    """The mean squared error, `mean((prediction - target)²)`.

    Args:
        prediction: any shape.
        target: the same shape.
        name: None by default.

    Raises:
        ShapeError: in the pass: the shapes differ.

    Its derivative is 2 (prediction - target), divided by the number of entries.

    >>> import numpy as np, miniflow as mf
    >>> p, t = mf.Input(), mf.Input()
    >>> mf.value_and_grad(mf.MSE(p, t), {p: np.array([1.0, 3.0]), t: np.array([1.0, 1.0])}, [p])
    (np.float64(2.0), [array([0., 2.])])
    """

    answers = "numbers"

    def __init__(self, prediction: Any, target: Any, *, name: str | None = None) -> None:
        Op.__init__(self, prediction, target, name=name)

    def count_correct(self, logits: Any, labels: Any) -> Hits | None:
        """Of targets that are one-hot, as for any loss; numbers have no accuracy."""
        several = np.ndim(logits) > 1 and np.shape(logits)[-1] > 1
        return largest_at_label(logits, labels) if several else None

    def divisor(self, shapes: Sequence[tuple[int, ...]], values: dict[int, Any]) -> float:
        """The number of entries."""
        return math.prod(shapes[0])

    def validate(self, prediction: Any, target: Any) -> None:
        check_same_shape(self, prediction, target)

    def compute(self, prediction: Any, target: Any) -> Any:
        return 4 * mean_square(half_error(prediction, target))

    def gradient(self, grad: Any, prediction: Any, target: Any) -> Any:
        share = half_error(prediction, target) * (4 * grad / entries_of(prediction))
        return share, lambda: -share


class DummyGrad(Op):
    """Passes its value through; its upstream gradient is fed: `feed_dict[dummy] = gradient`.

    Args:
        x: any shape.
        name: None by default.

    Raises:
        FeedError: in a backward pass: no gradient is fed.
        ShapeError: in a backward pass: its shape does not broadcast to that of the value.

    The gradient is broadcast to the shape of the value. Good for trying out a node that is not a
    loss.

    >>> import miniflow as mf
    >>> x = mf.Input()
    >>> dummy = mf.DummyGrad(x * x)
    >>> mf.value_and_grad(dummy, {x: 3, dummy: 0.5}, [x])
    (9, [3.0])
    """

    upstream_is_fed = True

    def __init__(self, x: Any, *, name: str | None = None) -> None:
        Op.__init__(self, x, name=name)

    def forward(self, gradient: Any = None) -> None:
        self.cache["gradient"] = gradient
        Op.forward(self)

    def compute(self, x: Any) -> Any:
        return x

    def upstream_gradient(self) -> Any:
        """What was fed, in the shape of the value, and in an array of its own."""
        fed, ones = self.cache["gradient"], ones_like(self.value)
        if fed is None:
            raise FeedError(f"{self} is fed its upstream gradient: feed_dict[dummy] = gradient.")
        if not _broadcasts_to(shape_of(fed), shape_of(self.value)):
            raise ShapeError(
                f"{self} was fed a gradient of shape {shape_of(fed)}; "
                f"its value has shape {shape_of(self.value)}."
            )
        return in_dtype_of(ones, fed) * ones

    def gradient(self, grad: Any, x: Any) -> Any:
        return (grad,)


def half_error(prediction: Any, target: Any) -> Any:
    """Half the difference: all of it may be twice as large as the largest number."""
    prediction, target = as_operands(prediction, target)
    return 0.5 * prediction - 0.5 * target


def _broadcasts_to(seen: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    fits = (a in (1, b) for a, b in zip(reversed(seen), reversed(shape), strict=False))
    return len(seen) <= len(shape) and all(fits)


def entries_of(x: Any) -> int:
    return int(np.prod(shape_of(x), dtype=int))


def check_same_shape(loss: Op, x: Any, y: Any) -> None:
    # NumPy would broadcast (n, 1) against (n,) to (n, n): quietly another loss.
    if shape_of(x) != shape_of(y) or 0 in shape_of(x):
        first, second = (node.label for node in loss.inbound_nodes)
        raise ShapeError(
            f"{loss}: {first} has shape {shape_of(x)} and {second} has shape {shape_of(y)}; "
            "they must have the same shape, and at least one entry."
        )
