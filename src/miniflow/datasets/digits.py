"""Handwritten digits: MNIST, which comes with the package; and `load`, which reads that, the sets
that are known by name, and your own files.

MNIST is read once in a process. Every call gets data sets of its own, so that two training runs do
not advance each other's epochs, but the arrays behind them are the same and read-only.
"""

from __future__ import annotations

import os
import threading
import warnings
from functools import cache
from typing import TYPE_CHECKING, Any

from miniflow.datasets.class_folders import class_names_in, load_class_folders
from miniflow.datasets.fetched import NAMES
from miniflow.datasets.idx import read_idx
from miniflow.datasets.idx_folders import MNIST_FILES, find_idx_files, lies_on_its_side
from miniflow.datasets.npz import read_npz
from miniflow.datasets.splits import DataWarning, Part, Splits, check_part, make_splits
from miniflow.errors import DataError
from miniflow.graph.checks import is_listed
from miniflow.options import OptionError, file_path, flag, whole

if TYPE_CHECKING:
    from numpy.typing import NDArray

EMBEDDED = os.path.join(os.path.dirname(__file__), "data")

EMNIST_TRAINING = (112_800, 124_800, 240_000, 697_932)  # how many images its splits train on

_reading = threading.Lock()


def mnist() -> Splits:
    """MNIST, 28 × 28 pixels a digit: 55,000 to train on, 5,000 for validation, 10,000 for the test.

    `images` is (n, 784), float32, 0 for background to 1 for ink; `labels` is (n,), int64, 0 to 9.
    Validation are the first 5,000 of the original training file, as in TensorFlow's tutorials.
    Reading takes a fraction of a second, once in a process; any thread may call this.

    (Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database of handwritten digits"; CC BY-SA 3.0,
    see `data/README.md`.)

    Raises:
        DataError: the files that come with miniflow are damaged.

    >>> digits = mnist()
    >>> digits.test
    <Dataset: 10,000 examples, images uint8 (10000, 784) served as float32, labels int64 (10000,)>
    >>> digits.test.labels[:5]
    array([7, 2, 1, 0, 4])
    """
    with _reading:
        splits = _load_embedded()
    return Splits(*(dataset.fresh() for dataset in splits))


@cache
def _load_embedded() -> Splits:
    return load_folder(EMBEDDED)


def load(
    source: str | os.PathLike[str],
    *,
    image_size: tuple[int, int] | None = None,
    color: bool = False,
) -> Splits:
    """Load a set by its name, a folder of IDX files or of pictures, or an `.npz` file.

    Args:
        source: a name, or the path of a folder or of a file.
        image_size: of pictures in folders: (height, width). None by default: 28 × 28.
        color: whether such pictures keep their colours; False by default.

    - "mnist" gives `mnist()`; a folder of that name is "./mnist". "fashion-mnist", "kmnist",
      "emnist" and "emnist-letters" (or another of its splits) give `fashion_mnist()` and so on,
      which are fetched once.
    - A folder holds MNIST's four files (`train-images-idx3-ubyte`, `train-labels-idx1-ubyte`,
      `t10k-images-idx3-ubyte`, `t10k-labels-idx1-ubyte`), each plain or with `.gz`; also under
      names such as `test-images.idx3-ubyte (1).gz`. EMNIST's, which are stored on their side, are
      turned upright.
    - Another folder holds a subfolder of pictures for each class, which has the name of that: see
      `class_folders.load_class_folders`. The names are the data sets' `class_names`.
      Of these, `image_size` says the height and width to make them fit into, and with `color` they
      keep their colours, (height, width, 3); of other sources both are refused.
    - An `.npz` file holds `images` and `labels`, and may hold `validation_images` and
      `validation_labels`, `test_images` and `test_labels`.

    Images are (n, d), (n, height, width) or (n, height, width, channels). Bytes (uint8) are served
    as float32 in [0, 1]; floats are served as float32, unscaled. Each image becomes a row;
    `image_shape` remembers its shape. Labels are whole numbers from 0 on, of shape (n,). If they
    are not 0 to k - 1, each becomes the number of its class in their order, with a `DataWarning`,
    and the data sets' `class_names` say which label that was.

    What is missing is set aside from the training images. Of 60,000 of them, the size of MNIST and
    its kin, the first 5,000 are for validation; otherwise a tenth is drawn for the test, then a
    tenth of the rest for validation, the same ones each time.

    Raises `DataError`, with the file and what is wrong in it, if there is no such source or it does
    not hold such arrays; `OSError` if a file cannot be opened.

    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "noise.npz")
    ...     np.savez(path, images=np.zeros((100, 8, 8)), labels=np.arange(100) % 3)
    ...     train, validation, test = load(path)
    >>> len(train), len(validation), len(test), train.image_shape, train.images.shape
    (81, 9, 10, (8, 8), (81, 64))
    """
    if image_size is not None or color:
        return _load_pictures(source, image_size, color)
    if isinstance(source, str) and source == "mnist":
        return mnist()
    if isinstance(source, str) and source in NAMES:
        splits: Splits = NAMES[source]()
        return splits
    source = file_path("datasets.load", source, "source")
    if os.path.isdir(source):
        return _load_either_folder(source)
    if os.path.isfile(source):
        return _load_npz(source)
    raise DataError(
        f"{source}: no such data; give 'mnist', {', '.join(map(repr, NAMES))}, a folder of IDX "
        "files or of pictures, or an .npz file."
    )


def _load_pictures(source: Any, image_size: Any, color: bool) -> Splits:
    """A folder of pictures in a form that is asked for."""
    if not is_class_folder(source):
        raise DataError(
            f"{source}: a size, and colours, are for a folder with a subfolder of pictures for "
            "each class."
        )
    size = None
    if image_size is not None:
        if not is_listed(image_size) or len(list(image_size)) != 2:
            raise OptionError(f"load: image_size is (height, width), not {image_size!r}.")
        height, width = (whole("load", "image_size", side, least=1) for side in image_size)
        size = height, width
    return load_class_folders(source, size, flag("load", "color", color))


def is_name(source: str) -> bool:
    """Whether `load` takes this for the name of a set, and not for a path.

    Args:
        source: a name, or a path.

    >>> is_name("mnist"), is_name("./mnist")
    (True, False)
    """
    return source == "mnist" or source in NAMES


def is_class_folder(source: str | os.PathLike[str]) -> bool:
    """Whether `load` takes this for a folder with a subfolder of pictures for each class.

    Args:
        source: the path of a folder.

    >>> is_class_folder("no/such/folder")
    False
    """
    named = isinstance(source, str) and is_name(source)
    return (
        not named
        and os.path.isdir(source)
        and not find_idx_files(source)
        and bool(class_names_in(source))
    )


def _load_either_folder(folder: str | os.PathLike[str]) -> Splits:
    if find_idx_files(folder):
        return load_folder(folder)
    if is_class_folder(folder):
        return load_class_folders(folder)
    raise DataError(
        f"{folder}: holds neither MNIST's four files ({', '.join(MNIST_FILES)}, plain or with .gz) "
        "nor a subfolder of pictures for each class."
    )


def load_folder(folder: str | os.PathLike[str], keep_labels: bool = False) -> Splits:
    """Load MNIST's four files from `folder`; see `load`. With `keep_labels`, labels stay as they
    are, whatever they are.
    """
    paths = find_idx_files(folder)
    missing = [name for name in MNIST_FILES if name not in paths]
    if missing:
        raise DataError(f"{folder}: lacks {', '.join(missing)} (plain or with .gz).")
    in_order = [paths[name] for name in MNIST_FILES]
    images, labels, test_images, test_labels = _read_all(in_order)
    if lies_on_its_side(folder, paths) and images.ndim == test_images.ndim == 3:
        images, test_images = images.swapaxes(1, 2), test_images.swapaxes(1, 2)
    else:
        _hint_at_emnist(folder, images)
    train = check_part(images, labels, in_order[0], in_order[1])
    test = check_part(test_images, test_labels, in_order[2], in_order[3])
    return make_splits(os.fspath(folder), train, test=test, keep_labels=keep_labels)


def _read_all(paths: list[str]) -> list[NDArray[Any]]:
    # Imported here because it takes longer than the whole of this package.
    from concurrent.futures import ThreadPoolExecutor

    try:
        with ThreadPoolExecutor() as pool:  # unpacking runs outside Python's lock
            return list(pool.map(read_idx, paths))
    except RuntimeError:  # where there are no threads, as in a browser
        return [read_idx(path) for path in paths]


def _hint_at_emnist(folder: str | os.PathLike[str], images: NDArray[Any]) -> None:
    """Say that images seem to lie on their side, if they are as many as EMNIST's."""
    if images.shape[1:] == (28, 28) and len(images) in EMNIST_TRAINING:
        warnings.warn(
            f"{folder}: has as many images as EMNIST, whose files store each on its side. If these "
            "are EMNIST's, call the folder emnist, or keep the files' own names: then they are "
            "turned upright.",
            DataWarning,
            stacklevel=4,
        )


def _load_npz(path: str | os.PathLike[str]) -> Splits:
    prefixes = ("", "validation_", "test_")
    optional = [f"{prefix}{name}" for prefix in prefixes[1:] for name in ("images", "labels")]
    arrays = read_npz(path, required=("images", "labels"), optional=optional)
    parts = {
        prefix: _npz_part(path, arrays, f"{prefix}images", f"{prefix}labels")
        for prefix in prefixes
        if f"{prefix}images" in arrays or f"{prefix}labels" in arrays
    }
    return make_splits(os.fspath(path), parts[""], parts.get("validation_"), parts.get("test_"))


def _npz_part(
    path: str | os.PathLike[str], arrays: dict[str, NDArray[Any]], images: str, labels: str
) -> Part:
    for present, absent in ((images, labels), (labels, images)):
        if absent not in arrays:
            raise DataError(f"{path}: holds {present} but lacks {absent}.")
    return check_part(arrays[images], arrays[labels], f"{path}: {images}", f"{path}: {labels}")
