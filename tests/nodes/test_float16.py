"""float16 is stored as float16 and computed in float32: counts, sums and squares may be larger than
a float16, and what is stored is rounded once.
"""

from typing import Any

import numpy as np
import pytest
from every_backend import every_backend

import miniflow as mf
from miniflow.graph import Op

MANY = 70_000  # more than a float16


def value_and_gradients(node: mf.Node, feed: Any, wrt: Any, backend: str) -> tuple[Any, list[Any]]:
    if backend == "interpreter":
        return mf.value_and_grad(node, feed, wrt)
    return mf.compile(node, wrt, backend=backend)(feed)


LABELS = np.zeros(MANY, int)
COUNTING = {
    "Mean": (mf.Mean, np.full(MANY, 2.0), 2, 1 / MANY),
    "Mean over an axis": (lambda x: mf.Mean(x, axis=0), np.full((MANY, 2), 2.0), 2, 1 / MANY),
    "MSE": (lambda x: mf.MSE(x, LABELS), np.full(MANY, 2.0), 4, 4 / MANY),
    "BCE": (
        lambda x: mf.BinaryCrossEntropy(x, LABELS),
        np.zeros(MANY),
        np.log(2),
        0.5 / MANY,
    ),
    "Max": (mf.Max, np.full(MANY, 2.0), 2, 1 / MANY),
    "cross entropy": (
        lambda x: mf.CrossEntropyWithSoftmax(x, LABELS),
        np.zeros((MANY, 2)),
        np.log(2),
        0.5 / MANY * np.array([-1, 1]),
    ),
    "cross entropy, smoothed": (
        lambda x: mf.CrossEntropyWithSoftmax(x, LABELS, label_smoothing=0.5),
        np.zeros((MANY, 2)),
        np.log(2),
        0.25 / MANY * np.array([-1, 1]),
    ),
    "cross entropy, weighted": (
        lambda x: mf.CrossEntropyWithSoftmax(x, LABELS, class_weights=[1000, 1]),
        np.zeros((MANY, 2)),
        np.log(2),
        0.5 / MANY * np.array([-1, 1]),
    ),
    "Softmax": (mf.Softmax, np.zeros(MANY), 1 / MANY, 0),
    "LogSoftmax": (mf.LogSoftmax, np.zeros(MANY), -np.log(MANY), 0),
    "AveragePool": (
        lambda x: mf.AveragePool(x, 16),
        np.full((1, 16, 16, 1), 2000.0),
        2000,
        1 / 256,
    ),
}


@pytest.mark.breadth("backend")
@every_backend
@pytest.mark.parametrize("name", COUNTING)
def test_counts_and_sums_may_be_larger_than_a_float16(name: str, backend: str) -> None:
    build, fed, value, slope = COUNTING[name]
    x = mf.Input("x")
    ours, [dx] = value_and_gradients(build(x), {x: fed.astype(np.float16)}, [x], backend)
    assert np.asarray(ours).dtype == dx.dtype == np.float16
    assert np.allclose(np.asarray(ours, float), value, rtol=2e-3)
    assert np.allclose(dx.astype(float), slope, rtol=1e-2, atol=1e-6)


ROWS = 5000  # ones that float16 adds up to 2048 and no further
ONES = np.ones((ROWS, 2), np.float16)
ADDING_UP = {
    "Add": lambda w: ONES + w,
    "Mul": lambda w: ONES * w,
    "Linear": lambda w: mf.Linear(ONES, np.eye(2, dtype=np.float16), w),
    "Gather": lambda w: mf.Gather(w, np.zeros(ROWS, int)),
    "GetItem": lambda w: w[np.zeros(ROWS, int)],
    "Where": lambda w: mf.Where(ONES > 0, w, 0.0),
    "Conv2D": lambda w: mf.Conv2D(
        ONES.reshape(1, ROWS, 2, 1), np.ones((1, 1, 1, 2), np.float16), w
    ),
    "LayerNorm": lambda w: mf.LayerNorm(ONES, np.zeros(2, np.float16), w),
    "BatchNorm": lambda w: mf.BatchNorm(
        ONES, np.zeros(2, np.float16), w, *[mf.State(np.ones(2))] * 2, -1
    ),
}


@pytest.mark.breadth("backend")
@every_backend
@pytest.mark.parametrize("name", ADDING_UP)
def test_gradients_of_many_rows_are_added_up_in_float32(name: str, backend: str) -> None:
    w = mf.Input("w")
    node = ADDING_UP[name](w)
    _, [dw] = value_and_gradients(node, {w: np.ones(2, np.float16)}, [w], backend)
    assert dw.dtype == np.float16
    assert np.isclose(float(np.max(dw)), {"Conv2D": 2 * ROWS}.get(name, ROWS), rtol=1e-3)


@every_backend
def test_a_sum_over_rows_is_computed_in_float32(backend: str) -> None:
    x = mf.Input("x")
    assert value_and_gradients(mf.Sum(x, axis=0), {x: ONES}, [x], backend)[0].tolist() == [5000] * 2


@every_backend
def test_beside_float32_it_is_float32_and_beside_numbers_it_stays_float16(backend: str) -> None:
    x, y = mf.Input("x"), mf.Input("y")
    half, single = np.full(3, 250, np.float16), np.full(3, 250, np.float32)
    for fed, dtype in ((half / 2, np.float16), (single, np.float32), (1.0, np.float16)):
        value, [dx, _] = value_and_gradients(x * y, {x: half, y: fed}, [x, y], backend)
        assert value.dtype == dtype
        assert dx.dtype == dtype
    norm = mf.LayerNorm(x, np.ones(2, np.float32), np.zeros(2, np.float32))
    value, [dx] = value_and_gradients(norm, {x: np.float16([[300, -300]])}, [x], backend)
    assert np.allclose(value, [[1, -1]])
    assert dx.dtype == np.float32


@every_backend
def test_a_node_of_ones_own_is_handed_what_was_fed(backend: str) -> None:
    class Twice(Op):
        def compute(self, x: Any) -> Any:
            assert x.dtype == np.float16
            return x + x

        def gradient(self, grad: Any, x: Any) -> Any:
            return (grad + grad,)

    x = mf.Input("x")
    value, [dx] = value_and_gradients(Twice(x), {x: np.ones(2, np.float16)}, [x], backend)
    assert value.tolist() == dx.tolist() == [2, 2]


@every_backend
def test_a_node_that_saw_float16_once_keeps_float64_afterwards(backend: str) -> None:
    x = mf.Input("x")
    node = mf.Exp(x)
    value_and_gradients(node, {x: np.ones(2, np.float16)}, [x], backend)
    value, [dx] = value_and_gradients(node, {x: np.full(2, 1.1)}, [x], backend)
    assert value.dtype == dx.dtype == np.float64
    assert np.array_equal(value, np.exp(np.full(2, 1.1))) or backend == "native"
