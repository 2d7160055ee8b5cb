"""What the pictures of a run have in common: their sizes, their colours and their heading.

Lengths are in points, as a designer would give them. The colours are from a set that people with
any kind of colour vision tell apart (M. Okabe and K. Ito, "Color Universal Design", 2008).
"""

import math
import os

from miniflow.files.atomic import write_bytes
from miniflow.pictures.canvas import Canvas
from miniflow.pictures.pixels import fit_text
from miniflow.pictures.style import Colour

WHITE = Colour(255, 255, 255)
INK = Colour(34, 34, 34)  # what is to be read first
GREY = Colour(105, 105, 105)  # what explains it
HAIRLINE = Colour(226, 226, 226)
BLUE = Colour(0, 114, 178)
VERMILION = Colour(213, 94, 0)

TITLE, BODY, SMALL = 18.0, 12.0, 10.0  # sizes of type
MARGIN = 28.0  # around every picture


def headed_canvas(
    width: float, height: float, title: str, summary: str, room: float = math.inf
) -> tuple[Canvas, float]:
    """A canvas with a title and a line below it, at most `room` wide, and where it may go on."""
    canvas = Canvas(width, height, title, summary)
    canvas.text((MARGIN, MARGIN + TITLE * 0.8), fit_text(title, TITLE, room), INK, "start", TITLE)
    baseline = MARGIN + TITLE * 0.8 + BODY * 1.7
    canvas.text((MARGIN, baseline), fit_text(summary, BODY, room), GREY, "start", BODY)
    return canvas, baseline + BODY * 0.5


def save_png(canvas: Canvas, path: str | os.PathLike[str]) -> None:
    """Write a canvas as PNG, replacing `path` in one step. Raises OSError if it cannot be."""
    write_bytes(path, canvas.png())


def readable_on(ground: Colour) -> Colour:
    """White or ink, whichever is the easier to read on `ground`.

    Decided by the ground's relative luminance (WCAG 2.2).
    """
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
        for c in (part / 255 for part in ground)
    ]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return WHITE if luminance < 0.25 else INK
