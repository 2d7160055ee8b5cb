"""`class_weights`: numbers or a dictionary, on masked logits, on batches that count nothing; by
every backend.
"""

from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

import miniflow as mf

BACKENDS = ["interpreter", "reference", "numpy", *(["native"] if find_spec("llvmlite") else [])]
every_backend = pytest.mark.parametrize("backend", BACKENDS)
every_dtype = pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
x, y = mf.Input("x"), mf.Input("y")
LOGITS = np.array([[0.5, 1.0, 1.5], [2.0, -1.0, 0.0], [0.0, 0.5, -1.0]])


def loss_of(logits: Any, labels: Any, backend: str, **options: Any) -> tuple[Any, Any]:
    """The loss and the gradient of the logits, without a warning."""
    loss, feed = mf.CrossEntropyWithSoftmax(x, y, **options), {x: logits, y: np.array(labels)}
    if backend == "interpreter":
        value, [dx] = mf.value_and_grad(loss, feed, [x])
    else:
        value, [dx] = mf.compile(loss, [x], backend=backend)(feed)
    return value, dx


@pytest.mark.breadth("dtype", "backend")
@every_backend
@every_dtype
@pytest.mark.parametrize(
    "row", [[0.0, -np.inf, 0.0], [0.0, -6e4, 0.0], [6e4, -6e4, 0.0], [-np.inf, -np.inf, 1.0]]
)
def test_weights_of_one_change_nothing_whatever_the_logits(
    row: list[float], dtype: type, backend: str
) -> None:
    logits, label = np.array([row, LOGITS[0]], dtype), [int(np.argmax(row)), 1]
    plain, dx = loss_of(logits, label, backend)
    for weights in ([1, 1, 1], {}, {0: 7, 1: 7, 2: 7}):
        weighted, weighted_dx = loss_of(logits, label, backend, class_weights=weights)
        assert np.isfinite(weighted)
        np.testing.assert_allclose(weighted, plain, rtol=2e-3)
        np.testing.assert_allclose(weighted_dx, dx, rtol=2e-3, atol=1e-6)


@every_backend
def test_a_label_that_is_ruled_out_costs_infinitely_much(backend: str) -> None:
    value, _ = loss_of(np.array([[0.0, -np.inf]]), [1], backend, class_weights=[1, 2])
    assert value == np.inf


@every_backend
@every_dtype
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_batch_whose_weights_are_all_0_counts_nothing(
    smoothing: float, dtype: type, backend: str
) -> None:
    value, dx = loss_of(
        LOGITS.astype(dtype), [1, 1, 1], backend, class_weights=[1, 0, 2], label_smoothing=smoothing
    )
    assert value == 0
    assert (dx == 0).all()
    assert value.dtype == dx.dtype == dtype


@every_backend
def test_a_dictionary_has_the_weights_that_are_not_1(backend: str) -> None:
    listed = loss_of(LOGITS, [0, 1, 2], backend, class_weights=[1.0, 2.5, 1.0])
    told = loss_of(LOGITS, [0, 1, 2], backend, class_weights={np.int64(1): 2.5})
    assert listed[0] == told[0]
    assert np.array_equal(listed[1], told[1])


@pytest.mark.breadth("dtype", "backend")
@every_backend
@every_dtype
@pytest.mark.parametrize("unit", [1e-300, 1e-3, 1e5, 1e300])
def test_the_unit_of_the_weights_does_not_matter(unit: float, dtype: type, backend: str) -> None:
    logits, weights = LOGITS.astype(dtype), np.array([1.0, 3.0, 0.5])
    value, dx = loss_of(logits, [0, 1, 2], backend, class_weights=weights)
    scaled, scaled_dx = loss_of(logits, [0, 1, 2], backend, class_weights=weights * unit)
    np.testing.assert_allclose(scaled, value, rtol=2e-3 if dtype is np.float16 else 1e-6)
    np.testing.assert_allclose(scaled_dx, dx, rtol=2e-3, atol=1e-6)


def test_training_goes_on_over_batches_that_count_nothing() -> None:
    W = mf.Parameter(np.zeros((3, 3)), "W")
    loss = mf.CrossEntropyWithSoftmax(x @ W, y, class_weights=[0, 1, 1])
    data = {x: np.repeat(LOGITS, 4, 0), y: np.repeat([0, 1, 2], 4)}
    history = mf.fit(loss, data, mf.SGD(0.1), batch_size=1, epochs=2, progress="none")
    assert len(history) == 2
    assert np.isfinite(W.value).all()
