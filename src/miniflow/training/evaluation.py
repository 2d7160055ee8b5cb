"""How good is it? Loss and accuracy over a data set, in batches, with the parameters left alone."""

from typing import Any, NamedTuple

from miniflow.graph import Node
from miniflow.interpreter.feeding import checked_output
from miniflow.options import whole, with_known_options
from miniflow.training.batching import Batches, batches_for
from miniflow.training.stepping import Evaluator, make_evaluator


class Evaluation(NamedTuple):
    """A mean over the examples; `accuracy` is None where it cannot be told."""

    loss: float
    accuracy: float | None


@with_known_options(
    {
        "x": "write data={X: x, y: y}",
        "y": "write data={X: x, y: y}",
        "verbose": "nothing is printed",
    }
)
def evaluate(loss: Node, data: Any, *, batch_size: int = 1000, backend: str = "auto") -> Evaluation:
    """The loss and the accuracy of a network over `data`.

    Args:
        loss: a loss, the mean over the rows of what it is fed.
        data: a `miniflow.datasets.Dataset`, a dictionary {input: array}, or a function that yields
            batches; as for `fit`.
        batch_size: rows at a time; 1000 by default. Only the memory that is used depends on it.
        backend: what runs it, as for `fit`; "auto" by default.

    Returns:
        (loss, accuracy). The accuracy is the share of rows whose largest logit is the label, if the
        loss has the inbound nodes (logits, labels) and the labels are class numbers or one-hot; for
        a `BinaryCrossEntropy`, of those whose logit has the right sign; else None.

    >>> import numpy as np, miniflow as mf
    >>> X, y = mf.Input("X"), mf.Input("y")
    >>> loss = mf.CrossEntropyWithSoftmax(mf.Linear(X, np.eye(2), np.zeros(2)), y)
    >>> result = evaluate(loss, {X: np.array([[3.0, 0.0], [3.0, 0.0]]), y: np.array([0, 1])})
    >>> round(result.loss, 4), result.accuracy
    (1.5486, 0.5)
    """
    evaluator = make_evaluator(checked_output(loss), backend)
    rows = whole("evaluate", "batch_size", batch_size, least=1)
    return evaluate_batches(evaluator, batches_for(loss, data), rows)


def evaluate_batches(evaluator: Evaluator, data: Batches, n: int) -> Evaluation:
    """`evaluate` for data that have been looked at already."""
    total, hits, rows = 0.0, 0, 0
    known = True
    for batch in data.batches(n):
        loss, correct = evaluator(batch.feed)
        total += loss * batch.rows
        rows += batch.rows
        known = known and correct is not None
        hits += correct or 0
    return Evaluation(total / rows, hits / rows if known else None)
