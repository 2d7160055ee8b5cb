"""The functions of Udacity's later MiniFlow lesson: orders, passes, steps and mistakes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from lesson_scripts import BACKPROPAGATION, IMPORT, LAYERS_OF_TWO, TRAINING, classes, run

import miniflow as mf
from miniflow import udacity
from miniflow.errors import FeedError, GraphError, NodeError, ShapeError

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
