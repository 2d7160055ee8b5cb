"""check_gradients judges nodes that draw random numbers, and losses that insist on being last;
and its report has the numbers of the pass.
"""

from __future__ import annotations

import numpy as np
import pytest

import miniflow as mf
from miniflow.errors import GradientError

DTYPES = [np.float64, np.float32, np.float16]


# --- Random nodes


class Noisy(mf.Node):
    """Dropout with numbers that nobody feeds, from one generator or another."""

    own = None

    def __init__(self, x):
        mf.Node.__init__(self, [x])

    def forward(self):
        x = self.inbound_nodes[0].value
        self.mask = self.draw(np.shape(x)) < 0.5
        self.value = x * self.mask * 2

    def draw(self, shape):
        return np.random.random(shape)

    def backward(self):
        upstream = sum(n.gradients[self] for n in self.outbound_nodes)
        self.gradients = {self.inbound_nodes[0]: upstream * self.mask * 2}


class NoisyByItsOwn(Noisy):
    def __init__(self, x):
        Noisy.__init__(self, x)
        self.rng = np.random.default_rng(0)

    def draw(self, shape):
        return self.rng.random(shape)


GENERATOR = np.random.default_rng(1)


class NoisyByTheModules(Noisy):
    def draw(self, shape):
        return GENERATOR.random(shape)


@pytest.mark.parametrize("cls", [Noisy, NoisyByItsOwn, NoisyByTheModules])
def test_random_node_is_judged_with_the_same_draw_each_time(cls: type) -> None:
    x = mf.Input("x")
    node = cls(x)
    values = np.random.default_rng(0).normal(size=(4, 5))
    np.random.seed(7)
    mf.check_gradients(mf.Tanh(node), {x: values})
    after = np.random.random()
    np.random.seed(7)
    assert np.random.random() == after  # as if nobody had drawn
    wrong = type("Wrong", (cls,), {"backward": lambda self: scaled(cls, self)})(x)
    with pytest.raises(GradientError, match="it is 2 times what it should be"):
        mf.check_gradients(mf.Tanh(wrong), {x: values})


def scaled(cls: type, node: mf.Node) -> None:
    cls.backward(node)
    node.gradients = {source: 2 * gradient for source, gradient in node.gradients.items()}


# --- What the report says


def test_numbers_of_the_report_are_the_gradients_of_the_pass() -> None:
    x, y = mf.Input("x"), mf.Input("y")
    f = mf.Mul(mf.Mul(x, x), mf.Add(x, y))
    feed = {x: 1.5, y: -0.5}
    report = mf.check_gradients(f, feed)
    _, (dx, dy) = mf.value_and_grad(f, feed, [x, y])
    assert dx == 5.25
    to_x = [edge for edge in report.edges if edge.source is x]
    assert sum(edge.analytic for edge in to_x) == pytest.approx(dx)
    assert sum(edge.numerical for edge in to_x) == pytest.approx(dx)
    assert [edge.total for edge in to_x] == [dx, dx]
    for edge in report.edges:
        assert edge.analytic == pytest.approx(edge.node.gradients[edge.source])
        assert edge.numerical == pytest.approx(edge.analytic)
    assert "its part of the gradient with respect to Input 'x', 5.25 in all, is 3 by" in str(report)
    assert f"the gradient with respect to Input 'y' is {dy} by backward()" in str(report)


class Loss(mf.Node):
    def __init__(self, z, y):
        mf.Node.__init__(self, [z, y])

    def forward(self):
        z, y = (n.value for n in self.inbound_nodes)
        powers = np.exp(z - np.max(z, axis=1, keepdims=True))
        self.probs = powers / np.sum(powers, axis=1, keepdims=True)
        self.value = -np.mean(np.log(self.probs[range(len(y)), y]))

    def backward(self):
        self.insist()
        z, y = self.inbound_nodes
        gradient = self.probs.copy()
        gradient[range(len(gradient)), y.value] -= 1
        self.gradients = {z: gradient / len(gradient), y: 0}

    def insist(self):
        assert len(self.outbound_nodes) == 0


class RaisesIfNotLast(Loss):
    def insist(self):
        if self.outbound_nodes:
            raise RuntimeError("a loss is last")


class LooksAtNobody(Loss):
    def insist(self):
        pass


@pytest.mark.parametrize(
    ("cls", "why"),
    [
        (Loss, "since it allows no consumers"),
        (RaisesIfNotLast, "since it allows no consumers"),
        (LooksAtNobody, "since it does not look at its consumers"),
    ],
)
def test_loss_that_insists_on_being_last_is_judged_as_the_end_of_a_pass(cls, why) -> None:
    z, y = mf.Input("z"), mf.Input("y")
    feed = {z: np.random.default_rng(0).normal(size=(4, 3)), y: np.array([0, 2, 1, 1])}
    [edge] = mf.check_gradients(cls(z, y), feed).edges
    assert edge.passed
    assert edge.remark == f"; judged as the end of a pass, with ones, {why}"
    wrong = type("Wrong", (cls,), {"backward": lambda self: scaled(cls, self)})
    with pytest.raises(GradientError, match=r"Wrong .*: it is 2 times what it should be\.$"):
        mf.check_gradients(wrong(z, y), feed)


def test_loss_that_looks_at_nobody_is_caught_inside_a_graph() -> None:
    z, y = mf.Input("z"), mf.Input("y")
    feed = {z: np.random.default_rng(0).normal(size=(4, 3)), y: np.array([0, 2, 1, 1])}
    with pytest.raises(GradientError, match="the upstream gradient is not used"):
        mf.check_gradients(LooksAtNobody(z, y) * 2.0, feed)
