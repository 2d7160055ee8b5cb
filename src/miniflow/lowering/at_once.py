"""Steps that follow each other and have nothing to do with each other: they are done at once.

    dK = xᵀ @ g                  one thread computes dK, another one dV;
    dV = xᵀ @ h                  where there is no other, one after the other

A step that nobody cuts (`pieces`), as its result is small, leaves all threads but one idle. So if
what follows it neither reads what it writes, nor writes what it touches, both go to the threads
together, each as the pieces that it is cut in, or as one. What is written is looked for in memory,
which buffers share that are needed at different times.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Final

from miniflow.lowering import pieces
from miniflow.lowering.loop_program import Buffer, FusedProduct, Nest, Product, Step, accesses
from miniflow.lowering.nests import Fail
from miniflow.lowering.pieces import Piece, cut_step, duration

MOST_PIECES: Final = 16  # that are handed out at once


def groups_at_once(
    steps: Sequence[Step], buffers: Mapping[str, Buffer]
) -> Iterator[Sequence[Step]]:
    """Yield steps in groups, most of them of one: those of a group may be done at once, each by
    another thread, and are worth it.

    >>> from miniflow.lowering.loop_program import BufferView, Copy
    >>> x, s, t = (BufferView(n, "f32", 0, k, (1,) * len(k)) for n, k in zip(
    ...     "xst", ((500_000,), (), ()), strict=True))
    >>> memory = {view.buffer: Buffer("f32", view.shape, "kept") for view in (x, s, t)}
    >>> some = Product(s, x, x), Product(t, x, x), Copy(x, x)
    >>> [len(group) for group in groups_at_once(some, memory)]
    [2, 1]
    """
    first = 0
    while first < len(steps):
        count = max(_how_many(steps, first, buffers), 1)
        yield steps[first : first + count]
        first += count


def pieces_at_once(group: Sequence[Step]) -> list[Piece]:
    """Return what a group of steps is handed out as: a thread that has the first pieces of one step
    has the first ones of the others, too.
    """
    placed = [
        ((number + 0.5) / len(cut), piece)
        for step in group
        for cut in [cut_step(step) or ((step,),)]
        for number, piece in enumerate(cut)
    ]
    return [piece for _, piece in sorted(placed, key=lambda pair: pair[0])]


def _how_many(steps: Sequence[Step], first: int, buffers: Mapping[str, Buffer]) -> int:
    """How many steps from the first one on are done at once; 0, if that is not worth it."""
    read, written = set[str](), set[str]()
    left_whole, parts = list[float](), list[float]()
    count = 0
    for step in islice(steps, first, None):
        cut = len(cut_step(step)) if isinstance(step, Product) else _pieces_of_nest(step)
        touches = accesses(step)
        reads = {_memory(t.view.buffer, buffers) for t in touches if t.reads}
        writes = {_memory(t.view.buffer, buffers) for t in touches if t.writes}
        if cut is None or writes & (read | written) or reads & written:
            break
        if len(parts) + max(cut, 1) > MOST_PIECES:
            break
        read |= reads
        written |= writes
        parts += [duration(step) / max(cut, 1)] * max(cut, 1)
        left_whole += [] if cut else [duration(step)]
        count += 1
    # Who has the longest part should not come so late that others had better not wait for him.
    is_even = 2 * max(parts, default=0.0) <= sum(parts)
    return count if is_even and sum(left_whole) >= pieces.FEWEST else 0


def _pieces_of_nest(step: Step) -> int | None:
    """0 for a nest that nobody cuts, or a product that ends with one; None: it is no such step. One
    that is cut has its pieces where the threads find what they read.
    """
    if not isinstance(step, (Nest, FusedProduct)) or may_fail(step) or cut_step(step):
        return None
    return 0


def _memory(buffer: str, buffers: Mapping[str, Buffer]) -> str:
    return buffers[buffer].alias or buffer


def may_fail(step: Step) -> bool:
    """Whether a step looks whether what it computes is right, and fails where it is not."""
    nest = step.epilogue if isinstance(step, FusedProduct) else step
    return isinstance(nest, Nest) and any(isinstance(s, Fail) for s in nest.kernel.statements())
