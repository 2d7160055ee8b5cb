"""The Python function around a run, written as text: it takes the arguments apart, does the
arithmetic of single numbers, and hands out the results.

    def step(arguments, tick=None):
        X, y, W, lr = arguments
        places[0] = address_of(X)                     # where compiled code finds it
        if W is not seen[0]: seen[0], places[2] = W, address_of(W)
        t1 = -lr
        t1_f32_9_[()] = t1
        failed = run_()                               # everything else
        if failed:
            fail(0, failed)
        return [loss_cell_[()]]

What its words mean is written down beside it (`layout.ProgramFrame`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, Final

import numpy as np

from miniflow.backends.native.layout import GIVEN, ProgramFrame, Recipe, Room
from miniflow.ir import Equation, Literal
from miniflow.lowering.loop_evaluate import takes_out
from miniflow.lowering.loop_program import (
    ARGUMENT,
    NUMBER,
    RESULT,
    BufferView,
    Copy,
    LoopProgram,
    Number,
    NumpyCall,
)
from miniflow.lowering.loop_text import NUMBER_OPERATORS

RESERVED: Final = (
    *("address_of", "arguments", "copyto", "empty", "fail", "failed", "part_of", "places"),
    *("seen", "step", "tick"),
)


def rooms_of(program: LoopProgram) -> list[Room]:
    """Return the memory that a program keeps: that of constants, and of what is neither handed in
    nor handed out.
    """
    return [
        Room(name, buffer.dtype, buffer.nbytes, buffer.alias, buffer.value)
        for name, buffer in program.buffers.items()
        if buffer.value is not None
        or buffer.alias is not None
        or buffer.role not in (ARGUMENT, RESULT, NUMBER)
    ]


class FrameWriter:
    """Writes the function, line by line; `names` are what lines call buffers and numbers.

    In the table of the addresses, the buffers stand in the order of `places`. A function that is to
    make no results gets all ready for a run, and gives an empty list.

    Attributes:
        given: objects that there are no words for.
    """

    def __init__(
        self,
        program: LoopProgram,
        fed: Collection[str],
        places: Sequence[str],
        makes_results: bool = True,
    ) -> None:
        self.program, self.fed = program, fed
        self.kept = {room.name for room in rooms_of(program)}
        self.makes_results = makes_results
        self.place = {name: number for number, name in enumerate(places)}
        self.scope: dict[str, Recipe] = {}
        self.given: list[Any] = []
        self.names = {name: f"{name}_" if name in RESERVED else name for name in program.buffers}
        self.lines = ["def step(arguments, tick=None):"]
        self._take_arguments()
        if makes_results:
            self._make_results()

    def finish(self) -> ProgramFrame:
        """Return the text of the function, and what its words mean."""
        outputs = ", ".join(map(self._output, self.program.outputs)) if self.makes_results else ""
        self.lines.append(f"    return [{outputs}]")
        return ProgramFrame("\n".join(self.lines), self.scope)

    def call(self, first: int, last: int) -> None:
        """Call the compiled steps from the `first` to before the `last`."""
        name = self._bind("run_", ("segment", first, last))
        self.lines += [f"    failed = {name}()", "    if failed:", f"        fail({first}, failed)"]

    def proceed(self, run: Callable[..., None]) -> None:
        """Call what needs all arrays of the run and all numbers."""
        name = self._bind("proceed_", (GIVEN, len(self.given)))
        self.given.append(run)
        handed = f"{self._all(ARGUMENT, RESULT)}, {self._all(NUMBER)}, tick"
        self.lines.append(f"    {name}({handed})")

    def tick(self, part: int) -> None:
        """Say that a part is over."""
        self.lines.append(f"    tick({part})")

    def compute(self, step: NumpyCall | Copy) -> None:
        """Let NumPy do a step; a number of Python's is Python's."""
        if isinstance(step, Copy):
            target, source = self._array(step.target), self._array(step.source)
            value = f"{target} + {source}" if step.adds else source
            self.lines.append(f"    copyto({target}, {value})")
            return
        kinds = (operand.kind for operand in step.equation.operands)
        operands = [self._operand(*pair) for pair in zip(step.operands, kinds, strict=True)]
        if self._is_number(step.target):
            target = self.names[step.target.buffer]
            self.lines.append(f"    {target} = {self._expression(step.equation, operands)}")
            return
        target = self._array(step.target)
        if takes_out(step.equation):
            value = self._expression(step.equation, operands, target)
            self.lines.append(f"    {value}")
        elif step.equation.result.kind == "array":
            value = self._expression(step.equation, operands)
            self.lines.append(f"    copyto({target}, {value})")
        else:
            value = self._expression(step.equation, operands)
            self.lines.append(f"    {target}[()] = {value}")

    def _take_arguments(self) -> None:
        program, names = self.program, self.names
        if program.arguments:
            self.lines.append(f"    {', '.join(names[n] for n in program.arguments)}, = arguments")
        seen = 0
        for name in program.arguments:
            if program.buffers[name].role != ARGUMENT:
                continue
            word, place = names[name], f"places[{self.place[name]}]"
            if name in self.fed:
                self.lines.append(f"    {place} = address_of({word})")
            else:  # the same array in most runs
                update = f"seen[{seen}], {place} = {word}, address_of({word})"
                self.lines.append(f"    if {word} is not seen[{seen}]: {update}")
                seen += 1
        self.scope["seen"] = ("none", seen)

    def _make_results(self) -> None:
        for name, buffer in self.program.buffers.items():
            if buffer.role == RESULT:
                word = self.names[name]
                dtype = self._bind(f"{buffer.dtype}_", ("dtype", buffer.dtype))
                self.lines.append(f"    {word} = empty({buffer.shape}, {dtype})")
                self.lines.append(f"    places[{self.place[name]}] = address_of({word})")

    def _expression(self, equation: Equation, operands: Sequence[str], out: str = "") -> str:
        name = equation.primitive
        if equation.result.kind == "scalar" and name == "cast":
            return operands[0]
        if equation.result.kind == "python" and name in NUMBER_OPERATORS:
            inside = (f"({text})" if text[0] == "-" else text for text in operands)
            return NUMBER_OPERATORS[name].format(*inside)
        words = [*operands, *(f"{key}={value!r}" for key, value in equation.params.items())]
        if not out:
            return f"{self._bind(f'{name}_', ('compute', name))}({', '.join(words)})"
        words.append(f"out={out}")
        return f"{self._bind(f'np_{name}_', ('numpy', name))}({', '.join(words)})"

    def _is_number(self, view: BufferView) -> bool:
        return self.program.buffers[view.buffer].role == NUMBER

    def _operand(self, operand: Number, kind: str) -> str:
        if isinstance(operand, Literal) or self._is_number(operand):
            return self._number(operand)
        array = self._array(operand)
        return array if kind == "array" else f"{array}[()]"

    def _array(self, view: BufferView) -> str:
        """What NumPy sees of memory."""
        name, where = view.buffer, (view.shape, view.strides, view.offset)
        if name in self.kept:
            return self._bind(f"{self.names[name]}_{len(self.scope)}_", ("array", name, *where))
        return f"part_of({self.names[name]}.reshape(-1), {', '.join(map(repr, where))})"

    def _number(self, operand: Number) -> str:
        if isinstance(operand, BufferView):
            return self.names[operand.buffer]
        if operand.kind == "python" and repr(operand.value) not in ("nan", "inf", "-inf"):
            return repr(operand.value)
        word, value = f"number_{len(self.scope)}_", operand.value
        if isinstance(value, np.generic):
            return self._bind(word, ("scalar", operand.dtype, value.tobytes()))
        return self._bind(word, ("python", value))

    def _output(self, output: Number) -> str:
        if isinstance(output, Literal):
            return self._number(output)
        word, name = self.names[output.buffer], output.buffer
        if self.program.buffers[name].role in (RESULT, NUMBER):
            return word
        return f"{self._bind(f'{word}_cell_', ('cell', name, output.offset))}[()]"

    def _all(self, *roles: str) -> str:
        found = (n for n, buffer in self.program.buffers.items() if buffer.role in roles)
        return f"{{{', '.join(f'{name!r}: {self.names[name]}' for name in found)}}}"

    def _bind(self, name: str, recipe: Recipe) -> str:
        while name in self.scope or name in self.names.values():
            if self.scope.get(name) == recipe:
                return name
            name += "_"
        self.scope[name] = recipe
        return name
