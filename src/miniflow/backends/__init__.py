"""Backends: each turns a program into something that runs, or that is written. This file is the
list of them, and chooses.

A backend is a module or a folder of this package with a record `BACKEND` (see `backend`) in it. It
imports what they share (`blas`, `memory`), and no other backend: each can be read, and deleted, by
itself. A record is light; what it takes to lower a program is loaded when one is.
"""

from __future__ import annotations

from importlib import import_module
from typing import Final, NamedTuple
from weakref import WeakValueDictionary

from miniflow.backends.backend import (
    COMPARE,
    DEVICES,
    RUN,
    WRITE,
    Backend,
    Buffers,
    Executable,
    Pass,
    Purpose,
)
from miniflow.errors import CompileError
from miniflow.ir.program import Program
from miniflow.passes import optimize

__all__ = [
    "BY_NAME", "CHOSEN_LATER", "COMPARE", "DEVICES", "RUN", "WRITE", "Backend", "Buffers", "Choice",
    "Executable", "Pass", "Purpose", "check_name", "choose", "executable_of", "find", "names",
]  # fmt: skip

MODULES: Final = ("numpy", "native", "reference", "javascript", "onnx", "c", "jax")
"""Where the records are. `auto` asks those that run from the last to the first."""


BY_NAME: Final = "it was asked for by name"
CHOSEN_LATER: Final = "the backend is chosen at the first call"


class Choice(NamedTuple):
    """A backend that runs programs, a program after its passes, and in a few words why it is that
    backend.
    """

    backend: Backend
    program: Program
    why: str

    def lower(self) -> Executable:
        """What runs the program; `executable_of` finds it as long as somebody holds it."""
        executable: Executable = self.backend.lower(self.program)
        _executables[id(self.program)] = executable
        return executable


# By the identity of their programs, which they hold: it is nobody else's as long as they are there.
_executables: WeakValueDictionary[int, Executable] = WeakValueDictionary()


def executable_of(program: Program) -> Executable | None:
    """What runs this very program, if anything does."""
    found = _executables.get(id(program))
    return found if found is not None and found.program is program else None


def find(name: str) -> Backend:
    """The record of the backend of that name.

    Raises:
        CompileError: there is none.

    >>> print(find("native"))
    native (needs llvmlite)
    """
    if name not in MODULES:
        raise CompileError(f"There is no backend {name!r}; there are {', '.join(MODULES)}.")
    record: Backend = import_module(f"miniflow.backends.{name!s}").BACKEND
    is_plain = type(name) is str or record.record_for is None
    return record if is_plain else record.record_for(name)  # type: ignore[misc]


def names(*purposes: Purpose) -> tuple[str, ...]:
    """The names of the backends that are there for one of these purposes.

    >>> names("run")
    ('numpy', 'native')
    """
    return tuple(name for name in MODULES if find(name).purpose in purposes)


def check_name(name: str) -> None:
    """Raise CompileError unless `compile` takes this name of a backend."""
    known = ("auto", *names(RUN, DEVICES, COMPARE))
    if not isinstance(name, str) or name not in known:
        raise CompileError(f"There is no backend {name!r}; there are {', '.join(known)}.")


def choose(program: Program, backend: str = "auto") -> Choice:
    """The backend of that name, and the program as that one wants it.

    "auto" takes the fastest that is installed and does not decline the program: a function of the
    program and of what is installed, never of timing.

    Raises:
        CompileError: there is no such backend, or what it needs is not installed.
    """
    check_name(backend)
    if backend != "auto":
        record = find(backend)
        record.check_available()
        return Choice(record, optimize(program, record.passes), _with_remark(BY_NAME, record))
    reasons: list[str] = []
    for name in reversed(names(RUN)):
        record = find(name)
        if not record.available():
            reasons.append(f"{record.package} is not installed")
            continue
        improved = optimize(program, record.passes)
        reason = record.declines(improved)
        if not reason:
            why = "; ".join(reasons) or "the fastest that is installed"
            return Choice(record, improved, _with_remark(why, record))
        reasons.append(reason)
    raise CompileError(f"No backend takes this program: {'; '.join(reasons)}.")


def _with_remark(why: str, record: Backend) -> str:
    return "; ".join(filter(None, (why, record.remark())))
