"""Scripts and classes in the style of Udacity's later MiniFlow lesson, but for the import.

Each script is run in a namespace of its own, as its author would run it. What it computes is held
against an engine in the lesson's style, or against numbers worked out in NumPy.
"""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np
import pytest

import miniflow as mf
from miniflow import udacity
from miniflow.errors import FeedError, GraphError, NodeError, ShapeError


def run(script: str) -> tuple[dict[str, Any], str]:
    """The names that a script leaves, and what it prints."""
    names: dict[str, Any] = {"__name__": "__main__"}
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(script, names)
    return names, printed.getvalue()


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

# Classes as learners of the lesson write them; `{base}` is what they derive from.
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

IMPORT = "from miniflow.udacity import *\n"


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


# --- The functions


def test_order_has_each_node_after_its_inbound_nodes_and_the_cost_last() -> None:
    names, _ = run(BACKPROPAGATION)
    graph = names["graph"]
    assert type(graph) is list
    assert graph[-1] is names["cost"]
    assert len(graph) == len(set(graph)) == 7
    for i, node in enumerate(graph):
        assert all(source in graph[:i] for source in node.inbound_nodes)


def test_cost_is_last_although_another_head_was_made_later() -> None:
    X, W, b, y = (udacity.Input() for _ in range(4))
    answers = udacity.Linear(X, W, b)
    cost = udacity.MSE(y, answers)
    later = udacity.Sigmoid(answers)
    feed = {y: np.ones(2), X: np.ones((2, 3)), W: np.ones((3, 1)), b: np.zeros(1)}
    graph = udacity.topological_sort(feed)
    assert graph[-1] is cost
    assert later in graph


def test_what_is_left_of_an_earlier_cell_is_left_alone() -> None:
    X, old = udacity.Input("X"), udacity.Input("old")
    stale = udacity.MSE(old, X)
    cost = udacity.Sigmoid(X)
    graph = udacity.topological_sort({X: np.ones(3)})
    assert graph == [X, cost]
    udacity.forward_and_backward(graph)
    assert stale.value is None
    np.testing.assert_allclose(X.gradients[X], cost.value * (1 - cost.value))


def test_forward_pass_takes_the_graph_or_the_output_and_the_graph() -> None:
    names, _ = run(LAYERS_OF_TWO)
    f, g, graph = names["f"], names["g"], names["graph"]
    assert udacity.forward_pass(graph) is g.value
    assert udacity.forward_pass(f, graph) is f.value


def test_input_keeps_what_it_has() -> None:
    x = udacity.Input()
    x.forward([1, 2])
    x.forward()
    assert np.array_equal(x.value, [1, 2])
    x.value = 3.0
    x.forward()
    assert x.value == 3.0


@pytest.mark.parametrize("value", [2.0, 2, np.array([1.0, 2.0]), np.array([1, 2])])
def test_step_of_any_number(value: Any) -> None:
    t = udacity.Input()
    f = udacity.Mul(t, t)
    graph = udacity.topological_sort({t: value})
    before = np.array(value)
    udacity.forward_and_backward(graph)
    udacity.sgd_update([t], 0.25)
    np.testing.assert_allclose(t.value, before - 0.25 * 2 * before)
    udacity.sgd_update([t], learning_rate=0.25)
    np.testing.assert_allclose(t.value, 0)
    assert f.inbound_nodes == [t, t]


def test_inputs_of_the_library_and_parameters_take_part() -> None:
    x, w = mf.Input("x"), mf.Parameter([1.0, 2.0], "w")
    total = udacity.Mul(x, w)
    graph = udacity.topological_sort({x: np.array([3.0, 4.0])})
    udacity.forward_and_backward(graph)
    assert np.array_equal(total.value, [3.0, 8.0])
    assert np.array_equal(w.gradients[w], [3.0, 4.0])
    udacity.sgd_update([w], 0.5)
    assert np.array_equal(w.value, [-0.5, 0.0])


@pytest.mark.parametrize("y", [np.arange(4.0), np.arange(4.0).reshape(4, 1), [0, 1, 2, 3]])
@pytest.mark.parametrize("a", [np.ones(4), np.ones((4, 1))])
def test_cost_of_rows_and_of_columns(y: Any, a: Any) -> None:
    labels, answers = udacity.Input("y"), udacity.Input("a")
    cost = udacity.MSE(labels, answers)
    udacity.forward_and_backward(udacity.topological_sort({labels: y, answers: a}))
    assert cost.value == pytest.approx(np.mean((np.arange(4.0) - 1) ** 2))
    for node, sign in ((labels, 1), (answers, -1)):
        gradient = np.ravel(node.gradients[node])
        np.testing.assert_allclose(gradient, sign * (np.arange(4.0) - 1) / 2)


# --- They are graphs of miniflow


def test_a_lessons_graph_is_one_of_miniflow() -> None:
    names, _ = run(BACKPROPAGATION)
    cost, feed = names["cost"], names["feed_dict"]
    wrt = [names[n] for n in ("X", "W", "b")]
    wanted = [node.gradients[node] for node in wrt]
    value, gradients = mf.value_and_grad(cost, feed, wrt)
    assert value == cost.value
    for seen, expected in zip(gradients, wanted, strict=True):
        np.testing.assert_allclose(seen, expected, rtol=1e-9)
    mf.check_gradients(cost, {**feed, names["y"]: np.array([1.0, 2.0])})
    for backend in ("numpy", "reference"):
        compiled, gradients = mf.compile(cost, wrt=wrt, backend=backend)(feed)
        assert compiled == pytest.approx(value)
        for seen, expected in zip(gradients, wanted, strict=True):
            np.testing.assert_allclose(seen, expected, rtol=1e-9)
    assert "MSE" in mf.draw(cost).svg()


def test_inputs_that_keep_their_value_need_no_feed_when_compiled() -> None:
    names, _ = run(BACKPROPAGATION)
    step = mf.compile(names["cost"], backend="numpy")
    fed = {names["X"]: names["X_"], names["y"]: names["y_"]}
    for _ in range(3):
        assert step(fed) == pytest.approx(mf.value(names["cost"], fed))
        names["W"].value = names["W"].value - 0.5


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_own_classes_in_that_style_are_compiled(dtype: type) -> None:
    names, _ = run(IMPORT + classes() + TRAINING.replace("epochs = 5", "epochs = 1"))
    cost, inputs = names["cost"], [names[n] for n in ("X", "y", "W1", "b1", "W2", "b2")]
    feed = {node: node.value.astype(dtype) for node in inputs}
    wrt = inputs[2:]
    value, gradients = mf.value_and_grad(cost, feed, wrt)
    compiled, seen = mf.compile(cost, wrt=wrt, backend="numpy")(feed)
    tolerance = 1e-4 if dtype is np.float32 else 1e-12
    assert compiled == pytest.approx(value, rel=tolerance)
    for a, b in zip(seen, gradients, strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)
    mf.check_gradients(cost, feed)


# --- Mistakes


def test_mistakes_are_told_of_the_graph() -> None:
    x, w, y = udacity.Input("x"), udacity.Input("w"), udacity.Input("y")
    product = udacity.Linear(x, w, y, name="first")
    with pytest.raises(FeedError, match=r"needs a value for Input 'w' .*add it to feed_dict"):
        udacity.topological_sort({x: np.ones((2, 3)), y: 0.0})
    for strange in ([x], {"x": 1}, None):
        with pytest.raises(FeedError, match="feed_dict is a dictionary of node"):
            udacity.topological_sort(strange)  # type: ignore[arg-type]
    graph = udacity.topological_sort({x: np.ones((2, 3)), w: np.ones((4, 1)), y: 0.0})
    with pytest.raises(ShapeError, match=r"^Linear 'first' .* got Input 'x' of shape \(2, 3\)"):
        udacity.forward_pass(product, graph)
    cost = udacity.MSE(x, w)
    graph = udacity.topological_sort({x: np.ones(2), w: np.ones(3), y: 0.0})
    with pytest.raises(ShapeError, match="2 labels for 3 answers"):
        udacity.forward_pass(cost, [x, w, cost])
    with pytest.raises(GraphError, match=r"^Input 'x' \(.*\) was given 'a'"):
        udacity.topological_sort({x: "a"})

    class Broken(udacity.Layer):
        def forward(self) -> None:
            self.value = self.inbound_layers[0].values

    broken = Broken([x])
    with pytest.raises(NodeError, match=r"Broken .* forward\(\) failed with AttributeError"):
        udacity.forward_pass([x, broken])


def test_star_import_gives_the_lessons_names_and_no_more() -> None:
    names, _ = run(IMPORT)
    lesson = "Node Layer Neuron Input Add Mul Linear Sigmoid MSE np "
    lesson += "topological_sort forward_pass forward_and_backward sgd_update"
    assert names.keys() - {"__name__", "__builtins__"} == set(lesson.split())
