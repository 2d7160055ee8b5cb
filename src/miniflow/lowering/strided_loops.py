"""Loops over axes of any number, through arrays that lie anyhow.

    out[i0 * 12 + i1] = maximum(a[i0 + i1 * 7], b[i1])

Each array is memory in which a place is counted from where the array begins, with a step for each
axis of the loops. Axes that every array passes in one run become one loop; a step of 1 in the
innermost is part of the kernel, which a compiler can make vectors of; other steps, and lengths, are
arguments, so that one kernel serves many shapes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from miniflow.ir import Equation, Literal, Operand, ValueType, Variable
from miniflow.lowering.expressions import MOVING, convert, is_baked, is_python_int, number_in
from miniflow.lowering.kernels import GroupKernel
from miniflow.lowering.nests import (
    SIZE,
    ArrayParameter,
    Kernel,
    Loop,
    NumberParameter,
    Parameter,
    SizeParameter,
    Statement,
    Store,
    Term,
    constant,
    load,
    name,
)
from miniflow.lowering.parameters import Argument, Converted, Number

MOST_WRITTEN: Final = 64  # turns

Steps = tuple[int, ...]
StepsOf = Callable[[Variable], Steps]


class Axis(NamedTuple):
    """An axis of the loops: its number, its length, the step of each array along it, and a word for
    what it is there for.
    """

    number: int
    length: int
    steps: dict[str, int]
    kind: str


class StridedWriter:
    """Makes the statements of one kernel, and collects its parameters.

    `body` has what is finished; `axes` those of the loops that are being written.
    """

    def __init__(self, equation: Equation) -> None:
        self.equation = equation
        self.body: list[Statement] = []
        self.axes: list[Axis] = []
        self._parameters: dict[str, Parameter] = {}
        self._arguments: dict[str, Argument] = {}
        self._words: dict[object, str] = {}
        self._converted: dict[Variable, Converted] = {}
        self._count = 0  # of all axes so far

    def kernel(self) -> GroupKernel:
        """Return what has been written."""
        kernel = Kernel(tuple(self._parameters.values()), tuple(self.body))
        return GroupKernel(kernel, self._arguments, self._converted)

    # Loops.

    def open_loops(
        self,
        shape: Sequence[int],
        *laid: Mapping[Variable, Steps],
        kinds: Sequence[str] = (),
        extra: dict[str, Steps] | None = None,
    ) -> None:
        """Plan loops over `shape`, through arrays with the given steps."""
        steps = {self.array(v).name: s for each in laid for v, s in each.items()} | (extra or {})
        self.axes = []
        for axis, length in enumerate(shape):
            kind = kinds[axis] if kinds else ""
            here = {word: each[axis] for word, each in steps.items()}
            if length == 1:
                continue
            last = self.axes[-1] if self.axes else None
            runs_on = last is not None and last.kind == kind != "along"
            if last and runs_on and all(last.steps[w] == s * length for w, s in here.items()):
                self.axes[-1] = Axis(last.number, last.length * length, here, kind)
            else:
                self.axes.append(self._new_axis(length, here, kind))

    def _new_axis(self, length: int, steps: dict[str, int], kind: str) -> Axis:
        self._count += 1
        return Axis(self._count - 1, length, steps, kind)

    def innermost(self, kind: str, length: int) -> Axis:
        """Return the axis of a kind, which goes to the end; if need be, one of a single turn."""
        found = [axis for axis in self.axes if axis.kind == kind]
        one = found[0] if found else self._new_axis(length, {}, kind)
        self.axes = [axis for axis in self.axes if axis is not one] + [one]
        return one

    def close_loops(self, *statements: Statement, inside: Axis | None = None) -> None:
        """Put statements into the loops, those before the axis `inside`, and all into the body."""
        end = next((k for k, axis in enumerate(self.axes) if axis is inside), len(self.axes))
        block: tuple[Statement, ...] = statements
        for axis in reversed(self.axes[:end]):
            block = (self.loop(axis, *block),)
        self.body += block

    def loop(self, axis: Axis, *body: Statement) -> Loop:
        """A loop along an axis."""
        return Loop(str(self.counter(axis).what), self.length(axis), body)

    def counter(self, axis: Axis) -> Term:
        """What counts along an axis."""
        return name(f"i{axis.number}")

    def length(self, axis: Axis) -> Term:
        """How often; a short way, the innermost, is written into the kernel."""
        if axis is self.axes[-1] and len(self.axes) > 1 and axis.length <= MOST_WRITTEN:
            return constant(axis.length, SIZE)
        return self.size(f"n{axis.number}", axis.length)

    def at(self, variable: Variable, without: Axis | None = None) -> Term:
        """An element of an array, in the loops."""
        axes = [axis for axis in self.axes if axis is not without]
        return load(self.array(variable), self.place_of(variable, axes))

    def place_of(self, variable: Variable, axes: Sequence[Axis]) -> Term:
        """Where it is, counted along these axes."""
        return self.place(self.array(variable).name, axes)

    def place(self, word: str, axes: Sequence[Axis] | None = None) -> Term:
        """Return Σ counter · step: how far from its beginning an array is looked at."""
        place: Term | None = None
        for axis in self.axes if axes is None else axes:
            step = axis.steps.get(word, 0)
            if step == 0:
                continue
            moved = self.counter(axis)
            if step != 1 or axis is not self.axes[-1]:
                moved = moved * self.size(f"{word}_{axis.number}", step)
            place = moved if place is None else place + moved
        return constant(0, SIZE) if place is None else place

    def store(self, place: Term, value: Term) -> Store:
        """Write an element of an array."""
        return Store(str(place.what), place.operands, value, equation=self.equation)

    # Parameters.

    def array(self, variable: Variable) -> ArrayParameter:
        """The parameter for an array."""
        word = self._word(variable, "a", variable)
        found = self._parameters.setdefault(word, ArrayParameter(word, variable.dtype))
        assert isinstance(found, ArrayParameter)
        return found

    def number(self, key: object, argument: Argument, dtype: str) -> Term:
        """A number that the kernel is handed; it has one name for each `key`."""
        word = self._word(key, "c", argument)
        self._parameters.setdefault(word, NumberParameter(word, dtype))
        return name(word, dtype)

    def converted(self, operand: Operand, dtype: str, how: str) -> Term:
        """A Python int of any size, in a dtype."""
        key = Converted(operand, dtype, how)
        of_this_dtype = Variable(ValueType("i8" if how == "side" else dtype, (), "scalar"))
        term = self.number(key, of_this_dtype, of_this_dtype.dtype)
        if self._arguments[str(term.what)] is of_this_dtype:
            self._converted[of_this_dtype] = key
        return term

    def _word(self, key: object, letter: str, argument: Argument) -> str:
        if key not in self._words:
            count = sum(word[0] == letter and word[1:].isdigit() for word in self._arguments)
            self._words[key] = f"{letter}{count + 1}"
            self._arguments[self._words[key]] = argument
        return self._words[key]

    def size(self, word: str, value: int) -> Term:
        """A length, or a step, that the kernel is handed."""
        assert self._arguments.get(word, value) == value
        self._parameters[word] = SizeParameter(word)
        self._arguments[word] = value
        return name(word)

    # Values.

    def operand(self, operand: Operand, dtype: str) -> Term:
        """An operand of the equation, converted."""
        if isinstance(operand, Literal):
            there = Literal(number_in(operand, dtype))
            if is_baked(self.equation, there):
                return constant(there.value, dtype)
            return self.number((there, dtype), Number(there.value, dtype), dtype)
        if operand.kind == "array":
            return convert(self.at(operand), dtype)
        if is_python_int(operand):
            how = "wraps" if self.equation.primitive in MOVING else "fits"
            return convert(self.converted(operand, _holding(dtype), how), dtype)
        return convert(self.number(operand, operand, operand.dtype), dtype)


class AloneWriter(StridedWriter):
    """Writes the nest of one equation, whose arrays lie as `steps_of` says; a subclass does it in
    `write`.
    """

    def __init__(self, equation: Equation, steps_of: StepsOf) -> None:
        super().__init__(equation)
        self.steps_of, self.result = steps_of, equation.result

    def read(self, shape: Sequence[int]) -> dict[Variable, Steps]:
        arrays = (o for o in self.equation.operands if isinstance(o, Variable))
        return {v: self.laid(v, shape) for v in arrays if v.kind == "array"}

    def laid(self, variable: Variable, space: Sequence[int]) -> Steps:
        """The steps of an array that is broadcast to a space."""
        steps = tuple(
            0 if length == 1 else step
            for length, step in zip(variable.shape, self.steps_of(variable), strict=True)
        )
        steps = steps[max(len(steps) - len(space), 0) :]  # axes of length one in front
        return (0,) * (len(space) - len(steps)) + steps


def _holding(dtype: str) -> str:
    """The dtype in which an int is handed over that is needed in one: bools and floats convert."""
    return dtype if dtype[0] in "iu" or dtype == SIZE else "f64"


def wide_dtype(dtype: str) -> str:
    """The dtype in which a loop computes: halves are only stored."""
    return "f32" if dtype == "f16" else dtype
