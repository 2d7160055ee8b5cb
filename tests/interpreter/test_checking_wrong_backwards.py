"""A bank of wrong backwards, each caught with a message that tells what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import miniflow as mf
from miniflow.errors import GradientError

RNG = np.random.default_rng(3)


def message_of(output: mf.Node, feed: dict[mf.Node, Any], **options: Any) -> str:
    with pytest.raises(GradientError) as caught:
        mf.check_gradients(output, feed, **options)
    return str(caught.value)


# --- Forgetting the upstream gradient, as the output


class OneInput(mf.Node):
    def __init__(self, x: mf.Node) -> None:
        mf.Node.__init__(self, [x])

    def forward(self) -> None:
        self.value = self.f(self.inbound_nodes[0].value)

    def backward(self) -> None:
        x = self.inbound_nodes[0]
        self.gradients = {x: self.left(x.value)}

    def upstream(self) -> Any:
        return sum(n.gradients[self] for n in self.outbound_nodes)


def softmax(x):
    powers = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return powers / np.sum(powers, axis=-1, keepdims=True)


FORGETFUL: dict[str, tuple[Callable[..., Any], Callable[..., Any], str]] = {
    # name: (f, what backward leaves, what is told)
    "identity": (
        lambda x: 1.0 * x,
        lambda self, x: np.ones_like(x),
        "the upstream gradient is not used",
    ),
    "cube": (lambda x: x**3, lambda self, x: 3 * x**2, "the upstream gradient is not used"),
    "tanh": (
        np.tanh,
        lambda self, x: 1 - np.tanh(x) ** 2,
        "the upstream gradient is not used",
    ),
    "softmax with zeros": (softmax, lambda self, x: np.zeros_like(x), ""),
    "softmax with seven": (softmax, lambda self, x: 7 * np.zeros_like(x) + self.upstream() * 0, ""),
    "less its mean, with zeros": (lambda x: x - np.mean(x), lambda self, x: np.zeros_like(x), ""),
    "reversed, not undone": (lambda x: x[::-1], lambda self, x: self.upstream(), ""),
    "rolled, not undone": (lambda x: np.roll(x, 1, 0), lambda self, x: self.upstream(), ""),
    "sorted, not undone": (lambda x: np.sort(x, axis=0), lambda self, x: self.upstream(), ""),
    "transposed, not undone": (
        lambda x: np.swapaxes(x, 0, -1),
        lambda self, x: self.upstream(),
        "it is the transpose",
    ),
    "squared": (lambda x: 2 * x, lambda self, x: 2 * self.upstream() ** 2, "not proportional"),
    "without its sign": (
        lambda x: 2 * x,
        lambda self, x: 2 * np.abs(self.upstream()),
        "",
    ),
    "clipped": (lambda x: 2 * x, lambda self, x: 2 * np.clip(self.upstream(), -9, 0), ""),
}


@pytest.mark.parametrize("is_output", [True, False])
@pytest.mark.parametrize("name", FORGETFUL)
def test_backward_that_forgets_what_its_consumers_say_is_caught(name: str, is_output: bool) -> None:
    f, left, told = FORGETFUL[name]
    cls = type("Forgetful", (OneInput,), {"f": staticmethod(f), "left": left})
    x = mf.Input("x")
    node = cls(x)
    feed = {x: np.random.default_rng(0).normal(size=(3, 3))}
    message = message_of(node if is_output else mf.Tanh(node), feed)
    assert message.startswith("Forgetful (")
    assert "the gradient with respect to Input 'x' at index" in message
    assert told in message


@pytest.mark.parametrize("value", [2.0, -1.5, np.float32(2.0), np.array([2.0])])
def test_scalars_too(value: Any) -> None:
    for name in ("identity", "cube", "tanh", "squared", "without its sign", "clipped"):
        f, left, _ = FORGETFUL[name]
        cls = type("Forgetful", (OneInput,), {"f": staticmethod(f), "left": left})
        x = mf.Input("x")
        assert message_of(cls(x), {x: value}).startswith("Forgetful (")


def test_sum_that_forgets_its_upstream_gradient_is_no_loss_on_its_own() -> None:
    cls = type(
        "Total",
        (OneInput,),
        {"f": staticmethod(np.sum), "left": lambda self, x: np.ones_like(x)},
    )
    x = mf.Input("x")
    assert "the upstream gradient is not used" in message_of(cls(x), {x: np.ones((2, 3))})


class SquaredError(mf.Op):
    """It is handed the upstream gradient, and forgets it."""

    def compute(self, y, a):
        return np.mean((y - a) ** 2)

    def gradient(self, grad, y, a):
        difference = 2 * (y - a) / y.size
        return difference, -difference


class SquaredErrorOfEach(mf.Node):
    """It looks at its consumers, and not at what they hand back."""

    def __init__(self, y: mf.Node, a: mf.Node) -> None:
        mf.Node.__init__(self, [y, a])

    def forward(self) -> None:
        y, a = (n.value for n in self.inbound_nodes)
        self.value = np.mean((y - a) ** 2)

    def backward(self) -> None:
        y, a = self.inbound_nodes
        self.gradients = {y: 0, a: 0}
        for _ in self.outbound_nodes:
            difference = 2 * (y.value - a.value) / y.value.size
            self.gradients[y] += difference
            self.gradients[a] -= difference


@pytest.mark.parametrize("cls", [SquaredError, SquaredErrorOfEach])
def test_loss_that_looks_at_its_consumers_and_forgets_what_they_say_is_caught(cls) -> None:
    y, a = mf.Input("y"), mf.Input("a")
    feed = {y: np.array([1.0, 2.0, 3.0]), a: np.array([0.5, 2.5, 1.0])}
    message = message_of(cls(y, a), feed)
    assert message.count("the upstream gradient is not used") == 2


# --- Consumers


class Mul(mf.Node):
    def __init__(self, x: mf.Node, y: mf.Node) -> None:
        mf.Node.__init__(self, [x, y])

    def forward(self) -> None:
        self.value = self.inbound_nodes[0].value * self.inbound_nodes[1].value

    def consumers(self) -> list[Any]:
        return list(self.outbound_nodes)

    def backward(self) -> None:
        x, y = self.inbound_nodes
        self.gradients = {n: np.zeros_like(n.value) for n in self.inbound_nodes}
        for n in self.consumers():
            self.gradients[x] = self.gradients[x] + n.gradients[self] * y.value
            self.gradients[y] = self.gradients[y] + n.gradients[self] * x.value


class FirstOnly(Mul):
    def consumers(self) -> list[Any]:
        return list(self.outbound_nodes)[:1]


class LastOnly(Mul):
    def consumers(self) -> list[Any]:
        return list(self.outbound_nodes)[-1:]


class FirstTwo(Mul):
    def consumers(self) -> list[Any]:
        return list(self.outbound_nodes)[:2]


class SecondTwice(Mul):
    def consumers(self) -> list[Any]:
        first, *others = self.outbound_nodes
        return [first, *others[:1], *others]


CONSUMERS = {
    FirstOnly: "only the first consumer counts; add up over self.outbound_nodes with +=",
    LastOnly: "only the last consumer counts; add up over self.outbound_nodes with +=",
    FirstTwo: "",
    SecondTwice: "",
}


@pytest.mark.parametrize("feed", [(2.0, 3.0), (np.ones((2, 3)), np.arange(6.0).reshape(2, 3))])
@pytest.mark.parametrize("is_output", [True, False])
@pytest.mark.parametrize("wrong", CONSUMERS)
def test_consumers_that_do_not_count_are_caught(wrong, is_output: bool, feed) -> None:
    x, y = mf.Input("x"), mf.Input("y")
    node = wrong(x, y)
    message = message_of(node if is_output else mf.Tanh(node), dict(zip((x, y), feed, strict=True)))
    assert CONSUMERS[wrong] in message
    assert "with a random upstream gradient" in message


# --- Wrong in few entries


class Square(mf.Op):
    def __init__(self, x: mf.Node, spoil: Callable[[np.ndarray], None]) -> None:
        mf.Op.__init__(self, x)
        self.spoil = spoil

    def compute(self, x: Any) -> Any:
        return x * x

    def gradient(self, grad: Any, x: Any) -> Any:
        gradient = 2 * grad * x
        self.spoil(gradient)
        return (gradient,)


def multiplied(index: Any, by: float) -> Callable[[np.ndarray], None]:
    def spoil(gradient: np.ndarray) -> None:
        gradient[index] *= by

    return spoil


@pytest.mark.breadth("factor")
@pytest.mark.parametrize("factor", [-1.0, 3.0, 0.0, 1.1])
@pytest.mark.parametrize("size", [100, 101, 1000, 10_000])
def test_one_wrong_entry_is_found_and_named(size: int, factor: float) -> None:
    x = mf.Input("x")
    values = np.random.default_rng(size).normal(size=size)
    for index in (0, size // 3, size - 1):
        message = message_of(Square(x, multiplied(index, factor)), {x: values})
        assert f"at index ({index},) of shape ({size},) is" in message


def test_one_wrong_entry_of_a_large_parameter_is_found() -> None:
    w = mf.Parameter(np.random.default_rng(0).normal(size=(200, 300)), "w")
    message = message_of(Square(w, multiplied((123, 45), 1.1)), {})
    assert "with respect to Parameter 'w' at index (123, 45) of shape (200, 300) is" in message


@pytest.mark.parametrize("shape", [(784, 10), (20, 30), (5, 4)])
def test_wrong_row_is_found(shape: tuple[int, int]) -> None:
    x = mf.Input("x")
    values = np.random.default_rng(0).normal(size=shape)
    for row in (0, shape[0] - 1):
        message = message_of(Square(x, multiplied(row, 2.0)), {x: values})
        assert f"at index ({row}, " in message


@pytest.mark.parametrize("size", [2, 5000])
def test_small_entry_beside_large_ones_is_held_to_its_own_size(size: int) -> None:
    x = mf.Input("x")
    values = np.full(size, 1e6)
    values[1] = 1e-3
    mf.check_gradients(Square(x, multiplied(1, 1.0)), {x: values})
    message = message_of(Square(x, multiplied(1, 3.0)), {x: values})
    assert "at index (1,)" in message
    assert "is 0.006 by backward() and 0.002 by" in message


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
@pytest.mark.parametrize("size", [1e6, 1e3, 1.0, 1e-3, 1e-6, 1e-9])
def test_factor_is_caught_whatever_the_size_of_the_numbers(size: float, dtype: type) -> None:
    x = mf.Input("x")
    with np.errstate(over="ignore", under="ignore"):
        values = (size * np.array([1.0, -2.0, 3.0])).astype(dtype)
        held = np.isfinite(values**2) & (values != 0)
    if np.all(held):
        mf.check_gradients(Square(x, multiplied(..., 1.0)), {x: values})
        message = message_of(Square(x, multiplied(..., 2.0)), {x: values})
        assert "it is 2 times what it should be" in message


def test_no_node_of_a_network_is_blamed_for_another() -> None:
    x, w = mf.Input("x"), mf.Parameter(RNG.normal(size=(4, 4)), "w")
    wrong = Square(mf.Tanh(x @ w), multiplied((0, 0), 2.0))
    message = message_of(mf.Mean(mf.Exp(wrong) * 2.0), {x: RNG.normal(size=(3, 4))})
    assert message.startswith("Square (")
    assert "\n" not in message
