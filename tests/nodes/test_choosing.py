"""Nodes that choose between values choose between gradients: what was not taken counts nothing,
even where its own gradient is infinite.
"""

from typing import Any

import numpy as np
import pytest
from every_backend import every_backend, every_dtype

import miniflow as mf


def value_and_gradients(node: mf.Node, feed: Any, wrt: Any, backend: str) -> tuple[Any, list[Any]]:
    """Both by one backend; the slope of a root at 0 is infinite, and no warning."""
    with np.errstate(divide="ignore"):
        if backend == "interpreter":
            return mf.value_and_grad(node, feed, wrt)
        return mf.compile(node, wrt, backend=backend)(feed)


def dropped_at(seed: int, count: int) -> Any:
    s = mf.Seed()
    return np.asarray(mf.value(mf.Dropout(np.ones(count), s), {s: seed})) == 0


CHOOSING = {
    "ReLU": (mf.ReLU, [-1.0, 4.0, 0.0], [0, 0.25, 0]),
    "LeakyReLU": (lambda x: mf.LeakyReLU(x, slope=0), [-1.0, 4.0, -np.inf], [0, 0.25, 0]),
    "Where": (
        lambda x: mf.Where(np.array([True, False, False]), x, 0.0),
        [4.0, 1, 2],
        [0.25, 0, 0],
    ),
    "Max": (
        lambda x: mf.Max(mf.Concat(x, np.zeros((1, 3)), axis=0), axis=0),
        [[-1.0, 4.0, -3.0]],
        [[0, 0.25, 0]],
    ),
}
ROOTS = {
    "Sqrt": mf.Sqrt,
    "Pow": lambda x: x**0.5,
    "Log1p by hand": lambda x: mf.Log(1.0 + mf.Sqrt(x)) * 2.0,
}


@pytest.mark.breadth("dtype", "backend")
@every_backend
@every_dtype
@pytest.mark.parametrize("root", ["Sqrt", "Pow"])
@pytest.mark.parametrize("name", CHOOSING)
def test_the_infinite_slope_of_a_root_is_not_multiplied_by_0(
    name: str, root: str, dtype: type, backend: str
) -> None:
    x = mf.Input("x")
    choose, fed, slopes = CHOOSING[name]
    output = mf.Sum(ROOTS[root](choose(x)))
    _, [dx] = value_and_gradients(output, {x: np.array(fed, dtype)}, [x], backend)
    assert np.array_equal(dx, np.array(slopes))


@every_backend
@every_dtype
def test_a_dropped_entry_has_no_gradient_whatever_is_behind_it(dtype: type, backend: str) -> None:
    x, seed = mf.Input("x"), mf.Seed()
    fed, gone = np.full(8, 2.0, dtype), dropped_at(1, 8)
    fed[np.flatnonzero(gone)[0]] = np.inf
    output = mf.Sqrt(mf.Dropout(x, seed))
    value, [dx] = value_and_gradients(output, {x: fed, seed: 1}, [x], backend)
    assert gone.any()
    assert np.array_equal(value, np.where(gone, 0, 2))
    assert np.array_equal(dx, np.where(gone, 0, 0.5))


@every_backend
def test_power_with_respect_to_its_exponent_is_0_where_the_base_is_not_positive(backend) -> None:
    a, b = mf.Input("a"), mf.Input("b")
    feed = {a: np.array([0.0, 0.0, -2.0, 2.0]), b: np.array([-1.0, 0.0, -1.0, 1.0])}
    _, [db] = value_and_gradients(a**b, feed, [b], backend)
    assert np.allclose(db, [0, 0, 0, 2 * np.log(2)])


@every_backend
def test_a_safe_where_is_right_in_both_branches(backend: str) -> None:
    x, v = mf.Input("x"), np.array([1.0, 4.0, -4.0])
    safe = mf.Where(v >= 0, x, mf.Sqrt(mf.Where(v >= 0, 1.0, -x)))
    value, [dx] = value_and_gradients(mf.Sum(safe), {x: v}, [x], backend)
    assert value == 7.0
    assert np.array_equal(dx, [1, 1, -0.25])


@every_backend
@every_dtype
def test_a_certainty_that_is_right_costs_nothing(dtype: type, backend: str) -> None:
    z, y = mf.Input("z"), mf.Input("y")
    feed = {z: np.array([np.inf, -np.inf, 0.0], dtype), y: np.array([1, 0, 1])}
    value, [dz] = value_and_gradients(mf.BinaryCrossEntropy(z, y), feed, [z], backend)
    assert np.allclose(value, np.log(2) / 3, rtol=1e-3)
    assert np.allclose(dz, [0, 0, -0.5 / 3], rtol=1e-3)


# --- MaxPool


@pytest.mark.breadth("dtype", "backend")
@every_backend
@every_dtype
@pytest.mark.parametrize("padding", [0, "same", 1])
def test_a_nan_is_the_largest_of_its_window(padding: Any, dtype: type, backend: str) -> None:
    x = mf.Input("x")
    fed = np.arange(16, dtype=dtype).reshape(1, 4, 4, 1)
    fed[0, 0, 1, 0] = np.nan
    pool = mf.MaxPool(x, 2, padding=padding)
    value, [dx] = value_and_gradients(pool, {x: fed}, [x], backend)
    assert np.isnan(value).sum() == 1
    assert dx[0, 0, 1, 0] == 1
    assert dx.sum() == value.size


@pytest.mark.breadth("dtype", "backend")
@every_backend
@every_dtype
@pytest.mark.parametrize("padding", [0, "same", 1])
def test_the_border_never_wins_against_an_image_of_minus_infinity(
    padding: Any, dtype: type, backend: str
) -> None:
    x = mf.Input("x")
    fed = np.full((2, 3, 3, 2), -np.inf, dtype)
    value, [dx] = value_and_gradients(mf.MaxPool(x, 2, padding=padding), {x: fed}, [x], backend)
    assert (value == -np.inf).all()
    assert dx.sum() == value.size
