"""Draws a figure as SVG.

Arrowheads are plain shapes, not markers, so that pictures inlined into one page share no
identifiers. Lines that several arrows have in common are drawn once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from miniflow.pictures.cards import LABEL_LINE, SHEETS, Arranged, Mark
from miniflow.pictures.compose import NOTE_LINE, Composition, compose
from miniflow.pictures.figure import Arrow, Card, Figure, Frame, Words
from miniflow.pictures.layout import Place
from miniflow.pictures.layout.mesh import Point
from miniflow.pictures.markup import document, image, rectangle, short, xml_text
from miniflow.pictures.stacks import Way
from miniflow.pictures.style import Theme

_HEAD = 7.0  # length of an arrowhead
_CUT = 7.0  # what is cut off the corners of a parameter's card
_CORNER = 8.0  # radius of the corners of the others


def svg(figure: Figure, theme: Theme = "auto") -> str:
    """The figure as an SVG document; `theme` "auto" follows the reader's preference for day or
    night.
    """
    composition = compose(figure)
    body = "\n".join(_body(composition))
    size = composition.width, composition.height
    return document(*size, figure.title, figure.description, body, theme)


def _body(composition: Composition) -> Iterator[str]:
    """Frames, lines, cards and labels, in the order in which they lie upon each other."""
    figure = composition.figure
    x, y = composition.origin
    yield f'<g transform="translate({short(x)} {short(y)})">'
    for frame in figure.frames:
        yield _rect("card frame", *composition.frames[frame.key], radius=10)
    yield from _lines(figure.arrows, composition.ways)
    for frame in figure.frames:
        start = composition.headings.get(frame.key, 0)
        yield _heading_of(frame, composition.frames[frame.key], start)
    for card in figure.cards:
        yield _card(card, composition.places[card.key], composition.arranged[card.key])
    for arrow, way in zip(figure.arrows, composition.ways, strict=True):
        if way.label:
            yield _label(arrow, way.label)
    yield "</g>"
    for index, words in enumerate(figure.notes):
        yield _words(words, composition.notes_x, composition.notes_at + index * NOTE_LINE)
    if figure.caption:
        middle = composition.width / 2
        mark = Mark(middle, composition.caption_at, figure.caption, "label", "dim", "middle")
        yield _mark(mark)


# Lines


def _lines(arrows: Iterable[Arrow], ways: Iterable[Way]) -> Iterator[str]:
    """All arrows, the lit ones last and so on top.

    Arrows that share their source share the start of their way. Of pieces in common one copy is
    drawn, of straight ones that begin at the same point and go the same way the longest.
    """
    pairs = sorted(zip(arrows, ways, strict=True), key=lambda pair: bool(pair[0].lit))
    looks = [
        {True: " lit", False: " off", None: ""}[a.lit] + " dashed" * a.dashed + " back" * a.backward
        for a, _ in pairs
    ]
    paths = [(*way.pieces[:-1], without_head(way.pieces[-1])) for _, way in pairs]
    chosen: dict[tuple[str, object], tuple[Point, ...]] = {}
    for look, path in zip(looks, paths, strict=True):
        for piece in path:
            key = look, _begin(piece)
            if key not in chosen or _length(piece) > _length(chosen[key]):
                chosen[key] = piece
    for look, path, (_, way) in zip(looks, paths, pairs, strict=True):
        fresh = [piece for piece in path if chosen.get((look, _begin(piece))) == piece]
        for piece in fresh:
            chosen.pop((look, _begin(piece)), None)
        if fresh:
            yield f'<path class="edge{look}" d="{path_data(fresh)}"/>'
        yield f'<path class="head{look}" d="{head_data(way.pieces[-1])}"/>'


def _begin(piece: tuple[Point, ...]) -> object:
    """What pieces of which one hides the others have in common."""
    return (piece[0], _direction(piece)) if len(piece) == 2 else piece


def _length(piece: tuple[Point, ...]) -> float:
    return abs(piece[-1][0] - piece[0][0]) + abs(piece[-1][1] - piece[0][1])


def path_data(pieces: Iterable[tuple[Point, ...]]) -> str:
    """The pieces of a line as what SVG calls path data."""
    commands: list[str] = []
    pen: Point | None = None
    for start, *rest in pieces:
        if start != pen:
            commands.append(f"M{_at(start)}")
        commands.append(("C" if len(rest) == 3 else "L") + " ".join(map(_at, rest)))
        pen = rest[-1]
    return "".join(commands)


def without_head(piece: tuple[Point, ...]) -> tuple[Point, ...]:
    """The last piece of a line, ending inside the arrowhead and not at its point."""
    dx, dy = _direction(piece)
    *others, (x, y) = piece
    return (*others, (x - dx * (_HEAD - 1), y - dy * (_HEAD - 1)))


def _direction(piece: tuple[Point, ...]) -> Point:
    """The direction, of length one, in which a piece ends."""
    (x1, y1), (x2, y2) = piece[-2], piece[-1]
    length = ((x2 - x1) ** 2 + (y2 - y1) ** 2) ** 0.5 or 1.0
    return (x2 - x1) / length, (y2 - y1) / length


def head_data(piece: tuple[Point, ...]) -> str:
    """An arrowhead at the end of a piece."""
    dx, dy = _direction(piece)
    x, y = piece[-1]
    back, half = _HEAD, _HEAD * 0.45
    left = (x - dx * back - dy * half, y - dy * back + dx * half)
    right = (x - dx * back + dy * half, y - dy * back - dx * half)
    return f"M{_at((x, y))}L{_at(left)} {_at(right)}Z"


# Cards


def _card(card: Card, place: Place, arranged: Arranged) -> str:
    parts = [f"<title>{xml_text(card.tooltip)}</title>"] if card.tooltip else []
    parts += _outline(card, arranged.width, arranged.height)
    for y in arranged.rules:
        width = arranged.width - (SHEETS if card.kind == "group" else 0)
        parts.append(f'<path class="rule" d="M10 {short(y)}H{short(width - 10)}"/>')
    for i in arranged.images:
        box = i.x, i.y, i.width, i.height
        parts.append(image(*box, i.uri) + rectangle('class="rule thin"', *box))
    for b in arranged.brackets:
        sides = f"M{short(b.x + 4)} {short(b.y)}h-4v{short(b.height)}h4"
        sides += f"M{short(b.x + b.width - 4)} {short(b.y)}h4v{short(b.height)}h-4"
        parts.append(f'<path class="bracket {b.ink}" d="{sides}"/>')
    parts += map(_mark, arranged.marks)
    look = ' class="off"' if card.lit is False else ""
    return f'<g{look} transform="translate({short(place.x)} {short(place.y)})">{"".join(parts)}</g>'


def _outline(card: Card, width: float, height: float) -> list[str]:
    """The card's edge; each kind has its own shape."""
    if card.kind == "entry":
        half = short(width / 2)
        look = "card operation" + (" lit" if card.lit else "")
        return [f'<circle class="{look}" cx="{half}" cy="{half}" r="{half}"/>']
    if card.kind == "parameter":
        w, h, c = short(width - 2 * _CUT), short(height - 2 * _CUT), short(_CUT)
        path = f"M{c} 0h{w}l{c} {c}v{h}l-{c} {c}h-{w}l-{c} -{c}v-{h}z"
        return [f'<path class="card parameter" d="{path}"/>']
    if card.kind == "input":
        return [_rect("card input", 0, 0, width, height, min(20.0, height / 2))]
    if card.kind == "constant":
        return [_rect("card operation dashed", 0, 0, width, height, 2)]
    if card.kind == "output":
        inner = _rect("thin output", 3, 3, width - 6, height - 6, _CORNER - 3)
        return [_rect("card output", 0, 0, width, height, _CORNER), inner]
    if card.kind == "group":
        sheets = (SHEETS, SHEETS / 2, 0.0)
        width, height = width - SHEETS, height - SHEETS
        return [_rect("card operation", s, s, width, height, _CORNER) for s in sheets]
    return [_rect("card operation", 0, 0, width, height, _CORNER)]


def _rect(look: str, x: float, y: float, width: float, height: float, radius: float) -> str:
    return rectangle(f'class="{look}"', x, y, width, height, radius)


def _mark(mark: Mark) -> str:
    look = f"{mark.style} {mark.ink}" + " italic" * mark.italic
    anchor = "" if mark.anchor == "start" else f' text-anchor="{mark.anchor}"'
    at = f'x="{short(mark.x)}" y="{short(mark.y)}"{anchor}'
    return f'<text class="{look}" {at}>{xml_text(mark.text)}</text>'


def _heading_of(frame: Frame, place: Place, start: float) -> str:
    """A frame's title, legible where a line passes behind it."""
    if not frame.stack:
        title = Mark(start, place.y + 17, frame.title, "label", "dim")
        return f'<g class="heading">{_mark(title)}</g>'
    middle = place.x + place.width / 2
    title = Mark(middle, place.y + 18, frame.title, "title", "ink", "middle")
    subtitle = Mark(middle, place.y + 32, frame.subtitle, "label", "dim", "middle")
    return f'<g class="heading">{_mark(title)}{_mark(subtitle)}</g>'


# Text


def _label(arrow: Arrow, place: Place) -> str:
    """A label in the middle of its place, on a plate that hides the line behind it."""
    x = place.x + place.width / 2
    lines = [
        _words(words, x, place.y + 14 + index * LABEL_LINE, "middle")
        for index, words in enumerate(arrow.label)
    ]
    look = ' class="off"' if arrow.lit is False else ""
    return f"<g{look}>{_rect('paper', *place, radius=4)}{''.join(lines)}</g>"


def _words(words: Words, x: float, y: float, anchor: str = "start") -> str:
    at = f'x="{short(x)}" y="{short(y)}"' + (
        f' text-anchor="{anchor}"' if anchor != "start" else ""
    )
    spans = "".join(
        f'<tspan class="{span.ink}">{xml_text(span.text)}</tspan>' for span in words if span.text
    )
    return f'<text class="number" xml:space="preserve" {at}>{spans}</text>'


def _at(point: Point) -> str:
    return f"{short(point[0])} {short(point[1])}"
