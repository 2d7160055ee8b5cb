"""Windows as rows of numbers, a few at a time, for the product that reads them.

    for each window of a block, in order:
        for each run of its elements that lie side by side:
            copy the run behind the one before

A convolution's matrix, whose rows are what a window sees in its places, is never there as a whole:
the driver has a block of its rows packed, small enough for the cache, and multiplies that. How
places and runs lie in the images is `WindowGeometry`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from functools import cache
from math import prod
from typing import Final, NamedTuple

from miniflow.backends.native.writer import REALS, LineWriter
from miniflow.lowering.loop_program import WindowMatrix

PLACE_AXES: Final = 4
RUN_AXES: Final = 3
# What the routine finds where the geometry lies: counts of the places, but of the first axis; steps
# from place to place and from run to run, in bytes.
GEOMETRY: Final = (
    *(f"places{axis}" for axis in range(1, PLACE_AXES)),
    *(f"place_step{axis}" for axis in range(PLACE_AXES)),
    *(f"run_step{axis}" for axis in range(RUN_AXES)),
)
_MOST_UNROLLED: Final = 40  # vectors


class WindowShape(NamedTuple):
    """The elements of a window: so many runs along each axis, each of `length` numbers."""

    runs: tuple[int, ...]
    length: int

    @property
    def size(self) -> int:
        """How many elements a window has."""
        return prod(self.runs) * self.length


class WindowGeometry(NamedTuple):
    """Where windows and their elements are: the axes of the places, and of the runs, and the steps
    along them, in numbers.
    """

    shape: WindowShape
    places: tuple[int, ...]
    place_steps: tuple[int, ...]
    run_steps: tuple[int, ...]

    def numbers(self, size: int) -> dict[str, int]:
        """What stands where the routine looks, for numbers of so many bytes."""
        values = (*self.places[1:], *(size * step for step in (*self.place_steps, *self.run_steps)))
        return dict(zip(GEOMETRY, values, strict=True))


def geometry_of(windows: WindowMatrix) -> WindowGeometry | None:
    """Return where windows lie; None if they have too many axes."""
    view, split = windows.view, windows.split
    places = merged_axes(view.shape[:split], view.strides[:split])
    runs = merged_axes(view.shape[split:], view.strides[split:])
    length = runs.pop()[0] if runs and runs[-1][1] == 1 else 1
    if len(places) > PLACE_AXES or len(runs) > RUN_AXES:
        return None
    places = [(1, 0)] * (PLACE_AXES - len(places)) + places
    runs = [(1, 0)] * (RUN_AXES - len(runs)) + runs
    shape = WindowShape(tuple(n for n, _ in runs), length)
    counts, steps = (tuple(axis[k] for axis in places) for k in (0, 1))
    return WindowGeometry(shape, counts, steps, tuple(step for _, step in runs))


def merged_axes(lengths: Sequence[int], steps: Sequence[int]) -> list[tuple[int, int]]:
    """Return lengths and steps, without axes of one; those that can be counted as one are."""
    found: list[tuple[int, int]] = []
    for length, step in zip(lengths, steps, strict=True):
        if length == 1:
            continue
        if found and found[-1][1] == length * step:
            found[-1] = (found[-1][0] * length, step)
        else:
            found.append((length, step))
    return found


@cache
def print_gather_windows(dtype: str, lanes: int, shape: WindowShape, has_masks: bool) -> str:
    """Return LLVM's text of `run(images, packed, first, count, geometry)`: so many windows, from
    the first one on, one after the other. It may write up to a vector beyond.
    """
    return _GatherWriter(dtype, lanes, shape, has_masks).text()


class _GatherWriter(LineWriter):
    def __init__(self, dtype: str, lanes: int, shape: WindowShape, has_masks: bool) -> None:
        super().__init__()
        self.real, self.size = REALS[dtype]
        self.dtype, self.lanes, self.shape, self.has_masks = dtype, lanes, shape, has_masks

    def text(self, *_: str) -> str:
        """Return all of the routine."""
        given = {word: self.load("i64", "%geometry", 8 * k) for k, word in enumerate(GEOMETRY)}
        inner = given[f"places{PLACE_AXES - 1}"]
        vectors = prod(self.shape.runs) * -(-self.shape.length // self.lanes)
        offsets = self._offsets(given) if vectors <= _MOST_UNROLLED else None
        end = self.add("%first", "%count")
        first, last = (self.new(f"udiv i64 {x}, {inner}") for x in ("%first", self.add(end, -1)))
        with self.loop(first, self.add(last, 1)) as stretch:
            begin = self.multiply(stretch, inner)
            there = self._stretch(stretch, given), self._step(begin, given)
            source = self.at("%images", self.new(f"sub i64 {there[0]}, {there[1]}"))
            low = self._larger(begin, "%first")
            high = self.smaller(self.add(begin, inner), end)
            with self.loop(low, high) as place:
                row = self.new(f"sub i64 {place}, %first")
                target = self.at("%packed", self.multiply(row, self.shape.size * self.size))
                self._copy(self.at(source, self._step(place, given)), target, offsets, given)
        self.line("ret void")
        return super().text(
            "define void @run(ptr %images, ptr %packed, i64 %first, i64 %count, ptr %geometry) "
            "nounwind"
        )

    def _step(self, place: str, given: dict[str, str]) -> str:
        return self.multiply(place, given[f"place_step{PLACE_AXES - 1}"])

    def _stretch(self, number: str, given: dict[str, str]) -> str:
        """Return where the places along the last axis begin, in bytes."""
        total = "0"
        for axis in reversed(range(PLACE_AXES - 1)):
            if axis:
                index = self.new(f"urem i64 {number}, {given[f'places{axis}']}")
                number = self.new(f"udiv i64 {number}, {given[f'places{axis}']}")
            else:
                index = number
            total = self.add(total, self.multiply(index, given[f"place_step{axis}"]))
        return total

    def _larger(self, a: str, b: str) -> str:
        self.declarations.add("declare i64 @llvm.umax.i64(i64, i64)")
        return self.new(f"call i64 @llvm.umax.i64(i64 {a}, i64 {b})")

    def _offsets(self, given: dict[str, str]) -> list[str]:
        """Return where each run of a window begins, in bytes."""
        found = []
        for index in itertools.product(*map(range, self.shape.runs)):
            terms = [
                self.multiply(given[f"run_step{axis}"], i) for axis, i in enumerate(index) if i
            ]
            total = terms[0] if terms else "0"
            for term in terms[1:]:
                total = self.add(total, term)
            found.append(total)
        return found

    def _copy(
        self, source: str, target: str, offsets: list[str] | None, given: dict[str, str]
    ) -> None:
        """Copy one window."""
        nbytes = self.shape.length * self.size
        if offsets is not None:
            for number, offset in enumerate(offsets):
                self._copy_run(self.at(source, offset), self.at(target, number * nbytes))
            return
        first, second, third = self.shape.runs
        with self.loop(0, first) as i, self.loop(0, second) as j, self.loop(0, third) as k:
            run = self.add(self.multiply(self.add(self.multiply(i, second), j), third), k)
            for axis, index in enumerate((i, j, k)):
                source = self.at(source, self.multiply(index, given[f"run_step{axis}"]))
            self._copy_run(source, self.at(target, self.multiply(run, nbytes)))

    def _copy_run(self, source: str, target: str) -> None:
        length = self.shape.length
        whole = length // self.lanes * self.lanes
        if whole > _MOST_UNROLLED * self.lanes:
            with self.loop(0, whole, self.lanes) as column:
                begin = self.multiply(column, self.size)
                self._copy_vector(self.at(source, begin), self.at(target, begin), self.lanes)
        else:
            for vector in range(0, whole, self.lanes):
                begin = str(vector * self.size)
                self._copy_vector(self.at(source, begin), self.at(target, begin), self.lanes)
        for first, count in self._parts(length - whole):
            begin = str((whole + first) * self.size)
            self._copy_vector(self.at(source, begin), self.at(target, begin), count)

    def _parts(self, rest: int) -> Iterator[tuple[int, int]]:
        """What is left of a run: one vector that is cut, or numbers."""
        if rest and self.has_masks and rest > 1:
            yield 0, rest
        else:
            yield from ((k, 1) for k in range(rest))

    def _copy_vector(self, source: str, target: str, count: int) -> None:
        if count == 1:
            value = self.load(self.real, source, align=self.size)
            self.line(f"store {self.real} {value}, ptr {target}, align {self.size}")
            return
        lanes = 1 << (count - 1).bit_length()
        kind, masks = f"<{lanes} x {self.real}>", f"<{lanes} x i1>"
        if count == lanes:
            value = self.load(kind, source, align=self.size)
        else:  # what is stored beyond, the next run overwrites
            function = f"@llvm.masked.load.v{lanes}{self.dtype}.p0"
            self.declarations.add(f"declare {kind} {function}(ptr, i32, {masks}, {kind})")
            mask = ", ".join(f"i1 {int(lane < count)}" for lane in range(lanes))
            rest = f"ptr {source}, i32 {self.size}, {masks} <{mask}>, {kind} zeroinitializer"
            value = self.new(f"call {kind} {function}({rest})")
        self.line(f"store {kind} {value}, ptr {target}, align {self.size}")
