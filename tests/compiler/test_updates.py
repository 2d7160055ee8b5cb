"""Parameters that a network uses in many ways are moved by each optimizer as the interpreter moves
them; and in one walk over a parameter and all that is kept for it.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import miniflow as mf
from miniflow.graph import Node, Parameter
from miniflow.graph.plans import ancestors_in_order
from miniflow.optimizers import Optimizer

OPTIMIZERS: dict[str, Callable[[], Optimizer]] = {
    "adam": lambda: mf.Adam(0.01, epsilon=1e-3),
    "adam, global_clipnorm": lambda: mf.Adam(0.01, epsilon=1e-3, global_clipnorm=0.1),
    "adam, looked at": lambda: mf.Adam(0.01, epsilon=0.0),
    "adamw, clipvalue": lambda: mf.AdamW(0.01, epsilon=1e-3, clipvalue=0.02),
    "adamw, scheduled": lambda: mf.AdamW(mf.schedules.CosineDecay(0.01, 9), epsilon=1e-3),
    "momentum": lambda: mf.SGD(0.1, momentum=0.9),
    "momentum, global_clipnorm": lambda: mf.SGD(0.1, momentum=0.9, global_clipnorm=0.1),
    "nesterov, weight_decay": lambda: mf.SGD(0.1, 0.9, nesterov=True, weight_decay=5e-4),
    "rmsprop, clipnorm": lambda: mf.RMSprop(0.01, epsilon=1e-3, clipnorm=0.1),
}
Feed = dict[Node, Any]


def parameter(rng: np.random.Generator, name: str, *shape: int) -> Parameter:
    return Parameter(rng.normal(0, 0.3, shape), name)


def layers(rng: np.random.Generator) -> tuple[Node, Feed]:
    x, y = mf.Input("x"), mf.Input("y")
    W, b, V = (parameter(rng, *p) for p in (("W", 9, 33), ("b", 33), ("V", 33, 5)))
    loss = mf.CrossEntropyWithSoftmax(mf.MatMul(mf.ReLU(mf.Linear(x, W, b)), V), y)
    return loss, {x: rng.normal(size=(17, 9)), y: rng.integers(0, 5, 17)}


def convolution(rng: np.random.Generator) -> tuple[Node, Feed]:
    x = mf.Input("x")
    maps = mf.MaxPool(
        mf.ReLU(mf.Conv2D(x, parameter(rng, "K", 3, 3, 2, 4), parameter(rng, "b", 4)))
    )
    loss = mf.Mean((mf.Flatten(maps) @ parameter(rng, "W", 36, 3)) ** 2)
    return loss, {x: rng.normal(size=(5, 8, 8, 2))}


def rows_of_a_table(rng: np.random.Generator) -> tuple[Node, Feed]:
    """The rows that are read get a gradient; the table is what the scores are made with, too."""
    x, y = mf.Input("x"), mf.Input("y")
    E = parameter(rng, "E", 11, 6)
    scores = mf.Tanh(mf.Embedding(x, E) @ parameter(rng, "W", 6, 6)) @ mf.Transpose(E)
    return mf.CrossEntropyWithSoftmax(scores, y), {
        x: rng.integers(0, 11, (4, 3)),
        y: rng.integers(0, 11, (4, 3)),
    }


def tied(rng: np.random.Generator) -> tuple[Node, Feed]:
    """Two products of one parameter, and one of it transposed."""
    x, W = mf.Input("x"), parameter(rng, "W", 12, 12)
    hidden = mf.Tanh(mf.MatMul(mf.Tanh(mf.MatMul(x, W)), mf.Transpose(W)))
    return mf.Mean((hidden @ W) ** 2 + W[0]), {x: rng.normal(size=(7, 12))}


def with_a_state(rng: np.random.Generator) -> tuple[Node, Feed]:
    x, kept = mf.Input("x"), mf.State(np.zeros(8), "kept")
    hidden = mf.Linear(x, parameter(rng, "W", 6, 8), parameter(rng, "b", 8))
    mean = mf.Mean(hidden, axis=0)
    centred = mf.SetState(kept, 0.9 * kept + 0.1 * mean, then=hidden - kept)
    return mf.Mean(mf.Tanh(centred) ** 2), {x: rng.normal(size=(9, 6))}


NETWORKS = (layers, convolution, rows_of_a_table, tied, with_a_state)


@pytest.mark.breadth("backend", "name")
@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("network", NETWORKS)
def test_parameters_move_as_the_interpreter_moves_them(
    network: Callable[[np.random.Generator], tuple[Node, Feed]], name: str, backend: str
) -> None:
    if name == "adam, looked at" and network is rows_of_a_table:
        pytest.skip("a row that is not read has a gradient of 0")
    built = [network(np.random.default_rng(0)) for _ in range(2)]
    ours, theirs = (
        [n for n in ancestors_in_order(loss) if isinstance(n, Parameter) and n.trainable]
        for loss, _ in built
    )
    (loss, feed), (other, other_feed) = built
    step = mf.compile(loss, optimizer=OPTIMIZERS[name](), backend=backend)
    optimizer = OPTIMIZERS[name]()
    for _ in range(3):
        value = step(feed)
        wanted, gradients = mf.value_and_grad(other, other_feed, theirs)
        optimizer.update(theirs, gradients)
        np.testing.assert_allclose(value, wanted, rtol=1e-9)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.value, b.value, rtol=1e-6, atol=1e-9, err_msg=str(a))


@pytest.mark.parametrize("name", sorted(set(OPTIMIZERS) - {"adam, looked at"}))
def test_one_step_goes_through_a_parameter_and_what_is_kept_for_it(name: str) -> None:
    pytest.importorskip("llvmlite", reason="needs llvmlite (the extra `native`)")
    loss, feed = layers(np.random.default_rng(0))
    optimizer = OPTIMIZERS[name]()
    step = mf.compile(loss, optimizer=optimizer, backend="native")
    step(feed)
    lines = step.source.partition("):\n")[2].partition("return")[0].splitlines()
    for slot in optimizer.slots:
        for number in range(3):
            assert sum(f"{slot}_{number}" in line for line in lines) == 1, f"{slot}_{number}"
