"""The text of a loop program: what `step.source` prints, for people to read.

    program(X: f32[128, 784], W: f32[784, 10], b: f32[10], lr: number):
        z: f32[128, 10]; t4: f32[10]
        loss: f32
        lr_f32 = f32(lr)
        z = X @ W
        kernel_1(m=128, n=10, a1=z, a2=b, ...)
        W = W + lr_f32 * (X.T @ z)
        return loss

First comes the memory: what stands on one line lies in the same place, at different times. A result
is ``new`` in each run. Where a step looks at a part of a buffer, brackets say where it begins,
counted in elements, and how its axes lie: ``x[28*t]`` begins there; ``x[3 : 14x14 by 28,1]`` has 14
rows, 28 elements apart. ``x[0 : 24x24|5x5 by 28,1,28,1]`` is a matrix: 24 · 24 windows of 5 · 5.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import prod
from typing import Final

from miniflow.errors import printable
from miniflow.ir.program import Literal
from miniflow.lowering.loop_program import (
    CONSTANT,
    NUMBER,
    RESULT,
    Buffer,
    BufferView,
    ConvertedInt,
    Copy,
    Factor,
    FusedProduct,
    LoopProgram,
    Nest,
    NestArgument,
    Number,
    NumpyCall,
    Product,
    Repeat,
    Step,
)
from miniflow.lowering.nest_text import NestLine, nest_lines
from miniflow.lowering.nests import Kernel

_INDENT: Final = "    "
NUMBER_OPERATORS: Final = {
    "add": "{} + {}",
    "subtract": "{} - {}",
    "multiply": "{} * {}",
    "divide": "{} / {}",
    "negative": "-{}",
}
_WIDTH: Final = 100  # of the declarations
_NODE_COLUMN: Final = 60  # where the names of nodes stand, if the lines are not longer


def loop_text(program: LoopProgram, note: Callable[[Step], str] = lambda step: "") -> str:
    """Return the text of a program and of the kernels that it runs.

    A comment says where another node of the graph begins; `note` what stands behind a step.
    """
    printer = _Printer(program.buffers, note)
    parts = [list(printer.lines(program))]
    parts += (nest_lines(kernel, name) for kernel, name in printer.kernels.items())
    return "\n\n".join(map(_with_nodes, parts)) + "\n"


def step_text(step: Step, program: LoopProgram) -> str:
    """Return the first line of a step."""
    return next(_Printer(program.buffers).step(step, "")).text


def _with_nodes(lines: Sequence[NestLine]) -> str:
    width = min(max((len(line.text) for line in lines[1:]), default=0), _NODE_COLUMN)
    node, texts = "", []
    for text, equation in lines:
        origin = equation.origin if equation else None
        if origin and origin.node != node:
            node = origin.node
            text = f"{text:{width}}  # {printable(node)}"
        texts.append(text)
    return "\n".join(texts)


class _Printer:
    """Prints one program; kernels get their names in the order in which they are met."""

    def __init__(
        self, buffers: Mapping[str, Buffer], note: Callable[[Step], str] = lambda step: ""
    ) -> None:
        self.buffers, self.note = buffers, note
        self.kernels: dict[Kernel, str] = {}

    def lines(self, program: LoopProgram) -> Iterator[NestLine]:
        """The lines of a program."""
        given = (f"{name}: {self._type(name)}" for name in program.arguments)
        yield NestLine(f"program({', '.join(given)}):")
        for declarations in self._memory(program):
            line = f"{_INDENT}{'; '.join(declarations)}"
            wrapped = textwrap.wrap(line, _WIDTH, subsequent_indent=2 * _INDENT)
            yield from map(NestLine, wrapped)
        for step in program.steps:
            yield from self.step(step, _INDENT)
        returned = ", ".join(map(self._number, program.outputs))
        yield NestLine(f"{_INDENT}return {returned}".rstrip())

    def _memory(self, program: LoopProgram) -> list[list[str]]:
        """Declarations, those of one place together."""
        places: dict[str, list[str]] = {}
        for name, buffer in self.buffers.items():
            if name not in program.arguments and buffer.role != NUMBER:
                place = places.setdefault(buffer.alias or name, [])
                place.append(self._declaration(name, buffer))
        return list(places.values())

    def _type(self, name: str) -> str:
        buffer = self.buffers[name]
        if buffer.role == NUMBER:
            return "number"
        shape = ", ".join(map(str, buffer.shape))
        return f"{buffer.dtype}[{shape}]" if shape else buffer.dtype

    def _declaration(self, name: str, buffer: Buffer) -> str:
        text = f"{name}: {self._type(name)}"
        if buffer.value is not None:
            value = buffer.value
            return f"{text} = {value if value.size == 1 else '...'}"
        return f"{text} = new" if buffer.role == RESULT else text

    def step(self, step: Step, indent: str) -> Iterator[NestLine]:
        """The lines of a step."""
        if isinstance(step, Repeat):
            said = self.note(step)
            line = f"{indent}for {step.index} in range({step.count}):"
            yield NestLine(line + (f"  # {said}" if said else ""))
            for inner in step.steps:
                yield from self.step(inner, indent + _INDENT)
            return
        equation = next((e for e in step.equations if e.origin), None)
        said = self.note(step)
        yield NestLine(indent + self._text(step) + (f", {said}" if said else ""), equation)

    def _text(self, step: Nest | Product | FusedProduct | Copy | NumpyCall) -> str:
        match step:
            case Nest():
                return self._nest(step, {})
            case Product():
                return self._product(step)
            case FusedProduct(product, epilogue, keeps):
                c, text = self._product(product).split(" = ", 1)
                entries = f"({c} := {text})" if keeps else text
                return self._nest(epilogue, {product.c.buffer: entries})
            case Copy(target, source, adds):
                return f"{self._view(target)} {'+=' if adds else '='} {self._source(source)}"
            case NumpyCall():
                return self._call(step)

    def _source(self, view: BufferView) -> str:
        """What is copied; a number that fills an array, as it is."""
        buffer = self.buffers[view.buffer]
        if buffer.shape or buffer.value is None or buffer.role != CONSTANT:
            return self._view(view)
        return str(buffer.value.item())

    def _nest(self, step: Nest, products: Mapping[str, str]) -> str:
        """A kernel and what it is handed; instead of some buffers, products."""
        name = self.kernels.setdefault(step.kernel, f"kernel_{len(self.kernels) + 1}")
        words = []
        for parameter, argument in zip(step.kernel.parameters, step.arguments, strict=True):
            product = products.get(argument.buffer) if isinstance(argument, BufferView) else None
            words.append(f"{parameter.name}={product or self._argument(argument)}")
        return f"{name}({', '.join(words)})"

    def _product(self, step: Product) -> str:
        c = self._view(step.c)
        if step.continues:
            return f"{c} += {self._multiplied(step)}"
        if step.beta is None and step.sums is not None:
            sums = f"sum({self._view(step.b)}, 0)"
            return f"{c}, {self._view(step.sums)} = {self._multiplied(step)}, {sums}"
        if step.beta is None:
            return f"{c} = {self._multiplied(step)}"
        scaled = _scaled(step.beta, self._number(step.beta), c)
        product = f"({self._factor(step.a)} @ {self._view(step.b)})"
        return f"{c} = {scaled} + {_scaled(step.alpha, self._number(step.alpha), product)}"

    def _multiplied(self, step: Product) -> str:
        product = f"{self._factor(step.a)} @ {self._view(step.b)}"
        scaled = _scaled(step.alpha, self._number(step.alpha), f"({product})")
        return product if scaled == f"({product})" else scaled

    def _call(self, step: NumpyCall) -> str:
        equation = step.equation
        words, name = list(map(self._number, step.operands)), equation.primitive
        target = self._view(step.target)
        if self.buffers[step.target.buffer].role == NUMBER and name in NUMBER_OPERATORS:
            return f"{target} = {NUMBER_OPERATORS[name].format(*words)}"
        if name == "cast":
            return f"{target} = {equation.result.dtype}({words[0]})"
        words += (f"{key}={value!r}" for key, value in equation.params.items())
        return f"{target} = numpy.{name}({', '.join(words)})"

    def _argument(self, argument: NestArgument) -> str:
        if isinstance(argument, int):
            return str(argument)
        if isinstance(argument, Literal):
            return str(argument.value)
        if isinstance(argument, ConvertedInt):
            return f"{argument.dtype}({self._number(argument.operand)}, {argument.how!r})"
        start = _start(argument)
        return argument.buffer if start == "0" else f"{argument.buffer}[{start}]"

    def _number(self, number: Number) -> str:
        return str(number.value) if isinstance(number, Literal) else self._view(number)

    def _factor(self, factor: Factor) -> str:
        """Where a product looks; the axes of windows stand behind a bar."""
        if isinstance(factor, BufferView):
            return self._view(factor)
        view, split = factor.view, factor.split
        places, inside = ("x".join(map(str, x)) for x in (view.shape[:split], view.shape[split:]))
        steps = ",".join(map(str, view.strides))
        parts = zip((factor.rows, factor.columns), (places, inside), strict=True)
        lengths = [prod(map(int, text.split("x"))) for _, text in parts]
        whole = (factor.rows, factor.columns) == ((0, lengths[0]), (0, lengths[1]))
        text = f"{view.buffer}[{_start(view)} : {places}|{inside} by {steps}]"
        if not whole:
            (i, m), (j, n) = factor.rows, factor.columns
            text += f"[{i}:{i + m}, {j}:{j + n}]"
        return f"{text}.T" if factor.is_turned else text

    def _view(self, view: BufferView) -> str:
        """Where a step looks; all of a buffer is its name, a transposed matrix its name and T."""
        name, start = view.buffer, _start(view)
        if view.size == self.buffers[name].size and start == "0":
            if view.is_contiguous:
                return name
            turned = view._replace(shape=view.shape[::-1], strides=view.strides[::-1])
            if len(view.shape) == 2 and turned.is_contiguous:
                return f"{name}.T"
        if view.size <= 1:
            return f"{name}[{start}]"
        lengths, steps = "x".join(map(str, view.shape)), ",".join(map(str, view.strides))
        return f"{name}[{start} : {lengths}{'' if view.is_contiguous else f' by {steps}'}]"


def _start(view: BufferView) -> str:
    """Where a view begins: ``3 + 28*t``."""
    terms = [str(view.offset)] if view.offset or not view.moves else []
    text = " + ".join([*terms, *(f"{step}*{index}" for index, step in view.moves)])
    return text.replace("+ -", "- ")


def _scaled(factor: Number, text: str, of: str) -> str:
    return of if isinstance(factor, Literal) and factor.value == 1 else f"{text} * {of}"
