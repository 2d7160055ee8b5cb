"""check_gradients raises no false alarm: built-in nodes in every dtype; kinks, ties, jumps and the
ends of domains, which are told; numbers that rounding hides. And its cost is bounded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import miniflow as mf
from miniflow.errors import GradientError

DTYPES = [np.float64, np.float32, np.float16]


def remarks(report: Any) -> list[str]:
    return [edge.remark for edge in report.edges if edge.remark]


# --- A network


def test_network_of_floats_of_each_kind_passes() -> None:
    rng = np.random.default_rng(0)
    for dtype in DTYPES:
        X, y = mf.Input("X"), mf.Input("y")
        W = mf.Parameter(rng.normal(size=(3, 3, 1, 2)).astype(dtype), "W")
        V = mf.Parameter(rng.normal(size=(18, 4)).astype(dtype), "V")
        hidden = mf.MaxPool(mf.ReLU(mf.Conv2D(X, W)))
        loss = mf.CrossEntropyWithSoftmax(mf.Flatten(hidden) @ V, y)
        images = np.maximum(rng.normal(size=(3, 8, 8, 1)), 0).astype(dtype)  # half of it is 0
        mf.check_gradients(loss, {X: images, y: np.array([0, 1, 3])})


# --- Exponents and constants


@pytest.mark.parametrize("exponent", [2.0, 3.0, -1.0, 2, -2, 4.0])
@pytest.mark.parametrize("x", [1.0, -2.0, np.array([1.0, -2.0, 5.0]), np.float32([[-1.0], [2.0]])])
def test_constant_exponent_of_a_negative_base_is_not_judged(exponent: float, x: Any) -> None:
    node = mf.Input("x")
    report = mf.check_gradients((node - 3.0) ** exponent, {node: x})
    assert [edge.source.label for edge in report.edges] == ["Input 'x'", "Sub"]
    assert remarks(report) == []


def test_mean_of_squares_written_by_hand_passes() -> None:
    rng = np.random.default_rng(0)
    X, y, W = mf.Input("X"), mf.Input("y"), mf.Parameter(rng.normal(size=(3, 1)), "W")
    loss = mf.Mean((X @ W - y) ** 2.0)
    mf.check_gradients(loss, {X: rng.normal(size=(5, 3)), y: rng.normal(size=(5, 1))})


def test_constant_that_is_asked_for_is_judged() -> None:
    x, c = mf.Input("x"), mf.Constant(2.0, "c")
    report = mf.check_gradients(x**c, {x: 3.0}, [c])
    assert [edge.source for edge in report.edges] == [c]
    assert report.edges[0].analytic == pytest.approx(9 * np.log(3))
    with pytest.raises(GradientError, match=r"\(a constant is checked if wrt names it\)\.$"):
        mf.check_gradients(mf.Exp(c))


def test_exponent_that_is_fed_has_no_derivative_where_the_base_is_negative() -> None:
    x, y = mf.Input("x"), mf.Input("y")
    report = mf.check_gradients(x**y, {x: np.array([-2.0, 3.0]), y: np.array([2.0, 2.0])})
    told = [edge for edge in report.edges if edge.source is y]
    assert "not differentiable at index (0,) (there or close by, the value is not" in str(told[0])


@pytest.mark.parametrize("exponent", [3.0, 2.0, 1.0, 4.0])
def test_power_at_zero_passes(exponent: float) -> None:
    x = mf.Input("x")
    for value in (0.0, np.zeros(3), np.array([0.0, 1.0, -2.0])):
        assert remarks(mf.check_gradients(x**exponent, {x: value})) == []


# --- No derivative


class Sorted(mf.Op):
    def compute(self, x):
        self.order = np.argsort(x, kind="stable")
        return x[self.order]

    def gradient(self, grad, x):
        gradient = np.zeros_like(x)
        gradient[self.order] = grad
        return (gradient,)


class Of(mf.Op):
    """A function and its derivative, given as functions."""

    def __init__(self, x, f, slope):
        mf.Op.__init__(self, x)
        self.f, self.slope = f, slope

    def compute(self, x):
        return self.f(x)

    def gradient(self, grad, x):
        return (grad * self.slope(x),)


def of(f: Callable[[Any], Any], slope: Callable[[Any], Any]) -> Callable[[mf.Node], mf.Node]:
    return lambda x: Of(x, f, slope)


KINKS: dict[str, tuple[Callable[[mf.Node], mf.Node], Any, str]] = {
    "ReLU": (mf.ReLU, [0.0, 1.0], "a kink or a tie: the slope is 0 on one side and 1"),
    "ReLU of a number": (mf.ReLU, 0.0, "a kink or a tie: the slope is 0 on one side and 1"),
    "ReLU, summed": (lambda x: mf.Sum(mf.ReLU(x)), [0.0, 1.0], "a kink or a tie"),
    "LeakyReLU": (mf.LeakyReLU, [0.0, -1.0], "the slope is 0.01 on one side and 1 on the other"),
    "Max": (mf.Max, [2.0, 2.0, 1.0], "a kink or a tie: the slope is 0 on one side and 1"),
    "Max, a billionth apart": (mf.Max, [2.0, 2.0 + 1e-9, 1.0], "a kink or a tie"),
    "Max of zeros": (mf.Max, np.zeros(5), "a kink or a tie"),
    "MaxPool": (mf.MaxPool, np.zeros((1, 4, 4, 1)), "a kink or a tie"),
    "two ReLUs": (lambda x: mf.ReLU(x) + mf.ReLU(-x), [0.0, 1.0], "a kink or a tie"),
    "size": (of(np.abs, np.sign), [0.0, -1.0, 2.0], "the slope is -1 on one side and 1"),
    "sorted": (Sorted, [0.5, 0.5, -1.0, 2.0], "a kink or a tie"),
    "larger of two": (lambda x: mf.Where(x > 1.0, x * 2.0, x), [1.0, 3.0], ""),
    "threshold": (of(lambda x: (x > 1) * x, lambda x: (x > 1) * 1.0), [1.0, 3.0], "a jump"),
    "rounded": (of(np.round, lambda x: 0 * x), [0.5, 0.2, 1.5], "a jump"),
    "floor": (of(np.floor, lambda x: 0 * x), [2.0, 0.2, 1.5], "a jump"),
    "sign": (of(np.sign, lambda x: 0 * x), [0.0, 0.2, -1.5], "a jump, or an infinite slope"),
    "cube root": (of(np.cbrt, lambda x: np.cbrt(x) ** -2 / 3), [0.0, 1.0], "an infinite slope"),
    "Sqrt": (mf.Sqrt, [0.0, 1.0], "there or close by, the value is not finite"),
    "Sqrt of negative numbers": (mf.Sqrt, [-1.0, 1.0], "the value is not finite"),
    "Log": (mf.Log, [0.0, 1.0], "there or close by, the value is not finite"),
    "one over": (lambda x: x**-1.0, 0.0, "there or close by, the value is not finite"),
    "root of a number": (lambda x: x**0.5, 0.0, "there or close by, the value is not finite"),
    "length of nothing": (
        of(lambda x: np.sqrt(np.sum(x * x)), lambda x: x / np.sqrt(np.sum(x * x))),
        np.zeros(3),
        "a kink or a tie: the slope is -1 on one side and 1 on the other",
    ),
    "hinge": (
        of(lambda x: np.mean(np.maximum(0, 1 - x)), lambda x: -1.0 * (x < 1) / x.size),
        [1.0, 0.5, 2.0, 1.0],
        "the slope is -0.25 on one side and 0 on the other",
    ),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", KINKS)
def test_point_without_a_derivative_is_told_and_not_called_wrong(name: str, dtype: type) -> None:
    build, value, told = KINKS[name]
    x = mf.Input("x")
    if "billionth" in name and dtype is not np.float64:
        pytest.skip("two numbers that are the same in this dtype")
    report = mf.check_gradients(build(x), {x: np.asarray(value).astype(dtype)[()]})
    assert all(edge.passed for edge in report.edges)
    assert told in str(report)
    if told:
        assert "; not differentiable" in str(report)
        judged = "; not judged." if "negative" in name else "; judged beside it."
        assert judged in str(report)


@pytest.mark.parametrize("size", [50, 3000])
@pytest.mark.parametrize("name", ["ReLU", "Max", "size", "sorted", "rounded", "hinge", "Sqrt"])
def test_many_such_points_among_others_are_no_false_alarm(name: str, size: int) -> None:
    build = KINKS[name][0]
    x = mf.Input("x")
    halves = np.random.default_rng(0).integers(0 if name == "Sqrt" else -3, 4, size) / 2
    report = mf.check_gradients(build(x), {x: halves})
    assert "; not differentiable at index (" in str(report)
    assert str(report).endswith("; judged beside it.")


@pytest.mark.parametrize(
    ("build", "value"),
    [
        (of(lambda x: np.maximum(x, 0), lambda x: 2.0 * (x > 0)), 0.0),
        (of(lambda x: np.maximum(x, 0), lambda x: 2.0 * (x > 0)), np.zeros((3, 2))),
        (of(np.abs, lambda x: 0 * x), np.zeros(400)),
        (of(np.max, lambda x: 2.0 * (x == np.max(x))), np.ones(5)),
        (of(np.sqrt, lambda x: 1.0 / np.sqrt(x)), 0.0),
        (of(np.round, lambda x: x), np.array([0.5, 1.5])),
    ],
)
def test_wrong_backward_is_caught_although_there_is_no_derivative(build, value) -> None:
    x = mf.Input("x")
    with pytest.raises(GradientError, match=r"by central differences beside this point"):
        mf.check_gradients(build(x), {x: value})


def test_branch_that_is_not_taken_is_no_false_alarm() -> None:
    x, values = mf.Input("x"), np.array([1.0, 4.0, -4.0])
    mf.check_gradients(mf.Sum(mf.Where(values >= 0, x, mf.Sqrt(-x))), {x: values})


# --- Steep places, and numbers that rounding hides


@pytest.mark.parametrize("value", [1e-6, 1e-8, 1e-10, 1e6, 1e10])
@pytest.mark.parametrize(
    "build",
    [mf.Log, mf.Sqrt, lambda x: 1.0 / x, lambda x: x**2, mf.Exp],
    ids=["log", "sqrt", "reciprocal", "square", "exp"],
)
def test_steep_places_pass(build, value: float) -> None:
    x = mf.Input("x")
    mf.check_gradients(build(x), {x: np.array([value])})
    mf.check_gradients(build(x), {x: np.array([value, 1.0, 2.0])})
    mf.check_gradients(build(x), {x: value})


def test_numbers_of_all_sizes_can_stand_in_one_array() -> None:
    x = mf.Input("x")
    for build in (mf.Sum, lambda x: x * 3.0, mf.Tanh, lambda x: mf.Sum(x * x)):
        mf.check_gradients(build(x), {x: np.array([1e12, 1e6, 1.0, 1e-6, 1e-12, 0.0])})


def test_saturated_nodes_pass() -> None:
    x, y = mf.Input("x"), mf.Input("y")
    far = np.array([[900.0, -900.0, 0.0], [40.0, 0.0, -40.0]])
    for node in (mf.Sigmoid(x), mf.Tanh(x), mf.Softmax(x), mf.LogSoftmax(x), mf.GELU(x)):
        mf.check_gradients(node, {x: far})
    for dtype in (np.float64, np.float32):
        certain = np.array([[40.0, 0.0, 0.0], [0.0, 0.0, 60.0]], dtype)
        feed = {x: certain, y: np.array([0, 2])}
        mf.check_gradients(mf.CrossEntropyWithSoftmax(x, y), feed)


def test_masked_logits_pass() -> None:
    x, y = mf.Input("x"), mf.Input("y")
    feed = {x: np.array([[0.5, -np.inf, 1.0], [0.0, 2.0, -np.inf]]), y: np.array([0, 1])}
    mf.check_gradients(mf.CrossEntropyWithSoftmax(x, y), feed)
    mf.check_gradients(mf.Softmax(x), {x: feed[x]})


@pytest.mark.parametrize("factor", [1.0, 2.0])
@pytest.mark.parametrize(("power", "value"), [(-2, 1e8), (4, 1e-6), (-3, 1e6)])
def test_gradients_too_small_to_be_told_from_rounding_are_judged_elsewhere(
    power: int, value: float, factor: float
) -> None:
    x = mf.Input("x")
    node = of(lambda x: x**power, lambda x: factor * power * x ** (power - 1))(x)
    if factor == 1:
        report = mf.check_gradients(node, {x: np.array([value])})
        assert remarks(report) == ["; too small to be told from rounding; judged beside it"]
    else:
        with pytest.raises(GradientError, match="it is 2 times what it should be"):
            mf.check_gradients(node, {x: np.array([value])})


@pytest.mark.parametrize("size", [1e-6, 0.0625, 0.3, 1e5])
def test_what_does_not_depend_on_the_size_of_its_input_has_a_gradient_of_0_to_rounding(
    size: float,
) -> None:
    x, y = mf.Input("x"), mf.Input("y")
    for seed in range(12):
        feed = {x: np.full((2, 2), size), y: np.array([size])}
        mf.check_gradients(mf.CosineSimilarity(x, y), feed, seed=seed)
        of_norm = of(lambda x: x / np.sqrt(x * x), lambda x: 1 / np.abs(x) - x * x / np.abs(x) ** 3)
        for node in (x / x, of_norm(x)):
            mf.check_gradients(node, {x: feed[x]}, seed=seed)
    wrong = of(lambda x: x / x, lambda x: 1e-9 / x)(x)
    with pytest.raises(GradientError, match="by central differences"):
        mf.check_gradients(wrong, {x: np.array([size])})


def test_node_that_computes_in_less_precision_is_held_to_that() -> None:
    x = mf.Input("x")
    for dtype in (np.float32, np.float16):
        in_dtype = of(lambda x, d=dtype: np.asarray(x, d) ** 2, lambda x: 2 * x)
        and_back = of(lambda x, d=dtype: (np.asarray(x, d) ** 2).astype(float), lambda x: 2 * x)
        for node in (in_dtype(x), and_back(x)):
            mf.check_gradients(node, {x: np.array([1.0, -1.5, 2.0])})
    wrong = of(lambda x: np.asarray(x, np.float32) ** 2, lambda x: 2.1 * x)(x)
    with pytest.raises(GradientError):
        mf.check_gradients(wrong, {x: np.array([1.0, -1.5, 2.0])})


def test_gradient_that_is_wrong_in_the_dtype_of_the_pass_only_is_caught() -> None:
    x = mf.Input("x")
    overflows = of(lambda x: x * 1.0, lambda x: (x * x) / (x * x))(x)  # 1, if x * x is a number
    mf.check_gradients(overflows, {x: np.array([300.0, 2.0])})
    with pytest.raises(GradientError, match="in float64 the two agree, in float16 they do not"):
        mf.check_gradients(overflows, {x: np.float16([300.0, 2.0])})


def test_gradient_that_its_dtype_cannot_hold_is_told() -> None:
    x = mf.Input("x")
    tiny = of(lambda x: x * 1e-9, lambda x: x.dtype.type(1e-9))(x)
    report = mf.check_gradients(tiny, {x: np.float16([1.0, 2.0])})
    assert report.edges[0].remark == "; float16 is too coarse to hold it"


# --- What it costs


class Counted(Of):
    calls = 0

    def compute(self, x):
        Counted.calls += 1
        return Of.compute(self, x)


MANY = np.random.default_rng(0).integers(-2, 3, 3000) * 1.0


@pytest.mark.parametrize(
    ("f", "slope", "value", "most"),
    [
        (np.square, lambda x: 2 * x, np.linspace(1, 2, 100), 430),
        (np.square, lambda x: 2 * x, np.linspace(1, 2, 10_000), 430),
        (lambda x: 0 * x, lambda x: 0 * x, np.linspace(1, 2, 10_000), 430),
        (lambda x: np.maximum(x, 0), lambda x: 1.0 * (x > 0), MANY, 2000),
        (lambda x: np.round(x, 6), lambda x: 1.0, np.linspace(1, 2, 10_000), 2000),
        (np.sqrt, lambda x: 0.5 / np.sqrt(x), MANY, 2000),
        (np.sum, np.ones_like, np.geomspace(1e-12, 1e12, 90), 2000),
    ],
)
def test_calls_of_forward_are_bounded(f, slope, value, most: int) -> None:
    x = mf.Input("x")
    Counted.calls = 0
    mf.check_gradients(Counted(x, f, slope), {x: value})
    assert 0 < Counted.calls <= most
