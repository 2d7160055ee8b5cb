"""A tile: some items of a batch, and where their part of each value lies."""

from __future__ import annotations

from dataclasses import dataclass, replace

from miniflow.ir import Variable
from miniflow.lowering.groups import LOOP, EquationGroup
from miniflow.lowering.views import Region


@dataclass(frozen=True)
class Tile:
    """The items from `first` to `first + count`, of `items`; with an `index`, the first of so many
    tiles.

    `cut` has the memory that is laid out by items, `local` what of it has room for one tile.
    """

    first: int
    count: int
    items: int
    cut: frozenset[Variable]
    local: frozenset[Variable]
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
        rows = layout.shape[0] // self.items
        first = 0 if root in self.local else self.first * rows * layout.strides[0]
        shape = (self.count * rows, *layout.shape[1:])
        return layout._replace(offset=layout.offset + first, shape=shape)

    def group(self, group: EquationGroup) -> EquationGroup:
        """The group as it is in the tile."""
        if group.kind != LOOP:
            return group
        rows = group.space[0] // self.items
        return replace(group, space=(self.count * rows, *group.space[1:]))
