"""From a picture's file to its brightness: the one place that knows about file formats.

Pillow decodes. What is added here is care: only formats whose decoders run inside this process are
tried, a header's claim is believed only up to a limit and before anything is allocated, a large
picture is reduced to what a digit of 20 × 20 can need, and whatever goes wrong is said in one
sentence with the file's name.
"""

import os
import warnings
from typing import IO, TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from miniflow.errors import DataError, shown

if TYPE_CHECKING:
    from PIL import Image

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM")
MOST_PIXELS = 50_000_000  # a page scanned at 600 dpi has 35 million
WORKING_SIDE = 1024  # the longer side of a picture is reduced to less than twice this


def read_grey(path: str | os.PathLike[str]) -> NDArray[np.float64]:
    """Decode the picture at `path` to its brightness, (h, w) in [0, 1], 0 black and 1 white.

    Colours become grey by their luma (ITU-R BT.601). Transparency is laid on white, or on black if
    all of the picture would vanish on white. The camera's note of how it was held is followed. Of
    an animation the first picture is taken. A side of n >= 2048 pixels is reduced to 1024 or more.

    Raises `DataError` with the file's name if it cannot be opened, is not a picture, is damaged, or
    claims to hold more than fifty million pixels.

    >>> read_grey("missing.png")
    Traceback (most recent call last):
    miniflow.errors.DataError: missing.png: cannot be opened: No such file or directory.
    """
    try:
        file = open(path, "rb")  # noqa: SIM115 (closed below; decoding has its own errors)
    except OSError as error:
        raise DataError(f"{path}: cannot be opened: {error.strerror}.") from error
    with file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an error says what matters
        return _decode(file, str(path))


def _decode(file: IO[bytes], name: str) -> NDArray[np.float64]:
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(file, formats=FORMATS) as image:
            image.draft("L", (WORKING_SIDE, WORKING_SIDE))  # a JPEG may be decoded at 1/2, 1/4, 1/8
            if image.width * image.height > MOST_PIXELS:
                raise Image.DecompressionBombError
            ImageOps.exif_transpose(image, in_place=True)
            return _brightness(image)
    except UnidentifiedImageError as error:
        formats = ", ".join(FORMATS[:-1]) + " or " + FORMATS[-1]
        raise DataError(f"{name}: is not a {formats} picture.") from error
    except Image.DecompressionBombError as error:
        raise DataError(
            f"{name}: claims to hold more than {MOST_PIXELS:,} pixels, the most that are read."
        ) from error
    except Exception as error:  # on a damaged file a decoder raises nearly anything
        raise DataError(f"{name}: the picture is damaged: {shown(error).rstrip('.')}.") from error


def _brightness(image: "Image.Image") -> NDArray[np.float64]:
    """Return the brightness of `image`, in any of Pillow's modes, reduced to the working size."""
    deep = image.mode.startswith(("I", "F"))  # 16 or 32 bits a pixel
    grey = _reduce(image.convert("F") if deep else _on_paper(image))
    numbers = np.nan_to_num(np.asarray(grey, np.float64), posinf=0.0, neginf=0.0)
    white = _white(image, float(numbers.max())) if deep else 255.0
    return np.clip(numbers / white, 0.0, 1.0)


def _white(image: "Image.Image", brightest: float) -> float:
    """What stands for white in 16 bits a pixel; in 32, where it is not said, what is likely."""
    if image.mode.startswith("I;16") or image.format in ("PNG", "PPM"):  # they have no more
        return 65535.0
    return next((scale for scale in (1.0, 255.0, 65535.0) if brightest <= scale), brightest)


def _on_paper(image: "Image.Image") -> "Image.Image":
    """Make `image` grey, its transparent parts white, or black if all would vanish on white."""
    from PIL import Image

    if not image.has_transparency_data:
        return image.convert("L")
    # It is reduced now, for fifty million pixels take 200 MB, and it is needed several times.
    ink = _reduce(image if image.mode == "RGBA" else image.convert("RGBA"))

    def laid_on(colour: str) -> Image.Image:
        return Image.alpha_composite(Image.new("RGBA", ink.size, colour), ink).convert("L")

    on_white = laid_on("white")
    return laid_on("black") if on_white.getextrema() == (255, 255) else on_white


def _reduce(image: "Image.Image") -> "Image.Image":
    factor = max(image.size) // WORKING_SIDE
    return image.reduce(factor) if factor > 1 else image
