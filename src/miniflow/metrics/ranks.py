"""Metrics of the order of scores: TopK and AUC."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from miniflow.errors import DataError
from miniflow.graph import Node
from miniflow.metrics.base import CLASSES, YES_OR_NO, Answers, Count, Metric, nothing_counts
from miniflow.metrics.classes import _Share
from miniflow.options import flag, whole


class TopK(Metric):
    """The share of labels that are among the k classes with the largest scores.

    Args:
        k: how many classes may be named; 5 by default. Of equal scores, those of later classes come
            first, as in scikit-learn.
        of, weights: as for every `Metric`.

    Raises DataError where there are no more than k classes.

    Scores have shape (n, ..., k), and labels (n, ...).

    >>> TopK(2)([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]], [1, 2])
    0.5
    """

    kinds = (CLASSES,)

    def __init__(
        self, k: int = 5, *, of: Sequence[Node] | None = None, weights: Node | None = None
    ) -> None:
        Metric.__init__(self, of=of, weights=weights)
        self.k = whole("TopK", "k", k, least=1)

    def count(self) -> Count:
        return _Share(self)

    def hits(self, answers: Answers) -> Any:
        """Which rows have their label among the k."""
        scores, labels = answers.scores, answers.labels
        if scores.shape[1] <= self.k:
            raise DataError(
                f"{self!r}: there are {scores.shape[1]} classes: a label is always among that many."
            )
        own = scores[np.arange(len(labels)), labels][:, None]
        later = np.arange(scores.shape[1]) > labels[:, None]
        before = ((scores > own) | ((scores == own) & later)).sum(axis=1)
        return (before < self.k) & ~np.isnan(scores).any(axis=1)


class AUC(Metric):
    """The area under the ROC curve: how probable it is that of one example of a class, and one of
    none, the first has the larger score; equal scores count half.

    Args:
        from_logits: whether scores of more than two classes are logits, of which the softmax is
            taken, or probabilities already; True by default.
        of, weights: as for every `Metric`.

    Of two logits class 1 is the positive one, and their difference the score. Of more classes each
    stands against all others, and of several columns of yes and no each by itself: the mean over
    them. It keeps all scores of the data set. A NaN among them makes NaN of it.

    Raises DataError where there is one class only, or one of the classes does not occur.

    Of classes, scores have shape (n, ..., k) and labels (n, ...), or one-hot rows (n, ..., k); of
    yes and no, both have one shape.

    >>> AUC()([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1])
    0.75
    """

    kinds = (CLASSES, YES_OR_NO)

    def __init__(
        self,
        *,
        from_logits: bool = True,
        of: Sequence[Node] | None = None,
        weights: Node | None = None,
    ) -> None:
        Metric.__init__(self, of=of, weights=weights)
        self.from_logits = flag("AUC", "from_logits", from_logits)

    def count(self) -> Count:
        return _Scores(self)


class _Scores:
    """All scores of a data set, a column for each class that stands against the others."""

    def __init__(self, metric: AUC) -> None:
        self.metric = metric
        self.parts: list[tuple[Any, Any, Any]] = []

    def add(self, answers: Answers) -> None:
        scores, labels = answers.scores, answers.labels
        if answers.kind == CLASSES and scores.shape[1] == 2:
            scores, labels = scores[:, 1:] - scores[:, :1], labels[:, None] == 1
        elif answers.kind == CLASSES:
            if self.metric.from_logits:
                powers = np.exp(scores - scores.max(axis=1, keepdims=True))
                scores = powers / powers.sum(axis=1, keepdims=True)
            labels = labels[:, None] == np.arange(scores.shape[1])
        self.parts.append((np.array(scores), np.array(labels), np.array(answers.weights)))

    def result(self) -> float:
        scores, labels, weights = (
            (np.concatenate(parts) for parts in zip(*self.parts, strict=True))
            if self.parts
            else (np.zeros((0, 1)), np.zeros((0, 1), bool), np.zeros(0))
        )
        if not len(weights):
            raise nothing_counts(self.metric)
        columns = range(scores.shape[1])
        return float(np.mean([self._area(scores[:, i], labels[:, i], weights, i) for i in columns]))

    def _area(self, scores: Any, labels: Any, weights: Any, column: int) -> float:
        if labels.all() or not labels.any():
            every, of = ("every", "all") if labels.all() else ("no", "none")
            raise DataError(
                f"{self.metric!r}: {every} label is of class {column if column else 1}: one class "
                f"only, and no curve between it and others ({of} of {len(labels):,})."
            )
        if np.isnan(scores).any():
            return float("nan")
        order = np.argsort(scores, kind="stable")
        scores, weights = scores[order], weights[order]
        positive = np.where(labels[order], weights, 0.0)
        starts = np.flatnonzero(np.concatenate([[True], scores[1:] != scores[:-1]]))
        yes = np.add.reduceat(positive, starts)
        no = np.add.reduceat(weights - positive, starts)
        below = np.cumsum(no) - no
        return float(np.dot(yes, below + no / 2) / (yes.sum() * no.sum()))
