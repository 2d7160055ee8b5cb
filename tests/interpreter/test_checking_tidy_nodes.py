"""check_gradients tells nodes that change what they are given, or keep what a first pass left; and
changes nothing itself.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import miniflow as mf
from miniflow.errors import GradientError


def message_of(output: mf.Node, feed: dict[mf.Node, Any]) -> str:
    with pytest.raises(GradientError) as caught:
        mf.check_gradients(output, feed)
    return str(caught.value)


class Doubled(mf.Node):
    """`2 x`, a right one; its subclasses are not tidy."""

    def __init__(self, x: mf.Node) -> None:
        mf.Node.__init__(self, [x])

    def forward(self) -> None:
        self.value = 2 * self.inbound_nodes[0].value

    def upstream(self) -> Any:
        return sum(n.gradients[self] for n in self.outbound_nodes)

    def backward(self) -> None:
        self.gradients = {self.inbound_nodes[0]: 2 * self.upstream()}


# --- Changing what is given


class InPlace(Doubled):
    def forward(self) -> None:
        self.value = self.inbound_nodes[0].value
        self.value *= 2


class InPlaceLater(Doubled):
    def backward(self) -> None:
        Doubled.backward(self)
        self.inbound_nodes[0].value[:] = 0


class Assigns(Doubled):
    def forward(self) -> None:
        x = self.inbound_nodes[0]
        x.value = 2 * x.value
        self.value = x.value.copy()


class InPlaceUpstream(Doubled):
    def backward(self) -> None:
        total = 0
        for n in self.outbound_nodes:
            grad = n.gradients[self]
            grad *= 2
            total = total + grad
        self.gradients = {self.inbound_nodes[0]: total}


MEDDLING = {
    InPlace: "forward() changes the value of {} in place: work on a copy.",
    InPlaceLater: "backward() changes the value of {} in place: work on a copy.",
    Assigns: "forward() changes the value of {} in place: work on a copy.",
    InPlaceUpstream: "backward() changes the gradient that a consumer hands back: work on a copy.",
}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("given", ["input", "parameter", "constant", "inside"])
@pytest.mark.parametrize("cls", MEDDLING)
def test_node_that_changes_what_it_is_given_is_told(cls: type, given: str, dtype: type) -> None:
    if given == "constant" and "backward" in MEDDLING[cls]:
        pytest.skip("the backward of what depends on constants alone is not called")
    array = np.array([3.0, -1.0], dtype)
    x, w, c = mf.Input("x"), mf.Parameter(array, "w"), mf.Constant(array, "c")
    source = {"input": x, "parameter": w, "constant": c, "inside": mf.Mul(x, w, name="p")}[given]
    message = message_of(mf.Tanh(cls(source)) * w * x, {x: array})
    assert message.endswith(MEDDLING[cls].format(source.label))
    assert message.startswith(f"{cls.__name__} (")
    assert "\n" not in message
    assert np.array_equal(array, [3.0, -1.0])  # nobody's array has changed
    assert np.array_equal(w.value, [3.0, -1.0])
    assert np.array_equal(mf.value(c), [3.0, -1.0])


# --- Keeping what a first pass left


class KeptMask(Doubled):
    """ReLU, with the mask of the first batch."""

    def mask(self) -> Any:
        if not hasattr(self, "kept"):
            self.kept = self.inbound_nodes[0].value > 0
        return self.kept

    def forward(self) -> None:
        self.value = self.inbound_nodes[0].value * self.mask()

    def backward(self) -> None:
        self.gradients = {self.inbound_nodes[0]: self.upstream() * self.mask()}


class KeptInCache(KeptMask):
    def mask(self) -> Any:
        if "mask" not in self.cache:
            self.cache["mask"] = self.inbound_nodes[0].value > 0
        return self.cache["mask"]


class KeptNone(KeptMask):
    def __init__(self, x: mf.Node) -> None:
        KeptMask.__init__(self, x)
        self.kept_mask = None

    def mask(self) -> Any:
        if self.kept_mask is None:
            self.kept_mask = self.inbound_nodes[0].value > 0
        return self.kept_mask


class KeptInTheClass(KeptMask):
    masks: dict[str, Any] = {}  # noqa: RUF012 - that is the mistake

    def mask(self) -> Any:
        return self.masks.setdefault("mask", self.inbound_nodes[0].value > 0)


class KeptCount(KeptMask):
    """A mean over as many rows as the first batch had."""

    def forward(self) -> None:
        x = self.inbound_nodes[0].value
        if not hasattr(self, "rows"):
            self.rows = len(x)
        self.value = np.sum(x, axis=0) / self.rows

    def backward(self) -> None:
        x = self.inbound_nodes[0].value
        self.gradients = {
            self.inbound_nodes[0]: np.broadcast_to(self.upstream() / self.rows, x.shape)
        }


class KeptTranspose(mf.Node):
    def __init__(self, x: mf.Node, w: mf.Node) -> None:
        mf.Node.__init__(self, [x, w])

    def forward(self) -> None:
        x, w = self.inbound_nodes
        if not hasattr(self, "transpose"):
            self.transpose = x.value.T
        self.value = x.value @ w.value

    def backward(self) -> None:
        x, w = self.inbound_nodes
        upstream = sum(n.gradients[self] for n in self.outbound_nodes)
        self.gradients = {x: upstream @ w.value.T, w: self.transpose @ upstream}


class KeptValue(Doubled):
    def forward(self) -> None:
        if getattr(self, "kept", None) is None:
            self.kept = np.tanh(self.inbound_nodes[0].value)
        self.value = self.kept

    def backward(self) -> None:
        self.gradients = {self.inbound_nodes[0]: self.upstream() * (1 - self.value**2)}


class KeptOfBackward(Doubled):
    """Only the backward goes on with what the first pass had."""

    def forward(self) -> None:
        self.value = self.inbound_nodes[0].value ** 2

    def backward(self) -> None:
        if not hasattr(self, "slope"):
            self.slope = 2 * self.inbound_nodes[0].value
        self.gradients = {self.inbound_nodes[0]: self.upstream() * self.slope}


KEEPING = {  # what is told of it
    KeptMask: "(it keeps self.kept)",
    KeptInCache: "(it keeps self.cache['mask'])",
    KeptNone: "(it keeps self.kept_mask)",
    KeptInTheClass: "in a first",
    KeptCount: "(it keeps self.rows)",
    KeptTranspose: "(it keeps self.transpose)",
    KeptValue: "(it keeps self.kept)",
    KeptOfBackward: "(it keeps self.slope)",
}


def graph_of(cls: type) -> tuple[mf.Node, mf.Node]:
    x = mf.Input("x")
    cls.masks = {}  # type: ignore[attr-defined]
    if cls is KeptTranspose:
        w = mf.Parameter(np.random.default_rng(1).normal(size=(3, 3)), "w")
        return cls(x, w), x
    return cls(x), x


@pytest.mark.parametrize("shape", [(4, 3), (3, 3), (1, 3)])
@pytest.mark.parametrize("ran", ["never", "with the same rows", "with others"])
@pytest.mark.parametrize("cls", KEEPING)
def test_second_pass_that_depends_on_the_first_is_found(cls: type, ran: str, shape: Any) -> None:
    if cls is KeptInTheClass and ran != "never":
        pytest.skip("what a class had before it was first used is not known")
    node, x = graph_of(cls)
    rng = np.random.default_rng(0)
    values = rng.normal(size=shape)
    if ran != "never":
        before = rng.normal(size=shape if "same" in ran else (6, 3))
        mf.value_and_grad(node, {x: before}, wrt=())
        if np.shape(before) != shape and cls is not KeptCount:
            with pytest.raises(mf.MiniflowError):  # the pass itself fails
                mf.check_gradients(node, {x: values})
            return
    for output in (node, mf.Sum(mf.Tanh(node))):
        if cls is KeptInTheClass:
            cls.masks.clear()
        message = message_of(output, {x: values})
        assert message.startswith(f"{cls.__name__} (")
        assert "in a second pass with another feed" in message or (
            "a second pass with another feed depends on the first" in message
        )
        assert KEEPING[cls] in message
        assert "\n" not in message


@pytest.mark.parametrize("value", [0.7, np.float32(0.7), np.array(0.7)])
def test_numbers_without_rows_are_fed_as_other_numbers(value: Any) -> None:
    for cls in (KeptValue, KeptOfBackward):
        node, x = graph_of(cls)
        assert "a second pass with another feed depends" in message_of(node, {x: value})


def test_parameters_without_a_feed_are_other_numbers_too() -> None:
    w = mf.Parameter([1.0, 2.0], "w")
    assert "a second pass with another feed depends" in message_of(KeptValue(w), {})
    assert np.array_equal(w.value, [1.0, 2.0])


def test_square_inputs_of_which_one_has_the_rows_are_told_apart() -> None:
    x, w = mf.Input("x"), mf.Input("w")
    rng = np.random.default_rng(0)
    feed = {x: rng.normal(size=(3, 3)), w: rng.normal(size=(3, 3))}
    mf.check_gradients(x @ w, feed)
    assert "(it keeps self.rows)" in message_of(KeptCount(x) @ w, feed)
    assert "(it keeps self.rows)" in message_of(KeptCount(w @ x), feed)


class NeverReset(mf.Node):
    """The zeros are made once, in `__init__`."""

    def __init__(self, x: mf.Node, y: mf.Node) -> None:
        mf.Node.__init__(self, [x, y])
        self.gradients = {x: 0, y: 0}

    def forward(self) -> None:
        self.value = self.inbound_nodes[0].value * self.inbound_nodes[1].value

    def backward(self) -> None:
        x, y = self.inbound_nodes
        for n in self.outbound_nodes:
            self.gradients[x] += n.gradients[self] * y.value
            self.gradients[y] += n.gradients[self] * x.value


@pytest.mark.parametrize("runs", [0, 2])
@pytest.mark.parametrize("feed", [(3.0, 4.0), (np.ones((3, 2)), np.ones((3, 2)) / 2)])
def test_gradients_that_are_never_reset_are_told(feed: Any, runs: int) -> None:
    x, y = mf.Input("x"), mf.Input("y")
    node = NeverReset(x, y)
    fed = dict(zip((x, y), feed, strict=True))
    for _ in range(runs):
        mf.value_and_grad(node, fed, [x, y])
    message = message_of(node, fed)
    assert "the second backward() gives another gradient for Input" in message
    assert "make the zeros of self.gradients in backward()" in message


class RunningMean(Doubled):
    def __init__(self, x: mf.Node) -> None:
        Doubled.__init__(self, x)
        self.mean = 0.0

    def forward(self) -> None:
        x = self.inbound_nodes[0].value
        self.mean = 0.9 * self.mean + 0.1 * np.mean(x)
        self.value = x - self.mean

    def backward(self) -> None:
        self.gradients = {self.inbound_nodes[0]: self.upstream()}


def test_value_that_changes_from_pass_to_pass_is_told() -> None:
    x = mf.Input("x")
    message = message_of(RunningMean(x), {x: np.array([1.0, 2.0])})
    assert "forward() gives another value the second time, for the same inputs" in message


# --- What is no fault


class CountsAndKeeps(Doubled):
    """What it keeps, it makes anew; what it counts, nobody computes with."""

    def __init__(self, x: mf.Node) -> None:
        Doubled.__init__(self, x)
        self.calls, self.shapes, self.last = 0, [], None

    def forward(self) -> None:
        x = self.inbound_nodes[0].value
        self.calls += 1
        self.shapes.append(np.shape(x))
        self.last = x > 0
        self.cache["mask"] = self.last
        self.value = 2.0 * x * self.cache["mask"]

    def backward(self) -> None:
        self.gradients = {self.inbound_nodes[0]: 2.0 * self.upstream() * self.last}


def test_what_a_pass_makes_anew_and_what_it_counts_is_no_fault() -> None:
    x = mf.Input("x")
    node = CountsAndKeeps(x)
    mf.check_gradients(mf.Mean(node), {x: np.random.default_rng(0).normal(size=(4, 3))})
    assert node.calls == len(node.shapes) == 1  # as after a single pass


class FixedRows(Doubled):
    """Code that knows its number of rows."""

    def forward(self) -> None:
        self.value = 2 * self.inbound_nodes[0].value + np.arange(4.0).reshape(4, 1)


@pytest.mark.parametrize("output", [FixedRows, lambda x: mf.Reshape(x, (2, 6)), mf.Transpose])
def test_graph_that_takes_one_number_of_rows_only_can_be_checked(output) -> None:
    x = mf.Input("x")
    mf.check_gradients(mf.Tanh(output(x)), {x: np.random.default_rng(0).normal(size=(4, 3))})


def test_labels_seeds_and_probabilities_stay_what_they_are() -> None:
    x, y, seed = mf.Input("x"), mf.Input("y"), mf.Input("seed")
    dropped = mf.Dropout(x, seed, rate=0.5)
    feed = {x: np.random.default_rng(0).normal(size=(4, 3)), y: np.array([0, 2, 1, 1]), seed: 5}
    mf.check_gradients(mf.CrossEntropyWithSoftmax(dropped, y), feed)
    yes = {x: feed[x][:, 0], y: np.array([0.0, 1.0, 1.0, 0.0]), seed: 5}
    mf.check_gradients(mf.BinaryCrossEntropy(dropped, y), yes, [x])


def test_a_check_changes_nothing() -> None:
    x, w = mf.Input("x"), mf.Parameter(np.eye(3), "w")
    array, kept = np.arange(6.0).reshape(2, 3), w.value
    seen: list[int] = []

    class Watched(CountsAndKeeps):
        def forward(self) -> None:
            seen.append(id(self.inbound_nodes[0].value))
            CountsAndKeeps.forward(self)

    loss = mf.Mean(Watched(x) @ w)
    mf.check_gradients(loss, {x: array})
    assert id(array) not in seen  # the node's code was shown copies
    assert np.array_equal(array, np.arange(6.0).reshape(2, 3))
    assert w.value is kept
    assert np.array_equal(kept, np.eye(3))
    assert mf.value_and_grad(loss, {x: array}, [w])[1][0].shape == (3, 3)
