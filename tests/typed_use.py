"""What users write, for type checkers alone: mypy reads it with the rest (`make lint`).

A dictionary that is kept in a variable is one of the very class of its keys; classes of one's own
define their methods with the arguments that they need.
"""

from collections.abc import Callable
from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray

import miniflow as mf

Array = NDArray[np.float64]


class Cube(mf.Node):
    def __init__(self, x: mf.Node) -> None:
        mf.Node.__init__(self, [x])

    def forward(self) -> None:
        self.value = self.inbound_nodes[0].value ** 3


class Scale(mf.Op):
    def compute(self, x: Array, by: Array) -> Array:
        return x * by

    def gradient(self, grad: Array, x: Array, by: Array) -> tuple[Array, Array]:
        return grad * by, grad * x


def with_a_feed_of_inputs(x: mf.Input, y: mf.Input, W: mf.Parameter) -> None:
    loss = mf.Mean(Cube(x) @ W - Scale(y, 2.0))
    feed = {x: np.zeros((2, 4)), y: np.zeros((2, 1))}
    mf.value(loss, feed)
    mf.value_and_grad(loss, feed, wrt=[W])
    mf.accuracy(loss, feed)
    mf.check_gradients(loss, feed)
    mf.find_not_finite(loss, feed)
    mf.per_example_gradients(loss, feed, wrt=[W])
    step = mf.compile(loss, optimizer=mf.SGD(0.1))
    step(feed)
    step.epoch(feed, np.zeros((1, 2), int))
    step.profile(feed)
    mf.fit(loss, feed, mf.Adam(), validation=feed)
    mf.evaluate(loss, feed)
    mf.predict(loss, feed)
    mf.save(loss, "loss.safetensors", inputs=feed)
    mf.export(loss, "loss.c", inputs=feed)
    mf.summary(loss, feed)
    mf.draw(loss).explore(feed)


def with_any_other_feed(x: mf.Input, W: mf.Parameter, loss: mf.Node) -> None:
    mf.value(loss, {x: 1.0, W: [[2.0]]})
    mf.value(loss)
    mf.value(loss, {"x": 1.0})  # type: ignore[type-var]


assert_type(mf.Op().compute, Callable[..., Any])  # of which pyright lets subclasses take any part
assert_type(mf.Node().forward, Callable[..., Any])
