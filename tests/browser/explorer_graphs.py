"""Graphs for the explorer's tests: the case study, a network, and node classes of people's own."""

from typing import Any, NamedTuple

import numpy as np

import miniflow as mf


class Graph(NamedTuple):
    """An output and what it is fed."""

    output: mf.Node
    feed: dict[mf.Node, Any]


def case_study() -> Graph:
    x, y, z = mf.Input("x"), mf.Input("y"), mf.Input("z")
    g, h = mf.Mul(x, y, name="g"), mf.Mul(x, z, name="h")
    return Graph(mf.Add(g, h, name="f"), {x: 3, y: 4, z: -5})


class Cube(mf.Node):
    """As in the README, with a remark that HTML could trip over: </script><script>alert(1)."""

    def __init__(self, x: mf.Node) -> None:
        mf.Node.__init__(self, [x])

    def forward(self) -> None:
        self.value = self.inbound_nodes[0].value ** 3  # </script> is only a remark

    def backward(self) -> None:
        x = self.inbound_nodes[0]
        self.gradients = {x: 0}
        for consumer in self.outbound_nodes:
            self.gradients[x] += 3 * x.value**2 * consumer.gradients[self]


class Forgetful(Cube):
    """A cube whose backward forgets the chain rule."""

    def backward(self) -> None:
        x = self.inbound_nodes[0]
        self.gradients = {x: 3 * x.value**2}


class InPlace(mf.Node):
    """A loss whose backward works in place on the probabilities that its forward has kept."""

    def __init__(self, logits: mf.Node, labels: mf.Node) -> None:
        mf.Node.__init__(self, [logits, labels], "loss")

    def forward(self) -> None:
        logits, labels = [node.value for node in self.inbound_nodes]
        exp = np.exp(logits - np.max(logits, axis=1, keepdims=True))
        self.cache["probs"] = exp / np.sum(exp, axis=1, keepdims=True)
        self.value = np.mean(-np.log(self.cache["probs"][range(len(labels)), labels]))

    def backward(self) -> None:
        assert len(self.outbound_nodes) == 0
        logits, labels = self.inbound_nodes
        probs = self.cache["probs"]
        probs[range(len(labels.value)), labels.value] -= 1
        self.gradients = {logits: probs / len(labels.value), labels: 0}


class Choosy(mf.Node):
    """A node that looks at its value: it cannot be recorded as a program."""

    def __init__(self, x: mf.Node) -> None:
        mf.Node.__init__(self, [x], "choosy")

    def forward(self) -> None:
        x = self.inbound_nodes[0].value
        self.value = 2 * x if x > 0 else 3 * x

    def backward(self) -> None:
        x = self.inbound_nodes[0]
        self.gradients = {x: 0}
        for consumer in self.outbound_nodes:
            self.gradients[x] += (2 if x.value > 0 else 3) * consumer.gradients[self]


def own_class() -> Graph:
    x = mf.Input("x")
    return Graph(Cube(x) + Cube(x) * x, {x: 2.0})


def in_place() -> Graph:
    """A loss on twice the logits, and a constant on the way."""
    x, y = mf.Input("x"), mf.Input("y")
    feed = {x: np.array([[0.5, -1.0], [2.0, 0.25]]), y: np.array([1, 0])}
    return Graph(InPlace(mf.Mul(x, mf.Constant([[2.0, 2.0]]), name="logits"), y), feed)


def network(dtype: type = np.float64) -> Graph:
    """Two layers, as the lab builds them; X and y are fed, the weights are parameters."""
    rng = np.random.default_rng(7)

    def weights(name: str, *shape: int) -> mf.Parameter:
        return mf.Parameter(rng.normal(size=shape).astype(dtype), name)

    X, y = mf.Input("X"), mf.Input("y")
    hidden = mf.Linear(X, weights("W1", 4, 3), weights("b1", 3), name="hidden")
    logits = mf.Linear(
        mf.Sigmoid(hidden, name="a"), weights("W2", 3, 2), weights("b2", 2), name="logits"
    )
    feed = {X: rng.normal(size=(5, 4)).astype(dtype), y: np.array([0, 1, 1, 0, 1])}
    return Graph(mf.CrossEntropyWithSoftmax(logits, y, name="loss"), feed)


def deep(blocks: int = 33) -> Graph:
    """Two hundred nodes in named groups."""
    x = mf.Input("x")
    node: mf.Node = x
    for i in range(blocks):
        group = f"stage{i // 11}/block{i}"
        weights = mf.Parameter(0.9 * np.eye(3), f"{group}/W")
        bias = mf.Parameter(np.full(3, 0.01 * i), f"{group}/b")
        node = mf.Linear(node, weights, bias, name=f"{group}/linear")
        node = mf.ReLU(node, name=f"{group}/relu")
        node = mf.Mul(node, 0.5 + i / 50, name=f"{group}/scaled")
    return Graph(mf.Mean(node, name="loss"), {x: np.arange(6.0).reshape(2, 3)})
