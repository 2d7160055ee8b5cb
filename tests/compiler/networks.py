"""Small networks that the compiler's tests share."""

from typing import Any, NamedTuple

import numpy as np

import miniflow as mf


class Network(NamedTuple):
    """Two layers on random data: a loss, what is fed to it, and what it learns."""

    loss: mf.Node
    logits: mf.Node
    feed: dict[mf.Node, Any]
    parameters: list[mf.Parameter]


def two_layers(
    dtype: type = np.float32, rows: int = 6, sizes: tuple[int, ...] = (7, 5, 3)
) -> Network:
    """The lab's network: Linear, Sigmoid, Linear, softmax and cross-entropy."""
    rng = np.random.default_rng(0)
    X, y = mf.Input("X"), mf.Input("y")
    d, h, k = sizes
    parameters = [
        mf.Parameter(rng.normal(size=shape).astype(dtype), name)
        for name, shape in {"W1": (d, h), "b1": (h,), "W2": (h, k), "b2": (k,)}.items()
    ]
    W1, b1, W2, b2 = parameters
    hidden = mf.Sigmoid(mf.Linear(X, W1, b1, name="hidden"))
    logits = mf.Linear(hidden, W2, b2, name="logits")
    loss = mf.CrossEntropyWithSoftmax(logits, y, name="loss")
    feed = {X: rng.normal(size=(rows, d)).astype(dtype), y: rng.integers(0, k, rows)}
    return Network(loss, logits, feed, parameters)
