"""Reductions, and nodes that move entries: sums, maxima, slices, transposes, loops."""

# ruff: noqa: C420 - {n: 0 for n in ...} is how the lab writes it

import numpy as np

import miniflow as mf
from conformance.printed import Input
from conformance.registry import case, headed, numbers
from miniflow import Node


class Sum(Node):
    """Its gradient is the upstream number, as often as there are entries."""

    def __init__(self, x):
        Node.__init__(self, [x])

    def forward(self):
        self.value = np.sum(self.inbound_nodes[0].value)

    def backward(self):
        x = self.inbound_nodes[0]
        self.gradients = {x: 0}
        for n in self.outbound_nodes:
            self.gradients[x] += n.gradients[self] * np.ones_like(x.value)


class RowMeans(Node):
    """Its gradient by repetition."""

    def __init__(self, x):
        Node.__init__(self, [x])

    def forward(self):
        self.value = self.inbound_nodes[0].value.mean(axis=1, keepdims=True)

    def backward(self):
        x = self.inbound_nodes[0]
        n, k = x.value.shape
        self.gradients = {x: np.zeros((n, k))}
        for consumer in self.outbound_nodes:
            self.gradients[x] += np.repeat(consumer.gradients[self], k, axis=1) / k


class RowMaxima(Node):
    """The position of the largest entry gets the whole gradient."""

    def __init__(self, x):
        Node.__init__(self, [x])

    def forward(self):
        x = self.inbound_nodes[0].value
        self.cache["at"] = np.argmax(x, axis=1)
        self.value = np.max(x, axis=1)

    def backward(self):
        x = self.inbound_nodes[0]
        dx = np.zeros_like(x.value)
        for n in self.outbound_nodes:
            dx[np.arange(x.value.shape[0]), self.cache["at"]] += n.gradients[self]
        self.gradients = {x: dx}


class Transpose(Node):
    """.T there, .T back."""

    def __init__(self, x):
        Node.__init__(self, [x])

    def forward(self):
        self.value = self.inbound_nodes[0].value.T

    def backward(self):
        self.gradients = {self.inbound_nodes[0]: 0}
        for n in self.outbound_nodes:
            self.gradients[self.inbound_nodes[0]] += n.gradients[self].T


class Flatten(Node):
    """All axes but the first in one."""

    def __init__(self, x):
        Node.__init__(self, [x])

    def forward(self):
        x = self.inbound_nodes[0].value
        self.value = x.reshape(x.shape[0], -1)

    def backward(self):
        x = self.inbound_nodes[0]
        self.gradients = {x: np.zeros_like(x.value)}
        for n in self.outbound_nodes:
            self.gradients[x] += np.reshape(n.gradients[self], x.value.shape)


class SideBySide(Node):
    """Columns next to columns, and slices of the gradient back."""

    def __init__(self, x, y):
        Node.__init__(self, [x, y])

    def forward(self):
        self.value = np.concatenate([n.value for n in self.inbound_nodes], axis=1)

    def backward(self):
        x, y = self.inbound_nodes
        split = x.value.shape[1]
        self.gradients = {x: 0, y: 0}
        for n in self.outbound_nodes:
            self.gradients[x] += n.gradients[self][:, :split]
            self.gradients[y] += n.gradients[self][:, split:]


class FirstColumns(Node):
    """A slice of the value; its gradient is added to a slice of zeros."""

    def __init__(self, x, columns):
        Node.__init__(self, [x])
        self.columns = columns

    def forward(self):
        self.value = self.inbound_nodes[0].value[:, : self.columns]

    def backward(self):
        x = self.inbound_nodes[0]
        dx = np.zeros_like(x.value)
        for n in self.outbound_nodes:
            dx[:, : self.columns] += n.gradients[self]
        self.gradients = {x: dx}


class Choose(Node):
    """np.where between two inputs; the condition is fed, and gets no gradient to speak of."""

    def __init__(self, condition, x, y):
        Node.__init__(self, [condition, x, y])

    def forward(self):
        condition, x, y = [n.value for n in self.inbound_nodes]
        self.value = np.where(condition, x, y)

    def backward(self):
        condition, x, y = self.inbound_nodes
        self.gradients = {n: 0 for n in self.inbound_nodes}
        for n in self.outbound_nodes:
            self.gradients[x] += np.where(condition.value, n.gradients[self], 0)
            self.gradients[y] += np.where(condition.value, 0, n.gradients[self])


class RunningSum(Node):
    """A loop in which every entry depends on the one before."""

    def __init__(self, x):
        Node.__init__(self, [x])

    def forward(self):
        x = self.inbound_nodes[0].value
        self.value = np.array(x)
        for i in range(1, len(x)):
            self.value[i] += self.value[i - 1]

    def backward(self):
        x = self.inbound_nodes[0]
        total = np.zeros_like(x.value)
        for n in self.outbound_nodes:
            total += n.gradients[self]
        for i in reversed(range(len(total) - 1)):
            total[i] += total[i + 1]
        self.gradients = {x: total}


class AddBias(Node):
    """Broadcasting, undone by hand; the bias may be a row or a vector."""

    def __init__(self, x, b):
        Node.__init__(self, [x, b])

    def forward(self):
        self.value = self.inbound_nodes[0].value + self.inbound_nodes[1].value

    def backward(self):
        x, b = self.inbound_nodes
        self.gradients = {x: 0, b: 0}
        for n in self.outbound_nodes:
            self.gradients[x] += n.gradients[self]
            self.gradients[b] += n.gradients[self].sum(axis=0)[np.newaxis, :]


class Rows(Node):
    """A look-up of rows: those named twice add up."""

    def __init__(self, table, indices):
        Node.__init__(self, [table, indices])

    def forward(self):
        table, indices = [n.value for n in self.inbound_nodes]
        self.value = table[indices]

    def backward(self):
        table, indices = self.inbound_nodes
        dtable = np.zeros_like(table.value)
        for n in self.outbound_nodes:
            np.add.at(dtable, indices.value, n.gradients[self])
        self.gradients = {table: dtable, indices: 0}


# --- The graphs


def _one(dtype, node, twin, shape, out):
    x = Input()
    return headed(node(x), {x: numbers(dtype, *shape, seed=1)}, [x], out, twin(x))


@case
def sum_all(dtype):
    return _one(dtype, Sum, mf.Sum, (3, 4), ())


@case
def row_means(dtype):
    return _one(dtype, RowMeans, lambda x: mf.Mean(x, axis=1, keepdims=True), (3, 4), (3, 1))


@case
def row_maxima(dtype):
    return _one(dtype, RowMaxima, lambda x: mf.Max(x, axis=1), (3, 4), (3,))


@case
def transpose(dtype):
    return _one(dtype, Transpose, mf.Transpose, (3, 4), (4, 3))


@case
def flatten(dtype):
    return _one(dtype, Flatten, lambda x: mf.Reshape(x, (2, 12)), (2, 3, 4), (2, 12))


@case
def side_by_side(dtype):
    x, y = Input(), Input()
    feed = {x: numbers(dtype, 3, 2, seed=1), y: numbers(dtype, 3, 4, seed=2)}
    return headed(SideBySide(x, y), feed, [x, y], (3, 6), mf.Concat(x, y, axis=1))


@case
def first_columns(dtype):
    return _one(dtype, lambda x: FirstColumns(x, 2), lambda x: x[:, :2], (3, 4), (3, 2))


@case
def choose(dtype):
    c, x, y = Input(), Input(), Input()
    feed = {
        c: np.array([True, False, True]),
        x: numbers(dtype, 3, seed=1),
        y: numbers(dtype, 3, seed=2),
    }
    return headed(Choose(c, x, y), feed, [x, y], (3,), mf.Where(c, x, y))


@case
def running_sum(dtype):
    lower = np.tril(np.ones((5, 5))).astype(dtype)
    return _one(dtype, RunningSum, lambda x: mf.MatMul(lower, x), (5,), (5,))


def _add_bias(dtype, bias_shape):
    x, b = Input(), Input()
    feed = {x: numbers(dtype, 3, 4, seed=1), b: numbers(dtype, *bias_shape, seed=2)}
    return headed(AddBias(x, b), feed, [x, b], (3, 4), x + b)


@case
def add_bias_row(dtype):
    return _add_bias(dtype, (1, 4))


@case
def add_bias_vector(dtype):
    return _add_bias(dtype, (4,))


@case
def look_up_of_rows(dtype):
    table, indices = Input(), Input()
    feed = {table: numbers(dtype, 4, 3, seed=1), indices: np.array([2, 0, 2])}
    twin = mf.Gather(table, indices)
    return headed(Rows(table, indices), feed, [table], (3, 3), twin)
