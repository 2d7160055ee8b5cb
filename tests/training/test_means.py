"""A mean is a mean: loss and accuracy of a data set, whatever the size of its batches."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

import miniflow as mf
from miniflow.training import fit
from miniflow.training.evaluation import evaluate

rng = np.random.default_rng(0)
ROWS = 7
DATA: dict[str, Any] = {
    "X": rng.normal(size=(ROWS, 3)),
    "classes": np.array([0, 1, 1, 0, 2, 0, 0]),
    "targets": rng.normal(size=(ROWS, 3)),
    "yes": (rng.random((ROWS, 3)) < 0.5).astype(int),
    "mask": np.array([[1.0, 0, 1]] * 3 + [[1.0, 1, 1]] * 2 + [[0.0, 0, 1]] * 2),
    "tokens": rng.integers(0, 3, (ROWS, 4)),
}


class Graph:
    """Inputs by name, and a layer."""

    def __init__(self) -> None:
        self.inputs = {name: mf.Input(name) for name in DATA}
        self.W = mf.Parameter(np.array([[1.0, -1, 0.5], [0.5, 2, -1], [0, 0.5, 1]]), "W")
        self.scale = mf.Parameter(0.7, "scale")
        self.scores = self.inputs["X"] @ self.W

    def __getattr__(self, name: str) -> mf.Input:
        return self.inputs[name]


class OwnLoss(mf.Node):
    """A learner's: the mean over the rows, which nobody can know."""

    def __init__(self, scores: mf.Node, classes: mf.Node) -> None:
        mf.Node.__init__(self, [scores, classes])

    def forward(self) -> None:
        x, y = (node.value for node in self.inbound_nodes)
        powers = np.exp(x)
        self.p = powers / np.sum(powers, axis=1, keepdims=True)
        self.value = np.mean(-np.log(self.p[np.arange(len(y)), y]))

    def backward(self) -> None:
        x, y = self.inbound_nodes
        dx = self.p / len(y.value)
        dx[np.arange(len(y.value)), y.value] -= 1 / len(y.value)
        self.gradients = {x: dx, y: 0}


class OwnWeightedLoss(OwnLoss):
    """One of a learner who says by what it divides."""

    weights = np.array([1.0, 5.0, 2.0])
    divisor_reads = (1,)

    def divisor(self, shapes: Any, values: Any) -> float:
        return float(np.sum(self.weights[values[1]]))

    def forward(self) -> None:
        y = self.inbound_nodes[1].value
        OwnLoss.forward(self)
        w = np.take(self.weights, y)
        self.value = np.sum(w * -np.log(self.p[np.arange(len(y)), y])) / np.sum(w)

    def backward(self) -> None:
        x, y = self.inbound_nodes
        w = np.take(self.weights, y.value)
        dx = self.p * 1.0
        dx[np.arange(len(y.value)), y.value] -= 1.0
        self.gradients = {x: dx * (w / np.sum(w))[:, None], y: 0}


def weighted(g: Graph, **options: Any) -> mf.Node:
    return mf.CrossEntropyWithSoftmax(g.scores, g.classes, class_weights=[1, 9, 4], **options)


def penalty(g: Graph) -> mf.Node:
    return 0.01 * mf.Sum(g.W**2)


def masked(g: Graph) -> mf.Node:
    return mf.Sum(g.mask * (g.scores - g.targets) ** 2) / mf.Sum(g.mask)


def of_tokens(g: Graph) -> mf.Node:
    embedded = mf.Reshape(mf.Gather(g.W, g.tokens), (-1, 3))
    return mf.CrossEntropyWithSoftmax(embedded, mf.Reshape(g.tokens, (-1,)))


LOSSES: dict[str, Callable[[Graph], mf.Node]] = {
    "cross-entropy": lambda g: mf.CrossEntropyWithSoftmax(g.scores, g.classes),
    "with class weights": weighted,
    "with class weights and smoothing": lambda g: weighted(g, label_smoothing=0.1),
    "binary cross-entropy": lambda g: mf.BinaryCrossEntropy(g.scores, g.yes),
    "MSE": lambda g: mf.MSE(g.scores, g.targets),
    "a mean": lambda g: mf.Mean((g.scores - g.targets) ** 2),
    "a mean along axes": lambda g: mf.Mean((g.scores - g.targets) ** 2, axis=(0, 1)),
    "a sum": lambda g: mf.Sum((g.scores - g.targets) ** 2),
    "a sum of rows' sums": lambda g: mf.Sum(mf.Sum((g.scores - g.targets) ** 2, axis=1)),
    "a mean of rows' sums": lambda g: mf.Mean(mf.Sum((g.scores - g.targets) ** 2, axis=-1)) * 2.0,
    "a sum of columns' sums": lambda g: mf.Sum(mf.Sum((g.scores - g.targets) ** 2, axis=0)),
    "a mean of columns' sums": lambda g: mf.Mean(mf.Sum((g.scores - g.targets) ** 2, axis=0)) + 1.0,
    "a sum of columns' sums, weighed": lambda g: mf.Sum(
        mf.Sum(g.scores, axis=0) * [1.0, -2.0, 3.0]
    ),
    "a mean of columns' means, moved": lambda g: mf.Mean(
        (mf.Mean(g.scores, axis=0) - [1.0, -2.0, 3.0]) ** 2
    ),
    "a sum of columns' means": lambda g: mf.Sum(mf.Mean(g.scores**2, axis=0, keepdims=True)),
    "a sum of squares of sums": lambda g: mf.Sum(mf.Sum(g.scores, axis=0) ** 2) / 7.0,
    "a product of columns' means": lambda g: mf.Sum(
        mf.Mean(g.scores, axis=0) * mf.Mean(g.targets, axis=0)
    ),
    "a sum times a number": lambda g: 0.1 * mf.Sum((g.scores - g.targets) ** 2) - 3.0,
    "tokens": of_tokens,
    "one of the user's": lambda g: OwnLoss(g.scores, g.classes),
    "one of the user's that says how": lambda g: OwnWeightedLoss(g.scores, g.classes),
    "a weighted one and a penalty": lambda g: weighted(g) + penalty(g),
    "a weighted one times a number": lambda g: 0.1 * weighted(g),
    "a negative": lambda g: -weighted(g),
    "a quotient": lambda g: weighted(g) / 3.0,
    "a weighted one and another": lambda g: weighted(g) + mf.MSE(g.scores, g.targets) * 0.5,
    "one of the user's and a weighted one": lambda g: OwnLoss(g.scores, g.classes) - weighted(g),
    "three": lambda g: mf.Add(weighted(g), penalty(g), OwnLoss(g.scores, g.classes)),
    "a masked mean": masked,
    "a masked mean and a penalty": lambda g: masked(g) + penalty(g),
    "the root of a mean": lambda g: mf.Sqrt(mf.MSE(g.scores, g.targets)),
    "a learned scale": lambda g: mf.Exp(-g.scale) * weighted(g) + g.scale,
    "a mean and a sum": lambda g: weighted(g) + 0.1 * mf.Sum(g.scores**2),
    "a reshaped mean": lambda g: mf.Reshape(weighted(g), (1,)),
    "two weighted ones": lambda g: weighted(g) * mf.MSE(g.scores, g.targets),
}
needs_llvmlite = pytest.mark.skipif(find_spec("llvmlite") is None, reason="needs llvmlite")
every_backend = pytest.mark.parametrize(
    "backend", ["interpreter", "numpy", pytest.param("native", marks=needs_llvmlite)]
)
every_loss = pytest.mark.parametrize("what", LOSSES)


def made(what: str) -> tuple[Graph, mf.Node, dict[Any, Any]]:
    g = Graph()
    loss = LOSSES[what](g)
    used = mf.graph.plans.ancestors_in_order(loss)
    return g, loss, {node: DATA[name] for name, node in g.inputs.items() if node in used}


@pytest.mark.breadth("backend")
@every_backend
@every_loss
def test_evaluate_gives_the_value_of_the_loss_over_all_data(what: str, backend: str) -> None:
    _, loss, data = made(what)
    expected = np.reshape(mf.value(loss, data), ())
    found = [evaluate(loss, data, batch_size=n, backend=backend).loss for n in (1, 2, 3, 100)]
    np.testing.assert_allclose(found, [expected] * 4, rtol=1e-12)


@pytest.mark.breadth("backend")
@every_backend
@every_loss
def test_the_history_of_a_training_that_moves_nothing_is_the_loss(what: str, backend: str) -> None:
    _, loss, data = made(what)
    expected = np.reshape(mf.value(loss, data), ())
    for size in (1, 3, 7):
        history = fit(
            loss, data, mf.SGD(0.0), epochs=1, batch_size=size, validation=data, rng=0,
            progress="none", backend=backend,
        )  # fmt: skip
        row = history[-1]
        np.testing.assert_allclose((row.loss, row.validation_loss), [expected] * 2, rtol=1e-12)


def test_batches_of_ever_other_lengths_count_by_their_entries() -> None:
    x, t = mf.Input("x"), mf.Input("t")
    loss = mf.MSE(x, t)
    parts = [(rng.normal(size=(2, n)), rng.normal(size=(2, n))) for n in (1, 5, 9)]
    found = evaluate(loss, lambda: iter({x: a, t: b} for a, b in parts))
    whole = [np.concatenate(arrays, axis=1) for arrays in zip(*parts, strict=True)]
    assert found.loss == pytest.approx(float(np.mean((whole[0] - whole[1]) ** 2)))


def test_what_cannot_be_known_is_a_mean_over_the_rows() -> None:
    """A sum, divided by a number that is fed: it may be that of the rows, or not."""
    x, n = mf.Input("x"), mf.Input("n")
    loss = mf.Sum(x) / n
    values = np.arange(6.0)
    batches = [{x: values[:4], n: 4.0}, {x: values[4:], n: 2.0}]
    assert evaluate(loss, lambda: iter(batches)).loss == pytest.approx(values.mean())
    mean = mf.Mean(x) * n
    assert evaluate(mean, lambda: iter(batches)).loss == pytest.approx((4 * 6 + 2 * 9) / 6)


def test_a_batch_whose_weights_are_zero_counts_nothing() -> None:
    x, y = mf.Input("x"), mf.Input("y")
    loss = mf.CrossEntropyWithSoftmax(x, y, class_weights=[0.0, 1.0])
    data = {x: rng.normal(size=(4, 2)), y: np.array([0, 0, 1, 1])}
    expected = float(mf.value(loss, data))
    for size in (1, 2, 4):
        assert evaluate(loss, data, batch_size=size).loss == pytest.approx(expected)


@pytest.mark.parametrize("backend", ["interpreter", "numpy"])
def test_a_batch_without_rows_counts_nothing(backend: str) -> None:
    x, w = mf.Input("x"), mf.Parameter(2.0)
    loss = mf.Mean(x * w)
    parts = [np.ones(3), np.ones(0), np.full(1, 5.0)]
    assert evaluate(loss, lambda: iter({x: part} for part in parts), backend=backend).loss == 4.0
    data = lambda: iter({x: part} for part in parts)  # noqa: E731
    history = fit(loss, data, mf.SGD(0.0), epochs=1, progress="none", backend=backend)
    assert history[-1].loss == 4.0
