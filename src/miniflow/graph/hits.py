"""Accuracy: which scores say what the labels say. One place decides, for `accuracy`, `fit`,
`evaluate` and whoever asks.

A score that is NaN is no answer. It is never a hit, whatever the label; and it is counted, so that
whoever shows the accuracy can say so.
"""

import warnings
from typing import Any, NamedTuple

import numpy as np

from miniflow.graph.places import users_level


class Hits(NamedTuple):
    """How many labels there are, how many of them were met, and how many have scores that are NaN.

    >>> Hits(3, 4) + Hits(1, 4, nan=2)
    Hits(correct=4, labelled=8, nan=2)
    """

    correct: int
    labelled: int
    nan: int = 0

    def __add__(self, other: Any) -> "Hits":
        return Hits(*(a + b for a, b in zip(self, other, strict=True)))

    @property
    def share(self) -> float | None:
        """The accuracy; None where nothing is labelled."""
        return self.correct / self.labelled if self.labelled else None


class NaNWarning(UserWarning):
    """A score or a loss is NaN, which is no answer."""


def warn_of_nan(hits: Hits, who: object) -> None:
    """Say so, if there are scores that are NaN."""
    if hits.nan:
        warnings.warn(
            f"{who}: of {hits.labelled:,} labels, {hits.nan:,} have a score that is NaN. "
            "They count as missed.",
            NaNWarning,
            stacklevel=users_level(),
        )


def largest_at_label(logits: Any, labels: Any) -> Hits | None:
    """The hits where the largest of the last axis is the answer; of a single column, its sign.

    Args:
        logits: (..., classes); or (..., 1) or (n,), the logits of yes and no.
        labels: class numbers (...), or one-hot (..., classes); of yes and no, ones and zeros. A
            number that is none of a class (-1, say) is no label.

    Returns None where the labels are none of these.

    >>> largest_at_label([[0.1, 0.9], [0.8, 0.2]], [1, 1])
    Hits(correct=1, labelled=2, nan=0)
    >>> largest_at_label([[0.1], [0.8]], [0.5, 0.3]) is None
    True
    """
    logits, labels = np.asarray(logits), np.asarray(labels)
    if logits.ndim == 0 or logits.size == 0:
        return None
    if logits.ndim == 1 or logits.shape[-1] == 1:
        return signs(logits.reshape(-1), labels.reshape(-1))
    if labels.shape == logits.shape and is_zeros_and_ones(labels):
        if not np.all(labels.sum(axis=-1) == 1):
            return None
        labels = labels.argmax(axis=-1)
    if labels.dtype.kind not in "iub" or labels.size * logits.shape[-1] != logits.size:
        return None
    logits, labels = logits.reshape(-1, logits.shape[-1]), labels.reshape(-1)
    labelled = (labels >= 0) & (labels < logits.shape[1])
    met, nan = logits.argmax(axis=1) == labels, _nan_in_rows(logits)
    if nan is not None:
        met, nan = met & ~nan, nan & labelled
    return Hits(*map(_count, (met, labelled, nan)))


def signs(logits: Any, labels: Any) -> Hits | None:
    """The hits where each logit says yes if it is positive, and no if not.

    Args:
        logits: any shape.
        labels: ones and zeros, in the same shape.

    Returns None where the labels are anything else.

    >>> signs([0.3, -0.2, float("nan")], [1, 1, 0])
    Hits(correct=1, labelled=3, nan=1)
    """
    logits, labels = np.asarray(logits), np.asarray(labels)
    if logits.shape != labels.shape or logits.size == 0 or not is_zeros_and_ones(labels):
        return None
    met, nan = (logits > 0) == (labels > 0), np.isnan(logits)
    return Hits(_count(met & ~nan), labels.size, _count(nan))


def is_zeros_and_ones(values: Any) -> bool:
    """Whether all entries are 0 or 1."""
    return bool(((values == 0) | (values == 1)).all())


def _nan_in_rows(logits: Any) -> Any:
    """Which rows have a NaN; None if there is none. One sum mostly tells."""
    if logits.dtype.kind != "f":
        return None
    with np.errstate(all="ignore"):
        if not np.isnan(logits.sum()):
            return None
    nan = np.isnan(logits).any(axis=1)
    return nan if nan.any() else None


def _count(some: Any) -> int:
    return 0 if some is None else int(np.count_nonzero(some))
