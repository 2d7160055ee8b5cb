"""per_example_gradients: in one program what a loop over examples computes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conformance import CASES

import miniflow as mf
from miniflow.backends import COMPARE, RUN, names
from miniflow.errors import FeedError, GradientError
from miniflow.graph.plans import ancestors_in_order

BACKENDS = sorted(names(RUN, COMPARE))
Feed = dict[mf.Node, Any]


def in_a_loop(loss: mf.Node, feed: Feed, wrt: list[mf.Node], count: int) -> list[Any]:
    def one(i: int) -> Feed:
        return {
            n: v[i : i + 1] if np.shape(v)[:1] == (count,) and n not in wrt else v
            for n, v in feed.items()
        }

    each = [mf.value_and_grad(loss, one(i), wrt)[1] for i in range(count)]
    return [np.stack(gradients) for gradients in zip(*each, strict=True)]


def see_that_it_agrees(
    loss: mf.Node, feed: Feed, wrt: list[mf.Node], count: int, backend: str = "auto"
) -> None:
    expected = in_a_loop(loss, feed, wrt, count)
    for _ in range(2):
        found = mf.per_example_gradients(loss, feed, wrt, backend=backend)
        for a, b in zip(found, expected, strict=True):
            assert a.shape == b.shape
            assert a.dtype == b.dtype
            limit = 1e-5 if a.dtype == np.float32 else 1e-11
            np.testing.assert_allclose(a, b, rtol=limit, atol=limit)


def network(dtype: type = np.float64) -> tuple[mf.Node, Feed, list[mf.Node]]:
    rng = np.random.default_rng(0)
    X, y, seed = mf.Input("X"), mf.Input("y"), mf.Seed()
    W = mf.Parameter(rng.normal(size=(6, 4)).astype(dtype), "W")
    b = mf.Parameter(np.zeros(4, dtype), "b")
    V = mf.Parameter(rng.normal(size=(4, 3)).astype(dtype), "V")
    hidden = mf.Dropout(mf.Tanh(mf.Linear(X, W, b)), seed, 0.3)
    loss = mf.CrossEntropyWithSoftmax(hidden @ V, y) + 0.1 * mf.Sum(V**2)
    feed = {X: rng.normal(size=(5, 6)).astype(dtype), y: rng.integers(0, 3, 5)}
    return loss, feed, [W, b, V]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_network(backend: str, dtype: type) -> None:
    loss, feed, wrt = network(dtype)
    see_that_it_agrees(loss, feed, wrt, 5, backend)


def test_convolutions_loops_and_a_seed() -> None:
    rng = np.random.default_rng(0)
    X, y = mf.Input("X"), mf.Input("y")
    W = mf.Parameter(rng.normal(size=(3, 3, 1, 2)), "W")
    U = mf.Parameter(rng.normal(size=(2, 2)) / 2, "U")
    V = mf.Parameter(rng.normal(size=(2, 3)), "V")
    maps = mf.MaxPool(mf.ReLU(mf.Conv2D(X, W, padding="same")))
    items = mf.Transpose(mf.Reshape(maps, (-1, 4, 2)), (1, 0, 2))
    states = mf.scan(lambda h, x: mf.Tanh(h @ U + x), mf.Mean(items, axis=0), items)
    loss = mf.CrossEntropyWithSoftmax(states[-1] @ V, y)
    feed = {X: rng.normal(size=(5, 4, 4, 1)), y: rng.integers(0, 3, 5)}
    see_that_it_agrees(loss, feed, [W, U, V], 5)


def test_gradients_add_up_and_parameters_may_move() -> None:
    loss, feed, wrt = network()
    loss = loss.inbound_nodes[0]  # without the penalty
    for _ in range(3):
        each = mf.per_example_gradients(loss, feed, wrt)
        _, expected = mf.value_and_grad(loss, feed, wrt)
        for a, b in zip(each, expected, strict=True):
            np.testing.assert_allclose(a.mean(axis=0), b, rtol=1e-10, atol=1e-13)
        mf.SGD(0.1).update(wrt, expected)


def test_all_parameters_by_default_and_other_shapes() -> None:
    loss, feed, wrt = network()
    assert [g.shape for g in mf.per_example_gradients(loss, feed)] == [(5, 6, 4), (5, 4), (5, 4, 3)]
    more = {n: np.concatenate([v, v]) for n, v in feed.items()}
    see_that_it_agrees(loss, more, wrt, 10)
    see_that_it_agrees(loss, {n: v[:1] for n, v in feed.items()}, wrt, 1)


@pytest.mark.parametrize("name", ["two_layers", "linear"])
def test_learners_classes(name: str) -> None:
    output, feed, _, _ = CASES[name](np.float64)
    loss = mf.Sum(output.inbound_nodes[0] if output.upstream_is_fed else output)
    feed = {n: v for n, v in feed.items() if n in ancestors_in_order(loss)}
    first = next(n for n, v in feed.items() if np.shape(v))
    count = np.shape(feed[first])[0]
    others = [n for n, v in feed.items() if n is not first and np.asarray(v).dtype.kind == "f"]
    see_that_it_agrees(loss, feed, others, count)


def test_an_option_that_changes_is_seen() -> None:
    class Scaled(mf.Op):
        factor = 2.0

        def compute(self, x: Any) -> Any:
            return x * self.factor

    X, W = mf.Input("X"), mf.Parameter([1.0, 2.0], "W")
    scaled = Scaled(W)
    loss, feed = mf.Sum(X * scaled), {X: np.ones((2, 2))}
    assert mf.per_example_gradients(loss, feed)[0].tolist() == [[2.0, 2.0]] * 2
    scaled.factor = 3.0
    assert mf.per_example_gradients(loss, feed)[0].tolist() == [[3.0, 3.0]] * 2


def test_what_does_not_fit_is_told() -> None:
    loss, feed, wrt = network()
    X = next(iter(feed))
    with pytest.raises(FeedError, match="has a row for each example"):
        mf.per_example_gradients(loss, feed, [X])
    x = mf.Input("x")
    with pytest.raises(FeedError, match="nothing that is fed has an axis of examples"):
        mf.per_example_gradients(x * wrt[1], {x: 1.0}, [wrt[1]])
    with pytest.raises(GradientError, match="does not depend on"):
        mf.per_example_gradients(loss, feed, [x])
    with pytest.raises(FeedError):
        mf.per_example_gradients(loss, {}, wrt)
