"""How the two halves of a step refer to the values of a program.

Python code refers to a value by a name, or an expression (`Values.text`): that of an argument, of
an array that is bound to the function, of a view that an earlier line makes. Compiled code refers
to it by a place in the table of memory and an offset in bytes (`Values.address`), and finds single
numbers in cells, which Python fills (`Values.number`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from miniflow.backends.native.memory import Memory
from miniflow.backends.native.step import StepBuilder
from miniflow.ir import PRIMITIVES, Equation, Literal, Namer, Operand, Variable
from miniflow.lowering.tiles import Tile
from miniflow.lowering.views import Region, whole_view

_OPERATORS: Final = {  # of Python numbers
    "add": "{} + {}",
    "subtract": "{} - {}",
    "multiply": "{} * {}",
    "divide": "{} / {}",
    "negative": "-{}",
}


class Values:
    """Names and places of the values of one program.

    `definitions` has the equations of numbers and of views, which are computed where they are
    needed.
    """

    def __init__(
        self,
        step: StepBuilder,
        memory: Memory,
        layouts: Mapping[Variable, Region],
        definitions: Mapping[Variable, Equation],
    ) -> None:
        self._step, self._memory = step, memory
        self._layouts = dict(layouts)
        self._definitions = definitions
        self._names = Namer(StepBuilder.RESERVED)
        self._written: set[Variable] = set()  # numbers and views that a line has computed
        self._filled: dict[tuple[Operand, str], int] = {}  # cells
        self._tile: Tile | None = None
        self._moved: dict[Variable, Region] = {}  # within the tile

    def name(self, operand: Operand) -> str:
        """Return the name of a variable, the text of a literal."""
        if isinstance(operand, Variable):
            return self._names(operand)
        if operand.kind == "python" and repr(operand.value) not in ("nan", "inf", "-inf"):
            return repr(operand.value)
        return self._step.bind("number_", operand.value)

    def shown(self, operand: Operand) -> str:
        """Return what a comment calls a value: a view by what it looks at."""
        view = self._definitions.get(operand)  # type: ignore[arg-type]
        if view is None:
            return self.name(operand)
        return f"{view.primitive}({self.shown(view.operands[0])})"

    def text(self, operand: Operand) -> str:
        """Return an expression for the value in Python; lines that it needs are added."""
        if isinstance(operand, Literal):
            return self.name(operand)
        home = self._memory.home(operand)
        if home is not operand:
            return self.text(home)
        array = self._memory.arrays.get(operand)
        if array is not None:
            name = self._step.bind(self._names(operand), array)
            return f"{name}[()]" if operand.kind == "scalar" else name
        equation = self._definitions.get(operand)
        if equation is not None and operand not in self._written:
            self._written.add(operand)
            self._step.line(f"{self._names(operand)} = {self.call(equation)}")
        return self._names(operand)

    def call(self, equation: Equation, out: str = "") -> str:
        """Return an expression that computes an equation in Python."""
        operands = [self.text(operand) for operand in equation.operands]
        name = equation.primitive
        if equation.result.kind == "python" and name in _OPERATORS:
            return _OPERATORS[name].format(*(f"({o})" if o[0] == "-" else o for o in operands))
        keywords = [f"{key}={value!r}" for key, value in equation.params.items()]
        if out:
            function, keywords = f"np.{name}", [*keywords, f"out={out}"]
        else:
            function = self._step.bind(f"{name}_", PRIMITIVES[name].compute)
        return f"{function}({', '.join([*operands, *keywords])})"

    def layout(self, variable: Variable) -> Region:
        """Return which part of which memory a value is."""
        if variable in self._moved:
            return self._moved[variable]
        layout = self._layouts.get(variable)
        if layout is None:
            layout = self._layouts[variable] = whole_view(variable)
        if self._tile is None:
            return layout
        return self._tile.part(layout, self._memory.home(layout.base))

    def move(self, variable: Variable, layout: Region) -> None:
        """Let a value be found elsewhere from now on; within a tile, to its end."""
        layouts = self._layouts if self._tile is None else self._moved
        layouts[variable] = layout

    def look_at(self, tile: Tile | None) -> None:
        """Let the layouts of values be those of their parts in a tile; None: of them all."""
        self._tile, self._moved = tile, {}

    @property
    def is_whole(self) -> bool:
        """Whether values are looked at as a whole, not tile by tile."""
        return self._tile is None

    def room(self, variable: Variable) -> tuple[int, ...]:
        """The shape of the memory that a value needs: that of a tile, if it lives in one."""
        is_local = self._tile is not None and variable in self._tile.local
        return self.layout(variable).shape if is_local else variable.shape

    def address(self, variable: Variable) -> tuple[int, int]:
        """Return where compiled code finds an array: its place, and an offset in bytes."""
        layout = self.layout(variable)
        return self._memory.place(layout.base), layout.nbytes_before

    def number(self, operand: Operand, dtype: str) -> tuple[int, int] | None:
        """Return where compiled code finds a single number, in that dtype; None where it cannot."""
        if isinstance(operand, Variable) and operand.kind == "array":
            return self.address(operand) if operand.dtype == dtype else None
        if isinstance(operand, Variable) and self._is_made_by_compiled_code(operand):
            return (self._memory.place(operand), 0) if operand.dtype == dtype else None
        place = self._filled.get((operand, dtype))
        if place is None:
            place, cell = self._memory.cell((operand, dtype), dtype)
            self._filled[operand, dtype] = place
            if isinstance(operand, Literal):
                with np.errstate(all="ignore"):
                    cell[()] = operand.value
            else:
                name = self._step.bind(f"{self._names(operand)}_{dtype}_", cell)
                self._step.first(f"{name}[()] = {self._names(operand)}")
        return place, 0

    def _is_made_by_compiled_code(self, variable: Variable) -> bool:
        return variable in self._memory.arrays
