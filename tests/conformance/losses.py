"""Losses: cross entropy with softmax in the styles in which it is written, and three others.

A loss is last in its graph, so these may insist on it (`assert len(self.outbound_nodes) == 0`), may
ignore their consumers, or may loop over them all the same.
"""

# ruff: noqa: C420 - {n: 0 for n in ...} is how the lab writes it

import numpy as np

import miniflow as mf
from conformance.layers import Linear
from conformance.printed import Input
from conformance.registry import Graph, case, headed, numbers
from miniflow import Node


class CrossEntropyWithSoftmax(Node):
    """Probabilities in self.cache; their copy less one at the labels; insists on being last."""

    def __init__(self, x, y):
        Node.__init__(self, [x, y])

    def _softmax(self, x):
        exp_x = np.exp(x - np.max(x, axis=-1, keepdims=True))
        return exp_x / np.sum(exp_x, axis=-1, keepdims=True)

    def forward(self):
        x, y = self.inbound_nodes[0].value, self.inbound_nodes[1].value
        self.cache["probs"] = self._softmax(x)
        self.cache["y"] = y
        n = x.shape[0]
        self.value = -np.sum(np.log(self.cache["probs"][range(n), y])) / n

    def backward(self):
        assert len(self.outbound_nodes) == 0
        probs, y = np.copy(self.cache["probs"]), self.cache["y"]
        n = probs.shape[0]
        probs[range(n), y] -= 1
        probs /= n
        self.gradients = {n: 0 for n in self.inbound_nodes}
        self.gradients[self.inbound_nodes[0]] = probs


class CrossEntropyEye(Node):
    """One-hot labels by a row of the unit matrix; the upstream gradient is asked for."""

    def __init__(self, x, y):
        Node.__init__(self, [x, y])

    def forward(self):
        x, y = [n.value for n in self.inbound_nodes]
        powers = np.exp(x - x.max(axis=1, keepdims=True))
        self.probs = powers / powers.sum(axis=1, keepdims=True)
        self.onehot = np.eye(x.shape[1])[y]
        self.value = -np.mean(np.sum(self.onehot * np.log(self.probs), axis=1))

    def backward(self):
        x, y = self.inbound_nodes
        self.gradients = {x: np.zeros_like(x.value), y: np.zeros_like(y.value)}
        for n in self.outbound_nodes:
            self.gradients[x] += n.gradients[self] * (self.probs - self.onehot) / len(self.onehot)


class CrossEntropyTargets(Node):
    """One-hot labels written into zeros."""

    def __init__(self, x, y):
        Node.__init__(self, [x, y])

    def forward(self):
        x, y = [n.value for n in self.inbound_nodes]
        n, k = x.shape
        shifted = x - np.max(x, axis=1).reshape(-1, 1)
        log_probs = shifted - np.log(np.sum(np.exp(shifted), axis=1)).reshape(n, 1)
        t = np.zeros((n, k))
        t[range(n), y] = 1
        self.cache = {"log_probs": log_probs, "t": t}
        self.value = -(t * log_probs).sum() / n

    def backward(self):
        n = self.cache["t"].shape[0]
        dx = (np.exp(self.cache["log_probs"]) - self.cache["t"]) / n
        self.gradients = {self.inbound_nodes[0]: dx, self.inbound_nodes[1]: 0}


class CrossEntropyArange(Node):
    """Works in place on its own probabilities, which nobody needs after backward."""

    def __init__(self, x, y):
        Node.__init__(self, [x, y])

    def forward(self):
        x, y = [n.value for n in self.inbound_nodes]
        self.probs = np.exp(x)
        self.probs /= np.sum(self.probs, axis=1, keepdims=True)
        self.rows = np.arange(x.shape[0])
        self.value = np.mean(-np.log(self.probs[self.rows, y]))

    def backward(self):
        x, y = self.inbound_nodes
        self.probs[self.rows, y.value] -= 1.0
        self.gradients = {x: self.probs / self.rows.size, y: 0}


class CrossEntropyByRows(Node):
    """A loop over the examples."""

    def __init__(self, x, y):
        Node.__init__(self, [x, y])

    def forward(self):
        x, y = [n.value for n in self.inbound_nodes]
        self.probs = np.zeros_like(x)
        total = 0
        for i in range(len(x)):
            row = np.exp(x[i] - np.max(x[i]))
            self.probs[i] = row / np.sum(row)
            total -= np.log(self.probs[i][y[i]])
        self.value = total / len(x)

    def backward(self):
        x, y = self.inbound_nodes
        dx = np.zeros_like(x.value)
        for i in range(len(dx)):
            dx[i] = self.probs[i] / len(dx)
            dx[i, y.value[i]] -= 1 / len(dx)
        self.gradients = {x: dx, y: 0}


class Softmax(Node):
    """By itself: its whole Jacobian, row by row."""

    def __init__(self, x):
        Node.__init__(self, [x])

    def forward(self):
        powers = np.exp(self.inbound_nodes[0].value)
        self.value = powers / powers.sum(axis=1, keepdims=True)

    def backward(self):
        x = self.inbound_nodes[0]
        self.gradients = {x: np.zeros_like(x.value)}
        for n in self.outbound_nodes:
            for i in range(self.value.shape[0]):
                s = self.value[i].reshape(-1, 1)
                jacobian = np.diagflat(s) - np.dot(s, s.T)
                self.gradients[x][i] += np.dot(jacobian, n.gradients[self][i])


class NegativeLogLikelihood(Node):
    """The half of cross entropy that comes after the softmax."""

    def __init__(self, probs, y):
        Node.__init__(self, [probs, y])

    def forward(self):
        probs, y = [n.value for n in self.inbound_nodes]
        self.value = -np.mean(np.log(probs[np.arange(y.shape[0]), y]))

    def backward(self):
        probs, y = self.inbound_nodes
        n = len(y.value)
        grad = np.zeros_like(probs.value)
        grad[np.arange(n), y.value] = -1 / (n * probs.value[np.arange(n), y.value])
        self.gradients = {probs: grad, y: 0}


class MSE(Node):
    """Predictions of shape (n, 1) and targets of shape (n,), both made columns."""

    def __init__(self, y, a):
        Node.__init__(self, [y, a])

    def forward(self):
        y = self.inbound_nodes[0].value.reshape(-1, 1)
        a = self.inbound_nodes[1].value.reshape(-1, 1)
        self.m = self.inbound_nodes[0].value.shape[0]
        self.diff = y - a
        self.value = np.mean(np.square(self.diff))

    def backward(self):
        y, a = self.inbound_nodes
        self.gradients = {}
        self.gradients[y] = np.reshape((2 / self.m) * self.diff, y.value.shape)
        self.gradients[a] = np.reshape((-2 / self.m) * self.diff, a.value.shape)


class BinaryCrossEntropy(Node):
    """Yes or no from a probability, in base e."""

    def __init__(self, z, y):
        Node.__init__(self, [z, y])

    def forward(self):
        z, y = [n.value for n in self.inbound_nodes]
        self.p = 1 / (1 + np.exp(-z))
        self.value = -np.average(y * np.log(self.p) + (1 - y) * np.log(1 - self.p))

    def backward(self):
        z, y = self.inbound_nodes
        self.gradients = {z: (self.p - y.value) / y.value.size, y: 0.0}


class SquaredLength(Node):
    """A penalty: half the squared length of any number of weights, times a factor."""

    def __init__(self, *weights, factor=0.1):
        Node.__init__(self, list(weights))
        self.factor = factor

    def forward(self):
        self.value = 0.5 * self.factor * sum(np.sum(w.value**2) for w in self.inbound_nodes)

    def backward(self):
        upstream = 0
        for n in self.outbound_nodes:
            upstream += n.gradients[self]
        self.gradients = {w: upstream * self.factor * w.value for w in self.inbound_nodes}


# --- The graphs


def _classified(dtype, node):
    x, y = Input(), Input()
    feed = {x: numbers(dtype, 4, 3, seed=1), y: np.array([0, 2, 1, 2], np.int8)}
    return Graph(node(x, y), feed, [x], mf.CrossEntropyWithSoftmax(x, y))


@case
def cross_entropy(dtype):
    return _classified(dtype, CrossEntropyWithSoftmax)


@case
def cross_entropy_eye(dtype):
    return _classified(dtype, CrossEntropyEye)


@case
def cross_entropy_targets(dtype):
    return _classified(dtype, CrossEntropyTargets)


@case
def cross_entropy_arange_in_place(dtype):
    return _classified(dtype, CrossEntropyArange)


@case
def cross_entropy_by_rows(dtype):
    return _classified(dtype, CrossEntropyByRows)


@case
def cross_entropy_in_two_nodes(dtype):
    return _classified(dtype, lambda x, y: NegativeLogLikelihood(Softmax(x), y))


@case
def softmax_jacobian(dtype):
    x = Input()
    return headed(Softmax(x), {x: numbers(dtype, 4, 3)}, [x], (4, 3), mf.Softmax(x))


@case
def mean_squared_error(dtype):
    y, a = Input(), Input()
    feed = {y: numbers(dtype, 4, seed=1), a: numbers(dtype, 4, 1, seed=2)}
    return Graph(MSE(y, a), feed, [y, a], mf.MSE(y, mf.Reshape(a, (4,))))


@case
def binary_cross_entropy(dtype):
    z, y = Input(), Input()
    feed = {z: numbers(dtype, 4, seed=1), y: np.array([0, 1, 1, 0])}
    return Graph(BinaryCrossEntropy(z, y), feed, [z], mf.BinaryCrossEntropy(z, y))


@case
def classifier_with_a_penalty(dtype):
    """A loss that is not last: cross entropy and a penalty, added up by a built-in node."""
    x, w, b, y = (Input() for _ in range(4))
    feed = {
        x: numbers(dtype, 4, 3, seed=1),
        w: numbers(dtype, 3, 5, seed=2),
        b: numbers(dtype, 5, seed=3),
        y: np.array([4, 0, 1, 1]),
    }
    output = CrossEntropyEye(Linear(x, w, b), y) + SquaredLength(w, b)
    penalty = 0.05 * (mf.Sum(w * w) + mf.Sum(b * b))
    twin = mf.CrossEntropyWithSoftmax(mf.Linear(x, w, b), y) + penalty
    return Graph(output, feed, [w, b], twin)
