"""A list of outputs: one pass, their values, the gradients of their sum; on every backend."""

import pickle
from typing import Any

import numpy as np
import pytest
from conformance.elementwise import Mul as RawMul

import miniflow as mf
from miniflow import Node
from miniflow.errors import CompileError, GraphError

RUNS = ["interpreter", "reference", "numpy", "native"]
x0 = np.random.default_rng(0).normal(size=(5, 3))


class Last(Node):
    """A loss that insists on being last."""

    def __init__(self, x: Node) -> None:
        Node.__init__(self, [x])

    def forward(self) -> None:
        self.value = np.mean(self.inbound_nodes[0].value ** 2)

    def backward(self) -> None:
        assert len(self.outbound_nodes) == 0
        (x,) = self.inbound_nodes
        self.gradients = {x: 2 * x.value / x.value.size}


def value_and_grad(
    nodes: Any, feed: dict[mf.Node, Any], wrt: list[mf.Node], run: str
) -> tuple[Any, list[Any]]:
    if run == "interpreter":
        return mf.value_and_grad(nodes, feed, wrt)
    return mf.compile(nodes, wrt, backend=run)(feed)  # type: ignore[no-any-return]


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("multiply", [mf.Mul, RawMul])
def test_values_come_in_order_and_gradients_are_those_of_the_sum(run: str, multiply: Any) -> None:
    x, W = mf.Input("x"), mf.Parameter(np.ones((3, 2)), "W")
    hidden = mf.Tanh(x @ W, name="hidden")
    square = multiply(hidden, hidden)
    last = Last(hidden)
    nodes = [square, hidden, last, x]
    wrt = [W, x, hidden, square]
    values, gradients = value_and_grad(nodes, {x: x0}, wrt, run)
    total = mf.Sum(square) + mf.Sum(hidden) + mf.Mean(hidden**2.0) + mf.Sum(x)
    _, expected = mf.value_and_grad(total, {x: x0}, wrt)
    h = np.tanh(x0 @ np.ones((3, 2)))
    for got, wanted in zip(values, [h**2, h, np.mean(h**2), x0], strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-12)
    for got, wanted in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-12)


@pytest.mark.parametrize("run", RUNS)
def test_a_node_that_is_listed_twice_counts_twice(run: str) -> None:
    x = mf.Input("x")
    y = mf.Exp(x)
    (one, two), (dx,) = value_and_grad([y, y], {x: x0}, [x], run)
    assert np.array_equal(one, two)
    np.testing.assert_allclose(dx, 2 * np.exp(x0))
    (only,), (dx,) = value_and_grad([y], {x: x0}, [x], run)
    np.testing.assert_allclose(only, np.exp(x0))


@pytest.mark.parametrize("run", RUNS)
def test_an_output_whose_gradient_is_fed_or_stopped(run: str) -> None:
    x = mf.Input("x")
    dummy, stop = mf.DummyGrad(x * 2.0), mf.StopGradient(x * 5.0)
    feed = {x: x0, dummy: 3.0 * np.ones_like(x0)}
    _, (dx, dstop) = value_and_grad([dummy, stop], feed, [x, stop], run)
    assert np.array_equal(dx, 6.0 * np.ones_like(x0))
    assert np.array_equal(dstop, np.ones_like(x0))


def test_value_takes_a_list_and_leaves_the_graph_as_it_was() -> None:
    x = mf.Input("x")
    y, z = x * 2.0, x + 1.0
    assert mf.value([y, z, y], {x: 3.0}) == [6.0, 4.0, 6.0]
    assert mf.value((y,), {x: 3.0}) == [6.0]
    f = mf.compile([y, z])
    assert f({x: 3.0}) == [6.0, 4.0]
    assert y.outbound_nodes == []
    assert x.outbound_nodes == [y, z]
    assert pickle.loads(pickle.dumps(f))._count == 2


def test_only_outputs_that_depend_on_a_parameter_move_its_gradient() -> None:
    x, W, b = mf.Input("x"), mf.Parameter([2.0], "W"), mf.Parameter([1.0], "b")
    values, (dW, db) = mf.value_and_grad([mf.Sum(W * x), mf.Sum(b)], {x: 3.0})
    assert values == [6.0, 1.0]
    assert (dW, db) == ([3.0], [1.0])


def test_what_is_no_list_of_nodes_is_refused() -> None:
    x, W = mf.Input("x"), mf.Parameter([1.0], "W")
    for call in (mf.value, mf.value_and_grad, mf.compile):
        ask: Any = call
        with pytest.raises(GraphError, match=r"list of outputs is empty"):
            ask([])
        with pytest.raises(GraphError, match=r"list of outputs has 3 \(int\) at 1"):
            ask([x, 3])
        with pytest.raises(GraphError, match=r"The output is a node"):
            ask({"x": x})
    with pytest.raises(CompileError, match=r"compile wants one number, .* list of 2 nodes"):
        mf.compile([mf.Sum(W), mf.Sum(x)], optimizer=mf.SGD(0.1))
    with pytest.raises(GraphError, match=r"needs a value for Input 'x'"):
        mf.value([mf.Sum(W), mf.Sum(x)])
    with pytest.raises(GraphError, match=r"The output is a node"):
        mf.check_gradients([x])  # type: ignore[arg-type]


def test_a_compiled_list_says_which_node_fails() -> None:
    x, y = mf.Input("x"), mf.Input("y")
    f = mf.compile([x + y, x @ y], backend="numpy")
    with pytest.raises(GraphError, match=r"MatMul"):
        f({x: np.ones((2, 3)), y: np.ones((2, 3))})
