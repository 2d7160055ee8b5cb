"""The parameters of a kernel: what it is handed, under which names, declared how.

Names and numbers of the program do not appear in a kernel, so that programs share kernels.
Parameters are a1, a2, ... (arrays), c1, c2, ... (numbers), m and n (the group's rows and columns),
and sizes of single arrays, such as a1_step. One is added when a kernel first needs it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

import numpy as np

from miniflow.ir import Literal, Variable
from miniflow.lowering.groups import COLUMN, ELEMENT, ONE, ROW, TABLE, EquationGroup

# How an array lies in memory: by contiguous rows; by contiguous columns, as a transposed array
# does; by rows that begin some distance apart. (Arrays of one axis: the first, or the last.)
BY_ROWS, BY_COLUMNS, APART = "by rows", "by columns", "apart"


class Size(NamedTuple):
    """``rows`` or ``columns`` of the group; ``length`` or ``step`` (from one row to the next, in
    elements) of an array.
    """

    what: str
    array: Variable | None = None


class Number(NamedTuple):
    """A number of the program, in the dtype in which the kernel wants it."""

    value: bool | int | float | np.generic
    dtype: str


class Scratch(NamedTuple):
    """Memory that the kernel uses for itself: one element of that dtype for each column."""

    dtype: str
    variable: Variable


Argument: TypeAlias = "Size | Number | Scratch | Variable"


class Parameters:
    """The parameters of the kernel of a loop group.

    `declared` maps each name to its declaration, `arguments` to what it is in the program.
    `in_place` maps values to the arrays that they overwrite: both have one name.
    """

    def __init__(
        self,
        group: EquationGroup,
        stored: frozenset[Variable],
        layouts: Mapping[Variable, str],
        in_place: Mapping[Variable, Variable],
    ) -> None:
        self.group, self.stored, self.layouts, self.in_place = group, stored, layouts, in_place
        self.declared: dict[str, str] = {}
        self.arguments: dict[str, Argument] = {}
        self._names: dict[object, str] = {}
        self._counts = {"a": 0, "c": 0}

    def domain(self, variable: Variable) -> str:
        """Return the domain of a value of the group, or over what one from outside is laid."""
        place = self.group.places.get(variable)
        return place.domain if place else self.group.reads[variable]

    def rows(self) -> str:
        """Return the name of the number of rows."""
        return self._size("m", Size("rows"))

    def columns(self) -> str:
        """Return the name of the number of columns."""
        return self._size("n", Size("columns"))

    def length(self, table: Variable) -> str:
        """Return the name of the number of rows of a table."""
        return self._size(f"{self.array(table)}_length", Size("length", table))

    def number(self, variable: Variable) -> str:
        """Return the name of a number from outside of the group."""
        return self._add("c", variable, variable, variable.dtype)

    def literal(self, literal: Literal, dtype: str) -> str:
        """Return the name of a number that is written into the program."""
        return self._add("c", (literal, dtype), Number(literal.value, dtype), dtype)

    def array(self, variable: Variable) -> str:
        """Return the name of the array that holds a value, or will hold it."""
        if self.domain(variable) != ONE:
            variable = self.in_place.get(variable, variable)
        if variable in self._names:
            return self._names[variable]
        if variable in self.group.places and variable not in self.stored:
            scratch = Scratch(variable.dtype, variable)
            return self._add("a", variable, scratch, f"{variable.dtype}[n]")
        name = self._add("a", variable, variable, "")
        self.declared[name] = f"{variable.dtype}[{', '.join(self._shape(variable, name))}]"
        return name

    def entry(self, variable: Variable, row: str, column: str) -> str:
        """Return the text of an array's entry."""
        name, domain, layout = self.array(variable), self.domain(variable), self._layout(variable)
        if variable in self.group.places and variable not in self.stored:
            return f"{name}[{column}]"
        if domain == TABLE:
            return f"{name}[{row}, {column}]"
        if domain == ELEMENT:
            index = [row, column] if self.group.split else [column]
            index = index[::-1] if layout == BY_COLUMNS else index
        else:
            index = [{COLUMN: column, ROW: row if self.group.split else "0"}.get(domain, "0")]
            index += ["0"] if layout == APART else []
        return f"{name}[{', '.join(index)}]"

    def _shape(self, variable: Variable, name: str) -> list[str]:
        domain, layout = self.domain(variable), self._layout(variable)
        if domain == ONE or (domain == ROW and not self.group.split):
            return ["1"]
        first = {COLUMN: self.columns, ROW: self.rows}.get(domain)
        if first:
            shape = [first()]
        elif domain == TABLE:
            shape = [self.length(variable), self.columns()]
        else:
            shape = [self.rows(), self.columns()] if self.group.split else [self.columns()]
        if layout == APART:
            shape = [shape[0], self._size(f"{name}_step", Size("step", variable))]
        return shape[::-1] if layout == BY_COLUMNS else shape

    def _layout(self, variable: Variable) -> str:
        return self.layouts.get(variable, BY_ROWS)

    def _size(self, name: str, size: Size) -> str:
        self.declared[name], self.arguments[name] = "size", size
        return name

    def _add(self, letter: str, key: object, argument: Argument, declaration: str) -> str:
        name = self._names.get(key)
        if name is None:
            self._counts[letter] += 1
            name = self._names[key] = f"{letter}{self._counts[letter]}"
            self.declared[name], self.arguments[name] = declaration, argument
        return name
