"""Loss and accuracy over whole data sets."""

from typing import Any

import numpy as np
import pytest
from blobs import problem

import miniflow as mf
from miniflow.options import OptionError
from miniflow.training.evaluation import evaluate


@pytest.mark.parametrize("backend", ["interpreter", "numpy"])
@pytest.mark.parametrize("size", [1, 7, 90, 1000])
def test_the_size_of_the_batches_does_not_matter(size: int, backend: str) -> None:
    p = problem()
    found = evaluate(p.loss, p.data, batch_size=size, backend=backend)
    assert found.loss == pytest.approx(float(mf.value(p.loss, p.feed())), rel=1e-5)
    assert found.accuracy == pytest.approx(mf.accuracy(p.loss, p.feed()))


def test_evaluation_changes_nothing_that_is_learned() -> None:
    p = problem()
    before = p.bytes()
    evaluate(p.loss, p.feed())
    assert p.bytes() == before


def classified(logits: Any, labels: Any, make: Any = mf.CrossEntropyWithSoftmax) -> float | None:
    x, y = mf.Input(), mf.Input()
    return evaluate(make(x, y), {x: np.asarray(logits), y: np.asarray(labels)}).accuracy


def test_accuracy_is_told_where_labels_are_classes() -> None:
    logits = [[2.0, 1.0], [0.0, 3.0], [5.0, 4.0], [0.0, 1.0]]
    assert classified(logits, [0, 1, 1, 1]) == 0.75
    assert classified(logits, np.eye(2)[[0, 0, 0, 1]], mf.MSE) == 0.75
    assert classified([[1.0], [-1.0]], [[1], [1]], mf.BinaryCrossEntropy) == 0.5
    assert classified([1.0, -1.0], [1.0, 0.0], mf.BinaryCrossEntropy) == 1.0


def test_accuracy_is_none_where_they_are_not() -> None:
    assert classified([[1.0], [0.0]], [[1.0], [0.0]], mf.MSE) is None
    assert classified([[0.2, 0.4]], [[0.3, 0.1]], mf.MSE) is None
    assert classified([[1.0], [0.5]], [[0.5], [0.5]], mf.BinaryCrossEntropy) is None
    x = mf.Input()
    assert evaluate(mf.Mean(x), {x: np.ones(4)}) == (1.0, None)


def test_a_batch_size_of_nothing_is_refused() -> None:
    p = problem()
    with pytest.raises(OptionError, match="evaluate: batch_size"):
        evaluate(p.loss, p.data, batch_size=0)
