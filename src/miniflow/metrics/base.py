"""What a metric is; and scores, labels and weights, read in one way for all of them.

Predictions come in three kinds: of classes, scores (..., k) with labels (...) that are numbers of
classes; of yes and no, logits with labels of 0 and 1 in the same shape, each column a question of
its own; and of numbers. A loss says which it is about (`Node.answers`); where it does not, the
labels tell.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from miniflow.errors import DataError, GraphError
from miniflow.graph import Node
from miniflow.graph.hits import is_zeros_and_ones
from miniflow.graph.values import as_value, describe
from miniflow.options import OptionError

CLASSES, YES_OR_NO, NUMBERS = "classes", "yes or no", "numbers"


class Answers(NamedTuple):
    """Some predictions, a row each, with rows that weigh nothing left out.

    kind: CLASSES, YES_OR_NO or NUMBERS.
    scores: float64, (m, k) of classes; (m, columns) of the other kinds.
    labels: of classes (m,), whole numbers below k; else (m, columns): booleans, or float64.
    weights: float64, (m,); ones where nobody said anything.
    """

    kind: str
    scores: Any
    labels: Any
    weights: Any


class Count(Protocol):
    """A metric on its way through a data set.

    >>> import miniflow as mf
    >>> class WorstError(mf.metrics.Metric):
    ...     highest_is_best = False
    ...     def count(self):
    ...         return WorstSoFar()
    >>> class WorstSoFar:
    ...     worst = 0.0
    ...     def add(self, answers):
    ...         self.worst = max(self.worst, abs(answers.scores - answers.labels).max())
    ...     def result(self):
    ...         return float(self.worst)
    >>> WorstError()([1.0, 4.0], [2.0, 2.0])
    2.0
    """

    def add(self, answers: Answers) -> None:
        """Count some more predictions."""

    def result(self) -> float:
        """The metric of all that were counted. Raises DataError where there is none."""


class Metric:
    """A number that says how good predictions are, over all of a data set.

    Args:
        of: the two nodes that it reads, (scores, labels); those of the loss by default.
        weights: a node that says how much each label counts, numbers of at least 0 in the shape of
            the labels or of their first axes; a mask of 0 and 1, too. None by default: all alike.

    Raises:
        OptionError: of is no pair of nodes, or weights is no node.

    Subclass it for one of your own: `count` returns what adds up (a `Count`); `highest_is_best`,
    True by default, is what callbacks go by, and `kinds` which predictions it is for.

    >>> import numpy as np, miniflow as mf
    >>> x, y = mf.Input("x"), mf.Input("y")
    >>> loss = mf.MSE(x, y)
    >>> test = {x: np.array([1.0, 4.0]), y: np.array([2.0, 2.0])}
    >>> mf.evaluate(loss, test, metrics={"off": mf.metrics.MAE(of=(x, y))}).metrics
    {'off': 1.5}
    """

    highest_is_best = True
    kinds: Sequence[str] = (CLASSES, YES_OR_NO, NUMBERS)

    def __init__(self, *, of: Sequence[Node] | None = None, weights: Node | None = None) -> None:
        if of is not None:
            pair = tuple(of) if isinstance(of, (tuple, list)) else ()
            if len(pair) != 2 or not all(isinstance(node, Node) for node in pair):
                raise OptionError(
                    f"{type(self).__name__}: of has two nodes, (scores, labels), not "
                    f"{describe(of)}."
                )
            of = pair
        if weights is not None and not isinstance(weights, Node):
            raise OptionError(
                f"{type(self).__name__}: weights is a node, whose value is fed or computed, not "
                f"{describe(weights)}."
            )
        self.of, self.weights = of, weights

    def count(self) -> Count:
        """A count of nothing yet."""
        raise NotImplementedError

    def read(
        self, scores: Any, labels: Any, weights: Any = None, kind: str | None = None
    ) -> Answers:
        """Arrays as `Answers`.

        Args:
            scores, labels, weights: what a batch has.
            kind: what the loss says of them; None: the labels tell.

        Raises DataError where they do not go together, or are nothing for this metric.
        """
        scores, labels = _array(self, "scores", scores), _array(self, "labels", labels)
        weights = None if weights is None else _array(self, "weights", weights)
        return _read(self, scores, labels, weights, kind)

    def __call__(self, scores: Any, labels: Any, weights: Any = None) -> float:
        """The metric of these arrays.

        >>> from miniflow.metrics import Accuracy
        >>> Accuracy()([[0.1, 0.9], [0.8, 0.2]], [1, 1])
        0.5
        """
        count = self.count()
        count.add(self.read(scores, labels, weights))
        return count.result()

    def __repr__(self) -> str:
        shown = [f"{name}={value!r}" for name, value in vars(self).items() if value is not None]
        return f"{type(self).__name__}({', '.join(shown)})"


def _array(metric: Metric, name: str, x: Any) -> Any:
    """What was given, as an array of numbers."""
    try:
        return np.asarray(as_value(x, f"{metric!r}, for {name},"))
    except GraphError as error:
        raise DataError(f"{str(error).rstrip('.')}.") from None


def _read(metric: Metric, scores: Any, labels: Any, weights: Any, kind: str | None) -> Answers:
    if kind is None:
        kind = _kind_of(scores, labels)
        if kind == CLASSES and CLASSES not in metric.kinds and labels.shape == scores.shape:
            kind = NUMBERS
    if kind not in metric.kinds:
        raise DataError(
            f"{metric!r} is of {' or '.join(metric.kinds)}, and was given {kind}: scores "
            f"{scores.shape} and labels {labels.shape} of {labels.dtype}."
        )
    read = _classes if kind == CLASSES else _columns
    scores, labels = read(metric, np.asarray(scores, np.float64), labels, kind)
    if weights is None:
        weights = np.ones(len(labels))
    else:
        weights = _rows_of_weights(metric, np.asarray(weights, np.float64), labels, len(labels))
        counts = weights > 0
        if not counts.all():
            scores, labels, weights = scores[counts], labels[counts], weights[counts]
    if kind == CLASSES and len(labels) and not 0 <= labels.min() <= labels.max() < scores.shape[1]:
        raise DataError(
            f"{metric!r}: labels run from {labels.min()} to {labels.max()}, and scores have the "
            f"classes 0 to {scores.shape[1] - 1}."
        )
    return Answers(kind, scores, labels, weights)


def _kind_of(scores: Any, labels: Any) -> str:
    """What predictions are of, from their shapes and the numbers among the labels."""
    if labels.dtype.kind in "iub" and scores.ndim == labels.ndim + 1 and scores.shape[-1] > 1:
        return CLASSES
    if labels.size and is_zeros_and_ones(labels):
        several = labels.shape == scores.shape and scores.ndim > 1 and scores.shape[-1] > 1
        return CLASSES if several and (labels.sum(axis=-1) == 1).all() else YES_OR_NO
    return NUMBERS


def _classes(metric: Metric, scores: Any, labels: Any, kind: str) -> tuple[Any, Any]:
    if labels.shape == scores.shape and scores.ndim > 1 and is_zeros_and_ones(labels):
        labels = labels.argmax(axis=-1)
    if scores.ndim < 2 or labels.shape != scores.shape[:-1] or labels.dtype.kind not in "iub":
        raise _do_not_fit(metric, scores, labels, "labels are numbers of classes, one for each row")
    return scores.reshape(-1, scores.shape[-1]), labels.reshape(-1).astype(np.int64)


def _columns(metric: Metric, scores: Any, labels: Any, kind: str) -> tuple[Any, Any]:
    if scores.size != labels.size or scores.shape[:1] != labels.shape[:1] or scores.ndim == 0:
        raise _do_not_fit(metric, scores, labels, "labels have the shape of the scores")
    if kind == YES_OR_NO:
        if not is_zeros_and_ones(labels):
            raise _do_not_fit(metric, scores, labels, "labels are 0 and 1")
        labels = labels > 0
    columns = scores.shape[-1] if scores.ndim > 1 else 1
    return scores.reshape(-1, columns), np.asarray(labels).reshape(-1, columns)


def _do_not_fit(metric: Metric, scores: Any, labels: Any, wanted: str) -> DataError:
    return DataError(
        f"{metric!r}: scores of shape {scores.shape}, and labels of shape {labels.shape} and "
        f"dtype {labels.dtype}, do not go together: {wanted}."
    )


def _rows_of_weights(metric: Metric, weights: Any, labels: Any, rows: int) -> Any:
    """Weights, one for each row."""
    if weights.size and rows % weights.size == 0:
        each = np.repeat(weights.reshape(-1), rows // weights.size)
    elif weights.size == labels.size and rows:  # one for each entry of each column, all alike
        table = weights.reshape(rows, -1)
        if not (table == table[:, :1]).all():
            raise DataError(f"{metric!r}: weights differ within a row of labels.")
        each = table[:, 0]
    elif weights.size == rows == 0:
        each = weights.reshape(-1)
    else:
        raise DataError(
            f"{metric!r}: weights of shape {weights.shape} for {rows} rows of labels: they have "
            "the shape of the labels, or of their first axes."
        )
    if not (np.isfinite(each).all() and (each >= 0).all()):
        raise DataError(f"{metric!r}: weights are finite numbers of at least 0.")
    return each


def nothing_counts(metric: Metric) -> DataError:
    """What is told where no label has a weight."""
    return DataError(f"{metric!r}: no label counts: there are none, or all weights are 0.")
