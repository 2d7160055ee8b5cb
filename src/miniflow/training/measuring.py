"""The metrics that a training or an evaluation was asked for: which nodes they read, and their
counts over the batches of a data set.

A metric reads the logits and the labels of the loss, which is found in a loss that is put together,
too: cross entropy and a penalty. What else it reads is given with it, `AUC(of=..., weights=...)`;
an input that only a metric reads need not lead to the loss.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from miniflow.errors import DataError
from miniflow.graph import Node
from miniflow.graph.plans import ancestors_in_order
from miniflow.graph.values import describe, read_only
from miniflow.interpreter.feeding import is_input
from miniflow.metrics import Metric
from miniflow.metrics.base import Count
from miniflow.options import OptionError
from miniflow.training.averages import Averages

VALIDATION = "validation_"
TAKEN = ("epoch", "loss", "accuracy", "seconds", "learning_rate", "metrics")


class MetricNodes(NamedTuple):
    """A metric, and the nodes that it reads; `kind` is what the loss says of them."""

    metric: Metric
    scores: Node
    labels: Node
    weights: Node | None
    kind: str | None


class Measures:
    """Metrics by name, and what they read.

    Attributes:
        readings: name → `MetricNodes`.
        nodes: all that they read.
        outside: those of them that do not lead to the loss; they are fed all the same.
    """

    def __init__(self, owner: str = "fit", loss: Any = None, metrics: Any = None) -> None:
        given = _check_metrics(owner, metrics)
        self.readings = {name: _nodes_of(owner, loss, name, m) for name, m in given.items()}
        read = [
            node
            for r in self.readings.values()
            for node in (r.scores, r.labels, r.weights)
            if node is not None
        ]
        self.nodes = list(dict.fromkeys(read))
        inside = set(ancestors_in_order(loss)) if read else set()
        self.outside = [node for node in self.nodes if node not in inside]
        for node in self.outside:
            if not is_input(node):
                raise OptionError(
                    f"{owner}: a metric reads {node}, which {loss} does not depend on, and which "
                    "is no input that could be fed."
                )

    def begin(self) -> "MetricCounts":
        """A count of nothing yet."""
        return MetricCounts(self.readings)

    def directions(self) -> dict[str, bool]:
        """Column of the history → whether its highest value is the best."""
        each = {name: r.metric.highest_is_best for name, r in self.readings.items()}
        return each | {VALIDATION + name: highest for name, highest in each.items()}


class MetricCounts:
    """The metrics of a data set on the way through its batches."""

    def __init__(self, readings: Mapping[str, MetricNodes]) -> None:
        self._readings = readings
        self._counts: dict[str, Count] = {name: r.metric.count() for name, r in readings.items()}

    def add(self, values: Mapping[Node, Any] | None) -> None:
        """Count a batch, from the values of the nodes that are read; a metric of somebody's own
        cannot write to them, since what was fed may be the data themselves.
        """
        values = values or {}
        for name, (metric, scores, labels, weights, kind) in self._readings.items():
            with _speaking_of(name):
                for node in (scores, labels, weights):
                    if node is not None and node not in values:
                        raise DataError(f"{metric!r} reads {node}, which was not fed.")
                weigh = None if weights is None else read_only(values[weights])
                read = read_only(values[scores]), read_only(values[labels])
                answers = metric.read(*read, weigh, kind)
                self._counts[name].add(answers)

    def results(self) -> dict[str, float]:
        """The metrics of all that was counted. Raises DataError where one has none."""
        found = {}
        for name, count in self._counts.items():
            with _speaking_of(name):
                found[name] = float(count.result())
        return found


@contextmanager
def _speaking_of(name: str) -> Iterator[None]:
    """Says of which metric an error speaks."""
    try:
        yield
    except DataError as error:
        raise DataError(f"The metric {name!r}: {error}") from error


def _check_metrics(owner: str, metrics: Any) -> dict[str, Metric]:
    if metrics is None:
        return {}
    if not isinstance(metrics, Mapping):
        raise OptionError(
            f"{owner}: metrics is a dictionary from names of your own to metrics, "
            f"{{'auc': mf.metrics.AUC()}}, not {describe(metrics)}."
        )
    for name, metric in metrics.items():
        if not isinstance(name, str) or not name.isidentifier() or name.startswith("_"):
            raise OptionError(
                f"{owner}: a metric's name is one word, of letters, digits and _: not {name!r}."
            )
        if name in TAKEN or name.startswith(VALIDATION):
            raise OptionError(
                f"{owner}: the history has a column of the name {name!r} already; {VALIDATION}... "
                "are those of the validation."
            )
        if not isinstance(metric, Metric):
            made = isinstance(metric, type) and issubclass(metric, Metric)
            hint = f" Make one: {metric.__name__}()." if made else ""
            raise OptionError(
                f"{owner}: the metric {name!r} is {describe(metric)}, which is none of mf.metrics."
                f"{hint}"
            )
    return dict(metrics)


def _nodes_of(owner: str, loss: Node, name: str, metric: Metric) -> MetricNodes:
    if metric.of is not None:
        return MetricNodes(metric, *metric.of, metric.weights, None)
    about = _what_answers(loss)
    if about is None:
        raise OptionError(
            f"{owner}: the metric {name!r} reads scores and labels, and {loss} does not say which "
            f"nodes these are: {type(metric).__name__}(of=(scores, labels))."
        )
    if about.answers is not None and about.answers not in metric.kinds:
        raise OptionError(
            f"{owner}: the metric {name!r}, {metric!r}, is of {' or '.join(metric.kinds)}, and "
            f"{about} is a loss of {about.answers}. Where its labels are meant otherwise, say what "
            f"is read: {type(metric).__name__}(of=(scores, labels))."
        )
    scores, labels = about.inbound_nodes[:2]
    return MetricNodes(metric, scores, labels, metric.weights, about.answers)


def _what_answers(loss: Node) -> Node | None:
    """The node that has scores and labels: the loss, or the one part of it that says so."""
    if loss.answers is not None or (not loss.linear_in and len(loss.inbound_nodes) == 2):
        return loss
    parts = [part.node for part in Averages(loss).parts if part.node.answers is not None]
    return parts[0] if len(parts) == 1 else None
