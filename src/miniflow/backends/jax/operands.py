"""What the source of a program is written with: lines, names, and operands, each in the dtype and
the shape in which it is read. Nothing is promoted and nothing is weak.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np

from miniflow.ir.dtypes import DTYPES, ValueType
from miniflow.ir.program import Equation, Literal, Operand, Variable
from miniflow.ir.text import Namer

DTYPE_NAMES: Final = {"bool": "bool_", **{name: name for name in DTYPES if name != "bool"}}
RESERVED: Final = (
    {"lax", "functions", "step", "numbers", "constants", "int", "float", "bool", "abs"}
    | {"PRECISION", "convert", "side", "clip", "wrap", "wrong", "right", "before", "python_power"}
    | set(DTYPE_NAMES.values())
)

Shape = tuple[int, ...]

_ANY: Final = ValueType("i64")  # for names that are no variable's


class PythonNumber(NamedTuple):
    """A Python number that `step` gets as an array, and how: the text of it in `numbers`."""

    name: str
    text: str


class OperandWriter:
    """The lines of `step`, and what it reads.

    Attributes:
        lines: written so far; `depth` is how far the next one is indented.
        label: the node that the next line is of.
        numbers: the Python numbers that `step` gets, by number, dtype and how.
        indices, wrong: names of flags, for an index that is not there and a number that is wrong.
        known: what stands for a variable, where it is another's name: in the body of a loop.
        checked: the names of indices that have been looked at, by index and length.
    """

    def __init__(self) -> None:
        self.names = Namer(RESERVED)
        self.lines: list[str] = []
        self.depth = 1
        self.label = ""
        self.numbers: dict[Any, PythonNumber] = {}
        self.indices: list[str] = []
        self.wrong: list[str] = []
        self.known: dict[Variable, str] = {}
        self.checked: dict[tuple[Operand, int], str] = {}

    def line(self, text: str, note: str = "") -> None:
        """Add a line; behind the first one of a node stands the node."""
        comment = ": ".join(part for part in (self.label, note) if part)
        self.label = ""
        text = f"{'    ' * self.depth}{text}"
        self.lines.append(f"{text}  # {comment}" if comment else text)

    def new_name(self, hint: str) -> str:
        """Return a name that nothing has yet, like the one that is wanted."""
        return self.names(Variable(_ANY, hint))

    def read(self, variable: Any) -> str:
        """Return what a variable is called."""
        return self.known.get(variable) or self.names(variable)

    def read_in_python(self, operand: Operand) -> str:
        """Return what a Python number is called in `numbers`, or written as."""
        if isinstance(operand, Literal):
            value = operand.value
            text = repr(value)
            if isinstance(value, float) and not np.isfinite(value):
                text = f"float({text!r})"
            return f"({text})" if text.startswith("-") else text
        return self.read(operand)

    def number(self, operand: Variable, dtype: str, how: str = "convert") -> str:
        """Return the name by which `step` has a Python number in a dtype."""
        key = (operand, dtype, how)
        if key not in self.numbers:
            hint = f"{operand.name or 'number'}_{dtype}" + ("" if how == "convert" else f"_{how}")
            name = self.names(Variable(operand.type, hint))
            text = f"{how}({self.read(operand)}, {DTYPE_NAMES[dtype]})"
            self.numbers[key] = PythonNumber(name, text)
        return self.numbers[key].name

    def text(self, operand: Operand, dtype: str, shape: Shape | None = None) -> str:
        """Return an operand in a dtype; in a shape that it broadcasts to, unless that is None."""
        shape = operand.shape if shape is None else shape
        if isinstance(operand, Literal):
            number = literal_text(operand, dtype)
            return f"lax.full({shape}, {number}, {DTYPE_NAMES[dtype]})" if shape else number
        if operand.kind == "python":
            text = self.number(operand, dtype)
        else:
            text = self._converted(self.read(operand), operand.dtype, dtype)
        own = operand.shape
        if own == shape:
            return text
        while len(own) > len(shape):  # assigned to a smaller place: axes of length one in front
            own = own[1:]
            text = f"lax.reshape({text}, {own})"
        axes = tuple(range(len(shape) - len(own), len(shape)))
        return text if own == shape else f"lax.broadcast_in_dim({text}, {shape}, {axes})"

    def as_it_is(self, operand: Operand) -> str:
        """Return an operand in its own dtype and shape."""
        return self.text(operand, operand.dtype)

    def _converted(self, text: str, of: str, to: str) -> str:
        if of == to:
            return text
        if to == "bool":
            return f"functions.is_true({text})"
        if of == "bool" and to[0] == "f":
            return f"functions.from_mask({text}, {DTYPE_NAMES[to]})"
        if of[0] == "f" and to[0] in "iu":
            whole, wrong = self.new_name("whole"), self.new_name("bad")
            self.line(f"{whole}, {wrong} = functions.to_whole({text}, {DTYPE_NAMES[to]})")
            self.wrong.append(wrong)
            return whole
        return f"lax.convert_element_type({text}, {DTYPE_NAMES[to]})"


WriteEquation: TypeAlias = "Callable[[OperandWriter, Equation], str | None]"
"""Gives the text of an equation; None where it has been written as lines."""


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
