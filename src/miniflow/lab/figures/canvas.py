"""What the course's figures are drawn on: an SVG of shapes and words, and a pair of axes.

The figures follow the reader's preference for day or night with the colours of `miniflow.pictures`,
so the classes named here are those of `pictures/style.py`: text is "ink", "dim", "value" or
"gradient"; lines are "edge" (grey), "edge lit" (red), or "thin input" (blue), "thin parameter"
(amber) and "thin output" (green). Every figure has a title and a description for those who cannot
see it. Numbers are rounded, so that a figure has the same bytes on every machine.
"""

import hashlib
import math
from collections.abc import Iterable, Sequence
from xml.sax.saxutils import escape

from miniflow.pictures.style import class_of, css

Point = tuple[float, float]


class Canvas:
    """A sheet of `width` by `height` pixels; y grows downwards."""

    def __init__(self, width: float, height: float, title: str, description: str) -> None:
        self.width, self.height = width, height
        self.title, self.description = title, description
        self._body: list[str] = []

    def text(
        self, at: Point, words: str, look: str = "ink", anchor: str = "middle", size: float = 12
    ) -> None:
        """One line of words; `at` is its baseline's start, middle or end."""
        self._body.append(
            f'<text class="{look}" x="{_n(at[0])}" y="{_n(at[1])}" text-anchor="{anchor}" '
            f'style="font-size:{_n(size)}px">{escape(words)}</text>'
        )

    def label(self, at: Point, words: str, look: str, width: float) -> None:
        """Words on a line: a strip of paper, `width` wide, keeps them readable."""
        self.box((at[0] - width / 2, at[1] - 12), width, 17, "paper", 2)
        self.text(at, words, look)

    def line(
        self, points: Iterable[Point], look: str = "edge", width: float = 1.25, dash: str = ""
    ) -> None:
        """A line through points."""
        path = "M" + "L".join(f"{_n(x)} {_n(y)}" for x, y in points)
        self.path(path, look, width, dash)

    def path(self, d: str, look: str = "edge", width: float = 1.25, dash: str = "") -> None:
        """A path in SVG's own words."""
        dashed = f";stroke-dasharray:{dash}" if dash else ""
        self._body.append(
            f'<path class="{look}" d="{d}" style="fill:none;stroke-width:{_n(width)}{dashed}"/>'
        )

    def arrow(
        self, start: Point, end: Point, look: str = "", width: float = 1.25, dash: str = ""
    ) -> None:
        """A straight arrow; `look` is "" (grey) or "lit" (red)."""
        (x1, y1), (x2, y2) = start, end
        length = math.hypot(x2 - x1, y2 - y1)
        dx, dy = (x2 - x1) / length, (y2 - y1) / length
        back, half = 8.0, 3.6
        self.line([start, (x2 - dx * 6, y2 - dy * 6)], f"edge {look}".strip(), width, dash)
        left = f"{_n(x2 - dx * back - dy * half)} {_n(y2 - dy * back + dx * half)}"
        right = f"{_n(x2 - dx * back + dy * half)} {_n(y2 - dy * back - dx * half)}"
        self._body.append(
            f'<path class="{f"head {look}".strip()}" d="M{_n(x2)} {_n(y2)}L{left}L{right}Z"/>'
        )

    def circle(self, at: Point, radius: float, look: str) -> None:
        self._body.append(
            f'<circle class="{look}" cx="{_n(at[0])}" cy="{_n(at[1])}" r="{_n(radius)}"/>'
        )

    def square(self, at: Point, half: float, look: str) -> None:
        self.box((at[0] - half, at[1] - half), 2 * half, 2 * half, look, 0)

    def box(self, corner: Point, width: float, height: float, look: str, radius: float = 8) -> None:
        """A rectangle with its upper left corner at `corner`."""
        self._body.append(
            f'<rect class="{look}" x="{_n(corner[0])}" y="{_n(corner[1])}" width="{_n(width)}" '
            f'height="{_n(height)}" rx="{_n(radius)}"/>'
        )

    def svg(self) -> str:
        """The whole document."""
        body = "\n".join(self._body)
        name = "mf" + hashlib.sha256((self.description + body).encode()).hexdigest()[:8]
        size = f'width="{_n(self.width)}" height="{_n(self.height)}"'
        return f"""\
<svg xmlns="http://www.w3.org/2000/svg" {size} \
viewBox="0 0 {_n(self.width)} {_n(self.height)}" class="{class_of("auto")}" \
role="img" aria-labelledby="{name}t {name}d">
<title id="{name}t">{escape(self.title)}</title>
<desc id="{name}d">{escape(self.description)}</desc>
<style>
{css("auto")}
</style>
<rect class="paper" {size} rx="8"/>
{body}
</svg>
"""


class Axes:
    """A region of a canvas in which a curve is drawn in its own numbers; y grows upwards.

    Args:
        canvas: what it is drawn on.
        corner: the upper left corner of the region.
        size: its width and height.
        x, y: the lowest and the highest number on each axis.
    """

    def __init__(self, canvas: Canvas, corner: Point, size: Point, x: Point, y: Point) -> None:
        self.canvas, self.corner, self.size, self.x, self.y = canvas, corner, size, x, y

    def at(self, x: float, y: float) -> Point:
        """Where on the canvas a point of the plot is."""
        across = (x - self.x[0]) / (self.x[1] - self.x[0])
        up = (y - self.y[0]) / (self.y[1] - self.y[0])
        return self.corner[0] + across * self.size[0], self.corner[1] + (1 - up) * self.size[1]

    def frame(
        self,
        xs: Sequence[tuple[float, str]],
        ys: Sequence[tuple[float, str]],
        x_name: str = "",
        y_name: str = "",
    ) -> None:
        """The frame with ticks, `(number, words)` each, and what is on the axes."""
        left, top = self.corner
        right, bottom = left + self.size[0], top + self.size[1]
        self.canvas.box(self.corner, *self.size, "card frame", 4)
        for number, words in xs:
            x, _ = self.at(number, self.y[0])
            self.canvas.line([(x, bottom), (x, bottom + 4)])
            self.canvas.text((x, bottom + 17), words, "dim number", size=11)
        for number, words in ys:
            _, y = self.at(self.x[0], number)
            self.canvas.line([(left - 4, y), (left, y)])
            self.canvas.text((left - 8, y + 4), words, "dim number", "end", 11)
        if x_name:
            self.canvas.text(((left + right) / 2, bottom + 34), x_name, "dim")
        if y_name:
            self.canvas.text((left, top - 8), y_name, "dim", "start")

    def curve(
        self, xs: Iterable[float], ys: Iterable[float], look: str, width: float = 2, dash: str = ""
    ) -> None:
        """A curve through points, in the plot's numbers."""
        points = [self.at(x, y) for x, y in zip(xs, ys, strict=True)]
        self.canvas.line(points, look, width, dash)


def _n(x: float) -> str:
    return f"{x:.2f}".rstrip("0").rstrip(".") if round(x, 2) else "0"
