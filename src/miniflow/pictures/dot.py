"""A figure in DOT, the language of Graphviz: for reports that already use it."""

from __future__ import annotations

from miniflow.pictures.figure import Arrow, Card, Figure, Key, Kind, plain

_SHAPES: dict[Kind, str] = {
    "input": "ellipse",
    "parameter": "octagon",
    "constant": 'box, style="dashed"',
    "operation": 'box, style="rounded"',
    "output": 'box, style="rounded", peripheries=2',
    "group": "box3d",
    "entry": "circle",
}


def dot(figure: Figure) -> str:
    """The figure as a DOT digraph: `dot -Tpdf` draws it."""
    names = {card.key: f"n{index}" for index, card in enumerate(figure.cards)}
    lines = [
        "digraph {",
        f"  graph [rankdir={'TB' if figure.direction == 'down' else 'LR'}, "
        f"label={quoted(_title(figure))}, labelloc=t, fontname=Helvetica]",
        "  node [fontname=Helvetica, fontsize=11]",
        "  edge [fontname=Helvetica, fontsize=10]",
        *_members(figure, None, names, "  "),
        *(_edge(arrow, names) for arrow in figure.arrows),
        *(f"  // {plain(words)}" for words in figure.notes),
        "}",
    ]
    return "\n".join(lines) + "\n"


def _title(figure: Figure) -> str:
    return figure.title + (f"\n{figure.caption}" if figure.caption else "")


def _members(figure: Figure, frame: Key | None, names: dict[Key, str], indent: str) -> list[str]:
    """The cards of one frame, and its inner frames as clusters."""
    lines = [_node(card, names, indent) for card in figure.cards if card.frame == frame]
    for index, inner in enumerate(figure.frames):
        if inner.parent == frame:
            lines.append(f"{indent}subgraph cluster_{index} {{")
            lines.append(f"{indent}  label={quoted(inner.title)}; labeljust=l")
            lines += _members(figure, inner.key, names, indent + "  ")
            lines.append(f"{indent}}}")
    return lines


def _node(card: Card, names: dict[Key, str], indent: str) -> str:
    look = ", color=gray70, fontcolor=gray50" if card.lit is False else ""
    label = quoted("\n".join(card_lines(card)))
    return f"{indent}{names[card.key]} [label={label}, shape={_SHAPES[card.kind]}{look}]"


def _edge(arrow: Arrow, names: dict[Key, str]) -> str:
    looks = []
    if arrow.label:
        looks.append(f"label={quoted(chr(10).join(map(plain, arrow.label)))}")
    if arrow.lit is not None:
        looks.append('penwidth=2, color="#b23a0c"' if arrow.lit else "color=gray70")
    if arrow.dashed:
        looks.append("style=dashed")
    attributes = f" [{', '.join(looks)}]" if looks else ""
    return f"  {names[arrow.source]} -> {names[arrow.target]}{attributes}"


def card_lines(card: Card) -> list[str]:
    """What a card says, line by line, for formats that set text themselves."""
    lines = [
        card.title,
        " ".join(filter(None, (card.operation, card.shape))),
        *card.code,
        *card.remarks,
    ]
    lines += [
        f"{sign} {seen.text}" for sign, seen in (("=", card.value), ("∂", card.gradient)) if seen
    ]
    return [line for line in lines if line]


def quoted(text: str) -> str:
    r"""A DOT string.

    >>> print(quoted('say "hi"'))
    "say \"hi\""
    """
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
