"""Which backend runs, and why no faster one: compiled graphs, trainings and estimators say it."""

from __future__ import annotations

import pickle
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import miniflow as mf
from miniflow.backends import backend as records

BY_NAME = "it was asked for by name"


class Choosing(mf.Node):
    """Asks for a number, so it cannot be compiled."""

    def __init__(self, x: mf.Node) -> None:
        mf.Node.__init__(self, [x], "choosing")

    def forward(self) -> None:
        (x,) = self.inbound_nodes
        self.value = x.value if np.sum(x.value) > 0 else -x.value

    def backward(self) -> None:
        (x,) = self.inbound_nodes
        grads = sum(n.gradients[self] for n in self.outbound_nodes)
        self.gradients = {x: grads * np.sign(np.sum(x.value))}


def installed(monkeypatch: pytest.MonkeyPatch, is_there: bool) -> None:
    spec = find_spec("json") if is_there else None
    monkeypatch.setattr(records, "find_spec", lambda name: spec)


def arrays() -> tuple[mf.Node, Any]:
    x = mf.Input("x")
    return mf.Sum(mf.Exp(x)), {x: np.ones((3, 4))}


def numbers() -> tuple[mf.Node, Any]:
    x = mf.Input("x")
    return x * x + x, {x: 3.0}


def many_shapes() -> tuple[mf.Node, Any]:
    inputs = [mf.Input(f"x{n}") for n in range(1, 160)]
    sums = [mf.Sum(mf.Exp(x)) for x in inputs]
    total = sums[0]
    for node in sums[1:]:
        total = total + node
    return total, {x: np.ones(n) for n, x in enumerate(inputs, 1)}


needs_llvmlite = pytest.mark.skipif(find_spec("llvmlite") is None, reason="needs llvmlite")
CASES = [
    pytest.param(arrays, True, "native: the fastest that is installed", marks=needs_llvmlite),
    pytest.param(arrays, False, "numpy: llvmlite is not installed"),
    pytest.param(numbers, True, "numpy: it computes no arrays"),
    pytest.param(numbers, False, "numpy: llvmlite is not installed"),
]


@pytest.mark.parametrize(("make", "has_llvmlite", "expected"), CASES)
def test_a_compiled_graph_says_what_auto_came_to(
    make: Any, has_llvmlite: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(monkeypatch, has_llvmlite)
    node, feed = make()
    compiled = mf.compile(node)
    assert compiled.why_backend() == "auto: the backend is chosen at the first call"
    compiled(feed)
    assert compiled.why_backend() == expected
    assert compiled.backend == expected.partition(":")[0]


def test_a_graph_of_too_many_kinds_says_how_many(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, True)
    node, feed = many_shapes()
    compiled = mf.compile(node)
    monkeypatch.setattr("miniflow.backends.native.MOST_KINDS", 50)
    compiled(feed)
    kinds = len({(e.primitive, e.result.type) for e in compiled.program.equations})
    assert kinds > 50
    expected = f"numpy: {kinds} kinds of equations, more than 50, take long to compile"
    assert compiled.why_backend() == expected


@pytest.mark.parametrize("backend", ["numpy", "reference"])
def test_a_backend_that_was_named_is_told_as_such(backend: str) -> None:
    node, feed = arrays()
    compiled = mf.compile(node, backend=backend)
    assert compiled.why_backend() == f"{backend}: {BY_NAME}"
    compiled(feed)
    assert compiled.why_backend() == f"{backend}: {BY_NAME}"


# --- Trainings


def problem(choosing: bool = False) -> tuple[mf.Node, Any]:
    X, y = mf.Input("X"), mf.Input("y")
    W, b = mf.Parameter(np.ones((2, 1)), "W"), mf.Parameter(np.zeros(1), "b")
    out = mf.Linear(X, W, b)
    loss = mf.MSE(Choosing(out) if choosing else out, y)
    x = np.linspace(0, 1, 16).reshape(8, 2)
    return loss, {X: x, y: x.sum(axis=1, keepdims=True)}


def trained(choosing: bool = False, **options: Any) -> mf.History:
    loss, data = problem(choosing)
    options = {"epochs": 1, "rng": 0, "progress": "none", **options}
    return mf.fit(loss, data, mf.SGD(0.01), **options)


@pytest.mark.parametrize("backend", ["numpy", "interpreter"])
def test_a_training_says_what_was_asked_for(backend: str) -> None:
    history = trained(backend=backend)
    assert history.backend == backend
    assert history.why_backend() == f"{backend}: {BY_NAME}"


def test_a_training_says_what_auto_came_to(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, False)
    assert trained().why_backend() == "numpy: llvmlite is not installed"


def test_a_training_that_the_interpreter_runs_says_why_in_one_line() -> None:
    with pytest.warns(UserWarning, match="cannot be compiled"):
        history = trained(choosing=True)
    assert history.backend == "interpreter"
    told = history.why_backend()
    assert told.startswith("interpreter: Choosing 'choosing' (test_what_runs.py:")
    assert "it asks for the number in an array" in told
    assert "\n" not in told


def test_a_training_of_no_epoch_ran_nothing() -> None:
    assert trained(epochs=0).why_backend() == "there was no step"


def test_a_training_that_is_resumed_says_that_it_was_begun_so(tmp_path: Path) -> None:
    path = tmp_path / "training.checkpoint"
    trained(backend="numpy", checkpoint=path)
    for epochs in (1, 2):  # nothing is left to do; one more epoch
        history = trained(epochs=epochs, checkpoint=path, resume=True)
        assert history.why_backend() == "numpy: the training was begun with it"
    named = trained(epochs=3, checkpoint=path, resume=True, backend="numpy")
    assert named.why_backend() == f"numpy: {BY_NAME}"


# --- Estimators


ESTIMATED = [
    ("numpy", "auto", f"numpy: {BY_NAME}"),
    ("interpreter", "auto", f"interpreter: {BY_NAME}"),
    ("auto", "interpreter", "interpreter: all is done before a program would be made"),
    ("auto", "numpy", "numpy: all is done before machine code would be made"),
    ("auto", "auto", "numpy: llvmlite is not installed"),
]


@pytest.mark.filterwarnings("ignore::UserWarning")  # two iterations are not enough
@pytest.mark.parametrize("kind", ["MiniflowClassifier", "MiniflowRegressor"])
@pytest.mark.parametrize(("asked", "rule", "expected"), ESTIMATED)
def test_an_estimator_says_what_ran_its_steps(
    kind: str, asked: str, rule: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("sklearn")
    from miniflow.estimator import learning, perceptron

    learning.forget_learners()
    installed(monkeypatch, False)
    monkeypatch.setattr(perceptron, "backend_for", lambda *sizes: rule)
    X = np.linspace(-1, 1, 40).reshape(20, 2)
    y = (X[:, 0] > 0).astype(int)
    estimator = getattr(mf, kind)((4,), max_iter=2, tol=0, backend=asked, random_state=0)
    assert not hasattr(estimator, "backend_")
    for _ in range(2):  # the second time with what was kept of the first
        estimator.fit(X, y)
        kept = pickle.loads(pickle.dumps(estimator))
        for seen in (estimator, kept):
            assert (seen.backend_, seen.why_backend_) == (expected.partition(":")[0], expected)
    learning.forget_learners()
