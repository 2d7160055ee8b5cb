"""The inside of a card: which text goes where, and so how large the card is.

`arrange` turns a card into marks (texts, rules, brackets, images) at fixed places. The same marks
give the card's size to the layout and are what the SVG draws, so what is drawn always fits what was
measured.

A card reads from top to bottom: its name, with the shape to the right; the operation; a rule; the
value in one ink after "=", the gradient in the other after "∂".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from miniflow.pictures.figure import Card, Ink, Words, plain
from miniflow.pictures.metrics import Font, shorten, text_width
from miniflow.pictures.values import Seen

TITLE, LABEL, NUMBER, SMALL = 13.0, 11.0, 11.0, 10.0  # font sizes in pixels
_FONTS: dict[str, tuple[Font, float]] = {
    "title": ("bold", TITLE),
    "label": ("sans", LABEL),
    "number": ("mono", NUMBER),
    "small": ("mono", SMALL),
}
LONGEST_TITLE, LONGEST_LINE, LONGEST_CODE = 34, 44, 64  # characters; the tooltip has the whole
_SIDE, _TOP = 12.0, 9.0  # padding
_LINE, _NUMBER_LINE = 16.0, 15.0  # from one line of text to the next
_SYMBOL = 16.0  # the column of "=" and "∂"
_ENTRY_LINE = 13.0  # in an entry's circle
_THUMBNAIL = (48.0, 24.0)
SHEETS = 6.0  # how far the sheets below a group's card stand out, to the right and below

Style = Literal["title", "label", "number", "small"]


class Mark(NamedTuple):
    """A piece of text whose baseline has its start, middle or end at x, y."""

    x: float
    y: float
    text: str
    style: Style
    ink: Ink
    anchor: Literal["start", "middle", "end"] = "start"
    italic: bool = False


class Bracket(NamedTuple):
    """A pair of square brackets round a matrix."""

    x: float
    y: float
    width: float
    height: float
    ink: Ink


class Image(NamedTuple):
    """A heat map."""

    x: float
    y: float
    width: float
    height: float
    uri: str


@dataclass
class Arranged:
    """A card's size and what is on it, from its own top left corner."""

    width: float = 0
    height: float = 0
    marks: list[Mark] = field(default_factory=list)
    brackets: list[Bracket] = field(default_factory=list)
    images: list[Image] = field(default_factory=list)
    rules: list[float] = field(default_factory=list)  # heights of lines from side to side


def width_of(text: str, style: Style) -> float:
    """The room that a text needs in one of the styles."""
    font, size = _FONTS[style]
    return text_width(text, size, font)


def arrange(card: Card, least: float = 0) -> Arranged:
    """Place a card's text and pictures; entries are circles at least as wide as `least`."""
    return _entry(card, least) if card.kind == "entry" else _Arranger(card).arranged


class _Arranger:
    def __init__(self, card: Card) -> None:
        self.arranged = Arranged()
        self.side = _SIDE + (4 if card.kind in ("input", "output") else 0)  # round or double ends
        lone = not (card.operation or card.code or card.remarks or card.value or card.gradient)
        self.top = _TOP + (2 if card.kind == "output" else 0) + (4 if lone else 0)
        self.y = self.top
        self.right = 0.0  # how far the widest line reaches
        self.aside: Mark | None = None  # the shape, to be moved to the right once that is known
        self._heading(card)
        for seen, symbol, ink in ((card.value, "=", "value"), (card.gradient, "∂", "gradient")):
            if seen is not None:
                self._quantity(seen, symbol, "value" if ink == "value" else "gradient")
        self.arranged.width = float(round(self.right + self.side))
        self.arranged.height = float(round(self.y + self.top))
        if card.kind == "group":  # the edges of the sheets below it
            self.arranged.width += SHEETS
            self.arranged.height += SHEETS
        if self.aside is not None:
            self.arranged.marks.append(self.aside._replace(x=self.arranged.width - self.side))

    def _heading(self, card: Card) -> None:
        longest = LONGEST_CODE if card.code else LONGEST_TITLE
        self._line(shorten(card.title, longest), "title", "ink", aside=card.shape)
        if card.operation:
            self._line(shorten(card.operation, LONGEST_LINE), "label", "dim")
        self._code(card.code)
        for remark in card.remarks:
            self._line(shorten(remark, LONGEST_LINE), "label", "dim", italic=True)
        if card.value is not None or card.gradient is not None:
            self.y += 5
            self.arranged.rules.append(self.y)
            self.y += 4

    def _code(self, lines: tuple[str, ...]) -> None:
        """Lines of code, their comments in a column."""
        parts = [line.partition("  # ")[::2] for line in lines]
        shown = [(shorten(code, LONGEST_CODE), comment) for code, comment in parts]
        column = max((width_of(code, "number") for code, _ in shown), default=0) + 16
        for code, comment in shown:
            if comment:
                x, y = self.side + column, self.y + 12
                self.arranged.marks.append(Mark(x, y, comment, "number", "dim"))
                self.right = max(self.right, x + width_of(comment, "number"))
            self._line(code, "number", "ink")

    def _line(
        self, text: str, style: Style, ink: Ink, aside: str = "", italic: bool = False
    ) -> None:
        baseline = self.y + 12
        self.arranged.marks.append(Mark(self.side, baseline, text, style, ink, italic=italic))
        end = self.side + width_of(text, style)
        if aside:
            end += 14 + width_of(aside, "number")
            self.aside = Mark(0, baseline, aside, "number", "dim", anchor="end")
        self.right = max(self.right, end)
        self.y += _LINE

    def _quantity(self, seen: Seen, symbol: str, ink: Ink) -> None:
        top = self.y
        x = self.side + _SYMBOL
        rows, height = len(seen.rows or seen.lines), _THUMBNAIL[1]
        if seen.rows:
            x = self._matrix(seen, x, ink)
        else:
            if seen.thumbnail:
                self.arranged.images.append(Image(x, self.y + 3, *_THUMBNAIL, seen.thumbnail))
                x += _THUMBNAIL[0] + 8
            for line in seen.lines:
                self._number(x, line, ink)
            if seen.thumbnail:
                self.y = max(self.y, top + height + 6)
        middle = top + (rows * _NUMBER_LINE) / 2
        self.arranged.marks.append(Mark(self.side, middle + 4, symbol, "number", ink))
        if seen.warning:
            self._number(x if seen.lines else self.side + _SYMBOL, f"! {seen.warning}", "gradient")
        self.y += 2

    def _number(self, x: float, text: str, ink: Ink) -> None:
        self.arranged.marks.append(Mark(x, self.y + 11.5, text, "number", ink))
        self.right = max(self.right, x + width_of(text, "number"))
        self.y += _NUMBER_LINE

    def _matrix(self, seen: Seen, x: float, ink: Ink) -> float:
        """The numbers in columns, each as wide as its widest, in brackets unless it is a single
        number.
        """
        scalar = not seen.shape
        top, left = self.y, x + (0 if scalar else 6)
        widths = [
            max(width_of(cell, "number") for cell in column)
            for column in zip(*seen.rows, strict=True)
        ]
        for row in seen.rows:
            end = left
            for cell, width in zip(row, widths, strict=True):
                end += width
                baseline = self.y + 11.5
                self.arranged.marks.append(Mark(end, baseline, cell, "number", ink, anchor="end"))
                end += 9
            self.y += _NUMBER_LINE
        right = left + sum(widths) + 9 * (len(widths) - 1)
        if not scalar:
            right += 6
            size = (right - x, self.y - top - 1)
            self.arranged.brackets.append(Bracket(x, top + 0.5, *size, ink))
        self.right = max(self.right, right)
        return right


def _entry(card: Card, least: float) -> Arranged:
    """One entry of a matrix: a circle with its name over its value over its gradient."""
    lines: list[tuple[str, Style, Ink]] = [(card.title, "label", "ink")]
    if card.value is not None:
        lines.append((card.value.text, "number", "value"))
    if card.gradient is not None:
        lines.append((f"∂ {card.gradient.text}", "small", "gradient"))
    middles = [(index - (len(lines) - 1) / 2) * _ENTRY_LINE for index in range(len(lines))]
    radius = 22.0
    for (text, style, _), middle in zip(lines, middles, strict=True):
        corner = (width_of(text, style) / 2 + 2, abs(middle) + 5)  # inside the circle, too
        radius = max(radius, (corner[0] ** 2 + corner[1] ** 2) ** 0.5)
    size = max(least, 2.0 * round(radius + 1))
    arranged = Arranged(size, size)
    for (text, style, ink), middle in zip(lines, middles, strict=True):
        at = size / 2 + middle + 4
        arranged.marks.append(Mark(size / 2, at, text, style, ink, anchor="middle"))
    return arranged


def words_width(words: Words) -> float:
    """The room that a line in the number style needs."""
    return width_of(plain(words), "number")


LABEL_LINE = 14.0  # from one line of an arrow's label to the next


def label_size(label: tuple[Words, ...]) -> tuple[float, float]:
    """The room that an arrow's label needs, padding included."""
    return round(max(map(words_width, label)) + 12), len(label) * LABEL_LINE + 6
