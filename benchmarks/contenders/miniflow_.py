"""miniflow: the interpreter, and compiled by the NumPy and the native backend."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from races import Array, Data, Race, first_parameters

import miniflow as mf
from contenders import Runner


def build(variant: str, race: Race, data: Data) -> Runner:
    """The runner of the race's kind."""
    kinds = {"scalar": Scalar, "infer": Inference}
    return kinds.get(race.kind, Training)(variant, race, data)


def layered(race: Race, X: mf.Node, parameters: list[mf.Node]) -> mf.Node:
    """The logits of a network of layers."""
    activation = mf.ReLU if race.activation == "relu" else mf.Sigmoid
    *hidden, (V, c) = zip(parameters[::2], parameters[1::2], strict=True)
    for W, b in hidden:
        X = activation(mf.Linear(X, W, b))
    return mf.Linear(X, V, c)


def convolutional(race: Race, X: mf.Node, parameters: list[mf.Node]) -> mf.Node:
    """The logits of the network that convolves; its images come as rows."""
    X = mf.Reshape(X, (-1, 28, 28, 1))
    count = 2 * len(race.kernels)
    for W, b in zip(parameters[:count:2], parameters[1:count:2], strict=True):
        X = mf.MaxPool(mf.ReLU(mf.Conv2D(X, W, b)))
    return layered(race, mf.Flatten(X), parameters[count:])


def recurrent(race: Race, X: mf.Node, parameters: list[mf.Node]) -> mf.Node:
    """The logits of the recurrent network, unrolled."""
    Wx, Wh, b, V, c = parameters
    pixels = race.layers[0]
    H = mf.Tanh(mf.Linear(X[:, :pixels], Wx, b))
    for start in range(pixels, 784, pixels):
        H = mf.Tanh(mf.Linear(X[:, start : start + pixels], Wx, b) + mf.MatMul(H, Wh))
    return mf.Linear(H, V, c)


class Training:
    """A step of the interpreter and the optimizer, or the compiled step that does both, which is
    handed all rows of a piece of work at once.
    """

    def __init__(self, variant: str, race: Race, data: Data) -> None:
        self.images, self.labels = data.images, data.labels
        self.X, self.y = mf.Input("X"), mf.Input("y")
        self.parameters = [mf.Parameter(array) for array in first_parameters(race)]
        kinds = {"sequence": recurrent, "convolution": convolutional}
        network = kinds.get(race.kind, layered)
        loss = mf.CrossEntropyWithSoftmax(network(race, self.X, self.parameters), self.y)
        optimizer = mf.SGD(race.lr)
        self.compiled: Any = None
        if variant != "interpreter":
            self.compiled = mf.compile(loss, optimizer=optimizer, backend=variant)
            return

        def step(feed: dict[Any, Array]) -> Any:
            value, gradients = mf.value_and_grad(loss, feed, wrt=self.parameters)
            optimizer.update(self.parameters, gradients)
            return value

        self.step = step

    def run(self, work: Array) -> float:
        if self.compiled is not None:
            losses = self.compiled.epoch({self.X: self.images, self.y: self.labels}, work)
            return float(losses[-1])
        X, y = (
            np.empty((work.shape[1], *a.shape[1:]), a.dtype) for a in (self.images, self.labels)
        )
        loss = 0.0
        for indices in work:
            self.images.take(indices, 0, X, "clip")
            self.labels.take(indices, 0, y, "clip")
            loss = self.step({self.X: X, self.y: y})
        return float(loss)

    def profile(self, rows: Array) -> Any:
        """Where the time of a compiled step goes."""
        return self.compiled.profile({self.X: self.images[rows], self.y: self.labels[rows]})

    def answer(self) -> list[Array]:
        return [parameter.value.copy() for parameter in self.parameters]


class Scalar:
    """x·y + x·z: the graph is built once, and run for each triple."""

    def __init__(self, variant: str, race: Race, data: Data) -> None:
        self.inputs = x, y, z = mf.Input("x"), mf.Input("y"), mf.Input("z")
        f = x * y + x * z
        if variant == "interpreter":
            self.f: Callable[..., Any] = lambda feed: mf.value_and_grad(f, feed, wrt=[x, y, z])
        else:
            self.f = mf.compile(f, wrt=[x, y, z], backend=variant)
        self.last: list[Any] = []

    def run(self, work: Array) -> float:
        total = 0.0
        x_node, y_node, z_node = self.inputs
        for x, y, z in work.tolist():
            value, gradients = self.f({x_node: x, y_node: y, z_node: z})
            total += float(value)
            self.last = [value, *gradients]
        return total

    def answer(self) -> list[Array]:
        return [np.array([float(number) for number in self.last])]


class Inference:
    """Class probabilities of a slice of the test set."""

    def __init__(self, variant: str, race: Race, data: Data) -> None:
        self.images, self.batch = data.test_images, race.batch
        self.X = mf.Input("X")
        parameters = [mf.Parameter(array) for array in first_parameters(race)]
        probabilities = mf.Softmax(layered(race, self.X, parameters))
        if variant == "interpreter":
            self.f: Any = lambda feed: mf.value(probabilities, feed)
        else:
            self.f = mf.compile(probabilities, backend=variant)
        self.last: Any = None

    def run(self, work: Array) -> float:
        for start in work.tolist():
            self.last = self.f({self.X: self.images[start : start + self.batch]})
        return float(self.last[0, 0])

    def profile(self, start: Array) -> Any:
        """Where the time of a compiled call goes."""
        return self.f.profile({self.X: self.images[start : start + self.batch]})

    def answer(self) -> list[Array]:
        return [np.asarray(self.last)]
