"""A folder of pictures with one subfolder a class, as a data set.

    pets/cat/1.png  pets/cat/2.jpg  ...  pets/dog/1.png  ...

The names of the subfolders are the names of the classes, and label 0 is the first in the order of
the alphabet (of numbers, in the order of their size).

The rule by which a picture becomes numbers is that of `read_picture`, for training and prediction
alike, and of `PictureForm`: it is made grey (or keeps its colours) and, unless it has the size
already, scaled to fit into it with its proportions kept, centred, and the margins filled with the
grey of its border. The size is that of all pictures, if they have one and it is at most 64 × 64,
else 28 × 28; or the one that is asked for.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from miniflow.datasets.picture_form import PictureForm, as_bytes, read_brightness
from miniflow.datasets.splits import Part, Splits, make_splits
from miniflow.digit_images.decode import read_grey
from miniflow.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

LARGEST_KEPT = 64  # pixels a side; pictures of one size up to this are left as they are
DEFAULT_SIZE = (28, 28)  # height and width that all others are made into
PARTS = ("train", "validation", "test")


def read_picture(
    path: str | os.PathLike[str], size: tuple[int, int] | None = None
) -> NDArray[np.uint8]:
    """A picture as grey pixels, 0 black to 255 white: (height, width).

    Args:
        path: a PNG, JPEG, BMP, GIF, TIFF, WebP or PPM. Colours become grey by their luma (ITU-R
            BT.601); transparency is laid on white, or on black if the ink is nearly white; what
            uses a part of more than eight bits is read by its contrast (`digit_images.deep`); the
            camera's note of how it was held is followed.
        size: height and width to make it fit into; None, the default, leaves it as it is. Scaling
            is bilinear, averaging what is made smaller, and keeps the proportions; the margins get
            the mean of the picture's outermost pixels.

    Raises DataError, with the file's name, if it cannot be opened, is no picture (the message says
    what it is) or is damaged.

    >>> import pathlib, tempfile
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "wide.png")
    ...     Image.new("L", (40, 20), 51).save(path)
    ...     read_picture(path).shape, read_picture(path, (8, 8)).shape
    ((20, 40), (8, 8))
    """
    grey = read_grey(path)
    return as_bytes(grey) if size is None else PictureForm(*size).fit(grey)


def load_class_folders(
    folder: str | os.PathLike[str], size: tuple[int, int] | None = None, color: bool = False
) -> Splits:
    """The pictures in the subfolders of `folder`; see `miniflow.datasets.load`.

    Args:
        folder: the folder.
        size: height and width to make them fit into; None for the rule.
        color: whether they keep their colours, (n, height, width, 3); grey by default.

    If all its subfolders are called train, validation and test (train at least), the classes are
    the subfolders of those; else test and validation are set aside, a tenth each, by
    `make_splits`. Hidden files (.DS_Store) are passed over; every other one must be a picture.

    Raises DataError if there are not two classes, a class has no picture (of `train`), another part
    has other classes, or a file is no picture: the message names it.
    """
    top = class_names_in(folder)
    if "train" in top and set(top) <= set(PARTS):
        folders = {part: os.path.join(folder, part) for part in PARTS if part in top}
    else:
        folders = {"train": os.fspath(folder)}
    names = class_names_in(folders["train"])
    if len(names) < 2:
        raise DataError(
            f"{folders['train']}: has {len(names)} subfolder{'s' * (len(names) != 1)}, and needs "
            "one for each class, at least two."
        )
    files = {
        part: _files_of(where, names, every_class=part == "train")
        for part, where in folders.items()
    }
    images = _read_pictures([path for part in files.values() for path, _ in part], size, color)
    parts, start = {}, 0
    for part, found in files.items():
        labels = np.array([label for _, label in found], np.int64)
        parts[part] = Part(images[start : start + len(found)], labels)
        start += len(found)
    splits = make_splits(
        os.fspath(folder), parts["train"], parts.get("validation"), parts.get("test")
    )
    for dataset in splits:
        dataset.class_names = tuple(names)
    return splits


def class_names_in(folder: str | os.PathLike[str]) -> list[str]:
    """The subfolders of a folder, hidden ones left out, in the order of their labels.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("10", "9", ".hidden"):
    ...         pathlib.Path(folder, name).mkdir()
    ...     class_names_in(folder)
    ['9', '10']
    """
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if entry.is_dir() and entry.name[0] != "."]
    if all(name.isdecimal() for name in names):
        return sorted(names, key=lambda name: (int(name), name))
    return sorted(names)


def _files_of(folder: str, names: Sequence[str], every_class: bool) -> list[tuple[str, int]]:
    """The pictures of a part, each with its label."""
    if unknown := [name for name in class_names_in(folder) if name not in names]:
        raise DataError(
            f"{os.path.join(folder, unknown[0])}: there is no such class to train on; there are "
            f"{', '.join(names)}."
        )
    files = []
    for label, name in enumerate(names):
        where = os.path.join(folder, name)
        found = sorted(os.listdir(where)) if os.path.isdir(where) else []
        visible = [os.path.join(where, file) for file in found if file[0] != "."]
        if every_class and not visible:
            raise DataError(f"{where}: holds no pictures.")
        _check_files(visible)
        files += [(path, label) for path in visible]
    if not files:
        raise DataError(f"{folder}: holds no pictures.")
    return files


def _check_files(paths: Sequence[str]) -> None:
    """Raise DataError if one of them is a folder, or what would have to be waited for."""
    for path in paths:
        if os.path.isdir(path):
            raise DataError(
                f"{path}: is a folder among the pictures of a class. (The folders of data that are "
                f"divided already are called {', '.join(PARTS)}, and there are no others.)"
            )
        if os.path.exists(path) and not os.path.isfile(path):
            raise DataError(f"{path}: is a pipe or a device, and no picture.")


def _read_pictures(
    paths: Sequence[str], size: tuple[int, int] | None, color: bool
) -> NDArray[np.uint8]:
    """All pictures, in that size; else in the size that they have if it is one and small; else in
    the default.
    """
    form, images = PictureForm(*(size or DEFAULT_SIZE), color), []
    for i, path in enumerate(paths):
        picture = read_brightness(path, color)
        if size is None and i == 0 and max(picture.shape[:2]) <= LARGEST_KEPT:
            form = replace(form, height=picture.shape[0], width=picture.shape[1])
        has_size = picture.shape[:2] == form.shape[:2]
        if size is None and not has_size and form.shape[:2] != DEFAULT_SIZE:  # not one, after all
            form = PictureForm(*DEFAULT_SIZE, color)
            images = [form.read(before) for before in paths[:i]]
        images.append(form.fit(picture))
    return np.stack(images)
