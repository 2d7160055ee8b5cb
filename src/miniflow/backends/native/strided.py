"""Copying, and adding to, what does not lie in one piece: slices, transposes, windows.

What NumPy does in one general loop is done here by a few nested loops whose bounds and strides are
arguments, so that one kernel serves all arrays of a dtype and rank. Axes that can be counted as one
are, which leaves the innermost loop as long as it can be; where both sides lie in one piece along
it, the kernel is written for that, and LLVM vectorises it.

A convolution lives on this: the windows of an image are copied to the rows of a matrix, and the
gradients of those rows added back to the image.
"""

from __future__ import annotations

from functools import cache
from typing import Final, NamedTuple

from miniflow.backends.native.llvm import LLVM_TYPES
from miniflow.backends.native.memory import Layout

MAX_RANK: Final = 7  # of what is left when axes are counted as one


class Movement(NamedTuple):
    """Nested loops, outermost first: their lengths, and on both sides the strides and where it all
    begins, in elements.
    """

    lengths: tuple[int, ...]
    target: tuple[int, ...]
    source: tuple[int, ...]
    offsets: tuple[int, int]

    @property
    def is_in_one_piece(self) -> bool:
        """Whether both sides are contiguous in the innermost loop."""
        return self.target[-1] == 1 and self.source[-1] == 1

    def follows(self, other: Movement, distance: tuple[int, int]) -> bool:
        """Whether it is the same as another one, so far away on both sides."""
        return self[:3] == other[:3] and _apart(other, self) == distance


def plan_movement(target: Layout, source: Layout) -> Movement | None:
    """Return the loops that bring `source` to `target`, of the same shape; None if there are too
    many, or no loop knows their dtype.
    """
    if target.root.dtype not in LLVM_TYPES or source.root.dtype != target.root.dtype:
        return None
    axes: list[tuple[int, int, int]] = []
    for length, to, of in zip(target.shape, target.strides, source.strides, strict=True):
        if length == 1:
            continue
        if axes and axes[-1][1] == length * to and axes[-1][2] == length * of:
            axes[-1] = (axes[-1][0] * length, to, of)
        else:
            axes.append((length, to, of))
    lengths, to_steps, of_steps = zip(*axes or [(1, 1, 1)], strict=True)
    if len(lengths) > MAX_RANK:
        return None
    return Movement(lengths, to_steps, of_steps, (target.offset, source.offset))


def merged(movements: list[Movement]) -> list[Movement]:
    """Return fewer movements that do the same in the same order.

    Those that follow each other at equal distances become one with one more loop, twice over: what
    the 25 entries of a kernel of 5 × 5 add to an image is two loops of 5. If the targets of the
    loop that was outermost lie apart, it stays outermost: an image is done with before the next.
    """
    for _ in range(2):
        movements = _merged_once(movements)
    return [_with_apart_outermost(m) for m in movements]


def _merged_once(movements: list[Movement]) -> list[Movement]:
    found: list[Movement] = []
    at = 0
    while at < len(movements):
        first, count = movements[at], 1
        if at + 1 < len(movements):
            distance = _apart(first, movements[at + 1])
            while at + count < len(movements) and movements[at + count].follows(
                movements[at + count - 1], distance
            ):
                count += 1
        if count > 1 and len(first.lengths) < MAX_RANK:
            lengths, target, source, offsets = first
            first = Movement(
                (count, *lengths), (distance[0], *target), (distance[1], *source), offsets
            )
        else:
            count = 1
        found.append(first)
        at += count
    return found


def _apart(one: Movement, other: Movement) -> tuple[int, int]:
    return other.offsets[0] - one.offsets[0], other.offsets[1] - one.offsets[1]


def _with_apart_outermost(movement: Movement) -> Movement:
    """Bring the loop with the largest stride to the front, if its targets never meet."""
    lengths, target, source, offsets = movement
    axis = max(range(len(lengths)), key=lambda a: abs(target[a]))
    others = [a for a in range(len(lengths)) if a != axis]
    if abs(target[axis]) <= sum((lengths[a] - 1) * abs(target[a]) for a in others):
        return movement
    order = [axis, *others]
    lengths, target, source = (tuple(x[a] for a in order) for x in (lengths, target, source))
    return Movement(lengths, target, source, offsets)


@cache
def movement_kernel(dtype: str, rank: int, is_in_one_piece: bool, adds: bool) -> str:
    """Return the text of the kernel: `target[...] = source[...]`, or `+=` if it adds."""
    lengths = [f"n{axis}" for axis in range(rank)]
    last = rank - 1
    sides = {
        side: [f"{side}{axis}" for axis in range(rank) if axis != last or not is_in_one_piece]
        for side in ("target", "source")
    }
    places = {
        side: " + ".join(
            f"i{axis}" if is_in_one_piece and axis == last else f"i{axis} * {side}{axis}"
            for axis in range(rank)
        )
        for side in sides
    }
    sizes = ", ".join(f"{name}: size" for name in lengths)
    arrays = ", ".join(
        ", ".join([f"{side}: {dtype}[n{last}]", *(f"{step}: size" for step in steps)])
        for side, steps in sides.items()
    )
    to, of = f"target[{places['target']}]", f"source[{places['source']}]"
    lines = [f"def kernel({sizes}, {arrays}):"]
    lines += [f"{'    ' * (axis + 1)}for i{axis} in range(n{axis}):" for axis in range(rank)]
    lines.append(f"{'    ' * (rank + 1)}{to} = {f'{to} + {of}' if adds else of}")
    return "\n".join(lines) + "\n"


def movement_arguments(movement: Movement, target: int, source: int, itemsize: int) -> list[int]:
    """Return the arguments of the kernel; both sides are given by their place in memory's table."""
    inner = -1 if movement.is_in_one_piece else len(movement.lengths)
    to, of = (itemsize * offset for offset in movement.offsets)
    return [
        *movement.lengths,
        *(target, to, *movement.target[:inner]),
        *(source, of, *movement.source[:inner]),
    ]
