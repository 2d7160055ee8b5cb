"""One name for one thing: a class name stands once, and functions are called by verbs and nouns."""

import ast
import functools
import re
from collections import defaultdict
from pathlib import Path

import pytest

import miniflow as mf

SOURCE = Path(mf.__file__).parent
# What a learner writes, as in nodes/; and the classes of another lesson, under its names.
LEARNERS_OWN = {"lab/course", "lab/handout", "lab/solutions", "udacity"}

# A layer makes the node of its name, and a program has the inputs and constants of its graph.
PAIRS = [{"layers", "nodes"}, {"graph", "ir"}]

# Rooms in which a participle alone (`settled`, `told`) names no function any more.
WITH_VERBS = ["graph", "interpreter", "tracing", "compiler", "training", "models", "optimizers"]
PARTICIPLE = re.compile(r"_?[a-z]+(ed|ing|own|told|said)")
NOUNS = {"recording", "own", "_unknown"}


def sources() -> list[tuple[str, Path]]:
    """Every file that is miniflow's own, with its place in it."""
    found = [(str(path.relative_to(SOURCE)), path) for path in sorted(SOURCE.rglob("*.py"))]
    return [(place, path) for place, path in found if str(Path(place).parent) not in LEARNERS_OWN]


@functools.cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def rooms_of_classes() -> dict[str, list[str]]:
    """Class name → the rooms that it stands in, one for each time."""
    rooms: dict[str, list[str]] = defaultdict(list)
    for place, path in sources():
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ClassDef):
                rooms[node.name].append(place.split("/")[0])
    return rooms


def test_a_class_name_stands_once() -> None:
    found = rooms_of_classes()
    assert len(found) > 300
    twice = {
        name: set(rooms)
        for name, rooms in found.items()
        if len(rooms) > 1 and not (len(rooms) == 2 and set(rooms) in PAIRS)
    }
    assert not twice


@pytest.mark.parametrize("room", WITH_VERBS)
def test_no_function_is_named_by_a_participle_alone(room: str) -> None:
    named = [
        f"{place}: {node.name}"
        for place, path in sources()
        if place.startswith(f"{room}/")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef) and PARTICIPLE.fullmatch(node.name)
    ]
    assert not [name for name in named if name.split(": ")[1] not in NOUNS]
