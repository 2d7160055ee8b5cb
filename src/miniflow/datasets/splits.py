"""From arrays that somebody gave to the three sets that training needs.

Training looks at `train`, chooses by `validation`, and reports on `test`. Files rarely come in
three parts, so what is missing is set aside from the training examples, always in the same way: a
model that is evaluated tomorrow must not meet examples that it was trained on today.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from miniflow.datasets.batches import Dataset
from miniflow.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MNIST_TRAINING = 60_000
_MNIST_VALIDATION = 5_000


class DataWarning(UserWarning):
    """Something about data that is probably meant otherwise, or was made to fit."""


class Splits(NamedTuple):
    """The examples to learn from, to choose by, and to report on.

    Each is a `Dataset`.

    >>> import miniflow as mf
    >>> train, validation, test = mf.datasets.mnist()
    >>> len(train), len(validation), len(test)
    (55000, 5000, 10000)
    """

    train: Dataset
    validation: Dataset
    test: Dataset


class Part(NamedTuple):
    """Images of shape (n, d1, ..., dk), uint8 or float32, and labels of shape (n,), int64."""

    images: NDArray[Any]
    labels: NDArray[np.int64]


def check_part(
    images: NDArray[Any], labels: NDArray[Any], images_name: str, labels_name: str
) -> Part:
    """Check arrays that came from a file; the names are what the messages call them.

    Raises `DataError` unless `images` is (n, d), (n, height, width) or (n, height, width, channels)
    of bytes or finite floats, `labels` is (n,) of whole numbers from 0 on, and n is at least 1.
    """
    if not 2 <= images.ndim <= 4 or images.size == 0:
        raise DataError(
            f"{images_name}: shape {images.shape}, where (n, d), (n, height, width) or "
            "(n, height, width, channels) with at least one image is needed."
        )
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        hint = "; for one-hot rows use labels.argmax(axis=1)" if labels.ndim == 2 else ""
        raise DataError(
            f"{labels_name}: {labels.dtype} of shape {labels.shape}, where whole numbers of shape "
            f"(n,) are needed, one class number for each image{hint}."
        )
    if len(images) != len(labels):
        raise DataError(
            f"{images_name} has {len(images):,} images but {labels_name} has {len(labels):,} "
            "labels."
        )
    classes = labels.astype(np.int64, copy=False)
    if classes.min() < 0:  # or too great for int64
        worst = labels[int(classes.argmin())]
        raise DataError(f"{labels_name}: {worst} among the labels; classes count from 0.")
    return Part(_bytes_or_float32(images, images_name), classes)


def _bytes_or_float32(images: NDArray[Any], name: str) -> NDArray[Any]:
    if images.dtype == np.uint8:
        return images
    if images.dtype.kind != "f":
        raise DataError(f"{name}: {images.dtype}, where uint8 (0 to 255) or floats are needed.")
    with np.errstate(over="ignore"):  # what is too great for float32 becomes infinite: found below
        numbers = images.astype(np.float32, copy=False)
    finite = np.isfinite(numbers)
    if not finite.all():
        worst = np.unravel_index(int(finite.argmin()), numbers.shape)
        at = ", ".join(map(str, worst))
        raise DataError(f"{name}: {images[worst]} at [{at}], where finite float32 are needed.")
    return numbers


def make_splits(
    source: str,
    train: Part,
    validation: Part | None = None,
    test: Part | None = None,
    keep_labels: bool = False,
) -> Splits:
    """Make data sets of images flattened to rows; what is None is set aside from `train`.

    `source` is what the messages call the parts' origin. Set aside is a tenth of the examples
    (rounded down, at least one), drawn with a fixed seed because a file may be sorted by class:
    first for `test`, then, of what remains, for `validation`. The exception are training sets of
    60,000, the size of MNIST and of those made in its likeness: custom takes their first 5,000.

    Labels that are not 0 to k - 1 are numbered anew (`number_classes`), unless `keep_labels`.

    Raises `DataError` if the parts' images differ in shape, or too few are left to train on.
    """
    names = None
    if not keep_labels:
        names, (train, validation, test) = number_classes(source, train, validation, test)
    if test is None:
        train, test = _set_aside_tenth(train, source)
    if validation is None and len(train.labels) == _MNIST_TRAINING:
        validation = Part(*(array[:_MNIST_VALIDATION] for array in train))
        train = Part(*(array[_MNIST_VALIDATION:] for array in train))
    elif validation is None:
        train, validation = _set_aside_tenth(train, source)
    for name, part in (("validation", validation), ("test", test)):
        expected, seen = train.images.shape[1:], part.images.shape[1:]
        if seen != expected:
            raise DataError(
                f"{source}: {name} images of shape {seen}, training ones of {expected}."
            )
    splits = Splits(_dataset(train), _dataset(validation), _dataset(test))
    for dataset in splits if names else ():
        dataset.class_names = names
    return splits


def number_classes(
    source: str, train: Part, validation: Part | None, test: Part | None
) -> tuple[tuple[str, ...] | None, tuple[Part, Part | None, Part | None]]:
    """The parts with labels 0 to k - 1, in the order of the labels, and these as names; None in
    their place where nothing is to be done.

    A network has an output for each class: labels 1 to 26 are 26 classes, not 27, and labels 0 and
    10⁸ are two. A label that no training example has is a class that is never recognised. Both
    are told by a `DataWarning`.
    """
    parts = (train, validation, test)
    found = np.unique(np.concatenate([part.labels for part in parts if part is not None]))
    for name, part in (("validation", validation), ("test", test)):
        unseen = np.setdiff1d(found[:0] if part is None else part.labels, train.labels)
        if unseen.size:
            _warn(
                f"{source}: no training example has the label {_enumerate(unseen)}, which the "
                f"{name} examples have: it cannot be learnt, and will not be recognised."
            )
    if (found == np.arange(len(found))).all():
        return None, parts
    _warn(
        f"{source}: its labels are not 0 to {len(found) - 1} but {_enumerate(found)}. They become "
        f"{len(found)} classes in this order, which keep these numbers as their names."
    )
    numbered = (
        None if part is None else part._replace(labels=np.searchsorted(found, part.labels))
        for part in parts
    )
    return tuple(map(str, found.tolist())), tuple(numbered)  # type: ignore[return-value]


def _warn(told: str) -> None:
    warnings.warn(told, DataWarning, stacklevel=4)


def _enumerate(labels: NDArray[np.int64]) -> str:
    """Some labels, in words: all of a few, a range, or the first and the last."""
    first, last = labels[0], labels[-1]
    if first == last:
        return str(first)
    if last - first == len(labels) - 1:
        return f"{first} to {last}"
    if len(labels) <= 6:
        return ", ".join(map(str, labels))
    return f"{', '.join(map(str, labels[:3]))}, ..., {last}"


def _set_aside_tenth(part: Part, source: str) -> tuple[Part, Part]:
    count = len(part.labels)
    if count < 2:
        raise DataError(f"{source}: too few examples to set some aside for validation and test.")
    order = np.random.default_rng(0).permutation(count)
    aside = max(count // 10, 1)
    rest, tenth = np.sort(order[aside:]), np.sort(order[:aside])
    return Part(*(array[rest] for array in part)), Part(*(array[tenth] for array in part))


def _dataset(part: Part) -> Dataset:
    rows = part.images.reshape(len(part.images), -1)
    return Dataset(rows, part.labels, image_shape=part.images.shape[1:])
