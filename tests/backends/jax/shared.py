"""What the parts of the kit share: networks, optimizers, and how an error is looked at."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import miniflow as mf

SCHEDULES = mf.schedules
OPTIMIZERS: dict[str, Callable[[], Any]] = {
    "sgd": lambda: mf.SGD(0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "adam": lambda: mf.Adam(SCHEDULES.CosineDecay(0.05, 10, warmup=2), clipnorm=1.0),
    "adamw": lambda: mf.AdamW(0.05, weight_decay=0.1, global_clipnorm=0.5),
    "rmsprop": lambda: mf.RMSprop(0.01, clipvalue=0.1),
}


def fails(error: type[Exception], *parts: str) -> Any:
    """A `with` block that has to fail with an error whose message has these parts."""

    @contextlib.contextmanager
    def block() -> Iterator[None]:
        told = None
        try:
            yield
        except error as raised:
            told = str(raised)
        assert told is not None, f"no {error.__name__} was raised"
        missing = [part for part in parts if part not in told]
        assert not missing, f"{missing} not in: {told}"

    return block()


def network(dtype: Any = np.float32, seed: int = 1, rows: int = 64) -> Any:
    """A small network with dropout, its feed, and its weights."""
    rng = np.random.default_rng(seed)
    X, y, s = mf.Input("X"), mf.Input("y"), mf.Seed("s")
    W = mf.Parameter(rng.normal(size=(12, 16)).astype(dtype), "W")
    V = mf.Parameter(rng.normal(size=(16, 4)).astype(dtype), "V")
    b = mf.Parameter(np.zeros(4, dtype), "b")
    hidden = mf.Dropout(mf.Tanh(X @ W), s, rate=0.25)
    loss = mf.CrossEntropyWithSoftmax(mf.Linear(hidden, V, b), y, name="loss")
    images = rng.normal(size=(rows, 12)).astype(dtype)
    return loss, {X: images, y: rng.integers(0, 4, rows), s: 7}, [W, V, b]


def networks() -> Iterator[tuple[str, Any, dict[mf.Node, Any], list[mf.Parameter]]]:
    """An MLP with dropout, and a CNN with normalization over the batch."""
    loss, feed, weights = network()
    yield "mlp", loss, feed, weights
    rng = np.random.default_rng(3)
    images = rng.normal(size=(32, 8, 8, 1)).astype(np.float32)
    labels = rng.integers(0, 3, 32)
    X, y = mf.Input("X"), mf.Input("y")
    K = mf.Parameter(rng.normal(size=(3, 3, 1, 4)).astype(np.float32), "K")
    W = mf.Parameter(rng.normal(size=(36, 3)).astype(np.float32) * 0.1, "W")
    b = mf.Parameter(np.zeros(3, np.float32), "b")
    scale, shift = (mf.Parameter(np.full(4, v, np.float32)) for v in (1.0, 0.0))
    seen = mf.Conv2D(X, K, shift)
    centred = seen - mf.Mean(seen, axis=(0, 1, 2), keepdims=True)
    spread = mf.Sqrt(mf.Mean(centred**2, axis=(0, 1, 2), keepdims=True) + 1e-3)
    flat = mf.Flatten(mf.MaxPool(mf.ReLU(centred / spread * scale), 2))
    loss = mf.CrossEntropyWithSoftmax(mf.Linear(flat, W, b), y)
    yield "cnn", loss, {X: images, y: labels}, [K, W, b, scale, shift]
