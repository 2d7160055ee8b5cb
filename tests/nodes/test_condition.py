"""Conditions: NumPy's comparisons and logic, on every kind of number and by every backend."""

import operator
from typing import Any

import numpy as np
import pytest

import miniflow as mf
from miniflow.backends import COMPARE, RUN, names

TWO: dict[type, Any] = {
    mf.Less: np.less,
    mf.LessEqual: np.less_equal,
    mf.Greater: np.greater,
    mf.GreaterEqual: np.greater_equal,
    mf.Equal: np.equal,
    mf.NotEqual: np.not_equal,
    mf.And: np.logical_and,
    mf.Or: np.logical_or,
}
DTYPES = [np.float16, np.float32, np.float64, np.int8, np.int64, np.uint8, np.uint64, np.bool_]
SIGNED = [-2.0, 0.0, 1.0, 2.0, 2.0, 0.0]
OTHERS = [1.0, 0.0, 1.0, -1.0, 2.0, 2.0]

every_backend = pytest.mark.parametrize("backend", ["interpreter", *names(RUN, COMPARE)])


def run(node: mf.Node, feed: dict[mf.Node, Any], wrt: Any, backend: str) -> tuple[Any, list[Any]]:
    if backend == "interpreter":
        return mf.value_and_grad(node, feed, wrt)
    result: tuple[Any, list[Any]] = mf.compile(node, wrt, backend=backend)(feed)
    return result


def numbers(entries: list[float], dtype: Any) -> Any:
    return (
        np.abs(entries).astype(dtype) if np.dtype(dtype).kind in "ub" else np.array(entries, dtype)
    )


@pytest.mark.breadth("dtype")
@every_backend
@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.__name__)
def test_value_is_numpys_and_the_gradients_are_zero(dtype: Any, backend: str) -> None:
    x, y = mf.Input("x"), mf.Input("y")
    a, b = numbers(SIGNED, dtype), numbers(OTHERS, dtype)
    for node, function in TWO.items():
        value, gradients = run(node(x, y), {x: a, y: b}, [x, y], backend)
        assert value.dtype == np.bool_
        assert np.array_equal(value, function(a, b)), node
        for gradient in gradients:
            assert gradient.dtype == (a.dtype if a.dtype.kind == "f" else np.float64)
            assert np.array_equal(gradient, np.zeros(6))
    value, _ = run(mf.Not(x), {x: a}, [x], backend)
    assert np.array_equal(value, np.logical_not(a))


@pytest.mark.breadth("backend")
@every_backend
def test_numbers_that_mix_are_compared_as_numpy_does(backend: str) -> None:
    x, y = mf.Input("x"), mf.Input("y")
    for a in DTYPES:
        for b in DTYPES:
            feed = {x: numbers(SIGNED, a), y: numbers(OTHERS, b)}
            value, _ = run(mf.Less(x, y), feed, [x], backend)
            assert np.array_equal(value, feed[x] < feed[y]), (a, b)


@every_backend
def test_nan_and_infinities_compare_as_ieee_has_it(backend: str) -> None:
    x, y = mf.Input("x"), mf.Input("y")
    entries = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 5e-324])
    feed = {x: entries[:, None], y: entries}
    for node, function in TWO.items():
        value, _ = run(node(x, y), feed, [x], backend)
        assert np.array_equal(value, function(feed[x], feed[y])), node


@pytest.mark.breadth("backend")
@every_backend
@pytest.mark.parametrize(
    "threshold", [0, 0.5, np.float32(0.5), np.array([[0.5], [-1.0]])], ids=repr
)
def test_operators_build_conditions_with_numbers_and_arrays(threshold: Any, backend: str) -> None:
    x, a = mf.Input("x"), np.float32([-2.0, 0.0, 0.5, 3.0])
    for apply in (operator.lt, operator.le, operator.gt, operator.ge):
        for node, expected in (
            (apply(x, threshold), apply(a, threshold)),
            (apply(threshold, x), apply(threshold, a)),
        ):
            value, _ = run(node, {x: a}, [x], backend)
            assert np.array_equal(value, expected)


@every_backend
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_where_chooses_by_a_condition_of_the_graph(dtype: Any, backend: str) -> None:
    x = mf.Input("x")
    leaky = mf.Sum(mf.Where(x > 0, x, 0.1 * x) * mf.Where(mf.Equal(x, 2.0), dtype(10), dtype(1)))
    value, [dx] = run(leaky, {x: np.array([2.0, -2.0, 0.0, 3.0], dtype)}, [x], backend)
    np.testing.assert_allclose(value, 22.8, rtol=1e-6)
    np.testing.assert_allclose(dx, [10.0, 0.1, 0.1, 1.0], rtol=1e-6)
    assert dx.dtype == dtype


@every_backend
def test_conditions_are_counted_and_combined(backend: str) -> None:
    x, w = mf.Input("x"), mf.Input("w")
    inside = mf.And(x > 0, x < 1, mf.Not(mf.Equal(x, 0.5)))
    share = mf.Mean(mf.Or(inside, w < 0) * w)
    feed = {x: np.array([-1.0, 0.25, 0.5, 0.75]), w: np.array([4.0, 8.0, 4.0, -4.0])}
    value, [dw] = run(share, feed, [w], backend)
    assert value == 1.0
    assert np.array_equal(dw, [0.0, 0.25, 0.0, 0.25])


@every_backend
def test_python_numbers_compare_as_python_numbers(backend: str) -> None:
    x, y = mf.Input("x"), mf.Input("y")
    value, [dx] = run(x > y, {x: 3, y: 2.5}, [x], backend)
    assert value is True
    assert dx == 0.0


def test_conditions_pass_check_gradients_away_from_their_jumps() -> None:
    x, y = mf.Input("x"), mf.Input("y")
    feed = {x: np.array([1.0, -1.0]), y: np.array([2.0, -3.0])}
    mf.check_gradients(mf.Sum(mf.Where(mf.And(x < y, y > 0), x * y, x - y)), feed)


def test_graph_with_conditions_is_saved_loaded_and_drawn(tmp_path: Any) -> None:
    x, w = mf.Input("x"), mf.Parameter(np.array([1.0, -2.0]), "w")
    node = mf.Where(mf.Or(x > w, mf.Equal(x, 0.0)), x * w, mf.Not(x < 1) * 3.0)
    rows = np.array([[2.0, 3.0], [0.0, 0.0], [-1.0, -5.0]])
    mf.save(node, tmp_path / "m.safetensors", inputs={x: rows})
    assert np.array_equal(mf.load(tmp_path / "m.safetensors")(rows), mf.value(node, {x: rows}))
    assert "Where(Or, " in str(mf.draw(node))
