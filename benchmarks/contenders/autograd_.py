"""autograd (HIPS): NumPy expressions, differentiated by recording them as they run."""

from __future__ import annotations

from typing import Any

import autograd.numpy as np
from autograd import value_and_grad
from races import Array, Data, Race, first_parameters

from contenders import Runner


def build(variant: str, race: Race, data: Data) -> Runner:
    """The runner of the race's kind."""
    return Scalar() if race.kind == "scalar" else Training(race, data)


class Training:
    """A loss as a function of the list of parameters, and plain gradient descent."""

    def __init__(self, race: Race, data: Data) -> None:
        self.race, self.data, self.parameters = race, data, first_parameters(race)
        logits = self.recurrent if race.kind == "sequence" else self.layered

        def loss_of(parameters: list[Any], X: Array, y: Array) -> Any:
            Z = logits(parameters, X)
            Z = Z - np.max(Z, axis=1, keepdims=True)
            scores = np.log(np.sum(np.exp(Z), axis=1)) - Z[np.arange(len(y)), y]
            return np.mean(scores)

        self.differentiated = value_and_grad(loss_of)

    def layered(self, parameters: list[Any], X: Any) -> Any:
        *hidden, (V, c) = zip(parameters[::2], parameters[1::2], strict=True)
        for W, b in hidden:
            Z = np.dot(X, W) + b
            X = np.maximum(Z, 0) if self.race.activation == "relu" else 1 / (1 + np.exp(-Z))
        return np.dot(X, V) + c

    def recurrent(self, parameters: list[Any], X: Any) -> Any:
        Wx, Wh, b, V, c = parameters
        pixels = self.race.layers[0]
        H = np.tanh(np.dot(X[:, :pixels], Wx) + b)
        for start in range(pixels, X.shape[1], pixels):
            H = np.tanh(np.dot(X[:, start : start + pixels], Wx) + b + np.dot(H, Wh))
        return np.dot(H, V) + c

    def run(self, work: Array) -> float:
        loss = 0.0
        for indices in work:
            X, y = self.data.images[indices], self.data.labels[indices]
            loss, gradients = self.differentiated(self.parameters, X, y)
            for parameter, gradient in zip(self.parameters, gradients, strict=True):
                parameter -= self.race.lr * gradient
        return float(loss)

    def answer(self) -> list[Array]:
        return self.parameters


class Scalar:
    """x·y + x·z on Python floats."""

    def __init__(self) -> None:
        self.f = value_and_grad(lambda x, y, z: x * y + x * z, argnum=(0, 1, 2))
        self.last: tuple[float, ...] = ()

    def run(self, work: Array) -> float:
        total = 0.0
        for x, y, z in work.tolist():
            value, gradients = self.f(x, y, z)
            total += value
            self.last = (value, *gradients)
        return total

    def answer(self) -> list[Array]:
        return [np.array(self.last)]
