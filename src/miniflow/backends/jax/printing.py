"""A program as Python source: `step`, of `jax.lax` operations with every dtype and shape written
out, and `numbers`, what Python computes with the Python numbers among the inputs before that.

Nothing is promoted and nothing is weak: an operand is converted and broadcast where it is read.
Where NumPy would raise (an index that is not there), `step` goes on and says so with a flag.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from miniflow.backends.jax.arrays import ARRAYS
from miniflow.backends.jax.elementwise import CHOICES, write_elementwise
from miniflow.backends.jax.loop import write_scan
from miniflow.backends.jax.operands import OperandWriter, WriteEquation, tuple_text
from miniflow.backends.jax.operations import PYTHON
from miniflow.backends.jax.parts import PARTS
from miniflow.errors import printable
from miniflow.ir.dtypes import ProgramError
from miniflow.ir.program import Equation, Program, handed_out, number_to_check

INLINE: Final = 1024  # entries of a constant that is a part of the code
WRITERS: Final[Mapping[str, WriteEquation]] = {**ARRAYS, **PARTS, **CHOICES}


@dataclass
class PrintedStep:
    """The source of a program, and what it is called with.

    `step(before, *updated, *kept, *fed, *numbers, *constants)` returns the results that are arrays
    or scalars, the new values of what is updated, and the flags, with those from `before`, which
    updates nothing if there are any. `numbers(*python)` returns what
    `step` gets of it, and the results that are Python numbers.
    """

    source: str
    updated: list[int] = field(default_factory=list)  # places among the inputs
    kept: list[int] = field(default_factory=list)
    fed: list[int] = field(default_factory=list)
    python: list[int] = field(default_factory=list)
    inlined: list[int] = field(default_factory=list)  # which constants are in the code
    constants: list[int] = field(default_factory=list)  # which are handed over
    results: list[bool] = field(default_factory=list)  # of each, whether it is a Python number
    can_fail: bool = False  # whether there are flags to be looked at


def print_step(program: Program) -> PrintedStep:
    """Print a program."""
    return ProgramPrinter(program).printed()


class ProgramPrinter:
    """Prints a program, an equation a line, by way of a writer."""

    def __init__(self, program: Program) -> None:
        self._program, self._writer = program, OperandWriter()
        self._in_python: list[str] = []  # the lines of `numbers`

    def printed(self) -> PrintedStep:
        """The source, and how it is called."""
        program, names, told = self._program, self._writer.names, PrintedStep("")
        replaced = {o.replaces for o in program.outputs if o.replaces is not None}
        for place, entry in enumerate(program.inputs):
            names(entry.variable)
            if entry.variable.kind == "python":
                told.python.append(place)
            elif entry.variable in replaced:
                told.updated.append(place)
            elif entry.role in ("parameter", "state"):
                told.kept.append(place)
            else:
                told.fed.append(place)
        for number, constant in enumerate(program.constants):
            names(constant.variable)
            is_small = constant.variable.type.size <= INLINE
            (told.inlined if is_small else told.constants).append(number)
        self._equations(program.equations)
        self._finish(told)
        told.source = "\n".join([*self._step(told), *self._numbers(told), ""])
        return told

    # Lines of `step`.

    def _equations(self, equations: Sequence[Equation]) -> None:
        w, phase, last = self._writer, "", None
        phases = {e.origin.phase for e in equations if e.origin}
        for equation in equations:
            origin = equation.origin
            if origin is not None and origin.phase != phase and len(phases) > 1:
                phase = origin.phase
                w.lines += ["", f"{'    ' * w.depth}# {phase}"]
            if origin is not None and origin != last:
                w.label = printable(origin.node)
            last = origin
            self._equation(equation)

    def _equation(self, e: Equation) -> None:
        w = self._writer
        if e.result.kind == "python":  # whose arithmetic is Python's
            text = PYTHON[e.primitive].format(*map(w.read_in_python, e.operands))
            self._in_python.append(f"    {w.read(e.result)} = {text}")
        elif e.primitive == "scan":
            write_scan(w, e, self._equations)
        elif (written := WRITERS.get(e.primitive, write_elementwise)(w, e)) is not None:
            w.line(f"{w.read(e.result)} = {written}", str(e.result.type))

    def _finish(self, told: PrintedStep) -> None:
        """Say what is wrong, if something is, and return all."""
        w, checked = self._writer, number_to_check(self._program)
        told.can_fail = bool(w.indices or w.wrong or checked is not None)
        lists = f"[{', '.join(w.indices)}], [{', '.join(w.wrong)}]"
        check = "" if checked is None else f", {w.read(checked)}"
        w.lines.append("")
        w.line(f"wrong = functions.flags(before, {lists}{check})")
        news, results = self._new_values(told), []
        for output in handed_out(self._program):
            told.results.append(output.operand.kind == "python")
            if output.operand.kind != "python":
                results.append(w.as_it_is(output.operand))
        w.line(f"return {tuple_text(results)}, {tuple_text(news)}, wrong")

    def _new_values(self, told: PrintedStep) -> list[str]:
        """What is updated: the old values, where something is wrong."""
        program, w, news = self._program, self._writer, list[str]()
        inputs = {entry.variable: place for place, entry in enumerate(program.inputs)}
        by_place = {inputs[o.replaces]: o for o in program.outputs if o.replaces is not None}
        if by_place and told.can_fail:
            w.line("right = lax.eq(wrong, u8(0))")
        for place in told.updated:
            output, old = by_place[place], program.inputs[place].variable
            if old.kind != "array":
                name = old.name or "an input"
                raise ProgramError(f"{name} is a number; only an array is given a new value")
            new = w.text(output.operand, old.dtype, old.shape)
            news.append(f"lax.select(right, {new}, {w.read(old)})" if told.can_fail else new)
        return news

    # The two functions.

    def _step(self, told: PrintedStep) -> list[str]:
        inputs, constants, w = self._program.inputs, self._program.constants, self._writer
        given = [w.names(inputs[p].variable) for p in (*told.updated, *told.kept, *told.fed)]
        given += [number.name for number in w.numbers.values()]
        given += [w.names(constants[c].variable) for c in told.constants]
        lines = [f"def step({', '.join(['before', *given])}):"]
        for c in told.inlined:
            variable = constants[c].variable
            lines.append(f"    {w.names(variable)} = constants[{c}]  # {variable.type}")
        return lines + w.lines

    def _numbers(self, told: PrintedStep) -> list[str]:
        w = self._writer
        if not (told.python or w.numbers or any(told.results)):
            return []
        given = ", ".join(w.names(self._program.inputs[p].variable) for p in told.python)
        made = ", ".join(number.text for number in w.numbers.values())
        handed = (o.operand for o in handed_out(self._program))
        results = ", ".join(w.read_in_python(o) for o in handed if o.kind == "python")
        end = f"    return [{made}], [{results}]"
        return ["", "", f"def numbers({given}):", *self._in_python, end]
