"""Products that read windows where the images are, in place of copies of them.

    for tile in range(16):                                for tile in range(16):
        t4[115200*tile : ...] = windows of X[6272*tile]       t5 = windows of X[6272*tile] @ K
        t5 = t4[115200*tile : 4608x25] @ K                    ...
        ...                                               t54 = (windows of X).T @ t53
    t54 = t4.T @ t53

A convolution multiplies a matrix whose rows are what a window sees in its places, many times as
large as the images. Where that is all that the matrix is there for, a printer that can
(`Target.can_read_windows`) reads the rows in the images, and the copies are gone. No bit changes.

The images have to be there, as they were, when they are read for the last time. What a copy that is
part of a loop over tiles has read is a part of them for each tile, and all of these together are
what a product behind the loop reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from math import prod
from typing import NamedTuple

from miniflow.lowering.loop_program import (
    KEPT,
    BufferView,
    Copy,
    LoopProgram,
    Product,
    Repeat,
    Step,
    WindowMatrix,
    accesses,
)
from miniflow.lowering.views import Shape


def read_windows(program: LoopProgram, can_read: Callable[[Product], bool]) -> LoopProgram:
    """Return the program with products that read windows, and without the copies of these."""
    finder = _WindowReader(program, can_read)
    if not finder.copied:
        return program
    buffers = {w: b for w, b in program.buffers.items() if w not in finder.copied}
    return replace(program, buffers=buffers, steps=finder.rewrite(program.steps))


class _Place(NamedTuple):
    """Where a step stands: its position among all, and the index and turns of the loop around."""

    step: Step
    position: int
    loop: Repeat | None


class _Source(NamedTuple):
    """What has been copied: the view, the copy, and that of the items that no loop over tiles had
    for a whole tile.
    """

    view: BufferView
    copy: _Place
    last: _Place | None = None


class _WindowReader:
    """Finds copies that are read by products alone; `copied` has the buffers that hold them."""

    def __init__(self, program: LoopProgram, can_read: Callable[[Product], bool]) -> None:
        self.program, self.can_read = program, can_read
        self.touching: dict[str, list[_Place]] = {}
        self.writing: dict[str, list[_Place]] = {}
        for place in _places(program.steps):
            for access in accesses(place.step):
                self.touching.setdefault(access.view.buffer, []).append(place)
                if access.writes:
                    self.writing.setdefault(access.view.buffer, []).append(place)
        self.handed_out = {o.buffer for o in program.outputs if isinstance(o, BufferView)}
        self.changed: dict[int, Product] = {}  # by the identity of the product
        self.copied = {word for word in self.touching if self._try(word)}

    def rewrite(self, steps: Sequence[Step]) -> tuple[Step, ...]:
        """Return the steps that are left, products changed."""
        found: list[Step] = []
        for step in steps:
            if isinstance(step, Repeat):
                found.append(replace(step, steps=self.rewrite(step.steps)))
            elif not (isinstance(step, Copy) and step.target.buffer in self.copied):
                found.append(self.changed.get(id(step), step))
        return tuple(found)

    def _try(self, word: str) -> bool:
        """Whether a buffer is not needed, as all that read it can read what was copied there."""
        buffer, places = self.program.buffers[word], self.touching[word]
        if buffer.role != KEPT or word in self.handed_out:
            return False
        copies = [p for p in places if isinstance(p.step, Copy) and p.step.target.buffer == word]
        products = [p for p in places if isinstance(p.step, Product)]
        if not copies or not products or len(copies) + len(products) < len(places):
            return False
        if any(p.step.adds for p in copies if isinstance(p.step, Copy)):
            return False
        found: dict[int, Product] = {}
        for place in products:
            product = self._reading(place, copies, word)
            if product is None or not self.can_read(product):
                return False
            found[id(place.step)] = product
        self.changed |= found
        return True

    def _reading(self, place: _Place, copies: list[_Place], word: str) -> Product | None:
        """A product that reads what was copied; None if it cannot."""
        product = place.step
        assert isinstance(product, Product)
        a = product.a
        if not isinstance(a, BufferView) or a.buffer != word or product.b.buffer == word:
            return None
        for copy in copies:
            found = _copied_to(a, copy, copies)
            if found is None or not self._stays(found, place):
                continue
            others = [c for c in copies if c is not found.copy and c is not found.last]
            if any(_may_overlap(c.step.target, c.loop, a, place.loop) for c in others):  # type: ignore[union-attr]
                continue
            windows = _as_matrix(found.view, a)
            if windows is not None:
                return replace(product, a=windows)
        return None

    def _stays(self, source: _Source, product: _Place) -> bool:
        """Whether what was copied is there, unchanged, when the product runs."""
        copy, last = source.copy, source.last
        is_in_turn = copy.loop is product.loop
        for place in self.writing.get(source.view.buffer, []):
            views = [x.view for x in accesses(place.step) if x.view.buffer == source.view.buffer]
            if place.loop is copy.loop and copy.loop is not None and not is_in_turn:
                # Turns that come later write elsewhere if their copies read elsewhere.
                moves = copy.step.source.moves  # type: ignore[union-attr]
                is_apart = bool(moves) and all(view.moves == moves for view in views)
                if place.position > copy.position or not is_apart:
                    return False
            elif copy.position < place.position < product.position:
                if last is None or place.position > last.position:
                    return False
                begin = last.step.source.offset  # type: ignore[union-attr]
                if any(v.moves or v.offset < begin or min(v.strides, default=0) < 0 for v in views):
                    return False
        return True


def _may_overlap(
    x: BufferView, loop_of_x: Repeat | None, y: BufferView, loop_of_y: Repeat | None
) -> bool:
    """Whether two views of a buffer, in all turns of their loops, may have an element in common."""
    one, other = _extent(x, loop_of_x), _extent(y, loop_of_y)
    if one is None or other is None:
        return True
    return max(one.start, other.start) < min(one.stop, other.stop)


def _extent(view: BufferView, loop: Repeat | None) -> range | None:
    """From which element to before which a view goes, in all turns; None if that is not known."""
    ways = [(n - 1) * stride for n, stride in zip(view.shape, view.strides, strict=True)]
    for index, step in view.moves:
        if loop is None or index != loop.index:
            return None
        ways.append((loop.count - 1) * step)
    low = sum(way for way in ways if way < 0)
    return range(view.offset + low, view.offset + sum(way for way in ways if way > 0) + 1)


def _copied_to(a: BufferView, place: _Place, copies: list[_Place]) -> _Source | None:
    """What a copy, or all turns of it and the copy of what is left, have written to `a`."""
    copy, loop = place.step, place.loop
    assert isinstance(copy, Copy)
    target, source = copy.target, copy.source
    if not target.is_contiguous:
        return None
    if (target.offset, target.moves, target.size) == (a.offset, a.moves, a.size):
        return _Source(source, place)
    if loop is None or a.moves or target.offset or a.offset or not source.shape:
        return None
    items, step = source.shape[0], source.shape[0] * source.strides[0]
    if (target.moves, source.moves) != (((loop.index, target.size),), ((loop.index, step),)):
        return None
    rest, last = a.size - loop.count * target.size, None
    if rest:
        last = next((c for c in copies if _goes_on(c, copy, loop.count, rest)), None)
        if last is None:
            return None
    items = items * a.size // target.size
    return _Source(source._replace(shape=(items, *source.shape[1:]), moves=()), place, last)


def _goes_on(place: _Place, first: Copy, count: int, size: int) -> bool:
    """Whether a copy behind a loop does what one more turn, of fewer items, would."""
    last = place.step
    assert isinstance(last, Copy)
    target, source, ((_, step),) = last.target, last.source, first.source.moves
    return (
        target.is_contiguous
        and target.offset == count * first.target.size
        and target.size == size
        and source.buffer == first.source.buffer
        and source.offset == first.source.offset + count * step
        and source.strides == first.source.strides
        and source.shape[1:] == first.source.shape[1:]
        and not source.moves
        and place.loop is None
    )


def _as_matrix(source: BufferView, a: BufferView) -> WindowMatrix | None:
    """The elements of `source`, in order, as the matrix `a` has them, or its transpose."""
    if len(a.shape) != 2 or 0 in a.shape:
        return None
    for shape, strides, is_turned in (
        (a.shape, a.strides, False),
        (a.shape[::-1], a.strides[::-1], True),
    ):
        rows, columns = shape
        split = _split_at(source.shape, rows)
        is_by_rows = strides[1] in (1, 0 if columns == 1 else 1) and strides[0] == columns
        if is_by_rows and split is not None and min(shape) > 1:
            return WindowMatrix(source, split, (0, rows), (0, columns), is_turned)
    return None


def _split_at(shape: Shape, rows: int) -> int | None:
    """How many axes count so many rows; None if these end within one."""
    return next((k for k in range(len(shape) + 1) if prod(shape[:k]) == rows), None)


def _places(
    steps: Sequence[Step], position: int = 0, loop: Repeat | None = None
) -> Iterator[_Place]:
    for step in steps:
        yield _Place(step, position, loop)
        position += 1
        if isinstance(step, Repeat):
            inner = list(_places(step.steps, position, step))
            yield from inner
            position += len(inner)
