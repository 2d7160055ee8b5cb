"""Text with a little style, and where it is shown: a terminal gets colours, a pipe plain text.

What is shown is made as rows of pieces, each piece with the name of a style, so that the same rows
serve a terminal, a file and a test. Only `Screen` knows of rich; it leaves colours out where there
is no terminal or NO_COLOR is set, and writes ✓ and │ as ASCII where the terminal has no such signs.
"""

import os
import sys
import textwrap
from collections.abc import Iterable
from typing import IO, NamedTuple

from miniflow.errors import printable

STYLES = {
    "": "",
    "good": "bold green",
    "bad": "bold red",
    "head": "bold",
    "dim": "dim",
    "code": "cyan",
    "mine": "yellow",
}
ASCII = {
    "✓": "ok",
    "✗": "X",
    "·": "-",
    "→": ">",
    "│": "|",
    "×": "x",
    "…": "...",
    "“": '"',
    "”": '"',
}
WIDEST = 96


class Piece(NamedTuple):
    """Some text, and the name of its style."""

    text: str
    style: str = ""


Row = list[Piece]


def row(*pieces: str | tuple[str, str]) -> Row:
    """A row of texts, some of which have a style: `row("next: ", ("mul", "code"))`."""
    return [Piece(p) if isinstance(p, str) else Piece(*p) for p in pieces]


def printable_lines(text: str) -> str:
    """Text in which no name of a file commands the terminal; its lines stay lines."""
    return "\n".join(map(printable, text.split("\n")))


def plain(rows: Iterable[Row]) -> str:
    """Rows as text without styles."""
    return "\n".join("".join(piece.text for piece in line).rstrip() for line in rows)


def spread(left: Row, right: Row, width: int) -> Row:
    """A row with something at both ends."""
    taken = sum(len(piece.text) for piece in (*left, *right))
    return [*left, Piece(" " * max(2, width - taken)), *right]


def cut(text: str, room: int) -> str:
    """A text that fits: its end gives way to an ellipsis.

    >>> cut("cross-entropy", 8), cut("mul", 8)
    ('cross-e…', 'mul')
    """
    return text if len(text) <= room else text[: max(1, room - 1)] + "…"


def wrap(text: str, width: int, style: str = "") -> list[Row]:
    """A sentence in as many rows as it needs; its own line ends are kept."""
    lines: list[str] = []
    for paragraph in text.splitlines():
        lines += textwrap.wrap(
            paragraph, max(20, width), break_long_words=False, break_on_hyphens=False
        ) or [""]
    return [row((line, style)) for line in lines]


def indent(rows: Iterable[Row], *by: str | tuple[str, str]) -> list[Row]:
    """Rows with something before each."""
    return [[*row(*by), *line] for line in rows]


class Screen:
    """Where rows are shown: a stream, which may be a terminal."""

    def __init__(self, stream: IO[str] | None = None) -> None:
        from rich.console import Console

        self._stream = sys.stdout if stream is None else stream
        self._console = Console(file=self._stream, highlight=False, markup=False, emoji=False)
        self.is_terminal = self._console.is_terminal

    @property
    def width(self) -> int:
        """How many columns there are now; some people resize their terminals."""
        return min(self._console.width, WIDEST) if self.is_terminal else 88

    def show(self, rows: Iterable[Row]) -> None:
        """Print rows."""
        from rich.text import Text

        for line in rows:
            text = Text()
            for piece in line:
                text.append(self._writable(printable_lines(piece.text)), STYLES[piece.style])
            text.rstrip()
            self._console.print(text, soft_wrap=True)

    def clear(self) -> None:
        """Begin a fresh screen, if it is one."""
        if self.is_terminal:
            self._console.clear()

    def code(self, text: str) -> None:
        """Print Python code, in colours if there are any."""
        if self.is_terminal and "NO_COLOR" not in os.environ:
            from rich.syntax import Syntax

            self._console.print(Syntax(text, "python", background_color="default"))
        else:
            self._stream.write(self._writable(text))

    def _writable(self, text: str) -> str:
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        try:
            text.encode(encoding)
        except UnicodeEncodeError:
            for sign, letters in ASCII.items():
                text = text.replace(sign, letters)
            text = text.encode(encoding, "replace").decode(encoding)
        return text
