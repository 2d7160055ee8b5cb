"""A model that was saved from a list of nodes gives a dictionary by their names."""

import copy
import json
import pathlib
import pickle
from typing import Any

import numpy as np
import pytest

import miniflow as mf
from miniflow.backends.javascript import to_javascript
from miniflow.errors import GraphError, MiniflowError, ModelFileError
from miniflow.files.arrays import read_arrays, write_arrays

x0 = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)


def heads() -> tuple[mf.Input, list[mf.Node]]:
    X = mf.Input("X")
    W = mf.Parameter(np.random.default_rng(1).normal(size=(3, 2)).astype(np.float32), "W")
    hidden = mf.Tanh(X @ W, name="hidden")
    return X, [mf.Softmax(hidden, name="probabilities"), hidden, mf.Sum(hidden, axis=1, name="n")]


@pytest.mark.parametrize("backend", ["reference", "numpy", "native", "auto"])
def test_it_gives_what_the_nodes_give(backend: str, tmp_path: pathlib.Path) -> None:
    X, nodes = heads()
    expected = mf.value(nodes, {X: x0})
    mf.save(nodes, tmp_path / "m.safetensors")
    model = mf.load(tmp_path / "m.safetensors", backend)
    assert model.output_names == ["probabilities", "hidden", "n"]
    for again in (model, copy.copy(model), pickle.loads(pickle.dumps(model))):
        found = again(x0)
        assert list(found) == ["probabilities", "hidden", "n"]
        for got, wanted in zip(found.values(), expected, strict=True):
            np.testing.assert_allclose(got, wanted, rtol=1e-5)
    assert model(x0[:1])["n"].shape == (1,)
    assert list(model.predict(x0)["hidden"]) == list(expected[1].argmax(axis=1))
    assert model.backward_program is None


def test_a_list_of_one_gives_a_dictionary_of_one(tmp_path: pathlib.Path) -> None:
    X, nodes = heads()
    mf.save(nodes[1:2], tmp_path / "m", inputs={X: x0})
    assert list(mf.load(tmp_path / "m")(x0)) == ["hidden"]


def test_losses_in_a_list_are_saved_as_they_are(tmp_path: pathlib.Path) -> None:
    X, nodes = heads()
    y = mf.Input("y")
    loss = mf.CrossEntropyWithSoftmax(nodes[1], y, name="loss")
    labels = np.zeros(5, int)
    mf.save([loss, nodes[1]], tmp_path / "m", inputs={X: x0, y: labels})
    found = mf.load(tmp_path / "m")(x0, labels)
    assert found["loss"] == pytest.approx(mf.value(loss, {X: x0, y: labels}), rel=1e-5)


def test_its_program_prints_as_javascript() -> None:
    X, nodes = heads()
    f = mf.compile(nodes, backend="numpy")
    f({X: x0})
    assert "return" in to_javascript(f.program)


def test_names_that_say_nothing_and_an_empty_list_are_refused(tmp_path: pathlib.Path) -> None:
    X, nodes = heads()
    mf.value(nodes, {X: x0})
    for wrong, message in (
        (
            [nodes[0], mf.Exp(nodes[1])],
            r"save: Exp \(test_several_outputs_saved.py:\d+\) has no name",
        ),
        (
            [nodes[1], mf.Exp(X, name="hidden")],
            r"two outputs are called 'hidden': Tanh 'hidden' \(",
        ),
        ([nodes[1], nodes[1]], r"two outputs are called 'hidden'"),
        ([], r"list of outputs is empty"),
    ):
        with pytest.raises(GraphError, match=message):
            mf.save(wrong, tmp_path / "m")
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize("names", [["a"], ["a", "a", "b"], [], "abc", [1, 2, 3], {"a": 1}])
def test_a_file_with_other_names_than_outputs_is_refused(
    names: Any, tmp_path: pathlib.Path
) -> None:
    X, nodes = heads()
    mf.save(nodes, tmp_path / "m", inputs={X: x0})
    arrays, about = read_arrays(tmp_path / "m", "model")
    about = json.loads(json.dumps(about)) | {"outputs": names}
    del about["kind"]
    write_arrays(tmp_path / "m", "model", arrays, about)
    with pytest.raises(ModelFileError, match=r"is damaged"):
        mf.load(tmp_path / "m")


def test_what_takes_a_model_of_one_output_says_so(tmp_path: pathlib.Path) -> None:
    X = mf.Input("X")
    W = mf.Parameter(np.zeros((784, 10), np.float32), "W")
    logits = mf.MatMul(X, W, name="logits")
    example = np.zeros((2, 784), np.float32)
    mf.save([logits, mf.Softmax(logits, name="p")], tmp_path / "m", inputs={X: example})
    with pytest.raises(MiniflowError, match=r"gives 2 outputs; the page is for a model of one"):
        mf.page(mf.load(tmp_path / "m"), tmp_path / "page.html")
