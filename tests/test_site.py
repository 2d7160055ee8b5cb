"""The site is made of what is public: each name stands on one page, and on the page of names."""

import importlib
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import miniflow

SITE = Path(__file__).resolve().parent.parent / "tools" / "site"


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The modules of tools/site, by their names."""
    monkeypatch.syspath_prepend(str(SITE))
    yield importlib.import_module
    for name in ("public", "fences", "reference", "commands"):
        sys.modules.pop(name, None)


def test_each_public_name_has_one_entry_and_is_in_the_index(room: Any) -> None:
    names = {name.path for name in room("public").public_names()}
    texts = room("reference").pages_of_reference().texts
    entries = Counter(
        path for text in texts.values() for path in re.findall(r"^::: (\S+)$", text, re.M)
    )
    assert entries == Counter(names)
    assert set(re.findall(r"\]\[([\w.]+)\]", texts["reference/index.md"])) == names
    assert {f"miniflow.{name}" for name in miniflow.__all__} - {"miniflow.np"} <= names


def test_each_node_stands_in_the_list_of_its_family(room: Any) -> None:
    texts = room("reference").pages_of_reference().texts
    told = re.findall(
        r"^- \[`mf\.([\w.]+)`\]\[[\w.]+\]: (\S.*)$", texts["reference/nodes/index.md"], re.M
    )
    nodes = {n.path.removeprefix("miniflow.") for n in room("public").public_names() if n.is_node}
    assert nodes == {name for name, _ in told} - {"scan"}


def test_docstrings_become_pages_with_blocks_of_code(room: Any) -> None:
    fenced = room("fences").fenced
    made = fenced("A sum.\n\nArgs:\n    x, y: of any\n        shape.\n\n>>> 1 + 1\n2\n\nMore.\n")
    assert made == (
        "A sum.\n\nArgs:\n    x: of any\n        shape.\n    y: of any\n        shape.\n\n"
        "```pycon\n>>> 1 + 1\n2\n```\n\nMore.\n"
    )
