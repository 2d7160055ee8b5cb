"""From an explorer's data to a page: one ES module, one style sheet, and JSON that is safe in HTML.

The module's source is in `static/explorer/`, one idea a file. `module_text` joins the files, each
after those that it imports, into the one module that is shipped: no tool and no download takes part
in it, and the same files always give the same text.
"""

from __future__ import annotations

import json
import re
from functools import cache
from html import escape
from importlib.resources import files
from typing import Any

from miniflow.pictures.style import variables

_MODULES = (
    *("numbers", "heat", "dom", "svg", "steps", "words", "pass", "cards", "stage", "panel"),
    *("live", "curve", "workbench", "explorer"),
)
_IMPORT = re.compile(r'^import \{([^}]*)\} from "\./(\w+)\.js";$', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:function|class|const) (\w+))", re.MULTILINE)


@cache
def module_text() -> str:
    """The explorer as one ES module's text, which defines `mount`.

    Each file becomes a function with names of its own, called where it stands, that returns what
    the file exports.
    """
    folder = files("miniflow.pictures") / "static" / "explorer"
    parts = []
    for name in _MODULES:
        text = (folder / f"{name}.js").read_text(encoding="utf-8").strip()
        exports = ", ".join(_EXPORT.findall(text))
        body = _EXPORT.sub("", _IMPORT.sub(r"const {\1} = $\2;", text))
        parts.append(f"const ${name} = (() => {{\n{body}\nreturn {{ {exports} }};\n}})();\n")
    return "\n".join([*parts, "const { mount } = $explorer;"])


@cache
def style_text() -> str:
    """The style sheet, with the pictures' colours."""
    sheet = (files("miniflow.pictures") / "static" / "explorer.css").read_text(encoding="utf-8")
    return f"{variables('.mfx')}\n{sheet}"


def json_text(data: Any) -> str:
    """JSON that can stand in a script element and in JavaScript, whatever texts are in it.

    >>> "<" in json_text("</script>"), json.loads(json_text("</script>"))
    (False, '</script>')
    """
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    for char in "<>&":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text


def fragment_text(data: Any, programs: str, whole_page: bool = False) -> str:
    """HTML for anywhere in a page's body: style, data and module.

    The module finds the data and its place beside itself, so that several explorers may stand on
    one page without sharing a name.
    """
    look = "mfx page" if whole_page else "mfx"
    how = "{ wholePage: true }" if whole_page else "{}"
    return f"""\
<div class="mfx-place" data-name="{escape(data["name"])}">
<style>
{style_text()}
</style>
<div class="{look}"></div>
<script type="application/json">{json_text(data)}</script>
<script type="module">
{module_text()}
{programs}
for (const place of document.querySelectorAll(".mfx-place:not(.mfx-done)")) {{
  if (place.dataset.name !== {json_text(data["name"])}) continue;
  place.classList.add("mfx-done");
  const data = JSON.parse(place.querySelector("script[type='application/json']").textContent);
  mount(place.querySelector(".mfx"), data, programs, {how});
}}
</script>
</div>
"""


def page_text(data: Any, programs: str) -> str:
    """A whole HTML page that needs no other file."""
    return f"""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(data["title"])}</title>
<link rel="icon" href="data:,">
<style>html, body {{ margin: 0; height: 100% }}</style>
</head>
<body>
{fragment_text(data, programs, whole_page=True)}</body>
</html>
"""
