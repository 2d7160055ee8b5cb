"""IDX files are read back as they were written, and nothing that a header claims is believed."""

import gzip
import random
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from miniflow.datasets.idx import read_idx, write_idx
from miniflow.errors import DataError

DTYPES = ["uint8", "int8", "int16", "int32", "float32", "float64"]


def idx_bytes(code: int, shape: tuple[int, ...], body: bytes) -> bytes:
    return struct.pack(f">2xBB{len(shape)}I", code, len(shape), *shape) + body


def refused(path: Path, contents: bytes) -> str:
    """The message with which reading `contents` is refused; it names the file."""
    path.write_bytes(contents)
    with pytest.raises(DataError) as caught:
        read_idx(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


def peak_memory_of_refusing(path: Path) -> int:
    tracemalloc.start()
    try:
        with pytest.raises(DataError):
            read_idx(path)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


# Round trips ------------------------------------------------------------------------------------


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data(), ending=st.sampled_from(["", ".gz"]), order=st.sampled_from("<>"))
def test_written_array_is_read_back_exactly(
    tmp_path: Path, data: st.DataObject, ending: str, order: str
) -> None:
    dtype = np.dtype(data.draw(st.sampled_from(DTYPES))).newbyteorder(order)
    shape = hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=5)
    array = data.draw(hnp.arrays(dtype, shape))
    write_idx(tmp_path / f"a{ending}", array)
    seen = read_idx(tmp_path / f"a{ending}")
    assert seen.dtype == dtype.newbyteorder("=")
    assert seen.dtype.isnative
    assert seen.shape == array.shape
    assert seen.tobytes() == array.astype(seen.dtype).tobytes()  # NaNs, too, bit by bit


@pytest.mark.parametrize(
    ("dtype", "code", "body"),
    [
        ("uint8", 0x08, "01 ff"),
        ("int8", 0x09, "01 ff"),
        ("int16", 0x0B, "0001 ffff"),
        ("int32", 0x0C, "00000001 ffffffff"),
        ("float32", 0x0D, "3f800000 bf800000"),
        ("float64", 0x0E, "3ff0000000000000 bff0000000000000"),
    ],
)
def test_bytes_on_disk_are_those_of_the_format(
    tmp_path: Path, dtype: str, code: int, body: str
) -> None:
    array = np.array([1, 255 if dtype == "uint8" else -1], dtype)
    write_idx(tmp_path / "a", array)
    contents = bytes([0, 0, code, 1, 0, 0, 0, 2]) + bytes.fromhex(body)
    assert (tmp_path / "a").read_bytes() == contents
    np.testing.assert_array_equal(read_idx(tmp_path / "a"), array)


def test_non_contiguous_array_is_written_in_c_order(tmp_path: Path) -> None:
    array = np.arange(24, dtype=np.int16).reshape(4, 6).T[::2]
    write_idx(tmp_path / "a", array)
    np.testing.assert_array_equal(read_idx(tmp_path / "a"), array)


def test_array_that_was_read_can_be_written_to(tmp_path: Path) -> None:
    write_idx(tmp_path / "a", np.zeros(3, np.uint8))
    array = read_idx(tmp_path / "a")
    array[1] = 7
    assert array.tolist() == [0, 7, 0]


def test_gzip_is_recognised_by_content_and_not_by_name(tmp_path: Path) -> None:
    array = np.arange(5, dtype=np.int32)
    write_idx(tmp_path / "packed.gz", array)
    write_idx(tmp_path / "plain", array)
    (tmp_path / "packed.gz").rename(tmp_path / "a")
    (tmp_path / "plain").rename(tmp_path / "b.gz")
    np.testing.assert_array_equal(read_idx(tmp_path / "a"), array)
    np.testing.assert_array_equal(read_idx(tmp_path / "b.gz"), array)


def test_gzip_file_of_several_members_is_read_whole(tmp_path: Path) -> None:
    contents = idx_bytes(0x08, (4,), b"abcd")
    (tmp_path / "a").write_bytes(gzip.compress(contents[:6]) + gzip.compress(contents[6:]))
    assert read_idx(tmp_path / "a").tobytes() == b"abcd"


def test_same_array_gives_the_same_bytes_whatever_the_file_is_called(tmp_path: Path) -> None:
    array = np.arange(1000, dtype=np.int16)
    write_idx(tmp_path / "a.gz", array)
    write_idx(tmp_path / "other.gz", array.astype(">i2"))
    contents = (tmp_path / "a.gz").read_bytes()
    assert contents == (tmp_path / "other.gz").read_bytes()
    assert contents[4:8] == bytes(4)  # where gzip would note the time


# What cannot be written --------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["int64", "uint16", "float16", "bool", "complex64", "O", "U3"])
def test_type_without_a_code_is_refused_and_no_file_is_made(tmp_path: Path, dtype: str) -> None:
    with pytest.raises(DataError, match=f"IDX cannot store .*; convert it to {', '.join(DTYPES)}"):
        write_idx(tmp_path / "a", np.zeros(2, dtype))
    assert list(tmp_path.iterdir()) == []


def test_array_without_dimensions_is_refused_and_told_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"at least one dimension; write array\.reshape\(1\)"):
        write_idx(tmp_path / "a", np.float32(3))


def test_length_that_32_bits_cannot_hold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot store shape \(4294967296, 0\)"):
        write_idx(tmp_path / "a", np.empty((2**32, 0), np.uint8))


def test_refused_array_leaves_the_old_file_alone(tmp_path: Path) -> None:
    write_idx(tmp_path / "a", np.array([1], np.uint8))
    with pytest.raises(DataError):
        write_idx(tmp_path / "a", np.array([2], np.int64))
    assert read_idx(tmp_path / "a").tolist() == [1]


# What cannot be read -----------------------------------------------------------------------------


def test_truncated_file_is_refused_with_what_it_claims_and_holds(tmp_path: Path) -> None:
    message = refused(tmp_path / "a", idx_bytes(0x0B, (2, 3), bytes(11)))
    assert message == (
        "its header claims int16 of shape (2, 3), 12 bytes, but only 11 bytes follow."
    )


def test_trailing_byte_is_refused(tmp_path: Path) -> None:
    message = refused(tmp_path / "a", idx_bytes(0x08, (2,), b"abc"))
    assert (
        message
        == "its header claims uint8 of shape (2,), 2 bytes, but the file goes on after them."
    )


def test_trailing_byte_inside_the_gzip_packing_is_refused(tmp_path: Path) -> None:
    message = refused(tmp_path / "a", gzip.compress(idx_bytes(0x08, (2,), b"abc")))
    assert "goes on after them." in message


def test_rubbish_after_the_gzip_packing_is_refused(tmp_path: Path) -> None:
    message = refused(tmp_path / "a", gzip.compress(idx_bytes(0x08, (2,), b"ab")) + b"rubbish")
    assert "its gzip data are damaged" in message


def test_truncated_gzip_file_is_refused_with_what_it_claims(tmp_path: Path) -> None:
    body = random.Random(0).randbytes(1000)
    message = refused(tmp_path / "a", gzip.compress(idx_bytes(0x08, (1000,), body))[:500])
    claim = "its header claims uint8 of shape (1000,), 1,000 bytes"
    assert message.startswith(f"{claim}, but its gzip data are damaged or cut short")


def test_wrong_checksum_in_the_gzip_packing_is_refused(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(idx_bytes(0x08, (2,), b"ab")))
    packed[-8] ^= 1
    assert "CRC" in refused(tmp_path / "a", bytes(packed))


def test_unknown_type_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    message = refused(tmp_path / "a", idx_bytes(0x0A, (1,), b"a"))
    assert message.startswith("unknown type of element, code 0x0a; known: 0x08 uint8, 0x09 int8")


@pytest.mark.parametrize("rank", [0, 65, 255])
def test_number_of_dimensions_that_no_array_has_is_refused(tmp_path: Path, rank: int) -> None:
    message = refused(tmp_path / "a", idx_bytes(0x08, (1,) * rank, b"a"))
    assert message == f"its header claims {rank} dimensions; 1 to 64 can be read."


def test_header_cut_short_is_refused(tmp_path: Path) -> None:
    message = refused(tmp_path / "a", idx_bytes(0x08, (1, 1, 1), b"")[:-2])
    assert message == "ends inside its header, which claims 3 dimensions."


def test_empty_file_and_foreign_file_are_refused(tmp_path: Path) -> None:
    rule = "not an IDX file, which starts with two zero bytes"
    assert refused(tmp_path / "a", b"") == f"{rule}: it is empty."
    assert refused(tmp_path / "a", b"\x89PNG\r\n") == f"{rule}: it starts with 89 50 4e 47."


def test_shape_without_elements_that_numpy_cannot_hold_is_refused(tmp_path: Path) -> None:
    message = refused(tmp_path / "a", idx_bytes(0x08, (2**32 - 1, 2**32 - 1, 2**32 - 1, 0), b""))
    assert "a shape that NumPy cannot hold" in message


def test_missing_file_is_an_ordinary_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_idx(tmp_path / "a")


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_header_that_claims_billions_costs_no_memory(tmp_path: Path, pack: type) -> None:
    path = tmp_path / "a"
    path.write_bytes(pack(idx_bytes(0x0E, (60_000, 28_000, 28_000), b"12345678")))
    assert peak_memory_of_refusing(path) < 4e6


def test_gzip_that_unpacks_to_more_than_claimed_is_left_after_one_byte(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(gzip.compress(idx_bytes(0x08, (10,), bytes(32_000_000)), 1))
    assert peak_memory_of_refusing(path) < 4e6


@pytest.mark.parametrize("pack", [bytes, lambda contents: gzip.compress(contents, mtime=0)])
def test_damaged_file_gives_an_array_or_a_data_error_and_nothing_else(
    tmp_path: Path, pack: type
) -> None:
    original = pack(idx_bytes(0x0B, (3, 4), bytes(range(24))))
    path, randomly, refusals = tmp_path / "a", random.Random(20), []
    for _ in range(300):
        damaged = bytearray(original)
        for _ in range(randomly.randint(1, 4)):
            at = randomly.randrange(len(damaged))
            damaged[at : at + randomly.randint(0, 2)] = randomly.randbytes(randomly.randint(0, 2))
        path.write_bytes(damaged)
        try:
            array = read_idx(path)
        except DataError as error:
            refusals.append(str(error))
        else:
            assert array.nbytes <= len(original) + 8
    assert all(message.startswith(f"{path}: ") for message in refusals)
    assert len(refusals) > 100  # damage to the elements alone cannot be noticed in a plain file


def test_a_gzip_file_that_unpacks_to_very_much_is_refused_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = gzip.compress(idx_bytes(0x08, (80, 1 << 20), bytes(80 << 20)), compresslevel=1)
    message = refused(tmp_path / "a", contents)
    assert "83,886,080 bytes, which is too much for a gzip file of" in message
    assert message.endswith("If you trust it, unpack it with gunzip.")
    monkeypatch.setenv("MINIFLOW_LIMITS", "unpacked=2000")
    assert read_idx(tmp_path / "a").nbytes == 80 << 20
