"""Scripts and classes in the style of Udacity's later MiniFlow lesson, but for the import.

Each script is run in a namespace of its own, as its author would run it. What it computes is held
against an engine in the lesson's style, or against numbers worked out in NumPy.
"""

from __future__ import annotations

import numpy as np
import pytest
from lesson_scripts import BACKPROPAGATION, IMPORT, LAYERS_OF_TWO, TRAINING, classes, run

# --- The drivers


def test_sum_of_two() -> None:
    _, printed = run(
        """
from miniflow.udacity import *

x, y = Input(), Input()

f = Add(x, y)

feed_dict = {x: 10, y: 5}

sorted_neurons = topological_sort(feed_dict)
output = forward_pass(f, sorted_neurons)

print("{} + {} = {} (according to miniflow)".format(feed_dict[x], feed_dict[y], output))
"""
    )
    assert printed == "10 + 5 = 15 (according to miniflow)\n"


def test_sums_and_products_of_several() -> None:
    _, printed = run(
        """
from miniflow.udacity import *
x, y, z = Input(), Input(), Input()
f, g = Add(x, y, z), Mul(x, y, z)
feed_dict = {x: 4, y: 5, z: 10}
graph = topological_sort(feed_dict)
print(forward_pass(f, graph), forward_pass(g, graph))
"""
    )
    assert printed == "19 200\n"


def test_linear_of_lists() -> None:
    names, printed = run(
        """
from miniflow.udacity import *

inputs, weights, bias = Input(), Input(), Input()
f = Linear(inputs, weights, bias)
feed_dict = {
    inputs: [6, 14, 3],
    weights: [0.5, 0.25, 1.4],
    bias: 2
}
graph = topological_sort(feed_dict)
output = forward_pass(f, graph)
print(output)
forward_and_backward(graph)
gradients = [t.gradients[t] for t in [inputs, weights, bias]]
"""
    )
    assert float(printed) == pytest.approx(12.7)
    d_inputs, d_weights, d_bias = names["gradients"]
    np.testing.assert_allclose(d_inputs, [0.5, 0.25, 1.4])
    np.testing.assert_allclose(d_weights, [6, 14, 3])
    assert d_bias == 1


def test_linear_and_sigmoid_of_arrays() -> None:
    names, _ = run(LAYERS_OF_TWO)
    np.testing.assert_allclose(names["f"].value, [[-9, 4], [-9, 4]])
    np.testing.assert_allclose(names["output"], 1 / (1 + np.exp(-names["f"].value)), rtol=1e-12)


def test_cost_of_labels_in_a_row() -> None:
    _, printed = run(
        """
import numpy as np
from miniflow.udacity import *
y, a = Input(), Input()
cost = MSE(y, a)
feed_dict = {y: np.array([1, 2, 3]), a: np.array([4.5, 5, 10])}
graph = topological_sort(feed_dict)
forward_pass(graph)
print(cost.value)
"""
    )
    assert float(printed) == pytest.approx((3.5**2 + 3**2 + 7**2) / 3)


def test_backpropagation_gives_the_gradients_of_each_input() -> None:
    names, _ = run(BACKPROPAGATION)
    X, W, b, y = (names[n] for n in ("X_", "W_", "b_", "y_"))
    a = 1 / (1 + np.exp(-(X @ W + b)))
    d_a = -2 / 2 * (y.reshape(-1, 1) - a)
    d_f = d_a * a * (1 - a)
    expected = [d_f @ W.T, -d_a, X.T @ d_f, d_f.sum(axis=0)]
    for seen, wanted in zip(names["gradients"], expected, strict=True):
        np.testing.assert_allclose(seen, wanted, rtol=1e-9)
        assert seen.shape == wanted.shape


# --- A training, with an engine in the lesson's style beside it


# Classes as learners of the lesson write them; `{base}` is what they derive from.


# An engine in that style, of our own: lists for consumers, sets for the order.
ENGINE = """
import numpy as np


class Node:
    def __init__(self, inbound_nodes=[]):
        self.inbound_nodes, self.outbound_nodes = inbound_nodes, []
        self.value, self.gradients = None, {}
        for n in inbound_nodes:
            n.outbound_nodes.append(self)


class Input(Node):
    def __init__(self):
        Node.__init__(self)

    def forward(self, value=None):
        if value is not None:
            self.value = value

    def backward(self):
        self.gradients = {self: 0}
        for n in self.outbound_nodes:
            self.gradients[self] += n.gradients[self]


def topological_sort(feed_dict):
    for node, value in feed_dict.items():
        node.value = value
    order, waiting = [], list(feed_dict)
    while waiting:
        node = waiting.pop(0)
        order.append(node)
        for n in node.outbound_nodes:
            if n not in order + waiting and all(i in order for i in n.inbound_nodes):
                waiting.append(n)
    return order


def forward_and_backward(graph):
    for n in graph:
        n.forward()
    for n in graph[::-1]:
        n.backward()


def sgd_update(trainables, learning_rate=1e-2):
    for t in trainables:
        t.value -= learning_rate * t.gradients[t]
""" + classes()


def test_training_ends_where_that_of_the_lessons_engine_ends() -> None:
    names, printed = run(IMPORT + TRAINING)
    expected, told = run(ENGINE + TRAINING)
    np.testing.assert_allclose(names["losses"], expected["losses"], rtol=1e-9)
    assert printed == told
    assert names["losses"][-1] < names["losses"][0] / 4
    for parameter in ("W1", "b1", "W2", "b2"):
        np.testing.assert_allclose(names[parameter].value, expected[parameter].value, rtol=1e-8)
    assert names["W1"].value is names["W1_"]  # taken a step in place, as there


@pytest.mark.parametrize(
    ("base", "s"), [("Node", "nodes"), ("Layer", "layers"), ("Neuron", "neurons")]
)
def test_classes_of_ones_own_train_to_the_same_bits(base: str, s: str) -> None:
    names, _ = run(IMPORT + classes(base, s) + TRAINING)
    expected, _ = run(ENGINE + TRAINING)
    assert names["losses"] == expected["losses"]
    for parameter in ("W1", "b1", "W2", "b2"):
        assert np.array_equal(names[parameter].value, expected[parameter].value)


OWN_INPUT = """
class Input(Node):
    def __init__(self):
        Node.__init__(self)

    def forward(self, value=None):
        if value is not None:
            self.value = value

    def backward(self):
        self.gradients = {self: 0}
        for n in self.outbound_nodes:
            grad_cost = n.gradients[self]
            self.gradients[self] += grad_cost * 1
"""


def test_input_of_ones_own_too() -> None:
    names, _ = run(IMPORT + OWN_INPUT + classes() + TRAINING)
    expected, _ = run(ENGINE + TRAINING)
    assert names["losses"] == expected["losses"]


def test_functions_of_ones_own_run_on_our_nodes() -> None:
    own = ENGINE[ENGINE.index("def topological_sort") : ENGINE.index("\nclass Linear")]
    names, _ = run(IMPORT + own + TRAINING)
    expected, _ = run(ENGINE + TRAINING)
    np.testing.assert_allclose(names["losses"], expected["losses"], rtol=1e-9)
