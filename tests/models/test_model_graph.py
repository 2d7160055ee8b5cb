"""A model file becomes a graph again: it is trained on, differentiated, looked into."""

from __future__ import annotations

import copy
import pickle
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conformance import CASES

import miniflow as mf
from miniflow.backends import COMPARE, RUN, names
from miniflow.errors import ModelFileError
from miniflow.files.arrays import read_arrays, write_arrays
from miniflow.graph.plans import ancestors_in_order
from miniflow.models.model_graph import ParameterWarning
from miniflow.shipped import DIGITS_FILE

BACKENDS = sorted(names(RUN, COMPARE))
GOLDEN = Path(__file__).parents[1] / "golden" / "0.1.0" / "mlp.safetensors"


def convolutional() -> tuple[mf.Node, mf.Node, list[mf.Parameter]]:
    """Images of 6 × 6, a layer of everything that counts its rows, 3 classes."""
    rng = np.random.default_rng(0)
    X = mf.Input("X")
    W = mf.Parameter(rng.normal(size=(3, 3, 1, 2)), "W")
    V = mf.Parameter(rng.normal(size=(18, 3)), "V")
    images = mf.Reshape(X, (-1, 6, 6, 1))
    maps = mf.MaxPool(mf.Tanh(mf.Conv2D(images, W, padding="same")))
    logits = mf.LayerNorm(mf.Flatten(maps) @ V, np.ones(3), np.zeros(3), name="logits")
    return X, logits, [W, V]


def images(count: int) -> np.ndarray:
    return np.random.default_rng(count).normal(size=(count, 36))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    X, logits, _ = convolutional()
    mf.save(logits, tmp_path / "model.safetensors", inputs={X: images(2)})
    return tmp_path / "model.safetensors"


@pytest.mark.parametrize("backend", BACKENDS)
def test_graph_computes_what_the_model_computes_for_any_number_of_rows(
    file: Path, backend: str
) -> None:
    model = mf.load(file)
    graph = model.graph()
    (x,), (output,) = graph.inputs, graph.outputs
    step = mf.compile(output, backend=backend)
    for rows in (1, 2, 5):
        expected = model(images(rows))
        np.testing.assert_allclose(mf.value(output, {x: images(rows)}), expected, rtol=1e-11)
        np.testing.assert_allclose(step({x: images(rows)}), expected, rtol=1e-11)


def test_gradients_are_those_of_the_graph_that_was_saved(file: Path) -> None:
    X, logits, parameters = convolutional()
    graph = mf.load(file).graph()
    assert [p.name for p in graph.parameters] == ["W", "V"]
    mine = mf.Sum(mf.Tanh(graph.outputs[0]))
    theirs = mf.Sum(mf.Tanh(logits))
    _, gradients = mf.value_and_grad(mine, {graph.inputs[0]: images(4)}, graph.parameters)
    _, expected = mf.value_and_grad(theirs, {X: images(4)}, parameters)
    for a, b in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-13)
    mf.check_gradients(mine, {graph.inputs[0]: images(1)}, graph.parameters)


def test_graph_is_trained_by_fit_with_batches_of_any_size(file: Path, tmp_path: Path) -> None:
    graph = mf.load(file).graph()
    y = mf.Input("y")
    loss = mf.CrossEntropyWithSoftmax(graph.outputs[0], y)
    data = {graph.inputs[0]: images(10), y: np.arange(10) % 3}
    before = mf.evaluate(loss, data).loss
    mf.fit(loss, data, mf.Adam(0.02), batch_size=4, epochs=20, progress="none")
    assert mf.evaluate(loss, data).loss < 0.7 * before
    mf.save(loss, tmp_path / "again.safetensors")
    again = mf.load(tmp_path / "again.safetensors")
    expected = mf.value(graph.outputs[0], {graph.inputs[0]: images(3)})
    np.testing.assert_allclose(again(images(3)), expected, rtol=1e-11)
    assert [p.name for p in again.graph().parameters] == ["W", "V"]


def test_graph_has_arrays_of_its_own(file: Path) -> None:
    model = mf.load(file)
    one, other = model.graph(), model.graph()
    before = model(images(2))
    one.parameters[0].value[...] = 0.0
    assert np.any(other.parameters[0].value)
    np.testing.assert_array_equal(model(images(2)), before)


def test_graph_is_differentiated_again(file: Path) -> None:
    graph = mf.load(file).graph()
    (x,), (output,) = graph.inputs, graph.outputs
    (dx,) = mf.gradient(mf.Sum(mf.Tanh(output)), [x])
    penalty = mf.Sum(dx**2)
    for rows in (1, 3):
        value, gradients = mf.value_and_grad(penalty, {x: images(rows)}, graph.parameters)
        found, ours = mf.compile(penalty, graph.parameters)({x: images(rows)})
        np.testing.assert_allclose(found, value, rtol=1e-10)
        for a, b in zip(ours, gradients, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("way", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_graph_is_copied_and_pickled(file: Path, way: Any) -> None:
    graph = mf.load(file).graph()
    expected = mf.value(graph.outputs[0], {graph.inputs[0]: images(3)})
    twin = way(graph)
    np.testing.assert_array_equal(mf.value(twin.outputs[0], {twin.inputs[0]: images(3)}), expected)


def test_graph_is_drawn_and_explored(file: Path) -> None:
    graph = mf.load(file).graph()
    mf.value_and_grad(mf.Sum(graph.outputs[0]), {graph.inputs[0]: images(1)}, [])
    assert "logits" in mf.draw(graph.outputs[0]).text()
    page = mf.draw(graph.outputs[0]).explorer({graph.inputs[0]: images(1)}).html()
    assert page.count("<script") == 2


@pytest.mark.parametrize("name", sorted(CASES)[::6])
def test_model_of_a_learners_class_becomes_a_graph(name: str, tmp_path: Path) -> None:
    output, feed, _, _ = CASES[name](np.float64)
    if output.upstream_is_fed:
        output = output.inbound_nodes[0]
    feed = {n: v for n, v in feed.items() if n in ancestors_in_order(output)}
    mf.save(output, tmp_path / "m.safetensors", inputs=feed)
    model = mf.load(tmp_path / "m.safetensors")
    graph = model.graph()
    given = dict(zip(graph.inputs, feed.values(), strict=True))
    expected = model(*map(np.asarray, feed.values()))
    np.testing.assert_allclose(mf.value(graph.outputs[0], given), expected, rtol=1e-12)


def test_a_loop_in_a_file_becomes_a_loop(tmp_path: Path) -> None:
    xs, W = mf.Input("xs"), mf.Parameter(np.full((2, 2), 0.3), "W")
    states = mf.scan(lambda h, x: mf.Tanh(h @ W + x), np.zeros(2), xs, name="states")
    feed = {xs: np.random.default_rng(0).normal(size=(4, 2))}
    mf.save(states, tmp_path / "loop.safetensors", inputs=feed)
    graph = mf.load(tmp_path / "loop.safetensors").graph()
    for rows in (1, 4, 6):
        given = np.random.default_rng(rows).normal(size=(rows, 2))
        mine = mf.value_and_grad(graph.outputs[0], {graph.inputs[0]: given}, graph.parameters)
        theirs = mf.value_and_grad(states, {xs: given}, [W])
        np.testing.assert_allclose(mine[0], theirs[0], rtol=1e-12)
        np.testing.assert_allclose(mine[1][0], theirs[1][0], rtol=1e-12)


# --- Which arrays are parameters


def test_constants_stay_constants(tmp_path: Path) -> None:
    X, W = mf.Input("X"), mf.Parameter([[2.0], [1.0]], "W")
    mf.save((X * np.array([0.5, 3.0])) @ W, tmp_path / "m.safetensors", inputs={X: np.ones((2, 2))})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [p.name for p in mf.load(tmp_path / "m.safetensors").graph().parameters] == ["W"]


def test_of_an_old_file_every_floating_array_is_a_parameter_and_that_is_said() -> None:
    with pytest.warns(ParameterWarning, match="as those of miniflow 0.1.0: every floating array"):
        graph = mf.load(GOLDEN).graph()
    assert [p.name for p in graph.parameters] == ["W1", "b1", "W2", "b2"]


@pytest.mark.parametrize("parameters", [-1, 99, True, 1.0, "2", [0]])
def test_file_that_says_nonsense_of_its_parameters_is_refused(file: Path, parameters: Any) -> None:
    arrays, about = read_arrays(file, "model")
    write_arrays(file, "model", arrays, {**about, "parameters": parameters})
    with pytest.raises(ModelFileError, match="has not as many arrays as it says"):
        mf.load(file)


@pytest.mark.slow
def test_shipped_model_goes_on_learning(tmp_path: Path) -> None:
    shutil.copy(DIGITS_FILE, tmp_path / "digits.safetensors")
    with warnings.catch_warnings():
        warnings.simplefilter("error", ParameterWarning)
        graph = mf.load(tmp_path / "digits.safetensors").graph()
    pictures, labels = mf.datasets.mnist().test.images[:10], mf.datasets.mnist().test.labels[:10]
    y = mf.Input("y")
    loss = mf.CrossEntropyWithSoftmax(graph.outputs[0], y)
    data = {graph.inputs[0]: pictures.reshape(10, -1), y: (labels + 1) % 10}  # what it never says
    mf.fit(loss, data, mf.Adam(1e-3), epochs=30, batch_size=5, progress="none")
    assert mf.accuracy(loss, data) == 1.0
