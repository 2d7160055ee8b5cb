"""Activations in the raw style: from a formula, from the value, from the cache, through masks."""

# ruff: noqa: C420 - {n: 0 for n in ...} is how the lab writes it

import numpy as np

import miniflow as mf
from conformance.elementwise import Mul, one_input, two_inputs
from conformance.printed import Add
from conformance.registry import case
from miniflow import Node


class Sigmoid(Node):
    """Its local derivative from a private method, as the lab's hints suggest."""

    def __init__(self, x):
        Node.__init__(self, [x])

    def _sigmoid(self, x):
        return 1.0 / (1.0 + np.exp(-x))

    def forward(self):
        self.value = self._sigmoid(self.inbound_nodes[0].value)

    def backward(self):
        self.gradients = {n: np.zeros_like(n.value) for n in self.inbound_nodes}
        for n in self.outbound_nodes:
            grad_cost = n.gradients[self]
            sigmoid = self.value
            self.gradients[self.inbound_nodes[0]] += sigmoid * (1 - sigmoid) * grad_cost


class SigmoidCached(Node):
    """Its local derivative made by forward already."""

    def __init__(self, x):
        Node.__init__(self, [x])

    def forward(self):
        s = np.reciprocal(1 + np.exp(np.negative(self.inbound_nodes[0].value)))
        self.cache["slope"] = s * (1 - s)
        self.value = s

    def backward(self):
        self.gradients = {n: 0 for n in self.inbound_nodes}
        for n in self.outbound_nodes:
            self.gradients[self.inbound_nodes[0]] += self.cache["slope"] * n.gradients[self]


class Tanh(Node):
    """From exponentials."""

    def __init__(self, x):
        Node.__init__(self, [x])

    def forward(self):
        x = self.inbound_nodes[0].value
        up, down = np.exp(x), np.exp(-x)
        self.value = (up - down) / (up + down)

    def backward(self):
        self.gradients = {n: 0 for n in self.inbound_nodes}
        for n in self.outbound_nodes:
            self.gradients[self.inbound_nodes[0]] += (1 - np.square(self.value)) * n.gradients[self]


class ReLU(Node):
    """Booleans as numbers."""

    def __init__(self, x):
        Node.__init__(self, [x])

    def forward(self):
        self.value = np.maximum(0, self.inbound_nodes[0].value)

    def backward(self):
        x = self.inbound_nodes[0]
        self.gradients = {x: 0}
        for n in self.outbound_nodes:
            self.gradients[x] += (x.value > 0) * n.gradients[self]


class ReLUMasked(Node):
    """Entries are set to 0 through a mask, in the value and in the gradient."""

    def __init__(self, x):
        Node.__init__(self, [x])

    def forward(self):
        self.value = self.inbound_nodes[0].value.copy()
        self.value[self.value < 0] = 0

    def backward(self):
        x = self.inbound_nodes[0]
        self.gradients = {x: 0}
        for n in self.outbound_nodes:
            dx = np.array(n.gradients[self])
            dx[x.value <= 0] = 0
            self.gradients[x] += dx


class LeakyReLU(Node):
    """np.where in both directions."""

    def __init__(self, x, slope=0.1):
        Node.__init__(self, [x])
        self.slope = slope

    def forward(self):
        x = self.inbound_nodes[0].value
        self.value = np.where(x > 0, x, x * self.slope)

    def backward(self):
        x = self.inbound_nodes[0]
        self.gradients = {x: np.zeros_like(x.value)}
        for n in self.outbound_nodes:
            grad = n.gradients[self]
            self.gradients[x] += np.where(x.value > 0, grad, grad * self.slope)


class Softplus(Node):
    """log(1 + e^x), by log1p."""

    def __init__(self, x):
        Node.__init__(self, [x])

    def forward(self):
        self.value = np.log1p(np.exp(self.inbound_nodes[0].value))

    def backward(self):
        x = self.inbound_nodes[0].value
        grad = np.sum([n.gradients[self] for n in self.outbound_nodes], axis=0)
        self.gradients = {self.inbound_nodes[0]: grad * np.exp(x) / (1 + np.exp(x))}


class Clip(Node):
    """np.clip, and a mask from two comparisons."""

    def __init__(self, x, low, high):
        Node.__init__(self, [x])
        self.low, self.high = low, high

    def forward(self):
        self.value = np.clip(self.inbound_nodes[0].value, self.low, self.high)

    def backward(self):
        x = self.inbound_nodes[0].value
        inside = (x > self.low) & (x < self.high)
        self.gradients = {self.inbound_nodes[0]: 0}
        for n in self.outbound_nodes:
            self.gradients[self.inbound_nodes[0]] += n.gradients[self] * inside


class AbsSqrt(Node):
    """√|x|, with np.abs, np.sqrt and np.sign."""

    def __init__(self, x):
        Node.__init__(self, [x])

    def forward(self):
        self.value = np.sqrt(np.abs(self.inbound_nodes[0].value))

    def backward(self):
        x = self.inbound_nodes[0].value
        self.gradients = {self.inbound_nodes[0]: 0}
        for n in self.outbound_nodes:
            self.gradients[self.inbound_nodes[0]] += n.gradients[self] * np.sign(x) / 2 / self.value


# --- The graphs


@case
def sigmoid(dtype):
    return one_input(dtype, Sigmoid, mf.Sigmoid)


@case
def sigmoid_cached(dtype):
    return one_input(dtype, SigmoidCached, mf.Sigmoid)


@case
def tanh(dtype):
    return one_input(dtype, Tanh, mf.Tanh)


@case
def relu(dtype):
    return one_input(dtype, ReLU, mf.ReLU)


@case
def relu_masked(dtype):
    return one_input(dtype, ReLUMasked, mf.ReLU)


@case
def leaky_relu(dtype):
    return one_input(dtype, LeakyReLU, lambda x: mf.LeakyReLU(x, slope=0.1))


@case
def softplus(dtype):
    return one_input(dtype, Softplus, lambda x: mf.Log(1 + mf.Exp(x)))


@case
def clip(dtype):
    return one_input(dtype, lambda x: Clip(x, -1.0, 1.0))


@case
def abs_sqrt(dtype):
    return one_input(dtype, AbsSqrt)


@case
def several_consumers(dtype):
    """Every class of a small graph has two consumers, so all have to add up."""

    def build(x, y):
        g = Mul(x, y)
        h = Sigmoid(Add(g, x))
        return Add(Mul(h, g), Tanh(h))

    def twin(x, y):
        g = x * y
        h = mf.Sigmoid(g + x)
        return h * g + mf.Tanh(h)

    return two_inputs(dtype, build, twin)
