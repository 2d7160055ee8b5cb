"""Whose a class is: the checks are of what the learner wrote, not of what they imported.

A class is theirs if it, everything that it inherits (up to the base that the exercise names) and
every method in it is defined in a file of their folder. `class Mul(mf.Mul): pass` is not.
"""

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import miniflow as mf
from miniflow.lab.lines import is_in

MINIFLOW = Path(mf.__file__).resolve().parent


def foreign_part(thing: Any, folder: Path, base: type | None = None) -> str | None:
    """What of a class or function is not defined in `folder`, as the beginning of a sentence.

    None if all of it is. A node may be given in place of its class.
    """
    thing = type(thing) if isinstance(thing, mf.Node) else thing
    name = getattr(thing, "__name__", str(thing))
    allowed = set((base or mf.Op).__mro__)
    parts = [thing]
    if inspect.isclass(thing):
        parts = [cls for cls in thing.__mro__ if cls not in allowed] or [thing]
    for code in (code for part in parts for code in (part, *methods_of(part))):
        path = file_of(code)
        if path is not None and not is_in(folder, path):
            ours = MINIFLOW in Path(path).resolve().parents
            whose = "miniflow's own" if ours else f"from {Path(path).name}"
            uses = "" if code is thing else f" uses {getattr(code, '__name__', code)}, which"
            return f"`{name}`{uses} is {whose}"
    return None


def methods_of(thing: Any) -> Iterator[Any]:
    """The functions that a class itself defines."""
    if inspect.isclass(thing):
        for attribute in vars(thing).values():
            function = getattr(attribute, "__func__", attribute)
            if inspect.isfunction(function):
                yield function


def file_of(thing: Any) -> str | None:
    """The file that defines a class or a function; None if nobody knows."""
    code = getattr(inspect.unwrap(thing), "__code__", None) if callable(thing) else None
    if code is not None:
        return str(code.co_filename)
    module = sys.modules.get(getattr(thing, "__module__", ""))
    return getattr(module, "__file__", None)
