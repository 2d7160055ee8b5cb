"""A figure in Mermaid: for Markdown pages whose host draws it."""

from __future__ import annotations

from miniflow.pictures.figure import (
    Arrow,
    Card,
    Figure,
    Frame,
    Key,
    Kind,
    card_lines,
    label_lines,
    name_parts,
    outline,
    plain,
)

_SHAPES: dict[Kind, tuple[str, str]] = {
    "input": ("[/", "/]"),
    "parameter": ("{{", "}}"),
    "constant": ("[", "]"),
    "operation": ("(", ")"),
    "output": ("[[", "]]"),
    "group": ("[(", ")]"),
    "entry": ("((", "))"),
}
_ENTITIES = {
    '"': "#quot;",
    "#": "#35;",
    "<": "#lt;",
    ">": "#gt;",
    "&": "#amp;",
    "`": "#96;",
    "\\": "#92;",
}


def mermaid(figure: Figure) -> str:
    """The figure as a Mermaid flowchart."""
    names = name_parts(figure, "g")
    dim = [names[card.key] for card in figure.cards if card.lit is False]
    lines = [
        f"flowchart {'TB' if figure.direction == 'down' else 'LR'}",
        *(_part(part, names) for part in outline(figure)),
        *(_edge(arrow, names) for arrow in figure.arrows),
    ]
    if dim:
        lines += ["  classDef dim opacity:0.4", f"  class {','.join(dim)} dim"]
    lines += [f"  %% {plain(words)}" for words in figure.notes]
    return "\n".join(lines) + "\n"


def _part(part: Card | Frame | None, names: dict[Key, str]) -> str:
    """A card, or where a subgraph begins or ends."""
    if part is None:
        return "  end"
    if isinstance(part, Frame):
        return f"  subgraph {names[part.key]}[{quote(part.title)}]"
    before, after = _SHAPES[part.kind]
    return f"  {names[part.key]}{before}{quote(card_lines(part))}{after}"


def _edge(arrow: Arrow, names: dict[Key, str]) -> str:
    line = "-.->" if arrow.dashed else "==>" if arrow.lit else "-->"
    label = f"|{quote(label_lines(arrow))}|" if arrow.label else ""
    return f"  {names[arrow.source]} {line}{label} {names[arrow.target]}"


def quote(text: str) -> str:
    """Text in quotes, with what Mermaid would read as markup written as entities.

    >>> print(quote('a "b" <c>'))
    "a #quot;b#quot; #lt;c#gt;"
    """
    marked = "".join(_ENTITIES.get(c, c) for c in text)
    return '"' + marked.replace("\n", "<br/>") + '"'
