"""Windows that slide over images: the geometry that convolution and pooling share.

Images are stacked with their channels last, (n, height, width, channels). A window has a size, a
stride from one place to the next and a dilation between its own entries; padding is a border of
zeros. Along one axis, a window of size k and dilation d spans d (k - 1) + 1 entries, and an axis of
h entries with a border of p before and q after it has 1 + ⌊(h + p + q - span) / stride⌋ places.
"""

import operator
from typing import Any, NamedTuple

import numpy as np

from miniflow.errors import GraphError, ShapeError
from miniflow.graph.checks import is_listed, is_whole
from miniflow.graph.values import describe, shape_of

Pair = tuple[int, int]
Padding = int | Pair | str


class Window(NamedTuple):
    """Size, stride and dilation, each for height and width, and the padding asked for."""

    size: Pair
    stride: Pair
    dilation: Pair
    padding: str | Pair  # "same" or the width of the border, above and below, left and right


class Places(NamedTuple):
    """Where a window fits on images of one size."""

    border: tuple[Pair, Pair]  # before and after, for height and width
    counts: Pair  # places along height and width

    @property
    def is_padded(self) -> bool:
        """Whether there is a border at all."""
        return self.border != ((0, 0), (0, 0))


def pair_of(owner: object, name: str, value: int | Pair, least: int = 1) -> Pair:
    """A number for both axes, or one for each; GraphError where it is neither."""
    both: Any = tuple(value) if is_listed(value) else (value, value)  # type: ignore[arg-type]
    if len(both) != 2 or not all(is_whole(n) and n >= least for n in both):
        raise GraphError(
            f"{owner}: {name} must be a whole number ≥ {least}, or two of them, "
            f"not {describe(value)}."
        )
    return operator.index(both[0]), operator.index(both[1])


def padding_of(owner: object, padding: Padding) -> str | Pair:
    """`"valid"` as no border, `"same"` as it is, a number or two as the width of the border."""
    if padding is None or isinstance(padding, str):
        if padding not in ("valid", "same"):
            raise GraphError(
                f"{owner}: padding must be 'valid', 'same' or a number, not {padding!r}."
            )
        return (0, 0) if padding == "valid" else padding
    return pair_of(owner, "padding", padding, least=0)


def check_images(label: str, source: str, x: Any) -> None:
    """Raise ShapeError unless `x` is a stack of images."""
    shape = shape_of(x)
    if len(shape) != 4:
        how = " Grey images get their channel by Reshape(x, (-1, height, width, 1))."
        raise ShapeError(
            f"{label}: {source} has shape {shape}; it must be a stack of images with "
            f"their channels last, (n, height, width, channels)."
            + (how if len(shape) in (2, 3) else "")
        )


def places_on(window: Window, height: int, width: int, label: str) -> Places:
    """Where the window fits; ShapeError where it fits nowhere."""
    borders, counts = [], []
    for axis, length in enumerate((height, width)):
        stride = window.stride[axis]
        span = window.dilation[axis] * (window.size[axis] - 1) + 1
        if isinstance(window.padding, str):  # as many places as there are strides
            missing = max(0, (-(-length // stride) - 1) * stride + span - length)
            border = missing // 2, missing - missing // 2
        else:
            border = window.padding[axis], window.padding[axis]
        room = length + sum(border) - span
        if room < 0:
            raise ShapeError(
                f"{label}: a window that spans {span} entries does not fit on images of "
                f"{height} × {width}; give it padding, or make it smaller."
            )
        borders.append(border)
        counts.append(1 + room // stride)
    return Places((borders[0], borders[1]), (counts[0], counts[1]))


def padded(x: Any, places: Places, value: float = 0.0) -> Any:
    """The images with their border."""
    if not places.is_padded:
        return x
    (top, bottom), (left, right) = places.border
    n, height, width, channels = x.shape
    wide = np.full((n, top + height + bottom, left + width + right, channels), value, x.dtype)
    wide[:, top : top + height, left : left + width, :] = x
    return wide


def without_border(x: Any, places: Places) -> Any:
    """The images without their border: what `padded` undoes."""
    (top, bottom), (left, right) = places.border
    return x[:, top : x.shape[1] - bottom, left : x.shape[2] - right, :] if places.is_padded else x


def entry(window: Window, places: Places, i: int, j: int) -> tuple[slice, ...]:
    """The index of what the window's entry (i, j) lies on, at all places."""
    rows, columns = (
        slice(at * d, at * d + (count - 1) * s + 1, s)
        for at, d, s, count in zip(
            (i, j), window.dilation, window.stride, places.counts, strict=True
        )
    )
    return slice(None), rows, columns, slice(None)


def entries(window: Window) -> list[Pair]:
    """All entries of the window, row by row."""
    return [(i, j) for i in range(window.size[0]) for j in range(window.size[1])]
