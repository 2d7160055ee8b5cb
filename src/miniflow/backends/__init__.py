"""Backends: each turns a program into something that runs. One file a backend; this one chooses.

A backend is a function `lower(program) -> Executable`. What runs is handed one argument for each
input of the program, exactly of its type; arrays are in C order, and none that was fed shares
memory with a parameter. New values of parameters and of an optimizer's state are written into their
own arrays, after everything else; the other outputs are returned, and belong to the caller. If the
value of a program that updates something turns out NaN or infinite, `FloatingPointError` is raised
before anything is updated.
"""

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Protocol

from miniflow.errors import CompileError
from miniflow.ir.program import Program

_MODULES = {"numpy": "numpy", "native": "native", "reference": "reference"}
BACKENDS = tuple(_MODULES)
MOST_KINDS = 300  # of equations in a program that `auto` has compiled to machine code


class Executable(Protocol):
    """A program that can be run."""

    source: str

    def run(self, arguments: Sequence[Any]) -> list[Any]:
        """The outputs that replace no input, in order."""


def choose(program: Program, backend: str) -> Executable:
    """The program, lowered by the backend of that name."""
    if backend == "auto":
        backend = automatic(program)
    if backend not in BACKENDS:
        raise CompileError(
            f"There is no backend {backend!r}; there are auto, {', '.join(BACKENDS)}."
        )
    if backend == "native" and find_spec("llvmlite") is None:
        raise CompileError(
            'The native backend needs llvmlite: pip install "miniflow-graphs[native]".'
        )
    lower = import_module(f"miniflow.backends.{_MODULES[backend]}").lower
    executable: Executable = lower(program)
    return executable


def automatic(program: Program) -> str:
    """Which backend `auto` takes: a function of the program and of what is installed, never of
    timing.

    Native code is faster for whatever computes arrays, and has to be compiled first. Loops that are
    alike are compiled once, and kept on disk. So what counts is not how long a program is, but how
    many different equations it has: a network unrolled over two hundred time steps has few.
    """
    kinds = {(e.primitive, e.result.type) for e in program.equations}
    has_arrays = any(type_.shape for _, type_ in kinds)
    if has_arrays and len(kinds) <= MOST_KINDS and find_spec("llvmlite") is not None:
        return "native"
    return "numpy"
