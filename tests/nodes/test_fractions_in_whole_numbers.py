"""Gradients that begin as zeros of whole numbers, and fractions that are written into them."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from messages import message_of

import miniflow as mf
from miniflow.backends import COMPARE, RUN, names
from miniflow.errors import NodeError

BACKENDS = names(RUN, COMPARE)
X, Y = mf.Input("x"), mf.Input("y")


# --- A raw class whose gradients begin as zeros of whole numbers


class HalfSum(mf.Node):
    """Half the sum of two nodes: gradients begin as np.zeros_like."""

    def __init__(self, x: mf.Node, y: mf.Node, zeros: Callable[[Any], Any]) -> None:
        mf.Node.__init__(self, [x, y])
        self.zeros = zeros

    def forward(self) -> None:
        x, y = (n.value for n in self.inbound_nodes)
        self.value = (x + y) / 2

    def backward(self) -> None:
        self.gradients = {n: self.zeros(n.value) for n in self.inbound_nodes}
        for consumer in self.outbound_nodes:
            for n in self.inbound_nodes:
                self.gradients[n] += 0.5 * consumer.gradients[self]


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.int32])
def test_zeros_like_of_whole_numbers_that_meets_a_fraction_is_told(dtype: Any) -> None:
    feed = {X: np.array([1, 2], dtype), Y: np.array([3.0, 4.0])}
    wrong, right = HalfSum(X, Y, np.zeros_like), HalfSum(X, Y, lambda v: np.zeros_like(v, float))
    expected = (
        "HalfSum (FILE:LINE): backward() puts fractions (float64) into an array of whole numbers "
        f"({np.dtype(dtype)}), which cannot hold them. np.zeros_like(v) is one wherever v is: "
        "write np.zeros_like(v, dtype=float), or feed floats, x.astype(float). Shapes of its "
        "inputs: Input 'x' (2,), Input 'y' (2,)."
    )
    assert message_of(NodeError, lambda: mf.value_and_grad(wrong, feed, [X, Y])) == expected
    for backend in BACKENDS:
        step = mf.compile(wrong, [X, Y], backend=backend)
        assert message_of(NodeError, lambda step=step: step(feed)) == expected
    _, gradients = mf.value_and_grad(right, feed, [X, Y])
    assert np.array_equal(gradients, [[0.5, 0.5], [0.5, 0.5]])
    assert math.isclose(float(mf.value(mf.Sum(right), feed)), 5.0)


class Averages(mf.Node):
    """(x + y) / 2, whose gradients are written into arrays."""

    def __init__(
        self, x: mf.Node, y: mf.Node, write: Callable[[Any, Any], Any], keeps: bool = False
    ) -> None:
        mf.Node.__init__(self, [x, y])
        self.write, self.keeps = write, keeps

    def forward(self) -> None:
        x, y = (n.value for n in self.inbound_nodes)
        self.kept = [x, y] if self.keeps else None
        self.value = (x + y) / 2

    def backward(self) -> None:
        values = self.kept or [n.value for n in self.inbound_nodes]
        grad = sum(consumer.gradients[self] for consumer in self.outbound_nodes)
        self.gradients = {
            n: self.write(value, 0.5 * grad)
            for n, value in zip(self.inbound_nodes, values, strict=True)
        }


def into_all(value: Any, grad: Any) -> Any:
    dx = np.zeros_like(value)
    dx[...] = grad
    return dx


def into_each(value: Any, grad: Any) -> Any:
    dx = np.zeros(value.shape, value.dtype)
    for i in range(len(dx)):
        dx[i] = np.broadcast_to(grad, dx.shape)[i]
    return dx


def as_it_is(value: Any, grad: Any) -> Any:
    return (value * 0 + grad).astype(value.dtype)


@pytest.mark.breadth("dtype")
@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.int32])
@pytest.mark.parametrize("keeps", [False, True])
@pytest.mark.parametrize("write", [into_all, into_each, as_it_is], ids=lambda f: f.__name__)
def test_fractions_that_are_written_into_whole_numbers_are_told(
    write: Any, keeps: bool, dtype: Any
) -> None:
    feed = {X: np.array([1, 2], dtype), Y: np.array([3.0, 4.0])}
    node = Averages(X, Y, write, keeps)
    expected = (
        "Averages (FILE:LINE): backward() puts fractions (float64) into an array of whole numbers "
        f"({np.dtype(dtype)}), which cannot hold them. np.zeros_like(v) is one wherever v is: "
        "write np.zeros_like(v, dtype=float), or feed floats, x.astype(float)."
    )
    assert message_of(NodeError, lambda: mf.value_and_grad(node, feed, [X, Y])) == expected
    assert X.value is feed[X]
    for backend in BACKENDS:
        step = mf.compile(node, [X, Y], backend=backend)
        assert message_of(NodeError, lambda step=step: step(feed)) == expected
    # Nobody needs that gradient; or there are no fractions.
    assert mf.value_and_grad(node, feed, [Y])[1][0].tolist() == [0.5, 0.5]
    doubled = mf.Sum(node * 2.0)
    assert mf.value_and_grad(doubled, feed, [X, Y])[1][0].tolist() == [1, 1]
