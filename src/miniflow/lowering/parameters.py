"""The parameters of a kernel: what it is handed, under which names, declared how.

Names and numbers of the program do not appear in a kernel, so that programs share kernels.
Parameters are a1, a2, ... (arrays), c1, c2, ... (numbers), m and n (the group's rows and columns),
and sizes of single arrays, such as a1_step. One is added when a kernel first needs it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import NamedTuple, TypeAlias

import numpy as np

from miniflow.ir import Literal, Operand, Variable
from miniflow.lowering.groups import COLUMN, ELEMENT, ONE, PART, ROW, TABLE, EquationGroup
from miniflow.lowering.nests import (
    SIZE,
    ArrayParameter,
    NumberParameter,
    Parameter,
    SizeParameter,
    Term,
    apply,
    constant,
    load,
    name,
)

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


class Converted(NamedTuple):
    """A Python int of any size, in a dtype of integers. `how`: it ``fits``, or it is an error; or
    it ``wraps`` around; or what is wanted is the ``nearest`` number of the dtype; or, on which
    ``side`` of that it lies: -1, 0 (it is that number) or 1.
    """

    operand: Operand
    dtype: str
    how: str


Argument: TypeAlias = "int | Size | Number | Scratch | Variable"  # an int is a size itself


class Parameters:
    """The parameters of the kernel of a loop group.

    `declared` has them by name, `arguments` says what they are in the program. `in_place` maps
    values to the arrays that they overwrite: both have one name.
    """

    def __init__(
        self,
        group: EquationGroup,
        stored: frozenset[Variable],
        layouts: Mapping[Variable, str],
        in_place: Mapping[Variable, Variable],
    ) -> None:
        self.group, self.stored, self.layouts, self.in_place = group, stored, layouts, in_place
        self.declared: dict[str, Parameter] = {}
        self.arguments: dict[str, Argument] = {}
        self._names: dict[object, str] = {}
        self._counts = {"a": 0, "c": 0}

    def domain(self, variable: Variable) -> str:
        """Return the domain of a value of the group, or over what one from outside is laid."""
        place = self.group.places.get(variable)
        return place.domain if place else self.group.reads[variable]

    def rows(self) -> Term:
        """Return the number of rows."""
        return self._size("m", Size("rows"))

    def columns(self) -> Term:
        """Return the number of columns."""
        return self._size("n", Size("columns"))

    def length(self, table: Variable) -> Term:
        """Return the number of rows of a table."""
        return self._size(f"{self.array(table).name}_length", Size("length", table))

    def number(self, variable: Variable) -> Term:
        """Return a number from outside of the group."""
        return self._number(variable, variable, variable.dtype)

    def literal(self, literal: Literal, dtype: str) -> Term:
        """Return a number that is written into the program."""
        return self._number((literal, dtype), Number(literal.value, dtype), dtype)

    def array(self, variable: Variable) -> ArrayParameter:
        """Return the array that holds a value, or will hold it."""
        if self.domain(variable) != ONE:
            variable = self.in_place.get(variable, variable)
        if variable not in self._names:
            is_ours = variable in self.group.places and variable not in self.stored
            argument = Scratch(variable.dtype, variable) if is_ours else variable
            word = self._add("a", variable, argument)
            self.declared[word] = ArrayParameter(word, variable.dtype, ())  # its place, among them
            shape = [name("n")] if is_ours else self._shape(variable, word)
            self.declared[word] = ArrayParameter(word, variable.dtype, tuple(shape))
        found = self.declared[self._names[variable]]
        assert isinstance(found, ArrayParameter)
        return found

    def entry(self, variable: Variable, row: Term, column: Term) -> Term:
        """Return the entry of an array."""
        return load(self.array(variable), *self.index(variable, row, column))

    def index(self, variable: Variable, row: Term, column: Term) -> tuple[Term, ...]:
        """Return the indices of an entry."""
        domain, layout = self.domain(variable), self._layout(variable)
        if variable in self.group.places and variable not in self.stored:
            return (column,)
        if domain == TABLE:
            return (row, column)
        if domain == PART:
            shape, split = self._in_space(variable), self.group.split
            row = row_of_part(row, self.group.space[:split], shape[:split])
            return (row, column if prod(shape[split:]) > 1 else _ZERO)
        if domain == ELEMENT:
            index = [row, column] if self.group.split else [column]
            return tuple(index[::-1] if layout == BY_COLUMNS else index)
        first = {COLUMN: column, ROW: row if self.group.split else _ZERO}.get(domain, _ZERO)
        return (first, _ZERO) if layout == APART else (first,)

    def _shape(self, variable: Variable, word: str) -> list[Term]:
        domain, layout = self.domain(variable), self._layout(variable)
        if domain == ONE or (domain == ROW and not self.group.split):
            return [constant(1, SIZE)]
        if domain == PART:
            own, split = self._in_space(variable), self.group.split
            is_row = prod(own[split:]) > 1
            rows = constant(prod(own[:split]), SIZE)
            return [rows, self.columns() if is_row else constant(1, SIZE)]
        first = {COLUMN: self.columns, ROW: self.rows}.get(domain)
        if first:
            shape = [first()]
        elif domain == TABLE:
            shape = [self.length(variable), self.columns()]
        else:
            shape = [self.rows(), self.columns()] if self.group.split else [self.columns()]
        if layout == APART:
            shape = [shape[0], self._size(f"{word}_step", Size("step", variable))]
        return shape[::-1] if layout == BY_COLUMNS else shape

    def _in_space(self, variable: Variable) -> tuple[int, ...]:
        """Return the shape of an array with all the axes of the group; in a tile, of the part of it
        that belongs there.
        """
        space = self.group.space
        shape = (1,) * (len(space) - len(variable.shape)) + variable.shape
        return tuple(map(min, shape, space))

    def _layout(self, variable: Variable) -> str:
        return self.layouts.get(variable, BY_ROWS)

    def _size(self, word: str, size: Size) -> Term:
        self.declared[word], self.arguments[word] = SizeParameter(word), size
        return name(word)

    def _number(self, key: object, argument: Argument, dtype: str) -> Term:
        word = self._names.get(key)
        if word is None:
            word = self._add("c", key, argument)
            self.declared[word] = NumberParameter(word, dtype)
        return name(word, dtype)

    def _add(self, letter: str, key: object, argument: Argument) -> str:
        self._counts[letter] += 1
        word = self._names[key] = f"{letter}{self._counts[letter]}"
        self.arguments[word] = argument
        return word


def row_of_part(row: Term, lengths: Sequence[int], own: Sequence[int]) -> Term:
    """Return which row of an array belongs to a row of a space, whose axes have these lengths: the
    array's `own` ones are the same, or 1.

    >>> from miniflow.lowering.nest_text import term_text
    >>> term_text(row_of_part(name("i"), (8, 4, 16), (1, 1, 16)))
    'i - quotient(i, 16) * 16'
    >>> term_text(row_of_part(name("i"), (8, 4, 16), (8, 1, 1)))
    'quotient(i, 64)'
    """
    found, place, width = _ZERO, 1, 1  # of one step along an axis: in rows of the space, and own
    for axis in reversed(range(len(lengths))):
        length, before = lengths[axis], prod(lengths[:axis])
        if own[axis] > 1:
            along = apply("quotient", row, place) if place > 1 else row
            if before > 1:
                along = along - apply("quotient", along, length) * length
            along = along * width if width > 1 else along
            found = along if found == _ZERO else found + along
        place, width = place * length, width * own[axis]
    return found


_ZERO = constant(0, SIZE)
