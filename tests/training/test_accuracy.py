"""Accuracy counts what is labelled, and is one function for everybody who shows it."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import miniflow as mf
from miniflow.errors import GraphError
from miniflow.graph.hits import Hits, NaNWarning, largest_at_label, signs
from miniflow.training import fit
from miniflow.training.evaluation import evaluate

rng = np.random.default_rng(0)
BACKENDS = ["interpreter", "numpy"]


class Own(mf.Op):
    """A loss of somebody's own, of scores and labels in any shape."""

    def compute(self, scores: Any, labels: Any) -> Any:
        return np.mean(scores) * 0.0 + 1.0

    def gradient(self, grad: Any, scores: Any, labels: Any) -> Any:
        return np.zeros_like(scores), None


def flattened(scores: mf.Node, labels: mf.Node) -> mf.Node:
    return mf.CrossEntropyWithSoftmax(mf.Reshape(scores, (-1, 5)), mf.Reshape(labels, (-1,)))


def picked(shape: tuple[int, ...], right: float, k: int = 5) -> tuple[Any, Any]:
    """Scores (..., k), and labels of which this share is where the largest score is."""
    scores = rng.normal(size=(*shape, k))
    labels = scores.argmax(axis=-1)
    wrong = np.arange(labels.size).reshape(shape) >= right * labels.size
    return scores, (labels + wrong) % k


def one_hot(pair: tuple[Any, Any], dtype: type) -> tuple[Any, Any]:
    return pair[0], np.eye(pair[0].shape[-1], dtype=dtype)[pair[1]]


def signed(shape: tuple[int, ...], right: float, dtype: type) -> tuple[Any, Any]:
    scores = rng.normal(size=shape)
    wrong = np.arange(scores.size).reshape(shape) >= right * scores.size
    return scores, ((scores > 0) ^ wrong).astype(dtype)


# What a loss is fed, and the share that is right.
Make = Callable[[Any, Any], mf.Node]
COUNTED: dict[str, tuple[Make, tuple[Any, Any], float]] = {
    "classes": (mf.CrossEntropyWithSoftmax, picked((20,), 0.25), 0.25),
    "small labels": (
        mf.CrossEntropyWithSoftmax,
        (lambda s, y: (s, y.astype(np.uint8)))(*picked((20,), 0.25)),
        0.25,
    ),
    "one-hot, MSE": (mf.MSE, one_hot(picked((20,), 0.25), float), 0.25),
    "flattened tokens": (flattened, picked((20, 4), 0.25), 0.25),
    "all tokens right": (flattened, picked((20, 4), 1.0), 1.0),
    "tokens": (Own, picked((20, 4), 0.25), 0.25),
    "pixels": (Own, picked((5, 8, 6), 0.75), 0.75),
    "one-hot pixels": (Own, one_hot(picked((5, 8, 6), 0.75), int), 0.75),
    "several labels": (mf.BinaryCrossEntropy, signed((20, 5), 0.4, float), 0.4),
    "several labels, all right": (mf.BinaryCrossEntropy, signed((20, 5), 1.0, int), 1.0),
    "one-hot, yes or no": (
        mf.BinaryCrossEntropy,
        (lambda s, y: (np.where(y > 0, 1.0, -1.0), y))(*one_hot(picked((20,), 1), float)),
        1.0,
    ),
    "sequences of yes and no": (mf.BinaryCrossEntropy, signed((20, 4, 1), 0.75, int), 0.75),
    "a column of yes and no": (mf.BinaryCrossEntropy, signed((20, 1), 0.75, int), 0.75),
    "yes and no": (mf.BinaryCrossEntropy, signed((20,), 0.75, bool), 0.75),
    "yes and no of one's own": (Own, signed((20, 1), 0.75, int), 0.75),
    "two classes, true and false": (
        Own,
        (lambda s, y: (s, y.astype(bool)))(*picked((20,), 0.75, k=2)),
        0.75,
    ),
}
MISSING: dict[str, tuple[Make, tuple[Any, Any]]] = {
    "a regression": (mf.MSE, (rng.normal(size=(8, 1)), rng.normal(size=(8, 1)))),
    "a regression of several": (mf.MSE, (rng.normal(size=(8, 2)), np.ones((8, 2)))),
    "a regression of ones": (mf.MSE, (np.ones((8, 1)), np.ones((8, 1)))),
    "a regression of whole numbers": (mf.MSE, (np.ones(8), np.arange(8))),
    "a regression of one's own": (Own, (rng.normal(size=(8, 1)), rng.normal(size=(8, 1)))),
    "probabilities": (mf.BinaryCrossEntropy, (rng.normal(size=(8, 2)), np.full((8, 2), 0.5))),
    "a sum": (lambda s, y: mf.CrossEntropyWithSoftmax(s, y) + 1.0, picked((8,), 0.5)),
    "a sum of losses": (
        lambda s, y: mf.CrossEntropyWithSoftmax(s, y) + mf.CrossEntropyWithSoftmax(s, y),
        picked((8,), 0.5),
    ),
    "a difference": (lambda s, y: mf.CrossEntropyWithSoftmax(s, y) - 1.0, picked((8,), 0.5)),
    "a multiple": (lambda s, y: mf.CrossEntropyWithSoftmax(s, y) * 2.0, picked((8,), 0.5)),
    "a quotient": (lambda s, y: mf.CrossEntropyWithSoftmax(s, y) / 2.0, picked((8,), 0.5)),
    "a mean": (lambda s, y: mf.Mean(s * 1.0 + 0.0 * mf.Sum(y)), picked((8,), 0.5)),
}


def fed(make: Make, pair: tuple[Any, Any]) -> tuple[mf.Node, dict[Any, Any]]:
    scores, labels = mf.Input("scores"), mf.Input("labels")
    return make(scores, labels), {scores: pair[0], labels: pair[1]}


@pytest.mark.breadth("backend")
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("what", COUNTED)
def test_everybody_counts_the_same_labels(what: str, backend: str) -> None:
    make, pair, right = COUNTED[what]
    loss, data = fed(make, pair)
    assert mf.accuracy(loss, data) == right
    for size in (1, 3, 100):
        assert evaluate(loss, data, batch_size=size, backend=backend).accuracy == right
    w = mf.Parameter(1.0)
    scores, labels = data
    trained = make(scores * w, labels)
    history = fit(
        trained, data, mf.SGD(0.0), epochs=1, batch_size=3, validation=data, rng=0,
        progress="none", backend=backend,
    )  # fmt: skip
    assert (history[-1].accuracy, history[-1].validation_accuracy) == (right, right)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("what", MISSING)
def test_where_there_is_no_accuracy_it_is_none_or_refused(what: str, backend: str) -> None:
    loss, data = fed(*MISSING[what])
    assert evaluate(loss, data, backend=backend).accuracy is None
    with pytest.raises(GraphError, match="accuracy"):
        mf.accuracy(loss, data)


def test_what_has_no_label_is_not_counted() -> None:
    scores, labels = picked((3, 4), 0.5)
    labels[0], labels[1, :2] = -1, -100
    loss, data = fed(Own, (scores, labels))
    expected = np.mean((scores.argmax(-1) == labels)[labels >= 0])
    assert mf.accuracy(loss, data) == expected
    assert [evaluate(loss, data, batch_size=n).accuracy for n in (1, 2, 3)] == [expected] * 3
    nothing = {node: (x if x is scores else np.full_like(labels, -1)) for node, x in data.items()}
    assert evaluate(loss, nothing).accuracy is None
    with pytest.raises(GraphError):
        mf.accuracy(loss, nothing)


# --- NaN


NAN = np.array([[np.nan, 0.0, 1.0], [0.0, 2.0, 1.0], [0.0, 1.0, np.nan], [3.0, 1.0, 2.0]])


def test_a_score_that_is_nan_is_no_hit_whatever_the_label() -> None:
    for label in range(3):
        assert largest_at_label(NAN[:1], np.array([label])) == Hits(0, 1, nan=1)
    assert largest_at_label(NAN, np.array([0, 1, 2, 0])) == Hits(2, 4, nan=2)
    assert largest_at_label(NAN.astype(np.float16), np.eye(3)[[0, 1, 2, 1]]) == Hits(1, 4, nan=2)
    assert largest_at_label(np.full((2, 3), np.nan), np.zeros(2, int)) == Hits(0, 2, nan=2)
    assert signs([np.nan, np.nan, 1.0], [0, 1, 1]) == Hits(1, 3, nan=2)
    infinite = np.array([[np.inf, -np.inf], [np.inf, 0.0]])  # their sum is NaN, and they are not
    assert largest_at_label(infinite, np.array([0, 1])) == Hits(1, 2)


@pytest.mark.parametrize("make", [mf.CrossEntropyWithSoftmax, Own, mf.BinaryCrossEntropy])
def test_scores_that_are_nan_are_warned_about_and_never_hit(make: Make) -> None:
    labels: Any = np.zeros(4, int)
    if make is mf.BinaryCrossEntropy:
        labels = np.zeros((4, 3))
    loss, data = fed(make, (np.full((4, 3), np.nan), labels))
    with np.errstate(all="ignore"), pytest.warns(NaNWarning, match="score that is NaN") as told:
        assert mf.accuracy(loss, data) == 0.0
    assert len(told) == 1
    assert told[0].filename == __file__


@pytest.mark.parametrize("backend", BACKENDS)
def test_evaluate_warns_once_of_a_loss_and_scores_that_are_nan(backend: str) -> None:
    x, y, w = mf.Input("x"), mf.Input("y"), mf.Parameter(np.full((2, 3), np.nan), "w")
    loss = mf.CrossEntropyWithSoftmax(x @ w, y)
    data = {x: np.ones((4, 2)), y: np.zeros(4, int)}
    with pytest.warns(NaNWarning) as told:
        found = evaluate(loss, data, batch_size=1, backend=backend)
    assert np.isnan(found.loss)
    assert found.accuracy == 0.0
    assert len(told) == 1
    message = str(told[0].message)
    assert "is nan" in message
    assert "Parameter 'w'" in message
    assert "4 of 4 labels" in message
    assert told[0].filename == __file__


@pytest.mark.parametrize("backend", BACKENDS)
def test_evaluate_warns_of_a_regression_that_is_nan(backend: str) -> None:
    x, w = mf.Input("x"), mf.Parameter(np.nan, "w")
    with pytest.warns(NaNWarning, match=r"MSE .* is nan .* Parameter 'w'"):
        evaluate(mf.MSE(x * w, x), {x: np.ones(3)}, backend=backend)


def test_scores_that_are_numbers_are_not_warned_about() -> None:
    loss, data = fed(*COUNTED["classes"][:2])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert mf.accuracy(loss, data) == evaluate(loss, data).accuracy == 0.25
