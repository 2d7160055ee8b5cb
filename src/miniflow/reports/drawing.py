"""What the pictures of a run are drawn with: a page, its type, its colours, and ticks for its axes.

All lengths are in points, as a designer would give them; the origin is the top left corner. A
`Canvas` draws four pixels to a point and saves two, so every edge is smooth and the picture is
sharp on a dense screen. The typeface is the one that Pillow carries, so that a picture looks the
same everywhere; what it cannot write is replaced. The colours are from a set that people with any
kind of colour vision tell apart (M. Okabe and K. Ito, "Color Universal Design", 2008).
"""

import functools
import io
import itertools
import math
import os
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from miniflow.files.atomic import write_bytes

if TYPE_CHECKING:
    from PIL import Image, ImageFont

Align = Literal["left", "centre", "right"]
Point = tuple[float, float]


class Colour(NamedTuple):
    """Red, green and blue, 0 to 255."""

    red: int
    green: int
    blue: int

    def mixed(self, other: "Colour", share: float) -> "Colour":
        """Return this colour with a `share`, 0 to 1, of another."""
        return Colour(*(round(a + (b - a) * share) for a, b in zip(self, other, strict=True)))


WHITE = Colour(255, 255, 255)
INK = Colour(34, 34, 34)  # what is to be read first
GREY = Colour(105, 105, 105)  # what explains it
HAIRLINE = Colour(226, 226, 226)
BLUE = Colour(0, 114, 178)
VERMILION = Colour(213, 94, 0)


def readable_on(ground: Colour) -> Colour:
    """Return white or ink, whichever is the easier to read on `ground`.

    Decided by the ground's relative luminance (WCAG 2.2).
    """
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
        for c in (part / 255 for part in ground)
    ]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return WHITE if luminance < 0.25 else INK


TITLE, BODY, SMALL = 18.0, 12.0, 10.0  # sizes of type
MARGIN = 28.0  # around every picture
DRAWN, SAVED = 4, 2  # pixels to a point


class Canvas:
    """A white page of `width` × `height` points."""

    def __init__(self, width: float, height: float) -> None:
        from PIL import Image, ImageDraw

        size = math.ceil(width) * DRAWN, math.ceil(height) * DRAWN
        self.image = Image.new("RGB", size, WHITE)
        self._draw = ImageDraw.Draw(self.image)

    def text(
        self,
        place: Point,
        words: str,
        size: float = BODY,
        colour: Colour = INK,
        align: Align = "left",
        *,
        upwards: bool = False,
    ) -> None:
        """Write one line whose baseline begins, is centred, or ends at `place`.

        With `upwards` the line is turned to be read from below, and aligned along its way up.
        """
        from PIL import Image

        mask, baseline = _type(printable(words), size)
        x, y = (round(along * DRAWN) for along in place)
        back = round(mask.width * {"left": 0.0, "centre": 0.5, "right": 1.0}[align])
        if upwards:
            corner = x - baseline, y - mask.width + back
            mask = mask.transpose(Image.Transpose.ROTATE_90)
        else:
            corner = x - back, y - baseline
        self.image.paste(colour, corner, mask)

    def line(self, points: Sequence[Point], colour: Colour, width: float = 1.0) -> None:
        """Draw straight strokes from point to point, round at their ends and corners."""
        places = [(x * DRAWN, y * DRAWN) for x, y in points]
        thickness = max(1, round(width * DRAWN))
        self._draw.line(places, fill=colour, width=thickness, joint="curve")
        if thickness > DRAWN:
            for x, y in (points[0], points[-1]):
                self.disc((x, y), width / 2, colour)

    def rectangle(self, corner: Point, width: float, height: float, colour: Colour) -> None:
        """Fill a rectangle, given its top left corner; neighbours meet without a gap."""
        left, top = (round(along * DRAWN) for along in corner)
        right, bottom = round((corner[0] + width) * DRAWN), round((corner[1] + height) * DRAWN)
        if right > left and bottom > top:
            self._draw.rectangle((left, top, right - 1, bottom - 1), fill=colour)

    def disc(self, centre: Point, radius: float, colour: Colour) -> None:
        """Fill a circle."""
        (x, y), r = (along * DRAWN for along in centre), radius * DRAWN
        self._draw.ellipse((x - r, y - r, x + r, y + r), fill=colour)

    def picture(self, corner: Point, width: float, height: float, grey: NDArray[Any]) -> None:
        """Lay a picture, (h, w) in [0, 1] with 1 for white, at `corner`; its pixels stay square."""
        from PIL import Image

        numbers = np.rint(np.clip(np.nan_to_num(grey), 0, 1) * 255).astype(np.uint8)
        size = round(width * DRAWN), round(height * DRAWN)
        enlarged = Image.fromarray(numbers).resize(size, Image.Resampling.NEAREST)
        left, top = (round(along * DRAWN) for along in corner)
        self.image.paste(enlarged.convert("RGB"), (left, top))

    def heading(self, title: str, subtitle: str, width: float = math.inf) -> float:
        """Write a picture's title and a line below it; return where the next thing may begin."""
        self.text((MARGIN, MARGIN + TITLE * 0.8), fitting(title, TITLE, width), TITLE)
        baseline = MARGIN + TITLE * 0.8 + BODY * 1.7
        self.text((MARGIN, baseline), fitting(subtitle, BODY, width), BODY, GREY)
        return baseline + BODY * 0.5

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the page as PNG, replacing `path` in one step. Raises OSError if it cannot be."""
        buffer = io.BytesIO()
        dots_per_inch = 72 * SAVED
        page = self.image.reduce(DRAWN // SAVED)
        page.save(buffer, "PNG", dpi=(dots_per_inch, dots_per_inch))
        write_bytes(path, buffer.getvalue())


# --- type ----------------------------------------------------------------------------------------


def text_width(words: str, size: float = BODY) -> float:
    """Return how many points one line of text takes."""
    return _type(printable(words), size)[0].width / DRAWN


def fitting(words: str, size: float, width: float) -> str:
    """Return `words`, cut and ended with an ellipsis if they take more than `width` points."""
    if text_width(words, size) <= width:
        return words
    kept = len(words) - 1
    while kept > 0 and text_width(words[:kept] + "…", size) > width:
        kept -= 1
    return words[:kept].rstrip() + "…"


@functools.lru_cache(maxsize=4096)
def printable(words: str) -> str:
    """Replace what the typeface lacks in `words`: é becomes e, × becomes x, the rest ?."""
    return "".join(_printable(character) for character in words)


def _printable(character: str) -> str:
    known = {"−": "-", "–": "-", "—": "-", "×": "x"}
    plain = unicodedata.normalize("NFKD", known.get(character, character))
    kept = "".join(c for c in plain if " " <= c <= "~" or c in "·…°")
    return character if character in "·…°" else kept or "?"


def _type(words: str, size: float) -> "tuple[Image.Image, int]":
    """Set a line of text: its mask, as wide as the line, and the row of its baseline, in pixels."""
    from PIL import Image, ImageDraw, ImageFont

    font = _font(size)
    if isinstance(font, ImageFont.FreeTypeFont):
        above, below = font.getmetrics()
        width = max(1, math.ceil(font.getlength(words)))
        mask = Image.new("L", (width, above + below))
        ImageDraw.Draw(mask).text((0, above), words, fill=255, font=font, anchor="ls")
        return mask, above
    _, _, wide, tall = font.getbbox(words.replace("…", "...") or " ")
    mask = Image.new("L", (max(1, int(wide)), max(1, int(tall))))
    ImageDraw.Draw(mask).text((0, 0), words.replace("…", "..."), fill=255, font=font)
    scale = size * DRAWN / 9  # the bitmap letters are about nine pixels high
    mask = mask.resize((max(1, round(mask.width * scale)), max(1, round(mask.height * scale))))
    return mask, round(mask.height * 0.8)


@functools.lru_cache(maxsize=32)
def _font(size: float) -> "ImageFont.FreeTypeFont | ImageFont.ImageFont":
    """Return Pillow's own typeface, or its bitmap letters where it was built without FreeType."""
    from PIL import ImageFont

    try:
        return ImageFont.load_default(size * DRAWN)
    except ImportError:
        return ImageFont.load_default()


# --- axes ----------------------------------------------------------------------------------------


def ticks(low: float, high: float, most: int = 6, least_step: float = 0.0) -> list[float]:
    """Return round numbers, at most `most`, evenly spaced, from the last at or below `low` on.

    The step is 1, 2 or 5 times a power of ten, at least `least_step`; the last number is the first
    that is not below `high`, so that the numbers span an axis that holds all of [low, high].

    >>> ticks(0, 0.93)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    >>> ticks(17, 83, most=4)
    [0.0, 50.0, 100.0]
    """
    if high - low <= max(1e-9 * max(abs(low), abs(high)), 1e-300):  # one value, to the eye
        low, high = low - 0.5 * (abs(low) or 1), high + 0.5 * (abs(high) or 1)
    power = 10.0 ** math.floor(math.log10(high - low) - 2)
    steps = (factor * power * 10.0**k for k in range(5) for factor in (1, 2, 5))
    for step in steps:
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        if last - first < most and step >= least_step:
            break
    return [float(f"{number * step:.14g}") for number in range(first, last + 1)]


def tick_labels(values: Sequence[float], unit: str = "") -> list[str]:
    """Write round numbers with as many places as their step needs, and `unit` behind each.

    >>> tick_labels([0.0, 0.05, 0.1])
    ['0.00', '0.05', '0.10']
    >>> tick_labels([90.0, 95.0, 100.0], "%")
    ['90%', '95%', '100%']
    """
    step = min((b - a for a, b in itertools.pairwise(values)), default=1.0)
    largest = max(map(abs, values))
    if largest >= 1e6 or largest < 1e-4:
        return [f"{value:.3g}{unit}" for value in values]
    places = max(0, -math.floor(math.log10(step) + 1e-9))
    return [f"{value:,.{places}f}{unit}" for value in values]


class Axis(NamedTuple):
    """A straight scale: the numbers from `low` to `high` lie from `start` to `end` points."""

    low: float
    high: float
    start: float
    end: float

    def at(self, number: float) -> float:
        """Return the point at which `number` lies."""
        share = (number - self.low) / ((self.high - self.low) or 1.0)
        return self.start + share * (self.end - self.start)
