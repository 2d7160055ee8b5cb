"""An .npz file from a stranger gives its arrays or a DataError, and costs no more than its size."""

import io
import random
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from miniflow.datasets.npz import read_npz
from miniflow.errors import DataError


def npy(array: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def write_zip(path: Path, **members: bytes) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, contents in members.items():
            archive.writestr(f"{name}.npy", contents)


def refused(path: Path, name: str = "a") -> str:
    with pytest.raises(DataError) as caught:
        read_npz(path, [name])
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_are_read_back_and_only_those_asked_for(tmp_path: Path, save: Any) -> None:
    arrays = {
        "a": np.arange(6, dtype=">f4").reshape(2, 3),
        "b": np.asfortranarray(np.arange(6).reshape(2, 3)),
        "c": np.zeros((0, 3), np.uint8),
        "d": np.float64(2),
    }
    save(tmp_path / "x.npz", **arrays, unwanted=np.ones(3))
    seen = read_npz(tmp_path / "x.npz", ["a", "b", "c"], optional=["d", "e"])
    assert list(seen) == ["a", "b", "c", "d"]
    for name, array in seen.items():
        assert array.dtype == arrays[name].dtype
        np.testing.assert_array_equal(array, arrays[name])


def test_missing_array_is_named_beside_those_that_there_are(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x_train=np.ones(1), y_train=np.ones(1))
    assert refused(tmp_path / "x.npz") == "lacks a; it holds x_train, y_train."


def test_file_that_is_no_zip_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.npz").write_bytes(npy(np.ones(3)))
    assert refused(tmp_path / "x.npz").startswith("not an .npz file, a zip of arrays")


def test_python_objects_are_refused_without_being_loaded(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", a=np.array([{"some": "object"}]))
    assert refused(tmp_path / "x.npz") == "a holds Python objects, which are never loaded."


def test_member_that_is_no_array_is_refused(tmp_path: Path) -> None:
    write_zip(tmp_path / "x.npz", a=b"some text")
    assert refused(tmp_path / "x.npz").startswith("a cannot be read")


def test_unknown_version_of_the_array_format_is_refused(tmp_path: Path) -> None:
    write_zip(tmp_path / "x.npz", a=npy(np.ones(3)).replace(b"NUMPY\1\0", b"NUMPY\3\0"))
    assert refused(tmp_path / "x.npz").startswith("a cannot be read (version (3, 0) of the format")


def test_long_header_of_the_second_version_is_read(tmp_path: Path) -> None:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.arange(3), version=(2, 0))
    write_zip(tmp_path / "x.npz", a=stream.getvalue())
    assert read_npz(tmp_path / "x.npz", ["a"])["a"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("held", [31, 33])
def test_array_that_is_shorter_or_longer_than_its_header_claims_is_refused(
    tmp_path: Path, held: int
) -> None:
    contents = npy(np.arange(4, dtype=np.int64)) + b"1"
    write_zip(tmp_path / "x.npz", a=contents[: len(contents) - 33 + held])
    message = refused(tmp_path / "x.npz")
    claim = "the header of a claims int64 of shape (4,), 32 bytes"
    assert message == f"{claim}, but there are {held}."


def test_header_that_claims_billions_costs_no_memory(tmp_path: Path) -> None:
    contents = npy(np.zeros(8)).replace(b"(8,), }" + b" " * 12, b"(8000000000000,), }")
    assert b"(8000000000000,)" in contents
    write_zip(tmp_path / "x.npz", a=contents)
    tracemalloc.start()
    try:
        refused(tmp_path / "x.npz")
        assert tracemalloc.get_traced_memory()[1] < 4e6
    finally:
        tracemalloc.stop()


def test_zip_that_backs_a_claim_it_cannot_hold_is_refused_too(tmp_path: Path) -> None:
    contents = npy(np.zeros(8)).replace(b"(8,), }" + b" " * 8, b"(500000000,), }")
    assert b"(500000000,)" in contents
    write_zip(tmp_path / "x.npz", a=contents)
    zipped = (tmp_path / "x.npz").read_bytes()
    at = zipped.index(b"PK\x01\x02") + 24  # where the directory says how much it unpacks to
    claimed = (len(contents) - 64 + 4_000_000_000).to_bytes(4, "little")
    (tmp_path / "x.npz").write_bytes(zipped[:at] + claimed + zipped[at + 4 :])
    assert "a claims 4,000,000,000 bytes, which is too much for a packed file of" in refused(
        tmp_path / "x.npz"
    )


def test_damaged_file_gives_arrays_or_a_data_error_and_nothing_else(tmp_path: Path) -> None:
    path, randomly, refusals = tmp_path / "x.npz", random.Random(21), []
    np.savez_compressed(path, a=np.arange(40))
    original = path.read_bytes()
    for _ in range(300):
        damaged = bytearray(original)
        for _ in range(randomly.randint(1, 3)):
            at = randomly.randrange(len(damaged))
            damaged[at : at + randomly.randint(0, 2)] = randomly.randbytes(randomly.randint(0, 2))
        path.write_bytes(damaged)
        try:
            array = read_npz(path, ["a"])["a"]
        except DataError as error:
            refusals.append(str(error))
        else:
            np.testing.assert_array_equal(array, np.arange(40))
    assert all(message.startswith(f"{path}: ") for message in refusals)
    assert len(refusals) > 100


def test_what_a_damaged_file_says_is_quoted_in_few_letters(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    write_zip(path, a=b"\x93NUMPY\x01\x00\xff\x20" + b"(" * 9000)
    assert len(refused(path)) < 300
    write_zip(path, **{f"\x1b[31m{i}": npy(1) for i in range(100)})
    told = refused(path)
    assert told.startswith(r"lacks a; it holds \x1b[31m")
    assert len(told) < 300
    assert told.isprintable()
