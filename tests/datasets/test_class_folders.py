"""A folder of pictures with one subfolder a class."""

import os
import pathlib

import numpy as np
import pytest

import miniflow as mf
from miniflow.datasets import is_class_folder
from miniflow.datasets.class_folders import read_picture
from miniflow.errors import DataError

Image = pytest.importorskip("PIL.Image", reason="pictures need Pillow")


def put(folder: pathlib.Path, name: str, pixels: object) -> pathlib.Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path)
    return path


def shades(folder: pathlib.Path, count: int = 12, size: tuple[int, int] = (6, 5)) -> None:
    """Dark and light pictures, the dark ones as PNG, the light ones as JPEG."""
    for i in range(count):
        put(folder, f"dark/{i:02}.png", np.full(size, i))
        put(folder, f"light/{i:02}.jpg", np.full(size, 200 + i))


def test_subfolders_are_classes_and_their_names_are_kept(tmp_path: pathlib.Path) -> None:
    shades(tmp_path)
    splits = mf.datasets.load(tmp_path)
    assert [len(part) for part in splits] == [20, 2, 2]
    for part in splits:
        assert part.class_names == ("dark", "light")
        assert part.image_shape == (6, 5)
        assert part.images.dtype == np.float32
        assert ((part.images.mean(axis=1) > 0.5) == part.labels).all()
    assert (mf.datasets.load(str(tmp_path)).test.images == splits.test.images).all()


def test_names_go_with_the_labels(tmp_path: pathlib.Path) -> None:
    shades(tmp_path)
    train = mf.datasets.load(tmp_path).train
    assert train.fresh().class_names == ("dark", "light")
    assert train.with_labels(1 - train.labels).class_names is None


def test_pictures_of_one_small_size_are_left_as_they_are(tmp_path: pathlib.Path) -> None:
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (4, 9, 7), np.uint8)
    for i, pixels in enumerate(pictures):
        put(tmp_path, f"train/{i % 2}/{i}.png", pixels)
        put(tmp_path, f"test/{i % 2}/{i}.png", pixels)
    splits = mf.datasets.load(tmp_path)
    in_order = pictures[[0, 2, 1, 3]].reshape(4, -1)
    assert (splits.test.images == in_order / np.float32(255)).all()
    assert splits.test.labels.tolist() == [0, 0, 1, 1]
    assert [len(part) for part in splits] == [3, 1, 4]


@pytest.mark.parametrize(("side", "kept"), [(64, (64, 3)), (65, (28, 28))])
def test_pictures_are_left_as_they_are_up_to_64_pixels(
    tmp_path: pathlib.Path, side: int, kept: tuple[int, int]
) -> None:
    shades(tmp_path, 4, (side, 3))
    assert mf.datasets.load(tmp_path).train.image_shape == kept


def test_pictures_of_many_sizes_are_made_to_fit_28_by_28(tmp_path: pathlib.Path) -> None:
    shades(tmp_path, 10)
    put(tmp_path, "dark/wide.png", np.full((50, 100), 51))
    splits = mf.datasets.load(tmp_path)
    assert splits.train.image_shape == (28, 28)
    assert splits.train.images.shape[1] == 784
    wide = read_picture(tmp_path / "dark" / "wide.png", (28, 28))
    everything = np.concatenate([part.images for part in splits])
    assert (everything == wide.reshape(-1) / np.float32(255)).all(axis=1).any()


def test_fitting_keeps_proportions_centres_and_fills_with_the_border(
    tmp_path: pathlib.Path,
) -> None:
    pixels = np.full((20, 40), 100)
    pixels[5:15, 10:30] = 240
    fitted = read_picture(put(tmp_path, "a.png", pixels), (28, 28))
    assert (fitted[:7] == 100).all()
    assert (fitted[21:] == 100).all()
    assert fitted[14, 14] == 240
    assert (fitted[14] > 200).sum() == 14  # half of the width, as before
    assert (fitted[:, 14] > 160).sum() == 8  # 7, and the two edges half covered
    tall = read_picture(put(tmp_path, "b.png", pixels.T), (28, 28))
    assert (tall == fitted.T).all()


def test_colours_become_grey_by_their_luma(tmp_path: pathlib.Path) -> None:
    colours = np.zeros((4, 4, 3), np.uint8)
    colours[..., 1] = 255
    assert (read_picture(put(tmp_path, "green.png", colours)) == 150).all()  # 0.587 · 255


def test_classes_that_are_numbers_are_in_their_order(tmp_path: pathlib.Path) -> None:
    for name in ("10", "9", "1"):
        for i in range(2):
            put(tmp_path, f"{name}/{i}.png", np.full((4, 4), int(name)))
    splits = mf.datasets.load(tmp_path)
    assert splits.train.class_names == ("1", "9", "10")


def test_hidden_files_and_folders_are_passed_over(tmp_path: pathlib.Path) -> None:
    shades(tmp_path)
    (tmp_path / "dark" / ".DS_Store").write_bytes(b"no picture")
    (tmp_path / ".cache").mkdir()
    assert mf.datasets.load(tmp_path).train.class_names == ("dark", "light")


def test_a_part_may_lack_a_class_but_not_have_another(tmp_path: pathlib.Path) -> None:
    shades(tmp_path / "train")
    put(tmp_path, "test/light/a.png", np.full((6, 5), 250))
    assert mf.datasets.load(tmp_path).test.labels.tolist() == [1]
    put(tmp_path, "test/grey/a.png", np.full((6, 5), 99))
    with pytest.raises(DataError, match=r"test.grey: there is no such class to train on; there ar"):
        mf.datasets.load(tmp_path)


def test_mistakes_name_the_file_or_the_folder(tmp_path: pathlib.Path) -> None:
    def told(folder: pathlib.Path) -> str:
        with pytest.raises(DataError) as caught:
            mf.datasets.load(folder)
        return str(caught.value)

    empty, one, lacking, text, cut = (tmp_path / name for name in "abcde")
    empty.mkdir()
    assert "nor a subfolder of pictures for each class" in told(empty)
    put(one, "cat/1.png", np.zeros((4, 4)))
    assert "has 1 subfolder, and needs one for each class" in told(one)
    shades(lacking)
    (lacking / "grey").mkdir()
    assert told(lacking) == f"{lacking / 'grey'}: holds no pictures."
    shades(text)
    (text / "dark" / "notes.txt").write_text("these are dark")
    assert told(text).startswith(f"{text / 'dark' / 'notes.txt'}: is a text file")
    shades(cut)
    path = put(cut, "dark/00.png", np.random.default_rng(0).integers(0, 256, (40, 40)))
    path.write_bytes(path.read_bytes()[:200])
    assert told(cut).startswith(f"{path}: the picture is damaged")


def test_folders_and_pipes_among_the_pictures_are_told(tmp_path: pathlib.Path) -> None:
    shades(tmp_path / "train")
    put(tmp_path, "val/dark/a.png", np.full((6, 5), 9))
    with pytest.raises(DataError, match=r"dark: is a folder among .* called train, validation, te"):
        mf.datasets.load(tmp_path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "train" / "dark" / "pipe.png")
        with pytest.raises(DataError, match=r"pipe.png: is a pipe or a device, and no picture"):
            mf.datasets.load(tmp_path / "train")


def test_a_folder_of_idx_files_is_no_class_folder(tmp_path: pathlib.Path) -> None:
    (tmp_path / "train-images-idx3-ubyte").write_bytes(b"")
    (tmp_path / "more").mkdir()
    assert not is_class_folder(tmp_path)
    assert not is_class_folder("mnist")
    with pytest.raises(DataError, match="lacks train-labels"):
        mf.datasets.load(tmp_path)
