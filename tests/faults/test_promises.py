"""docs/reliability.md names the test behind each promise; every one of them must exist."""

import ast
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_the_test_behind_a_promise_exists(file: str, name: str) -> None:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    names = {node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    names |= {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    assert name in names


def test_every_promise_names_a_test() -> None:
    promises = re.findall(r"^- \*\*.*?(?=^- |^\n|\Z)", PAGE.split("## What is not")[0], re.M | re.S)
    assert len(promises) > 15
    for promise in promises:
        assert re.search(r"`tests/[\w/]+\.py::\w+`", promise), promise


@pytest.mark.parametrize("target", re.findall(r"`make (\w+)`", PAGE))
def test_every_make_target_that_the_page_names_exists(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
