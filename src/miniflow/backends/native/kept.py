"""Programs that are laid out, on disk: one that was compiled before is not lowered again.

An entry lies beside the machine code that it names (`backends.cache`), under a hash of all that it
depends on: the program; the processor, LLVM and whether there are workers; Python and NumPy; and
the files of miniflow that lower a program, each by its length and when it was written.
"""

from __future__ import annotations

import functools
import hashlib
import os
import sys
from typing import Any, Final

import numpy as np

from miniflow.backends import cache
from miniflow.backends.native import machine
from miniflow.backends.native.layout import (
    LARGEST,
    ProgramLayout,
    SeriesLayout,
    pack,
    pack_series,
    unpack,
    unpack_series,
)
from miniflow.backends.native.workers import can_share
from miniflow.ir.program import Literal, Operand, Program, Variable

is_on = True  # tests that change what lowers a program switch it off
_ROOMS: Final = ("ir", "lowering", "backends")


def key_of(program: Program) -> str | None:
    """Return the name of the entry of a program; None if it has none."""
    if not is_on or sum(c.value.nbytes for c in program.constants) > LARGEST:
        return None
    if cache.is_off():
        return None
    sources = _sources()
    if sources is None:
        return None
    versions = (sys.version, np.__version__, can_share(), sources)
    text = repr((versions, described(program))).encode()
    return "p" + hashlib.sha256(machine.fingerprint() + text).hexdigest()[:40]


def read(key: str | None) -> ProgramLayout | None:
    """Return the layout that is kept under a name, with the machine code in this process; None if
    it, or some of the code, is not there.
    """
    data = None if key is None else cache.read(key)
    return None if data is None else unpack(data, machine.kept_routines)


def write(key: str | None, layout: ProgramLayout) -> None:
    """Keep a layout, if it can be kept."""
    data = None if key is None else pack(layout)
    if key is not None and data is not None:
        cache.write(key, data)


def read_series(key: str | None) -> SeriesLayout | None:
    """Return the series that is kept of a program with that name, as `read` does."""
    data = None if key is None else cache.read(f"{key}s")
    return None if data is None else unpack_series(data, machine.kept_routines)


def write_series(key: str | None, layout: SeriesLayout) -> None:
    """Keep a series."""
    if key is not None:
        cache.write(f"{key}s", pack_series(layout))


def described(program: Program) -> tuple[Any, ...]:
    """All of a program that decides how it is lowered: two programs with the same description may
    have the same layout. Where equations come from is no part of it.
    """
    numbers: dict[Variable, int] = {}

    def define(variable: Variable) -> tuple[Any, ...]:
        numbers[variable] = len(numbers)
        return (*variable.type, variable.name)

    def refer(operand: Operand) -> Any:
        if isinstance(operand, Literal):
            return (*operand.type, repr(operand.value))
        return numbers[operand]

    inputs = [(define(e.variable), e.role) for e in program.inputs]
    constants = [
        (define(c.variable), hashlib.sha256(c.value.tobytes()).hexdigest())
        for c in program.constants
    ]
    equations = [
        (
            e.primitive,
            tuple(map(refer, e.operands)),
            [(k, described(v) if isinstance(v, Program) else v) for k, v in e.params.items()],
            define(e.result),
        )
        for e in program.equations
    ]
    outputs = [
        (refer(o.operand), o.role, o.name, None if o.replaces is None else numbers[o.replaces])
        for o in program.outputs
    ]
    return inputs, constants, equations, outputs


@functools.cache
def _sources() -> tuple[Any, ...] | None:
    """The files that lower a program; None where there are none, as in an archive."""
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    try:
        found = [entry for room in _ROOMS for entry in _files(os.path.join(root, room))]
    except OSError:
        return None
    return (root, *sorted(found)) if found else None


def _files(folder: str) -> list[tuple[str, int, int]]:
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(".py"):
                state = entry.stat()
                found.append((entry.path, state.st_size, state.st_mtime_ns))
            elif entry.name != "__pycache__" and entry.is_dir():
                found += _files(entry.path)
    return found
