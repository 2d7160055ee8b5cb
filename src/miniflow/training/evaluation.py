"""How good is it? Loss and accuracy over a data set, in batches, with the parameters left alone."""

import math
import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple

from miniflow.distributed.meeting import meeting
from miniflow.graph import Node
from miniflow.graph.hits import NaNWarning
from miniflow.graph.places import users_level
from miniflow.graph.plans import ancestors_in_order
from miniflow.interpreter.feeding import checked_output, give_to_sources
from miniflow.interpreter.not_finite import find_not_finite
from miniflow.interpreter.passes import one_pass_at_a_time
from miniflow.metrics import Metric
from miniflow.options import whole, with_known_options
from miniflow.tracing.keeping import preserved_deeply
from miniflow.training.averages import Totals
from miniflow.training.batching import Batches, batches_for
from miniflow.training.interrupts import at_once
from miniflow.training.measuring import Measures
from miniflow.training.stepping import Evaluator, make_evaluator


class _LossAndAccuracy(NamedTuple):
    loss: float
    accuracy: float | None


class Evaluation(_LossAndAccuracy):
    """A mean over the examples; `accuracy` is None where it cannot be told. `metrics` has those
    that were asked for, by name.
    """

    metrics: dict[str, float]

    def __new__(
        cls, loss: float, accuracy: float | None, metrics: dict[str, float] | None = None
    ) -> "Evaluation":
        made = super().__new__(cls, loss, accuracy)
        made.metrics = dict(metrics or {})
        return made

    def __repr__(self) -> str:
        metrics = f", metrics={self.metrics}" if self.metrics else ""
        return f"Evaluation(loss={self.loss!r}, accuracy={self.accuracy!r}{metrics})"

    def __reduce__(self) -> Any:
        return Evaluation, (self.loss, self.accuracy, self.metrics)


@with_known_options(
    {
        "x": "write data={X: x, y: y}",
        "y": "write data={X: x, y: y}",
        "verbose": "nothing is printed",
    }
)
def evaluate(
    loss: Node,
    data: Any,
    *,
    metrics: Mapping[str, Metric] | None = None,
    batch_size: int = 1000,
    backend: str = "auto",
) -> Evaluation:
    """The loss and the accuracy of a network over `data`.

    Args:
        loss: a loss. What is returned is its value over all data: of a mean the mean over all that
            it divides by (rows, entries, weights of classes), of a sum the sum, and of a loss that
            is put together from such numbers, what they make. One of your own is taken to be the
            mean over the rows of what it is fed, if it does not say otherwise (`Node.divisor`).
        data: a `miniflow.datasets.Dataset`, a dictionary {input: array}, or a function that yields
            batches; as for `fit`.
        metrics: name → metric, `{"auc": mf.metrics.AUC()}`; none by default. Each is over all the
            data, and found in the result's `.metrics`.
        batch_size: rows at a time; 1000 by default. Only the memory that is used depends on it.
        backend: what runs it, as for `fit`; "auto" by default.

    Returns:
        (loss, accuracy). The accuracy is the share of labels at which the largest logit is, if the
        loss has the inbound nodes (logits, labels) and the labels are class numbers or one-hot; for
        a `BinaryCrossEntropy`, of those whose logit has the right sign; else None. What is NaN is
        no answer: it counts as missed, and there is a `NaNWarning` that names the node.

    Raises:
        OptionError: a metric does not fit the loss.
        DataError: the data are none, or none for a metric: of one class only, say.

    >>> import numpy as np, miniflow as mf
    >>> X, y = mf.Input("X"), mf.Input("y")
    >>> loss = mf.CrossEntropyWithSoftmax(mf.Linear(X, np.eye(2), np.zeros(2)), y)
    >>> result = evaluate(loss, {X: np.array([[3.0, 0.0], [3.0, 0.0]]), y: np.array([0, 1])})
    >>> round(result.loss, 4), result.accuracy
    (1.5486, 0.5)
    """
    measures = Measures("evaluate", checked_output(loss), metrics)
    evaluator = make_evaluator(loss, backend)
    evaluator.measure(measures.nodes, measures.outside)
    rows = whole("evaluate", "batch_size", batch_size, least=1)
    return evaluate_batches(
        evaluator, batches_for(loss, data, also=measures.outside), rows, measures
    )


def evaluate_batches(evaluator: Evaluator, data: Batches, n: int, measures: Measures) -> Evaluation:
    """`evaluate` for data that have been looked at already."""
    return evaluate_by_name(evaluator, data, n, measures)[0]


def evaluate_by_name(
    evaluator: Evaluator, data: Batches, n: int, measures: Measures
) -> tuple[Evaluation, dict[str, Evaluation]]:
    """The same, and that of each loss of the evaluator that has a name of its own."""
    totals = Totals(evaluator.averages, measures.begin())
    named = evaluator.new_totals()
    broken: Any = None  # the first batch whose loss is NaN
    batches = data.batches(n)
    alone = meeting() is None  # others would wait for this process's part
    while (batch := at_once(next, batches, None) if alone else next(batches, None)) is not None:
        result = evaluator(batch.feed)
        totals.add(result, batch.rows)
        for name, one in evaluator.named.items():
            named[name].add(one, batch.rows)
        if broken is None and math.isnan(result.loss):
            broken = batch.feed
    if broken is not None or (totals.hits and totals.hits.nan):
        _warn_of_nan(evaluator.loss, totals, broken)
    each = {name: Evaluation(one.loss, one.accuracy) for name, one in named.items()}
    return Evaluation(totals.loss, totals.accuracy, totals.metrics.results()), each


def _warn_of_nan(loss: Node, totals: Totals, feed: Any) -> None:
    """Say once that what is returned is no answer, and where that began."""
    told = []
    if feed is not None:
        with one_pass_at_a_time, preserved_deeply(ancestors_in_order(loss)):
            told = [f"is nan over these data. {find_not_finite(loss, give_to_sources(feed)) or ''}"]
    if totals.hits is not None and totals.hits.nan:
        hits = totals.hits
        told.append(f"{hits.nan:,} of {hits.labelled:,} labels have scores that are NaN: missed.")
    warnings.warn(f"{loss} {' '.join(told)}", NaNWarning, stacklevel=users_level())
