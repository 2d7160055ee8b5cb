"""A profile tells of every part of a step, and changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

import miniflow as mf
from miniflow.errors import CompileError, FeedError, GraphError

BACKENDS = ["numpy", *(["native"] if find_spec("llvmlite") else [])]


def perceptron() -> tuple[mf.Node, dict[mf.Node, Any]]:
    rng = np.random.default_rng(0)
    X, y = mf.Input("X"), mf.Input("y")
    W = mf.Parameter(rng.normal(0, 0.1, (20, 6)).astype("f4"), "W")
    b = mf.Parameter(np.zeros(6, "f4"), "b")
    loss = mf.CrossEntropyWithSoftmax(mf.Tanh(mf.Linear(X, W, b, name="linear")), y)
    return loss, {X: rng.random((8, 20), dtype="f4"), y: rng.integers(0, 6, 8)}


def convolution() -> tuple[mf.Node, dict[mf.Node, Any]]:
    """Large enough for the native backend to go through the batch in tiles."""
    rng = np.random.default_rng(0)
    X, K = mf.Input("X"), mf.Parameter(rng.normal(0, 0.1, (5, 5, 1, 8)).astype("f4"), "K")
    loss = mf.Sum(mf.MaxPool(mf.ReLU(mf.Conv2D(X, K, name="conv")), 2))
    return loss, {X: rng.random((64, 28, 28, 1), dtype="f4")}


Network = Callable[[], tuple[mf.Node, dict[mf.Node, Any]]]


@pytest.mark.parametrize("network", [perceptron, convolution])
@pytest.mark.parametrize("backend", BACKENDS)
def test_it_tells_of_all_arithmetic_once(backend: str, network: Network) -> None:
    loss, feed = network()
    step = mf.compile(loss, optimizer=mf.Adam(0.01), backend=backend)
    profile = step.profile(feed, runs=2)
    assert profile.backend == backend
    assert profile.runs == 2
    assert len(profile) == len(list(profile)) == len(profile.steps)
    assert all(0 <= part.seconds < 10 for part in profile)
    assert profile.seconds == pytest.approx(sum(part.seconds for part in profile))
    told, whole = sum(part.flops for part in profile), step.cost().total.flops
    assert whole * 0.7 <= told <= whole * 1.3  # numbers of Python's, and NumPy's own ways
    nodes = {node for part in profile for node in part.nodes}
    assert {label for label in step.cost().by_node() if label} <= {*nodes, "Adam"} | nodes
    assert profile.steps[0].code == "take the arguments"
    assert profile.steps[-1].code == "hand out the results"
    table = str(profile).splitlines()
    assert len(table) == 2 + len(profile)
    assert table[0].startswith(f"{backend}: ")


@pytest.mark.parametrize("backend", BACKENDS)
def test_nothing_is_updated(backend: str) -> None:
    loss, feed = perceptron()
    optimizer = mf.Adam(0.01)
    step = mf.compile(loss, optimizer=optimizer, backend=backend)
    other_loss, other_feed = perceptron()
    other = mf.compile(other_loss, optimizer=mf.Adam(0.01), backend=backend)
    step.profile(feed, runs=3)
    for _ in range(2):
        assert step(feed) == other(dict(zip(other_feed, feed.values(), strict=True)))
        step.profile(feed, runs=1)
    for ours, theirs in zip(step.parameters, other.parameters, strict=True):
        assert ours.value.tobytes() == theirs.value.tobytes()


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_loop_over_time_is_a_part(backend: str) -> None:
    sequence, W = mf.Input("sequence"), mf.Parameter(np.eye(3), "W")
    states = mf.scan(lambda h, x: mf.Tanh(x + h @ W), np.zeros((2, 3)), sequence)
    step = mf.compile(mf.Sum(states), wrt=[W], backend=backend)
    profile = step.profile({sequence: np.ones((5, 2, 3))}, runs=1)
    assert sum(part.flops for part in profile) > 5 * 2 * 2 * 3 * 3


def test_what_cannot_be_profiled_is_told() -> None:
    loss, feed = perceptron()
    with pytest.raises(CompileError, match="reference backend does not say"):
        mf.compile(loss, backend="reference").profile(feed)
    for runs in (0, True, 2.5, "3"):
        with pytest.raises(CompileError, match="runs="):
            mf.compile(loss, backend="numpy").profile(feed, runs=runs)
    with pytest.raises(FeedError):
        mf.compile(loss, backend="numpy").profile({})
    labels = next(node for node in feed if node.name == "y")
    wrong = feed | {labels: np.full(8, 77)}
    with pytest.raises(GraphError, match="CrossEntropy"):
        mf.compile(loss, backend="numpy").profile(wrong)
