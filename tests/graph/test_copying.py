"""Nodes, graphs, parameters, optimizers and compiled steps are copied and pickled."""

import copy
import gc
import pickle
import sys
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from conformance import CASES

import miniflow as mf
from miniflow import optimizers
from miniflow.backends import RUN, names
from miniflow.graph.plans import ancestors_in_order


def through_pickle(thing: Any) -> Any:
    return pickle.loads(pickle.dumps(thing))


def through_oldest_pickle(thing: Any) -> Any:
    return pickle.loads(pickle.dumps(thing, 0))


def through_pythons_pickle(thing: Any) -> Any:
    return pickle.loads(pickle._dumps(thing))  # type: ignore[attr-defined]


COPIES = [copy.deepcopy, through_pickle, through_oldest_pickle, through_pythons_pickle]
every_copy = pytest.mark.parametrize("copied", COPIES, ids=lambda f: f.__name__)
Copy = Callable[[Any], Any]


class Scaled(mf.Node):
    """A class of somebody's own, in the lab's way, that keeps things."""

    def __init__(self, x: mf.Node, factor: float) -> None:
        mf.Node.__init__(self, [x], "scaled")
        self.x, self.factor, self.log = x, factor, [1, 2]

    def forward(self) -> None:
        self.cache["double"] = 2 * self.x.value
        self.value = self.factor * self.x.value

    def backward(self) -> None:
        grad = sum(n.gradients[self] for n in self.outbound_nodes)
        self.gradients = {self.x: self.factor * grad}


@every_copy
def test_copy_computes_the_same_and_shares_nothing(copied: Copy) -> None:
    x, W = mf.Input("x"), mf.Parameter([[1.0, 2.0]], "W")
    loss = mf.Mean(Scaled(mf.Tanh(x * W + 1.0), 3.0) ** 2)
    feed = np.array([[0.5, -1.0]])
    value, [dW] = mf.value_and_grad(loss, {x: feed}, [W])
    loss2, x2, W2 = copied((loss, x, W))
    assert {x2, W2} <= set(ancestors_in_order(loss2))
    assert not set(ancestors_in_order(loss2)) & set(ancestors_in_order(loss))
    value2, [dW2] = mf.value_and_grad(loss2, {x2: feed}, [W2])
    assert np.array_equal(value2, value)
    assert np.array_equal(dW2, dW)
    W2.value += 1.0
    assert W.value.tolist() == [[1.0, 2.0]]
    assert mf.value(loss, {x: feed}) == value
    mf.check_gradients(loss2, {x2: feed}, [W2])


@pytest.mark.parametrize(
    ("copied", "name"),
    [
        (copied, name)
        for name in CASES
        for copied in COPIES
        if copied is copy.deepcopy or not name.startswith("lab_")  # of no module, for pickle
    ],
)
def test_graph_of_any_class_is_copied(copied: Copy, name: str) -> None:
    output, feed, wrt, _ = CASES[name](np.float64)
    feed = {n: v for n, v in feed.items() if n in set(ancestors_in_order(output))}
    value, gradients = mf.value_and_grad(output, feed, wrt)
    output2, feed2, wrt2 = copied((output, feed, wrt))
    value2, gradients2 = mf.value_and_grad(output2, feed2, wrt2)
    assert np.array_equal(value2, value)
    assert all(map(np.array_equal, gradients2, gradients))


@pytest.mark.slow
@every_copy
def test_ten_thousand_nodes_in_a_row_need_no_deeper_stack(copied: Copy) -> None:
    x, w = mf.Input("x"), mf.Parameter(0.5, "w")
    y: mf.Node = x
    for _ in range(5000):
        y = y + w * 0.001
    before = sys.getrecursionlimit()
    x2, y2, w2 = copied({"x": x, "y": y, "w": w}).values()
    assert sys.getrecursionlimit() == before
    assert mf.value(y2, {x2: 1.0}) == mf.value(y, {x: 1.0})
    assert len(w2.outbound_nodes) == 5000
    assert len(ancestors_in_order(y2)) == len(ancestors_in_order(y)) > 10_000


@every_copy
def test_copy_knows_the_consumers_that_were_copied_with_it(copied: Copy) -> None:
    x = mf.Input("x")
    head, other = x * 2.0, x * 3.0
    x2, head2 = copied((x, head))
    assert x2.outbound_nodes == [head2]
    assert x.outbound_nodes == [head, other]
    gone = weakref.ref(head2)
    del head2
    assert gone() is None  # consumers are held weakly, as ever
    assert x2.outbound_nodes == []
    assert copied(x).outbound_nodes == []


@every_copy
def test_everything_that_a_node_has_is_copied(copied: Copy) -> None:
    x = mf.Input("x")
    node = Scaled(x, 2.0)
    mf.value_and_grad(mf.Sum(node), {x: np.ones(2)}, [x])
    other = copied(node)
    assert type(other) is Scaled
    assert (other.name, other.factor, other.log) == ("scaled", 2.0, [1, 2])
    assert other.x is other.inbound_nodes[0]
    assert other.log is not node.log
    assert other.value.tolist() == [2.0, 2.0]
    assert other.cache["double"].tolist() == [2.0, 2.0]
    assert list(other.gradients) == [other.x]
    assert other.x.gradients[other.x].tolist() == [2.0, 2.0]
    assert str(other) == str(node)
    assert copied(other).where == node.where
    assert other.where.startswith("test_copying.py:")


class Turned(mf.Node):
    """Keeps what cannot be stored, and its head, which is no input of its own."""

    __slots__ = ("steps",)

    def __init__(self, x: mf.Node) -> None:
        mf.Node.__init__(self, [x])
        self.steps, self.function, self.head = 3, lambda v: -v, None

    def __getstate__(self) -> Any:
        own, slots = super().__getstate__()
        return {**own, "function": None}, slots

    def __setstate__(self, state: Any) -> None:
        super().__setstate__(state)
        self.function = lambda v: -v

    def forward(self) -> None:
        self.value = self.function(self.inbound_nodes[0].value)


@every_copy
def test_classes_with_slots_states_and_circles_of_their_own_are_copied(copied: Copy) -> None:
    x = mf.Input("x")
    turned = Turned(x)
    head = turned.head = turned * 2.0
    for first, second in (copied((head, turned)), copied((turned, head))[::-1]):
        assert second.head is first
        assert second.steps == 3
        assert second.outbound_nodes == [first]
        assert mf.value(first, {ancestors_in_order(first)[0]: 1.5}) == -3.0


@every_copy
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_parameters_and_constants_keep_their_arrays(copied: Copy, dtype: Any) -> None:
    W = mf.Parameter(np.array([[1.5, 2.5]], dtype), "W")
    c = mf.Constant(np.array([1, 2]))
    W2, c2, total = copied((W, c, W + c))
    assert W2.name == "W"
    assert W2.value.dtype == dtype
    assert W2.value.tolist() == [[1.5, 2.5]]
    assert W2.value is not W.value
    assert total.inbound_nodes == [W2, c2]
    assert c2.value.dtype == np.int64


OPTIMIZERS = {
    "SGD": lambda: mf.SGD(0.1, momentum=0.9, clipnorm=1.0),
    "Adam": lambda: mf.Adam(0.1),
    "AdamW": lambda: mf.AdamW(0.1, weight_decay=0.01),
    "RMSprop": lambda: mf.RMSprop(0.01, global_clipnorm=1.0),
}


@pytest.mark.breadth("backend", "copied")
@every_copy
@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("backend", ["interpreter", *names(RUN)])
def test_training_goes_on_from_a_copy_as_it_would_have_gone_on(
    copied: Copy, name: str, backend: str
) -> None:
    assert set(OPTIMIZERS) == set(optimizers.__all__) - {"Clipping", "Optimizer"}
    x, W = mf.Input("x"), mf.Parameter([[0.5], [-0.5]], "W")
    loss, optimizer = mf.Mean((x @ W - 1.0) ** 2), OPTIMIZERS[name]()
    rows = np.arange(6.0).reshape(3, 2)

    def train(loss: mf.Node, optimizer: Any, x: mf.Node, W: mf.Parameter) -> Any:
        if backend != "interpreter":
            step = mf.compile(loss, optimizer=optimizer, backend=backend)
            return [step({x: rows}) for _ in range(3)]
        losses = []
        for _ in range(3):
            value, gradients = mf.value_and_grad(loss, {x: rows}, [W])
            optimizer.update([W], gradients)
            losses.append(value)
        return losses

    train(loss, optimizer, x, W)
    loss2, optimizer2, x2, W2 = copied((loss, optimizer, x, W))
    assert np.array_equal(train(loss2, optimizer2, x2, W2), train(loss, optimizer, x, W))
    assert np.array_equal(W2.value, W.value)


@every_copy
def test_compiled_step_takes_its_graph_and_its_optimizer_with_it(copied: Copy) -> None:
    x, W = mf.Input("x"), mf.Parameter([1.0, 2.0], "W")
    step = mf.compile(mf.Sum((x * W) ** 2), [x], mf.Adam(0.1), backend="numpy")
    step({x: np.ones(2)})
    step2, x2, W2 = copied((step, x, W))
    (value, [dx]), (value2, [dx2]) = step({x: np.ones(2)}), step2({x2: np.ones(2)})
    assert (value, dx.tolist()) == (value2, dx2.tolist())
    assert np.array_equal(W.value, W2.value)
    assert W.value is not W2.value


@every_copy
def test_copies_of_networks_can_be_built_upon(copied: Copy) -> None:
    X = mf.layers.Input((4,), name="X")
    hidden = mf.layers.Dense(3, activation="relu", rng=0)(X)
    hidden2, X2 = copied((hidden, X))
    logits = mf.layers.Dense(2, rng=1)(hidden2)
    assert mf.value(logits, {X2: np.ones((5, 4), np.float32)}).shape == (5, 2)
    assert str(mf.summary(hidden2)) == str(mf.summary(hidden))


def test_shallow_copy_is_another_consumer_of_the_same_inputs() -> None:
    x, W = mf.Input("x"), mf.Parameter([1.0, 2.0], "W")
    node = Scaled(x * W, 2.0)
    head = node + 1.0
    mf.value_and_grad(head, {x: 1.0}, [W])
    other = copy.copy(node)
    assert other.inbound_nodes == node.inbound_nodes
    assert other.inbound_nodes is not node.inbound_nodes
    assert node.inbound_nodes[0].outbound_nodes == [node, other]
    assert other.outbound_nodes == []
    assert node.outbound_nodes == [head]
    assert other.log is node.log
    assert mf.value(other, {x: 3.0}).tolist() == [6.0, 12.0]
    W2 = copy.copy(W)
    W2.value += 1.0
    assert W.value.tolist() == [1.0, 2.0]
    assert copy.copy(x).name == "x"


def test_deep_copies_leave_no_cycles_behind() -> None:
    x = mf.Input("x")
    node = x
    for _ in range(100):
        node = node * 2.0
    gc.collect()
    gc.disable()
    try:
        other = copy.deepcopy(node)
        seen = [weakref.ref(n) for n in ancestors_in_order(other)]
        del other
        assert all(ref() is None for ref in seen)
    finally:
        gc.enable()


def test_a_copy_that_fails_leaves_nothing_behind() -> None:
    x = mf.Input("x")
    node = Scaled(x, 2.0)
    node.log = [lambda: 0]
    deep: mf.Node = node
    for _ in range(3000):
        deep = deep * 1.0
    for _ in range(2):
        with pytest.raises((pickle.PicklingError, AttributeError)):
            pickle.dumps(deep)
    node.log = []
    assert mf.value(through_pickle((deep, x))[0].inbound_nodes[1]) == 1.0


def test_pictures_of_a_graph_are_pickled() -> None:
    x = mf.Input("x")
    picture = mf.draw(x * 2.0)
    assert through_pickle(picture).svg() == picture.svg()
