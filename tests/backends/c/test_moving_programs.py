"""What lies in the memory of something else is written in time, and read in time, in C, too."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from miniflow.backends.c import PASSES, to_c
from miniflow.ir import Program
from miniflow.passes import optimize, prune

from ..agreement import assert_agrees
from ..moving_programs import MovingProgram
from .judge import Argument, State, call, compiled, needs_compiler, outputs_of

pytestmark = needs_compiler


class CompiledProgram:
    """A program of a compiled file, run as a backend runs one."""

    def __init__(self, program: Program, name: str, text: str, library: ctypes.CDLL) -> None:
        self.program, self.name, self.text, self.library = program, name, text, library

    def run(self, arguments: Sequence[Any]) -> list[np.ndarray]:
        replaced = {output.replaces for output in self.program.outputs}
        entries = list(zip(self.program.inputs, arguments, strict=True))
        kept = [array for entry, array in entries if entry.variable in replaced]
        fed = [
            Argument(array, entry.variable.dtype, "array")
            for entry, array in entries
            if entry.variable not in replaced
        ]
        if kept:
            state = State(self.text, self.name, self.library)
            for field, array in zip(state.values(), kept, strict=True):
                field[...] = array.reshape(-1)
            fed.insert(0, state.argument)
        outputs = outputs_of(self.program)
        assert call(self.library[f"{self.name}_run"], *fed, outputs=outputs) == 0
        for field, array in zip(state.values() if kept else (), kept, strict=True):
            array[...] = field.reshape(array.shape)
        return outputs


@pytest.mark.parametrize("seeds", [range(6), pytest.param(range(6, 80), marks=pytest.mark.slow)])
def test_values_that_move_while_they_are_read(seeds: range) -> None:
    """All of them compiled as one file."""
    made = [MovingProgram(k, length=4 + k % 14, dtype="f32" if k % 4 else "f64") for k in seeds]
    programs = {}
    for seed, each in zip(seeds, made, strict=True):
        programs[f"as_is_{seed}"] = prune(each.program), each.arguments
        programs[f"better_{seed}"] = optimize(each.program, PASSES), each.arguments
    text = "\n".join(to_c(program, name) for name, (program, _) in programs.items())
    library = compiled(text, options=["-O1"])
    for name, (program, arguments) in programs.items():
        ran = CompiledProgram(program, name, text, library)
        try:
            assert_agrees(lambda _, ran=ran: ran, program, arguments, arguments, signed_zeros=False)
        except Exception as error:
            raise AssertionError(f"{name}:\n{program}") from error
