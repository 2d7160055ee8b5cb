"""Nobody's own class writes to what is fed or kept: it is refused where it does, with the node and
the way out, and everything is as it was.
"""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import miniflow as mf
from miniflow.errors import NodeError

WRITES = r"changes the value of .* in place, which was fed or is kept .*: work on a copy"


class InForward(mf.Op):
    def compute(self, x: Any) -> Any:
        x *= 2.0
        return x + 1.0

    def gradient(self, grad: Any, x: Any) -> Any:
        return (2.0 * grad,)


class InGradient(mf.Op):
    def compute(self, x: Any) -> Any:
        return x**2

    def gradient(self, grad: Any, x: Any) -> Any:
        x *= 2.0
        return (x * grad,)


class ByIndex(mf.Op):
    def compute(self, x: Any) -> Any:
        x[0] = 0.0
        return x * 1.0

    def gradient(self, grad: Any, x: Any) -> Any:
        return (grad,)


class ByOut(mf.Node):
    """In the raw protocol, and through a view."""

    def __init__(self, x: mf.Node) -> None:
        mf.Node.__init__(self, [x])

    def forward(self) -> None:
        x = self.inbound_nodes[0].value
        self.value = np.exp(x.T, out=x.T)

    def backward(self) -> None:
        (x,) = self.inbound_nodes
        self.gradients = {x: self.value * sum(n.gradients[self] for n in self.outbound_nodes)}


CLASSES: list[Callable[[Any], mf.Node]] = [InForward, InGradient, ByIndex, ByOut]
START = np.array([1.0, 2.0, 3.0])
SOURCES = ["fed", "looked at", "parameter", "frozen", "state", "constant"]


def build(what: str, cls: Callable[[Any], mf.Node]) -> tuple[mf.Node, Any, dict[Any, Any], Any]:
    """A loss, what is wanted of it, what it is fed, and the array that is not to change."""
    x, W = mf.Input("x"), mf.Parameter(START, "W")
    kept: dict[str, Any] = {
        "parameter": W,
        "frozen": mf.Parameter(START, "F", trainable=False),
        "state": mf.State(START, "S"),
        "constant": mf.Constant(START.copy(), "C"),
    }
    source = kept.get(what, mf.Reshape(x, (3,)) if what == "looked at" else x)
    loss = mf.Sum(cls(source) * W)
    feed = {x: START.copy()} if x in mf.inputs(loss) else {}
    return loss, [source, W], feed, source.value if what in kept else feed[x]


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("what", SOURCES)
def test_what_is_fed_or_kept_is_not_written_to(what: str, cls: Any) -> None:
    loss, wrt, feed, array = build(what, cls)
    with pytest.raises(NodeError, match=rf"{cls.__name__}.*{WRITES}"):
        mf.value_and_grad(loss, feed, wrt)
    assert np.array_equal(array, START)
    array += 1.0  # its owner may
    for node, value in feed.items():
        assert node.value is value
    if cls is not InGradient:
        with pytest.raises(NodeError, match=WRITES):
            mf.value(loss, feed)


class OneOfTwo(mf.Op):
    def compute(self, x: Any, y: Any) -> Any:
        y -= x
        return y * 1.0


def test_the_input_that_is_written_to_is_named() -> None:
    x, y = mf.Input("x"), mf.Input("y")
    with pytest.raises(NodeError, match=r"the value of Input 'y' \(.*\) in place"):
        mf.value(OneOfTwo(x, y), {x: START.copy(), y: START.copy()})
    with pytest.raises(NodeError, match=r"the value of Parameter 'W' \(.*\) in place"):
        mf.value(OneOfTwo(x * 1.0, mf.Parameter(START, "W")), {x: START})


@pytest.mark.parametrize("cls", CLASSES)
def test_what_a_node_has_computed_may_be_worked_on_as_in_a_program(cls: Any) -> None:
    x, W = mf.Input("x"), mf.Parameter(START, "W")
    loss = mf.Sum(cls(mf.Reshape(x * 1.0, (3,))) * W)
    value, (dW,) = mf.value_and_grad(loss, {x: START}, [W])
    compiled, (other,) = mf.compile(loss, [W], backend="reference")({x: START})
    assert np.isclose(value, compiled)
    assert np.allclose(dW, other)


def test_so_it_is_where_numbers_are_looked_for_and_pictures_made() -> None:
    x, given = mf.Input("x"), START.copy()
    for call in (mf.find_not_finite, lambda node, feed: mf.draw(node).explore(feed)):
        with pytest.raises(NodeError, match=WRITES):
            call(mf.Sum(InForward(x)), {x: given})
        assert np.array_equal(given, START)
    mf.find_not_finite(mf.Sum(Same(x)), {x: given})
    assert x.value is given
    mf.find_not_finite(mf.Sum(x), {x: given})
    assert x.value is given


def test_so_it_is_in_fit_and_in_the_step_of_a_loop() -> None:
    x, W = mf.Input("x"), mf.Parameter(START, "W")
    loss = mf.Mean((InForward(x) * W) ** 2.0)
    images = np.ones((4, 3))
    for call in (
        lambda: mf.fit(loss, {x: images}, mf.SGD(0.1), backend="interpreter", progress="none"),
        lambda: mf.evaluate(loss, {x: images}, backend="interpreter"),
        lambda: mf.value(
            mf.scan(lambda state, row: state + InForward(W) * row, 0.0 * START, x), {x: images}
        ),
    ):
        with pytest.raises(NodeError, match=WRITES):
            call()
        assert images.min() == images.max() == 1.0
        assert np.array_equal(W.value, START)


class Same(mf.Op):
    """Its input itself."""

    def compute(self, x: Any) -> Any:
        return x

    def gradient(self, grad: Any, x: Any) -> Any:
        return (grad,)


def test_what_is_returned_belongs_to_who_asked() -> None:
    x, W = mf.Input("x"), mf.Parameter(START, "W")
    given = START.copy()
    first, second = mf.value([Same(x), Same(W)], {x: given})
    first += 1.0
    second += 1.0
    assert np.array_equal(given, START)
    assert np.array_equal(W.value, START)
    assert W.value is W.value
    W.value -= 1.0
    assert np.array_equal(W.value, START - 1.0)


def test_other_threads_move_a_parameter_meanwhile() -> None:
    W = mf.Parameter(START, "W")

    class Waits(mf.Op):
        def compute(self, x: Any) -> Any:
            other = threading.Thread(target=mf.SGD(0.5).update, args=([W], [np.ones(3)]))
            other.start()
            other.join()
            return x + 0.0

    assert np.array_equal(mf.value(Waits(W)), START - 0.5)
    assert np.array_equal(W.value, START - 0.5)


def test_a_pass_within_a_pass_leaves_parameters_as_they_were() -> None:
    W = mf.Parameter(START, "W")

    class Inner(mf.Op):
        def compute(self, x: Any) -> Any:
            return mf.value(Same(W)) + x

        def gradient(self, grad: Any, x: Any) -> Any:
            return (grad,)

    own = W.value
    assert np.array_equal(mf.value(Inner(W)), 2.0 * START)
    assert W.value is own


def test_a_parameters_first_value_is_made_once() -> None:
    made: list[int] = []

    def first() -> Any:
        made.append(1)
        return START

    W = mf.Parameter.made_later(first, "W", True)
    assert np.array_equal(mf.value(Same(W)), START)
    assert np.array_equal(mf.value(Same(W)), START)
    assert len(made) == 1


class Greedy(mf.metrics.Accuracy):
    def read(self, scores: Any, labels: Any, weights: Any = None, kind: Any = None) -> Any:
        labels *= 0
        return mf.metrics.Accuracy.read(self, scores, labels, weights, kind)


def test_a_metric_of_ones_own_does_not_write_to_the_data() -> None:
    x, y = mf.Input("x"), mf.Input("y")
    loss = mf.CrossEntropyWithSoftmax(x @ np.eye(3), y)
    labels = np.array([0, 1, 2])
    with pytest.raises(ValueError, match="read-only"):
        mf.evaluate(loss, {x: np.eye(3), y: labels}, metrics={"own": Greedy()})
    assert np.array_equal(labels, [0, 1, 2])


def test_a_schedule_does_not_write_to_the_count_of_steps() -> None:
    def schedule(step: Any) -> Any:
        step += 1
        return 0.1 / step

    W, optimizer = mf.Parameter(START, "W"), mf.SGD(schedule)
    with pytest.raises(ValueError, match="read-only"):
        optimizer.update([W], [START])
    assert optimizer.state["step"] == 0
