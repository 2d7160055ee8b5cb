"""The type of a model's inputs is that of what was last fed, to whatever ran it."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import miniflow as mf

Run = Callable[[mf.Node, mf.Node, dict[Any, Any]], Any]


def trained(backend: str) -> Run:
    def run(output: mf.Node, loss: mf.Node, feed: dict[Any, Any]) -> None:
        mf.fit(loss, feed, mf.SGD(0.0), epochs=1, progress="none", backend=backend)

    return run


RUNNERS: dict[str, Run] = {
    "value": lambda output, loss, feed: mf.value(loss, feed),
    "value_and_grad": lambda output, loss, feed: mf.value_and_grad(loss, feed),
    "numpy": lambda output, loss, feed: mf.compile(loss, backend="numpy")(feed),
    "native": lambda output, loss, feed: mf.compile(loss, backend="native")(feed),
    "step": lambda output, loss, feed: mf.compile(loss, optimizer=mf.SGD(0.0))(feed),
    "fit, interpreter": trained("interpreter"),
    "fit, numpy": trained("numpy"),
    "evaluate": lambda output, loss, feed: mf.evaluate(loss, feed),
}
needs_llvmlite = pytest.mark.skipif(find_spec("llvmlite") is None, reason="needs llvmlite")
every_pair = [
    pytest.param(first, last, marks=needs_llvmlite if "native" in (first, last) else ())
    for first in RUNNERS
    for last in RUNNERS
]


def graph() -> tuple[mf.Node, mf.Node, mf.Node, mf.Node]:
    X, y, W = mf.Input("X"), mf.Input("y"), mf.Parameter(np.ones((1, 1)), "W")
    output = X @ W
    return X, y, output, mf.MSE(output, y)


@pytest.mark.breadth("last")
@pytest.mark.parametrize(("first", "last"), every_pair)
def test_the_model_takes_what_was_fed_last(first: str, last: str, tmp_path: Path) -> None:
    X, y, output, loss = graph()
    RUNNERS[first](output, loss, {X: np.array([[1]]), y: np.array([[1.0]])})
    RUNNERS[last](output, loss, {X: np.ones((3, 1)), y: np.ones((3, 1))})
    mf.save(output, tmp_path / "m.safetensors")
    assert mf.load(tmp_path / "m.safetensors")(np.array([[0.5]])) == 0.5


@pytest.mark.parametrize("backend", ["numpy", "native"])
def test_a_step_that_ran_before_and_after_a_look_is_the_last(backend: str, tmp_path: Path) -> None:
    """Nothing is recorded a second time, and yet it was fed."""
    if backend == "native":
        pytest.importorskip("llvmlite")
    X, y, output, loss = graph()
    step = mf.compile(loss, optimizer=mf.SGD(0.0), backend=backend)
    feeds = [{X: np.ones((n, 1)), y: np.ones((n, 1))} for n in (3, 4)]
    for feed in feeds:
        step(feed)
    mf.value(output, {X: np.array([[1]])})
    step(feeds[0])
    mf.save(output, tmp_path / "m.safetensors")
    assert mf.load(tmp_path / "m.safetensors")(np.array([[0.5]])) == 0.5


@pytest.mark.parametrize("backend", ["interpreter", "numpy"])
def test_an_input_of_two_graphs_is_saved_with_the_one_that_is_trained(
    backend: str, tmp_path: Path
) -> None:
    X, y = mf.Input("X"), mf.Input("y")
    wide, narrow = mf.Parameter(np.ones((5, 1))), mf.Parameter(np.ones((2, 1)))
    mf.value(X @ wide, {X: np.ones((3, 5))})
    path = tmp_path / "m.safetensors"
    data = {X: np.ones((4, 2)), y: np.ones((4, 1))}
    callbacks = [mf.ModelCheckpoint(path)]
    loss = mf.MSE(X @ narrow, y)
    mf.fit(loss, data, mf.SGD(0.1), callbacks=callbacks, progress="none", backend=backend)
    assert mf.load(path)(np.ones((7, 2))).shape == (7, 1)
