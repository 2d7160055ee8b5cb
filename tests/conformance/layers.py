"""Layers: Linear in the styles in which it is written, and other products of arrays."""

# ruff: noqa: C420 - {n: 0 for n in ...} is how the lab writes it

import numpy as np

import miniflow as mf
from conformance.activations import ReLU, Sigmoid
from conformance.printed import Input
from conformance.registry import case, headed, numbers
from miniflow import Node


class Linear(Node):
    """np.dot and .T; the gradient of the bias summed over the rows."""

    def __init__(self, x, w, b):
        Node.__init__(self, [x, w, b])

    def forward(self):
        x, w, b = [n.value for n in self.inbound_nodes]
        self.value = np.dot(x, w) + b

    def backward(self):
        self.gradients = {n: np.zeros_like(n.value) for n in self.inbound_nodes}
        for n in self.outbound_nodes:
            grad = n.gradients[self]
            self.gradients[self.inbound_nodes[0]] += np.dot(grad, self.inbound_nodes[1].value.T)
            self.gradients[self.inbound_nodes[1]] += np.dot(self.inbound_nodes[0].value.T, grad)
            self.gradients[self.inbound_nodes[2]] += np.sum(grad, axis=0, keepdims=False)


class LinearKeepdims(Node):
    """The gradient of the bias has shape (1, p), as the lab's own assert expects it."""

    def __init__(self, x, w, b):
        Node.__init__(self, [x, w, b])
        self.x, self.w, self.b = x, w, b

    def forward(self):
        self.value = self.x.value @ self.w.value + self.b.value

    def backward(self):
        self.gradients = {n: 0 for n in self.inbound_nodes}
        for n in self.outbound_nodes:
            grad = n.gradients[self]
            self.gradients[self.x] += grad @ self.w.value.T
            self.gradients[self.w] += self.x.value.T @ grad
            self.gradients[self.b] += np.sum(grad, axis=0, keepdims=True)


class BatchNorm(Node):
    """Running statistics in states, set in forward; an `if` on how the node was built."""

    def __init__(self, x, gain, shift, mean, variance, training=True):
        Node.__init__(self, [x, gain, shift, mean, variance])
        self.training = training

    def forward(self):
        x, gain, shift, mean, variance = self.inbound_nodes
        m, v = mean.value, variance.value
        if self.training:
            m, v = np.mean(x.value, axis=0), np.var(x.value, axis=0)
            mean.set(0.9 * mean.value + 0.1 * m)
            variance.set(0.9 * variance.value + 0.1 * v)
        self.root = np.sqrt(v + 1e-3)
        self.z = (x.value - m) / self.root
        self.value = gain.value * self.z + shift.value

    def backward(self):
        x, gain, shift, *_ = self.inbound_nodes
        self.gradients = {n: np.zeros_like(n.value) for n in self.inbound_nodes}
        for n in self.outbound_nodes:
            grad = n.gradients[self]
            G = grad * gain.value
            if self.training:
                G = G - G.mean(axis=0) - self.z * (G * self.z).mean(axis=0)
            self.gradients[x] += G / self.root
            self.gradients[gain] += (grad * self.z).sum(axis=0)
            self.gradients[shift] += grad.sum(axis=0)


class LinearEinsum(Node):
    """np.einsum throughout."""

    def __init__(self, x, w, b):
        Node.__init__(self, [x, w, b])

    def forward(self):
        x, w, b = [n.value for n in self.inbound_nodes]
        self.value = np.einsum("ik,kj->ij", x, w) + b

    def backward(self):
        x, w, b = self.inbound_nodes
        grad = sum(n.gradients[self] for n in self.outbound_nodes)
        self.gradients = {
            x: np.einsum("ij,kj->ik", grad, w.value),
            w: np.einsum("ik,ij->kj", x.value, grad),
            b: np.einsum("ij->j", grad),
        }


class LinearByColumns(Node):
    """A loop over the outputs, which writes slices."""

    def __init__(self, x, w, b):
        Node.__init__(self, [x, w, b])

    def forward(self):
        x, w, b = [n.value for n in self.inbound_nodes]
        self.value = np.zeros((x.shape[0], w.shape[1]))
        for j in range(w.shape[1]):
            self.value[:, j] = np.dot(x, w[:, j]) + b[j]

    def backward(self):
        x, w, b = [n.value for n in self.inbound_nodes]
        dx, dw, db = np.zeros(x.shape), np.zeros(w.shape), np.zeros(b.shape)
        for n in self.outbound_nodes:
            grad = n.gradients[self]
            for j in range(w.shape[1]):
                dx += np.outer(grad[:, j], w[:, j])
                dw[:, j] += np.dot(x.T, grad[:, j])
                db[j] += grad[:, j].sum()
        self.gradients = dict(zip(self.inbound_nodes, [dx, dw, db], strict=True))


class LinearWithOnes(Node):
    """The bias is a row of the product with a column of ones."""

    def __init__(self, x, w, b):
        Node.__init__(self, [x, w, b])

    def forward(self):
        x, w, b = [n.value for n in self.inbound_nodes]
        ones = np.ones((x.shape[0], 1))
        self.cache["x1"] = np.hstack([x, ones])
        self.value = self.cache["x1"].dot(np.vstack([w, b]))

    def backward(self):
        x, w, b = self.inbound_nodes
        self.gradients = {x: 0, w: 0, b: 0}
        for n in self.outbound_nodes:
            grad = n.gradients[self]
            stacked = self.cache["x1"].transpose().dot(grad)
            self.gradients[x] += grad.dot(np.transpose(w.value))
            self.gradients[w] += stacked[:-1]
            self.gradients[b] += stacked[-1]


class LinearOfAVector(Node):
    """One example at a time: o = x·w + b, a number."""

    def __init__(self, x, w, b):
        Node.__init__(self, [x, w, b])

    def forward(self):
        x, w, b = [n.value for n in self.inbound_nodes]
        self.value = np.sum(x * w) + b

    def backward(self):
        x, w, b = self.inbound_nodes
        self.gradients = {n: 0 for n in self.inbound_nodes}
        for n in self.outbound_nodes:
            grad = n.gradients[self]
            self.gradients[x] += grad * w.value
            self.gradients[w] += grad * x.value
            self.gradients[b] += 1 * grad


class Outer(Node):
    """x_i y_j, by new axes."""

    def __init__(self, x, y):
        Node.__init__(self, [x, y])

    def forward(self):
        x, y = [n.value for n in self.inbound_nodes]
        self.value = x[:, np.newaxis] * y[None, :]

    def backward(self):
        x, y = self.inbound_nodes
        self.gradients = {n: 0 for n in self.inbound_nodes}
        for n in self.outbound_nodes:
            self.gradients[x] += (n.gradients[self] * y.value).sum(axis=1)
            self.gradients[y] += (n.gradients[self] * x.value[:, np.newaxis]).sum(0)


class Convolution(Node):
    """A loop over the kernel; slices of the input are read, and slices of its gradient added to."""

    def __init__(self, x, kernel):
        Node.__init__(self, [x, kernel])

    def forward(self):
        x, kernel = [n.value for n in self.inbound_nodes]
        length = x.shape[0] - kernel.shape[0] + 1
        self.value = np.zeros(length)
        for i in range(kernel.shape[0]):
            self.value += kernel[i] * x[i : i + length]

    def backward(self):
        x, kernel = [n.value for n in self.inbound_nodes]
        length = x.shape[0] - kernel.shape[0] + 1
        dx, dkernel = np.zeros(x.shape), np.zeros(kernel.shape)
        for n in self.outbound_nodes:
            grad = n.gradients[self]
            for i in range(kernel.shape[0]):
                dx[i : i + length] += kernel[i] * grad
                dkernel[i] += np.dot(grad, x[i : i + length])
        self.gradients = {self.inbound_nodes[0]: dx, self.inbound_nodes[1]: dkernel}


class Standardised(Node):
    """(x - mean) / deviation of each row, with a tuple in the cache."""

    def __init__(self, x):
        Node.__init__(self, [x])

    def forward(self):
        x = self.inbound_nodes[0].value
        centred = x - x.mean(axis=1, keepdims=True)
        deviation = np.sqrt(np.mean(centred**2, axis=1, keepdims=True) + 1e-5)
        self.cache["forward"] = (centred, deviation)
        self.value = centred / deviation

    def backward(self):
        _, deviation = self.cache["forward"]
        x = self.inbound_nodes[0]
        self.gradients = {x: 0}
        for n in self.outbound_nodes:
            grad = n.gradients[self]
            along = np.mean(grad * self.value, axis=1, keepdims=True)
            grad = grad - np.mean(grad, axis=1, keepdims=True) - self.value * along
            self.gradients[x] += grad / deviation


# --- The graphs


def _linear(dtype, node, bias_shape=(2,)):
    x, w, b = Input(), Input(), Input()
    feed = {
        x: numbers(dtype, 4, 3, seed=1),
        w: numbers(dtype, 3, 2, seed=2),
        b: numbers(dtype, *bias_shape, seed=3),
    }
    return headed(node(x, w, b), feed, [x, w, b], (4, 2), mf.Linear(x, w, b))


@case
def linear(dtype):
    return _linear(dtype, Linear)


@case
def linear_keepdims(dtype):
    return _linear(dtype, LinearKeepdims)


@case
def linear_keepdims_with_a_row_for_a_bias(dtype):
    return _linear(dtype, LinearKeepdims, (1, 2))


@case
def linear_einsum(dtype):
    return _linear(dtype, LinearEinsum)


@case
def linear_by_columns(dtype):
    return _linear(dtype, LinearByColumns)


@case
def linear_with_ones(dtype):
    return _linear(dtype, LinearWithOnes)


@case
def linear_of_a_vector(dtype):
    x, w, b = Input(), Input(), Input()
    feed = {x: numbers(dtype, 5, seed=1), w: numbers(dtype, 5, seed=2), b: dtype(0.5)}
    return headed(LinearOfAVector(x, w, b), feed, [x, w, b], (), x @ w + b)


@case
def batch_norm(dtype):
    x, gain, shift = Input(), Input(), Input()
    feed = {x: numbers(dtype, 4, 3, seed=1), gain: numbers(dtype, 3), shift: numbers(dtype, 3)}
    states = [mf.State(fill(3, dtype), "kept") for fill in (np.zeros, np.ones) * 2]
    twin = mf.BatchNorm(x, gain, shift, *states[2:], 0, momentum=0.9)
    return headed(BatchNorm(x, gain, shift, *states[:2]), feed, [x, gain, shift], (4, 3), twin)


@case
def outer(dtype):
    x, y = Input(), Input()
    feed = {x: numbers(dtype, 3, seed=1), y: numbers(dtype, 4, seed=2)}
    twin = mf.Reshape(x, (3, 1)) * y
    return headed(Outer(x, y), feed, [x, y], (3, 4), twin)


@case
def convolution(dtype):
    x, kernel = Input(), Input()
    feed = {x: numbers(dtype, 7, seed=1), kernel: numbers(dtype, 3, seed=2)}
    twin = kernel[0] * x[:5] + kernel[1] * x[1:6] + kernel[2] * x[2:]
    return headed(Convolution(x, kernel), feed, [x, kernel], (5,), twin)


@case
def standardised(dtype):
    x = Input()
    centred = x - mf.Mean(x, axis=1, keepdims=True)
    twin = centred / mf.Sqrt(mf.Mean(centred * centred, axis=1, keepdims=True) + 1e-5)
    return headed(Standardised(x), {x: numbers(dtype, 3, 4, seed=1)}, [x], (3, 4), twin)


@case
def two_layers(dtype):
    """Raw layers on raw layers, and one of them with respect to an interior node."""
    x, w1, b1, w2, b2 = (Input() for _ in range(5))
    feed = {
        x: numbers(dtype, 4, 3, seed=1),
        w1: numbers(dtype, 3, 5, seed=2),
        b1: numbers(dtype, 5, seed=3),
        w2: numbers(dtype, 5, 2, seed=4),
        b2: numbers(dtype, 2, seed=5),
    }
    hidden = ReLU(Linear(x, w1, b1))
    output = Sigmoid(LinearKeepdims(hidden, w2, b2))
    twin = mf.Sigmoid(mf.Linear(mf.ReLU(mf.Linear(x, w1, b1)), w2, b2))
    return headed(output, feed, [x, w1, b1, w2, b2], (4, 2), twin)
