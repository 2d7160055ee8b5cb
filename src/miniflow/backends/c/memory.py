"""The scratch memory of a loop program: one array for each dtype, and where in it a buffer lies.

What is not needed at the same time (`lowering.placing`) may lie in the same place; the largest are
placed first, each as near to the beginning as it can. One array for each dtype, so that memory has
one type for good, as C's rules of aliasing want it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from miniflow.ir.dtypes import DTYPES
from miniflow.lowering.loop_program import LoopProgram
from miniflow.lowering.placing import Lifetime, lifetimes

LINE: Final = 64  # bytes: larger buffers begin at multiples of a line of a cache


class ScratchLayout(NamedTuple):
    """Where buffers lie, counted in numbers from the beginning of the array of their dtype, and how
    many numbers each array has.
    """

    offsets: Mapping[str, int]
    sizes: Mapping[str, int]

    @property
    def nbytes(self) -> int:
        """How many bytes it takes, as a struct whose largest numbers come first."""
        total = sum(size * DTYPES[dtype].itemsize for dtype, size in self.sizes.items())
        widest = max((DTYPES[dtype].itemsize for dtype in self.sizes), default=1)
        return max(-(-total // widest) * widest, 1)


class _Piece(NamedTuple):
    name: str
    dtype: str
    size: int
    life: Lifetime


def place_scratch(
    program: LoopProgram, panels: Iterable[tuple[str, int, int]] = ()
) -> ScratchLayout:
    """Lay out all that is neither the caller's nor constant, and panels: (dtype, size, the position
    of the step that needs it), whose names are `panel_name`.
    """
    pieces = [
        _Piece(name, program.buffers[name].dtype, max(program.buffers[name].size, 1), life)
        for name, life in lifetimes(program).items()
    ]
    pieces += (
        _Piece(panel_name(position), dtype, size, Lifetime(position, position))
        for dtype, size, position in panels
    )
    placed: dict[str, list[tuple[int, _Piece]]] = {}
    offsets: dict[str, int] = {}
    for piece in sorted(pieces, key=lambda p: (-p.size, p.life.first, p.name)):
        others = placed.setdefault(piece.dtype, [])
        offsets[piece.name] = _first_gap(piece, others)
        others.append((offsets[piece.name], piece))
    sizes = {dtype: max(at + p.size for at, p in found) for dtype, found in placed.items()}
    return ScratchLayout(offsets, _widest_first(sizes))


def joined_scratch(layouts: Iterable[ScratchLayout]) -> ScratchLayout:
    """The memory in which each of several functions finds its own."""
    sizes: dict[str, int] = {}
    for layout in layouts:
        for dtype, size in layout.sizes.items():
            sizes[dtype] = max(size, sizes.get(dtype, 0))
    return ScratchLayout({}, _widest_first(sizes))


def _widest_first(sizes: Mapping[str, int]) -> dict[str, int]:
    order = sorted(sizes, key=lambda dtype: (-DTYPES[dtype].itemsize, dtype))
    return {dtype: sizes[dtype] for dtype in order}


def panel_name(position: int) -> str:
    """What the panel of the product at a position is called."""
    return f"panel {position}"


def _first_gap(piece: _Piece, placed: list[tuple[int, _Piece]]) -> int:
    """The first place that is free as long as a piece is needed."""
    line = LINE // DTYPES[piece.dtype].itemsize
    step = line if piece.size >= line else 1
    at = 0
    for start, other in sorted(placed, key=lambda pair: pair[0]):
        if not other.life.meets(piece.life):
            continue
        if at + piece.size <= start:
            break
        at = max(at, start + other.size)
        at = -(-at // step) * step
    return at
