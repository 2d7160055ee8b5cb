"""What a page knows of a graph, as JSON, and what it can run, as JavaScript."""

from __future__ import annotations

from typing import Any

import numpy as np

from miniflow.backends.javascript import ARRAYS_JS, array_text, to_javascript
from miniflow.errors import printable
from miniflow.graph import Node
from miniflow.graph.places import is_ours
from miniflow.ir.dtypes import type_of
from miniflow.ir.program import Program
from miniflow.pictures.explorer.code import code_of
from miniflow.pictures.explorer.layouts import Face, Grouped, faces, group_nodes, layouts
from miniflow.pictures.explorer.numbers import as_data, as_number
from miniflow.pictures.explorer.program import Live, input_keys
from miniflow.pictures.explorer.recording import Recorded
from miniflow.pictures.graphs import describe, statement, title_of
from miniflow.pictures.groups import GroupKey
from miniflow.pictures.reading import Reading
from miniflow.pictures.values import shape_text

_SYMBOLS = {
    "Add": "+", "Sub": "−", "Mul": "·", "Div": "/", "Neg": "−", "MatMul": "@", "Pow": "**",
    "Less": "<", "LessEqual": "≤", "Greater": ">", "GreaterEqual": "≥",
    "Equal": "=", "NotEqual": "≠", "And": "∧", "Or": "∨", "Not": "¬",
}  # fmt: skip


def graph_data(recorded: Recorded, live: Live | str, title: str | None) -> dict[str, Any]:
    reading = Reading([recorded.order[-1]])
    groups = group_nodes(reading)
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
        "symbol": _SYMBOLS.get(kind.__name__, "") if is_ours(kind) else "",
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


def programs_text(live: Live | str) -> str:
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
