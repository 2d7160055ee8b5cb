"""A figure as text for a terminal: boxes and lines of box-drawing characters, or where that would
be too wide a table, of a program a listing.

The same layout as in the other pictures, in characters instead of pixels, from top to bottom. In
the rows between two layers a line that has to move across does so in a row of its own; lines from
one box share theirs. Boxes of inputs are round, of parameters heavy, of constants dashed, of
outputs double; a lit path's boxes bear a star.
"""

from __future__ import annotations

import shutil
import unicodedata
from collections.abc import Iterable, Sequence
from itertools import pairwise
from math import floor

from miniflow.pictures.figure import Card, Figure, Key, Kind, plain
from miniflow.pictures.layout import Box, Layout, Link, lay_out
from miniflow.pictures.layout.layered import Spacing
from miniflow.pictures.metrics import shorten
from miniflow.pictures.tracks import Move, assign_tracks
from miniflow.pictures.values import Seen

MOST_BOXES = 60
_LONGEST, _LONGEST_CELL = 36, 40  # characters in one line of a box, and in a cell of a table
_SHORT_NAME, _SHORT_NUMBER = 10, 6  # to which a narrow terminal may bring cells
_SPACING = Spacing(node=2, bend=2, layer=2, label=2, slope=0, port=2, corner=1)
_BORDERS: dict[Kind, str] = {  # corners, horizontal, vertical
    "input": "╭╮╰╯─│",
    "parameter": "┏┓┗┛━┃",
    "constant": "┌┐└┘╌╎",
    "output": "╔╗╚╝═║",
}
_UP, _DOWN, _LEFT, _RIGHT = 1, 2, 4, 8
_LINES = dict(zip((3, 12, 5, 9, 6, 10, 7, 11, 13, 14, 15), "│─╯╰╮╭┤├┴┬┼", strict=True))
_LINES |= {_UP: "│", _DOWN: "│", _LEFT: "─", _RIGHT: "─"}


def text(figure: Figure, width: int | None = None) -> str:
    """The figure in at most `width` columns (default: those of the terminal); the notes and the
    caption below it are never cut.
    """
    width = width or shutil.get_terminal_size((100, 24)).columns
    if len(figure.cards) <= MOST_BOXES:
        grid = _boxes(figure)
        if grid.width <= width:
            return "\n".join([*grid.lines(), *_below(figure)])
    lines = _listing(figure) if any(card.code for card in figure.cards) else _table(figure, width)
    return "\n".join([*(_cut_line(line, width) for line in lines), *_below(figure)])


def _below(figure: Figure) -> list[str]:
    lines = [plain(words).rstrip() for words in figure.notes] + [figure.caption] * bool(
        figure.caption
    )
    return ["", *lines] if lines else []


# Boxes and lines


class _Characters:
    """Characters in a grid, and for lines the sides on which each cell is connected."""

    def __init__(self) -> None:
        self.chars: dict[tuple[int, int], str] = {}
        self.sides: dict[tuple[int, int], int] = {}
        self.width = 0

    def write(self, x: int, y: int, text: str) -> None:
        cell = x, y
        for char in text:
            if not columns(char):  # an accent, on the character before it
                self.chars[cell] = self.chars.get(cell, "") + char
                continue
            cell = x, y
            self.chars[cell] = char
            x += columns(char)
            if columns(char) == 2:
                self.chars[x - 1, y] = ""
        self.width = max(self.width, x)

    def vertical(self, x: int, top: int, bottom: int) -> None:
        for y in range(top, bottom + 1):
            sides = (_UP if y > top else 0) | (_DOWN if y < bottom else 0)
            self.sides[x, y] = self.sides.get((x, y), 0) | sides
        self.width = max(self.width, x + 1)

    def horizontal(self, y: int, left: int, right: int) -> None:
        for x in range(left, right + 1):
            sides = (_LEFT if x > left else 0) | (_RIGHT if x < right else 0)
            self.sides[x, y] = self.sides.get((x, y), 0) | sides
        self.width = max(self.width, right + 1)

    def lines(self) -> list[str]:
        cells = {at: _LINES.get(sides, " ") for at, sides in self.sides.items()} | self.chars
        rows = max((y for _, y in cells), default=-1) + 1
        return [
            "".join(cells.get((x, y), " ") for x in range(self.width)).rstrip() for y in range(rows)
        ]


def _boxes(figure: Figure) -> _Characters:
    contents = {card.key: _content(card) for card in figure.cards}
    boxes = [
        Box(key, max(map(columns, lines)) + 4, len(lines) + 2) for key, lines in contents.items()
    ]
    labels = [[plain(words) for words in arrow.label] for arrow in figure.arrows]
    links = [
        Link(a.source, a.target, (max(map(columns, label)) + 2, len(label)) if label else None)
        for a, label in zip(figure.arrows, labels, strict=True)
    ]
    layout = lay_out(boxes, links, direction="down", spacing=_SPACING)
    rows = _Rows(layout)
    grid = _Characters()
    for route in layout.routes:
        _draw_line(grid, route.points, rows)
    for label, route in zip(labels, layout.routes, strict=True):
        if route.label is not None:
            for index, line in enumerate(label):
                x = floor(route.label.x)
                grid.write(x, rows.row(route.label.y) + index, f" {line} ")
    for card in figure.cards:
        place = layout.places[card.key]
        _draw_box(grid, card, contents[card.key], floor(place.x), rows.row(place.y))
    for route in layout.routes:
        end = route.points[-1]
        grid.write(floor(end[0]), rows.row(end[1]) - 1, "▼")
    return grid


class _Rows:
    """Which row of characters a height of the layout becomes: gaps grow by the rows that lines need
    in them.
    """

    def __init__(self, layout: Layout) -> None:
        moves: dict[float, set[Move]] = {}
        for route in layout.routes:
            for (x1, y1), (x2, _) in zip(route.points, route.points[1:], strict=False):
                if x1 != x2:
                    moves.setdefault(y1, set()).add(Move(floor(x1), floor(x2)))
        self.tracks = {y: assign_tracks(found) for y, found in sorted(moves.items())}

    def row(self, y: float) -> int:
        """The row of a height; that of a gap's own start is not moved by the gap."""
        grown = sum(max(tracks.values()) for start, tracks in self.tracks.items() if start < y)
        return floor(y) + grown


def _draw_line(grid: _Characters, points: Sequence[tuple[float, float]], rows: _Rows) -> None:
    for (x1, y1), (x2, y2) in pairwise(points):
        start, end = floor(x1), floor(x2)
        top, bottom = rows.row(y1) - 1, rows.row(y2)
        if x1 == x2:
            grid.vertical(start, top, bottom)
            continue
        track = rows.row(y1) + rows.tracks[y1][Move(start, end)]
        grid.vertical(start, top, track)
        grid.horizontal(track, min(start, end), max(start, end))
        grid.vertical(end, track, bottom)


def _draw_box(grid: _Characters, card: Card, lines: list[str], x: int, y: int) -> None:
    border = _BORDERS.get(card.kind, "┌┐└┘─│")
    width = max(map(columns, lines)) + 2
    grid.write(x, y, border[0] + border[4] * width + border[1])
    for index, line in enumerate(lines, start=1):
        padded = line + " " * (width - 2 - columns(line))
        grid.write(x, y + index, f"{border[5]} {padded} {border[5]}")
    grid.write(x, y + len(lines) + 1, border[2] + border[4] * width + border[3])


def _content(card: Card) -> list[str]:
    star = "★ " if card.lit else ""
    lines = [f"{star}{shorten(card.title, _LONGEST)}"]
    facts = " ".join(filter(None, (card.operation, card.shape)))
    if facts and card.kind != "entry":
        lines.append(shorten(facts, _LONGEST))
    lines += [shorten(line, _LONGEST) for line in (*card.code, *card.remarks)]
    for symbol, seen in (("=", card.value), ("∂", card.gradient)):
        if seen is not None:
            lines.append(shorten(f"{symbol} {seen.text}", _LONGEST))
    return lines


def columns(line: str) -> int:
    """How many columns of a terminal a text takes.

    >>> columns("e\u0301t\u00e9"), columns("名前")
    (3, 4)
    """
    return sum(map(_columns, line))


def _columns(char: str) -> int:
    if unicodedata.category(char) in ("Mn", "Me"):  # written on the character before it
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


# A listing or a table, for what is too wide


def _listing(figure: Figure) -> list[str]:
    """A program in sections, frame by frame: of each card what it is and costs, and its code."""
    titles = {frame.key: frame.title for frame in figure.frames}
    sections: dict[str, dict[Key, list[str]]] = {}
    for card in figure.cards:
        section = titles.get(card.frame, "equations")
        key = card.key
        if card.kind != "operation":
            section = "outputs" if card.kind == "output" else "inputs"
            key = card.title  # an input that several frames show is listed once
        facts = (card.title, card.operation, card.shape, *card.remarks)
        lines = ["  " + "  ".join(filter(None, facts)), *(f"    {line}" for line in card.code)]
        sections.setdefault(section, {})[key] = lines
    return [
        line
        for section, cards in sections.items()
        for line in (section, *(line for lines in cards.values() for line in lines))
    ]


def _table(figure: Figure, width: int) -> list[str]:
    """One line a node: its name, what it is of what, its shape, value and gradient, each shortened
    as far as all have to be to stand beside each other.
    """
    inputs: dict[object, list[str]] = {}
    titles = {card.key: card.called or card.title for card in figure.cards}
    for arrow in figure.arrows:
        inputs.setdefault(arrow.target, []).append(titles[arrow.source])
    rows = [["node", "operation", "shape", "value", "gradient"]]
    for card in figure.cards:
        operation = card.operation or ("" if card.kind == "entry" else card.title)
        sources = f"({', '.join(inputs[card.key])})" if card.key in inputs else ""
        value = _brief(card.value) or ", ".join(card.remarks)
        cells = titles[card.key], operation + sources, card.shape, value, _brief(card.gradient)
        rows.append([shorten(cell, _LONGEST_CELL) for cell in cells])
    used = [index for index in range(5) if any(row[index] for row in rows[1:])]
    widths = [max(columns(row[index]) for row in rows) for index in used]
    for places, least in ((range(2), _SHORT_NAME), (range(2, len(widths)), _SHORT_NUMBER)):
        _make_fit(widths, places, least, width)
    return [
        _row(
            [
                _shortened(row[index], room) if place < 2 else _cut_line(row[index], room)
                for place, (index, room) in enumerate(zip(used, widths, strict=True))
            ],
            widths,
        )
        for row in rows
    ]


def _shortened(text: str, width: int) -> str:
    """The text, or its start and end, in so many columns, of which some letters take two."""
    limit = width
    while columns(shorten(text, limit)) > width:
        limit -= 1
    return shorten(text, limit)


def _make_fit(widths: list[int], places: Iterable[int], least: int, width: int) -> None:
    """Take from the widest of these columns, as far as `least`, until a line fits."""
    while sum(widths) + 2 * (len(widths) - 1) > width:
        widest = max(places, key=widths.__getitem__, default=0)
        if widths[widest] <= least:
            return
        widths[widest] -= 1


def _brief(seen: Seen | None) -> str:
    """A value without its norm."""
    if seen is None:
        return ""
    return seen.text if seen.rows else ", ".join(filter(None, (seen.lines[0], seen.warning)))


def _row(cells: Iterable[str], widths: Iterable[int]) -> str:
    padded = [
        cell + " " * (width - columns(cell)) for cell, width in zip(cells, widths, strict=True)
    ]
    return "  ".join(padded).rstrip()


def _cut_line(line: str, width: int) -> str:
    """The line, or its beginning and an ellipsis if it is longer than `width`."""
    if columns(line) <= width:
        return line
    room = width - 1
    for index, char in enumerate(line):
        room -= columns(char)
        if room < 0:
            return line[:index] + "…"
    return line + "…"
