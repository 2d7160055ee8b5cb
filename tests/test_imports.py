"""What importing miniflow imports, what its star import gives, and which way imports point.

Rooms (a module, or a package, right under miniflow) stand in layers. A room imports rooms of the
layers below, and none of its own layer. A new room has to be given its place here.
"""

import ast
import builtins
import functools
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import miniflow as mf
from miniflow import nodes
from miniflow.backends import MODULES

SOURCE = Path(mf.__file__).parent

# From the ground up: the sentence of the design. A room imports rooms that stand before it.
LAYERS = [
    {"errors", "locks", "residence", "shipped"},
    {"files"},
    {"graph"},
    {"options"},
    {"bars"},
    {"interpreter"},
    {"nodes"},
    {"ir"},
    {"tracing", "passes"},
    {"lowering"},
    {"backends"},
    {"distributed"},
    {"compiler"},
    {"models"},
    {"exports"},
    {"digit_images", "initializers", "optimizers", "schedules"},
    {"datasets", "metrics"},
    {"layers", "training"},
    {"pictures", "estimator", "digit_page", "udacity"},
    {"reports"},
    {"lab"},
    {"cli"},
]
PLACE = {room: height for height, rooms in enumerate(LAYERS) for room in rooms}
FRONT_DOORS = {"__init__", "__main__"}

# Rooms that build graphs. All others run, draw or store whatever nodes there are, and know no node
# class but the graph's own: what is special about a class, they ask of the node.
WITH_NODE_CLASSES = {"nodes", "layers", "estimator", "digit_page", "udacity", "lab", "cli"}


@functools.cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported_by(path: Path) -> Iterator[str]:
    """The rooms of miniflow that a file imports at run time, wherever in the file it does so."""
    skipped: set[ast.AST] = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in (
            getattr(node.test, "id", ""),
            getattr(node.test, "attr", ""),
        ):
            skipped.update(inner for child in node.body for inner in ast.walk(child))
        if node in skipped:
            continue
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}:{node.lineno}: imports are written in full"
            if node.module == "miniflow":
                yield from (alias.name for alias in node.names if alias.name in PLACE)
            elif node.module and node.module.startswith("miniflow."):
                yield node.module.split(".")[1]
        elif isinstance(node, ast.Import):
            yield from (
                alias.name.split(".")[1]
                for alias in node.names
                if alias.name.startswith("miniflow.")
            )


def files_of(room: str) -> list[Path]:
    return sorted((SOURCE / room).rglob("*.py")) or [SOURCE / f"{room}.py"]


def rooms() -> set[str]:
    paths = SOURCE.rglob("*.py")
    return {path.relative_to(SOURCE).parts[0].removesuffix(".py") for path in paths} - FRONT_DOORS


@functools.cache
def imports_of(room: str) -> set[str]:
    return {other for path in files_of(room) for other in imported_by(path)} - {room}


def test_every_room_has_its_place() -> None:
    assert rooms() <= PLACE.keys(), "give the new room its layer in LAYERS"
    assert len(rooms()) > 5


@pytest.mark.parametrize("room", sorted(rooms()))
def test_room_imports_nothing_that_stands_beside_or_above_it(room: str) -> None:
    assert not {other for other in imports_of(room) if PLACE[other] >= PLACE[room]}


@pytest.mark.parametrize("room", sorted(rooms() - WITH_NODE_CLASSES))
def test_what_builds_no_graph_knows_no_node_class(room: str) -> None:
    assert "nodes" not in imports_of(room)
    for path in files_of(room):
        for node in ast.walk(tree(path)):
            named: set[str] = set()  # through the front door
            if isinstance(node, ast.ImportFrom) and node.module == "miniflow":
                named = {alias.name for alias in node.names}
            elif isinstance(node, ast.Attribute):
                match node.value:
                    case ast.Name("miniflow" | "mf"):
                        named = {node.attr}
            assert not named & set(nodes.__all__), f"{path.name}:{node.lineno}"


def test_no_pass_asks_a_clock_or_draws_a_number() -> None:
    for path in (SOURCE / "passes").glob("*.py"):
        for node in ast.walk(tree(path)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
            unsteady = {"time", "datetime", "random", "os", "platform"}
            assert not {name.split(".")[0] for name in names} & unsteady, f"{path}:{node.lineno}"


BACKENDS = {name: SOURCE / "backends" / name for name in MODULES}


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_backend_imports_another(backend: str) -> None:
    others = {f"miniflow.backends.{name}" for name in BACKENDS if name != backend}
    folder = BACKENDS[backend]
    for path in folder.rglob("*.py") if folder.is_dir() else [folder.with_suffix(".py")]:
        for node in ast.walk(tree(path)):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module:
                modules = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            for module in modules:
                assert ".".join(module.split(".")[:3]) not in others, f"{path}:{node.lineno}"


def test_every_folder_of_a_backend_is_in_the_list() -> None:
    folders = {path.parent.name for path in (SOURCE / "backends").glob("*/__init__.py")}
    assert folders <= set(BACKENDS)


RECORDS = "from miniflow.backends import find, MODULES; [find(name) for name in MODULES]; "


def test_the_list_of_backends_is_read_without_loading_what_they_take_to_lower() -> None:
    code = f"import sys; {RECORDS}print(*sys.modules)"
    command = [sys.executable, "-c", code]
    told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    loaded = {name for name in told.split() if name.startswith("miniflow.backends.")}
    kinds = {".".join(name.split(".")[:3]) for name in loaded}
    assert {f"miniflow.backends.{name}" for name in MODULES} <= kinds
    assert not {name for name in loaded if name.count(".") > 2}
    assert "llvmlite" not in told.split()


def test_node_families_import_the_graph_and_numpy_alone() -> None:
    assert imports_of("nodes") <= {"graph", "errors", "interpreter"}
    for path in (SOURCE / "nodes").glob("*.py"):
        if path.name != "scan.py":  # what it loops over is a graph
            assert "interpreter" not in set(imported_by(path))
        for node in ast.walk(tree(path)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
            for name in names:
                package = name.split(".")[0]
                assert package in {"miniflow", "numpy"} | sys.stdlib_module_names


@pytest.mark.parametrize("statement", ["import miniflow", "from miniflow import *"])
def test_importing_miniflow_imports_numpy_and_the_standard_library_only(statement: str) -> None:
    told = subprocess.run(
        [
            sys.executable,
            "-c",
            "import numpy, sys; before = set(sys.modules)\n"
            f"{statement}\n"
            "print(*sorted(set(sys.modules) - before))",
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    packages = {name.split(".")[0] for name in told.split()}
    assert "miniflow" in packages
    assert packages - {"miniflow", "numpy"} <= sys.stdlib_module_names


@pytest.mark.parametrize("former", sorted(mf._FORMER_NAMES))
def test_a_room_is_found_by_the_name_that_it_had(former: str) -> None:
    assert importlib.import_module(former) is importlib.import_module(mf._FORMER_NAMES[former])


# --- What `from miniflow import *` gives


def test_star_import_hides_no_builtin() -> None:
    assert not set(mf.__all__) & set(dir(builtins))


def test_star_import_gives_the_labs_names() -> None:
    given: dict[str, object] = {}
    exec("from miniflow import *", given)
    lab = "Node Input Add Mul Linear Sigmoid CrossEntropyWithSoftmax DummyGrad value_and_grad "
    assert {*lab.split(), "accuracy", "np"} <= given.keys()
    import numpy

    assert given["np"] is numpy


def test_star_import_names_exist_and_come_once() -> None:
    assert len(mf.__all__) == len(set(mf.__all__))
    assert all(hasattr(mf, name) for name in mf.__all__)


def test_type_checkers_are_told_of_every_name_that_is_loaded_later() -> None:
    (block,) = (node for node in tree(SOURCE / "__init__.py").body if isinstance(node, ast.If))
    told = {
        alias.asname: statement.module.removeprefix("miniflow").lstrip(".")
        for statement in block.body
        if isinstance(statement, ast.ImportFrom) and statement.module
        for alias in statement.names
    }
    rooms = {name: room.rpartition(".")[0] for name, room in mf._ROOMS.items()}
    assert told == mf._LATER | rooms


def test_every_node_family_is_handed_on() -> None:
    classes = {
        name
        for path in (SOURCE / "nodes").glob("*.py")
        if path.name != "sliding.py"  # the geometry of windows, no family
        for node in tree(path).body
        if isinstance(node, ast.ClassDef) and not (name := node.name).startswith("_")
    }
    assert classes - {"Reduction", "Scan", "SplitPart"} <= set(mf.__all__)  # made by scan, Split


def test_version_is_a_version() -> None:
    assert all(part.isdigit() for part in mf.__version__.split("."))


def test_test_modules_outside_packages_have_names_of_their_own() -> None:
    """By these names alone pytest imports them."""
    tests = Path(__file__).parent
    names = [
        path.name for path in tests.rglob("test_*.py") if not (path.parent / "__init__.py").exists()
    ]
    assert sorted(names) == sorted(set(names))


IMPORTED_AGAIN = """
import importlib, pickle, sys, warnings
import numpy as np
import miniflow as mf

def network(mf):
    x, W = mf.Input("x"), mf.Parameter(np.ones((2, 2)), "W")
    return x, W, mf.Sum(mf.Exp(x @ W))

def use(mf, x, W, loss):
    feed = {x: np.ones((3, 2))}
    value, [dW] = mf.value_and_grad(loss, feed, [W])
    assert np.allclose(mf.compile(loss, [W])(feed)[1][0], dW)
    mf.fit(loss, feed, mf.SGD(0.1), epochs=1, progress="none")
    assert mf.draw(loss).svg()

x, W, loss = network(mf)
step = mf.compile(loss, optimizer=mf.SGD(0.1))
use(mf, x, W, loss)
before = step({x: np.ones((3, 2))})
pickled = pickle.dumps((x, W, loss))
finders = len(sys.meta_path)

with warnings.catch_warnings():  # the same classes: nothing to tell
    warnings.simplefilter("error")
    importlib.reload(mf)
    del sys.modules["miniflow"]
    import miniflow
    assert miniflow.Node is mf.Node

for name in [name for name in sys.modules if name.partition(".")[0] == "miniflow"]:
    del sys.modules[name]
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    import miniflow as again
(warning,) = told
assert "is imported a second time" in str(warning.message)
assert warning.filename == "<string>", warning.filename
assert len(sys.meta_path) == finders
use(again, *network(again))
x2, W2, loss2 = pickle.loads(pickled)
assert type(loss2) is again.Sum
use(again, x2, W2, loss2)
assert step({x: np.ones((3, 2))}) < before
"""


def test_imported_a_second_time_it_works_and_tells_what_became_of_the_first() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", IMPORTED_AGAIN], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
