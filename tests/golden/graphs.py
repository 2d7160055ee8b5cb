"""The graphs and the data of the golden files: what `make_golden.py` trained and saved, once, with
the version that a folder here is named after, and what the tests build again to go on from there.
"""

from typing import Any, NamedTuple

import numpy as np

import miniflow as mf
from miniflow.initializers import glorot_uniform

EPOCHS = 2  # of which a checkpoint is kept; the training goes on to twice as many


class Case(NamedTuple):
    """A loss and the options of the training that a checkpoint belongs to."""

    loss: Any
    logits: Any
    data: dict[Any, Any]
    parameters: list[Any]
    options: dict[str, Any]


def rows(count: int = 60) -> tuple[Any, Any]:
    """Points round three corners of a square, and the number of each one's corner."""
    rng = np.random.default_rng(4)
    labels = rng.integers(0, 3, count)
    corners = np.array([[0, 0], [2, 0], [0, 2]], np.float32)
    return (corners[labels] + rng.normal(0, 0.3, (count, 2))).astype(np.float32), labels


def network(dropout: bool) -> Case:
    """A network 2-8-3, with or without dropout."""
    rng = np.random.default_rng(5)
    X, y = mf.Input("X"), mf.Input("y")
    W1, b1 = mf.Parameter(glorot_uniform((2, 8), rng), "W1"), mf.Parameter(np.zeros(8, "f4"), "b1")
    W2, b2 = mf.Parameter(glorot_uniform((8, 3), rng), "W2"), mf.Parameter(np.zeros(3, "f4"), "b2")
    hidden: Any = mf.ReLU(mf.Linear(X, W1, b1))
    if dropout:
        hidden = mf.Dropout(hidden, mf.Seed("seed"), rate=0.25)
    logits = mf.Linear(hidden, W2, b2, name="logits")
    loss = mf.CrossEntropyWithSoftmax(logits, y, name="loss")
    images, labels = rows()
    return Case(loss, logits, {X: images, y: labels}, [W1, b1, W2, b2], {})


def adam_with_dropout() -> Case:
    """The numpy backend, Adam under a schedule, and dropout."""
    from miniflow.schedules import CosineDecay

    optimizer = mf.Adam(CosineDecay(0.05, steps=40))
    options = {"optimizer": optimizer, "backend": "numpy", "batch_size": 16, "rng": 3}
    return network(dropout=True)._replace(options=options)


def momentum() -> Case:
    """The interpreter, and SGD with momentum."""
    options = {"optimizer": mf.SGD(0.1, momentum=0.9), "backend": "interpreter"}
    return network(dropout=False)._replace(options={**options, "batch_size": 16, "rng": 3})


CASES = {"adam_with_dropout": adam_with_dropout, "momentum": momentum}
