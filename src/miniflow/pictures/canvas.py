"""What is drawn by hand is drawn on this: a sheet that keeps shapes, and prints them.

The figures of the course and the pictures of a run are plots and sketches, not graphs, so nothing
lays them out: they say where each line and each word goes, in a plot's own numbers where `Axes`
translates. One sheet has two printers: `svg`, sharp at any size and coloured for day and night, and
`png`, which needs Pillow and no font (see `pixels`).

How a shape looks is said by the classes of `style`, the same as in pictures of graphs: text is
"ink", "dim", "value" or "gradient"; lines are "edge" (grey), "edge lit" (red), or "thin input"
(blue), "thin parameter" (amber) and "thin output" (green); or by a `Colour`, which is the same by
day and night. Numbers are rounded, so that a picture has the same bytes on every machine.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from miniflow.pictures.markup import document, image, rectangle, short, xml_text
from miniflow.pictures.style import Colour
from miniflow.pictures.thumbnail import data_uri, stored_png

Point = tuple[float, float]
Look = str | Colour
Anchor = Literal["start", "middle", "end"]


class Text(NamedTuple):
    """One line of words; `at` is its baseline's start, middle or end. `upwards` is read from the
    right: its baseline goes up.
    """

    at: Point
    words: str
    look: Look
    anchor: Anchor
    size: float
    upwards: bool


class Stroke(NamedTuple):
    """A line through points. `dash` is SVG's, lengths of strokes and gaps; a PNG has it whole."""

    points: list[Point]
    look: Look
    width: float
    dash: str


class Polygon(NamedTuple):
    """A filled polygon."""

    points: list[Point]
    look: Look


class Rectangle(NamedTuple):
    """A rectangle, given its upper left corner; `radius` rounds its corners."""

    corner: Point
    width: float
    height: float
    look: Look
    radius: float


class Circle(NamedTuple):
    """A circle."""

    at: Point
    radius: float
    look: Look


class Raster(NamedTuple):
    """A picture of greys, (h, w) bytes, 255 is white; its pixels stay square."""

    corner: Point
    width: float
    height: float
    greys: NDArray[np.uint8]


Shape = Text | Stroke | Polygon | Rectangle | Circle | Raster


class Canvas:
    """A sheet of `width` by `height`; y grows downwards.

    Its title and description are for those who cannot see it.

    >>> canvas = Canvas(60, 20, "A word", "The word hello.")
    >>> canvas.text((30, 14), "hello")
    >>> '<text class="ink" x="30" y="14"' in canvas.svg()
    True
    """

    def __init__(self, width: float, height: float, title: str, description: str) -> None:
        self.width, self.height = width, height
        self.title, self.description = title, description
        self.shapes: list[Shape] = []

    def text(
        self,
        at: Point,
        words: str,
        look: Look = "ink",
        anchor: Anchor = "middle",
        size: float = 12,
        upwards: bool = False,
    ) -> None:
        """One line of words; `at` is its baseline's start, middle or end."""
        self.shapes.append(Text(at, words, look, anchor, size, upwards))

    def label(self, at: Point, words: str, look: Look, width: float) -> None:
        """Words on a line: a strip of paper, `width` wide, keeps them readable."""
        self.box((at[0] - width / 2, at[1] - 12), width, 17, "paper", 2)
        self.text(at, words, look)

    def line(
        self, points: Iterable[Point], look: Look = "edge", width: float = 1.25, dash: str = ""
    ) -> None:
        """A line through points."""
        self.shapes.append(Stroke(list(points), look, width, dash))

    def arrow(
        self, start: Point, end: Point, look: str = "", width: float = 1.25, dash: str = ""
    ) -> None:
        """A straight arrow; `look` is "" (grey) or "lit" (red)."""
        (x1, y1), (x2, y2) = start, end
        length = math.hypot(x2 - x1, y2 - y1)
        dx, dy = (x2 - x1) / length, (y2 - y1) / length
        back, half = 8.0, 3.6
        self.line([start, (x2 - dx * 6, y2 - dy * 6)], f"edge {look}".strip(), width, dash)
        left = x2 - dx * back - dy * half, y2 - dy * back + dx * half
        right = x2 - dx * back + dy * half, y2 - dy * back - dx * half
        self.shapes.append(Polygon([end, left, right], f"head {look}".strip()))

    def circle(self, at: Point, radius: float, look: Look) -> None:
        self.shapes.append(Circle(at, radius, look))

    def square(self, at: Point, half: float, look: Look) -> None:
        self.box((at[0] - half, at[1] - half), 2 * half, 2 * half, look, 0)

    def box(
        self, corner: Point, width: float, height: float, look: Look, radius: float = 8
    ) -> None:
        """A rectangle with its upper left corner at `corner`."""
        self.shapes.append(Rectangle(corner, width, height, look, radius))

    def picture(self, corner: Point, width: float, height: float, grey: NDArray[Any]) -> None:
        """A picture, (h, w) in [0, 1] with 1 for white, its upper left corner at `corner`."""
        greys = np.rint(np.clip(np.nan_to_num(grey), 0, 1) * 255).astype(np.uint8)
        self.shapes.append(Raster(corner, width, height, greys))

    def svg(self) -> str:
        """The sheet as an SVG document, which follows the reader's preference for day or night."""
        body = "\n".join(map(_svg, self.shapes))
        return document(self.width, self.height, self.title, self.description, body)

    def png(self) -> bytes:
        """The sheet, by day, as a PNG file of two pixels to a unit."""
        from miniflow.pictures.pixels import print_png

        return print_png(self.width, self.height, self.shapes)


def _svg(shape: Shape) -> str:
    match shape:
        case Text(at, words, look, anchor, size, upwards):
            turned = f' transform="rotate(-90 {_at(at)})"' if upwards else ""
            return (
                f'<text {_paint(look)} x="{short(at[0])}" y="{short(at[1])}"{turned} '
                f'text-anchor="{anchor}" style="font-size:{short(size)}px">{xml_text(words)}</text>'
            )
        case Stroke(points, look, width, dash):
            dashed = f";stroke-dasharray:{dash}" if dash else ""
            return (
                f'<path {_paint(look, "stroke")} d="{_path(points)}" '
                f'style="fill:none;stroke-width:{short(width)}{dashed}"/>'
            )
        case Polygon(points, look):
            return f'<path {_paint(look)} d="{_path(points)}Z"/>'
        case Rectangle(corner, width, height, look, radius):
            return rectangle(_paint(look), *corner, width, height, radius)
        case Circle((x, y), radius, look):
            return f'<circle {_paint(look)} cx="{short(x)}" cy="{short(y)}" r="{short(radius)}"/>'
        case Raster((x, y), width, height, greys):
            return image(x, y, width, height, data_uri(stored_png(greys)))


def _paint(look: Look, what: str = "fill") -> str:
    """How a shape looks, as an attribute."""
    return f'class="{look}"' if isinstance(look, str) else f'{what}="{look.css()}"'


def _path(points: Sequence[Point]) -> str:
    return "M" + "L".join(map(_at, points))


def _at(point: Point) -> str:
    return f"{short(point[0])} {short(point[1])}"


# --- plots ---------------------------------------------------------------------------------------


class Scale(NamedTuple):
    """A straight scale: the numbers from `low` to `high` lie from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float

    def at(self, number: float) -> float:
        """Where `number` lies."""
        share = (number - self.low) / ((self.high - self.low) or 1.0)
        return self.start + share * (self.end - self.start)


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


class Axes:
    """A region of a canvas in which a curve is drawn in its own numbers; y grows upwards.

    Args:
        canvas: what it is drawn on.
        corner: the upper left corner of the region.
        size: its width and height.
        x, y: the lowest and the highest number on each axis.
    """

    def __init__(self, canvas: Canvas, corner: Point, size: Point, x: Point, y: Point) -> None:
        (left, top), (width, height) = corner, size
        self.canvas = canvas
        self.x = Scale(*x, left, left + width)
        self.y = Scale(*y, top + height, top)

    def at(self, x: float, y: float) -> Point:
        """Where on the canvas a point of the plot is."""
        return self.x.at(x), self.y.at(y)

    def holds(self, x: float, y: float) -> bool:
        """Whether a point of the plot is within the region."""
        return self.x.low <= x <= self.x.high and self.y.low <= y <= self.y.high

    def frame(
        self,
        xs: Sequence[tuple[float, str]],
        ys: Sequence[tuple[float, str]],
        x_name: str = "",
        y_name: str = "",
    ) -> None:
        """The frame with ticks, `(number, words)` each, and what is on the axes."""
        left, right, top, bottom = self.x.start, self.x.end, self.y.end, self.y.start
        self.canvas.box((left, top), right - left, bottom - top, "card frame", 4)
        for number, words in xs:
            x = self.x.at(number)
            self.canvas.line([(x, bottom), (x, bottom + 4)])
            self.canvas.text((x, bottom + 17), words, "dim number", size=11)
        for number, words in ys:
            y = self.y.at(number)
            self.canvas.line([(left - 4, y), (left, y)])
            self.canvas.text((left - 8, y + 4), words, "dim number", "end", 11)
        if x_name:
            self.canvas.text(((left + right) / 2, bottom + 34), x_name, "dim")
        if y_name:
            self.canvas.text((left, top - 8), y_name, "dim", "start")

    def curve(
        self, xs: Iterable[float], ys: Iterable[float], look: Look, width: float = 2, dash: str = ""
    ) -> None:
        """A curve through points, in the plot's numbers."""
        points = [self.at(x, y) for x, y in zip(xs, ys, strict=True)]
        self.canvas.line(points, look, width, dash)
