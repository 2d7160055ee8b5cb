"""`draw`, and the `Drawing` that it returns."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, get_args

from miniflow.errors import GraphError, MiniflowError
from miniflow.files.atomic import write_bytes
from miniflow.graph import Node
from miniflow.graph.typed import FedNode
from miniflow.graph.values import way_to_a_node
from miniflow.options import file_path
from miniflow.pictures.dot import dot
from miniflow.pictures.elements import element_figure
from miniflow.pictures.figure import Figure
from miniflow.pictures.graphs import graph_figure
from miniflow.pictures.groups import Groups, group
from miniflow.pictures.layout import Direction
from miniflow.pictures.mermaid import mermaid
from miniflow.pictures.paths import light_paths
from miniflow.pictures.png import png
from miniflow.pictures.reading import Reading
from miniflow.pictures.style import Theme
from miniflow.pictures.svg import svg
from miniflow.pictures.terminal import text

if TYPE_CHECKING:
    from miniflow.pictures.explorer import Explorer


class Drawing:
    """A picture that is drawn when it is looked at: notebooks show it, `print` draws it in the
    terminal.

    >>> import miniflow as mf
    >>> x = mf.Input("x")
    >>> type(mf.draw(x * 2.0)).__name__
    'Drawing'
    """

    def __init__(self, figure: Figure, outputs: Sequence[Any] = ()) -> None:
        self.figure = figure
        self.outputs = list(outputs)

    def svg(self, theme: Theme = "auto") -> str:
        """The picture as an SVG document; "auto" follows the reader's preference.

        Raises GraphError if `theme` is not "auto", "light" or "dark".
        """
        _check_option("theme", theme, get_args(Theme))
        return svg(self.figure, theme)

    def text(self, width: int | None = None) -> str:
        """The picture in box-drawing characters; a table, of a program a listing, if it is wider
        than `width` columns (the terminal's).
        """
        return text(self.figure, width)

    def save(self, path: str | os.PathLike[str], theme: Theme | None = None) -> None:
        """Write the picture to a file, in the format that its name ends with.

        `.svg` (for day and night unless `theme` says otherwise), `.png` (by day unless `theme` says
        "dark"; needs the extra "png"), `.dot` (Graphviz), `.mmd` (Mermaid), `.txt`, or `.html`: the
        `explorer`, a page that opens from disk. Raises MiniflowError for any other ending or theme,
        and GraphError for `.html` where there is no explorer, as of a program.
        """
        path = file_path("save", path)
        ending = os.path.splitext(path)[1].lower()
        if ending == ".png":
            write_bytes(path, png(self.svg("dark" if theme == "dark" else "light")))
        elif ending == ".svg":
            write_bytes(path, self.svg(theme or "auto").encode())
        elif ending == ".html":
            self.explorer().save(path)
        elif ending in _TEXTS:
            write_bytes(path, _TEXTS[ending](self.figure).encode())
        else:
            endings = [*PICTURES, *([".html"] if len(self.outputs) == 1 else [])]
            raise MiniflowError(
                f"{path}: a picture's name ends in {', '.join(endings[:-1])} or {endings[-1]}, "
                f"and this one in {ending!r}."
            )

    def explorer(
        self, feed_dict: Mapping[FedNode, Any] | None = None, *, optimizer: Any = None
    ) -> Explorer:
        """The graph as a page in which one steps forward and backward, and changes the numbers.

        Args:
            feed_dict: input → value; an input that is not in it keeps the value of the last pass.
            optimizer: what a training step in the page does; `SGD(0.1)` by default.

        Raises:
            GraphError: the drawing is not of one node, or an input has no value.

        >>> import miniflow as mf
        >>> x = mf.Input("x")
        >>> page = draw(mf.Mul(x, x, name="f")).explorer({x: 3.0}).html()
        >>> page.count("<script")  # data and module: no other file is asked for
        2
        """
        from miniflow.pictures.explorer import Explorer

        if not self.outputs:
            raise GraphError(
                "The explorer, a .html page, steps through the nodes of a graph, and this is a "
                "drawing of a program, which has none (nor has a model file). With the nodes at "
                'hand, mf.draw(loss).save("loss.html") writes the page; a program can be saved as '
                f"{', '.join(PICTURES[:-1])} or {PICTURES[-1]}."
            )
        if len(self.outputs) > 1:
            raise GraphError(
                f"The explorer starts its backward pass at one node, and this is a drawing of "
                f"{len(self.outputs)} outputs: draw one node."
            )
        return Explorer(self.outputs[0], feed_dict, optimizer=optimizer, title=self.figure.title)

    def explore(
        self, feed_dict: Mapping[FedNode, Any] | None = None, *, optimizer: Any = None
    ) -> Any:
        """The `explorer` below a notebook's cell: a widget where the extra "widget" is installed,
        else a frame.
        """
        explorer = self.explorer(feed_dict, optimizer=optimizer)
        return explorer.widget() if find_spec("anywidget") else explorer

    def _repr_svg_(self) -> str:
        return self.svg()

    def __str__(self) -> str:
        return self.text()

    __repr__ = __str__


PICTURES = (".svg", ".png", ".dot", ".mmd", ".txt")
_TEXTS: dict[str, Callable[[Figure], str]] = {
    ".dot": dot,
    ".mmd": mermaid,
    ".txt": lambda figure: text(figure, 10**6) + "\n",
}


def draw(
    *outputs: Any,
    paths: Any = None,
    elements: bool = False,
    values: bool = True,
    groups: Groups = "auto",
    direction: Direction | None = None,
    title: str | None = None,
    backend: str | None = None,
) -> Drawing:
    """A picture of the graph that leads to the given nodes, or of one compiled program.

    After a pass it shows values (`=`) and gradients (`∂`): small arrays in numbers, larger ones by
    mean ± standard deviation, norm and a heat map. What has not been run is said to be so.

    Args:
        outputs: one node or several, or a program: `step`, `step.program`, a model.
        paths: `(start, end)`: light every path between two nodes, with the local derivative on each
            edge and the sum of products below. With `elements`, an end may be an entry:
            `((X, 0, 0), Z)`. None by default.
        elements: draw every entry of small matrices (up to 16 entries) as a circle; needs values.
            False by default.
        values: whether to show values and gradients; True by default.
        groups: names like "block1/attention/W" make groups. "open": as frames; "closed": as one
            card each, and repeated blocks of operations too; "none": not at all; "auto" (default):
            open, and closed as far as it takes to get along with 60 cards.
        direction: "right" (default; for programs "down") or "down".
        title: for screen readers and as a tooltip; by default it names the outputs.
        backend: of a program, the one whose loops and buffers are shown; by default that of what
            runs the program, if anything does.

    Raises:
        CompileError: there is no such backend, or the step has not been called yet.
        GraphError: `paths` names nodes between which there is no path, or is asked for a program;
            `elements` of a graph that has not been run; there is no such `groups` or `direction`.

    >>> import miniflow as mf
    >>> x, y = mf.Input("x"), mf.Input("y")
    >>> f = mf.Mul(x, y, name="f")
    >>> _ = mf.value_and_grad(f, {x: 3, y: 4}, wrt=[x, y])
    >>> print(draw(f).text(width=60))
    ╭───────╮  ╭───────╮
    │ x     │  │ y     │
    │ Input │  │ Input │
    │ = 3   │  │ = 4   │
    │ ∂ 4   │  │ ∂ 3   │
    ╰───────╯  ╰───────╯
        ╰───╮   ╭──╯
            ▼   ▼
          ╔══════╗
          ║ f    ║
          ║ Mul  ║
          ║ = 12 ║
          ║ ∂ 1  ║
          ╚══════╝
    """
    if not outputs:
        raise GraphError("draw needs something to draw: a node, several nodes, or a program.")
    _check_option("groups", groups, get_args(Groups))
    _check_option("direction", direction or "right", get_args(Direction))
    program = getattr(outputs[0], "program", outputs[0])
    if len(outputs) == 1 and hasattr(program, "equations"):
        from miniflow.pictures.program import compiled_figure

        if paths is not None or elements:
            raise GraphError("paths and elements are for nodes; draw was given a program.")
        return Drawing(compiled_figure(program, title, direction or "down", backend))
    if backend is not None:
        raise GraphError("backend is for programs, and draw was given something else.")
    for output in outputs:
        if not isinstance(output, Node):
            raise GraphError(
                f"draw takes nodes, or a program; it was given {type(output).__name__}"
                f"{way_to_a_node(output)}."
            )
    direction = direction or "right"
    ends = None if paths is None else tuple(paths) if isinstance(paths, (tuple, list)) else ()
    if ends is not None and len(ends) != 2:
        raise GraphError(f"paths is a pair, (start, end); it was {paths!r}.")
    if elements:
        return Drawing(element_figure(outputs, title, direction, ends), outputs)
    reading = Reading(outputs)
    how: Groups = "open" if paths and groups in ("auto", "closed") else groups
    figure = graph_figure(reading, group(reading, how), title, direction, values)
    if ends is None:
        return Drawing(figure, outputs)
    for end in ends:
        if not isinstance(end, Node):
            raise GraphError(f"paths=(start, end): {end} is no node; entries need elements=True.")
    return Drawing(light_paths(figure, reading, *ends), outputs)


def _check_option(name: str, given: Any, known: Sequence[Any]) -> None:
    """Raise GraphError unless an option has one of the values that there are."""
    if given not in known:
        raise GraphError(f"{name} is one of {', '.join(map(repr, known))}; it was {given!r}.")
