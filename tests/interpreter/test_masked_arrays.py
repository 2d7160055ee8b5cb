"""Masked arrays are refused wherever arrays come in: what is under a mask would count like all."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import miniflow as mf
from miniflow.backends import COMPARE, RUN, names
from miniflow.errors import MiniflowError

FEATURES = np.ma.array(
    [[1.0, 90.0], [2.0, 3.0], [4.0, 5.0], [0.0, 1.0]], mask=[[0, 1]] + [[0, 0]] * 3
)
LABELS = np.ma.array([0, 1, 1, 0], mask=[0, 0, 1, 0])
UNMASKED = np.ma.array([[1.0, 2.0], [2.0, 3.0], [4.0, 5.0], [0.0, 1.0]])
PLAIN, PLAIN_LABELS = UNMASKED.data, LABELS.data

X, Y = mf.Input("X"), mf.Input("y")


def network() -> tuple[mf.Node, mf.Parameter]:
    W = mf.Parameter(np.zeros((2, 2)), "W")
    return mf.CrossEntropyWithSoftmax(X @ W, Y), W


def told(call: Callable[[], Any]) -> str:
    with pytest.raises(MiniflowError) as caught:
        call()
    return str(caught.value)


@pytest.mark.parametrize("backend", ["interpreter", "checking", *names(RUN, COMPARE)])
def test_feeds(backend: str) -> None:
    loss, _ = network()
    for feed in (
        {X: FEATURES, Y: PLAIN_LABELS},
        {X: UNMASKED, Y: PLAIN_LABELS},
        {X: PLAIN, Y: LABELS},
        {X: [FEATURES[0], FEATURES[1], [4.0, 5.0], [0.0, 1.0]], Y: PLAIN_LABELS},
    ):
        if backend == "interpreter":
            seen = told(lambda f=feed: mf.value(loss, f))
            assert seen == told(lambda f=feed: mf.accuracy(loss, f))
        elif backend == "checking":
            seen = told(lambda f=feed: mf.check_gradients(loss, f))
        else:
            step = mf.compile(loss, backend=backend)
            seen = told(lambda f=feed, s=step: s(f))
            step({X: PLAIN, Y: PLAIN_LABELS})
            assert told(lambda f=feed, s=step: s(f)) == seen  # a program does not take it either
        assert seen.startswith(("Input 'X' (", "Input 'y' ("))
        assert "was given a masked array" in seen
        assert "x.filled(0.0)" in seen


def test_fit_and_evaluate_change_nothing() -> None:
    loss, W = network()
    for data in (
        {X: FEATURES, Y: PLAIN_LABELS},
        {X: PLAIN, Y: LABELS},
        lambda: iter([(PLAIN, PLAIN_LABELS), (FEATURES, PLAIN_LABELS)][1:]),
        lambda: iter([{X: FEATURES, Y: PLAIN_LABELS}]),
    ):
        for call in (
            lambda d=data: mf.fit(loss, d, mf.SGD(0.1), epochs=1, progress="none"),
            lambda d=data: mf.evaluate(loss, d),
        ):
            assert "was given a masked array" in told(call)
    validation = {X: FEATURES, Y: PLAIN_LABELS}
    data = {X: PLAIN, Y: PLAIN_LABELS}
    assert "was given a masked array" in told(
        lambda: mf.fit(loss, data, mf.SGD(0.0), epochs=1, validation=validation, progress="none")
    )
    assert not W.value.any()


CALLS: dict[str, Callable[[], Any]] = {
    "Constant": lambda: mf.Constant(FEATURES),
    "operand": lambda: X + FEATURES,
    "operand on the left": lambda: FEATURES * X,
    "Where": lambda: mf.Where(X > 0, FEATURES, 0.0),
    "the masked number": lambda: X + np.ma.masked,
    "Parameter": lambda: mf.Parameter(FEATURES, "W"),
    "assignment": lambda: setattr(mf.Parameter(np.zeros((4, 2)), "W"), "value", FEATURES),
    "class_weights": lambda: mf.CrossEntropyWithSoftmax(X, Y, class_weights=FEATURES[0]),
    "Dataset's images": lambda: mf.datasets.Dataset(FEATURES, PLAIN_LABELS),
    "Dataset's labels": lambda: mf.datasets.Dataset(PLAIN, LABELS),
    "Optimizer.update": lambda: mf.SGD(0.1).update([mf.Parameter(np.zeros((4, 2)))], [FEATURES]),
}


@pytest.mark.parametrize("place", CALLS)
def test_other_places(place: str) -> None:
    seen = told(CALLS[place])
    assert "masked array" in seen or "Input 'X'" in seen  # NumPy's own masked operators come first


def test_models(tmp_path: Any) -> None:
    W = mf.Parameter(np.ones((2, 2)), "W")
    mf.save(X @ W, tmp_path / "m.safetensors", inputs={X: PLAIN})
    model = mf.load(tmp_path / "m.safetensors")
    assert "was given a masked array" in told(lambda: model(FEATURES))
    assert "was given a masked array" in told(lambda: model.predict(FEATURES))
    assert "was given a masked array" in told(
        lambda: mf.save(X @ W, tmp_path / "n.safetensors", inputs={X: FEATURES})
    )


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("estimator", [mf.MiniflowClassifier, mf.MiniflowRegressor])
def test_estimators(estimator: Any) -> None:
    weights = np.ma.array([1.0, 2.0, 1.0, 1.0], mask=[0, 1, 0, 0])
    made = estimator(hidden_layer_sizes=(3,), max_iter=2)
    for call in (
        lambda: made.fit(FEATURES, PLAIN_LABELS),
        lambda: made.fit(PLAIN, LABELS),
        lambda: made.fit(PLAIN, PLAIN_LABELS, sample_weight=weights),
        lambda: made.partial_fit(PLAIN, LABELS),
    ):
        assert f"{estimator.__name__} was given a masked array" in told(call)
    made.fit(PLAIN, PLAIN_LABELS)
    assert "was given a masked array" in told(lambda: made.predict(FEATURES))
    assert "was given a masked array" in told(lambda: made.score(FEATURES, PLAIN_LABELS))


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
def test_other_classes_of_arrays_are_taken_for_plain_ones(tmp_path: Any) -> None:
    loss, _ = network()
    mapped = np.memmap(tmp_path / "x", np.float64, "w+", shape=(4, 2))
    mapped[...] = PLAIN
    expected = mf.value(loss, {X: PLAIN, Y: PLAIN_LABELS})
    for features in (np.matrix(PLAIN), mapped, PLAIN.tolist(), PLAIN.view(np.recarray)):
        assert mf.value(loss, {X: features, Y: PLAIN_LABELS}) == expected
        assert mf.compile(loss)({X: features, Y: PLAIN_LABELS}) == pytest.approx(expected)
    product = mf.value(mf.Constant(np.matrix([[1.0, 2.0]])) * mf.Constant(np.matrix([[3.0, 4.0]])))
    assert product.tolist() == [[3.0, 8.0]]
    assert type(mf.Parameter(np.matrix([[1.0]])).value) is np.ndarray
