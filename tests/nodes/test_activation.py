"""Activations at the ends of their range, and where their definitions leave a choice."""

import math

import numpy as np
import pytest

import miniflow as mf
from miniflow.nodes.activation import sigmoid, softmax


def value_and_slope(node: type, fed, **options) -> tuple:
    x = mf.Input()
    value, [dx] = mf.value_and_grad(node(x, **options), {x: fed}, [x])
    return value, dx


EXTREMES = np.array([-1e4, -800.0, -50.0, 0.0, 50.0, 800.0, 1e4])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    "node", [mf.Sigmoid, mf.Tanh, mf.ReLU, mf.LeakyReLU, mf.Softmax, mf.LogSoftmax]
)
def test_extreme_inputs_give_finite_values_and_gradients_without_a_warning(node, dtype) -> None:
    value, dx = value_and_slope(node, EXTREMES.astype(dtype))
    assert np.isfinite(value).all()
    assert np.isfinite(dx).all()


def test_gelu_is_finite_where_its_cube_is() -> None:
    value, dx = value_and_slope(mf.GELU, EXTREMES)
    assert np.isfinite(value).all()
    assert np.isfinite(dx).all()


def test_sigmoid_is_accurate_on_both_sides() -> None:
    assert np.array_equal(sigmoid(np.array([-1e4, 0.0, 1e4])), [0.0, 0.5, 1.0])
    for x in (-700.0, -30.0, -1.0, 1.0, 30.0):
        expected = 1 / (1 + math.exp(-x)) if x > 0 else math.exp(x) / (1 + math.exp(x))
        assert sigmoid(x) == pytest.approx(expected, rel=1e-14)


def test_slope_of_relu_at_zero_is_zero() -> None:
    value, dx = value_and_slope(mf.ReLU, np.array([-1.0, 0.0, 2.0]))
    assert np.array_equal(value, [0.0, 0.0, 2.0])
    assert np.array_equal(dx, [0.0, 0.0, 1.0])


def test_leaky_relu_scales_what_is_not_positive() -> None:
    value, dx = value_and_slope(mf.LeakyReLU, np.array([-2.0, 3.0]), slope=0.25)
    assert np.array_equal(value, [-0.5, 3.0])
    assert np.array_equal(dx, [0.25, 1.0])


def test_leaky_relu_keeps_numbers_and_float32() -> None:
    value, dx = value_and_slope(mf.LeakyReLU, 2.0)
    assert not isinstance(value, np.ndarray)
    assert not isinstance(dx, np.ndarray)
    value, dx = value_and_slope(mf.LeakyReLU, np.ones(2, np.float32), slope=np.float64(0.1))
    assert value.dtype == dx.dtype == np.float32


def test_gelu_agrees_with_the_error_function_to_half_a_thousandth() -> None:
    x = np.linspace(-5, 5, 101)
    exact = [a / 2 * (1 + math.erf(a / math.sqrt(2))) for a in x]
    assert np.max(np.abs(mf.value(mf.GELU(x)) - exact)) < 5e-4


def test_softmax_adds_up_to_one_along_its_axis() -> None:
    x = np.random.default_rng(0).normal(size=(3, 4, 5)) * 100
    for axis in (0, 1, 2, -1, -3):
        assert np.allclose(mf.value(mf.Softmax(x, axis=axis)).sum(axis=axis), 1.0)
        assert np.allclose(np.exp(mf.value(mf.LogSoftmax(x, axis=axis))).sum(axis=axis), 1.0)


def test_softmax_of_unsigned_integers_does_not_wrap_round() -> None:
    pixels = np.array([0, 255, 254], np.uint8)
    expected = softmax(pixels.astype(float))
    assert np.allclose(softmax(pixels), expected)
    assert np.allclose(mf.value(mf.Softmax(pixels)), expected)
    assert np.array_equal(mf.value(mf.LogSoftmax(pixels)), mf.value(mf.LogSoftmax(pixels * 1.0)))


def test_softmax_is_unmoved_by_a_shift() -> None:
    x = np.array([0.5, 1.0, -2.0])
    assert np.allclose(softmax(x), softmax(x + 1e6))


def test_gradient_of_softmax_along_its_axis_cancels_out() -> None:
    value, dx = value_and_slope(mf.Softmax, np.array([[0.3, -1.0, 2.0]]))
    assert np.allclose(value.sum(), 1.0)
    assert np.allclose(dx, 0.0)
