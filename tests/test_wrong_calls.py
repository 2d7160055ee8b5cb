"""A call of a node, a layer or an optimizer that is wrong in its form says how it is right."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import miniflow as mf
from miniflow import layers, schedules
from miniflow.errors import CallError, GraphError

x, y, seed = mf.Input("x"), mf.Input("y"), mf.Seed()
MATRIX = {x: np.array([[1.0, 2.0], [3.0, 4.0]])}
IMAGES = {x: np.arange(32.0).reshape(2, 4, 4, 1)}
LABELLED = {**MATRIX, y: np.array([0, 1])}
ONE = np.ones(2)
SEQUENCES = {x: np.arange(16.0).reshape(2, 4, 2)}
KERNEL_OF_A_SEQUENCE = np.ones((2, 2, 3))


CALLS: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "an axis called dim": (
        lambda: mf.Sum(x, dim=0),
        CallError,
        r"Sum has no option dim: write axis=",
    ),
    "an option that nobody has": (
        lambda: mf.ReLU(x, threshold=1),
        CallError,
        r"ReLU has no option threshold\. It is called as ReLU\(x, \*, name=None\)",
    ),
    "too many": (lambda: mf.Sqrt(x, y), CallError, r"Sqrt: too many positional .* Sqrt\(x, \*"),
    "too few": (lambda: mf.Linear(x, y), CallError, r"missing a required argument: 'b'"),
    "a dtype without a shape": (
        lambda: mf.Input("X", dtype=np.float32),
        GraphError,
        r"dtype=.* is said of a shape",
    ),
    "a layer's": (lambda: layers.Dense(3, input_dim=4), CallError, r"layers\.Input\(\(784,\)\)"),
    "a schedule's": (
        lambda: schedules.StepDecay(0.1, 5, gamma=0.5),
        CallError,
        r"StepDecay has no option gamma: write factor=",
    ),
    "Adam's learning_rate": (
        lambda: mf.Adam(learning_rate=0.1),
        CallError,
        r"Adam has no option 'learning_rate'; the learning rate is lr=",
    ),
    "Adam's weight_decay": (lambda: mf.Adam(weight_decay=0.1), CallError, r"AdamW has one"),
    "one number for an order of axes": (
        lambda: mf.Transpose(x, 1),
        GraphError,
        r"axes is an order of all axes, \(1, 0\) or .* not 1 \(int\)",
    ),
    "an axis twice in an order": (lambda: mf.Transpose(x, (0, 0)), GraphError, r"not \(0, 0\)"),
    "an axis twice": (lambda: mf.Sum(x, axis=(0, 0)), GraphError, r"names an axis twice"),
    "two sizes to work out": (
        lambda: mf.Reshape(x, (-1, -1)),
        GraphError,
        r"one may be -1, .* not \(-1, -1\)",
    ),
    "half an index": (lambda: x[1.5], GraphError, r"an index has whole numbers, .* not 1\.5"),
    "text for an index": (lambda: x["a"], GraphError, r"not 'a' \(str\)"),
    "a slice that goes nowhere": (lambda: x[::0], GraphError, r"a step of 0 goes nowhere"),
    "balanced": (
        lambda: mf.CrossEntropyWithSoftmax(x, y, class_weights="balanced"),
        GraphError,
        r"depends on all labels, and a loss sees a batch: .*np\.bincount\(y, minlength=k\)",
    ),
    "a negative weight": (
        lambda: mf.CrossEntropyWithSoftmax(x, y, class_weights=[1, -2]),
        GraphError,
        r"class_weights has -2\.0; weights are finite numbers of at least 0",
    ),
    "a weight that is none": (
        lambda: mf.CrossEntropyWithSoftmax(x, y, class_weights={0: float("nan")}),
        GraphError,
        r"class_weights has nan",
    ),
    "weights of 0 alone": (
        lambda: mf.CrossEntropyWithSoftmax(x, y, class_weights=[0, 0]),
        GraphError,
        r"nothing would count",
    ),
    "names for classes": (
        lambda: mf.CrossEntropyWithSoftmax(x, y, class_weights={"cat": 1}),
        GraphError,
        r"from the numbers of classes to weights",
    ),
    "a node for weights": (
        lambda: mf.CrossEntropyWithSoftmax(x, y, class_weights=x),
        GraphError,
        r"class_weights are numbers, not <Input 'x'>",
    ),
    "a list of nodes for an Op": (
        lambda: Listed(x),
        GraphError,
        r"Op\.__init__ takes its inbound nodes one by one, Op\.__init__\(self, x, y\)",
    ),
}


class Listed(mf.Op):
    def __init__(self, x: mf.Node) -> None:
        mf.Op.__init__(self, [x])


@pytest.mark.parametrize("case", CALLS)
def test_a_call_that_is_wrong_says_how_it_is_right(case: str) -> None:
    call, error, message = CALLS[case]
    with pytest.raises(error, match=message):
        call()
