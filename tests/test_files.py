"""Arrays and a few words about them in one file, and files that are something else."""

import json
import pathlib

import numpy as np
import pytest
from safetensors.numpy import save

from miniflow.errors import ModelFileError
from miniflow.files import read_arrays, write_arrays
from miniflow.networks import build, load_network, save_network, shapes

ARRAYS = {
    "weights": np.arange(6, dtype=np.float32).reshape(2, 3),
    "step": np.array(7, np.int64),
    "none": np.zeros((0, 4)),
    "turned": np.arange(6.0).reshape(2, 3).T,
}


def test_what_is_written_is_read(tmp_path: pathlib.Path) -> None:
    about = {"text": "σ → ½", "large": 2**120, "list": [1, 2.5, None]}
    write_arrays(tmp_path / "f", "note", ARRAYS, about)
    arrays, said = read_arrays(tmp_path / "f", "note")
    assert said == {"kind": "note", **about}
    assert set(arrays) == set(ARRAYS)
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(arrays[name], array)


def test_the_same_contents_give_the_same_bytes_in_any_order(tmp_path: pathlib.Path) -> None:
    backwards = dict(reversed(ARRAYS.items()))
    write_arrays(tmp_path / "a", "note", ARRAYS, {"x": 1, "y": 2})
    write_arrays(tmp_path / "b", "note", backwards, {"y": 2, "x": 1})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_the_same_network_gives_the_same_bytes(tmp_path: pathlib.Path) -> None:
    save_network(build((12, 5, 3), 1), tmp_path / "a")
    save_network(load_network(tmp_path / "a"), tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_network_comes_back_with_what_it_learned(tmp_path: pathlib.Path) -> None:
    network = build((12, 5, 3), 1)
    save_network(network, tmp_path / "m")
    images = np.random.default_rng(0).random((4, 12), np.float32)
    again = load_network(tmp_path / "m")
    assert again.sizes == (12, 5, 3)
    np.testing.assert_array_equal(again.probabilities(images), network.probabilities(images))


def test_a_missing_file_is_an_os_error() -> None:
    with pytest.raises(FileNotFoundError):
        load_network("no-such-model.safetensors")


def whole(tmp_path: pathlib.Path) -> bytes:
    save_network(build((12, 5, 3), 1), tmp_path / "whole")
    return (tmp_path / "whole").read_bytes()


def with_about(text: str, arrays: dict[str, np.ndarray] | None = None) -> bytes:
    if arrays is None:
        arrays = {name: np.zeros(shape, "f4") for name, shape in shapes((12, 5, 3)).items()}
    return save(arrays, {"miniflow": text})


ABOUT = {"kind": "model", "hidden": "relu", "sizes": [12, 5, 3]}
BROKEN = {
    "empty": lambda whole: b"",
    "text": lambda whole: b"hello, this is no model\n" * 10,
    "cut short": lambda whole: whole[:-1],
    "cut in the header": lambda whole: whole[:40],
    "longer": lambda whole: whole + b"\0",
    "a header of a terabyte": lambda whole: (2**40).to_bytes(8, "little") + whole[8:],
    "a pickle": lambda whole: b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00cos\nsystem\n",
    "foreign": lambda whole: save({"a": np.zeros(3)}),
    "foreign words": lambda whole: save({"a": np.zeros(3)}, {"format": "pt"}),
    "no JSON": lambda whole: with_about("{sizes"),
    "nested JSON": lambda whole: with_about("[" * 100_000),
    "a list": lambda whole: with_about("[1]"),
    "another kind": lambda whole: with_about(json.dumps({"kind": "checkpoint"})),
    "no sizes": lambda whole: with_about(json.dumps({"kind": "model", "hidden": "relu"})),
    "sizes that are none": lambda whole: with_about(json.dumps({**ABOUT, "sizes": "12-5"})),
    "a size below zero": lambda whole: with_about(json.dumps({**ABOUT, "sizes": [12, -5, 3]})),
    "an unknown layer": lambda whole: with_about(json.dumps({**ABOUT, "hidden": "eval"})),
    "another network": lambda whole: with_about(json.dumps({**ABOUT, "sizes": [12, 6, 3]})),
    "a huge network": lambda whole: with_about(json.dumps({**ABOUT, "sizes": [10**9, 10**9]})),
    "too few arrays": lambda whole: with_about(json.dumps(ABOUT), {"W1": np.zeros((12, 5), "f4")}),
    "another dtype": lambda whole: with_about(
        json.dumps(ABOUT), {name: np.zeros(s, "i4") for name, s in shapes((12, 5, 3)).items()}
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_or_foreign_file_gives_one_clear_error(kind: str, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(BROKEN[kind](whole(tmp_path)))
    with pytest.raises(ModelFileError, match=r"model\.safetensors: (is|was|holds)") as caught:
        load_network(path)
    assert len(str(caught.value)) < 400 + len(str(path))


def test_every_cut_of_a_model_file_is_noticed(tmp_path: pathlib.Path) -> None:
    data, path = whole(tmp_path), tmp_path / "cut"
    for length in range(0, len(data), 37):
        path.write_bytes(data[:length])
        with pytest.raises(ModelFileError):
            load_network(path)
