"""From a picture's file to its brightness: the one place that knows about file formats.

Pillow decodes. What is added here is care: only formats whose decoders run inside this process are
tried, a header's claim is believed only up to a limit and before anything is allocated, a large
picture is reduced to what a digit of 20 × 20 can need, and whatever goes wrong is said in one
sentence with the file's name. What more than eight bits a pixel mean is in `deep`, what a file is
that is no picture in `kinds`.
"""

import os
import stat
import warnings
from typing import IO, TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from miniflow.digit_images.deep import brightness_of_deep, without_gaps
from miniflow.digit_images.kinds import HEAD, kind_of
from miniflow.errors import DataError, shown
from miniflow.options import file_path

if TYPE_CHECKING:
    from PIL import Image

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM")
MOST_PIXELS = 50_000_000  # a page scanned at 600 dpi has 35 million
WORKING_SIDE = 1024  # the longer side of a picture is reduced to less than twice this
PALE = 0.08  # ink that differs less than this from white paper is not seen on it
SPECKS = 0.01  # a share of the ink that may have another colour than the ink has


def read_color(path: str | os.PathLike[str]) -> NDArray[np.float64]:
    """Decode the picture at `path` to its colours, (h, w, 3) in [0, 1]: red, green and blue. All
    else is as for `read_grey`; what has no colours is grey.
    """
    return _read(path, "read_color", True)


def read_grey(path: str | os.PathLike[str]) -> NDArray[np.float64]:
    """Decode the picture at `path` to its brightness, (h, w) in [0, 1], 0 black and 1 white.

    Colours become grey by their luma (ITU-R BT.601). Transparency is laid on white, or on black if
    what is drawn would hardly be seen on white. Of pictures with more than eight bits a pixel, the
    brightest tells how many bits are used, and what uses a small part of them, or fractions of
    another range than 0 to 1, is stretched (`deep`). The camera's note of how it was held is
    followed. Of an animation the first picture is taken. A side of n >= 2048 pixels is reduced to
    1024 or more.

    Raises `DataError` with the file's name if it cannot be opened, is not a picture (the message
    says what it is, and how a picture is made of it), is damaged, or claims to hold more than fifty
    million pixels. It never waits for a pipe or a device.

    >>> read_grey("missing.png")
    Traceback (most recent call last):
    miniflow.errors.DataError: missing.png: cannot be opened: No such file or directory.
    """
    return _read(path, "read_grey", False)


def _read(path: str | os.PathLike[str], owner: str, color: bool) -> NDArray[np.float64]:
    name = file_path(owner, path)
    try:
        if (other := _no_file(os.stat(name).st_mode)) is not None:
            raise DataError(f"{name}: is {other}.")
        file = open(name, "rb")  # noqa: SIM115 (closed below; decoding has its own errors)
    except OSError as error:
        raise DataError(f"{name}: cannot be opened: {error.strerror}.") from error
    with file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an error says what matters
        return _decode(file, name, color)


def _no_file(mode: int) -> str | None:
    """What stands under a name, if it is no file: opening or reading it could wait for ever."""
    if stat.S_ISDIR(mode):
        return "a folder; give the pictures in it"
    if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
        return "a pipe; write the picture to a file, and give that"
    return None if stat.S_ISREG(mode) else "a device, and no picture"


def _decode(file: IO[bytes], name: str, color: bool) -> NDArray[np.float64]:
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(file, formats=FORMATS) as image:
            # A JPEG may be decoded at 1/2, 1/4, 1/8.
            image.draft("RGB" if color else "L", (WORKING_SIDE, WORKING_SIDE))
            if image.width * image.height > MOST_PIXELS:
                raise Image.DecompressionBombError
            ImageOps.exif_transpose(image, in_place=True)
            return _colors(image) if color else _brightness(image)
    except UnidentifiedImageError as error:
        raise DataError(f"{name}: {_told(file)}.") from error
    except Image.DecompressionBombError as error:
        raise DataError(
            f"{name}: claims to hold more than {MOST_PIXELS:,} pixels, the most that are read."
        ) from error
    except Exception as error:  # on a damaged file a decoder raises nearly anything
        raise DataError(f"{name}: the picture is damaged: {shown(error).rstrip('.')}.") from error


def _told(file: IO[bytes]) -> str:
    """What a file is that Pillow knows nothing about, and what to do."""
    file.seek(0)
    kind = kind_of(file.read(HEAD))
    formats = f"a {', '.join(FORMATS[:-1])} or {FORMATS[-1]} picture"
    if kind is None:
        return f"is not {formats}"
    return f"is {kind.name}{f'; {kind.advice}' if kind.advice else f', and not {formats}'}"


def _brightness(image: "Image.Image") -> NDArray[np.float64]:
    """Return the brightness of `image`, in any of Pillow's modes, reduced to the working size."""
    if image.mode.startswith(("I", "F")):  # 16 or 32 bits a pixel
        fractions = image.mode == "F"
        whole = without_gaps(image.convert("F"))
        return brightness_of_deep(np.asarray(_reduce(whole), np.float64), fractions)
    return np.asarray(_reduce(_on_paper(image)), np.float64) / 255.0


def _colors(image: "Image.Image") -> NDArray[np.float64]:
    """Return red, green and blue of `image`; three times its brightness, where it has no colours
    that are read.
    """
    if image.mode.startswith(("I", "F")) or image.mode == "LAB":
        return np.stack([_brightness(image)] * 3, axis=-1)
    return np.asarray(_reduce(_on_paper(image, "RGB")), np.float64) / 255.0


def _on_paper(image: "Image.Image", mode: str = "L") -> "Image.Image":
    """Make `image` grey, or of another mode, its transparent parts white, or black if the ink would
    be lost on white.

    Ink is lost if nearly all that is opaque is nearly white; a few specks do not count.
    """
    from PIL import Image

    if image.mode == "LAB":
        return image.getchannel(0)  # the lightness
    if not image.has_transparency_data:
        return image.convert(mode)
    # It is reduced now, for fifty million pixels take 200 MB, and it is needed several times.
    ink = _reduce(image if image.mode == "RGBA" else image.convert("RGBA"))

    def laid_on(colour: str) -> Image.Image:
        return Image.alpha_composite(Image.new("RGBA", ink.size, colour), ink).convert(mode)

    grey, opacity = np.asarray(ink.convert("RGB").convert("L")), np.asarray(ink.getchannel("A"))
    drawn = grey[opacity > opacity.max() // 2]
    if drawn.size and np.quantile(drawn, SPECKS) >= 255 * (1 - PALE):
        return laid_on("black")
    return laid_on("white")


def _reduce(image: "Image.Image") -> "Image.Image":
    factor = max(image.size) // WORKING_SIDE
    return image.reduce(factor) if factor > 1 else image
