"""Colours and type of the pictures, by day and by night.

Hues follow Okabe and Ito's colour-blind-safe set; text has a contrast of at least 4.5 on what is
behind it. No meaning rests on colour alone: kinds of node differ in outline, gradients are marked
by ∂, lit paths are thicker. The paper is always painted, so that a picture can be read on any page,
whatever the page believes about day and night.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Theme = Literal["auto", "light", "dark"]

_SANS = "system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,'DejaVu Sans',sans-serif"
_MONO = "ui-monospace,'SF Mono',Menlo,Consolas,'DejaVu Sans Mono','Liberation Mono',monospace"


class Colour(NamedTuple):
    """Red, green and blue, 0 to 255."""

    red: int
    green: int
    blue: int

    def mix(self, other: Colour, share: float) -> Colour:
        """The colour with a `share`, 0 to 1, of another."""
        return Colour(*(round(a + (b - a) * share) for a, b in zip(self, other, strict=True)))

    def css(self) -> str:
        """As it is written in a style sheet: #0072b2."""
        return f"#{self.red:02x}{self.green:02x}{self.blue:02x}"


_LIGHT = {
    "paper": "#ffffff",
    "ink": "#18212c",
    "dim": "#566273",
    "value": "#1a5a8c",
    "gradient": "#b23a0c",
    "line": "#7c899a",
    "frame": "#f5f7f9",
    "frame-line": "#c3ccd6",
    "operation": "#ffffff",
    "operation-line": "#7d8998",
    "input": "#edf5fb",
    "input-line": "#2f7fb8",
    "parameter": "#fdf5e6",
    "parameter-line": "#b07a1e",
    "output": "#ecf7f1",
    "output-line": "#1f8a5b",
}
_DARK = {
    "paper": "#11161d",
    "ink": "#e8edf3",
    "dim": "#a3afbd",
    "value": "#86c3f2",
    "gradient": "#ff9f78",
    "line": "#77859a",
    "frame": "#171d26",
    "frame-line": "#3a4554",
    "operation": "#1a212b",
    "operation-line": "#7b8899",
    "input": "#122739",
    "input-line": "#5aa9de",
    "parameter": "#2b2413",
    "parameter-line": "#d9a94a",
    "output": "#12291f",
    "output-line": "#56bd8c",
}

_SHAPES = {
    "text": f"font-family:{_SANS};font-size:11px",
    ".title": "font-size:13px;font-weight:600",
    ".number": f"font-family:{_MONO}",
    ".small": f"font-family:{_MONO};font-size:10px",
    ".italic": "font-style:italic",
    ".edge": "fill:none;stroke-width:1.25",
    ".edge.lit": "stroke-width:2.25",
    ".dashed": "stroke-dasharray:4 3",
    ".off": "opacity:.45",
    ".heading": "paint-order:stroke;stroke-width:4px;stroke-linejoin:round",
    ".bracket": "fill:none;stroke-width:1",
    ".rule": "stroke-width:1;opacity:.4",
    ".card": "stroke-width:1.25",
    ".card.lit": "stroke-width:2.25",
    ".thin": "fill:none;stroke-width:1",
    "image": "image-rendering:optimizeSpeed;image-rendering:pixelated",
}


def css(theme: Theme) -> str:
    """The style sheet of a picture; `auto` follows the reader's preference.

    Every rule begins with the picture's own class, since a notebook puts it into a page that it
    shares with others.
    """
    sheet = _sheet(_SHAPES, theme)
    if theme != "auto":
        return f"{sheet}\n{_sheet(_colours(_DARK if theme == 'dark' else _LIGHT), theme)}"
    day, night = _sheet(_colours(_LIGHT), theme), _sheet(_colours(_DARK), theme)
    return f"{sheet}\n{day}\n@media (prefers-color-scheme:dark){{\n{night}\n}}"


def variables(selector: str) -> str:
    """The colours and fonts as CSS variables of an element, following the reader's preference."""

    def rule(colours: dict[str, str]) -> str:
        return f"{selector}{{{';'.join(f'--{name}:{colour}' for name, colour in colours.items())}}}"

    fonts = {"sans": _SANS, "mono": _MONO}
    return f"{rule(_LIGHT | fonts)}\n@media (prefers-color-scheme:dark){{{rule(_DARK)}}}"


def class_of(theme: Theme) -> str:
    """The class of a picture's outermost element."""
    return f"miniflow-{theme}"


def declarations(look: str) -> dict[str, str]:
    """What the style sheet says, by day, of something of the classes `look`: property → value.

    >>> declarations("edge lit")["stroke"]
    '#b23a0c'
    """
    classes = set(look.split())
    found: dict[str, str] = {}
    for rules in (_SHAPES, _colours(_LIGHT)):
        for selector, how in rules.items():
            if selector.startswith(".") and classes.issuperset(selector[1:].split(".")):
                found |= dict(part.split(":") for part in how.split(";"))
    return found


def _sheet(rules: dict[str, str], theme: Theme) -> str:
    return "\n".join(f".{class_of(theme)} {what}{{{how}}}" for what, how in rules.items())


def _colours(colour: dict[str, str]) -> dict[str, str]:
    rules = {".paper": f"fill:{colour['paper']}"}
    rules |= {f".{ink}": f"fill:{colour[ink]}" for ink in ("ink", "dim", "value", "gradient")}
    for ink in ("value", "gradient"):
        rules[f".bracket.{ink}"] = f"fill:none;stroke:{colour[ink]}"
    for line in (".edge", ".rule"):
        rules[line] = f"stroke:{colour['line']}"
    rules[".head"] = f"fill:{colour['line']}"
    for line in (".lit", ".back"):
        rules[f".edge{line}"] = f"stroke:{colour['gradient']}"
        rules[f".head{line}"] = f"fill:{colour['gradient']}"
    rules[".frame"] = f"fill:{colour['frame']};stroke:{colour['frame-line']}"
    rules[".heading"] = f"stroke:{colour['frame']}"
    for kind in ("operation", "input", "parameter", "output"):
        rules[f".{kind}"] = f"fill:{colour[kind]};stroke:{colour[f'{kind}-line']}"
        rules[f".thin.{kind}"] = f"fill:none;stroke:{colour[f'{kind}-line']}"
    rules[".card.lit"] = f"stroke:{colour['gradient']}"
    return rules
