"""A data set, and the minibatches that training takes from it.

A `Dataset` holds n examples: an array of images (or of any other numbers) and an array of labels
with as many rows. There are two ways to walk through it. `batches` makes one pass and is done:
shuffled for training, in order for evaluation. `next_batch` is the endless walk of TensorFlow's
tutorials, one shuffled epoch after another.

Pixels come as bytes and stay bytes until somebody asks for numbers: a program that only needs the
test images should not wait for, nor hold, four times the memory of the training images. The
conversion then happens once for all `Dataset`s made from the same images.

Arrays that are mapped from a file (`np.load(path, mmap_mode="r")`) may be larger than memory. They
are never read as a whole: batches are taken, and bytes made numbers, a batch at a time.
"""

from __future__ import annotations

import copy
import operator
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from miniflow.errors import DataError
from miniflow.graph.checks import is_listed, is_whole
from miniflow.graph.converting import way_to_numbers
from miniflow.graph.pixels import as_fractions
from miniflow.graph.values import check_unmasked, describe, why_no_array
from miniflow.options import generator

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import ArrayLike, NDArray

# One lock for all images: a lock of their own would keep data sets from being copied and pickled.
_converting = threading.Lock()


class Dataset:
    """Examples and their labels, to be taken a batch at a time.

    Args:
        images: shape (n, ...), an example a row.
        labels: shape (n, ...); None by default: there are none.
        image_shape: the shape of one example before it was made a row; by default
            `images.shape[1:]`.
        class_names: what the labels 0, 1, ... stand for; None by default: it is not known.
        rng: a seed or a generator, which shuffles for `next_batch`; 0 by default.

    `images` has shape (n, ...). Bytes (uint8) are taken for pixels and served as float32 in [0, 1],
    exactly `images / np.float32(255)`; numbers of any other type are served as they are.

    `labels` has shape (n, ...), or is None where there are none. Whole numbers are served as int64,
    NumPy's own type for an index: they pick from an array without being converted each time, they
    equal what `argmax` gives, and arithmetic on them cannot wrap around as it does on bytes.
    Numbers with a fraction (a regression's targets, one-hot rows) are served as they are.

    `image_shape` is the shape of one example before it was made a row, (28, 28) for MNIST; by
    default `images.shape[1:]`. `class_names` are what the labels 0, 1, ... stand for, if that is
    known; None by default. `rng`, a seed or a generator, is what shuffles for `next_batch`. Its
    default makes the same program see the same batches each time that it runs.

    The arrays `images` and `labels` are read-only and are not copied from what was given.

    Raises `DataError` if there are no examples, if images and labels differ in number, or if either
    does not hold real numbers; if `image_shape` or `class_names` is no list; `OptionError` if `rng`
    is none.

    >>> data = Dataset(np.array([[0, 255], [51, 102], [255, 0]], np.uint8), [1, 0, 1])
    >>> data.images
    array([[0. , 1. ],
           [0.2, 0.4],
           [1. , 0. ]], dtype=float32)
    >>> [labels.tolist() for images, labels in data.batches(2)]
    [[1, 0], [1]]
    """

    def __init__(
        self,
        images: ArrayLike,
        labels: ArrayLike | None = None,
        *,
        image_shape: tuple[int, ...] | None = None,
        class_names: Sequence[str] | None = None,
        rng: np.random.Generator | int = 0,
    ) -> None:
        given = _real_numbers(images, "images")
        self._images = _Images(given)
        self.class_names = _checked_names(class_names)
        self._labels = _checked_labels(labels, len(given))
        self.image_shape = given.shape[1:] if image_shape is None else _checked_shape(image_shape)
        self._start(rng)

    def _start(self, rng: np.random.Generator | int) -> None:
        """Begin the walk of `next_batch`: no epoch has been shuffled yet."""
        self._rng = generator("Dataset", rng)
        self._order = np.empty(0, np.intp)
        self._position = 0
        self._epochs_begun = 0

    def __len__(self) -> int:
        return len(self._images.given)

    def __repr__(self) -> str:
        labels = "no labels" if self._labels is None else f"labels {_describe(self._labels)}"
        return f"<Dataset: {len(self):,} examples, images {self._images}, {labels}>"

    @property
    def num_examples(self) -> int:
        """How many examples there are, n."""
        return len(self)

    @property
    def has_pixels(self) -> bool:
        """Whether the images are bytes, which are served as numbers from 0 to 1."""
        return self._images.given.dtype == np.uint8

    @property
    def images(self) -> NDArray[Any]:
        """All images, shape (n, ...); the first use turns bytes into float32, all of them."""
        return self._images.numbers

    @property
    def labels(self) -> Any:
        """All labels, shape (n, ...), or None."""
        return self._labels

    @property
    def epochs_completed(self) -> int:
        """How many epochs `next_batch` has left behind, counted when it begins the one after."""
        return max(self._epochs_begun - 1, 0)

    def fresh(self, rng: np.random.Generator | int = 0) -> Dataset:
        """The same examples, sharing their memory, with a `next_batch` that starts anew.

        >>> data = Dataset(np.arange(6.0))
        >>> first, _ = data.next_batch(3)
        >>> again, _ = data.fresh().next_batch(3)
        >>> bool((first == again).all())
        True
        """
        twin = copy.copy(self)
        twin._start(rng)
        return twin

    def with_labels(self, labels: ArrayLike | None, rng: np.random.Generator | int = 0) -> Dataset:
        """The same images, sharing their memory, with other labels, whose classes have no names;
        `next_batch` starts anew.

        Raises `DataError` as the constructor does.

        >>> digits = Dataset(np.eye(3), [4, 5, 6])
        >>> digits.with_labels(digits.labels % 2).labels
        array([0, 1, 0])
        """
        twin = self.fresh(rng)
        twin._labels = _checked_labels(labels, len(self))
        twin.class_names = None
        return twin

    def next_batch(self, n: int) -> tuple[NDArray[Any], Any]:
        """The next `n` images and labels of an endless walk, each epoch in a new random order.

        Within an epoch each example comes once. A batch that reaches the end of an epoch takes what
        is left of it and the rest from the start of the next, so that it always has `n` rows. (As
        in TensorFlow's `examples.tutorials.mnist`.)

        Raises `DataError` if `n` is not a whole number of at least 1.

        >>> data = Dataset(np.arange(4.0))
        >>> walk = np.concatenate([data.next_batch(3)[0] for _ in range(4)])
        >>> np.sort(walk.reshape(3, 4)).tolist()  # three epochs
        [[0.0, 1.0, 2.0, 3.0], [0.0, 1.0, 2.0, 3.0], [0.0, 1.0, 2.0, 3.0]]
        """
        missing = _batch_size(n)
        pieces = []
        while missing:
            if self._position == len(self._order):
                self._order, self._position = self._rng.permutation(len(self)), 0
                self._epochs_begun += 1
            pieces.append(self._order[self._position : self._position + missing])
            self._position += len(pieces[-1])
            missing -= len(pieces[-1])
        return self._gather(np.concatenate(pieces))

    def batches(
        self, n: int, rng: np.random.Generator | int | None = None
    ) -> Iterator[tuple[NDArray[Any], Any]]:
        """One pass: `n` images and labels at a time, the last batch with what remains.

        With `rng` the order is random: a generator gives another order with each pass, a seed the
        same one. Without it the batches follow the order of the data and are read-only views.

        Raises, at once, `DataError` if `n` is not a whole number of at least 1, and `OptionError`
        if `rng` is none.

        >>> data = Dataset(np.arange(5.0))
        >>> [images.tolist() for images, _ in data.batches(2)]
        [[0.0, 1.0], [2.0, 3.0], [4.0]]
        """
        n = _batch_size(n)
        starts = range(0, len(self), n)
        if rng is None:
            return (self._slice(start, start + n) for start in starts)
        order = generator("Dataset.batches", rng).permutation(len(self))
        return (self._gather(order[start : start + n]) for start in starts)

    def whole_arrays(self) -> tuple[NDArray[Any], Any] | None:
        """All images and labels, of which `batches` serves rows; None where it does not: of bytes
        that are mapped from a file, each batch is turned into numbers by itself.
        """
        if type(self).batches is not Dataset.batches or self._images.is_made_of_batches:
            return None
        return self._images.numbers, self._labels

    def _slice(self, start: int, stop: int) -> tuple[NDArray[Any], Any]:
        labels = None if self._labels is None else self._labels[start:stop]
        return self._images.slice(start, stop), labels

    def _gather(self, index: NDArray[np.intp]) -> tuple[NDArray[Any], Any]:
        labels = None if self._labels is None else np.take(self._labels, index, axis=0)
        return self._images.take(index), labels


class _Images:
    """Images as they were given and, from the first use on, as numbers; shared by `Dataset`s."""

    def __init__(self, given: NDArray[Any]) -> None:
        self.given = given
        self._numbers = None if given.dtype == np.uint8 else given

        self._is_mapped = _is_mapped(given)

    @property
    def numbers(self) -> NDArray[Any]:
        if self._numbers is None:
            with _converting:
                if self._numbers is None:  # no other thread has been faster
                    numbers = as_fractions(self.given)
                    numbers.flags.writeable = False  # no view: nobody else can write to it
                    self._numbers = numbers
        return self._numbers

    @property
    def is_made_of_batches(self) -> bool:
        """Whether bytes become numbers a batch at a time."""
        return self._numbers is None and self._is_mapped

    def slice(self, start: int, stop: int) -> NDArray[Any]:
        """Some rows as numbers."""
        if self.is_made_of_batches:
            return as_fractions(self.given[start:stop])
        return self.numbers[start:stop]

    def take(self, index: NDArray[np.intp]) -> NDArray[Any]:
        """The rows with these numbers, as numbers."""
        if self.is_made_of_batches:
            return as_fractions(np.take(self.given, index, axis=0))
        return np.take(self.numbers, index, axis=0)

    def __str__(self) -> str:
        return _describe(self.given) + (
            " served as float32" if self.given.dtype == np.uint8 else ""
        )


def _is_mapped(array: NDArray[Any]) -> bool:
    """Whether an array, or what it is a view of, lies in a file."""
    base: Any = array
    while isinstance(base, np.ndarray):
        if isinstance(base, np.memmap):
            return True
        base = base.base
    return False


def _describe(array: NDArray[Any]) -> str:
    return f"{array.dtype.name} {array.shape}"


def _real_numbers(values: ArrayLike, name: str) -> NDArray[Any]:
    check_unmasked(values, "a Dataset", DataError)
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise DataError(f"the {name} are no array: {why_no_array(error)}.") from error
    if array.dtype.kind not in "biuf":
        raise DataError(
            f"the {name} must be real numbers, not of type {array.dtype}{way_to_numbers(array)}."
        )
    if array.ndim == 0 or len(array) == 0:
        raise DataError(f"the {name} have shape {array.shape}: there must be at least one example.")
    return _read_only(array)


def _checked_labels(labels: ArrayLike | None, count: int) -> NDArray[Any] | None:
    if labels is None:
        return None
    array = _real_numbers(labels, "labels")
    if len(array) != count:
        raise DataError(f"there are {count:,} images but {len(array):,} labels.")
    return array if array.dtype.kind == "f" else _read_only(array.astype(np.int64, copy=False))


def _checked_names(names: Any) -> tuple[str, ...] | None:
    if names is not None and not is_listed(names):
        raise DataError(f"class_names is a list, a name for each class, not {describe(names)}.")
    return None if names is None else tuple(map(str, names))


def _checked_shape(shape: Any) -> tuple[int, ...]:
    sizes = tuple(shape) if is_listed(shape) else (None,)
    if not all(is_whole(size) and size > 0 for size in sizes):
        raise DataError(
            f"image_shape is the shape of one example, (28, 28) say, not {describe(shape)}."
        )
    return tuple(map(operator.index, sizes))


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    """A view that cannot be written to: many batches, epochs and callers look at the same data."""
    view = array.view()
    view.flags.writeable = False
    return view


def _batch_size(n: int) -> int:
    try:
        size = operator.index(n)
    except TypeError:
        size = 0
    if size < 1:
        raise DataError(f"a batch size must be a whole number of at least 1, not {n!r}.")
    return size
