"""What is public: every name that a user may rely on, found from what the package exports.

`miniflow` has the names in `__all__` and those that it loads when asked for; each of its rooms that
is open to users (`mf.layers`, `mf.metrics`, ...) has an `__all__`. Beside these stand the classes
of what miniflow hands out (a compiled step, a drawing), and its errors. The reference is made of
this list, and a test goes through it.
"""

import importlib
import inspect
from typing import Any, NamedTuple

import miniflow

HANDED_OUT = [  # by functions: their methods are public, and nobody makes one by hand
    "miniflow.compiler.Compiled",
    "miniflow.pictures.Drawing",
    "miniflow.options.OptionError",
    "miniflow.lab.check",
    "miniflow.lab.play.play",
]
ROOMS_OF_NODES = ["miniflow.nodes.equations"]


class PublicName(NamedTuple):
    """A name as a user writes it, and what it stands for."""

    path: str
    object: Any

    @property
    def written(self) -> str:
        """As it stands in programs: `mf.ReLU`."""
        return "mf." + self.path.removeprefix("miniflow.")

    @property
    def home(self) -> str:
        """The module in which it is defined."""
        return self.object.__module__ if hasattr(self.object, "__module__") else self.path

    @property
    def is_node(self) -> bool:
        """Whether it is a built-in node, which takes other nodes and gives one."""
        return isinstance(self.object, type) and self.home.startswith("miniflow.nodes")


def public_names() -> list[PublicName]:
    """All of them, each once, under its shortest path."""
    found: dict[int, PublicName] = {}
    for path in _paths():
        module, _, name = path.rpartition(".")
        thing = getattr(importlib.import_module(module), name)
        if not inspect.ismodule(thing):
            found.setdefault(id(thing), PublicName(path, thing))
    return list(found.values())


def _paths() -> list[str]:
    names = {*miniflow.__all__, *miniflow._LATER, "inputs", "parameters", "scan"} - {"np"}
    paths = [f"miniflow.{name}" for name in sorted(names)]
    for room in ["errors", *miniflow._ROOMS]:
        module = importlib.import_module(f"miniflow.{miniflow._ROOMS.get(room, room)}")
        for name in getattr(module, "__all__", None) or _defined_in(module):
            paths.append(
                f"miniflow.{room}.{name}" if room != "callbacks" else f"{module.__name__}.{name}"
            )
    for room in ROOMS_OF_NODES:
        paths += [f"{room}.{name}" for name in importlib.import_module(room).__all__]
    return paths + HANDED_OUT


def _defined_in(module: Any) -> list[str]:
    return [
        name
        for name, thing in vars(module).items()
        if isinstance(thing, type) and thing.__module__ == module.__name__
    ]
