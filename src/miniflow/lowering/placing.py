"""The memory plan of a loop program: buffers that are not needed at the same time share memory.

A buffer is needed from the first step that writes it to the last one that reads it. A `Repeat`
stretches that: what is made outside of it, or moves with its turns, or is read before it is written
there, is needed in all of its turns. So is all of one whose turns are at different places at once,
in several threads (`shared_rows`).

But where each turn has a part of two buffers for itself, the same part of both, one may follow the
other within a turn:

    for tile in range(8):
        b[64*tile ...] = f(a[64*tile ...])   # nobody reads a later
        c[64*tile ...] = g(b[64*tile ...])   # in the memory of a
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from heapq import heappop, heappush
from typing import NamedTuple

from miniflow.ir.dtypes import DTYPES
from miniflow.lowering.loop_program import (
    KEPT,
    SCRATCH,
    BufferView,
    LoopProgram,
    Repeat,
    Step,
    accesses,
)


class EndInTurns(NamedTuple):
    """That a buffer begins, or ceases, to be needed in a loop of which each turn has a part of its
    own, so many bytes after that of the turn before: the position of the loop, and of the step.
    """

    loop: int
    nbytes: int
    position: int


class Lifetime(NamedTuple):
    """The positions of the first and the last step that need a buffer, both included."""

    first: int
    last: int

    def meets(self, other: Lifetime) -> bool:
        """Whether both are needed at one time."""
        return self.first <= other.last and other.first <= self.last


class ExactLifetime(NamedTuple):
    """A lifetime, and where within the turns of a loop it begins and ends, if it does so there.

    Buffers that are exactly apart may begin at one place of the memory, and at no two that overlap.
    """

    life: Lifetime
    begins: EndInTurns | None
    ends: EndInTurns | None

    def meets(self, other: ExactLifetime) -> bool:
        """Whether both are needed at one time, in the same turn."""
        follow = self.is_followed_by(other) or other.is_followed_by(self)
        return self.life.meets(other.life) and not follow

    def is_followed_by(self, other: ExactLifetime) -> bool:
        """Whether within a turn of a loop this is over before the other one begins."""
        end, begin = self.ends, other.begins
        if end is None or begin is None or end[:2] != begin[:2]:
            return False
        return end.position < begin.position

    @property
    def beginning(self) -> tuple[int, int]:
        """The position where it begins, and that within a turn."""
        first = self.life.first
        return first, self.begins.position if self.begins else first


class _Span(NamedTuple):
    """A `Repeat` and the positions of its steps; whether all of it happens at once."""

    counter: str
    first: int
    last: int
    at_once: bool


class _Touch(NamedTuple):
    """That a buffer is read or written: where, in which loops, and whether it is read first."""

    position: int
    around: tuple[_Span, ...]  # the outermost first
    view: BufferView
    reads: bool


def place_buffers(
    program: LoopProgram,
    itemsize: Callable[[str], int] = lambda dtype: DTYPES[dtype].itemsize,
    at_once: Callable[[Repeat], bool] = lambda loop: False,
) -> LoopProgram:
    """Return the program with aliases: each buffer in the memory of one that is free, if any is.

    `itemsize` says how many bytes a number takes, by dtype; `at_once` of which loops any two steps
    may run at the same time.
    """
    lives = exact_lifetimes(program, itemsize, at_once)
    buffers = dict(program.buffers)
    nbytes = {name: buffers[name].size * itemsize(buffers[name].dtype) for name in lives}
    free: list[str] = []  # whose memory nobody uses now, the last one freed at the end
    in_use: list[tuple[int, str]] = []  # a heap: until when
    user: dict[str, str] = {}  # who is the last one so far in whose memory
    for name in sorted(lives, key=lambda name: (lives[name].beginning, -nbytes[name])):
        life = lives[name]
        while in_use and in_use[0][0] < life.life.first:
            until, over = heappop(in_use)
            if until == lives[user[over]].life.last and over not in free:
                free.append(over)
        owner = _best(free, nbytes, nbytes[name])
        if owner is not None:
            free.remove(owner)
        elif life.begins:
            left = [memory for memory, last in user.items() if lives[last].is_followed_by(life)]
            owner = _best(left, nbytes, nbytes[name])
        if owner is not None:
            buffers[name] = replace(buffers[name], alias=owner)
        user[owner or name] = name
        heappush(in_use, (life.life.last, owner or name))
    return replace(program, buffers=buffers)


def _best(free: list[str], nbytes: Mapping[str, int], wanted: int) -> str | None:
    """The smallest memory that is large enough, of several the one used last; a number gets none of
    an array's.
    """
    fitting = [n for n in reversed(free) if wanted <= nbytes[n] <= max(2 * wanted, 64)]
    return min(fitting, key=lambda name: nbytes[name], default=None)


def lifetimes(program: LoopProgram) -> dict[str, Lifetime]:
    """From when to when each buffer is needed that is not the caller's, and no constant.

    Steps are counted in the order of `LoopProgram.all_steps`.
    """
    return {name: exact.life for name, exact in exact_lifetimes(program).items()}


def exact_lifetimes(
    program: LoopProgram,
    itemsize: Callable[[str], int] = lambda dtype: DTYPES[dtype].itemsize,
    at_once: Callable[[Repeat], bool] = lambda loop: False,
) -> dict[str, ExactLifetime]:
    """The same, and where in the turns of a loop that is; see `place_buffers`."""
    touches: dict[str, list[_Touch]] = {}
    count = 0
    for position, around, step in _positions(program.steps, 0, (), at_once):
        count = position + 1
        for access in accesses(step):
            touch = _Touch(position, around, access.view, access.reads)
            touches.setdefault(access.view.buffer, []).append(touch)
    for output in program.outputs:
        if isinstance(output, BufferView):
            touches.setdefault(output.buffer, []).append(_Touch(count, (), output, True))
    return {
        name: _lifetime(found, itemsize(program.buffers[name].dtype))
        for name, found in touches.items()
        if program.buffers[name].role in (KEPT, SCRATCH)
    }


def _positions(
    steps: tuple[Step, ...],
    first: int,
    around: tuple[_Span, ...],
    at_once: Callable[[Repeat], bool],
) -> Iterator[tuple[int, tuple[_Span, ...], Step]]:
    position = first
    for step in steps:
        yield position, around, step
        if isinstance(step, Repeat):
            last = position + _length(step) - 1
            span = _Span(step.index, position, last, at_once(step))
            yield from _positions(step.steps, position + 1, (*around, span), at_once)
        position += _length(step)


def _length(step: Step) -> int:
    return 1 + sum(map(_length, step.steps)) if isinstance(step, Repeat) else 1


def _lifetime(touches: list[_Touch], itemsize: int) -> ExactLifetime:
    common = touches[0].around
    for touch in touches:
        common = tuple(a for a, b in zip(common, touch.around, strict=False) if a == b)
    moving = {index for touch in touches for index, _ in touch.view.moves}
    stretching = (k for k, span in enumerate(common) if span.at_once or span.counter in moving)
    inner = next(stretching, len(common))
    if touches[0].reads:  # what an earlier turn has left
        inner = 0
    first, last = [], []
    for position, around, _, _ in touches:
        outermost = around[inner] if len(around) > inner else None
        first.append(outermost.first if outermost else position)
        last.append(outermost.last if outermost else position)
    life = Lifetime(min(first), max(last))
    if touches[0].reads:
        return ExactLifetime(life, None, None)
    inside = [touch for touch in touches if touch.around]
    at_first = [touch for touch in inside if touch.around[0].first == life.first]
    at_last = [touch for touch in inside if touch.around[0].last == life.last]
    return ExactLifetime(
        life,
        _end_in_turns(at_first, min, itemsize),
        _end_in_turns(at_last, max, itemsize),
    )


def _end_in_turns(
    touches: Sequence[_Touch], which: Callable[[Iterable[int]], int], itemsize: int
) -> EndInTurns | None:
    """The first, or the last, of what a loop touches of a buffer, if each turn has its own part."""
    if not touches:
        return None
    (loop, *inner), moves = touches[0].around, touches[0].view.moves
    if inner or loop.at_once or len(moves) != 1 or moves[0][0] != loop.counter:
        return None
    step = moves[0][1]
    for _, around, view, _ in touches:
        first, last = view.extent
        if around != (loop,) or view.moves != moves or first < 0 or last >= step:
            return None
    position = which(touch.position for touch in touches)
    return EndInTurns(loop.first, step * itemsize, position)


def without_sharing(program: LoopProgram) -> LoopProgram:
    """The program in which each buffer has memory of its own."""
    alone = {name: replace(buffer, alias=None) for name, buffer in program.buffers.items()}
    return replace(program, buffers=alone)
