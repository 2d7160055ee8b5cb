"""A tile: some items of a batch, and where their part of each value lies; which groups run so."""

from __future__ import annotations

from dataclasses import dataclass, replace

from miniflow.ir import Equation, Variable
from miniflow.lowering.fuse import Schedule
from miniflow.lowering.groups import LOOP, PRODUCT, EquationGroup
from miniflow.lowering.views import Region


def is_stack(equation: Equation) -> bool:
    """Whether an equation is a product of a stack of matrices: of the heads of attention, say."""
    return equation.primitive == "matmul" and len(equation.result.shape) > 2


def has_stacks(schedule: Schedule) -> bool:
    """Whether there are such products, whose items go through all of the network in tiles."""
    return any(g.kind == PRODUCT and is_stack(g.equations[0]) for g in schedule.groups)


def axis_of_items(layout: Region, items: int) -> int | None:
    """Return the axis along which a value has the items of a batch, each in the item of the memory
    that the value is part of; None if it does not lie so.

    >>> from miniflow.ir import ValueType
    >>> rows = Region(Variable(ValueType("f32", (8, 6)), ""), 0, (8, 6), (6, 1))
    >>> axis_of_items(rows, 4), axis_of_items(rows._replace(shape=(6, 8), strides=(1, 6)), 4)
    (0, 1)
    """
    size = layout.base.type.size
    if not size or size % items or min(layout.strides, default=0) < 0:
        return None
    for axis, (length, step) in enumerate(zip(layout.shape, layout.strides, strict=True)):
        if not length or length % items or step * length != size:
            continue
        lengths = [*layout.shape]
        lengths[axis] //= items
        last = sum((n - 1) * step for n, step in zip(lengths, layout.strides, strict=True))
        if layout.offset + last < size // items:
            return axis
    return None


@dataclass(frozen=True)
class Tile:
    """The items from `first` to `first + count`, of `items`; with an `index`, the first of so many
    tiles.

    `cut` has the memory that is laid out by items, `local` what of it has room for one tile, and
    `summed` the sums and products that each tile adds to.
    """

    first: int
    count: int
    items: int
    cut: frozenset[Variable]
    local: frozenset[Variable]
    summed: frozenset[Variable]
    index: str | None = None

    def moves(self, root: Variable) -> tuple[tuple[str, int], ...]:
        """How far apart the tiles are in the memory of a value."""
        if self.index is None or root not in self.cut or root in self.local:
            return ()
        return ((self.index, self.count * (root.type.size // self.items)),)

    def part(self, layout: Region, root: Variable) -> Region:
        """The tile's part of a value that lies in the memory of `root`."""
        if root not in self.cut:
            return layout
        axis = axis_of_items(layout, self.items) or 0
        rows = layout.shape[axis] // self.items
        first = 0 if root in self.local else self.first * rows * layout.strides[axis]
        shape = (*layout.shape[:axis], self.count * rows, *layout.shape[axis + 1 :])
        return layout._replace(offset=layout.offset + first, shape=shape)

    def group(self, group: EquationGroup) -> EquationGroup:
        """The group as it is in the tile."""
        if group.kind != LOOP:
            return group
        rows = group.space[0] // self.items
        return replace(group, space=(self.count * rows, *group.space[1:]))


@dataclass(frozen=True)
class Tiling:
    """Groups, by their positions in the schedule, that run tile by tile, and those between them
    that come before all tiles, or after.
    """

    before: tuple[int, ...]
    groups: tuple[int, ...]
    after: tuple[int, ...]
    items: int
    count: int  # of items in a tile
    cut: frozenset[Variable]
    local: frozenset[Variable]
    summed: tuple[Variable, ...]  # what the tiles add to, and begins with zeros
    checked: tuple[int, ...]  # groups whose indices are looked at before the first tile

    @property
    def positions(self) -> list[int]:
        """All of them, which follow each other in the schedule."""
        return sorted([*self.before, *self.groups, *self.after])

    def whole_tile(self, index: str) -> Tile:
        """The tile that `index` counts."""
        return Tile(0, self.count, *self._all, index)

    def last_tile(self) -> Tile:
        """What is left of the batch, fewer items than a tile has."""
        count = self.items % self.count
        return Tile(self.items - count, count, *self._all)

    @property
    def _all(self) -> tuple[int, frozenset[Variable], frozenset[Variable], frozenset[Variable]]:
        return self.items, self.cut, self.local, frozenset(self.summed)
