"""Photographs of digits, made with Pillow: what people hold a phone over, and what gets in the way.

    photo("squares -35", digit=3, seed=1)        a picture of 640 × 480, brightness 0 to 255

A kind is a sheet (ruled, squared, with a margin line), the light on it (a lamp, a shadow with a
soft or a hard edge), what else is in the picture (a table, a thumb), a pen, and what the camera
does.
With `digit=None` the same sheet is blank.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Array = NDArray[np.float64]
WIDTH, HEIGHT = 640, 480
SCALE = 3  # strokes are drawn so many times larger

# Each digit as strokes of points in a box of width 1 and height 1, y down.
STROKES: dict[int, list[list[tuple[float, float]]]] = {
    0: [[(0.55, 0.0), (0.2, 0.12), (0.02, 0.5), (0.2, 0.9), (0.5, 1.0), (0.85, 0.85), (0.98, 0.45),
         (0.85, 0.12), (0.55, 0.0)]],
    1: [[(0.5, 0.0), (0.48, 0.5), (0.45, 1.0)]],
    2: [[(0.08, 0.22), (0.3, 0.02), (0.65, 0.0), (0.88, 0.2), (0.8, 0.45), (0.45, 0.75),
         (0.05, 0.98), (0.4, 0.96), (0.95, 0.98)]],
    3: [[(0.1, 0.12), (0.4, 0.0), (0.78, 0.1), (0.8, 0.32), (0.4, 0.47), (0.8, 0.58), (0.92, 0.8),
         (0.65, 0.98), (0.3, 1.0), (0.04, 0.86)]],
    4: [[(0.3, 0.02), (0.12, 0.32), (0.06, 0.58), (0.5, 0.58), (0.94, 0.54)],
        [(0.78, 0.05), (0.74, 0.5), (0.7, 1.0)]],
    5: [[(0.85, 0.02), (0.3, 0.03), (0.2, 0.42), (0.6, 0.38), (0.9, 0.58), (0.85, 0.85), (0.5, 1.0),
         (0.08, 0.92)]],
    6: [[(0.75, 0.0), (0.4, 0.2), (0.12, 0.55), (0.15, 0.88), (0.5, 1.0), (0.85, 0.85), (0.82, 0.6),
         (0.5, 0.5), (0.18, 0.66)]],
    7: [[(0.04, 0.08), (0.45, 0.05), (0.95, 0.03), (0.7, 0.45), (0.5, 0.75), (0.42, 1.0)]],
    8: [[(0.82, 0.15), (0.5, 0.0), (0.2, 0.15), (0.3, 0.38), (0.7, 0.58), (0.85, 0.82), (0.5, 1.0),
         (0.14, 0.84), (0.3, 0.58), (0.72, 0.38), (0.82, 0.15)]],
    9: [[(0.82, 0.22), (0.5, 0.02), (0.18, 0.2), (0.22, 0.44), (0.5, 0.5), (0.8, 0.3), (0.82, 0.18),
         (0.78, 0.55), (0.66, 1.0)]],
}  # fmt: skip


@dataclass(frozen=True)
class Kind:
    """What a photograph shows besides the digit.

    ink, pen: brightness of the ink and width of the pen in pixels. height: of the digit.
    place: of the digit's middle, as shares of the picture. sheet, light, things: each changes
    the brightness of the paper; things cover it. camera: what becomes of it all.
    """

    ink: float = 45.0
    pen: float = 9.0
    height: float = 200.0
    place: tuple[float, float] = (0.5, 0.5)
    paper: float = 228.0
    size: tuple[int, int] = (WIDTH, HEIGHT)
    sheet: Callable[[Array], Array] = field(default=lambda paper: paper)
    light: Callable[[Array], Array] = field(default=lambda page: page)
    things: Callable[[Array], Array] = field(default=lambda page: page)
    camera: Callable[[Image.Image], Image.Image] = field(default=lambda picture: picture)
    grain: float = 2.0
    slant: float = 0.0


def ruled(depth: float, step: int = 44) -> Callable[[Array], Array]:
    def sheet(paper: Array) -> Array:
        paper = paper.copy()
        for row in range(step // 2, paper.shape[0], step):
            paper[row : row + 2] -= depth
        return paper

    return sheet


def squared(depth: float, step: int = 32) -> Callable[[Array], Array]:
    def sheet(paper: Array) -> Array:
        lines = np.zeros(paper.shape, bool)
        for row in range(step // 2, paper.shape[0], step):
            lines[row : row + 2] = True
        for column in range(step // 3, paper.shape[1], step):
            lines[:, column : column + 2] = True
        return paper - depth * lines

    return sheet


def margin_line(paper: Array) -> Array:
    paper = ruled(20)(paper)
    paper[:, 96:99] -= 90
    return paper


def edge(x: float, share: float, softness: float = 3.0, slope: float = 0.06) -> Any:
    """A shadow left of x, which leaves so much of the light."""

    def light(page: Array) -> Array:
        rows, columns = np.indices(page.shape)
        away = (columns - x - slope * (rows - page.shape[0] / 2)) / softness
        return page * (share + (1 - share) / (1 + np.exp(np.clip(-away, -60, 60))))

    return light


def bottom_shadow(page: Array) -> Array:
    page = page.copy()
    page[-page.shape[0] // 6 :] *= 0.45
    return page


def lamp(page: Array) -> Array:
    rows, columns = np.indices(page.shape)
    return page * (1 - 0.55 * (columns / page.shape[1] + rows / page.shape[0]) / 2)


def vignette(page: Array) -> Array:
    rows, columns = np.indices(page.shape)
    away = np.hypot(rows / page.shape[0] - 0.5, columns / page.shape[1] - 0.5)
    return page * (1 - 0.7 * away**2)


def table(*sides: str) -> Callable[[Array], Array]:
    """The sheet's edge, and a dark table beyond it."""

    def things(page: Array) -> Array:
        rows, columns = np.indices(page.shape)
        wood = 70 + 8 * np.sin(rows / 9.0 + columns / 60.0)
        page = page.copy()
        for side in sides:
            beyond = {
                "left": columns < 70 + 0.04 * rows,
                "right": columns > page.shape[1] - 80 - 0.05 * rows,
                "top": rows < 60 + 0.05 * columns,
            }[side]
            page[beyond] = wood[beyond]
        return page

    return things


def thumb(page: Array) -> Array:
    rows, columns = np.indices(page.shape)
    height, width = page.shape
    away = np.hypot((columns - width) / 150, (rows - height) / 190)
    skin = 135 + 25 * np.clip(1 - away, 0, 1)
    return np.where(away < 1, skin, page)


def turned(degrees: float) -> Callable[[Image.Image], Image.Image]:
    """The phone was not held straight; the picture is cut to its middle."""

    def camera(picture: Image.Image) -> Image.Image:
        width, height = picture.size
        larger = picture.resize((width * 5 // 4, height * 5 // 4)).rotate(
            degrees, Image.Resampling.BICUBIC
        )
        left, top = width // 8, height // 8
        return larger.crop((left, top, left + width, top + height))

    return camera


def jpeg(quality: int) -> Callable[[Image.Image], Image.Image]:
    def camera(picture: Image.Image) -> Image.Image:
        import io

        file = io.BytesIO()
        picture.save(file, "JPEG", quality=quality)
        return Image.open(io.BytesIO(file.getvalue())).convert("L")

    return camera


KINDS: dict[str, Kind] = {
    "plain": Kind(),
    "thin pencil": Kind(ink=120, pen=3),
    "faint pencil": Kind(ink=178, pen=5),
    "marker": Kind(ink=20, pen=24),
    "lamp to one side": Kind(light=lamp),
    "vignette": Kind(light=vignette),
    "ruled -20": Kind(sheet=ruled(20)),
    "ruled -35": Kind(sheet=ruled(35)),
    "ruled -60": Kind(sheet=ruled(60)),
    "squares -20": Kind(sheet=squared(20)),
    "squares -35": Kind(sheet=squared(35)),
    "squares -60": Kind(sheet=squared(60)),
    "squares -35, large digit": Kind(sheet=squared(35), height=330, pen=12),
    "squares -35, small squares": Kind(sheet=squared(35, step=19)),
    "squares -35, turned by 3°": Kind(sheet=squared(35), camera=turned(3)),
    "ruled -60, turned by -4°": Kind(sheet=ruled(60), camera=turned(-4)),
    "margin line": Kind(sheet=margin_line),
    "weak shadow": Kind(light=edge(250, 0.8, 7.5)),
    "soft wide shadow": Kind(light=edge(300, 0.6, 60)),
    "shadow's edge at 120": Kind(light=edge(120, 0.55)),
    "shadow's edge at 200": Kind(light=edge(200, 0.55)),
    "shadow's edge at 230": Kind(light=edge(230, 0.5)),
    "shadow's edge at 290": Kind(light=edge(290, 0.55)),
    "shadow's edge through the digit": Kind(light=edge(325, 0.6)),
    "hard shadow at the bottom": Kind(light=bottom_shadow),
    "table on one side": Kind(things=table("left")),
    "table on two sides": Kind(things=table("left", "top")),
    "table on three sides": Kind(things=table("left", "right", "top")),
    "thumb in the corner": Kind(things=thumb),
    "thumb, squares and a shadow": Kind(
        things=thumb, sheet=squared(20), light=edge(200, 0.75, 5), pen=11
    ),
    "JPEG of quality 8": Kind(camera=jpeg(8)),
    "blurred": Kind(camera=lambda picture: picture.filter(ImageFilter.GaussianBlur(5))),
    "at night": Kind(ink=12, paper=62, grain=9),
    "chalk": Kind(ink=215, paper=52, pen=10, grain=6),
    "small on a large sheet": Kind(size=(2400, 1800), height=80, pen=5, place=(0.3, 0.6)),
    "touching the border": Kind(height=330, pen=14, place=(0.13, 0.34)),
    "cropped tight": Kind(size=(150, 220), height=205, pen=16),
    "slanted": Kind(slant=0.3),
}
BLANK = [
    name for name in KINDS
    if not name.startswith(("touching", "cropped", "small", "thin", "faint", "marker", "slanted"))
]  # fmt: skip


def strokes_of(digit: int, rng: np.random.Generator, slant: float) -> list[Array]:
    """The strokes as somebody writes them this time: smooth curves in a box round the origin."""
    lines = []
    for points in STROKES[digit]:
        at = np.array(points) + rng.normal(0, 0.018, (len(points), 2))
        lines.append(_smooth(at))
    turn = rng.normal(0, 0.05)
    turning = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    shape = np.array([rng.uniform(0.58, 0.72), 1.0])
    shear = np.array([[1.0, 0.0], [-slant - rng.normal(0, 0.06), 1.0]])
    return [((line - 0.5) * shape) @ shear @ turning.T for line in lines]


def _smooth(points: Array, each: int = 12) -> Array:
    """A Catmull-Rom curve through the points."""
    padded = np.vstack([2 * points[0] - points[1], points, 2 * points[-1] - points[-2]])
    t = np.linspace(0, 1, each, endpoint=False)[:, None]
    parts = []
    for a, b, c, d in zip(padded, padded[1:], padded[2:], padded[3:], strict=False):
        curve = 2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2
        parts.append(0.5 * (curve + (3 * b - a - 3 * c + d) * t**3))
    return np.vstack([*parts, points[-1:]])


def pen_on(
    size: tuple[int, int], lines: list[Array], place: Array, height: float, pen: float
) -> Array:
    """How much ink is where, 0 to 1."""
    picture = Image.new("L", (size[0] * SCALE, size[1] * SCALE), 0)
    draw = ImageDraw.Draw(picture)
    radius = pen * SCALE / 2
    for line in lines:
        at = (line * height + place) * SCALE
        draw.line([tuple(point) for point in at], fill=255, width=round(2 * radius), joint="curve")
        for x, y in at:
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    return np.asarray(picture.resize(size, Image.Resampling.BOX), np.float64) / 255


def photo(kind: str, digit: int | None, seed: int = 0) -> Image.Image:
    """A photograph of that kind."""
    of, rng = KINDS[kind], np.random.default_rng([seed, 11 if digit is None else digit])
    page = of.sheet(np.full(of.size[::-1], of.paper))
    if digit is not None:
        lines = strokes_of(digit, rng, of.slant)
        place = np.array(of.size) * of.place
        if of.size == (WIDTH, HEIGHT) and of.place == (0.5, 0.5):
            place += rng.uniform(-25, 25, 2)
        ink = pen_on(of.size, lines, place, of.height, of.pen)
        page = page + (of.ink - page) * ink * 0.97
    page = of.things(of.light(page))
    page = page + rng.normal(0, of.grain, page.shape)
    picture = Image.fromarray(np.clip(page, 0, 255).astype(np.uint8))
    return of.camera(picture)


def digits_side_by_side(digits: list[int], seed: int = 0, rows: int = 1) -> Image.Image:
    """Several digits on one sheet, in one or several lines."""
    rng = np.random.default_rng([seed, *digits])
    page = np.full((HEIGHT, WIDTH), 228.0)
    in_a_row = -(-len(digits) // rows)
    height = min(170, 330 / rows, 560 / in_a_row)
    for i, digit in enumerate(digits):
        row, column = divmod(i, in_a_row)
        x = WIDTH / 2 + (column - (in_a_row - 1) / 2) * height * 0.95
        y = HEIGHT / 2 + (row - (rows - 1) / 2) * height * 1.35
        ink = pen_on((WIDTH, HEIGHT), strokes_of(digit, rng, 0), np.array([x, y]), height, 8)
        page = page + (45 - page) * ink
    page += rng.normal(0, 2, page.shape)
    return Image.fromarray(np.clip(page, 0, 255).astype(np.uint8))
