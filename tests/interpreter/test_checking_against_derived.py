"""check_gradients tells a gradient that is right to rounding from one that differences let pass."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conformance import CASES
from properties.every_node import EVERY_NODE, graph_of

import miniflow as mf
from miniflow.errors import GradientError
from miniflow.graph.deriving import nothing_is_derived


def slightly_off(cls: type, error: float) -> type:
    """The class, with a gradient whose largest entry is off by a relative error."""

    class Off(cls):  # type: ignore[misc, valid-type]
        def backward(self) -> None:
            cls.backward(self)
            for node, gradient in self.gradients.items():
                spoilt = np.array(gradient, float, order="C")  # which reshape sees into
                spoilt.reshape(-1)[np.argmax(np.abs(spoilt))] *= 1 + error
                self.gradients[node] = spoilt[()]

    return Off


WITHOUT_RECORDING_OR_SLOPE = {"DummyGrad", "StopGradient", "StopGradient on one way"}


@pytest.mark.parametrize("name", sorted(EVERY_NODE.keys() - WITHOUT_RECORDING_OR_SLOPE)[::3])
def test_relative_error_of_1e_7_is_found_and_named(name: str) -> None:
    node, feed = graph_of(name)
    rng = np.random.default_rng(0)
    feed = {
        n: v + 0.01 * rng.uniform(size=np.shape(v)) if np.asarray(v).dtype.kind == "f" else v
        for n, v in feed.items()
    }
    wrt = [n for n, v in feed.items() if np.asarray(v).dtype.kind == "f"][:1]
    node.__class__ = slightly_off(type(node), 1e-7)
    with nothing_is_derived():
        mf.check_gradients(node, feed, wrt)  # differences let it pass
    with pytest.raises(GradientError, match=r"by the gradient derived from its forward\(\)"):
        mf.check_gradients(node, feed, wrt)


def test_message_names_the_first_entry_that_differs_and_by_how_much() -> None:
    class Square(mf.Op):
        def compute(self, x: Any) -> Any:
            return x * x

        def gradient(self, grad: Any, x: Any) -> Any:
            slope = 2 * x
            slope[1:, 1] *= 1 + 3e-7
            return (grad * slope,)

    x = mf.Input("x")
    with pytest.raises(GradientError) as told:
        mf.check_gradients(Square(x), {x: np.array([[1.0, 1.0], [1.0, 1.0], [1.0, 1.0]])})
    assert "Input 'x' at index (1, 1) of shape (3, 2) is " in str(told.value)
    assert "e-07 of the largest entry apart" in str(told.value)


@pytest.mark.parametrize("name", sorted(CASES)[::4])
def test_learners_classes_are_right_to_rounding(name: str) -> None:
    output, feed, wrt, twin = CASES[name](np.float64)
    feed.pop(twin, None)
    mf.check_gradients(output, feed, wrt)


class ReLU(mf.Op):
    def compute(self, x: Any) -> Any:
        return np.maximum(x, 0)

    def gradient(self, grad: Any, x: Any) -> Any:
        return (grad * (x > 0),)


def test_entries_at_a_kink_are_left_to_differences_and_counted() -> None:
    x = mf.Input("x")
    report = mf.check_gradients(ReLU(x), {x: np.array([1.0, 0.0, -3.0, 0.0])})
    assert "; 2 entries not compared with the derived gradient" in str(report)
    report = mf.check_gradients(ReLU(x), {x: np.array([1.0, -3.0])})
    assert "not compared" not in str(report)


def test_what_cannot_be_recorded_is_left_to_differences() -> None:
    class Asking(mf.Op):
        def compute(self, x: Any) -> Any:
            return x * x if x > 0 else -x

        def gradient(self, grad: Any, x: Any) -> Any:
            return (grad * (2 * x * (1 + 1e-7) if x > 0 else -1.0),)

    x = mf.Input("x")
    assert mf.check_gradients(Asking(x), {x: 2.0}).edges[0].passed


def test_rounding_is_no_error() -> None:
    class Apart(mf.Op):
        """The difference of two large numbers: its gradient loses digits on either way."""

        def compute(self, x: Any) -> Any:
            return np.sqrt(x * x + 1e12) - 1e6

        def gradient(self, grad: Any, x: Any) -> Any:
            return (grad * x / np.sqrt(x**2 + 1e12),)

    x = mf.Input("x")
    mf.check_gradients(Apart(x), {x: np.array([3.0, 500.0])})
