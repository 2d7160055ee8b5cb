"""The explorer: a page in which a person steps through a graph, forward and backward, and changes
it.

    mf.draw(loss).save("loss.html")          a page of its own, which opens from disk
    mf.draw(loss).explore()                  the same in a notebook
    explorer_fragment(loss)                  the same as a part of another page

The parts: `explorer_recording` runs the interpreter once and keeps every number,
`explorer_numbers` writes them down, `explorer_code` finds the nodes' source, `explorer_layouts`
asks `layout` where everything goes, `explorer_program` has the graph recorded as programs, which
the JavaScript backend translates, and `explorer_page` puts it all into one file with
`static/explorer`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from miniflow.backends.javascript import ARRAYS_JS, array_text, to_javascript
from miniflow.errors import MiniflowError
from miniflow.files.atomic import write_bytes
from miniflow.graph import Node
from miniflow.ir.dtypes import type_of
from miniflow.ir.program import Program
from miniflow.optimizers import SGD
from miniflow.pictures.explorer.code import code_of
from miniflow.pictures.explorer.layouts import Face, Grouped, faces, grouped, layouts
from miniflow.pictures.explorer.numbers import as_data, as_number
from miniflow.pictures.explorer.page import (
    fragment_text,
    json_text,
    module_text,
    page_text,
    style_text,
)
from miniflow.pictures.explorer.program import Live, input_keys, live_programs
from miniflow.pictures.explorer.recording import Recorded, record_pass
from miniflow.pictures.graphs import describe, statement, title_of
from miniflow.pictures.groups import GroupKey
from miniflow.pictures.metrics import printable
from miniflow.pictures.reading import Reading
from miniflow.pictures.values import shape_text

_SYMBOLS = {"Add": "+", "Sub": "−", "Mul": "·", "Div": "/", "Neg": "−", "MatMul": "@", "Pow": "**"}


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
        feed_dict: Mapping[Node, Any] | None = None,
        *,
        optimizer: Any = None,
        title: str | None = None,
    ) -> None:
        recorded = record_pass(node, feed_dict)
        live = live_programs(recorded, optimizer or SGD(0.1))
        self.data = _data(recorded, live, title)
        self.programs = _programs(live)
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

    def widget(self) -> Any:
        """The same as a widget for Jupyter and VS Code.

        Raises MiniflowError if anywidget is not installed (the extra "widget").
        """
        return _widget_class(f"{module_text()}\n{self.programs}\n{_RENDER}")(
            data=json_text(self.data)
        )


def explorer_fragment(
    node: Node,
    feed_dict: Mapping[Node, Any] | None = None,
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


# --- What a page knows of a graph


def _data(recorded: Recorded, live: Live | str, title: str | None) -> dict[str, Any]:
    reading = Reading([recorded.order[-1]])
    groups = grouped(reading)
    index = {node: i for i, node in enumerate(recorded.order)}
    shapes = {
        node: shape_text(np.shape(value))
        for node, value in zip(recorded.order, recorded.values, strict=True)
    }
    cards = faces(reading, groups, shapes)
    codes: list[Any] = []
    return {
        "name": "",
        "title": printable(title or title_of(reading)),
        "description": describe(reading),
        "nodes": [
            _node(reading, node, shapes[node], cards.nodes[node], codes)
            | {"inbound": [index[source] for source in node.inbound_nodes]}
            for node in recorded.order
        ],
        "codes": codes,
        "groups": [_group(reading, groups, key, cards.groups[key]) for key in groups.keys],
        "layouts": layouts(reading, groups, cards),
        "recorded": {
            "values": [as_data(value) for value in recorded.values],
            "gradients": [as_data(gradient) for gradient in recorded.gradients],
            "handed": {f"{c},{s}": as_data(grad) for (c, s), grad in recorded.handed.items()},
            "local": {
                f"{c},{s}": {"kind": local.kind, "value": as_data(local.value)}
                for (c, s), local in recorded.local.items()
            },
        },
        "live": None if isinstance(live, str) else _live(live),
        "whyNotLive": live if isinstance(live, str) else "",
    }


def _node(reading: Reading, node: Node, shape: str, face: Face, codes: list[Any]) -> dict[str, Any]:
    code = code_of(node)
    places = []
    for part in code or ():
        entry = {"title": part.title, "where": part.where, "lines": part.lines, "why": part.why}
        if entry not in codes:
            codes.append(entry)
        places.append(codes.index(entry))
    kind = type(node)
    return {
        "name": reading.called[node],
        "class": printable(kind.__name__),
        "kind": reading.kind(node),
        "statement": statement(reading, node),
        "shape": shape,
        "where": printable(node.where),
        "face": {"title": face.title, "subtitle": face.subtitle},
        "symbol": _SYMBOLS.get(kind.__name__, "")
        if kind.__module__.startswith("miniflow.")
        else "",
        "code": places or None,
    }


def _group(reading: Reading, groups: Grouped, key: GroupKey, face: Face) -> dict[str, Any]:
    members = [i for i, node in enumerate(reading.nodes) if key in groups.chains[node]]
    return {
        "title": face.title,
        "subtitle": face.subtitle,
        "count": f"{len(members):,} nodes",
        "nodes": members,
    }


# --- What a page can run


def _live(live: Live) -> dict[str, Any]:
    return {
        "slots": [list(slot) for slot in live.slots],
        "look": _program(live.look),
        "step": None if live.step is None else _program(live.step),
        "arguments": {key: _argument(value) for key, value in live.arguments.items()},
        "optimizer": live.optimizer,
        "whyNoStep": live.why_no_step,
    }


def _program(program: Program) -> dict[str, Any]:
    constants = [[c.variable.dtype, array_text(c.value)] for c in program.constants]
    return {"inputs": input_keys(program), "constants": constants}


def _argument(value: Any) -> dict[str, Any]:
    type_ = type_of(value)
    shared = {"kind": type_.kind, "dtype": type_.dtype, "shape": list(type_.shape)}
    if type_.kind == "array":
        return shared | {"text": array_text(np.asarray(value))}
    return shared | {"value": as_number(np.asarray(value).item())}


def _programs(live: Live | str) -> str:
    """The programs as JavaScript: `programs`, null where there are none."""
    if isinstance(live, str):
        return "const programs = null;"
    parts = [ARRAYS_JS, to_javascript(live.look, name="programThatLooks")]
    step = "null"
    if live.step is not None:
        step = "programThatTrains"
        parts.append(to_javascript(live.step, name=step))
    parts.append(f"const programs = {{ look: programThatLooks, step: {step}, typedArray }};")
    return "\n".join(parts)


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
