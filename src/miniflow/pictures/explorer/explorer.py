"""The explorer of one graph: as a page, as a part of one, and as a widget of a notebook."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from html import escape
from typing import Any

from miniflow.errors import MiniflowError
from miniflow.files.atomic import write_bytes
from miniflow.graph import Node
from miniflow.graph.typed import FedNode
from miniflow.optimizers import SGD
from miniflow.pictures.explorer.data import graph_data, programs_text
from miniflow.pictures.explorer.page import (
    fragment_text,
    json_text,
    module_text,
    page_text,
    style_text,
)
from miniflow.pictures.explorer.program import live_programs
from miniflow.pictures.explorer.recording import record_pass


class Explorer:
    """A graph and one pass over it, ready to be looked at.

    Args:
        node: the output; the backward pass starts there.
        feed_dict: input → value; an input that is not in it keeps the value that it has.
        optimizer: what a training step in the page does; `SGD(0.1)` by default. It is copied.
        title: by default it names the output.

    Raises:
        GraphError: an input has no value, or a pass fails.

    Where the graph cannot be recorded as a program, the page steps through the recorded numbers and
    says why nothing can be changed; see `MOST_NUMBERS` and `MOST_WHOLE` for what is large.

    >>> import miniflow as mf
    >>> x = mf.Input("x")
    >>> page = Explorer(mf.Mul(x, x, name="f"), {x: 3.0}, title="A square").html()
    >>> "<title>A square</title>" in page, "https://" in page
    (True, False)
    """

    def __init__(
        self,
        node: Node,
        feed_dict: Mapping[FedNode, Any] | None = None,
        *,
        optimizer: Any = None,
        title: str | None = None,
    ) -> None:
        recorded = record_pass(node, feed_dict)
        live = live_programs(recorded, optimizer or SGD(0.1))
        self.data = graph_data(recorded, live, title)
        self.programs = programs_text(live)
        text = json_text(self.data) + self.programs
        self.data["name"] = "mfx" + hashlib.sha256(text.encode()).hexdigest()[:12]

    def html(self) -> str:
        """A whole page, which needs no other file and no network."""
        return page_text(self.data, self.programs)

    def fragment(self) -> str:
        """The same as a part of another page: HTML for anywhere in its body."""
        return fragment_text(self.data, self.programs)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the page to a file."""
        write_bytes(path, self.html().encode())

    def _repr_html_(self) -> str:
        """The page in a frame below a notebook's cell."""
        page = escape(self.html())
        title = escape(self.data["title"])
        style = "width:100%;height:800px;border:0"
        return f'<iframe title="{title}" srcdoc="{page}" style="{style}"></iframe>'

    def widget(self) -> Any:
        """The same as a widget for Jupyter and VS Code.

        Raises MiniflowError if anywidget is not installed (the extra "widget").
        """
        return _widget_class(f"{module_text()}\n{self.programs}\n{_RENDER}")(
            data=json_text(self.data)
        )


def explorer_fragment(
    node: Node,
    feed_dict: Mapping[FedNode, Any] | None = None,
    *,
    optimizer: Any = None,
    title: str | None = None,
) -> str:
    """An explorer as HTML for anywhere in the body of a page; see `Explorer`.

    It is as wide as the element around it and follows the reader's preference for day or night.

    >>> import miniflow as mf
    >>> x = mf.Input("x")
    >>> explorer_fragment(x * x, {x: 3.0}).startswith("<div")
    True
    """
    return Explorer(node, feed_dict, optimizer=optimizer, title=title).fragment()


# --- Notebooks

_RENDER = """\
export default {
  render({ model, el }) {
    const root = el.appendChild(document.createElement("div"));
    const explorer = mount(root, JSON.parse(model.get("data")), programs, {});
    return () => explorer.pause();
  },
};
"""


def _widget_class(module: str) -> Any:
    try:
        import anywidget  # type: ignore[import-not-found, unused-ignore]
        import traitlets  # type: ignore[import-not-found, unused-ignore]
    except ImportError as error:
        raise MiniflowError(
            'To explore a graph in a notebook, install miniflow with its extra "widget", which '
            'brings anywidget; or save a page: mf.draw(node).save("graph.html").'
        ) from error
    members = {"_esm": module, "_css": style_text(), "data": traitlets.Unicode().tag(sync=True)}
    return type("ExplorerWidget", (anywidget.AnyWidget,), members)
