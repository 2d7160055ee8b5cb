"""Arithmetic, entry by entry, in the raw style; and small graphs of several classes."""

# ruff: noqa: C420 - {n: 0 for n in ...} is how the lab writes it

import numpy as np

import miniflow as mf
from conformance.printed import Add, Input
from conformance.registry import Graph, case, headed, numbers
from miniflow import Node


class Mul(Node):
    """The lab's exercise, solved along the lines of its Add."""

    def __init__(self, x, y):
        Node.__init__(self, [x, y])

    def forward(self):
        self.value = self.inbound_nodes[0].value * self.inbound_nodes[1].value

    def backward(self):
        self.gradients = {n: 0 for n in self.inbound_nodes}
        for n in self.outbound_nodes:
            grad = n.gradients[self]
            self.gradients[self.inbound_nodes[0]] += self.inbound_nodes[1].value * grad
            self.gradients[self.inbound_nodes[1]] += self.inbound_nodes[0].value * grad


class MulFromZeros(Node):
    """Gradients begin as arrays of zeros, and are added to in place."""

    def __init__(self, x, y):
        Node.__init__(self, [x, y])
        self.x, self.y = x, y

    def forward(self):
        self.value = np.multiply(self.x.value, self.y.value)

    def backward(self):
        self.gradients = {n: np.zeros_like(n.value) for n in self.inbound_nodes}
        for n in self.outbound_nodes:
            self.gradients[self.x] += n.gradients[self] * self.y.value
            self.gradients[self.y] += n.gradients[self] * self.x.value


class Sub(Node):
    """The value is made in place, on a copy."""

    def __init__(self, x, y):
        Node.__init__(self, [x, y])

    def forward(self):
        x, y = (n.value for n in self.inbound_nodes)
        self.value = np.copy(x)
        self.value -= y

    def backward(self):
        grad = sum(n.gradients[self] for n in self.outbound_nodes)
        x, y = self.inbound_nodes
        self.gradients = {x: grad, y: -grad}


class Div(Node):
    """What forward knows is handed to backward in the cache."""

    def __init__(self, x, y):
        super().__init__([x, y])

    def forward(self):
        x, y = self.inbound_nodes[0].value, self.inbound_nodes[1].value
        self.cache["1/y"] = 1.0 / y
        self.value = x * self.cache["1/y"]

    def backward(self):
        self.gradients = {n: 0 for n in self.inbound_nodes}
        for n in self.outbound_nodes:
            grad = n.gradients[self]
            self.gradients[self.inbound_nodes[0]] += grad * self.cache["1/y"]
            self.gradients[self.inbound_nodes[1]] -= grad * self.value * self.cache["1/y"]


class Square(Node):
    """The gradient is worked out in place, on a copy of the upstream gradient."""

    def __init__(self, x):
        Node.__init__(self, [x])

    def forward(self):
        self.value = self.inbound_nodes[0].value ** 2

    def backward(self):
        x = self.inbound_nodes[0]
        self.gradients = {x: np.zeros_like(x.value)}
        for n in self.outbound_nodes:
            dx = n.gradients[self].copy()
            dx *= 2
            dx *= x.value
            self.gradients[x] += dx


class SumOfMany(Node):
    """A node of any number of inputs, in a loop."""

    def __init__(self, *inputs):
        Node.__init__(self, inputs)

    def forward(self):
        self.value = 0
        for n in self.inbound_nodes:
            self.value = self.value + n.value

    def backward(self):
        grad = 0
        for n in self.outbound_nodes:
            grad = grad + n.gradients[self]
        self.gradients = {}
        for n in self.inbound_nodes:
            self.gradients[n] = self.gradients.get(n, 0) + grad


class Scale(Node):
    """A number that is an attribute, and no node."""

    def __init__(self, x, factor):
        Node.__init__(self, [x])
        self.factor = factor

    def forward(self):
        self.value = self.factor * self.inbound_nodes[0].value

    def backward(self):
        self.gradients = {self.inbound_nodes[0]: 0}
        for n in self.outbound_nodes:
            self.gradients[self.inbound_nodes[0]] += self.factor * n.gradients[self]


class Dropout(Node):
    """A fixed mask of zeros and ones, an array that is an attribute."""

    def __init__(self, x, mask):
        Node.__init__(self, [x])
        self.mask = mask

    def forward(self):
        self.value = self.inbound_nodes[0].value * self.mask / 0.5

    def backward(self):
        self.gradients = {self.inbound_nodes[0]: 0}
        for n in self.outbound_nodes:
            self.gradients[self.inbound_nodes[0]] += n.gradients[self] * self.mask / 0.5


class Three(Node):
    """A source: nothing is fed to it, and its forward takes no value."""

    def __init__(self):
        Node.__init__(self, [])

    def forward(self):
        self.value = 3.0

    def backward(self):
        self.gradients = {self: 0}
        for n in self.outbound_nodes:
            self.gradients[self] += n.gradients[self]


# --- The graphs


def two_inputs(dtype, node, twin, positive=False):
    x, y = Input(), Input()
    a, b = numbers(dtype, 3, 4, seed=1), numbers(dtype, 3, 4, seed=2)
    feed = {x: a, y: np.abs(b) if positive else b}
    return headed(node(x, y), feed, [x, y], (3, 4), twin and twin(x, y))


def one_input(dtype, node, twin=None):
    x = Input()
    return headed(node(x), {x: numbers(dtype, 3, 4, seed=1)}, [x], (3, 4), twin and twin(x))


@case
def add(dtype):
    return two_inputs(dtype, Add, mf.Add)


@case
def mul(dtype):
    return two_inputs(dtype, Mul, mf.Mul)


@case
def mul_from_zeros(dtype):
    return two_inputs(dtype, MulFromZeros, mf.Mul)


@case
def sub_in_place(dtype):
    return two_inputs(dtype, Sub, mf.Sub)


@case
def div_cached(dtype):
    return two_inputs(dtype, Div, mf.Div, positive=True)


@case
def mul_of_the_same_node_twice(dtype):
    return one_input(dtype, lambda x: Mul(x, x), lambda x: x * x)


@case
def sum_of_many(dtype):
    return two_inputs(dtype, lambda x, y: SumOfMany(x, y, x), lambda x, y: x + y + x)


@case
def square_in_place(dtype):
    return one_input(dtype, Square, lambda x: x**2)


@case
def scale(dtype):
    return one_input(dtype, lambda x: Scale(x, 2.5), lambda x: 2.5 * x)


@case
def dropout_with_a_fixed_mask(dtype):
    mask = (np.arange(12).reshape(3, 4) % 2).astype(dtype)
    return one_input(dtype, lambda x: Dropout(x, mask), lambda x: x * mask * 2.0)


@case
def constant_source(dtype):
    return one_input(dtype, lambda x: Mul(x, Three()), lambda x: x * 3.0)


@case
def scalars(dtype):
    """The lab's first graph: f = x y + x z, in numbers that are no arrays."""
    x, y, z = Input(), Input(), Input()
    feed = {x: dtype(3), y: dtype(4), z: dtype(-5)}
    output = mf.DummyGrad(Add(Mul(x, y), Mul(x, z)))
    twin = mf.DummyGrad(x * y + x * z)
    return Graph(output, feed | {output: dtype(0.5), twin: dtype(0.5)}, [x, y, z], twin)
