"""What training is tested on: three clouds of points, and a small network to tell them apart."""

from typing import Any, NamedTuple

import numpy as np

import miniflow as mf
from miniflow.datasets import Dataset
from miniflow.initializers import glorot_uniform


class Problem(NamedTuple):
    """A network and what it is trained on."""

    X: mf.Input
    y: mf.Input
    parameters: list[mf.Parameter]
    loss: mf.Node
    data: Dataset
    validation: Dataset

    def feed(self) -> dict[Any, Any]:
        return {self.X: self.data.images, self.y: self.data.labels}

    def bytes(self) -> bytes:
        """All parameters, bit by bit."""
        return b"".join(parameter.value.tobytes() for parameter in self.parameters)


def clouds(count: int, seed: int) -> Dataset:
    """Points round three corners of a square, numbered by corner."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, count)
    corners = np.array([[0, 0], [2, 0], [0, 2]], np.float32)
    points = corners[labels] + rng.normal(0, 0.3, (count, 2))
    return Dataset(points.astype(np.float32), labels)


def problem(seed: int = 0, count: int = 90) -> Problem:
    """A network 2-6-3 and clouds to tell apart."""
    rng = np.random.default_rng(seed)
    X, y = mf.Input("X"), mf.Input("y")
    W1, b1 = mf.Parameter(glorot_uniform((2, 6), rng), "W1"), mf.Parameter(np.zeros(6, "f4"), "b1")
    W2, b2 = mf.Parameter(glorot_uniform((6, 3), rng), "W2"), mf.Parameter(np.zeros(3, "f4"), "b2")
    logits = mf.Linear(mf.Tanh(mf.Linear(X, W1, b1)), W2, b2, name="logits")
    loss = mf.CrossEntropyWithSoftmax(logits, y, name="loss")
    return Problem(X, y, [W1, b1, W2, b2], loss, clouds(count, 1), clouds(30, 2))
