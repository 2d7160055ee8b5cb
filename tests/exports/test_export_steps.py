"""A training step in a file goes on as the compiled step does: every optimizer, dropout, loops."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from backends.onnx.judge import checked, operators, run
from backends.onnx.test_onnx_nodes import assert_step_agrees

import miniflow as mf
from miniflow.errors import CompileError
from miniflow.options import OptionError
from miniflow.schedules import CosineDecay

RNG = np.random.default_rng(3)
OPTIMIZERS = {
    "sgd": lambda: mf.SGD(0.1),
    "momentum": lambda: mf.SGD(0.1, momentum=0.9),
    "nesterov, decayed": lambda: mf.SGD(0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "adam": lambda: mf.Adam(0.01),
    "adam, scheduled and clipped": lambda: mf.Adam(
        CosineDecay(0.05, steps=20), global_clipnorm=1.0
    ),
    "adamw": lambda: mf.AdamW(0.01),
    "rmsprop": lambda: mf.RMSprop(0.01),
}


def weights(*shape: int, dtype: Any = "f4") -> mf.Parameter:
    return mf.Parameter((RNG.normal(size=shape) * 0.5).astype(dtype))


def classifier(dtype: Any = "f4", dropout: bool = False) -> tuple[mf.Node, dict[Any, Any]]:
    """A loss, and what is fed."""
    X, y, seed = mf.Input("X"), mf.Input("y"), mf.Input("seed")
    hidden: Any = mf.ReLU(mf.Linear(X, weights(6, 8, dtype=dtype), weights(8, dtype=dtype)))
    feed: dict[Any, Any] = {X: RNG.normal(size=(5, 6)).astype(dtype), y: np.array([0, 2, 1, 1, 0])}
    if dropout:
        hidden = mf.Dropout(hidden, seed, rate=0.4)
        feed[seed] = 12345678901234
    logits = mf.Linear(hidden, weights(8, 3, dtype=dtype), weights(3, dtype=dtype), name="logits")
    return mf.CrossEntropyWithSoftmax(logits, y, name="loss"), feed


def test_a_scheduled_and_clipped_optimizer_goes_on() -> None:
    assert_goes_on("adam, scheduled and clipped", "f4")


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_every_optimizer_goes_on(name: str, dtype: str) -> None:
    assert_goes_on(name, dtype)


def assert_goes_on(name: str, dtype: str) -> None:
    loss, feed = classifier(dtype)
    step = mf.compile(loss, optimizer=OPTIMIZERS[name](), backend="reference")
    data = assert_step_agrees(step, feed, steps=3, ulps=2048, floor=512)
    assert not {name for name in operators(data) if name.startswith("Scatter")}


def test_dropout_drops_the_same_entries() -> None:
    loss, feed = classifier(dropout=True)
    step = mf.compile(loss, optimizer=mf.SGD(0.1), backend="reference")
    assert_step_agrees(step, feed, steps=2, ulps=2048, floor=512)


def graph_of(kind: str) -> tuple[mf.Node, dict[Any, Any]]:
    x, y = mf.Input("x"), mf.Input("y")
    if kind == "cnn":
        maps = mf.MaxPool(mf.ReLU(mf.Conv2D(x, weights(3, 3, 2, 4), weights(4), padding="same")))
        maps = mf.AveragePool(mf.Conv2D(maps, weights(2, 2, 4, 3), stride=2), 2)
        images = RNG.normal(size=(2, 8, 9, 2)).astype("f4")
        return mf.MSE(mf.Flatten(maps), y), {x: images, y: np.ones((2, 3), "f4")}
    if kind == "embedding":
        found = mf.LayerNorm(mf.Gather(weights(7, 4), x), weights(4), weights(4))
        labels = mf.CrossEntropyWithSoftmax(mf.Reshape(found, (-1, 4)), y, label_smoothing=0.1)
        return labels, {x: np.array([[0, 3, 3], [6, 1, 0]]), y: np.array([0, 1, 2, 3, 0, 1])}
    W, U = weights(4, 5), weights(5, 5)

    def step(h: mf.Node, item: mf.Node) -> mf.Node:
        return mf.Tanh(item @ W + h @ U)

    states = mf.scan(step, np.zeros((3, 5), "f4"), x)
    error = mf.MSE(states[-1] @ weights(5, 2), y)
    return error, {x: RNG.normal(size=(6, 3, 4)).astype("f4"), y: np.ones((3, 2), "f4")}


@pytest.mark.breadth("kind")
@pytest.mark.parametrize("kind", ["embedding", "cnn", "recurrent"])
def test_every_kind_of_network_learns(kind: str) -> None:
    loss, feed = graph_of(kind)
    step = mf.compile(loss, optimizer=mf.Adam(0.01), backend="reference")
    data = assert_step_agrees(step, feed, steps=2, ulps=8192, floor=2048)
    assert ("Scan" in operators(data)) == (kind == "recurrent")
    assert not {name for name in operators(data) if name.startswith("Scatter")}


@pytest.mark.parametrize("optimizer", [None, mf.SGD(0.1, momentum=0.5)], ids=["none", "sgd"])
def test_states_go_on(optimizer: Any) -> None:
    x, W = mf.Input("x"), weights(3, 1)
    kept, count = mf.State(np.zeros(3, "f4"), "kept"), mf.State(0, "count")
    centred = mf.SetState(kept, 0.5 * kept + 0.5 * mf.Mean(x, axis=0), then=x - kept)
    loss = mf.Mean((mf.SetState(count, count + 1, then=centred) @ W) ** 2)
    step = mf.compile(loss, optimizer=optimizer, backend="reference")
    feed = {x: RNG.normal(size=(4, 3)).astype("f4")}
    assert_step_agrees(step, feed, steps=2, ulps=2048, floor=512)
    assert count.value == 3


def test_gradients_that_the_step_returns_are_outputs() -> None:
    loss, feed = classifier()
    X = next(iter(feed))
    step = mf.compile(loss, wrt=[X], optimizer=mf.SGD(0.1), backend="reference")
    data = assert_step_agrees(step, feed, steps=1, ulps=2048, floor=512)
    assert len(checked(data).graph.output) == 2 + 4


@pytest.mark.breadth("backend")
@pytest.mark.parametrize("backend", ["numpy", "native"])
def test_what_runs_the_step_does_not_matter(backend: str, tmp_path: Path) -> None:
    if backend == "native":
        pytest.importorskip("llvmlite")
    loss, feed = classifier()
    files = []
    for name in ("reference", backend):
        step = mf.compile(loss, optimizer=mf.SGD(0.0), backend=name)
        step(feed)
        mf.export(step, tmp_path / f"{name}.onnx")
        files.append((tmp_path / f"{name}.onnx").read_bytes())
    assert files[0] == files[1]


@pytest.mark.breadth("bad")
@pytest.mark.parametrize("bad", [np.nan, np.inf, 3e38])
def test_what_is_not_finite_updates_nothing(bad: float, tmp_path: Path) -> None:
    loss, feed = classifier()
    step = mf.compile(loss, optimizer=mf.Adam(0.1))
    step(feed)
    mf.export(step, tmp_path / "step.onnx")
    data = (tmp_path / "step.onnx").read_bytes()
    X, y = feed
    images = feed[X].copy()
    images[0] = bad
    found = run(data, {"X": images, "y": feed[y]})
    state = json.loads({p.key: p.value for p in checked(data).metadata_props}["state"])
    first = run(data, {"X": feed[X], "y": feed[y]})
    kept = {t.name: t for t in checked(data).graph.initializer}
    import onnx

    for name, new in state.items():
        before = onnx.numpy_helper.to_array(kept[name])
        np.testing.assert_array_equal(found[new], before)
        assert not np.array_equal(first[new], before)


def test_metadata_say_what_goes_in_and_what_comes_out(tmp_path: Path) -> None:
    loss, feed = classifier()
    step = mf.compile(loss, optimizer=mf.SGD(0.1, momentum=0.5))
    step(feed)
    mf.export(step, tmp_path / "step.onnx")
    message = checked((tmp_path / "step.onnx").read_bytes())
    metadata = {p.key: p.value for p in message.metadata_props}
    assert metadata["kind"] == "training step"
    inputs = json.loads(metadata["inputs"])
    outputs = json.loads(metadata["outputs"])
    assert [entry["name"] for entry in inputs] == [entry.name for entry in message.graph.input]
    assert [entry["name"] for entry in outputs] == [entry.name for entry in message.graph.output]
    about = {entry["name"]: entry["about"] for entry in inputs}
    assert about["X"] == ""
    assert about["lr"] == "the learning rate"
    assert about["Parameter"] == "a parameter"
    assert about["velocity_0"] == "what the optimizer keeps"
    state = json.loads(metadata["state"])
    assert state["Parameter"] == "Parameter_new"
    assert {*state.values()} < {entry["name"] for entry in outputs}


def test_a_step_that_was_never_called_is_refused(tmp_path: Path) -> None:
    loss, _ = classifier()
    step = mf.compile(loss, optimizer=mf.SGD(0.1))
    with pytest.raises(CompileError, match="Call it once first"):
        mf.export(step, tmp_path / "step.onnx")
    assert not list(tmp_path.iterdir())


def test_what_is_no_training_step_is_refused(tmp_path: Path) -> None:
    loss, feed = classifier()
    compiled = mf.compile(loss)
    compiled(feed)
    with pytest.raises(CompileError, match="without an optimizer"):
        mf.export(compiled, tmp_path / "step.onnx")
    step = mf.compile(loss, optimizer=mf.SGD(0.1))
    step(feed)
    with pytest.raises(OptionError, match=r"a training step is written as \.onnx or \.c"):
        mf.export(step, tmp_path / "step.js")
    with pytest.raises(OptionError, match="of its last call"):
        mf.export(step, tmp_path / "step.onnx", batch=3)
    assert not list(tmp_path.iterdir())


def test_groups_and_frozen_parameters_are_as_in_the_step() -> None:
    loss, feed = classifier()
    W1, b1, W2, b2 = mf.parameters(loss)
    b1.trainable = False
    groups = [(mf.Adam(0.01), [W1]), (mf.SGD(0.1, momentum=0.5), [W2, b2])]
    step = mf.compile(loss, optimizer=groups, backend="reference")
    data = assert_step_agrees(step, feed, steps=2, ulps=2048, floor=512)
    names = {entry.name for entry in checked(data).graph.output}
    assert len([name for name in names if name.startswith("Parameter")]) == 3


@pytest.mark.parametrize("ending", ["onnx", "c"])
def test_a_step_says_that_pixels_are_pixels(ending: str, tmp_path: Path) -> None:
    loss, feed = classifier()
    X = next(iter(feed))
    images = RNG.integers(0, 256, (10, 6), np.uint8)
    data = mf.datasets.Dataset(images, np.arange(10) % 3)
    mf.fit(loss, data, mf.SGD(0.1), epochs=1, batch_size=5, progress="none")
    step = mf.compile(loss, optimizer=mf.SGD(0.1))
    step(feed)
    mf.export(step, tmp_path / f"step.{ending}")
    assert b"pixels from 0 to 1" in (tmp_path / f"step.{ending}").read_bytes()
    assert X.name == "X"
