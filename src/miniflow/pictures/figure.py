"""What is to be drawn, as plain data: cards, the arrows between them, frames round them, notes
below.

Whoever makes pictures (of a graph, of its entries, of a program) builds a `Figure`; whoever shows
them (SVG, terminal, DOT, Mermaid) reads one. Neither knows the other.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from miniflow.pictures.layout import Direction
from miniflow.pictures.values import Seen

Key = Hashable
Kind = Literal["input", "parameter", "constant", "operation", "output", "group", "entry"]
Ink = Literal["ink", "dim", "value", "gradient"]


class Span(NamedTuple):
    """A run of text in one ink."""

    text: str
    ink: Ink = "ink"


Words = tuple[Span, ...]  # one line of text


@dataclass(frozen=True)
class Card:
    """A node. `title` is its name (else its operation), `operation` what it does where the title
    does not say so.

    `code` are lines of a program, with comments after "  # "; `remarks` further dim lines: "not run
    yet", a group's contents, a cost. `lit` is None where nothing is lit, else whether this card is
    on a lit path.
    """

    key: Key
    kind: Kind
    title: str
    operation: str = ""
    shape: str = ""
    value: Seen | None = None
    gradient: Seen | None = None
    code: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    called: str = ""  # a name that no other card has, where the title is not one
    tooltip: str = ""
    frame: Key | None = None
    lit: bool | None = None


@dataclass(frozen=True)
class Arrow:
    """An edge: the value of `source` goes into `target`; `backward` if that value is a gradient.

    `label` stands on the line, e.g. the local derivative.
    """

    source: Key
    target: Key
    label: tuple[Words, ...] = ()
    lit: bool | None = None
    dashed: bool = False
    backward: bool = False


@dataclass(frozen=True)
class Frame:
    """A named group that is drawn open, around its cards; a `stack` has them in one column, in
    their order.
    """

    key: Key
    title: str
    parent: Key | None = None
    stack: bool = False
    subtitle: str = ""


@dataclass(frozen=True)
class Figure:
    """A whole picture; `description` says in words what it shows.

    Below it stand `notes`, lines in which columns line up, and a `caption`, a sentence.
    """

    title: str
    description: str
    cards: tuple[Card, ...]
    arrows: tuple[Arrow, ...]
    frames: tuple[Frame, ...] = ()
    notes: tuple[Words, ...] = ()
    caption: str = ""
    direction: Direction = "right"


def plain(words: Words) -> str:
    """The text of a line.

    >>> plain((Span("∂f/∂x", "gradient"), Span(" = 4")))
    '∂f/∂x = 4'
    """
    return "".join(span.text for span in words)


def outline(figure: Figure, frame: Key | None = None) -> Iterator[Card | Frame | None]:
    """Cards and frames as they lie in each other: after a frame what is in it, and then None."""
    yield from (card for card in figure.cards if card.frame == frame)
    for inner in figure.frames:
        if inner.parent == frame:
            yield inner
            yield from outline(figure, inner.key)
            yield None


# What formats that place and set text by themselves (DOT, Mermaid) have in common.


def name_parts(figure: Figure, frame: str) -> dict[Key, str]:
    """Short names: n0, n1 ... of the cards, and of the frames numbers behind `frame`."""
    names = {card.key: f"n{index}" for index, card in enumerate(figure.cards)}
    return names | {part.key: f"{frame}{index}" for index, part in enumerate(figure.frames)}


def card_lines(card: Card) -> str:
    """What a card says, line by line."""
    signs = (("=", card.value), ("∂", card.gradient))
    lines = [
        card.title,
        " ".join(filter(None, (card.operation, card.shape))),
        *card.code,
        *card.remarks,
        *(f"{sign} {seen.text}" for sign, seen in signs if seen),
    ]
    return "\n".join(filter(None, lines))


def label_lines(arrow: Arrow) -> str:
    """What stands on an arrow, line by line."""
    return "\n".join(map(plain, arrow.label))
