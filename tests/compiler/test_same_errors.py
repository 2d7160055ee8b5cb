"""What the interpreter tells of a mistake, a compiled graph tells word for word; and what the one
computes, the other does.
"""

import re
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

import miniflow as mf

BACKENDS = ["numpy", "reference", *(["native"] if find_spec("llvmlite") else [])]
x, y = mf.Input("x"), mf.Input("y")
A = np.array([[1.0, 2.0], [3.0, 4.0]])


def cross_entropy(**options: Any) -> Callable[[], mf.Node]:
    return lambda: mf.CrossEntropyWithSoftmax(x, y, **options)


CASES: dict[str, tuple[Callable[[], mf.Node], Any, str]] = {
    "a mask to look up": (
        lambda: mf.Gather(x, y),
        {x: A, y: np.array([True, False])},
        "dtype bool",
    ),
    "fractions to look up": (lambda: mf.Gather(x, y), {x: A, y: [0.5]}, "dtype float64"),
    "a row too many": (lambda: mf.Gather(x, y), {x: A, y: [5]}, "run from 5 to 5"),
    "a number as a table": (lambda: mf.Gather(x, y), {x: 3.0, y: [0]}, r"of shape \(\)"),
    "labels of booleans": (cross_entropy(), {x: A, y: np.array([True, False])}, r"y\.astype\(int"),
    "labels of fractions": (cross_entropy(), {x: A, y: [0.5, 1.0]}, r"has 0\.5 at index 0"),
    "labels that are none": (cross_entropy(), {x: A, y: [0, np.nan]}, "has nan at index 1"),
    "whole labels in floats": (cross_entropy(), {x: A, y: [0.0, 1.0]}, r"y\.astype\(int\)"),
    "labels too large": (cross_entropy(), {x: A, y: [0, 2]}, "labels from 0 to 2"),
    "a column of labels": (cross_entropy(), {x: A, y: [[0], [1]]}, r"y\[:, 0\]"),
    "too many weights": (cross_entropy(class_weights=[1, 2, 3]), {x: A, y: [0, 1]}, "2 classes"),
    "a weight too far": (cross_entropy(class_weights={5: 1}), {x: A, y: [0, 1]}, "the class 5"),
    "no probabilities": (lambda: mf.BinaryCrossEntropy(x, y), {x: A, y: A}, r"1\.0 to 4\.0"),
    "two shapes": (lambda: mf.MSE(x, y), {x: A, y: np.ones(2)}, "the same shape"),
    "an axis too far": (lambda: mf.Softmax(x, axis=2), {x: A}, "along its axis"),
    "an axis of a number": (lambda: mf.Sum(x, axis=1), {x: 3.0}, "has that axis"),
    "an axis that there is not": (lambda: mf.Mean(x, axis=3), {x: A}, "has that axis"),
    "an axis twice": (lambda: mf.Sum(x, axis=(0, -2)), {x: A}, "twice"),
    "the largest of nothing": (lambda: mf.Max(x), {x: np.ones((0, 3))}, "at least one entry"),
    "axes in another rank": (lambda: mf.Transpose(x, (0, 2, 1)), {x: A}, "with 3 axes"),
    "a shape that does not fit": (lambda: mf.Reshape(x, (3, -1)), {x: A}, r"\(3, -1\)"),
    "an index too far": (lambda: x[5], {x: A}, r"in which \[5\] exists"),
    "an index of a number": (lambda: x[0], {x: 3.0}, r"is the number 3\.0"),
    "a mask that does not fit": (lambda: x[np.array([True, False, True])], {x: A}, "exists"),
    "no place to join": (lambda: mf.Concat(x, y, axis=4), {x: A, y: A}, "agree along every axis"),
    "numbers to join": (lambda: mf.Concat(x, y), {x: 3.0, y: A}, "agree along every axis"),
    "no broadcasting": (lambda: x + y, {x: A, y: np.ones(3)}, "shapes that broadcast"),
    "a number times a matrix": (lambda: x @ y, {x: 3.0, y: A}, "the last but one"),
    "a gain that does not fit": (
        lambda: mf.LayerNorm(x, y, np.zeros(2)),
        {x: A, y: np.ones(3)},
        r"must have shape \(2,\)",
    ),
    "an epsilon that is 0": (
        lambda: mf.LayerNorm(x, np.float32([1, 1]), np.float32([0, 0]), epsilon=1e-100),
        {x: A.astype(np.float32)},
        "epsilon=1e-100 is too small for float32",
    ),
    "a window too large": (lambda: mf.MaxPool(x, 5), {x: np.ones((1, 3, 3, 1))}, "spans 5 entries"),
    "no images": (lambda: mf.AveragePool(x), {x: 3.0}, "stack of images"),
    "half a seed": (lambda: mf.Dropout(x, y), {x: A, y: 1.5}, "whole number"),
}


def message_of(call: Callable[[], Any]) -> tuple[type, str]:
    with pytest.raises(mf.MiniflowError) as caught:
        call()
    return type(caught.value), re.sub(r"\(test_\w+\.py:\d+\)", "", str(caught.value))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("case", CASES)
def test_a_mistake_is_told_alike(case: str, backend: str) -> None:
    build, feed, message = CASES[case]
    interpreted = message_of(lambda: mf.value_and_grad(build(), feed, [x]))
    assert re.search(message, interpreted[1])
    assert message_of(lambda: mf.compile(build(), [x], backend=backend)(feed)) == interpreted


NUMBERS = {
    "Softmax": mf.Softmax,
    "LogSoftmax": mf.LogSoftmax,
    "Sum": lambda x: mf.Sum(x, axis=0),
    "Mean": lambda x: mf.Mean(x, axis=-1),
    "Max": lambda x: mf.Max(x, axis=0),
    "Sum of all": mf.Sum,
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("fed", [3.0, np.float32(3), np.array(3.0)], ids=repr)
@pytest.mark.parametrize("case", NUMBERS)
def test_a_plain_number_has_an_axis_where_numpy_lets_it(case: str, fed: Any, backend: str) -> None:
    node = NUMBERS[case](x)
    value, [dx] = mf.value_and_grad(node, {x: fed}, [x])
    seen, [seen_dx] = mf.compile(node, [x], backend=backend)({x: fed})
    assert (seen, seen_dx) == (value, dx)
