"""Folders of IDX files under the names that people have."""

from pathlib import Path

import numpy as np
import pytest

from miniflow import datasets
from miniflow.datasets.idx import write_idx
from miniflow.datasets.idx_folders import MNIST_FILES, find_idx_files
from miniflow.datasets.splits import DataWarning
from miniflow.errors import DataError

NAMES = {
    "as they are": "{part}-{kind}-idx{n}-ubyte",
    "packed": "{part}-{kind}-idx{n}-ubyte.gz",
    "dots": "{part}-{kind}.idx{n}-ubyte",
    "upper case": "{part}-{kind}-IDX{n}-UBYTE.GZ",
    "capitals": "{part}-{kind}.Idx{n}-Ubyte",
    "downloaded twice": "{part}-{kind}-idx{n}-ubyte (1).gz",
    "unpacked twice": "{part}-{kind}-idx{n}-ubyte(2)",
    "numbered at the end": "{part}-{kind}-idx{n}-ubyte.gz (3)",
    "a desktop's copy": "{part}-{kind}-idx{n}-ubyte copy 2",
    "underscores": "{part}_{kind}_idx{n}_ubyte",
    "another set": "fashion-{part}-{kind}-idx{n}-ubyte",
}


def images(count: int) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, 4, 6), np.uint8)


def write(folder: Path, name: str, test: str = "t10k") -> None:
    folder.mkdir(exist_ok=True)
    for part, count in (("train", 30), (test, 10)):
        for kind, n in (("images", 3), ("labels", 1)):
            array = images(count) if n == 3 else np.arange(count, dtype=np.uint8) % 3
            path = folder / name.format(part=part, kind=kind, n=n)
            if name.lower().endswith((".gz", ".gz (3)")):
                write_idx(folder / "packed.gz", array)
                (folder / "packed.gz").rename(path)
            else:
                write_idx(path, array)


@pytest.mark.parametrize("test", ["t10k", "test", "T10K"])
@pytest.mark.parametrize("name", NAMES)
def test_the_four_files_are_found_whatever_they_are_called(
    name: str, test: str, tmp_path: Path
) -> None:
    write(tmp_path, NAMES[name], test)
    assert list(find_idx_files(tmp_path)) == list(MNIST_FILES)
    splits = datasets.load(tmp_path)
    np.testing.assert_array_equal(splits.test.images * 255, images(10).reshape(10, -1))


def test_a_folder_for_each_file_is_found(tmp_path: Path) -> None:
    write(tmp_path / "flat", NAMES["dots"])
    for file in (tmp_path / "flat").iterdir():
        (tmp_path / "deep" / file.name).mkdir(parents=True)
        file.rename(tmp_path / "deep" / file.name / file.name)
    assert len(datasets.load(tmp_path / "deep").test) == 10


def test_the_usual_name_comes_first_and_the_plain_file_before_the_packed(tmp_path: Path) -> None:
    for name in ("downloaded twice", "dots", "packed", "as they are"):
        write(tmp_path, NAMES[name])
        found = find_idx_files(tmp_path)["train-labels-idx1-ubyte"]
        assert Path(found).name == NAMES[name].format(part="train", kind="labels", n=1)


def test_files_of_several_sets_are_told_apart_or_refused(tmp_path: Path) -> None:
    write(tmp_path, "emnist-letters-{part}-{kind}-idx{n}-ubyte")
    write(tmp_path, "emnist-digits-{part}-{kind}-idx{n}-ubyte")
    with pytest.raises(DataError, match=r"of several sets, emnist-digits and emnist-letters; give"):
        datasets.load(tmp_path)
    write(tmp_path, NAMES["as they are"])
    assert len(datasets.load(tmp_path).test) == 10


def test_what_only_looks_like_one_of_the_files_is_left_alone(tmp_path: Path) -> None:
    for name in ("train-images-idx3-ubyte.txt", "train-images", "idx3-ubyte", "a.npz"):
        (tmp_path / name).touch()
    assert find_idx_files(tmp_path) == {}


@pytest.mark.parametrize("where", ["names", "folder"])
def test_emnists_images_are_turned_upright(where: str, tmp_path: Path) -> None:
    folder = tmp_path / ("EMNIST-letters" if where == "folder" else "mine")
    prefix = "emnist-letters-" if where == "names" else ""
    write(folder, prefix + NAMES["as they are"], "test")
    splits = datasets.load(folder)
    assert splits.test.image_shape == (6, 4)
    upright = images(10).swapaxes(1, 2).reshape(10, -1)
    np.testing.assert_array_equal(splits.test.images * 255, upright)


def test_as_many_images_as_emnist_has_are_hinted_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets.digits, "EMNIST_TRAINING", (30,))
    for name in MNIST_FILES:
        count = 30 if name.startswith("train") else 10
        shape = (count, 28, 28) if "images" in name else (count,)
        write_idx(tmp_path / name, np.zeros(shape, np.uint8))
    with pytest.warns(DataWarning, match="has as many images as EMNIST, whose files store each on"):
        datasets.load(tmp_path)
