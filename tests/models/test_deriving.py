"""A class without a gradient gets one: it is derived from what its code does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from breadth import one_in_three
from conformance import CASES
from properties.every_node import EVERY_NODE, graph_of

import miniflow as mf
from miniflow.backends import COMPARE, RUN, names
from miniflow.errors import GradientError, GraphError
from miniflow.graph.deriving import nothing_is_derived
from miniflow.graph.plans import ancestors_in_order

BACKENDS = sorted(names(RUN, COMPARE))
TOLERANCE = {np.float64: 1e-11, np.float32: 1e-4}
Feed = dict[mf.Node, Any]


def without_gradient(cls: type) -> type:
    """The class, as if its author had written no gradient."""
    lost = (
        {"gradient": mf.Op.gradient} if issubclass(cls, mf.Op) else {"backward": mf.Node.backward}
    )
    return type(cls.__name__, (cls,), {**lost, "__module__": __name__})


def forget_gradients(output: mf.Node, of_all: bool) -> None:
    classes: dict[type, type] = {}
    for node in ancestors_in_order(output):
        is_asked = node is output if not of_all else node._is_foreign
        if is_asked and node.inbound_nodes:
            cls = type(node)
            node.__class__ = classes.setdefault(cls, without_gradient(cls))
            assert node.derives_gradient


def see_that_it_agrees(
    output: mf.Node, feed: Feed, wrt: list[mf.Node], dtype: type, of_all: bool
) -> None:
    value, expected = mf.value_and_grad(output, feed, wrt)
    forget_gradients(output, of_all)
    again, gradients = mf.value_and_grad(output, feed, wrt)
    compiled, ours = mf.compile(output, wrt=wrt, backend="numpy")(feed)
    limit = TOLERANCE[dtype]
    for a, b, c in zip((value, *expected), (again, *gradients), (compiled, *ours), strict=True):
        np.testing.assert_allclose(b, a, rtol=limit, atol=limit)
        np.testing.assert_allclose(c, a, rtol=limit, atol=limit)
    for node, gradient in zip(wrt, gradients, strict=True):
        assert np.asarray(gradient).dtype == np.asarray(feed[node]).dtype


@pytest.mark.breadth("dtype")
@pytest.mark.parametrize("dtype", TOLERANCE, ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("name", sorted(CASES))
def test_of_a_learners_class(name: str, dtype: type) -> None:
    output, feed, wrt, twin = CASES[name](dtype)
    feed.pop(twin, None)
    see_that_it_agrees(output, feed, wrt, dtype, of_all=True)


CHOOSES_OTHERWISE = {"DummyGrad", "StopGradient", "StopGradient on one way"}


@pytest.mark.parametrize("name", one_in_three(EVERY_NODE.keys() - CHOOSES_OTHERWISE))
def test_of_every_built_in_node(name: str) -> None:
    output, feed = graph_of(name)
    wrt = [n for n, value in feed.items() if np.asarray(value).dtype.kind == "f"]
    see_that_it_agrees(output, feed, wrt, np.float64, of_all=False)


class Cube(mf.Op):
    """Tidy, and nobody wrote its gradient."""

    def compute(self, x: Any) -> Any:
        return x**3


class InPlace(mf.Node):
    """Writes in place, keeps a cache, loops over a shape, and broadcasts."""

    def __init__(self, x: mf.Node, b: mf.Node) -> None:
        mf.Node.__init__(self, [x, b])

    def forward(self) -> None:
        x, b = (node.value for node in self.inbound_nodes)
        total = np.zeros_like(x)
        for row in range(x.shape[0]):
            total[row] = x[row] * (row + 1)
            total[row] += b
        total[total < -2] = 0.1
        self.cache["total"] = total
        self.value = self.cache["total"] ** 2


@pytest.mark.parametrize("backend", BACKENDS)
def test_writes_in_place_caches_and_loops(backend: str) -> None:
    x, b = mf.Input("x"), mf.Parameter([0.3, -0.2], "b")
    loss = mf.Sum(Cube(InPlace(x, b)))
    feed = {x: np.array([[1.0, -2.0], [0.5, 0.25], [-1.5, 1.0]])}
    mf.check_gradients(loss, feed)
    value, gradients = mf.value_and_grad(loss, feed, [x, b])
    compiled, ours = mf.compile(loss, wrt=[x, b], backend=backend)(feed)
    assert compiled == pytest.approx(value)
    for a, c in zip(ours, gradients, strict=True):
        np.testing.assert_allclose(a, c, rtol=1e-11)
    step = mf.compile(loss, optimizer=mf.SGD(1e-6), backend=backend)
    assert step(feed) == pytest.approx(value)
    assert step(feed) < value


def test_options_may_change_between_passes() -> None:
    class Scaled(mf.Op):
        factor = 2.0

        def compute(self, x: Any) -> Any:
            return x * self.factor

    x = mf.Input("x")
    node = Scaled(x)
    assert mf.value_and_grad(node, {x: 3.0}, [x]) == (6.0, [2.0])
    node.factor = 5.0
    assert mf.value_and_grad(node, {x: 3.0}, [x]) == (15.0, [5.0])


def test_gradient_that_is_assigned_later_is_the_one_that_counts() -> None:
    class Square(mf.Op):
        def compute(self, x: Any) -> Any:
            return x * x

    x = mf.Input("x")
    node = Square(x)
    assert mf.value_and_grad(node, {x: 3.0}, [x]) == (9.0, [6.0])
    Square.gradient = lambda self, grad, x: (grad * 7.0,)  # type: ignore[method-assign]
    assert mf.value_and_grad(node, {x: 3.0}, [x]) == (9.0, [7.0])
    assert repr(node) == "<Square>"


def test_one_input_twice_labels_and_what_has_no_part_in_it() -> None:
    class Picked(mf.Op):
        def compute(self, x: Any, labels: Any, y: Any, unused: Any) -> Any:
            return np.sum(x[np.arange(len(labels)), labels] * y[:, 0])

    x, labels, unused = mf.Input("x"), mf.Input("labels"), mf.Input("unused")
    node = Picked(x, labels, x, unused)
    feed = {x: np.array([[1.0, 2.0], [3.0, 4.0]]), labels: np.array([1, 0]), unused: 7.0}
    value, (dx, none) = mf.value_and_grad(node, feed, [x, unused])
    assert value == 2.0 * 1.0 + 3.0 * 3.0
    np.testing.assert_array_equal(dx, [[2.0, 1.0], [6.0, 0.0]])
    assert none == 0.0


def test_derived_gradients_are_differentiated_again() -> None:
    x = mf.Input("x")
    node: mf.Node = Cube(x)
    slopes = []
    for _ in range(3):
        (node,) = mf.gradient(node, [x])
        slopes.append(mf.value(node, {x: 2.0}))
    assert slopes == [12.0, 12.0, 6.0]


def test_it_is_said_that_it_is_derived() -> None:
    x = mf.Input("x")
    cube = Cube(x, name="f")
    assert repr(cube) == "<Cube 'f', gradient derived>"
    assert repr(mf.Exp(x)) == "<Exp>"
    mf.value_and_grad(cube, {x: 2.0}, [x])
    assert "gradient derived" in mf.draw(cube).text()
    assert "by the derived gradient" in str(mf.check_gradients(cube, {x: 2.0}))


# --- What is refused


class Asks(mf.Op):
    def compute(self, x: Any) -> Any:
        return x if x > 0 else -x


class Draws(mf.Node):
    def forward(self) -> None:
        self.value = self.inbound_nodes[0].value * np.random.default_rng().normal()


@pytest.mark.parametrize(
    ("build", "told"),
    [
        (Asks, r"Asks \(test_deriving.py:\d+\) has no gradient method, and its gradient cannot be "
         r"derived .*\(test_deriving.py:\d+: return x if x > 0 else -x\).*Write the gradient"),
        (lambda x: Draws([x]), r"Draws .* has no backward method, and .* cannot be derived .*"
         r"does not do the same twice.*Write the backward method"),
    ],
)  # fmt: skip
def test_code_that_cannot_be_recorded_is_refused_with_its_line(build: Any, told: str) -> None:
    x = mf.Input("x")
    with pytest.raises(GradientError, match=told):
        mf.value_and_grad(build(x), {x: 2.0}, [x])


def test_nothing_is_derived_where_that_is_asked() -> None:
    x = mf.Input("x")
    with nothing_is_derived(), pytest.raises(GraphError, match=r"Cube .* has no gradient method"):
        mf.value_and_grad(Cube(x), {x: 2.0}, [x])
    assert mf.value_and_grad(Cube(x), {x: 2.0}, [x])[1] == [12.0]


def test_source_of_ones_own_needs_its_backward() -> None:
    class Three(mf.Node):
        def forward(self) -> None:
            self.value = 3.0

    three = Three()
    with pytest.raises(GraphError, match=r"Three .* has no backward method"):
        mf.value_and_grad(three * 2.0, {}, [three])
