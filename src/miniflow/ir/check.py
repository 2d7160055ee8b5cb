"""`check` verifies a program, and trusts nothing about it: it may have been read from a file.

It holds a program to: every variable assigned once, and before it is read; known primitives with
the params they take; types as inference has them; outputs that exist; and the bodies of scans to
the same. It makes no array of a shape that the program claims, and recurses into bodies alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TypeVar

import numpy as np

from miniflow.ir.dtypes import ProgramError, ValueType, type_of
from miniflow.ir.loop import body_of
from miniflow.ir.primitive import Primitive
from miniflow.ir.primitives import NO_PRIMITIVES, infer
from miniflow.ir.program import (
    INPUT_ROLES,
    OUTPUT_ROLES,
    PHASES,
    Constant,
    Equation,
    Input,
    Literal,
    Origin,
    Output,
    Program,
    Variable,
)
from miniflow.ir.rules import check_type, short
from miniflow.ir.text import describe

MAX_NAME = 1_000  # characters
MAX_INT_BITS = 1_024
MAX_LOOPS = 16  # within one another
_UPDATES = ("parameter", "state")

T = TypeVar("T")


def check(
    program: Program,
    max_bytes: int | None = None,
    also: Mapping[str, Primitive] = NO_PRIMITIVES,
    loops: int = 0,
) -> None:
    """Raise `ProgramError`, naming the equation, unless the program is well formed.

    With `max_bytes`, no single value may be larger than that. `also` has the primitives of a
    dialect: what a backend has prepared for itself is checked with those that it declares. `loops`
    counts the scans in whose bodies it stands.
    """
    defined: dict[Variable, None] = {}
    replaceable: dict[Variable, str] = {}
    for entry in _tuple_of(Input, program.inputs, "inputs"):
        _define(entry.variable, defined, max_bytes)
        _check_origin(entry.origin)
        if entry.role not in INPUT_ROLES:
            raise ProgramError(f"{entry.variable!r}: unknown role {short(entry.role)}")
        replaceable[entry.variable] = entry.role
    for constant in _tuple_of(Constant, program.constants, "constants"):
        _define(constant.variable, defined, max_bytes)
        _check_constant(constant)
    for number, equation in enumerate(_tuple_of(Equation, program.equations, "equations")):
        try:
            _check_equation(equation, defined, also)
            if (body := body_of(equation)) is not None:
                _check_body(body, max_bytes, loops + 1)
            _define(equation.result, defined, max_bytes)
        except ProgramError as error:
            raise ProgramError(f"equation {number}, {describe(equation)}: {error}") from error
    for number, output in enumerate(_tuple_of(Output, program.outputs, "outputs")):
        try:
            _check_output(output, defined, replaceable)
        except ProgramError as error:
            raise ProgramError(f"output {number}: {error}") from error


def _check_body(body: Program, max_bytes: int | None, loops: int) -> None:
    if loops > MAX_LOOPS:
        raise ProgramError(f"more than {MAX_LOOPS} scans within one another")
    try:
        check(body, max_bytes, loops=loops)
    except ProgramError as error:
        raise ProgramError(f"in its body, {error}") from error


def _tuple_of(record: type[T], entries: tuple[T, ...], what: str) -> tuple[T, ...]:
    if type(entries) is not tuple or any(type(entry) is not record for entry in entries):
        raise ProgramError(f"the {what} of a program are a tuple of {record.__name__}")
    return entries


def _define(variable: object, defined: dict[Variable, None], max_bytes: int | None) -> None:
    if type(variable) is not Variable:
        raise ProgramError(f"{short(variable)} is not a variable")
    check_type(variable.type)
    _check_text(variable.name, "a name", or_none=True)
    if variable in defined:
        raise ProgramError(f"{variable!r} is assigned twice")
    if max_bytes is not None and variable.type.nbytes > max_bytes:
        raise ProgramError(f"{variable!r} is larger than {max_bytes} bytes")
    defined[variable] = None


def _check_text(text: object, what: str, or_none: bool = False) -> None:
    if (text is None and or_none) or (type(text) is str and len(text) <= MAX_NAME):
        return
    raise ProgramError(f"{what} is a string of at most {MAX_NAME} characters, not {short(text)}")


def _check_origin(origin: Origin | None) -> None:
    if origin is None:
        return
    if type(origin) is not Origin or origin.phase not in PHASES or type(origin.index) is not int:
        raise ProgramError("its origin is not an origin")
    for text in (origin.node, origin.where):
        _check_text(text, "what an origin says")


def _check_constant(constant: Constant) -> None:
    variable, value = constant.variable, constant.value
    if not isinstance(value, np.ndarray) or type_of(value) != variable.type:
        raise ProgramError(f"constant {variable!r}: its value is not of that type")
    if value.flags.writeable:
        raise ProgramError(f"constant {variable!r}: its value can be written to")


def _check_equation(
    equation: Equation, defined: dict[Variable, None], also: Mapping[str, Primitive]
) -> None:
    if type(equation.primitive) is not str or type(equation.operands) is not tuple:
        raise ProgramError("a primitive is a string, its operands are a tuple")
    if type(equation.params) is not MappingProxyType:
        raise ProgramError("its params are not a read-only mapping")
    _check_origin(equation.origin)
    for operand in equation.operands:
        _check_operand(operand, defined)
    if type(equation.result) is not Variable:
        raise ProgramError("its result is not a variable")
    inferred: ValueType = infer(equation.primitive, equation.operands, equation.params, also)
    check_type(equation.result.type)
    if inferred != equation.result.type:
        raise ProgramError(f"gives {inferred}, not {equation.result.type}")


def _check_operand(operand: object, defined: dict[Variable, None]) -> None:
    if type(operand) is Literal:
        value = operand.value
        if type_of(value) != operand.type or isinstance(value, np.ndarray):
            raise ProgramError("a literal is a number, of its own type")
        if type(value) is int and value.bit_length() > MAX_INT_BITS:
            raise ProgramError(f"a literal of {value.bit_length()} bits")
    elif type(operand) is not Variable:
        raise ProgramError(f"{short(operand)} is neither a variable nor a literal")
    elif operand not in defined:
        raise ProgramError(f"{short(operand.name)} is read before it is assigned")


def _check_output(
    output: Output, defined: dict[Variable, None], replaceable: dict[Variable, str]
) -> None:
    _check_operand(output.operand, defined)
    _check_text(output.name, "a name", or_none=True)
    if output.role not in OUTPUT_ROLES:
        raise ProgramError(f"unknown role {short(output.role)}")
    if output.role not in _UPDATES:
        if output.replaces is not None:
            raise ProgramError(f"a {output.role} replaces nothing")
        if output.role == "check" and (output.operand.shape or output.operand.dtype[0] != "f"):
            raise ProgramError(f"a check is a floating-point number, not {output.operand.type}")
        return
    replaced = output.replaces
    if type(replaced) is not Variable or replaceable.pop(replaced, None) != output.role:
        raise ProgramError(f"a new {output.role} replaces an input of that role, and only once")
    if replaced.type != output.operand.type:
        raise ProgramError(f"replaces {replaced!r} by a value of type {output.operand.type}")
