"""Augmentation: images that are shifted, turned and scaled a little, anew each time they are seen.

A digit that is moved by a pixel or leans over is the same digit. A network that has seen many such
variants of its examples knows that; it learns less by heart, and it bears with people who draw
otherwise than the writers of MNIST.

`augmented(digits.train)` stands wherever a data set for training does. What happens to the images
of a batch is a function of a number (see `graph.random_numbers`), which is drawn from the generator
that shuffles, so that a training that is resumed sees the same variants; without a generator, which
is how one evaluates, the images come as they are. From the number to the pixels there are only
operations that every processor rounds alike, so a variant is the same to the bit on all of them.
"""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from miniflow.datasets import Dataset
from miniflow.datasets.image_shapes import height_width_channels
from miniflow.errors import DataError
from miniflow.graph.random_numbers import uniform
from miniflow.graph.values import describe
from miniflow.options import generator, number

Array = NDArray[Any]


class Limits(NamedTuple):
    """How far an image may be moved, in pixels; turned, in degrees; and enlarged or made smaller,
    as a share of its size.
    """

    shift: float = 2.0
    rotate: float = 12.0
    scale: float = 0.1

    def __str__(self) -> str:
        return f"shift {self.shift:g} pixels, rotate {self.rotate:g}°, scale {self.scale:g}"


def augmented(
    data: Dataset,
    *,
    shift: float = Limits().shift,
    rotate: float = Limits().rotate,
    scale: float = Limits().scale,
    image_shape: tuple[int, ...] | None = None,
) -> "Augmented":
    """A data set whose images vary each time that they are taken for training.

    Args:
        data: the examples.
        shift: each image is moved by up to so many pixels, up or down and left or right; 2 by
            default.
        rotate: and turned by up to so many degrees, either way; 12 by default.
        scale: and made larger, by a factor of up to 1 + scale, or as much smaller; 0.1 by default.
        image_shape: (height, width) or (height, width, channels); by default what the data set
            says, or a square.

    The amounts are uniform between their limits (that of the size: its logarithm). What comes in
    from outside an image is 0. Between pixels, the value is interpolated linearly.

    Raises:
        DataError: `data` is no data set, or it is not known how the numbers of an example make an
            image.
        OptionError: a limit is not a number of at least 0.

    Download: P. Y. Simard, D. Steinkraus, J. C. Platt, "Best practices for convolutional neural
    networks applied to visual document analysis", 2003.

    >>> import numpy as np, miniflow as mf
    >>> image = np.zeros((1, 5, 5), np.float32)
    >>> image[0, 2, 2] = 1.0
    >>> data = mf.augmented(mf.datasets.Dataset(image, [7]), shift=1, rotate=0, scale=0)
    >>> [(images, labels)] = data.batches(1, rng=0)
    >>> images[0].round(2)
    array([[0.  , 0.  , 0.  , 0.  , 0.  ],
           [0.  , 0.  , 0.  , 0.  , 0.  ],
           [0.  , 0.  , 0.28, 0.36, 0.  ],
           [0.  , 0.  , 0.16, 0.21, 0.  ],
           [0.  , 0.  , 0.  , 0.  , 0.  ]], dtype=float32)
    """
    if not hasattr(data, "batches"):
        hint = " Did you mean its .train?" * hasattr(data, "train")
        raise DataError(f"augmented: data is a data set, not {describe(data)}.{hint}")
    limits = Limits(
        number("augmented", "shift", shift),
        number("augmented", "rotate", rotate),
        number("augmented", "scale", scale),
    )
    return Augmented(data, limits, _image_shape(data, image_shape))


class Augmented:
    """A data set with variants of its images. Made by `augmented`.

    Attributes:
        data: the data set as it was.
        limits: how far the variants go.
        image_shape: (height, width, channels).
    """

    draws_numbers = True  # of `random_numbers`: a checkpoint tells if they were others

    def __init__(self, data: Dataset, limits: Limits, image_shape: tuple[int, int, int]) -> None:
        self.data, self.limits, self.image_shape = data, limits, image_shape

    def __len__(self) -> int:
        return len(self.data)

    def __repr__(self) -> str:
        return f"<Augmented: {self.limits}, of {self.data!r}>"

    @property
    def has_pixels(self) -> bool:
        """Whether the images are bytes, which are served as numbers from 0 to 1."""
        return self.data.has_pixels

    @property
    def images(self) -> Array:
        """All images, as they are."""
        return self.data.images

    @property
    def labels(self) -> Any:
        """All labels."""
        return self.data.labels

    def batches(
        self, n: int, rng: np.random.Generator | int | None = None
    ) -> Iterator[tuple[Array, Any]]:
        """One pass, as `Dataset.batches`: with `rng`, shuffled and varied; without, neither."""
        if rng is None:
            return self.data.batches(n)
        drawn = generator("augmented", rng)
        return (
            (self._vary(images, drawn), labels) for images, labels in self.data.batches(n, drawn)
        )

    def _vary(self, images: Array, rng: np.random.Generator) -> Array:
        if images.dtype.kind != "f":  # between two whole numbers there are fractions
            images = images.astype(np.float32)
        stack = images.reshape(-1, *self.image_shape)
        drawn = uniform((4, len(stack)), int(rng.integers(2**63))).astype(np.float64)
        return warped(stack, self._maps(drawn * 2 - 1)).reshape(images.shape)

    def _maps(self, drawn: Array) -> Array:
        """From numbers in [-1, 1) to affine maps, (n, 2, 3): where a pixel's value comes from."""
        widest = float(np.float32(math.log1p(self.limits.scale)))  # its last bits may differ
        size = _exponential(drawn[0] * widest)
        cosine, sine = _cosine_and_sine(drawn[1] * self.limits.rotate)
        across, along = cosine / size, sine / size
        down, right = drawn[2:] * self.limits.shift
        return np.moveaxis(np.array([[across, along, down], [-along, across, right]]), -1, 0)


def warped(images: Array, maps: Array) -> Array:
    """Images seen through affine maps: each pixel takes the value at the place that the map names.

    Args:
        images: (n, height, width, channels), floats.
        maps: (n, 2, 3), one for each image: the place (y, x), counted from the centre, whose value
            goes to (v, u) is `map @ (v, u, 1)`.

    Between the four pixels round a place the value is interpolated linearly; outside it is 0.

    >>> turned = warped(np.arange(9.0).reshape(1, 3, 3, 1), np.array([[[0, 1, 0], [-1, 0, 0]]]))
    >>> turned[0, :, :, 0]
    array([[2., 5., 8.],
           [1., 4., 7.],
           [0., 3., 6.]])
    """
    n, height, width, channels = images.shape
    wide = np.zeros((n, height + 3, width + 3, channels), images.dtype)
    wide[:, 1:-2, 1:-2] = images  # a border of 0: whoever looks outside finds it
    pixels = wide.reshape(-1, channels)

    y = _places(maps[:, 0], height, width, height, images.dtype)
    x = _places(maps[:, 1], height, width, width, images.dtype)
    top, left = y.astype(np.intp), x.astype(np.intp)  # rounds down: none is negative
    y -= top
    x -= left
    top *= width + 3
    top += left
    top += (np.arange(n) * (height + 3) * (width + 3))[:, np.newaxis, np.newaxis]

    first = top.reshape(-1)
    down, right = y.reshape(-1, 1), x.reshape(-1, 1)
    upper = _between(pixels, first, right)
    first += width + 3
    lower = _between(pixels, first, right)
    lower -= upper
    lower *= down
    upper += lower
    return upper.reshape(images.shape)


# Functions made of + - * / alone: those of NumPy and of the system differ in their last bits.


def _exponential(x: Array) -> Array:
    """e^x: (e^(x / 64))^64, the inner one by its series."""
    small, result = x / 64, np.ones_like(x)
    for k in range(10, 0, -1):
        result = 1 + small / k * result
    for _ in range(6):
        result = result * result
    return result


def _cosine_and_sine(degrees: Array) -> tuple[Array, Array]:
    """By their series in an eighth of a turn either way, and whole quarters."""
    quarters = np.rint(degrees / 90)
    x = (degrees - 90 * quarters) * (math.pi / 180)
    square, cosine, sine = x * x, np.ones_like(x), np.ones_like(x)
    for k in range(18, 0, -2):
        cosine = 1 - square / (k * (k - 1)) * cosine
        sine = 1 - square / (k * (k + 1)) * sine
    sine = sine * x
    turns = quarters.astype(np.int64) % 4
    return (
        np.choose(turns, [cosine, -sine, -cosine, sine]),
        np.choose(turns, [sine, cosine, -sine, -cosine]),
    )


def _places(row: Array, height: int, width: int, size: int, dtype: Any) -> Array:
    """Where each pixel's value comes from, along one axis, in the images with their border."""
    v = np.arange(height) - (height - 1) / 2
    u = np.arange(width) - (width - 1) / 2
    start = row[:, 2:] + (size - 1) / 2 + 1
    by_row, by_column = row[:, :1] * v + start, row[:, 1:2] * u
    places: Array = by_row.astype(dtype)[:, :, np.newaxis] + by_column.astype(dtype)[:, np.newaxis]
    np.clip(places, 0, size + 1, out=places)
    return places


def _between(pixels: Array, left: Array, right: Array) -> Array:
    """The values between pixels and their right neighbours."""
    values = pixels.take(left, 0)
    step = pixels[1:].take(left, 0)
    step -= values
    step *= right
    values += step
    return values


def _image_shape(data: Dataset, given: tuple[int, ...] | None) -> tuple[int, int, int]:
    shape = tuple(data.image_shape if given is None else given)
    found = height_width_channels(shape)
    one, _ = next(data.batches(1))  # all of them may be larger than memory
    entries = one.size
    if found is None or math.prod(found) != entries:
        raise DataError(
            f"augmented: {entries} numbers make no image of shape {shape}: "
            "give image_shape=(height, width) or (height, width, channels)."
        )
    return found
