"""How many labels a loss of (logits, labels) meets, in one forward pass."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from miniflow.errors import GraphError, ShapeError
from miniflow.graph import Node
from miniflow.graph.hits import warn_of_nan
from miniflow.graph.typed import FedNode
from miniflow.interpreter.feeding import checked_output
from miniflow.interpreter.passes import one_pass_at_a_time, value
from miniflow.interpreter.states import states_held


def accuracy(node: Node, feed_dict: Mapping[FedNode, Any]) -> float:
    """The share of labels at which the largest logit is.

    Args:
        node: a loss whose inbound nodes are (logits, labels): `CrossEntropyWithSoftmax` or a class
            of your own. Logits have shape (..., k) and labels (...), or (..., k) if they are
            one-hot; logits of one column or of shape (n,) are those of two classes, and say 1 where
            they are positive, and so are the logits of a `BinaryCrossEntropy`, each by itself.
        feed_dict: input → value, as for `value`.

    A score that is NaN is missed, with a `NaNWarning`.

    Raises GraphError for what has no accuracy: a regression, a sum of losses.

    >>> import numpy as np, miniflow as mf
    >>> logits, labels = mf.Input(), mf.Input()
    >>> loss = mf.CrossEntropyWithSoftmax(logits, labels)
    >>> mf.accuracy(loss, {logits: np.array([[0.1, 0.9], [0.8, 0.2]]), labels: np.array([1, 1])})
    0.5
    """
    if len(checked_output(node).inbound_nodes) < 2:
        raise GraphError(
            f"accuracy needs a loss of (logits, labels); {node} has "
            f"{len(node.inbound_nodes)} inbound nodes."
        )
    with one_pass_at_a_time, states_held():
        value(node, feed_dict)
        logits, labels = (np.asarray(source.value) for source in node.inbound_nodes[:2])
        hits = node.count_correct(logits, labels)
    if hits is None or hits.share is None:
        raise _without_accuracy(node, logits, labels)
    warn_of_nan(hits, node)
    return hits.share


def _without_accuracy(node: Node, logits: Any, labels: Any) -> GraphError:
    """The error for what has no accuracy."""
    if logits.ndim < 2 or logits.shape[-1] == 1:
        logits_of, labels = logits.size, labels.reshape(-1)
    else:
        logits_of = logits.size // logits.shape[-1]
    if labels.size not in (logits_of, logits.size):
        return ShapeError(
            f"accuracy of {node}: logits {logits.shape} and labels {labels.shape} do not match."
        )
    first, second = (source.label for source in node.inbound_nodes[:2])
    return GraphError(
        f"{node} has no accuracy: that takes a loss of logits (..., classes) and labels that are "
        f"numbers of classes (...), or one-hot, and {first} has shape {logits.shape} and {second} "
        f"shape {labels.shape} and dtype {labels.dtype}. Of a sum of losses, ask the one that has "
        "it."
    )
