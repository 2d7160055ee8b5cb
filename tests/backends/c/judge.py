"""Compilers for C that complain about everything, and what they have compiled, called from here."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import pytest

from miniflow.compiler.recorded import recorded_step
from miniflow.exports.c_files import c_of_step
from miniflow.ir import DTYPES, Program
from miniflow.ir.program import handed_out

COMPILERS = [word for word in ("gcc", "clang") if shutil.which(word)]
STRICT = ("-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-ffp-contract=off")
SHARED = ("-shared", "-fPIC", "-lm")
FUSED = ("-O1", "-mavx2", "-mfma")
needs_compiler = pytest.mark.skipif(not COMPILERS, reason="needs gcc or clang")


@cache
def has_fma() -> bool:
    """Whether this processor multiplies and adds at once, as Linux tells it."""
    try:
        told = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False
    return re.search(r"\bfma\b.*\bavx2\b", told) is not None


needs_fma = pytest.mark.skipif(not has_fma(), reason="needs a processor with FMA and AVX2")


def compiled(text: str, options: Sequence[str] = FUSED, compiler: str = "") -> ctypes.CDLL:
    """A file as a shared library; what a compiler complains about is an error."""
    with TemporaryDirectory(prefix="miniflow-c-") as folder:
        source, library = Path(folder, "file.c"), Path(folder, "file.so")
        source.write_text(text, encoding="utf-8")
        command = [compiler or COMPILERS[0], *STRICT, *options, str(source), *SHARED]
        done = subprocess.run([*command, "-o", str(library)], capture_output=True, text=True)
        assert done.returncode == 0, f"{done.stderr[:4000]}\n{text[-4000:]}"
        return ctypes.CDLL(str(library))


class Argument(NamedTuple):
    """What is handed to a function: a value, its dtype, and whether it is an array or a number."""

    value: Any
    dtype: str
    kind: str

    def in_c(self) -> Any:
        """The same for ctypes."""
        if self.kind == "array":
            return ctypes.c_void_p(self.value.ctypes.data)
        return np.ctypeslib.as_ctypes_type(DTYPES[self.dtype])(self.value)


def call(function: Any, *arguments: Argument, outputs: Sequence[np.ndarray]) -> int:
    """Call a function of a file with arguments and memory for its outputs; return its status."""
    places = [ctypes.c_void_p(output.ctypes.data) for output in outputs]
    return int(function(*(argument.in_c() for argument in arguments), *places))


def outputs_of(program: Program) -> list[np.ndarray]:
    """Memory for what a program gives."""
    return [np.zeros(o.operand.shape, DTYPES[o.operand.dtype]) for o in handed_out(program)]


TYPES = {"float": "f4", "double": "f8"} | {
    f"{u}int{bits}_t": f"{u or 'i'}{bits // 8}" for u in ("", "u") for bits in (8, 16, 32, 64)
}


class State:
    """A state as the file declares it, in memory that `init` has filled."""

    def __init__(self, text: str, name: str, library: ctypes.CDLL) -> None:
        body = re.search(rf"typedef struct {name}_state {{\n(.*?)\n}}", text, re.DOTALL)
        assert body is not None
        fields = re.findall(r"^ *(\w+) (\w+)(?:\[(\d+)\])?;", body[1], re.MULTILINE)
        dtype = [
            (word, TYPES[kind], int(n)) if n else (word, TYPES[kind]) for kind, word, n in fields
        ]
        self.memory = np.zeros((), np.dtype(dtype, align=True))
        self.names = [word for _, word, _ in fields]
        library[f"{name}_init"](self.argument.in_c())

    @property
    def argument(self) -> Argument:
        return Argument(self.memory, "f32", "array")

    def values(self) -> list[np.ndarray]:
        """The fields, in order."""
        return [np.asarray(self.memory[name]) for name in self.names]


def same_bits(one: Any, other: Any) -> bool:
    """Whether numbers have the same bits; NaN is NaN."""
    one, other = np.asarray(one).reshape(-1), np.asarray(other).reshape(-1)
    if one.dtype.kind == "f":
        both = np.isnan(one) & np.isnan(other)
        one, other = np.where(both, 0, one), np.where(both, 0, other)
    return one.shape == other.shape and one.tobytes() == other.astype(one.dtype).tobytes()


def assert_step_has_natives_bits(
    step: Any, feed: dict[Any, Any], steps: int = 3, compiler: str = "", text: str = ""
) -> None:
    """A native step, exported after its first call, goes on in C as it does itself, to the bit."""
    if not text:
        step(feed)
        text = c_of_step(step, "step").decode()
    library = compiled(text, compiler=compiler)
    program, values = recorded_step(step)
    state, own = State(text, "step", library), step._own_values(feed)
    fed = []
    for entry in program.inputs:
        if entry.role == "fed":
            variable, value = entry.variable, {**own, **feed}[step._order[entry.origin.index]]
            array = np.ascontiguousarray(value, DTYPES[variable.dtype])
            given = array if variable.kind == "array" else array.item()
            fed.append(Argument(given, variable.dtype, variable.kind))
    kept = [v for e, v in zip(program.inputs, values, strict=True) if e.role != "fed"]
    for _ in range(steps):
        outputs = outputs_of(program)
        assert call(library.step_step, state.argument, *fed, outputs=outputs) == 0
        for found, wanted in zip(outputs, step.run(feed), strict=True):
            assert same_bits(found, wanted)
        for name, found, wanted in zip(state.names, state.values(), kept, strict=True):
            assert same_bits(found, wanted), name
