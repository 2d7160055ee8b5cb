"""From a canvas to PNG, with Pillow and the typeface that it carries.

So a picture looks the same everywhere, whatever fonts a system has; what the typeface cannot write
is replaced. Four pixels are drawn to a unit and two are saved, so that every edge is smooth and the
picture is sharp on a dense screen.
"""

from __future__ import annotations

import functools
import io
import math
import unicodedata
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from miniflow.pictures import canvas
from miniflow.pictures.style import Colour, declarations

if TYPE_CHECKING:
    from PIL import Image, ImageDraw, ImageFont

DRAWN, SAVED = 4, 2  # pixels to a unit


def print_png(width: float, height: float, shapes: Iterable[canvas.Shape]) -> bytes:
    """The shapes, one upon the other on white, as a PNG file."""
    from PIL import Image

    size = math.ceil(width) * DRAWN, math.ceil(height) * DRAWN
    page = Image.new("RGB", size, "white")
    for shape in shapes:
        _draw(page, shape)
    buffer = io.BytesIO()
    dots_per_inch = 72 * SAVED
    page.reduce(DRAWN // SAVED).save(buffer, "PNG", dpi=(dots_per_inch, dots_per_inch))
    return buffer.getvalue()


def _draw(page: Image.Image, shape: canvas.Shape) -> None:
    from PIL import Image, ImageDraw

    draw = ImageDraw.Draw(page)
    match shape:
        case canvas.Text():
            _write(page, shape)
        case canvas.Stroke(points, look, width, _):
            _stroke(draw, points, _paint(look, "stroke"), width)
        case canvas.Polygon(points, look):
            draw.polygon([(x * DRAWN, y * DRAWN) for x, y in points], _paint(look))
        case canvas.Rectangle((x, y), width, height, look, radius):
            left, top, right, bottom = (round(a * DRAWN) for a in (x, y, x + width, y + height))
            if right > left and bottom > top:  # neighbours meet without a gap
                corners = left, top, right - 1, bottom - 1
                draw.rounded_rectangle(corners, radius * DRAWN, _paint(look), *_outline(look))
        case canvas.Circle((x, y), radius, look):
            box = tuple((along + r) * DRAWN for r in (-radius, radius) for along in (x, y))
            draw.ellipse(box, _paint(look), *_outline(look))
        case canvas.Raster((x, y), width, height, greys):
            size = round(width * DRAWN), round(height * DRAWN)
            enlarged = Image.fromarray(greys).resize(size, Image.Resampling.NEAREST)
            page.paste(enlarged.convert("RGB"), (round(x * DRAWN), round(y * DRAWN)))


def _paint(look: canvas.Look, what: str = "fill") -> str | None:
    """The colour inside a shape, or with "stroke" of its line; None if it has none."""
    colour = look.css() if isinstance(look, Colour) else declarations(look).get(what, "none")
    return None if colour == "none" else colour


def _outline(look: canvas.Look) -> tuple[str | None, int]:
    """The colour and the width of the line around a shape; one that is one colour has none."""
    if isinstance(look, Colour):
        return None, 0
    return _paint(look, "stroke"), round(float(declarations(look).get("stroke-width", 1)) * DRAWN)


def _stroke(
    draw: ImageDraw.ImageDraw, points: Sequence[canvas.Point], colour: str | None, width: float
) -> None:
    """Straight strokes from point to point, round at their ends and corners."""
    places = [(x * DRAWN, y * DRAWN) for x, y in points]
    thickness = max(1, round(width * DRAWN))
    draw.line(places, fill=colour, width=thickness, joint="curve")
    if thickness > DRAWN:
        r = width / 2 * DRAWN
        for x, y in (places[0], places[-1]):
            draw.ellipse((x - r, y - r, x + r, y + r), fill=colour)


# --- type ----------------------------------------------------------------------------------------


def _write(page: Image.Image, text: canvas.Text) -> None:
    from PIL import Image

    mask, baseline = _set(writable(text.words), text.size)
    x, y = (round(along * DRAWN) for along in text.at)
    back = round(mask.width * {"start": 0.0, "middle": 0.5, "end": 1.0}[text.anchor])
    if text.upwards:
        corner = x - baseline, y - mask.width + back
        mask = mask.transpose(Image.Transpose.ROTATE_90)
    else:
        corner = x - back, y - baseline
    page.paste(_paint(text.look) or "black", corner, mask)


def text_width(words: str, size: float) -> float:
    """How much one line of text takes, in the typeface that is written with here."""
    return _set(writable(words), size)[0].width / DRAWN


def fit_text(words: str, size: float, width: float) -> str:
    """The words, cut and ended with an ellipsis if they take more than `width`."""
    if text_width(words, size) <= width:
        return words
    kept = len(words) - 1
    while kept > 0 and text_width(words[:kept] + "…", size) > width:
        kept -= 1
    return words[:kept].rstrip() + "…"


@functools.lru_cache(maxsize=4096)
def writable(words: str) -> str:
    """The words without what the typeface lacks: é becomes e, ½ becomes 1/2, the rest ?."""
    return "".join(map(_writable, words))


def _writable(character: str) -> str:
    known = {"−": "-", "–": "-", "—": "-", "×": "x"}
    plain = unicodedata.normalize("NFKD", known.get(character, character)).replace("⁄", "/")
    kept = "".join(c for c in plain if " " <= c <= "~" or c in "·…°")
    return character if character in "·…°" else kept or "?"


def _set(words: str, size: float) -> tuple[Image.Image, int]:
    """A line of text: its mask, as wide as the line, and the row of its baseline, in pixels."""
    from PIL import Image, ImageDraw, ImageFont

    font = _font(size)
    if isinstance(font, ImageFont.FreeTypeFont):
        above, below = font.getmetrics()
        width = max(1, math.ceil(font.getlength(words)))
        mask = Image.new("L", (width, above + below))
        ImageDraw.Draw(mask).text((0, above), words, fill=255, font=font, anchor="ls")
        return mask, above
    words = words.replace("…", "...")
    _, _, wide, tall = font.getbbox(words or " ")
    mask = Image.new("L", (max(1, int(wide)), max(1, int(tall))))
    ImageDraw.Draw(mask).text((0, 0), words, fill=255, font=font)
    scale = size * DRAWN / 9  # the bitmap letters are about nine pixels high
    mask = mask.resize((max(1, round(mask.width * scale)), max(1, round(mask.height * scale))))
    return mask, round(mask.height * 0.8)


@functools.lru_cache(maxsize=32)
def _font(size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own typeface, or its bitmap letters where it was built without FreeType."""
    from PIL import ImageFont

    try:
        return ImageFont.load_default(size * DRAWN)
    except ImportError:
        return ImageFont.load_default()
