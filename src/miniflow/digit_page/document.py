"""The page as text: the programs in JavaScript, the arrays in base64, and the static parts.

`digit_fragment` is a section that can stand in any page; `digit_document` is a page with nothing
else. Either is one file that opens from disk and asks no network for anything.
"""

import hashlib
import html
import json
from typing import Any

import numpy as np

from miniflow.backends.javascript import ARRAYS_JS, array_text, to_javascript
from miniflow.digit_page.layers import VisibleLayer
from miniflow.digit_page.programs import SIDE, Programs, programs_for
from miniflow.errors import printable
from miniflow.files.templates import fill_template, static
from miniflow.ir.dtypes import dtype_name
from miniflow.ir.program import Program
from miniflow.models import Model
from miniflow.models.notes import class_names_in

PACKAGE = "miniflow.digit_page"
SCRIPTS = ("sheet.js", "pictures.js", "layers.js", "maps.js", "page.js")
PROGRAMS = ("fit", "shrink", "answer", "explain")


def digit_document(model: Model, title: str) -> str:
    """The whole page: an HTML document with the title as its heading."""
    return fill_template(
        static(PACKAGE, "document.html"),
        title=html.escape(printable(title)),
        digits=digit_fragment(model),
    )


def digit_fragment(model: Model) -> str:
    """The page as a section, with its own style and script, to be put into another page."""
    programs = programs_for(model)
    arrays = _Arrays()
    data = {
        "side": SIDE,
        "classes": programs.layers[-1].units,
        "names": class_names_in(model.notes, programs.layers[-1].units),
        "constants": {
            name: [arrays.place(constant.value) for constant in program.constants]
            for name in PROGRAMS
            if (program := getattr(programs, name)) is not None
        },
        "layers": [
            _layer(layer, i, layer is programs.layers[-1], arrays)
            for i, layer in enumerate(programs.layers, 1)
            if layer is not programs.layers[-1] or layer.weights is not None
        ],
        "arrays": arrays.texts,
    }
    return fill_template(
        static(PACKAGE, "page.html"),
        css=static(PACKAGE, "page.css"),
        data=_json(data),
        script=_script(programs),
    )


class _Arrays:
    """Arrays in base64, each once, however many programs read it."""

    def __init__(self) -> None:
        self.texts: list[tuple[str, str]] = []
        self._places: dict[tuple[Any, ...], int] = {}

    def place(self, array: np.ndarray[Any, Any]) -> int:
        """The place of an array in the list."""
        key = (array.dtype.str, array.shape, hashlib.sha256(array.tobytes()).digest())
        if key not in self._places:
            self._places[key] = len(self.texts)
            self.texts.append((dtype_name(array.dtype), array_text(array)))
        return self._places[key]


def _layer(layer: VisibleLayer, number: int, is_output: bool, arrays: _Arrays) -> dict[str, Any]:
    """What the page has to know of a layer."""
    title = "What each answer looks for" if is_output else f"Hidden layer {number}"
    told: dict[str, Any] = {"title": title, "units": layer.units, "isOutput": is_output}
    size = f"{layer.units} units"
    if layer.weights is not None:
        by_rows = bool(layer.weights.flags.c_contiguous)
        stored = layer.weights if by_rows else layer.weights.T  # as the program reads them
        told["weights"] = {"array": arrays.place(stored), "byRows": by_rows}
    elif layer.maps is not None:
        rows, columns, count = layer.maps.shape
        size = f"{count} maps of {rows}\u00a0×\u00a0{columns}"
        told["maps"] = {"rows": rows, "columns": columns, "count": count, "kernels": None}
        if (kernels := layer.maps.kernels) is not None:
            _, height, width = kernels.shape
            told["maps"]["kernels"] = {
                "array": arrays.place(kernels),
                "rows": height,
                "columns": width,
            }
    return told | {"subtitle": " · ".join(filter(None, [layer.name, size]))}


def _script(programs: Programs) -> str:
    functions = [_function(f"{name}Program", getattr(programs, name)) for name in PROGRAMS]
    own = [static(PACKAGE, name) for name in SCRIPTS]
    root = 'const root = document.currentScript.closest(".mf-digits");'
    return "\n".join(["(() => {", '"use strict";', root, ARRAYS_JS, *functions, *own, "})();"])


def _function(name: str, program: Program | None) -> str:
    return f"const {name} = null;" if program is None else to_javascript(program, name=name)


def _json(data: Any) -> str:
    """JSON that cannot end the element it stands in, whatever the names in it."""
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
