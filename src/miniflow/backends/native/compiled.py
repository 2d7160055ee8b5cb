"""A step in machine code: a function, and what it is handed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

from miniflow.backends.native import machine
from miniflow.ir import Literal
from miniflow.lowering.loop_program import BufferView, ConvertedInt, Nest, NestArgument
from miniflow.lowering.nests import NumberParameter, Parameter, SizeParameter


class NumberCell(NamedTuple):
    """A number that is written into the program, in memory, in some dtype."""

    literal: Literal
    dtype: str


class SharedScratch(NamedTuple):
    """Memory that a step uses for itself; all that ask for it by the same word share it."""

    word: str
    nbytes: int


MachineArgument: TypeAlias = "int | NumberCell | SharedScratch | BufferView"


class CompiledStep(NamedTuple):
    """The address of a function ``i64 (ptr places, ptr arguments)``, and its arguments: numbers,
    and places in memory, which become two numbers each, the place of a buffer in the table of
    memory and an offset in bytes. It returns 0, or with what a kernel fails.
    """

    function: int
    arguments: tuple[MachineArgument, ...]


def compiled_nest(nest: Nest) -> CompiledStep:
    """Make machine code of a nest."""
    handed = list(zip(nest.kernel.parameters, nest.arguments, strict=True))
    sizes = {p.name: x for p, x in handed if isinstance(p, SizeParameter) and isinstance(x, int)}
    return CompiledStep(machine.kernel_address(nest.kernel, sizes), compiled_arguments(handed))


def compiled_arguments(
    handed: Iterable[tuple[Parameter, NestArgument]],
) -> tuple[MachineArgument, ...]:
    """Return what parameters of a kernel are handed, numbers in memory."""
    arguments: list[MachineArgument] = []
    for parameter, argument in handed:
        if isinstance(argument, Literal):
            assert isinstance(parameter, NumberParameter)
            arguments.append(NumberCell(argument, parameter.dtype))
        else:
            assert not isinstance(argument, ConvertedInt)  # which NumPy computes with
            arguments.append(argument)
    return tuple(arguments)
