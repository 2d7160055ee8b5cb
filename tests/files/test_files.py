"""Arrays and a few words about them in one file, and files that are something else."""

import json
import os
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save

import miniflow as mf
from miniflow.errors import ModelFileError, shown
from miniflow.files.arrays import read_arrays, sealed, write_arrays
from miniflow.layers.networks import Network, build

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


def save_model(path: pathlib.Path, seed: int = 1) -> Network:
    """A model file 12-5-3."""
    network = build((12, 5, 3), seed)
    mf.save(network.loss, path, inputs={network.X: np.zeros((1, 12), np.float32)})
    return network


def test_the_same_network_gives_the_same_bytes(tmp_path: pathlib.Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        save_model(tmp_path / name, seed)
    a, b, c = ((tmp_path / name).read_bytes() for name in "abc")
    assert a == b != c


def test_a_network_comes_back_with_what_it_learned(tmp_path: pathlib.Path) -> None:
    network = save_model(tmp_path / "m")
    images = np.random.default_rng(0).random((4, 12), np.float32)
    again = mf.load(tmp_path / "m")
    assert (again.inputs[0].shape, again.outputs, again.parameter_count) == ((None, 12), 3, 83)
    logits = mf.value(network.logits, {network.X: images})
    np.testing.assert_allclose(again(images), logits, rtol=1e-5)


def test_a_missing_file_is_an_os_error() -> None:
    with pytest.raises(FileNotFoundError):
        mf.load("no-such-model.safetensors")


def whole(tmp_path: pathlib.Path) -> bytes:
    save_model(tmp_path / "whole")
    return (tmp_path / "whole").read_bytes()


def changed(whole: bytes, change: Callable[[Any, dict[str, np.ndarray]], object]) -> bytes:
    """A model file whose words about itself, and whose arrays, were changed."""
    length = int.from_bytes(whole[:8], "little")
    about = json.loads(json.loads(whole[8 : 8 + length])["__metadata__"]["miniflow"])
    arrays = load_arrays(whole)
    change(about, arrays)
    return sealed(arrays, about)


def with_about(text: str, arrays: dict[str, np.ndarray] | None = None) -> bytes:
    return save({"a": np.zeros(3)} if arrays is None else arrays, {"miniflow": text})


def all_of_dtype(arrays: dict[str, np.ndarray], dtype: str) -> None:
    arrays.update({name: array.astype(dtype) for name, array in arrays.items()})


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
    "no checksum": lambda whole: with_about(json.dumps({"kind": "model"})),
    "another checksum": lambda whole: with_about(json.dumps({"kind": "model", "sha256": "0" * 64})),
    "a checksum that is none": lambda whole: with_about(
        json.dumps({"kind": "model", "sha256": {"a": [1]}})
    ),
    "no program": lambda whole: changed(whole, lambda about, arrays: about.pop("program")),
    "another format": lambda whole: changed(whole, lambda about, arrays: about.update(format=2)),
    "a program that is none": lambda whole: changed(
        whole, lambda about, arrays: about.update(program="12-5")
    ),
    "a size below zero": lambda whole: changed(
        whole, lambda about, arrays: about["program"]["inputs"][0][0][1].__setitem__(1, -12)
    ),
    "an unknown primitive": lambda whole: changed(
        whole, lambda about, arrays: about["program"]["equations"][0].__setitem__(0, "eval")
    ),
    "another network": lambda whole: changed(
        whole, lambda about, arrays: about["program"]["inputs"][0][0][1].__setitem__(1, 13)
    ),
    "a huge network": lambda whole: changed(
        whole, lambda about, arrays: about["program"]["equations"][0][3].__setitem__(1, [10**9] * 2)
    ),
    "too few arrays": lambda whole: changed(whole, lambda about, arrays: arrays.popitem()),
    "another dtype": lambda whole: changed(
        whole, lambda about, arrays: all_of_dtype(arrays, "int32")
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_or_foreign_file_gives_one_clear_error(kind: str, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(BROKEN[kind](whole(tmp_path)))
    with pytest.raises(ModelFileError, match=r"model\.safetensors: (is|was|holds)") as caught:
        mf.load(path)
    assert len(str(caught.value)) < 400 + len(str(path))


def test_every_cut_of_a_model_file_is_noticed(tmp_path: pathlib.Path) -> None:
    data, path = whole(tmp_path), tmp_path / "cut"
    for length in range(0, len(data), 37):
        path.write_bytes(data[:length])
        with pytest.raises(ModelFileError):
            mf.load(path)


def test_a_flipped_bit_in_every_byte_of_a_file_is_noticed(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "f"
    write_arrays(path, "note", {"odd\x1fname": np.arange(3.0)}, {"text": "σ\n", "\x1b": [1e-9]})
    data = path.read_bytes()
    for place in range(len(data)):
        flipped = bytearray(data)
        flipped[place] ^= 1 << place % 8
        path.write_bytes(flipped)
        with pytest.raises(ModelFileError):
            read_arrays(path, "note")
    path.write_bytes(data)
    assert read_arrays(path, "note")[1]["text"] == "σ\n"


def test_a_changed_array_is_noticed_though_all_sizes_are_right(tmp_path: pathlib.Path) -> None:
    data, path = whole(tmp_path), tmp_path / "m"
    path.write_bytes(data[:-4] + b"\0\0\0\1")
    with pytest.raises(ModelFileError, match="its checksum is not that of its contents"):
        mf.load(path)


def test_words_that_look_like_the_checksum_do_not_confuse_it(tmp_path: pathlib.Path) -> None:
    path, zeros = tmp_path / "f", "0" * 64
    about = {"a": f'"sha256":"{zeros}"', "b": {"sha256": zeros}, "~": zeros}
    write_arrays(path, "note", {f'"sha256":"{zeros}"': np.zeros(2)}, about)
    assert read_arrays(path, "note")[1] == {"kind": "note", **about}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_or_a_device_is_refused_and_not_waited_for(tmp_path: pathlib.Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", pathlib.Path("/dev/zero")):
        with pytest.raises(ModelFileError, match="is a pipe or a device"):
            read_arrays(path, "note")
    with pytest.raises(IsADirectoryError):
        read_arrays(tmp_path, "note")


def test_what_a_file_says_of_itself_cannot_command_a_terminal(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "f"
    write_arrays(path, "\x1b[31mnote\n" * 100, {}, {})
    with pytest.raises(ModelFileError) as caught:
        read_arrays(path, "model")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 200 + len(str(path))
    assert shown("a\x00b") == r"a\x00b"
