"""What the source of a program is written with: lines, names, and operands, each in the dtype and
the shape in which it is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from miniflow.ir.dtypes import DTYPES, ValueType
from miniflow.ir.program import Literal, Operand, Variable
from miniflow.ir.text import Namer

DTYPE_NAMES: Final = {"bool": "bool_", **{name: name for name in DTYPES if name != "bool"}}
RESERVED: Final = (
    {"lax", "functions", "step", "numbers", "constants", "int", "float", "bool", "abs"}
    | {"PRECISION", "convert", "side", "clip", "wrap", "wrong", "right", "before", "python_power"}
    | set(DTYPE_NAMES.values())
)

Shape = tuple[int, ...]

WHOLE: Final = ValueType("i64")  # for names that are no variable's


class PythonNumber(NamedTuple):
    """A Python number that `step` gets as an array, and how: the text of it in `numbers`."""

    name: str
    text: str


class OperandWriter:
    """The lines of `step`, and what it reads."""

    def __init__(self) -> None:
        self._names = Namer(RESERVED)
        self._lines: list[str] = []
        self._numbers: dict[Any, PythonNumber] = {}
        self._indices: list[str] = []  # names of flags
        self._wrong: list[str] = []
        self._depth = 1
        self._label = ""
        self._known: dict[Variable, str] = {}  # what is another's name, in a body

    def _line(self, text: str, note: str = "") -> None:
        comment = ": ".join(part for part in (self._label, note) if part)
        self._label = ""
        text = f"{'    ' * self._depth}{text}"
        self._lines.append(f"{text}  # {comment}" if comment else text)

    def _read(self, variable: Any) -> str:
        return self._known.get(variable) or self._names(variable)

    def _host_read(self, operand: Operand) -> str:
        if isinstance(operand, Literal):
            value = operand.value
            text = repr(value)
            if isinstance(value, float) and not np.isfinite(value):
                text = f"float({text!r})"
            return f"({text})" if text.startswith("-") else text
        return self._read(operand)

    def _number(self, operand: Variable, dtype: str, how: str = "convert") -> str:
        """The name by which `step` has a Python number in a dtype."""
        key = (operand, dtype, how)
        if key not in self._numbers:
            hint = f"{operand.name or 'number'}_{dtype}" + ("" if how == "convert" else f"_{how}")
            name = self._names(Variable(operand.type, hint))
            text = f"{how}({self._read(operand)}, {DTYPE_NAMES[dtype]})"
            self._numbers[key] = PythonNumber(name, text)
        return self._numbers[key].name

    def _in(self, operand: Operand, dtype: str, shape: Shape | None = None) -> str:
        """An operand in a dtype and, unless that is None, in a shape that it broadcasts to."""
        shape = operand.shape if shape is None else shape
        if isinstance(operand, Literal):
            number = literal_text(operand, dtype)
            return f"lax.full({shape}, {number}, {DTYPE_NAMES[dtype]})" if shape else number
        if operand.kind == "python":
            text = self._number(operand, dtype)
        else:
            text = self._converted(self._read(operand), operand.dtype, dtype)
        own = operand.shape
        if own == shape:
            return text
        while len(own) > len(shape):  # assigned to a smaller place: axes of length one in front
            own = own[1:]
            text = f"lax.reshape({text}, {own})"
        axes = tuple(range(len(shape) - len(own), len(shape)))
        return text if own == shape else f"lax.broadcast_in_dim({text}, {shape}, {axes})"

    def _converted(self, text: str, of: str, to: str) -> str:
        if of == to:
            return text
        if to == "bool":
            return f"functions.is_true({text})"
        if of == "bool" and to[0] == "f":
            return f"functions.from_mask({text}, {DTYPE_NAMES[to]})"
        if of[0] == "f" and to[0] in "iu":
            whole, wrong = (
                self._names(Variable(WHOLE, "whole")),
                self._names(Variable(WHOLE, "bad")),
            )
            self._line(f"{whole}, {wrong} = functions.to_whole({text}, {DTYPE_NAMES[to]})")
            self._wrong.append(wrong)
            return whole
        return f"lax.convert_element_type({text}, {DTYPE_NAMES[to]})"


def own(operand: Operand) -> tuple[Operand, str]:
    return operand, operand.dtype


def tuple_text(texts: Sequence[str]) -> str:
    return f"({', '.join(texts)}{',' * (len(texts) == 1)})"


def literal_text(literal: Literal, dtype: str) -> str:
    """A number that is written into a program, in a dtype.

    Raises OverflowError for an int that the dtype does not hold.
    """
    value = literal.value
    with np.errstate(all="ignore"):
        if type(value) is int:
            number = np.asarray(value, DTYPES[dtype])[()]
        else:
            number = np.asarray(value).astype(DTYPES[dtype])[()]
    if dtype == "bool":
        return f"bool_({bool(number)})"
    if dtype[0] != "f":
        return f"{dtype}({int(number)})"
    if not np.isfinite(number):
        return f"{dtype}({str(number)!r})"
    return f"{dtype}({number!s})"
