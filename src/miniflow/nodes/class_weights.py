"""How much each class counts in a loss, as `class_weights` says it: numbers, or class → number."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from miniflow.errors import GraphError, ShapeError
from miniflow.graph import Node, Op
from miniflow.graph.checks import is_whole
from miniflow.graph.converting import way_to_numbers
from miniflow.graph.values import describe, plain_array


def class_weights_of(node: Op, given: Any) -> Any:
    """`class_weights` as an array of float64 or a dictionary of class → float.

    Raises GraphError where it is neither, a weight is no number of at least 0, or all are 0.
    """
    if isinstance(given, str) and given == "balanced":
        raise GraphError(
            f"{node}: class_weights='balanced' depends on all labels, and a loss sees a batch: "
            "write class_weights=len(y) / (k * np.bincount(y, minlength=k)), of all labels y and "
            "the number of classes k."
        )
    if isinstance(given, (str, Node)):
        raise GraphError(f"{node}: class_weights are numbers, not {describe(given)}.")
    if isinstance(given, Mapping):
        if not all(is_whole(key) and key >= 0 for key in given):
            raise GraphError(
                f"{node}: class_weights is a dictionary from the numbers of classes to weights, "
                f"{{0: 1.0, 1: 2.5}} say; not {describe(dict(given))}."
            )
        weights = _weights(node, list(given.values()))
        return dict(zip(map(int, given), weights.tolist(), strict=True))
    weights = _weights(node, given)
    if weights.size and not weights.any():
        raise GraphError(f"{node}: class_weights are all 0: nothing would count.")
    return weights


def weight_of_each(node: Op, weights: Any, logits: tuple[int, ...]) -> Any:
    """The weights of all classes, as shares of the largest: a mean does not depend on their unit.

    Raises an error where the logits have another number of classes.
    """
    label, classes = node.inbound_nodes[0].label, logits[-1]
    if isinstance(weights, dict):
        every = np.ones(classes)
        if weights and max(weights) >= classes:
            raise GraphError(
                f"{node}: class_weights has the class {max(weights)}; {label} of shape {logits} "
                f"has the classes 0 to {classes - 1}."
            )
        every[list(weights)] = list(weights.values())
        weights = every
    if weights.shape != (classes,):
        raise ShapeError(
            f"{node}: class_weights has shape {weights.shape}; "
            f"{label} of shape {logits} has {classes} classes."
        )
    largest = weights.max()
    return weights / largest if largest > 0 else weights


def _weights(node: Op, given: Any) -> Any:
    array = plain_array(given, f"{node}: class_weights")
    if array.dtype.kind not in "biuf":
        raise GraphError(
            f"{node}: class_weights are numbers, not {describe(given)}{way_to_numbers(array)}."
        )
    weights = array.astype(np.float64)
    wrong = ~(np.isfinite(weights) & (weights >= 0))
    if wrong.any():
        raise GraphError(
            f"{node}: class_weights has {weights[wrong].flat[0]}; weights are finite numbers of at "
            "least 0."
        )
    return weights
