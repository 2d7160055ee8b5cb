"""The memory plan of a loop program: buffers that are not needed at the same time share memory.

A buffer is needed from the first step that writes it to the last one that reads it. A `Repeat`
stretches that: what is made outside of it, or moves with its turns, or is read before it is written
there, is needed in all of its turns. So is all of one whose turns are at different places at once,
in several threads (`shared_rows`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
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


class Lifetime(NamedTuple):
    """The positions of the first and the last step that need a buffer, both included."""

    first: int
    last: int

    def meets(self, other: Lifetime) -> bool:
        """Whether both are needed at one time."""
        return self.first <= other.last and other.first <= self.last


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
    lives = lifetimes(program, at_once)
    buffers = dict(program.buffers)
    nbytes = {name: buffers[name].size * itemsize(buffers[name].dtype) for name in lives}
    free: list[str] = []  # whose memory nobody uses now, the last one freed at the end
    in_use: list[tuple[int, str]] = []  # a heap: until when
    for name in sorted(lives, key=lambda name: (lives[name].first, -nbytes[name])):
        first, last = lives[name]
        while in_use and in_use[0][0] < first:
            free.append(heappop(in_use)[1])
        owner = _best(free, nbytes, nbytes[name])
        if owner is not None:
            free.remove(owner)
            buffers[name] = replace(buffers[name], alias=owner)
        heappush(in_use, (last, owner or name))
    return replace(program, buffers=buffers)


def _best(free: list[str], nbytes: Mapping[str, int], wanted: int) -> str | None:
    """The smallest memory that is large enough, of several the one used last; a number gets none of
    an array's.
    """
    fitting = [n for n in reversed(free) if wanted <= nbytes[n] <= max(2 * wanted, 64)]
    return min(fitting, key=lambda name: nbytes[name], default=None)


def lifetimes(
    program: LoopProgram, at_once: Callable[[Repeat], bool] = lambda loop: False
) -> dict[str, Lifetime]:
    """From when to when each buffer is needed that is not the caller's, and no constant.

    Steps are counted in the order of `LoopProgram.all_steps`.
    """
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
        name: _lifetime(found)
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


def _lifetime(touches: list[_Touch]) -> Lifetime:
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
    return Lifetime(min(first), max(last))


def without_sharing(program: LoopProgram) -> LoopProgram:
    """The program in which each buffer has memory of its own."""
    alone = {name: replace(buffer, alias=None) for name, buffer in program.buffers.items()}
    return replace(program, buffers=alone)
