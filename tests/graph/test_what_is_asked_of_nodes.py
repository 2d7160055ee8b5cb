"""What the other rooms ask of a node, in place of its class: every node answers, one of a learner's
own class with what is plain, and whoever writes a class can give another answer.
"""

from typing import Any

import numpy as np
import pytest

import miniflow as mf
from miniflow.graph.hits import Hits
from miniflow.training.evaluation import evaluate
from miniflow.training.fit import fit


class Own(mf.Node):
    """A class of the lab's kind."""

    def __init__(self, *inbound: mf.Node) -> None:
        mf.Node.__init__(self, inbound)


@pytest.mark.parametrize(
    "make",
    [
        Own,
        mf.Input,
        lambda: mf.Parameter(1.0),
        lambda: mf.Constant(1.0),
        lambda: mf.Mul(1.0, 2.0),
        lambda: mf.MSE(mf.Input(), mf.Input()),
    ],
)
def test_a_node_wants_no_seed_and_computes_its_upstream_gradient(make: Any) -> None:
    node = make()
    assert node.wants_a_seed is False
    assert node.type_hangs_on_numbers() == ""
    assert node.upstream_is_fed is False


def test_the_two_that_answer_otherwise() -> None:
    assert mf.Seed().wants_a_seed
    assert mf.DummyGrad(mf.Input()).upstream_is_fed


CLASSES = np.array([[0.1, 0.9], [0.8, 0.2], [0.3, 0.4]])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize(
    ("logits", "labels", "wanted"),
    [
        (CLASSES, np.array([1, 0, 0]), 2),
        (CLASSES, np.array([1, 0, 0], np.uint8), 2),
        (CLASSES, np.array([[0, 1], [1, 0], [1, 0]]), 2),  # one-hot
        (CLASSES, np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 0.0]]), 2),
        (CLASSES, np.array([[0, 1], [1, 1], [1, 0]]), None),  # no one-hot
        (CLASSES, np.array([1.0, 0.0, 0.0]), None),  # fractions, as far as anybody knows
        (CLASSES, np.array([1, 0]), None),
    ],
)
@pytest.mark.parametrize("kind", [Own, mf.CrossEntropyWithSoftmax, mf.MSE])
def test_rows_whose_largest_logit_is_at_the_label_are_correct(
    kind: Any, logits: Any, labels: Any, wanted: int | None, dtype: type
) -> None:
    loss = kind(mf.Input(), mf.Input())
    hits = loss.count_correct(logits.astype(dtype), labels)
    assert (None if hits is None else hits.correct) == wanted
    assert hits is None or hits.labelled == 3


@pytest.mark.parametrize(
    ("logits", "labels", "wanted"),
    [
        (np.array([0.3, -0.2, 2.0]), np.array([1, 1, 1]), 2),
        (np.array([[0.3], [-0.2]]), np.array([[1.0], [0.0]]), 2),
        (np.array([0.3, -0.2]), np.array([0.5, 0.0]), None),  # a probability
        (CLASSES, np.array([[0, 1], [1, 0], [1, 0]]), 3),  # entry by entry
        (CLASSES, np.array([1, 0, 0]), None),
    ],
)
def test_of_yes_and_no_the_sign_counts(logits: Any, labels: Any, wanted: int | None) -> None:
    hits = mf.BinaryCrossEntropy(mf.Input(), mf.Input()).count_correct(logits, labels)
    assert (None if hits is None else hits.correct) == wanted
    assert hits is None or hits.labelled == labels.size


@pytest.mark.parametrize("backend", ["interpreter", "numpy"])
def test_fit_and_evaluate_count_what_a_loss_of_ones_own_counts(backend: str) -> None:
    class Near(mf.MSE):
        def count_correct(self, logits: Any, labels: Any) -> Hits:
            return Hits(int(np.count_nonzero(np.abs(logits - labels) < 0.5)), labels.size)

    x, y, w = mf.Input("x"), mf.Input("y"), mf.Parameter([0.0], "w")
    loss = Near(x + w, y)
    data = {x: np.array([1.0, 2.0, 3.0, 4.0]), y: np.array([1.0, 2.0, 3.0, 9.0])}
    assert evaluate(loss, data, backend=backend).accuracy == 0.75
    history = fit(loss, data, mf.SGD(1e-9), epochs=1, progress="none", backend=backend)
    assert [row.accuracy for row in history] == [0.75]


@pytest.mark.parametrize("backend", ["interpreter", "numpy"])
def test_fit_feeds_a_number_at_each_step_to_whatever_wants_one(backend: str) -> None:
    class Noise(mf.Constant):
        wants_a_seed = True

        def __init__(self) -> None:
            mf.Constant.__init__(self, 0, "noise")

    fed: list[int] = []

    class Watch(mf.Callback):
        def on_batch_end(self, training: Any) -> None:
            fed.append(training.seeds[0] is noise)

    x, noise, w = mf.Input("x"), Noise(), mf.Parameter([1.0], "w")
    loss = mf.Mean(x * w + mf.Where(noise > 0, 1.0, 0.0))
    history = fit(
        loss, {x: np.zeros(4)}, mf.SGD(1e-9), epochs=1, batch_size=2, rng=0,
        callbacks=[Watch()], progress="none", backend=backend,
    )  # fmt: skip
    assert fed == [True, True]
    assert history[-1].loss == 1.0  # fed, so above 0
    assert mf.value(loss, {x: np.zeros(4)}) == 0.0
