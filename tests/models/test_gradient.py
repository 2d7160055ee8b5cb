"""`gradient`: gradients as nodes, which are computed with and differentiated again."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from breadth import one_in_three
from conformance import CASES
from properties.every_node import EVERY_NODE, graph_of

import miniflow as mf
from miniflow.backends import COMPARE, RUN, names
from miniflow.errors import GradientError, GraphError
from miniflow.graph.plans import ancestors_in_order

BACKENDS = sorted(names(RUN, COMPARE))
Feed = dict[mf.Node, Any]


# --- Against value_and_grad, and against its differences


def see_that_both_derivatives_are_right(output: mf.Node, feed: Feed, wrt: list[mf.Node]) -> None:
    """The first is that of value_and_grad; the second, times a vector, is its difference."""
    rng = np.random.default_rng(0)
    for node, gradient in zip(wrt, mf.gradient(output, wrt), strict=True):
        first = mf.value_and_grad(output, feed, [node])[1][0]
        mine = mf.value(gradient, feed)
        assert np.shape(mine) == np.shape(first)
        assert np.asarray(mine).dtype == np.asarray(first).dtype
        np.testing.assert_allclose(mine, first, rtol=1e-10, atol=1e-12)
        along = rng.normal(size=np.shape(mine))
        weighted = mf.Sum(gradient * along)
        step = rng.normal(size=np.shape(feed[node]))
        _, (second,) = mf.value_and_grad(weighted, feed, [node])
        sides = [
            np.sum(
                along
                * mf.value_and_grad(output, {**feed, node: feed[node] + h * step}, [node])[1][0]
            )
            for h in (1e-5, -1e-5)
        ]
        difference = (sides[0] - sides[1]) / 2e-5
        assert np.sum(second * step) == pytest.approx(difference, rel=1e-5, abs=1e-6)


WITHOUT_DIFFERENCES = {"DummyGrad", "StopGradient on one way"}  # its gradient is none of its value


@pytest.mark.parametrize("name", one_in_three(EVERY_NODE.keys() - WITHOUT_DIFFERENCES))
def test_derivatives_of_a_built_in_node(name: str) -> None:
    output, feed = graph_of(name)
    wrt = [n for n, value in feed.items() if np.asarray(value).dtype.kind == "f"]
    see_that_both_derivatives_are_right(output, feed, wrt)


@pytest.mark.parametrize("name", one_in_three(CASES))
def test_derivatives_of_a_learners_class(name: str) -> None:
    output, feed, wrt, _ = CASES[name](np.float64)
    if output.upstream_is_fed:
        output = output.inbound_nodes[0]
    order = ancestors_in_order(output)
    feed = {n: value for n, value in feed.items() if n in order}
    see_that_both_derivatives_are_right(output, feed, [n for n in wrt if n in order][:1])


# --- Graphs that have gradients in them


class Network:
    """Two layers, a mean squared error, and what is fed."""

    def __init__(self, dtype: type = np.float64) -> None:
        rng = np.random.default_rng(0)
        self.X, self.t = mf.Input("X"), mf.Input("t")
        self.W = mf.Parameter(rng.normal(size=(3, 5)).astype(dtype), "W")
        self.b = mf.Parameter(np.zeros(5, dtype), "b")
        self.V = mf.Parameter(rng.normal(size=(5, 2)).astype(dtype), "V")
        self.loss = mf.MSE(mf.Tanh(mf.Linear(self.X, self.W, self.b)) @ self.V, self.t)
        self.loss.name = "loss"
        self.feed = {
            self.X: rng.normal(size=(7, 3)).astype(dtype),
            self.t: rng.normal(size=(7, 2)).astype(dtype),
        }


def test_gradients_of_all_parameters_are_those_of_value_and_grad() -> None:
    net = Network()
    _, expected = mf.value_and_grad(net.loss, net.feed)
    nodes = mf.gradient(net.loss)
    assert [node.name for node in nodes] == ["dloss by W", "dloss by b", "dloss by V"]
    for node, gradient in zip(nodes, expected, strict=True):
        np.testing.assert_allclose(mf.value(node, net.feed), gradient, rtol=1e-14)


def test_nothing_need_be_fed_before() -> None:
    x = mf.Input("x")
    (dx,) = mf.gradient(mf.Exp(x), [x])
    assert dx.value is None
    assert mf.value(dx, {x: 0.0}) == 1.0
    assert mf.value(dx, {x: np.zeros((2, 3))}).shape == (2, 3)


@pytest.mark.parametrize("backend", BACKENDS)
def test_hessian_times_vector(backend: str) -> None:
    net, v = Network(), mf.Input("v")
    (dW,) = mf.gradient(net.loss, [net.W])
    along = mf.Sum(dW * v)
    feed = {**net.feed, v: np.random.default_rng(1).normal(size=(3, 5))}
    _, (Hv,) = mf.value_and_grad(along, feed, [net.W])
    W, sides = net.W.value.copy(), []
    for h in (1e-5, -1e-5):
        net.W.value = W + h * feed[v]
        sides.append(mf.value_and_grad(net.loss, net.feed, [net.W])[1][0])
    net.W.value = W
    np.testing.assert_allclose(Hv, (sides[0] - sides[1]) / 2e-5, rtol=1e-6, atol=1e-9)
    _, (compiled,) = mf.compile(along, wrt=[net.W], backend=backend)(feed)
    np.testing.assert_allclose(compiled, Hv, rtol=1e-11, atol=1e-14)
    (as_node,) = mf.gradient(along, [net.W])
    np.testing.assert_allclose(mf.value(as_node, feed), Hv, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("backend", BACKENDS)
def test_gradient_penalty_is_trained(backend: str) -> None:
    def penalised() -> tuple[Network, mf.Node]:
        net = Network()
        (dX,) = mf.gradient(net.loss, [net.X])
        return net, net.loss + 0.5 * mf.Sum(dX**2)

    net, loss = penalised()
    mf.check_gradients(loss, net.feed)
    other, same = penalised()
    step, optimizer = mf.compile(loss, optimizer=mf.SGD(0.1), backend=backend), mf.SGD(0.1)
    values = []
    for _ in range(3):
        parameters = [other.W, other.b, other.V]
        value, gradients = mf.value_and_grad(same, other.feed, parameters)
        values.append(value)
        assert step(net.feed) == pytest.approx(value, rel=1e-12)
        optimizer.update(parameters, gradients)
    assert values[-1] < values[0]
    for a, b in zip((net.W, net.b, net.V), (other.W, other.b, other.V), strict=True):
        np.testing.assert_allclose(a.value, b.value, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("backend", BACKENDS)
def test_derivatives_of_every_order(backend: str) -> None:
    x = mf.Input("x")
    at = np.array([0.3, -1.2, 2.0])
    node: mf.Node = mf.Exp(2.0 * x)
    for order in range(1, 5):
        (node,) = mf.gradient(node, [x])
        np.testing.assert_allclose(mf.value(node, {x: at}), 2.0**order * np.exp(2 * at), rtol=1e-12)
        compiled = mf.compile(node, backend=backend)
        np.testing.assert_allclose(compiled({x: at}), 2.0**order * np.exp(2 * at), rtol=1e-12)
    cube, slopes = x**3, []
    for _ in range(4):
        (cube,) = mf.gradient(cube, [x])
        slopes.append(mf.value(cube, {x: 2.0}))
    assert slopes == [12.0, 12.0, 6.0, 0.0]


def test_mixed_derivatives() -> None:
    x, y = mf.Input("x"), mf.Input("y")
    f = mf.Exp(x * y) * y
    feed = {x: 0.5, y: -0.75}
    dx, dy = mf.gradient(f, [x, y])
    (dxy,), (dyx,) = mf.gradient(dx, [y]), mf.gradient(dy, [x])
    e = np.exp(0.5 * -0.75)
    assert mf.value(dxy, feed) == pytest.approx((2 * -0.75 + 0.5 * 0.75**2) * e)
    assert mf.value(dyx, feed) == pytest.approx(mf.value(dxy, feed))


def test_interior_nodes_and_the_output_itself() -> None:
    x = mf.Input("x")
    h = mf.Tanh(x)
    f = h**3 + x
    dh, dx, df = mf.gradient(f, [h, x, f])
    _, expected = mf.value_and_grad(f, {x: 0.4}, [h, x, f])
    assert [mf.value(n, {x: 0.4}) for n in (dh, dx, df)] == pytest.approx(expected)
    (ddh,) = mf.gradient(dh, [h])
    assert mf.value(ddh, {x: 0.4}) == pytest.approx(6 * np.tanh(0.4))
    assert mf.value(df, {x: np.float32([1.0])}).dtype == np.float32


@pytest.mark.parametrize("backend", BACKENDS)
def test_gradients_of_loops_and_in_loops(backend: str) -> None:
    xs, W = mf.Input("xs"), mf.Parameter(np.full((2, 2), 0.3), "W")
    states = mf.scan(lambda h, x: mf.Tanh(h @ W + x), np.zeros((1, 2)), xs)
    feed = {xs: np.random.default_rng(0).normal(size=(4, 1, 2))}
    (dW,) = mf.gradient(mf.Sum(states**2), [W])
    penalty = mf.Sum(dW**2)
    mf.check_gradients(penalty, feed)
    value, gradients = mf.value_and_grad(penalty, feed, [W, xs])
    found, ours = mf.compile(penalty, wrt=[W, xs], backend=backend)(feed)
    for a, b in zip((found, *ours), (value, *gradients), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)

    def step(h: mf.Node, x: mf.Node) -> mf.Node:
        (dh,) = mf.gradient(mf.Sum(mf.Tanh(h @ W) * x), [h])
        return h - 0.1 * dh

    descent = mf.Sum(mf.scan(step, np.ones((1, 2)), xs) ** 2)
    value, gradients = mf.value_and_grad(descent, feed, [W, xs])
    found, ours = mf.compile(descent, wrt=[W, xs], backend=backend)(feed)
    for a, b in zip((found, *ours), (value, *gradients), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)
    mf.check_gradients(descent, feed)


def test_dropout_drops_the_same_in_the_gradient() -> None:
    x, seed = mf.Input("x"), mf.Seed()
    f = mf.Sum(mf.Dropout(x, seed) ** 2)
    (dx,) = mf.gradient(f, [x])
    at = np.linspace(1, 2, 20)
    for feed in ({x: at}, {x: at, seed: 3}, {x: at, seed: 4}):
        np.testing.assert_array_equal(mf.value(dx, feed), mf.value_and_grad(f, feed, [x])[1][0])
        np.testing.assert_allclose(mf.compile(dx)(feed), mf.value(dx, feed))


def test_what_stops_gradients_stops_those_of_gradients() -> None:
    x = mf.Input("x")
    (dx,) = mf.gradient(x * x * mf.StopGradient(x * x), [x])
    assert mf.value_and_grad(dx, {x: 3.0}, [x]) == (2 * 3.0 * 9.0, [18.0])
    (none,) = mf.gradient(mf.StopGradient(x * x), [x])
    assert mf.value(none, {x: 3.0}) == 0.0
    compiled = mf.compile(dx, wrt=[x])
    assert compiled({x: 3.0}) == (54.0, [18.0])
    xs = mf.Input("xs")
    total = mf.scan(lambda s, x: s + mf.StopGradient(s) * x, 1.0, xs)
    with pytest.raises(GraphError, match=r"StopGradient .* stands in the step of Scan"):
        mf.gradient(mf.Sum(total), [xs])


def test_float16_and_whole_numbers() -> None:
    x, y = mf.Input("x"), mf.Input("y")
    (dx,) = mf.gradient(mf.Sum(x * y), [x])
    assert mf.value(dx, {x: np.float16([0.5, 2]), y: np.array([1, 2])}).dtype == np.float16
    at = {x: np.array([1, 2]), y: np.array([0.5, 0.25])}
    np.testing.assert_array_equal(mf.value(dx, at), mf.value_and_grad(mf.Sum(x * y), at, [x])[1][0])


def test_what_is_kept_by_the_nodes_stays_as_it_was() -> None:
    net = Network()
    _, gradients = mf.value_and_grad(net.loss, net.feed, [net.W])
    kept = net.loss.value
    (dW,) = mf.gradient(net.loss, [net.W])
    mf.value(dW, net.feed)
    mf.compile(mf.Sum(dW**2), wrt=[net.W])(net.feed)
    assert net.loss.value is kept
    assert net.X.value is net.feed[net.X]
    np.testing.assert_array_equal(net.W.gradients[net.W], gradients[0])


@pytest.mark.parametrize("way", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_gradients_are_copied_and_pickled_with_their_graph(way: Any) -> None:
    net = Network()
    (dW,) = mf.gradient(net.loss, [net.W])
    before = mf.value(dW, net.feed)
    twin = way(dW)
    X, W, t = (
        next(n for n in ancestors_in_order(twin) if n.name == name) for name in ("X", "W", "t")
    )
    feed = {X: net.feed[net.X], t: net.feed[net.t]}
    np.testing.assert_array_equal(mf.value(twin, feed), before)
    W.value = W.value * 2
    assert not np.allclose(mf.value(twin, feed), before)
    np.testing.assert_array_equal(mf.value(dW, net.feed), before)


def test_model_that_is_a_gradient_is_saved(tmp_path: Any) -> None:
    net = Network()
    (dX,) = mf.gradient(mf.Sum(mf.Tanh(mf.Linear(net.X, net.W, net.b)) @ net.V), [net.X])
    feed = {net.X: net.feed[net.X]}
    mf.save(dX, tmp_path / "field.safetensors", inputs=feed)
    model = mf.load(tmp_path / "field.safetensors")
    np.testing.assert_allclose(model(net.feed[net.X]), mf.value(dX, feed), rtol=1e-12)


# --- What is refused


def test_what_the_node_does_not_depend_on_is_refused_as_in_value_and_grad() -> None:
    x, y = mf.Input("x"), mf.Input("y")
    with pytest.raises(GradientError) as told:
        mf.gradient(mf.Exp(x), [y])
    with pytest.raises(GradientError) as expected:
        mf.value_and_grad(mf.Exp(x), {x: 1.0}, [y])
    assert str(told.value).partition("(")[2][20:] == str(expected.value).partition("(")[2][20:]
    with pytest.raises(GradientError, match="wrt is a list of nodes"):
        mf.gradient(mf.Exp(x), x)  # type: ignore[arg-type]
    with pytest.raises(GradientError, match="depends on no Parameter"):
        mf.gradient(mf.Exp(x))
    with pytest.raises(GraphError, match="The output is a node"):
        mf.gradient(3.0, [x])  # type: ignore[arg-type]


def test_dummy_grad_is_refused() -> None:
    x = mf.Input("x")
    with pytest.raises(GraphError, match="is fed its upstream gradient"):
        mf.gradient(mf.DummyGrad(x * x), [x])


class Noisy(mf.Node):
    """Its numbers are others in every pass."""

    def __init__(self, x: mf.Node) -> None:
        mf.Node.__init__(self, [x])

    def forward(self) -> None:
        self.value = self.inbound_nodes[0].value * np.random.default_rng().normal()

    def backward(self) -> None:
        (x,) = self.inbound_nodes
        self.gradients = {x: sum(n.gradients[self] for n in self.outbound_nodes)}


class Asking(mf.Node):
    """It asks for the number."""

    def __init__(self, x: mf.Node) -> None:
        mf.Node.__init__(self, [x])

    def forward(self) -> None:
        x = self.inbound_nodes[0].value
        self.value = x if x > 0 else -x

    def backward(self) -> None:
        (x,) = self.inbound_nodes
        self.gradients = {x: sum(n.gradients[self] for n in self.outbound_nodes)}


@pytest.mark.parametrize(
    ("cls", "told"), [(Noisy, "does not do the same twice"), (Asking, "a condition")]
)
def test_code_that_cannot_be_recorded_is_refused_with_its_line(cls: type, told: str) -> None:
    x = mf.Input("x")
    (dx,) = mf.gradient(cls(x), [x])
    with pytest.raises(GradientError, match=rf"{cls.__name__} \(test_gradient\.py:\d+\).*{told}"):
        mf.value(dx, {x: 2.0})


# --- In pictures


def test_picture_shows_the_lifted_nodes_in_a_frame_of_the_gradient() -> None:
    x = mf.Input("x")
    cube = x**3
    cube.name = "cube"
    (slope,) = mf.gradient(cube, [x])
    before = mf.draw(cube, slope)
    assert not before.figure.frames
    assert len(before.figure.cards) == 4  # x, 3, the cube, its gradient
    mf.value_and_grad(mf.gradient(slope, [x])[0] + slope, {x: 2.0}, [x])
    after = mf.draw(cube, slope)
    assert [frame.title for frame in after.figure.frames] == ["dcube by x"]
    assert len(after.figure.cards) > len(before.figure.cards)
    lifted = [card for card in after.figure.cards if card.frame is not None]
    assert {card.title for card in lifted} >= {"Mul", "dcube by x"}
    text = after.text(200)
    assert text.count("dcube by x") >= 1
    assert "<svg" in after.svg()


def test_picture_of_a_gradient_of_parameters_is_drawn_from_what_goes_into_it() -> None:
    net = Network()
    (dW,) = mf.gradient(net.loss, [net.W])
    mf.value(dW, net.feed)
    figure = mf.draw(dW).figure
    arrows = {(arrow.source, arrow.target) for arrow in figure.arrows}
    assert any(source is net.X for source, _ in arrows)
    assert any(target is dW for _, target in arrows)
    assert net.X.outbound_nodes  # and no lifted node is among them
    assert not any(type(n).__name__ == "MatMul" and n.meaning for n in net.X.outbound_nodes)
