"""What a loop program means, in plain Python: the reference of every printer, and slow.

`run_by_numpy` is what a printer does with a step that its language has not: one `NumpyCall`, `Copy`
or `Product` on NumPy's arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any, Final

import numpy as np

from miniflow.ir.dtypes import DTYPES, Array
from miniflow.ir.primitives import PRIMITIVES
from miniflow.ir.program import Equation, Literal
from miniflow.lowering.kernels import OUT_OF_RANGE
from miniflow.lowering.loop_program import (
    ARGUMENT,
    CONSTANT,
    NUMBER,
    RESULT,
    BufferView,
    ConvertedInt,
    Copy,
    FusedProduct,
    LoopProgram,
    Nest,
    Number,
    NumpyCall,
    Product,
    Repeat,
    Step,
    WindowMatrix,
)
from miniflow.lowering.nest_evaluate import MemoryFrom, evaluate_kernel
from miniflow.lowering.nests import SIZE, NumberParameter
from miniflow.lowering.views import part_of

_TAKE_OUT: Final = ("matmul", "sum", "prod", "max", "min", "any", "all")


def evaluate_loop_program(program: LoopProgram, arguments: Sequence[Any]) -> list[Any]:
    """Run a loop program and return its outputs; arrays that it updates are written to.

    Raises IndexError where an index is out of range, FloatingPointError where the number that has
    to be finite is not, and whatever NumPy raises.
    """
    runner = _Evaluator(program, arguments)
    for step in program.steps:
        runner.run(step)
    return [runner.output(output) for output in program.outputs]


class _Evaluator:
    """Memory and numbers by name, and the turns that the loops around are in."""

    def __init__(self, program: LoopProgram, arguments: Sequence[Any]) -> None:
        self.numbers: dict[str, Any] = {}
        self.memory: dict[str, Array] = {}  # flat
        self.turns: dict[str, int] = {}
        self.buffers = program.buffers
        given = dict(zip(program.arguments, arguments, strict=True))
        self.results: dict[str, Array] = {}
        for name, buffer in program.buffers.items():
            if buffer.role == NUMBER:
                self.numbers[name] = given.get(name)
            elif buffer.role == ARGUMENT:
                self.memory[name] = given[name].reshape(-1)
            elif buffer.role == CONSTANT and buffer.value is not None:
                self.memory[name] = buffer.value.reshape(-1)
            elif buffer.alias is None:
                self.memory[name] = np.full(buffer.nbytes, 0x99, np.uint8).view(
                    DTYPES[buffer.dtype]
                )
        for name, buffer in program.buffers.items():
            if buffer.alias is not None:
                memory = self.memory[buffer.alias].view(np.uint8)
                self.memory[name] = memory[: buffer.nbytes].view(DTYPES[buffer.dtype])

    def run(self, step: Step) -> None:
        match step:
            case Repeat(index, count, steps):
                for self.turns[index] in range(count):
                    for inner in steps:
                        self.run(inner)
            case Nest():
                self._run_nest(step)
            case FusedProduct(product, epilogue, keeps):
                run_by_numpy(product, self.array, self.numbers)
                self._run_nest(epilogue)
                if not keeps:
                    self.array(product.c).fill(np.nan)  # nobody reads it
            case _:
                run_by_numpy(step, self.array, self.numbers)

    def _run_nest(self, nest: Nest) -> None:
        handed: list[Any] = []
        for parameter, argument in zip(nest.kernel.parameters, nest.arguments, strict=True):
            if isinstance(argument, Literal) and isinstance(parameter, NumberParameter):
                handed.append(number_cell(argument, parameter.dtype)[()])
            elif isinstance(argument, ConvertedInt):
                handed.append(converted_int(self._number(argument.operand), *argument[1:]))
            elif isinstance(argument, BufferView) and argument.buffer in self.numbers:
                handed.append(DTYPES[argument.dtype].type(self.numbers[argument.buffer]))
            elif isinstance(argument, BufferView):
                memory, start = self.memory[argument.buffer], self._start(argument)
                is_number = isinstance(parameter, NumberParameter)
                handed.append(memory[start] if is_number else MemoryFrom(memory, start))
            else:
                handed.append(argument)
        status = evaluate_kernel(nest.kernel, *handed)
        if status == OUT_OF_RANGE:
            raise IndexError(f"{node_label(nest.equations)}: an index is out of range")
        if status:
            raise FloatingPointError(f"{node_label(nest.equations)}: the value is not finite")

    def _number(self, number: Number) -> Any:
        return number.value if isinstance(number, Literal) else self.numbers[number.buffer]

    def _start(self, view: BufferView) -> int:
        return view.offset + sum(self.turns[index] * step for index, step in view.moves)

    def array(self, view: BufferView) -> Array:
        """The part of memory that a view is of."""
        return array_at(self.memory[view.buffer], view, self._start(view))

    def output(self, output: Number) -> Any:
        """What the caller gets."""
        if isinstance(output, Literal):
            return output.value
        if self.buffers[output.buffer].role == NUMBER:
            return self.numbers[output.buffer]
        array = self.array(output)
        return array.copy() if self.buffers[output.buffer].role == RESULT else array[()]


def array_at(memory: Array, view: BufferView, start: int) -> Array:
    """The part of an array in one piece that a view is of, if it begins at `start`."""
    return part_of(memory, view.shape, view.strides, start)


def windows_at(windows: WindowMatrix, array: Callable[[BufferView], Array]) -> Array:
    """The matrix of windows, copied."""
    split, shape = windows.split, windows.view.shape
    matrix = array(windows.view).reshape(prod(shape[:split]), prod(shape[split:]))
    (i, m), (j, n) = windows.rows, windows.columns
    part = matrix[i : i + m, j : j + n]
    return part.T if windows.is_turned else part


def number_cell(literal: Literal, dtype: str) -> Array:
    """A number in the dtype in which somebody wants it."""
    cell = np.zeros((), DTYPES[dtype])
    with np.errstate(all="ignore"):
        cell[()] = literal.value
    return cell


def converted_int(number: int, dtype: str, how: str) -> Any:
    """A Python int in a dtype; `lowering.parameters.Converted` says how.

    >>> converted_int(300, "u8", "wraps"), converted_int(300, "u8", "nearest")
    (np.uint8(44), np.uint8(255))
    """
    if dtype == SIZE or dtype[0] == "f":
        return number if dtype == SIZE else np.float64(number)
    limits = np.iinfo(DTYPES[dtype])
    if how == "side":
        return np.int8((number > limits.max) - (number < limits.min))
    if how == "wraps":
        number = (number - limits.min) % 2**limits.bits + limits.min
    elif how == "nearest":
        number = min(max(number, limits.min), limits.max)
    return DTYPES[dtype].type(number)


def run_by_numpy(step: Step, array: Callable[[BufferView], Array], numbers: dict[str, Any]) -> None:
    """Run a step that is no loop; `numbers` has those that are not in memory, by name."""

    def read(number: Number) -> Any:
        if isinstance(number, Literal):
            return number.value
        if number.buffer in numbers:
            return numbers[number.buffer]
        return array(number)

    match step:
        case Copy(target, source, adds):
            there, given = array(target), array(source)
            if not adds:
                np.copyto(there, given)
                return
            for index in np.ndindex(there.shape[:-1]):  # rows may overlap: one after the other
                there[index] += given[index]
        case Product(c, a, b, alpha, beta, _, sums, continues):
            if sums is not None:
                array(sums)[...] = np.add.accumulate(array(b), 0)[-1]
            left = windows_at(a, array) if isinstance(a, WindowMatrix) else array(a)
            product = np.matmul(left, array(b)).reshape(c.shape)
            scaled = array(c) + product if continues else read(alpha) * product
            np.copyto(array(c), scaled if beta is None else read(beta) * array(c) + scaled)
        case NumpyCall(equation, operands, target):
            is_array = [operand.kind == "array" for operand in equation.operands]
            values = [
                x if keep or not isinstance(x, np.ndarray) else x[()]
                for x, keep in zip(map(read, operands), is_array, strict=True)
            ]
            if target.buffer in numbers:
                numbers[target.buffer] = _compute(equation, values)
            elif takes_out(equation):
                getattr(np, equation.primitive)(*values, **equation.params, out=array(target))
            else:
                np.copyto(array(target), _compute(equation, values))


def _compute(equation: Equation, values: Sequence[Any]) -> Any:
    return PRIMITIVES[equation.primitive].compute(*values, **equation.params)


def takes_out(equation: Equation) -> bool:
    """Whether NumPy can write the result to an array that it is given, and will write all of it."""
    name = equation.primitive
    if equation.result.kind != "array" or (name == "power" and equation.result.dtype[0] != "f"):
        return False  # it stops at a negative exponent
    return isinstance(getattr(np, name, None), np.ufunc) or name in _TAKE_OUT


def node_label(equations: Sequence[Equation]) -> str:
    """What errors call the place in the graph that equations come from."""
    nodes: Mapping[str, None] = dict.fromkeys(e.origin.node for e in equations if e.origin)
    return ", ".join(nodes) or (equations[0].primitive if equations else "a step")
