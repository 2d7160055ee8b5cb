"""What a person writes without a library: NumPy, an expression a line, as a course teaches it."""

from __future__ import annotations

import numpy as np
from races import Array, Data, Race, first_parameters

from contenders import Runner


def build(variant: str, race: Race, data: Data) -> Runner:
    """The runner of the race's kind."""
    if race.kind == "convolution":
        from contenders.by_hand_convolution import Convolutional

        return Convolutional(race, data)
    kinds = {"sequence": Sequence, "scalar": Scalar, "infer": Inference}
    return kinds.get(race.kind, Network)(race, data)


class Network:
    """Fully connected layers, cross-entropy on their softmax, gradient descent."""

    def __init__(self, race: Race, data: Data) -> None:
        self.images, self.labels, self.lr = data.images, data.labels, race.lr
        parameters = first_parameters(race)
        self.weights, self.biases = parameters[::2], parameters[1::2]
        self.is_relu = race.activation == "relu"

    def run(self, work: Array) -> float:
        loss = 0.0
        for indices in work:
            loss = self.step(self.images[indices], self.labels[indices])
        return loss

    def step(self, X: Array, y: Array) -> float:
        """One forward pass, one backward pass, one update."""
        activations = [X]
        for W, b in zip(self.weights[:-1], self.biases[:-1], strict=True):
            Z = activations[-1] @ W + b
            activations.append(np.maximum(Z, 0) if self.is_relu else 1 / (1 + np.exp(-Z)))
        loss, G = cross_entropy(activations[-1] @ self.weights[-1] + self.biases[-1], y)
        for layer in reversed(range(len(self.weights))):
            A = activations[layer]
            dW, db = A.T @ G, np.sum(G, axis=0)
            if layer > 0:
                G = G @ self.weights[layer].T
                G *= (A > 0) if self.is_relu else A * (1 - A)
            self.weights[layer] -= self.lr * dW
            self.biases[layer] -= self.lr * db
        return loss

    def answer(self) -> list[Array]:
        pairs = zip(self.weights, self.biases, strict=True)
        return [array for pair in pairs for array in pair]


class Sequence:
    """A recurrent network: Hₜ = tanh(Xₜ Wx + Hₜ₋₁ Wh + b), and one layer on the last H."""

    def __init__(self, race: Race, data: Data) -> None:
        self.images, self.labels, self.lr = data.images, data.labels, race.lr
        self.parameters = first_parameters(race)
        self.times, self.pixels = race.time_steps, race.layers[0]

    def run(self, work: Array) -> float:
        loss = 0.0
        for indices in work:
            loss = self.step(self.images[indices], self.labels[indices])
        return loss

    def step(self, X: Array, y: Array) -> float:
        """One forward pass through all time steps, one backward pass, one update."""
        Wx, Wh, b, V, c = self.parameters
        inputs = [X[:, t * self.pixels : (t + 1) * self.pixels] for t in range(self.times)]
        states = [np.tanh(inputs[0] @ Wx + b)]
        for x in inputs[1:]:
            states.append(np.tanh(x @ Wx + b + states[-1] @ Wh))
        loss, G = cross_entropy(states[-1] @ V + c, y)
        dV, dc = states[-1].T @ G, np.sum(G, axis=0)
        dWx, dWh, db = np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)
        dH = G @ V.T
        for t in reversed(range(self.times)):
            dZ = dH * (1 - states[t] ** 2)
            dWx += inputs[t].T @ dZ
            db += np.sum(dZ, axis=0)
            if t > 0:
                dWh += states[t - 1].T @ dZ
                dH = dZ @ Wh.T
        for parameter, gradient in zip(self.parameters, (dWx, dWh, db, dV, dc), strict=True):
            parameter -= self.lr * gradient
        return loss

    def answer(self) -> list[Array]:
        return self.parameters


class Scalar:
    """x·y + x·z, differentiated on paper."""

    def __init__(self, race: Race, data: Data) -> None:
        self.last = (0.0, 0.0, 0.0, 0.0)

    def run(self, work: Array) -> float:
        total = 0.0
        for x, y, z in work.tolist():
            self.last = (x * y + x * z, y + z, x, x)
            total += self.last[0]
        return total

    def answer(self) -> list[Array]:
        return [np.array(self.last)]


class Inference:
    """Class probabilities: the forward pass and a softmax."""

    def __init__(self, race: Race, data: Data) -> None:
        self.images, self.batch = data.test_images, race.batch
        self.W, self.b, self.V, self.c = first_parameters(race)
        self.last = np.zeros(0)

    def run(self, work: Array) -> float:
        for start in work.tolist():
            X = self.images[start : start + self.batch]
            H = 1 / (1 + np.exp(-(X @ self.W + self.b)))
            Z = H @ self.V + self.c
            E = np.exp(Z - np.max(Z, axis=1, keepdims=True))
            self.last = E / np.sum(E, axis=1, keepdims=True)
        return float(self.last[0, 0])

    def answer(self) -> list[Array]:
        return [self.last]


def cross_entropy(Z: Array, y: Array) -> tuple[float, Array]:
    """The mean cross-entropy of softmax(Z) with labels y, and its gradient with respect to Z."""
    rows = np.arange(len(y))
    Z = Z - np.max(Z, axis=1, keepdims=True)
    E = np.exp(Z)
    total = np.sum(E, axis=1, keepdims=True)
    loss = np.mean(np.log(total[:, 0]) - Z[rows, y])
    G = E / total
    G[rows, y] -= 1
    G /= np.float32(len(y))
    return float(loss), G
