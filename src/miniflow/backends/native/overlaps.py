"""Rows that are added to places which overlap: gradients of windows, that of an image in the end.

    for each line of places:
        totals = the numbers that the line touches      # in registers
        for each place of the line, in order:
            totals[place ... place + length] += its row
        store the totals

One by one, each place would read what the one before has just written. Every number gets what is
added to it in the same order, one addition after the other, so that no bit changes.
"""

from __future__ import annotations

from functools import cache
from typing import Final, NamedTuple

from miniflow.backends.native import machine
from miniflow.backends.native.compiled import CompiledStep, MachineArgument
from miniflow.backends.native.processor import Processor
from miniflow.backends.native.writer import REALS, LineWriter
from miniflow.lowering.copies import plan_movement
from miniflow.lowering.loop_program import Copy

_FEWEST_LANES: Final = 4
_MOST_ADDITIONS: Final = 256  # vectors, without a loop


class Overlaps(NamedTuple):
    """So many `places`, whose rows have `length` numbers, `step` apart where they are added to, and
    `row` apart where they lie; `outer` axes are round it. `at_once` places are in registers.
    """

    dtype: str
    lanes: int
    places: int
    length: int
    step: int
    row: int
    outer: int
    at_once: int


def compiled_overlaps(copy: Copy) -> CompiledStep | None:
    """Make machine code of a copy that adds rows to places that overlap; None if it does not."""
    is_apart = copy.target.buffer != copy.source.buffer
    movement = plan_movement(copy.target, copy.source) if copy.adds and is_apart else None
    if movement is None or len(movement.lengths) < 2 or not movement.is_in_one_piece:
        return None
    (*outer, places, length), (*to, step, _), (*of, row, _), _ = movement
    found = plan_overlaps(copy.target.dtype, places, length, step, machine.processor())
    if found is None:
        return None
    text = print_overlaps(found._replace(row=row, outer=len(outer)))
    size, pairs = REALS[copy.target.dtype][1], zip(to, of, strict=True)
    handed: list[MachineArgument] = [copy.target, copy.source, *outer]
    handed += [size * steps for pair in pairs for steps in pair]
    return CompiledStep(machine.final_routine(text), tuple(handed))


def plan_overlaps(
    dtype: str, places: int, length: int, step: int, processor: Processor
) -> Overlaps | None:
    """Return how such rows are added up; None if they do not overlap, or not in whole vectors."""
    if dtype not in REALS or not 0 < step < length:
        return None
    lanes = processor.nbytes // REALS[dtype][1]
    while lanes > _FEWEST_LANES and (step % lanes or length % lanes):
        lanes //= 2
    if step % lanes or length % lanes:
        return None
    room = processor.registers * 7 // 8 * lanes  # numbers
    at_once = min((room - length) // step + 1, places)
    at_once = min(at_once, max(_MOST_ADDITIONS * lanes // length, 1))
    return Overlaps(dtype, lanes, places, length, step, 0, 0, at_once) if at_once > 1 else None


@cache
def print_overlaps(overlaps: Overlaps) -> str:
    """Return LLVM's text of the step `run(places, arguments)`: two places in memory, to which and
    what, the lengths of the outer axes, and for each of these two steps in bytes.
    """
    return _OverlapWriter(overlaps).text()


class _OverlapWriter(LineWriter):
    def __init__(self, overlaps: Overlaps) -> None:
        super().__init__()
        self.overlaps = overlaps
        self.real, self.size = REALS[overlaps.dtype]
        self.vector = f"<{overlaps.lanes} x {self.real}>"

    def text(self, *_: str) -> str:
        """Return all of the function."""
        self._axis(0, *map(self._place, (0, 2)))
        self.line("ret i64 0")
        return super().text("define i64 @run(ptr %places, ptr %arguments) nounwind")

    def _place(self, number: int) -> str:
        index = self.load("i64", "%arguments", 8 * number)
        base = self.load("ptr", "%places", self.multiply(index, 8))
        return self.at(base, self.load("i64", "%arguments", 8 * number + 8))

    def _axis(self, axis: int, to: str, of: str) -> None:
        outer = self.overlaps.outer
        if axis == outer:
            self._line(to, of)
            return
        count, *steps = (
            self.load("i64", "%arguments", 8 * (4 + place))
            for place in (axis, outer + 2 * axis, outer + 2 * axis + 1)
        )
        with self.loop(0, count) as index:
            moved = [
                self.at(x, self.multiply(index, step))
                for x, step in zip((to, of), steps, strict=True)
            ]
            self._axis(axis + 1, *moved)

    def _line(self, to: str, of: str) -> None:
        """All places of a line, some at once."""
        _, _, places, _, step, row, _, at_once = self.overlaps
        whole, rest = divmod(places, at_once)
        if whole == 1:
            self._some(to, of, at_once)
        else:
            with self.loop(0, whole) as turn:
                there = self.at(to, self.multiply(turn, at_once * step * self.size))
                self._some(
                    there, self.at(of, self.multiply(turn, at_once * row * self.size)), at_once
                )
        if rest:
            done = whole * at_once * self.size
            self._some(self.at(to, done * step), self.at(of, done * row), rest)

    def _some(self, to: str, of: str, count: int) -> None:
        _, lanes, _, length, step, row, _, _ = self.overlaps
        totals = [
            self.load(self.vector, to, first * self.size, self.size)
            for first in range(0, (count - 1) * step + length, lanes)
        ]
        for place in range(count):
            for first in range(0, length, lanes):
                number = (place * step + first) // lanes
                term = self.load(self.vector, of, (place * row + first) * self.size, self.size)
                totals[number] = self.new(f"fadd {self.vector} {totals[number]}, {term}")
        for number, total in enumerate(totals):
            where = self.at(to, number * lanes * self.size)
            self.line(f"store {self.vector} {total}, ptr {where}, align {self.size}")
