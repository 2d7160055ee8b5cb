"""One name for one thing: a class name stands once, and functions are called by verbs and nouns.
And what is told is a sentence: each message of an error or a warning ends as one does.
"""

import ast
import functools
import re
from collections import defaultdict
from collections.abc import Iterator
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


# --- Messages

# What these say is a part of the sentence of whoever catches them.
PARTS = {"ProgramError", "TooLargeError"}
# By these names goes what ends a sentence itself: another error, or a hint, of a space and words.
ENDINGS = {"error", "hint", "told", "how", "write", "missing", "_INTERPRETER"}


def last_name(node: ast.expr) -> str:
    """`warn` of `warnings.warn`."""
    return str(getattr(node, "id", getattr(node, "attr", "")))


def kinds_of_messages() -> set[str]:
    """The names of miniflow's errors, wherever they are defined, and `warn`."""
    names = {"MiniflowError", "warn"}
    classes = [
        node
        for _, path in sources()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ClassDef)
    ]
    before = 0
    while len(names) > before:
        before = len(names)
        names |= {c.name for c in classes if any(last_name(base) in names for base in c.bases)}
    return names - PARTS


def ends(message: ast.expr) -> Iterator[str | ast.expr]:
    """With what a message ends: words, or an expression."""
    match message:
        case ast.Constant(value=str(words)):
            yield words
        case ast.JoinedStr(values=[*_, last]):
            yield from ends(last)
        case ast.FormattedValue(value=inside):
            yield inside
        case ast.BinOp(op=ast.Add(), right=right):
            yield from ends(right)
        case ast.IfExp(body=body, orelse=orelse):
            yield from ends(body)
            yield from ends(orelse)
        case _:
            yield message


def is_an_end(end: str | ast.expr) -> bool:
    """Whether a sentence can end so."""
    if isinstance(end, str):
        return end.endswith((".", ".)", "?")) or end == ""
    if isinstance(end, ast.Call):  # of a function that makes a sentence, or the end of one
        return last_name(end.func) not in ("describe", "repr", "shown", "len")
    return isinstance(end, ast.Name) and end.id in ENDINGS


def test_every_message_is_a_sentence() -> None:
    kinds, seen, wrong = kinds_of_messages(), 0, []
    assert {"DataError", "OptionError"} < kinds
    for place, path in sources():
        for node in ast.walk(tree(path)):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            if last_name(node.func) in kinds:
                seen += 1
                if not all(map(is_an_end, ends(node.args[0]))):
                    wrong.append(f"{place}:{node.lineno}: {ast.unparse(node.args[0])[-80:]}")
    assert seen > 700
    assert not wrong, "\n".join(wrong)


def test_dir_lists_what_is_public_and_no_module_that_is_imported() -> None:
    listed = [name for name in dir(mf) if not name.startswith("__")]
    assert {"Linear", "compile", "fit", "layers", "np", "scan"} <= set(listed)
    strangers = {"sys", "warnings", "import_module", "ModuleType", "TYPE_CHECKING", "Any", "locks"}
    assert not strangers & set(listed)
    for name in listed:
        assert not name.startswith("_")
        assert getattr(mf, name) is not None
