"""A figure in DOT, the language of Graphviz: for reports that already use it."""

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
    names = name_parts(figure, "cluster_")
    lines = [
        "digraph {",
        f"  graph [rankdir={'TB' if figure.direction == 'down' else 'LR'}, "
        f"label={quote(_title(figure))}, labelloc=t, fontname=Helvetica]",
        "  node [fontname=Helvetica, fontsize=11]",
        "  edge [fontname=Helvetica, fontsize=10]",
        *(_part(part, names) for part in outline(figure)),
        *(_edge(arrow, names) for arrow in figure.arrows),
        *(f"  // {plain(words)}" for words in figure.notes),
        "}",
    ]
    return "\n".join(lines) + "\n"


def _title(figure: Figure) -> str:
    return figure.title + (f"\n{figure.caption}" if figure.caption else "")


def _part(part: Card | Frame | None, names: dict[Key, str]) -> str:
    """A card, or where a cluster begins or ends."""
    if part is None:
        return "  }"
    if isinstance(part, Frame):
        return f"  subgraph {names[part.key]} {{ label={quote(part.title)}; labeljust=l"
    look = ", color=gray70, fontcolor=gray50" if part.lit is False else ""
    label = quote(card_lines(part))
    return f"  {names[part.key]} [label={label}, shape={_SHAPES[part.kind]}{look}]"


def _edge(arrow: Arrow, names: dict[Key, str]) -> str:
    looks = []
    if arrow.label:
        looks.append(f"label={quote(label_lines(arrow))}")
    if arrow.lit is not None:
        looks.append('penwidth=2, color="#b23a0c"' if arrow.lit else "color=gray70")
    if arrow.dashed:
        looks.append("style=dashed")
    attributes = f" [{', '.join(looks)}]" if looks else ""
    return f"  {names[arrow.source]} -> {names[arrow.target]}{attributes}"


def quote(text: str) -> str:
    r"""A DOT string.

    >>> print(quote('say "hi"'))
    "say \"hi\""
    """
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
