"""Notebooks written for TensorFlow's tutorial loader find the same names and meanings."""

from pathlib import Path

import numpy as np
import pytest

from miniflow import datasets
from miniflow.datasets import input_data
from miniflow.datasets.idx import write_idx
from miniflow.datasets.idx_folders import MNIST_FILES
from miniflow.errors import DataError


def write_folder(folder: Path, greatest_label: int = 9, dtype: type = np.uint8) -> Path:
    for name in MNIST_FILES:
        labels = np.full(30, greatest_label, dtype)
        write_idx(folder / name, np.zeros((30, 2, 2), np.uint8) if "images" in name else labels)
    return folder


def test_labs_cells_run() -> None:
    mnist = input_data.read_data_sets("MNIST_data/", one_hot=False)
    X_batch, y_batch = mnist.train.next_batch(128)
    assert X_batch.shape == (128, 784)
    assert y_batch.shape == (128,)
    X_val, y_val = mnist.validation.images, mnist.validation.labels.astype(np.int8)
    X_test, y_test = mnist.test.images, mnist.test.labels.astype(np.int8)
    assert (len(X_val), len(X_test)) == (5_000, 10_000)
    np.testing.assert_array_equal(y_val, mnist.validation.labels)
    np.testing.assert_array_equal(y_test, mnist.test.labels)
    assert mnist.train.num_examples == 55_000


def test_one_hot_rows_stand_for_the_labels_and_are_float32() -> None:
    plain = input_data.read_data_sets("MNIST_data/")
    mnist = input_data.read_data_sets("MNIST_data/", one_hot=True)
    for rows, labels in (
        (data.labels, same.labels) for data, same in zip(mnist, plain, strict=True)
    ):
        assert rows.dtype == np.float32
        np.testing.assert_array_equal(rows, np.eye(10)[labels])
    images, rows = mnist.train.next_batch(64)
    same_images, labels = plain.train.next_batch(64)
    np.testing.assert_array_equal(images, same_images)
    np.testing.assert_array_equal(rows.argmax(axis=1), labels)


def test_each_call_begins_its_own_epoch_over_shared_arrays() -> None:
    first, second = (input_data.read_data_sets("MNIST_data/") for _ in range(2))
    assert first.test.images is second.test.images is datasets.mnist().test.images
    walk = first.test.next_batch(20)[1].tolist()
    assert second.test.next_batch(20)[1].tolist() == walk
    assert first.test.next_batch(20)[1].tolist() != walk


def test_seed_shuffles_otherwise() -> None:
    first, second = (input_data.read_data_sets("MNIST_data/", seed=seed) for seed in (0, 1))
    assert first.test.next_batch(20)[1].tolist() != second.test.next_batch(20)[1].tolist()


def test_folder_with_the_files_goes_before_the_embedded_ones(tmp_path: Path) -> None:
    mnist = input_data.read_data_sets(write_folder(tmp_path))
    assert [len(data) for data in mnist] == [27, 3, 30]
    assert mnist.train.image_shape == (2, 2)


def test_folder_without_the_files_leaves_the_embedded_ones_and_stays_empty(tmp_path: Path) -> None:
    assert input_data.read_data_sets(str(tmp_path)).train.num_examples == 55_000
    assert input_data.read_data_sets(tmp_path / "none").train.num_examples == 55_000
    assert list(tmp_path.iterdir()) == []


def test_folder_with_some_of_the_files_is_refused_with_those_that_it_lacks(tmp_path: Path) -> None:
    (write_folder(tmp_path) / MNIST_FILES[1]).unlink()
    with pytest.raises(DataError, match="lacks train-labels-idx1-ubyte "):
        input_data.read_data_sets(tmp_path)


def test_damaged_file_is_not_passed_over_for_the_embedded_one(tmp_path: Path) -> None:
    (write_folder(tmp_path) / MNIST_FILES[3]).write_bytes(b"not IDX")
    with pytest.raises(DataError, match="t10k-labels-idx1-ubyte: not an IDX file"):
        input_data.read_data_sets(tmp_path)


def test_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(DataError, match="a file, where a folder"):
        input_data.read_data_sets(tmp_path / "a")


def test_labels_beyond_nine_make_wider_one_hot_rows_up_to_a_bytes_worth(tmp_path: Path) -> None:
    mnist = input_data.read_data_sets(write_folder(tmp_path, 25), one_hot=True)
    assert mnist.test.labels.shape == (30, 26)
    write_folder(tmp_path, 2**31 - 1, np.int32)
    with pytest.raises(DataError, match="label 2147483647 is too great for one-hot rows"):
        input_data.read_data_sets(tmp_path, one_hot=True)
