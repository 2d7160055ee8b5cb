"""MNIST is the published one, split as custom has it; a user's own files are checked and split."""

import gzip
import hashlib
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from miniflow import datasets
from miniflow.datasets import digits
from miniflow.datasets.digits import EMBEDDED
from miniflow.datasets.idx import write_idx
from miniflow.datasets.idx_folders import MNIST_FILES
from miniflow.datasets.splits import DataWarning
from miniflow.errors import DataError


def write_folder(folder: Path, training: int = 60, test: int = 20, ending: str = "") -> Path:
    """A folder of four small IDX files of 4 × 3 images; images and labels tell their numbers."""
    folder.mkdir(exist_ok=True)
    for name, count in zip(MNIST_FILES, (training, training, test, test), strict=True):
        numbers = np.arange(count) % 251
        images = np.broadcast_to(numbers[:, None, None], (count, 4, 3))
        array = images if "images" in name else numbers
        write_idx(folder / f"{name}{ending}", array.astype(np.uint8))
    return folder


def refused(source: Any) -> str:
    with pytest.raises(DataError) as caught:
        datasets.load(source)
    message = str(caught.value)
    assert message.startswith(str(source))
    return message.removeprefix(str(source))


# MNIST itself -------------------------------------------------------------------------------------


def test_embedded_files_are_the_published_ones_and_the_note_beside_them_says_so() -> None:
    note = Path(EMBEDDED, "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"\| (\S+-ubyte) \| ([\d,]+) \| (\w{32}) \| (\w{64}) \|", note)
    assert [row[0] for row in rows] == list(MNIST_FILES)
    for name, size, md5, sha256 in rows:
        contents = gzip.decompress(Path(EMBEDDED, f"{name}.gz").read_bytes())
        assert f"{len(contents):,}" == size
        assert hashlib.md5(contents, usedforsecurity=False).hexdigest() == md5
        assert hashlib.sha256(contents).hexdigest() == sha256
    assert "CC BY-SA 3.0" in note


def test_mnist_has_its_known_sizes_labels_and_pixels() -> None:
    train, validation, test = datasets.mnist()
    assert (len(train), len(validation), len(test)) == (55_000, 5_000, 10_000)
    for data in (train, validation, test):
        assert data.images.shape == (len(data), 784)
        assert data.images.dtype == np.float32
        assert (data.images.min(), data.images.max()) == (0, 1)
        assert data.labels.shape == (len(data),)
        assert data.image_shape == (28, 28)
    training = np.bincount(train.labels) + np.bincount(validation.labels)
    assert training.tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(test.labels).tolist() == [
        *[980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    ]
    assert validation.labels[:5].tolist() == [5, 0, 4, 1, 9]  # as the training file begins


def test_second_load_has_the_same_arrays_and_an_epoch_of_its_own() -> None:
    first, second = datasets.mnist(), datasets.mnist()
    for one, other in zip(first, second, strict=True):
        assert one.images is other.images
        assert one.labels is other.labels
    walk = first.test.next_batch(5)[1].tolist()
    assert second.test.next_batch(5)[1].tolist() == walk
    assert datasets.load("mnist").test.images is first.test.images


def test_threads_that_load_at_once_read_the_files_once(monkeypatch: pytest.MonkeyPatch) -> None:
    small = datasets.Splits(*(datasets.Dataset(np.zeros((3, 2)), [0, 1, 2]) for _ in range(3)))
    start, reads, seen = threading.Barrier(8), [], []

    def read_slowly(folder: str) -> datasets.Splits:
        reads.append(folder)
        time.sleep(0.05)
        return small

    def load() -> None:
        start.wait()
        seen.append(datasets.mnist())

    monkeypatch.setattr(digits, "load_folder", read_slowly)
    digits._load_embedded.cache_clear()
    try:
        threads = [threading.Thread(target=load) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        digits._load_embedded.cache_clear()
    assert reads == [digits.EMBEDDED]
    assert len(seen) == 8
    assert all(splits.train.images is small.train.images for splits in seen)


def test_importing_the_package_neither_reads_mnist_nor_loads_what_only_reading_needs() -> None:
    code = """if True:
        import sys, numpy
        before = set(sys.modules)
        from miniflow.datasets import digits
        print(digits._load_embedded.cache_info().currsize)
        print(*{"zipfile", "concurrent.futures"} & set(sys.modules) - before)
    """
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert run.stdout.split() == ["0"]


# A folder of IDX files ----------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_folder_of_idx_files_is_loaded(tmp_path: Path, ending: str) -> None:
    train, validation, test = datasets.load(write_folder(tmp_path, ending=ending))
    assert (len(train), len(validation), len(test)) == (54, 6, 20)
    assert train.images.shape == (54, 12)
    assert train.image_shape == (4, 3)
    np.testing.assert_array_equal(test.labels, np.arange(20))
    for data in (train, validation, test):
        pixels = data.labels.astype(np.uint8) / np.float32(255)
        np.testing.assert_array_equal(data.images[:, 5], pixels)


def test_sixty_thousand_training_images_give_their_first_five_thousand_to_validation(
    tmp_path: Path,
) -> None:
    train, validation, test = datasets.load(str(write_folder(tmp_path, training=60_000)))
    numbers = np.arange(60_000) % 251
    np.testing.assert_array_equal(validation.labels, numbers[:5_000])
    np.testing.assert_array_equal(train.labels, numbers[5_000:])
    assert len(test) == 20


def test_unpacked_file_goes_before_a_packed_one_of_the_same_name(tmp_path: Path) -> None:
    write_folder(tmp_path, test=20, ending=".gz")
    write_idx(tmp_path / MNIST_FILES[3], np.full(20, 9, np.uint8))
    assert datasets.load(tmp_path).test.labels.tolist() == [9] * 20


def test_missing_files_are_named(tmp_path: Path) -> None:
    write_folder(tmp_path)
    for name in (MNIST_FILES[1], MNIST_FILES[2]):
        (tmp_path / name).unlink()
    assert refused(tmp_path) == (
        ": lacks train-labels-idx1-ubyte, t10k-images-idx3-ubyte (plain or with .gz)."
    )


def test_damaged_file_in_a_folder_is_named(tmp_path: Path) -> None:
    path = write_folder(tmp_path) / MNIST_FILES[2]
    path.write_bytes(path.read_bytes()[:-1])
    claim = "its header claims uint8 of shape (20, 4, 3)"
    assert refused(tmp_path).startswith(f"{os.sep}{path.name}: {claim}")


def test_files_of_a_folder_that_do_not_belong_together_are_named(tmp_path: Path) -> None:
    write_folder(tmp_path)
    write_idx(tmp_path / MNIST_FILES[3], np.zeros(19, np.uint8))
    message = refused(tmp_path)
    assert "t10k-images-idx3-ubyte has 20 images but " in message
    assert message.endswith("t10k-labels-idx1-ubyte has 19 labels.")


def test_images_of_another_size_for_the_test_are_refused(tmp_path: Path) -> None:
    write_folder(tmp_path)
    write_idx(tmp_path / MNIST_FILES[2], np.zeros((20, 3, 4), np.uint8))
    assert refused(tmp_path) == ": test images of shape (3, 4), training ones of (4, 3)."


# An .npz file -------------------------------------------------------------------------------------


def numbered(count: int, first: int = 0) -> dict[str, np.ndarray[Any, Any]]:
    numbers = np.arange(first, first + count)
    return {"images": np.repeat(numbers[:, None], 3, axis=1).astype(np.float32), "labels": numbers}


def prefixed(prefix: str, arrays: dict[str, Any]) -> dict[str, Any]:
    return {f"{prefix}_{name}": array for name, array in arrays.items()}


def test_npz_with_all_three_parts_keeps_them(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    extra = prefixed("validation", numbered(3, 10)) | prefixed("test", numbered(4, 20))
    np.savez(path, **numbered(10), **extra)
    with pytest.warns(DataWarning) as told:
        splits = datasets.load(path)
    assert [data.images[:, 0].tolist() for data in splits] == [
        list(range(10)),
        [10, 11, 12],
        [20, 21, 22, 23],
    ]
    assert len(told) == 3  # no training example has these labels; there are gaps between them


LABELS = [
    (list(range(1, 27)), 26, r"its labels are not 0 to 25 but 1 to 26\. They become 26 classes"),
    ([0, 10**8], 2, "not 0 to 1 but 0, 100000000"),
    ([3, 1, 7], 3, "not 0 to 2 but 1, 3, 7"),
    ([2 * i for i in range(9)], 9, r"not 0 to 8 but 0, 2, 4, \.\.\., 16"),
]


@pytest.mark.parametrize(("labels", "classes", "message"), LABELS)
def test_labels_with_gaps_become_classes_that_keep_their_names(
    tmp_path: Path, labels: list[int], classes: int, message: str
) -> None:
    path, given = tmp_path / "x.npz", np.array(labels * 20)
    np.savez(path, images=np.repeat(given[:, None] / 1e9, 4, axis=1), labels=given)
    with pytest.warns(DataWarning, match=message):
        splits = datasets.load(path)
    for data in splits:
        assert data.class_names == tuple(map(str, sorted(labels)))
        back = np.array([int(data.class_names[label]) for label in data.labels])
        np.testing.assert_allclose(back / 1e9, data.images[:, 0], rtol=1e-6)
    assert max(int(data.labels.max()) for data in splits) == classes - 1


def test_a_label_that_training_lacks_is_told_and_counts_as_not_recognised(tmp_path: Path) -> None:
    arrays = numbered(100) | prefixed("test", numbered(3, 98))
    arrays["labels"] = np.arange(100) % 10
    arrays["test_labels"] = np.array([1, 9, 10])
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.warns(DataWarning, match="no training example has the label 10, which the test"):
        splits = datasets.load(tmp_path / "x.npz")
    assert splits.test.labels.tolist() == [1, 9, 10]
    assert splits.test.class_names is None


def test_npz_without_parts_sets_the_same_tenths_aside_each_time(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, **numbered(200))
    first, second = datasets.load(path), datasets.load(str(path))
    assert [len(data) for data in first] == [162, 18, 20]
    assert sorted(np.concatenate([data.labels for data in first]).tolist()) == list(range(200))
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one.labels, other.labels)
        np.testing.assert_array_equal(one.images[:, 0], one.labels)
    assert first.test.labels.max() - first.test.labels.min() > 100  # from all over the file


def test_test_set_stays_the_same_when_validation_is_given(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **numbered(50))
    np.savez(tmp_path / "b.npz", **numbered(50), **prefixed("validation", numbered(5)))
    a, b = datasets.load(tmp_path / "a.npz"), datasets.load(tmp_path / "b.npz")
    assert a.test.labels.tolist() == b.test.labels.tolist()


def test_three_examples_are_enough_and_two_are_not(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, **numbered(3))
    assert [len(data) for data in datasets.load(path)] == [1, 1, 1]
    np.savez(path, **numbered(2))
    assert refused(path) == ": too few examples to set some aside for validation and test."


@pytest.mark.parametrize("dtype", [np.float16, np.float64, ">f4"])
def test_float_images_are_served_unscaled_as_float32(tmp_path: Path, dtype: Any) -> None:
    images = np.linspace(-300, 300, 60).reshape(10, 2, 3, 1).astype(dtype)
    np.savez(tmp_path / "x.npz", images=images, labels=np.zeros(10, np.int8))
    train = datasets.load(tmp_path / "x.npz").train
    assert train.images.dtype == np.float32
    assert train.images.dtype.isnative
    assert train.image_shape == (2, 3, 1)
    expected = images.astype(np.float32).reshape(10, 6)
    assert all(row in expected.tolist() for row in train.images.tolist())


def with_bad_value(value: float) -> np.ndarray[Any, Any]:
    images = np.zeros((4, 2, 2))
    images[2, 0, 1] = value
    return images


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": np.zeros((3, 2))}, ": images has 3 images but {}: labels has 4 labels"),
        ({"images": np.zeros(4)}, ": images: shape (4,), where (n, d), (n, height, width) or"),
        ({"images": np.zeros((4, 1, 1, 1, 1))}, ": images: shape (4, 1, 1, 1, 1), where"),
        ({"images": np.zeros((0, 2)), "labels": np.zeros(0, int)}, ": images: shape (0, 2), where"),
        ({"images": np.zeros((4, 0))}, ": images: shape (4, 0), where"),
        ({"images": np.zeros((4, 2), np.int64)}, ": images: int64, where uint8 (0 to 255) or fl"),
        ({"images": np.zeros((4, 2), bool)}, ": images: bool, where uint8 (0 to 255) or floats"),
        ({"images": np.zeros((4, 2), complex)}, ": images: complex128, where uint8"),
        ({"images": with_bad_value(np.nan)}, ": images: nan at [2, 0, 1], where finite float32"),
        ({"images": with_bad_value(-np.inf)}, ": images: -inf at [2, 0, 1], where finite"),
        ({"images": with_bad_value(1e300)}, ": images: 1e+300 at [2, 0, 1], where finite"),
        ({"labels": np.zeros(4)}, ": labels: float64 of shape (4,), where whole numbers of shape"),
        ({"labels": np.zeros(4, bool)}, ": labels: bool of shape (4,), where whole numbers"),
        ({"labels": np.eye(4, dtype=int)}, "for one-hot rows use labels.argmax(axis=1)"),
        ({"labels": np.array([0, 1, -1, 0])}, ": labels: -1 among the labels; classes count from"),
        ({"labels": np.array([2**63] * 4, np.uint64)}, ": labels: 9223372036854775808 among"),
        ({"labels": np.array(["a"] * 4)}, ": labels: <U1 of shape (4,), where whole numbers"),
        ({"test_images": np.zeros((1, 2))}, ": holds test_images but lacks test_labels"),
        ({"test_labels": np.zeros(1)}, ": holds test_labels but lacks test_images"),
        (prefixed("test", numbered(4)), ": test images of shape (3,), training ones of (2,)"),
    ],
)
def test_arrays_that_are_no_classified_images_are_refused(
    tmp_path: Path, arrays: dict[str, Any], message: str
) -> None:
    path = tmp_path / "x.npz"
    good = {"images": np.zeros((4, 2)), "labels": np.arange(4)}
    np.savez(path, **(good | arrays))
    assert message.format(path) in refused(path)


def test_npz_without_labels_is_refused_with_what_it_holds(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", images=np.zeros((4, 2)), y=np.zeros(4))
    assert refused(tmp_path / "x.npz") == ": lacks labels; it holds images, y."


# Anything else ------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.write_bytes(b"1,2,3\n")])
def test_source_that_is_none_of_these_is_refused(
    tmp_path: Path, make: Callable[[Path], Any]
) -> None:
    path = tmp_path / "table.csv"
    make(path)
    expected = (
        "not an .npz file, a zip of arrays" if path.exists() else "no such data; give 'mnist'"
    )
    assert refused(path).startswith(f": {expected}")
