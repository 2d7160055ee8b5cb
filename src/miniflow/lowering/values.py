"""Where the values of a program lie: `Values` knows the view of each.

A value lies in a buffer of its own, or in that of another (`plan.homes`), or is a look at part of
one (`plan.layouts`). What the caller hands in as a single number is not in memory; who wants it
there gets a cell. The inputs of a loop's body are bound to what lies around the loop.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from miniflow.ir import Equation, Literal, Operand, Program, Variable
from miniflow.lowering.draft import Draft
from miniflow.lowering.loop_program import (
    ARGUMENT,
    CONSTANT,
    KEPT,
    NUMBER,
    RESULT,
    BufferView,
    Number,
)
from miniflow.lowering.plan import StepPlan
from miniflow.lowering.tiles import Tile
from miniflow.lowering.views import Region, whole_view


class Values:
    """The places of the values of a program, or of the body of a loop, whose inputs are `bound`."""

    def __init__(
        self, draft: Draft, plan: StepPlan, bound: Mapping[Variable, Number] | None = None
    ) -> None:
        self._draft, self._plan = draft, plan
        self._constants = {c.variable: c.value for c in plan.program.constants}
        self._inputs = {entry.variable for entry in plan.program.inputs}
        self._places: dict[Variable, Number] = dict(bound or {})  # of what has memory
        self._bound: set[Variable] = set()
        self._layouts = dict(plan.layouts)
        self._tile: Tile | None = None
        self._moved: dict[Variable, Region] = {}  # within the tile

    @property
    def program(self) -> Program:
        """The program whose values these are."""
        return self._plan.program

    def home(self, variable: Variable) -> Variable:
        """The value in whose memory a value lies: itself, as a rule."""
        return self._plan.homes.get(variable, variable)

    def root(self, variable: Variable) -> Variable:
        """The value in whose memory the elements of an array are."""
        return self.home(self.layout(variable).base)

    def bind(self, variable: Variable, place: Number) -> None:
        """Let a value lie where somebody else writes it."""
        self._places[variable] = place
        self._bound.add(variable)

    def is_bound(self, variable: Variable) -> bool:
        """Whether somebody else writes a value."""
        return variable in self._bound

    def is_alone(self, variable: Variable) -> bool:
        """Whether a value has memory that no other one lies in, and that is not the caller's."""
        homes = self._plan.homes
        is_shared = variable in homes or variable in homes.values()
        return not is_shared and variable not in self._plan.returned

    def keep(self, variable: Variable, value: np.ndarray) -> None:
        """Let a value be a constant."""
        self._constants[variable] = value

    def buffers(self) -> dict[Variable, str]:
        """The buffers that values lie in."""
        found = {v: p.buffer for v, p in self._places.items() if isinstance(p, BufferView)}
        return found | {v: found[h] for v, h in self._plan.homes.items() if h in found}

    # Layouts: regions of the memory of values.

    def layout(self, variable: Variable) -> Region:
        """Return which part of which memory a value is."""
        if variable in self._moved:
            return self._moved[variable]
        layout = self._layouts.get(variable)
        if layout is None:
            layout = self._layouts[variable] = whole_view(variable)
        if self._tile is None:
            return layout
        return self._tile.part(layout, self.home(layout.base))

    def move(self, variable: Variable, layout: Region) -> None:
        """Let a value be found elsewhere from now on; within a tile, to its end."""
        layouts = self._layouts if self._tile is None else self._moved
        layouts[variable] = layout

    def look_at(self, tile: Tile | None) -> None:
        """Let the layouts of values be those of their parts in a tile; None: of them all."""
        self._tile, self._moved = tile, {}

    def is_continued(self, variable: Variable) -> bool:
        """Whether a sum goes on with what the tile before has left."""
        return self._tile is not None and variable in self._tile.summed

    @property
    def is_whole(self) -> bool:
        """Whether values are looked at as a whole, not tile by tile."""
        return self._tile is None

    # Places: views of buffers.

    def place(self, variable: Variable) -> BufferView:
        """Return where a value lies; it gets memory, if it has none."""
        return self.place_of(self.layout(variable))

    def place_of(self, region: Region) -> BufferView:
        """Return where a part of the memory of a value lies."""
        root = self.home(region.base)
        memory = self._places.get(root)
        if memory is None:
            memory = self._places[root] = self._new(root)
        assert isinstance(memory, BufferView)
        moves = memory.moves
        if self._tile is not None:
            moves += self._tile.moves(root)
        offset = memory.offset + region.offset
        return BufferView(memory.buffer, region.base.dtype, offset, *region[2:], moves)

    def _new(self, root: Variable) -> BufferView:
        value = self._constants.get(root)
        if value is not None:
            value = np.require(value, requirements=["C", "A"])
            name = self._draft.declare(root, CONSTANT, value=value)
        elif self._tile is not None and root in self._tile.local:
            name = self._draft.declare(root, KEPT, self.layout(root).shape)
        else:
            name = self._draft.declare(root, self._role(root))
        return BufferView(name, root.dtype, *whole_view(root)[1:])

    def _role(self, root: Variable) -> str:
        if root in self._inputs and root.kind == "array":
            return ARGUMENT
        if root in self._inputs or root.kind == "python":
            return NUMBER
        return RESULT if root in self._plan.returned else KEPT

    # Numbers, and what NumPy reads.

    def operand(self, operand: Operand) -> Number:
        """Return a literal, or where a value lies."""
        if isinstance(operand, Literal):
            return operand
        bound = self._places.get(self.home(operand))
        return bound if isinstance(bound, Literal) else self.place(operand)

    def number(self, operand: Operand, dtype: str) -> Number | None:
        """Return a literal, or where a number lies in memory in that dtype; None: nowhere."""
        found = self.operand(operand)
        if isinstance(found, Literal):
            return found
        if self._draft.is_number(found):
            return self._draft.cell(found, dtype)
        return found if found.dtype == dtype else None

    def handed(self, variable: Variable) -> Number | None:
        """Return a number as a nest is handed it; None if it lies nowhere."""
        found = self.operand(variable)
        is_given = not isinstance(found, Literal) and self._draft.is_number(found)
        if is_given and not self._draft.target.has_numpy:
            return found  # the printer has such numbers
        return self.number(variable, variable.dtype)

    def in_memory(self, operand: Operand, dtype: str) -> BufferView | None:
        """The same, with literals in memory, too."""
        found = self.number(operand, dtype)
        return self._draft.constant(found, dtype) if isinstance(found, Literal) else found

    def operands(self, equation: Equation) -> tuple[Number, ...]:
        """Return what NumPy reads."""
        return tuple(map(self.operand, equation.operands))
