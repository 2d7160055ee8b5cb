"""The reference evaluator as a backend: one equation at a time, slow and plain; other backends are
compared with it. It has no passes: what it evaluates is the program that was recorded.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from miniflow.backends.backend import COMPARE, Backend, Buffers
from miniflow.ir.dtypes import ProgramError
from miniflow.ir.evaluate import evaluate
from miniflow.ir.program import Program, number_to_check


class Reference:
    """Runs a program by evaluating it: an `Executable` without groups and buffers."""

    backend = "reference"
    groups = ()
    buffers = Buffers()

    def __init__(self, program: Program) -> None:
        self.program = program
        self.source = str(program)
        self._place = {entry.variable: i for i, entry in enumerate(program.inputs)}

    def run(self, arguments: Sequence[Any]) -> list[Any]:
        """The outputs that replace no input; the others are written into their arguments."""
        try:
            results = evaluate(self.program, arguments)
        except ProgramError as error:
            raise error.__cause__ or error from None  # what NumPy or Python said
        pairs = list(zip(self.program.outputs, results, strict=True))
        returned = [
            np.array(value) if isinstance(value, np.ndarray) else value
            for output, value in pairs
            if output.replaces is None and output.role != "check"
        ]
        updates = [
            (self._place[o.replaces], np.array(v)) for o, v in pairs if o.replaces is not None
        ]
        checked = number_to_check(self.program)
        if not all(np.isfinite(value) for output, value in pairs if output.operand is checked):
            raise FloatingPointError("a number that has to be finite is not")
        for place, value in updates:
            arguments[place][...] = value
        return returned


def lower(program: Program) -> Reference:
    """The program, ready to be evaluated."""
    return Reference(program)


BACKEND = Backend(name="reference", lower=lower, purpose=COMPARE, has_blas=True)
