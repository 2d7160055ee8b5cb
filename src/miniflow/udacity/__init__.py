"""Udacity's later MiniFlow lesson: its driver scripts run, but for the import, as they are.

    from miniflow.udacity import *

That lesson builds its graph of the same nodes, and runs it by hand: `topological_sort` makes a list
of the graph, `forward_and_backward` goes through the list and back, and `sgd_update` takes a step.
What differs from the rest of miniflow is in this file: an `Input` that keeps the value it has, a
`Linear` that takes vectors too, an `MSE` of columns, and these functions. They call the nodes'
`forward` and `backward` as the interpreter does, so node classes of one's own will do; and the
graphs are graphs of miniflow: `mf.check_gradients`, `mf.compile` and pictures take them.

The lesson's first versions say `Layer` and `inbound_layers`, or `Neuron` and `inbound_neurons`.

>>> X, W, b, y = Input(), Input(), Input(), Input()
>>> cost = MSE(y, Sigmoid(Linear(X, W, b)))
>>> graph = topological_sort({X: [[-1.0, -2.0]], W: [[2.0], [3.0]], b: [-3.0], y: [1.0]})
>>> forward_and_backward(graph)
>>> sgd_update([W, b], learning_rate=1e-2)
>>> graph[-1] is cost, W.gradients[W].shape
(True, (2, 1))
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from miniflow import graph as _graph
from miniflow import nodes
from miniflow.errors import FeedError, GraphError, ShapeError
from miniflow.graph import Node, Op
from miniflow.graph.plans import Pass, ancestors_in_order
from miniflow.graph.values import as_value, describe
from miniflow.interpreter import one_pass_at_a_time
from miniflow.interpreter.feeding import check_fed_enough, wants_a_value
from miniflow.interpreter.passes import TheEnd
from miniflow.interpreter.results import node_failed

__all__ = [
    *("Add", "Input", "Layer", "Linear", "MSE", "Mul", "Neuron", "Node", "Sigmoid"),
    *("forward_and_backward", "forward_pass", "np", "sgd_update", "topological_sort"),
]


class Layer(Node):
    """A `Node`, by its names in the lesson's first versions."""

    def __init__(self, inbound_layers: Iterable[Node] = (), name: str | None = None) -> None:
        Node.__init__(self, inbound_layers, name)

    @property
    def inbound_layers(self) -> Sequence[Node]:
        """The inbound nodes."""
        return self.inbound_nodes

    @property
    def outbound_layers(self) -> list[Node]:
        """The consumers."""
        return self.outbound_nodes

    inbound_neurons, outbound_neurons = inbound_layers, outbound_layers


Neuron = Layer


class Input(_graph.Input, Layer):
    """A value that stays until another one is given, to `forward` or by assignment."""

    def forward(self, value: Any = None) -> None:
        if value is not None:
            self.value = as_value(value, self)


class Add(nodes.Add, Layer):
    """`x + y + ...`"""


class Mul(nodes.Mul, Layer):
    """`x * y * ...`"""


class Sigmoid(nodes.Sigmoid, Layer):
    """`1 / (1 + e^-x)`"""


class Linear(nodes.MatMul, Layer):
    """`X W + b`, of matrices (m, n) and (n, p) or of vectors (n,) and (n,), as in `np.dot`."""

    expects = "X (m, n), W (n, p) and b (p,), or two vectors (n,) and a number"

    def __init__(self, X: Any, W: Any, b: Any, name: str | None = None) -> None:
        Op.__init__(self, X, W, b, name=name)

    def compute(self, X: Any, W: Any, b: Any) -> Any:  # type: ignore[override]
        return nodes.MatMul.compute(self, X, W) + b

    def gradient(self, grad: Any, X: Any, W: Any, b: Any) -> Any:  # type: ignore[override]
        return (*nodes.MatMul.gradient(self, grad, X, W), grad)


class MSE(Layer):
    """The mean of (y - a)², of labels y and answers a, which are made columns: (n,) or (n, 1)."""

    def __init__(self, y: Node, a: Node, name: str | None = None) -> None:
        Layer.__init__(self, [y, a], name)

    def forward(self) -> None:
        y, a = (np.reshape(node.value, (-1, 1)) for node in self.inbound_nodes)
        if len(y) != len(a):
            raise ShapeError(f"{self}: {len(y)} labels for {len(a)} answers.")
        self.cache["difference"] = y - a
        self.value = np.mean((y - a) ** 2)

    def backward(self) -> None:
        y, a = self.inbound_nodes
        difference = self.cache["difference"]
        share = self.upstream_gradient() * (2 / len(difference)) * difference
        self.gradients = {y: share, a: -share}


def topological_sort(feed_dict: Mapping[Node, Any]) -> list[Node]:
    """Give the inputs their values, and list the graph that they lead to: each node after its
    inbound nodes, and last the cost, which is the one that depends on most.
    """
    if not isinstance(feed_dict, Mapping) or not all(isinstance(n, Node) for n in feed_dict):
        raise FeedError(
            f"feed_dict is a dictionary of node → value, and was {describe(feed_dict)}."
        )
    for node, value in feed_dict.items():
        node.value = as_value(value, node)
    reached = dict.fromkeys(feed_dict)
    waiting = list(reached)
    while waiting:
        consumers = [node for node in waiting.pop().outbound_nodes if node not in reached]
        reached.update(dict.fromkeys(consumers))
        waiting += consumers
    ends = [ancestors_in_order(node) for node in reached if not node.outbound_nodes]
    # What is left of earlier cells, and lacks a value now, has nothing to do with this feed.
    whole = [found for found in ends if all(n.inbound_nodes or n.value is not None for n in found)]
    if ends and not whole:
        check_fed_enough(max(ends, key=len), feed_dict)
    return list(dict.fromkeys(node for found in sorted(whole, key=len) for node in found))


def forward_pass(*arguments: Any) -> Any:
    """`forward_pass(graph)`, or `forward_pass(output, graph)`: the value of the output, or of the
    last node.
    """
    graph = arguments[-1]
    _run(graph)
    return (arguments[0] if len(arguments) > 1 else graph[-1]).value


def forward_and_backward(graph: Sequence[Node]) -> None:
    """Call `forward` of each node of the list, and then, from its end, `backward`."""
    _run(graph, ("forward", "backward"))


def _run(graph: Sequence[Node], methods: Sequence[str] = ("forward",)) -> None:
    members = set(graph)
    consumers = {
        node: [consumer for consumer in node.outbound_nodes if consumer in members] or TheEnd(node)
        for node in graph
    }
    with one_pass_at_a_time, Pass(consumers, members, graph[::-1]):
        for method in methods:
            for node in graph if method == "forward" else graph[::-1]:
                try:
                    if method == "backward":
                        node.backward()
                    elif wants_a_value(type(node).forward):  # an Input of another kind
                        node.forward(node.value)
                    else:
                        node.forward()
                except GraphError:
                    raise
                except Exception as error:
                    raise node_failed(node, method, error) from error


def sgd_update(trainables: Iterable[Node], learning_rate: float = 1e-2) -> None:
    """Take from each value the learning rate times its gradient, in place where it is an array."""
    for node in trainables:
        step = learning_rate * node.gradients[node]
        if isinstance(node.value, np.ndarray) and node.value.dtype.kind == "f":
            node.value -= step
        else:
            node.value = node.value - step
