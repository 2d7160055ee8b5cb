"""A network of a learner's own nodes, in the lab's raw style: 784 pixels, 24 and 16 sigmoids."""

import numpy as np

import miniflow as mf


class Linear(mf.Node):
    def __init__(self, x: mf.Node, w: mf.Node, b: mf.Node, name: str | None = None) -> None:
        mf.Node.__init__(self, [x, w, b], name)

    def forward(self) -> None:
        x, w, b = (node.value for node in self.inbound_nodes)
        self.value = np.dot(x, w) + b

    def backward(self) -> None:
        x, w, b = self.inbound_nodes
        self.gradients = {n: np.zeros_like(n.value) for n in self.inbound_nodes}
        for consumer in self.outbound_nodes:
            grad = consumer.gradients[self]
            self.gradients[x] += np.dot(grad, w.value.T)
            self.gradients[w] += np.dot(x.value.T, grad)
            self.gradients[b] += np.sum(grad, axis=0)


class Sigmoid(mf.Node):
    def __init__(self, x: mf.Node, name: str | None = None) -> None:
        mf.Node.__init__(self, [x], name)

    def forward(self) -> None:
        self.value = 1 / (1 + np.exp(-self.inbound_nodes[0].value))

    def backward(self) -> None:
        (x,) = self.inbound_nodes
        self.gradients = {x: np.zeros_like(x.value)}
        for consumer in self.outbound_nodes:
            self.gradients[x] += self.value * (1 - self.value) * consumer.gradients[self]


class OwnNetwork:
    """X (n, 784) of fractions, y (n,) and the logits (n, 10), through 24 and 16 sigmoids."""

    def __init__(self, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)

        def layer(x: mf.Node, inputs: int, outputs: int, name: str | None = None) -> mf.Node:
            w = mf.Parameter(rng.normal(size=(inputs, outputs)) / np.sqrt(inputs))
            return Linear(x, w, mf.Parameter(rng.normal(size=outputs)), name)

        self.X, self.y = mf.Input("X"), mf.Input("y")
        first = Sigmoid(layer(self.X, 784, 24), "</script><script>alert('first')</script>")
        second = Sigmoid(layer(first, 24, 16), "<b>second</b>")
        self.logits = layer(second, 16, 10, "logits")
        self.loss = mf.CrossEntropyWithSoftmax(self.logits, self.y)
        self.example = {self.X: np.zeros((2, 784))}
