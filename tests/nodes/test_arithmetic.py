"""Arithmetic where NumPy has an edge: integers, zeros, negative bases, dtypes of numbers."""

import numpy as np
import pytest

import miniflow as mf


def gradients(node: mf.Node, feed: dict, *wrt: mf.Node) -> list:
    return mf.value_and_grad(node, feed, wrt)[1]


@pytest.mark.parametrize("node", [mf.Add, mf.Sub, mf.Mul, mf.Div, mf.Pow])
def test_python_numbers_give_python_numbers(node: type) -> None:
    x, y = mf.Input(), mf.Input()
    value, (dx, dy) = mf.value_and_grad(node(x, y), {x: 3.0, y: 2.0}, [x, y])
    assert type(value) is float
    assert isinstance(dx, float)
    assert isinstance(dy, float)


@pytest.mark.parametrize("node", [mf.Add, mf.Sub, mf.Mul, mf.Div])
def test_number_does_not_widen_float32(node: type) -> None:
    x = mf.Input()
    value, [dx] = mf.value_and_grad(node(x, 2.5), {x: np.ones(3, np.float32)}, [x])
    assert value.dtype == dx.dtype == np.float32


def test_pow_with_a_number_for_exponent_keeps_float32() -> None:
    x = mf.Input()
    for exponent in (2, 0.5, -1, 0):
        value, [dx] = mf.value_and_grad(x**exponent, {x: np.ones(3, np.float32)}, [x])
        assert value.dtype == dx.dtype == np.float32


def test_pow_of_negative_bases_with_whole_exponents() -> None:
    x = mf.Input()
    feed = {x: np.array([-2.0, -0.5, 3.0])}
    for exponent, expected in ((2, 2 * feed[x]), (3, 3 * feed[x] ** 2), (-1, -1 / feed[x] ** 2)):
        [dx] = gradients(x**exponent, feed, x)
        assert np.allclose(dx, expected)


def test_pow_at_zero() -> None:
    x = mf.Input()
    for exponent, expected in ((0, 0.0), (1, 1.0), (2, 0.0), (3.5, 0.0)):
        assert gradients(x**exponent, {x: 0.0}, x) == [expected]


def test_pow_with_respect_to_the_exponent_is_zero_where_the_base_is_not_positive() -> None:
    x, y = mf.Input(), mf.Input()
    feed = {x: np.array([2.0, 0.0, -3.0]), y: np.array([3.0, 2.0, 2.0])}
    [dy] = gradients(x**y, feed, y)
    assert np.allclose(dy, [8.0 * np.log(2.0), 0.0, 0.0])


def test_pow_of_integers() -> None:
    x, y = mf.Input(), mf.Input()
    feed = {x: np.array([2, 3]), y: np.array([3, 0])}
    value, (dx, dy) = mf.value_and_grad(x**y, feed, [x, y])
    assert np.array_equal(value, [8, 1])
    assert np.allclose(dx, [12.0, 0.0])
    assert np.allclose(dy, [8 * np.log(2), np.log(3)])


@pytest.mark.parametrize("node", [mf.Exp, mf.Log, mf.Sqrt, mf.Tanh, mf.Sigmoid, mf.GELU])
def test_functions_of_small_integers_are_computed_in_float64(node: type) -> None:
    """NumPy's own np.exp of int8 is float16, in which e^12 is infinite."""
    x = mf.Input()
    for dtype in (np.int8, np.uint8, np.int64):
        value, [dx] = mf.value_and_grad(node(x), {x: np.array([1, 4], dtype)}, [x])
        expected = mf.value(node(x), {x: np.array([1.0, 4.0])})
        assert value.dtype == dx.dtype == np.float64
        assert np.array_equal(value, expected)


def test_gradient_of_unsigned_integers_can_be_negative() -> None:
    x, y = mf.Input(), mf.Input()
    feed = {x: np.array([1, 2], np.uint8), y: np.array([3, 5], np.uint8)}
    [dx, dy] = gradients(mf.Sub(x, y), feed, x, y)
    assert np.array_equal(dx, [1.0, 1.0])
    assert np.array_equal(dy, [-1.0, -1.0])


def test_division_keeps_numpys_infinities() -> None:
    x = mf.Input()
    with np.errstate(divide="ignore"):
        assert np.array_equal(mf.value(1.0 / x, {x: np.array([0.0, 2.0])}), [np.inf, 0.5])
