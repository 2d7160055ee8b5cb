"""How good is it? Loss and accuracy over a data set, in batches, with the parameters left alone."""

from typing import Any, NamedTuple

import numpy as np

from miniflow import autodiff
from miniflow.batching import Batches, batches_for
from miniflow.errors import ShapeError
from miniflow.feeding import checked_output
from miniflow.graph import Node
from miniflow.nodes.loss import BinaryCrossEntropy
from miniflow.options import whole


class Evaluation(NamedTuple):
    """A mean over the examples; `accuracy` is None where it cannot be told."""

    loss: float
    accuracy: float | None


def evaluate(loss: Node, data: Any, *, batch_size: int = 1000) -> Evaluation:
    """The loss and the accuracy of a network over `data`.

    Args:
        loss: a loss, the mean over the rows of what it is fed.
        data: a `miniflow.datasets.Dataset`, or a dictionary {input: array}; as for `fit`.
        batch_size: rows at a time; 1000 by default. Only the memory that is used depends on it.

    Returns:
        (loss, accuracy). The accuracy is the share of rows whose largest logit is the label, if the
        loss has the inbound nodes (logits, labels) and the labels are class numbers or one-hot; for
        a `BinaryCrossEntropy`, of those whose logit has the right sign; else None.

    >>> import miniflow as mf
    >>> X, y = mf.Input("X"), mf.Input("y")
    >>> loss = mf.CrossEntropyWithSoftmax(mf.Linear(X, np.eye(2), np.zeros(2)), y)
    >>> result = evaluate(loss, {X: np.array([[3.0, 0.0], [3.0, 0.0]]), y: np.array([0, 1])})
    >>> round(result.loss, 4), result.accuracy
    (1.5486, 0.5)
    """
    checked_output(loss)
    rows = whole("evaluate", "batch_size", batch_size, least=1)
    return evaluate_batches(loss, batches_for(loss, data), rows)


def evaluate_batches(loss: Node, data: Batches, n: int) -> Evaluation:
    """`evaluate` for data that have been looked at already."""
    total, hits, rows = 0.0, 0, 0
    known = True
    for batch in data.batches(n):
        with autodiff._lock:  # no other thread's pass between this one and the look at its logits
            value = one_number(loss, autodiff.value(loss, batch.feed))
            correct = count_correct(loss)
        total += value * batch.rows
        rows += batch.rows
        known = known and correct is not None
        hits += correct or 0
    return Evaluation(total / rows, hits / rows if known else None)


def one_number(loss: Node, value: Any) -> float:
    """The value of a loss as a float. Raises ShapeError if it is more than one number."""
    if np.size(value) != 1:
        raise ShapeError(
            f"{loss} has a value of shape {np.shape(value)}; what is trained is one number: "
            "take the Mean of it."
        )
    return float(np.reshape(value, ()))


def count_correct(loss: Node) -> int | None:
    """How many rows of the last pass have their largest logit at the label; None if not known."""
    if len(loss.inbound_nodes) < 2:
        return None
    logits, labels = (np.asarray(source.value) for source in loss.inbound_nodes[:2])
    if logits.ndim == 2 and logits.shape[1] > 1:
        if labels.shape == logits.shape and _one_hot(labels):
            labels = labels.argmax(axis=1)
        if labels.shape == logits.shape[:1] and labels.dtype.kind in "iu":
            return int(np.count_nonzero(logits.argmax(axis=1) == labels))
    elif isinstance(loss, BinaryCrossEntropy) and _zeros_and_ones(labels):
        return int(np.count_nonzero((logits > 0) == (labels > 0)))
    return None


def _one_hot(labels: np.ndarray) -> bool:
    return _zeros_and_ones(labels) and bool((labels.sum(axis=1) == 1).all())


def _zeros_and_ones(labels: np.ndarray) -> bool:
    return bool(((labels == 0) | (labels == 1)).all())
