"""Scripts and classes as an author of Udacity's later MiniFlow lesson writes them."""

from __future__ import annotations

import contextlib
import io
from typing import Any


def run(script: str) -> tuple[dict[str, Any], str]:
    """The names that a script leaves, and what it prints."""
    names: dict[str, Any] = {"__name__": "__main__"}
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(script, names)
    return names, printed.getvalue()


IMPORT = "from miniflow.udacity import *\n"


LAYERS_OF_TWO = """
import numpy as np
from miniflow.udacity import *

X, W, b = Input(), Input(), Input()
f = Linear(X, W, b)
g = Sigmoid(f)

X_ = np.array([[-1., -2.], [-1, -2]])
W_ = np.array([[2., -3], [2., -3]])
b_ = np.array([-3., -5])

feed_dict = {X: X_, W: W_, b: b_}

graph = topological_sort(feed_dict)
output = forward_pass(g, graph)
"""


BACKPROPAGATION = """
import numpy as np
from miniflow.udacity import *

X, W, b = Input(), Input(), Input()
y = Input()
f = Linear(X, W, b)
a = Sigmoid(f)
cost = MSE(y, a)

X_ = np.array([[-1., -2.], [-1, -2]])
W_ = np.array([[2.], [3.]])
b_ = np.array([-3.])
y_ = np.array([1, 2])

feed_dict = {X: X_, y: y_, W: W_, b: b_}
graph = topological_sort(feed_dict)
forward_and_backward(graph)
gradients = [t.gradients[t] for t in [X, y, W, b]]
"""


TRAINING = """
import numpy as np

rng = np.random.RandomState(1)
X_ = rng.normal(size=(506, 13)) * rng.uniform(1, 50, 13)
y_ = np.abs(X_ @ rng.normal(size=13) / 40 + 22 + rng.normal(size=506))
X_ = (X_ - np.mean(X_, axis=0)) / np.std(X_, axis=0)

n_features = X_.shape[1]
n_hidden = 10
W1_ = rng.randn(n_features, n_hidden)
b1_ = np.zeros(n_hidden)
W2_ = rng.randn(n_hidden, 1)
b2_ = np.zeros(1)

X, y = Input(), Input()
W1, b1 = Input(), Input()
W2, b2 = Input(), Input()

l1 = Linear(X, W1, b1)
s1 = Sigmoid(l1)
l2 = Linear(s1, W2, b2)
cost = MSE(y, l2)

feed_dict = {X: X_, y: y_, W1: W1_, b1: b1_, W2: W2_, b2: b2_}

epochs = 5
m = X_.shape[0]
batch_size = 11
steps_per_epoch = m // batch_size

graph = topological_sort(feed_dict)
trainables = [W1, b1, W2, b2]
losses = []

for i in range(epochs):
    loss = 0
    for j in range(steps_per_epoch):
        chosen = rng.choice(m, batch_size)
        X.value = X_[chosen]
        y.value = y_[chosen]
        forward_and_backward(graph)
        sgd_update(trainables)
        loss += graph[-1].value
    losses.append(loss / steps_per_epoch)
    print("Epoch: {}, Loss: {:.3f}".format(i + 1, loss / steps_per_epoch))
"""


CLASSES = """
class {linear}({base}):
    def __init__(self, X, W, b):
        {base}.__init__(self, [X, W, b])

    def forward(self):
        X = self.inbound_{s}[0].value
        W = self.inbound_{s}[1].value
        b = self.inbound_{s}[2].value
        self.value = np.dot(X, W) + b

    def backward(self):
        self.gradients = {{n: np.zeros_like(n.value) for n in self.inbound_{s}}}
        for n in self.outbound_{s}:
            grad_cost = n.gradients[self]
            self.gradients[self.inbound_{s}[0]] += np.dot(grad_cost, self.inbound_{s}[1].value.T)
            self.gradients[self.inbound_{s}[1]] += np.dot(self.inbound_{s}[0].value.T, grad_cost)
            self.gradients[self.inbound_{s}[2]] += np.sum(grad_cost, axis=0, keepdims=False)


class {sigmoid}({base}):
    def __init__(self, node):
        {base}.__init__(self, [node])

    def _sigmoid(self, x):
        return 1. / (1. + np.exp(-x))

    def forward(self):
        self.value = self._sigmoid(self.inbound_{s}[0].value)

    def backward(self):
        self.gradients = {{n: np.zeros_like(n.value) for n in self.inbound_{s}}}
        for n in self.outbound_{s}:
            grad_cost = n.gradients[self]
            sigmoid = self.value
            self.gradients[self.inbound_{s}[0]] += sigmoid * (1 - sigmoid) * grad_cost


class {mse}({base}):
    def __init__(self, y, a):
        {base}.__init__(self, [y, a])

    def forward(self):
        y = self.inbound_{s}[0].value.reshape(-1, 1)
        a = self.inbound_{s}[1].value.reshape(-1, 1)
        self.m = self.inbound_{s}[0].value.shape[0]
        self.diff = y - a
        self.value = np.mean(self.diff**2)

    def backward(self):
        self.gradients[self.inbound_{s}[0]] = (2 / self.m) * self.diff
        self.gradients[self.inbound_{s}[1]] = (-2 / self.m) * self.diff
"""


def classes(base: str = "Node", s: str = "nodes") -> str:
    return CLASSES.format(base=base, s=s, linear="Linear", sigmoid="Sigmoid", mse="MSE")
