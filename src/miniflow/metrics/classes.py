"""Metrics of classes: how many labels were met, and how many of those that are, or were said to be,
of a class.

What is predicted is the class of the largest score; of yes and no, yes where the logit is positive.
Of two logits, class 1 is the positive one. A score that is NaN meets nothing.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from miniflow.errors import DataError
from miniflow.graph import Node
from miniflow.metrics.base import CLASSES, YES_OR_NO, Answers, Count, Metric, nothing_counts
from miniflow.options import OptionError

AVERAGES = ("macro", "micro", "weighted")


class Accuracy(Metric):
    """The share of labels that were met: of classes those with the largest score; of yes and no,
    entry by entry, those whose logit has their sign.

    Args:
        of, weights: as for every `Metric`.

    Raises:
        OptionError: an option does not fit.
        DataError: when it is asked: there is nothing that counts.

    Of classes, scores have shape (n, ..., k) and labels (n, ...), or one-hot rows (n, ..., k); of
    yes and no, both have one shape.

    >>> Accuracy()([[0.1, 0.9], [0.8, 0.2]], [1, 1], weights=[1, 3])
    0.25
    """

    kinds = (CLASSES, YES_OR_NO)

    def count(self) -> Count:
        return _Share(self)

    def hits(self, answers: Answers) -> Any:
        """How much of each row was met, from 0 to 1."""
        if answers.kind == CLASSES:
            met = predicted_classes(answers) == answers.labels
            return met & ~np.isnan(answers.scores).any(axis=1)
        met = (answers.scores > 0) == answers.labels
        return (met & ~np.isnan(answers.scores)).mean(axis=1)


class _Share:
    """A weighted mean of what each row has."""

    def __init__(self, metric: Any) -> None:
        self.metric = metric
        self.met = self.weight = 0.0

    def add(self, answers: Answers) -> None:
        self.met += float(np.dot(answers.weights, self.metric.hits(answers)))
        self.weight += float(answers.weights.sum())

    def result(self) -> float:
        if self.weight == 0:
            raise nothing_counts(self.metric)
        return self.met / self.weight


class _OfOneClass(Metric):
    """What Precision, Recall and F1 share: how many are of a class, how many were said to be, and
    how many are both; and a mean over classes.
    """

    kinds = (CLASSES, YES_OR_NO)

    def __init__(
        self,
        average: str | None = None,
        *,
        of: Sequence[Node] | None = None,
        weights: Node | None = None,
    ) -> None:
        Metric.__init__(self, of=of, weights=weights)
        if average is not None and average not in AVERAGES:
            raise OptionError(
                f"{type(self).__name__}: average is one of {', '.join(AVERAGES)}, or None, not "
                f"{average!r}."
            )
        self.average = average

    def count(self) -> Count:
        return _Table(self)

    def of_counts(self, both: Any, said: Any, true: Any) -> Any:
        """The metric of one class, from what was counted; 0 where it would be 0 / 0."""
        raise NotImplementedError


class Precision(_OfOneClass):
    """Of those that were said to be of a class, the share that is.

    Args:
        average: over more than two classes, or several columns of yes and no: "macro", the mean
            over all classes that occur; "micro", all counted together; "weighted", the mean
            weighted with how often each occurs. By default class 1 alone where there are two, and
            "macro" where there are more.
        of, weights: as for every `Metric`.

    Where nothing was said to be of a class, its precision is 0. Raises DataError where class 1 of
    two does not occur.

    Of classes, scores have shape (n, ..., k) and labels (n, ...), or one-hot rows (n, ..., k); of
    yes and no, both have one shape.

    >>> Precision()([0.5, 1.0, -1.0], [1, 0, 1])
    0.5
    """

    def of_counts(self, both: Any, said: Any, true: Any) -> Any:
        return ratio(both, said)


class Recall(_OfOneClass):
    """Of those that are of a class, the share that was said to be.

    Args:
        average, of, weights: as for `Precision`.

    Raises DataError where class 1 of two does not occur.

    Of classes, scores have shape (n, ..., k) and labels (n, ...), or one-hot rows (n, ..., k); of
    yes and no, both have one shape.

    >>> Recall()([0.5, 1.0, -1.0, -1.0], [1, 1, 1, 0]) == 2 / 3
    True
    """

    def of_counts(self, both: Any, said: Any, true: Any) -> Any:
        return ratio(both, true)


class F1(_OfOneClass):
    """The harmonic mean of precision and recall: 2 · both / (said + true).

    Args:
        average, of, weights: as for `Precision`.

    Raises DataError where class 1 of two does not occur.

    Of classes, scores have shape (n, ..., k) and labels (n, ...), or one-hot rows (n, ..., k); of
    yes and no, both have one shape.

    >>> F1()([0.5, 1.0, -1.0], [1, 0, 1])
    0.5
    """

    def of_counts(self, both: Any, said: Any, true: Any) -> Any:
        return ratio(2 * both, said + true)


class _Table:
    """For each class how much there is of it, was said to be, and both."""

    def __init__(self, metric: _OfOneClass) -> None:
        self.metric = metric
        self.counts: Any = None  # (3, classes)
        self.kind = ""

    def add(self, answers: Answers) -> None:
        weights = answers.weights
        if answers.kind == CLASSES:
            count = answers.scores.shape[1]
            said = predicted_classes(answers)
            met = said == answers.labels
            found = [
                np.bincount(labels, its, minlength=count)
                for labels, its in (
                    (answers.labels[met], weights[met]),
                    (said, weights),
                    (answers.labels, weights),
                )
            ]
        else:
            positive = answers.scores > 0
            found = [weights @ table for table in (positive & answers.labels, positive)]
            found.append(weights @ answers.labels)
        new = np.array(found)
        self.counts, self.kind = new if self.counts is None else self.counts + new, answers.kind

    def result(self) -> float:
        if self.counts is None or (self.counts.sum() == 0 and self.kind == CLASSES):
            raise nothing_counts(self.metric)
        both, said, true = self.counts
        of_two = self.kind == CLASSES and len(both) == 2
        average = self.metric.average
        if average is None and (of_two or len(both) == 1):
            if true[-1] == 0:
                raise DataError(
                    f"{self.metric!r}: no label is 1, the positive class: there is nothing to find."
                )
            return float(self.metric.of_counts(both[-1], said[-1], true[-1]))
        if average == "micro":
            return float(self.metric.of_counts(both.sum(), said.sum(), true.sum()))
        each = self.metric.of_counts(both, said, true)
        if average == "weighted":
            return float(ratio(each @ true, true.sum()))
        occurs = (said + true > 0) if self.kind == CLASSES else np.ones(len(both), bool)
        return float(each[occurs].mean())


def predicted_classes(answers: Answers) -> Any:
    """The class of the largest score of each row."""
    return answers.scores.argmax(axis=1)


def ratio(part: Any, whole: Any) -> Any:
    """Part / whole, and 0 where the whole is 0.

    >>> ratio(np.array([1.0, 0.0]), np.array([2.0, 0.0]))
    array([0.5, 0. ])
    """
    return np.divide(part, whole, out=np.zeros(np.shape(whole)), where=np.asarray(whole) != 0)
