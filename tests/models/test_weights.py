"""Weights by name, into a file and out of it: all or nothing, unless it is asked otherwise."""

import pathlib
from typing import Any

import numpy as np
import pytest

import miniflow as mf
from miniflow import layers
from miniflow.errors import GraphError, MiniflowError, ModelFileError


def network(outputs: int = 3, hidden: int = 5, dtype: Any = np.float32) -> mf.Node:
    X = layers.Input((4,), name="X", dtype=dtype)
    first = layers.Dense(hidden, "relu", name="first")(X)
    node: mf.Node = layers.Dense(outputs, name="head")(first)
    return node


def values(node: mf.Node) -> dict[str, np.ndarray]:
    return {p.name: p.value.copy() for p in mf.parameters(node)}


def same(one: dict[str, np.ndarray], two: dict[str, np.ndarray]) -> bool:
    return one.keys() == two.keys() and all(np.array_equal(one[k], two[k]) for k in one)


@pytest.mark.parametrize("ending", [".safetensors", ""])
def test_weights_come_back_to_the_bit(ending: str, tmp_path: pathlib.Path) -> None:
    one, two = network(), network()
    path = tmp_path / f"w{ending}"
    mf.save_weights(one, path)
    arrays = [p.value for p in mf.parameters(two)]
    report = mf.load_weights(two, path)
    assert same(values(one), values(two))
    assert report.taken == mf.parameters(two).names
    assert (report.missing, report.left, report.misfits) == ([], [], {})
    assert all(p.value is a for p, a in zip(mf.parameters(two), arrays, strict=True))
    first = path.read_bytes()
    mf.save_weights(two, path)
    assert path.read_bytes() == first


def test_a_model_file_has_weights_too(tmp_path: pathlib.Path) -> None:
    one, two = network(), network()
    X = mf.inputs(one)["X"]
    mean = mf.Constant(np.zeros(3, np.float32), "mean")
    shifted = one - mean
    mf.save(shifted, tmp_path / "m.safetensors", inputs={X: np.zeros((1, 4), "f4")})
    mf.load_weights(two - mf.Constant(np.ones(3, np.float32), "mean"), tmp_path / "m.safetensors")
    assert same(values(one), values(two))
    other = network()
    with pytest.raises(ModelFileError, match=r"the graph has no parameter 'mean'"):
        mf.load_weights(other, tmp_path / "m.safetensors")
    assert mf.load_weights(other, tmp_path / "m.safetensors", strict=False).left == ["mean"]


def test_a_compiled_step_goes_on_with_them(tmp_path: pathlib.Path) -> None:
    one, two = network(), network()
    mf.save_weights(one, tmp_path / "w")
    X = mf.inputs(two)["X"]
    f = mf.compile(two)
    feed = {X: np.ones((2, 4), np.float32)}
    f(feed)
    mf.load_weights(two, tmp_path / "w")
    np.testing.assert_allclose(f(feed), mf.value(one, {mf.inputs(one)["X"]: feed[X]}), rtol=1e-6)


def test_what_fits_is_taken_and_the_rest_is_told(tmp_path: pathlib.Path) -> None:
    one, two = network(), network(outputs=2)
    extra = mf.Parameter(np.ones(2, np.float32), "extra")
    graph = two * extra
    mf.save_weights([one, mf.Sum(mf.Parameter([1.0], "old"))], tmp_path / "w")
    before = values(graph)
    with pytest.raises(ModelFileError) as caught:
        mf.load_weights(graph, tmp_path / "w")
    message = str(caught.value)
    assert "it has nothing for Parameter 'extra' (test_weights.py:" in message
    assert "Parameter 'head/W'" in message
    assert "it has shape (5, 2), and (5, 3) in the file" in message
    assert "the graph has no parameter 'old'" in message
    assert "strict=False takes what fits" in message
    assert same(values(graph), before)
    report = mf.load_weights(graph, tmp_path / "w", strict=False)
    assert report.taken == ["first/W", "first/b"]
    assert (report.missing, report.left) == (["extra"], ["old"])
    assert sorted(report.misfits) == ["head/W", "head/b"]
    now = values(graph)
    assert np.array_equal(now["first/W"], values(one)["first/W"])
    assert np.array_equal(now["head/W"], before["head/W"])
    assert str(report).splitlines()[0] == "taken: first/W, first/b"
    with pytest.raises(ModelFileError, match=r"has nothing that fits the graph"):
        mf.load_weights(mf.Sum(extra), tmp_path / "w", strict=False)


def test_dtypes_are_the_parameters_own(tmp_path: pathlib.Path) -> None:
    W = mf.Parameter([1.0, 1e300], "W")
    mf.save_weights(W, tmp_path / "w")
    narrow = mf.Parameter(np.zeros(2, np.float32), "W")
    with pytest.raises(ModelFileError, match=r"a number of the file is none in its dtype, float32"):
        mf.load_weights(narrow, tmp_path / "w")
    assert not narrow.value.any()
    W.value[1] = np.inf
    mf.save_weights(W, tmp_path / "w")
    mf.load_weights(narrow, tmp_path / "w")
    assert narrow.value.dtype == np.float32
    assert narrow.value[1] == np.inf


def test_frozen_ones_are_loaded_and_read_only_ones_refused(tmp_path: pathlib.Path) -> None:
    W, b = mf.Parameter([1.0], "W", trainable=False), mf.Parameter([2.0], "b")
    mf.save_weights(W + b, tmp_path / "w")
    W.value[...] = b.value[...] = 9.0
    b.value.flags.writeable = False
    with pytest.raises(GraphError, match=r"Parameter 'b' .* read-only"):
        mf.load_weights(W + b, tmp_path / "w")
    assert W.value == [9.0]
    b.value = b.value.copy()
    mf.load_weights(W + b, tmp_path / "w")
    assert (W.value, b.value) == ([1.0], [2.0])


@pytest.mark.parametrize("call", ["save", "load"])
def test_names_that_say_nothing_are_refused_with_their_places(
    call: str, tmp_path: pathlib.Path
) -> None:
    path = tmp_path / "w"
    mf.save_weights(mf.Parameter([1.0], "W"), path)
    use: Any = mf.save_weights if call == "save" else mf.load_weights
    same_name = mf.Parameter([1.0], "W") + mf.Parameter([1.0], "W")
    with pytest.raises(GraphError, match=r"same name: 'W': test_weights.py:\d+, test_weights.py"):
        use(same_name, path)
    unnamed = mf.Parameter([1.0]) * mf.Parameter([1.0])
    with pytest.raises(GraphError, match=r"2 parameters have no name: Parameter \(test_weights"):
        use(unnamed, path)
    with pytest.raises(GraphError, match=r"the graph has no Parameter"):
        use(mf.Input("x"), path)


def test_an_ending_of_another_format_is_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(MiniflowError, match=r"would be no file of NumPy"):
        mf.save_weights(mf.Parameter([1.0], "W"), tmp_path / "w.npz")


def test_files_that_hold_none_are_refused_and_an_old_one_stays(tmp_path: pathlib.Path) -> None:
    W = mf.Parameter([1.0], "W")
    path = tmp_path / "w"
    mf.save_weights(W, path)
    whole = path.read_bytes()
    for damaged in (whole[:-1], whole[:-3] + b"abc", b"", b"{}"):
        path.write_bytes(damaged)
        with pytest.raises(ModelFileError, match=r"is damaged"):
            mf.load_weights(W, path)
    with pytest.raises(FileNotFoundError):
        mf.load_weights(W, tmp_path / "none")
    with pytest.raises(FileNotFoundError):
        mf.save_weights(W, tmp_path / "none" / "w")
    path.write_bytes(whole)
    with pytest.raises(ModelFileError, match=r"is a file of weights and not a model"):
        mf.load(path)
    assert W.value == [1.0]
