"""One function of a file of C: the steps of a program, one after the other, as calls."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np

from miniflow.backends.c.kernels import can_fail, number_text
from miniflow.backends.c.memory import ScratchLayout, panel_name, place_scratch
from miniflow.backends.c.names import comment
from miniflow.backends.c.narrowing import narrow_factors
from miniflow.backends.c.parts import FileParts
from miniflow.backends.c.preparing import cannot, prepare
from miniflow.backends.c.products import DTYPES, can_multiply, panel_dtype, panel_size
from miniflow.backends.c.types import C_TYPES
from miniflow.errors import CompileError, printable
from miniflow.ir.dtypes import DTYPES as NUMPY_DTYPES
from miniflow.ir.program import Literal, Program
from miniflow.lowering.draft import Target
from miniflow.lowering.loop_evaluate import number_cell
from miniflow.lowering.loop_program import (
    CONSTANT,
    RESULT,
    BufferView,
    ConvertedInt,
    LoopProgram,
    Nest,
    NestArgument,
    Number,
    Product,
    Repeat,
    Step,
)
from miniflow.lowering.lower import lower_program
from miniflow.lowering.nests import SIZE, NumberParameter, Parameter

WIDTH: Final = 100  # of a line
FIELDS: Final = {"bool": "b8"}  # of the scratch memory: the dtypes, but for what C has a word for


class CPlace(NamedTuple):
    """Where a buffer lies, as text: a pointer to its first number or, `is_value`, the number."""

    text: str
    is_value: bool = False


class FunctionText(NamedTuple):
    """The lines of a function's body, the scratch memory that it needs, and whether it may fail."""

    lines: list[str]
    scratch: ScratchLayout
    can_fail: bool


def lower_for_c(program: Program) -> LoopProgram:
    """The steps of a program, after its passes, as C has them.

    Raises:
        CompileError: something cannot be expressed; the message names the node.
    """
    target = Target(can_multiply=can_multiply, product_dtypes=DTYPES)
    try:
        prepared = prepare(lower_program(program, target).loop_program)
    except CompileError:  # the native backend asks NumPy for something
        alone = replace(target, has_numpy=False)
        prepared = prepare(lower_program(program, alone).loop_program)
    return narrow_factors(prepared)


def print_function(
    program: LoopProgram, given: Mapping[str, CPlace], outputs: list[str], parts: FileParts
) -> FunctionText:
    """Return the body of a function.

    `given` says where its arguments are, `outputs` what the pointers to its results are called;
    what it calls and which constants it reads is added to `parts`.
    """
    printer = _StepPrinter(program, given, outputs, parts)
    lines = [line for step in program.steps for line in printer.step(step, "  ")]
    for output, word in zip(program.outputs, outputs, strict=True):
        lines += printer.hand_out(output, word)
    if printer.can_fail:
        lines.insert(0, "  int failed;")
    memory = [
        f"  {C_TYPES[dtype]} *const {word} = scratch->{word};"
        for dtype, word in ((dtype, FIELDS.get(dtype, dtype)) for dtype in printer.layout.sizes)
        if dtype in printer.used
    ]
    return FunctionText([*memory, *lines, "  return 0;"], printer.layout, printer.can_fail)


class _StepPrinter:
    def __init__(
        self,
        program: LoopProgram,
        given: Mapping[str, CPlace],
        outputs: list[str],
        parts: FileParts,
    ) -> None:
        self.program, self.parts, self.can_fail = program, parts, False
        self.layout = place_scratch(program, _panels(program))
        self.places = dict(given)
        for output, word in zip(program.outputs, outputs, strict=True):
            if isinstance(output, BufferView) and self._role(output) == RESULT:
                self.places.setdefault(output.buffer, CPlace(word))
        self.used: set[str] = set()  # dtypes of the scratch memory
        self._position = -1
        self._node = ""

    def _role(self, view: BufferView) -> str:
        return self.program.buffers[view.buffer].role

    # Steps.

    def step(self, step: Step, indent: str) -> Iterator[str]:
        """The lines of a step."""
        self._position += 1
        if isinstance(step, Repeat):
            index = step.index
            head = f"for (int64_t {index} = 0; {index} < {step.count}; {index}++) {{"
            yield f"{indent}{head}"
            for inner in step.steps:
                yield from self.step(inner, f"{indent}  ")
            yield f"{indent}}}"
            return
        node = next((e.origin.node for e in step.equations if e.origin), "")
        if node and node != self._node:
            self._node = node
            yield f"{indent}/* {comment(printable(node))} */"
        if isinstance(step, Nest):
            yield from broken(indent + self._nest(step))
        elif isinstance(step, Product):
            for line in self._product(step):
                yield from broken(indent + line)
        else:
            raise cannot(step.equations, "there is no loop for it")

    def _nest(self, nest: Nest) -> str:
        word = self.parts.kernel(nest.kernel)
        handed = ", ".join(
            self._converted(argument, nest)
            if isinstance(argument, ConvertedInt)
            else self._argument(parameter, argument)
            for parameter, argument in zip(nest.kernel.parameters, nest.arguments, strict=True)
        )
        if not can_fail(nest.kernel):
            return f"{word}({handed});"
        self.can_fail = True
        return f"if ((failed = {word}({handed})) != 0) return failed;"

    def _argument(self, parameter: Parameter, argument: NestArgument) -> str:
        if isinstance(argument, int):
            return str(argument)
        assert not isinstance(argument, ConvertedInt)
        if isinstance(parameter, NumberParameter):
            return self.number(argument, parameter.dtype)
        assert isinstance(argument, BufferView)
        return self.pointer(argument)

    def _converted(self, argument: ConvertedInt, nest: Nest) -> str:
        """One of the caller's ints, which have 64 bits here, in a dtype."""
        (operand, dtype, how), wide = argument, ("i64", "f64", SIZE)
        text = self.number(operand, "i64")
        if how == "fits" and dtype not in wide:
            why = f"an int that is fed might be no {dtype}; feed an array of that dtype"
            raise cannot(nest.equations, why)
        if dtype in wide or how == "wraps":
            return "0" if how == "side" else f"({C_TYPES[dtype]}){text}"
        limits = np.iinfo(NUMPY_DTYPES[dtype])
        is_above = "0" if limits.bits == 64 else f"{text} > {limits.max}"
        if how == "side":
            return f"(int8_t)({text} < {limits.min} ? -1 : {is_above})"
        nearest = text if limits.bits == 64 else f"{is_above} ? {limits.max} : {text}"
        return f"({C_TYPES[dtype]})({text} < {limits.min} ? {limits.min} : {nearest})"

    def _product(self, product: Product) -> list[str]:
        dtype = product.c.dtype
        alpha = self.number(product.alpha, dtype)
        beta = None if product.beta is None else self.number(product.beta, dtype)
        at = self.layout.offsets.get(panel_name(self._position))
        panel = ""
        if at is not None:
            word = panel_dtype(product)
            self.used.add(word)
            panel = f"{word} + {at}"
        return self.parts.products.call(product, self.pointer, alpha, beta, panel)

    # Where things are.

    def number(self, number: Number, dtype: str) -> str:
        """A number in a dtype."""
        if isinstance(number, Literal):
            cell = number_cell(number, dtype)
            if dtype == "f16":
                return number_text(int(cell.view("u2")), "u16")
            return number_text(cell.item(), dtype)
        base, start = self._place(number)
        if base.is_value:
            return base.text
        return f"{base.text}[{start}]"

    def pointer(self, view: BufferView) -> str:
        """Where a view begins."""
        base, start = self._place(view)
        assert not base.is_value
        return base.text if start == "0" else f"{base.text} + {start}"

    def _place(self, view: BufferView) -> tuple[CPlace, str]:
        buffer = self.program.buffers[view.buffer]
        offset, place = view.offset, self.places.get(view.buffer)
        if place is None and buffer.role == CONSTANT:
            assert buffer.value is not None
            place = CPlace(self.parts.constant(view.buffer, buffer.value))
        if place is None:
            place = CPlace(FIELDS.get(buffer.dtype, buffer.dtype))
            self.used.add(buffer.dtype)
            offset += self.layout.offsets[view.buffer]
        terms = [str(offset)] if offset or not view.moves else []
        terms += [f"{step} * {index}" for index, step in view.moves if step]
        return place, (" + ".join(terms) or "0").replace("+ -", "- ")

    def hand_out(self, output: Number, word: str) -> list[str]:
        """Lines that leave a number where the caller wants it; arrays are there already."""
        if isinstance(output, Literal):
            return [f"  *{word} = {self.number(output, output.dtype)};"]
        if self._role(output) == RESULT and self.places[output.buffer].text == word:
            return []
        assert output.size == 1
        return [f"  *{word} = {self.number(output, output.dtype)};"]


def _panels(program: LoopProgram) -> Iterator[tuple[str, int, int]]:
    for position, step in enumerate(program.all_steps()):
        if isinstance(step, Product) and (size := panel_size(step)):
            yield panel_dtype(step), size, position


def broken(line: str) -> list[str]:
    """A line of code as as many as it takes, which begin as it does."""
    indent = " " * (len(line) - len(line.lstrip()))
    lines = textwrap.wrap(
        line.lstrip().replace(" *", "\0*"),  # a pointer stands with its type
        WIDTH,
        initial_indent=indent,
        subsequent_indent=f"{indent}    ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [each.replace("\0", " ") for each in lines]
