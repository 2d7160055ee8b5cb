"""The form in which pictures are read: one for training and prediction, kept in the model file.

A picture is made grey, or keeps its colours; and, unless it has the size already, it is scaled to
fit into it with its proportions kept, centred, and the margins filled with the mean of its border.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from miniflow.digit_images.decode import read_color, read_grey

if TYPE_CHECKING:
    from numpy.typing import NDArray

Path = str | os.PathLike[str]


@dataclass(frozen=True)
class PictureForm:
    """Pictures of this height and width, grey or in colour.

    >>> PictureForm(28, 28).shape, PictureForm(32, 48, color=True).shape
    ((28, 28), (32, 48, 3))
    """

    height: int
    width: int
    color: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """That of the pixels of a picture."""
        return (self.height, self.width, *((3,) if self.color else ()))

    def read(self, path: Path) -> NDArray[np.uint8]:
        """A picture in this form, in bytes. Raises DataError as `read_grey` does."""
        return self.fit(read_brightness(path, self.color))

    def fit(self, picture: NDArray[np.float64]) -> NDArray[np.uint8]:
        """Brightness in [0, 1], (h, w) or (h, w, 3) of any size, in this form."""
        size = self.height, self.width
        if picture.shape[:2] == size:
            return as_bytes(picture)
        if not self.color:
            return as_bytes(_fit_size(picture, size))
        channels = (_fit_size(picture[..., i], size) for i in range(3))
        return as_bytes(np.stack(list(channels), axis=-1))

    def as_notes(self) -> dict[str, Any]:
        """For a model file."""
        size: dict[str, Any] = {"height": self.height, "width": self.width}
        return size | {"color": True} if self.color else size


def picture_form_in(notes: Mapping[str, Any]) -> PictureForm | None:
    """The form that a model file's notes have; None if they have none: they may be anybody's."""
    kept = notes.get("picture")
    if not isinstance(kept, dict) or not all(
        type(kept.get(side)) is int and kept[side] > 0 for side in ("height", "width")
    ):
        return None
    return PictureForm(kept["height"], kept["width"], kept.get("color") is True)


def read_brightness(path: Path, color: bool) -> NDArray[np.float64]:
    """A picture of its own size: grey, (h, w), or in colour, (h, w, 3)."""
    return read_color(path) if color else read_grey(path)


def as_bytes(picture: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Brightness in [0, 1] as 0 to 255."""
    pixels: NDArray[np.uint8] = np.rint(picture * 255).astype(np.uint8)
    return pixels


def _fit_size(grey: NDArray[np.float64], size: tuple[int, int]) -> Any:
    """A channel scaled into a frame, its proportions kept, in the middle."""
    from PIL import Image

    height, width = grey.shape
    scale = min(size[0] / height, size[1] / width)
    inner = tuple(max(1, round(scale * side)) for side in grey.shape)
    image = Image.fromarray(grey.astype(np.float32))
    scaled = np.asarray(image.resize(inner[::-1], Image.Resampling.BILINEAR), np.float64)
    edge = np.ones(grey.shape, bool)
    edge[1:-1, 1:-1] = False
    frame = np.full(size, grey[edge].mean())
    top, left = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    frame[top : top + inner[0], left : left + inner[1]] = np.clip(scaled, 0.0, 1.0)
    return frame
