"""Derivatives by differences, and how far they can be trusted.

`measure` moves an array a little along a direction, there and back, and looks at what a function
makes of it: `(f(x + h d) - f(x - h d)) / 2h`. The step is relative: a direction says for each entry
how far it goes per unit of h, which is its own size. So 1e6 and 1e-6 can stand in one array.

One step is not always enough. `examine` takes many, from large to small, and says what they make of
a gradient: that it `AGREES` or `DIFFERS`; or that there is no derivative here, because the function
has a `KINK` (or a tie), a `JUMP`, or is defined on one side only (`OUTSIDE`); or that the
differences are too `ROUGH` to tell. How the numbers behave as the step shrinks tells these apart:
the difference of the two one-sided slopes goes to 0 where a function is smooth, stays where it has
a kink, and grows where it jumps.
"""

from collections.abc import Callable, Sequence
from enum import Enum
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]


class Direction(NamedTuple):
    """Which entries of an array move, and how far each of them does per unit of the step."""

    entries: Array  # indices into the flat array
    amounts: Array

    def move(self, at: Array, step: float) -> Array:
        """The array, a step further."""
        moved = at.copy()
        moved.reshape(-1)[self.entries] += step * self.amounts
        return moved

    def of(self, gradient: Array) -> float:
        """The derivative in this direction that a gradient says."""
        return float(np.sum(gradient.reshape(-1)[self.entries] * self.amounts))

    def halves(self) -> tuple["Direction", "Direction"]:
        middle = self.entries.size // 2
        first, second = slice(None, middle), slice(middle, None)
        return (
            Direction(self.entries[first], self.amounts[first]),
            Direction(self.entries[second], self.amounts[second]),
        )


class Function(NamedTuple):
    """What is differentiated, and the upstream gradients with which its slopes are summed up."""

    compute: Callable[[Array], Array]
    at: Array
    value: Array  # compute(at)
    upstreams: Sequence[Array]  # of as many consumers
    upstream: Array  # their sum
    shown: Array  # the upstream gradient of the pass, for the numbers that are told
    precision: float  # of the numbers that compute returns: their dtype's epsilon

    @property
    def step(self) -> float:
        """Near the cube root of the precision: where rounding and curvature weigh the same."""
        return float(self.precision ** (1 / 3))


class Measured(NamedTuple):
    """Differences over one step along one direction, summed up with each upstream gradient."""

    step: float
    parts: Array  # the derivative, for each of the upstream gradients
    shown: float  # the same for the upstream gradient of the pass
    shown_bend: float  # by how much the slope ahead is larger than the slope behind
    size: float  # of the terms that were summed up
    rounding: float  # how far it may have put the sum off
    bend: float  # the size of (slope ahead - slope behind)
    bend_rounding: float
    is_finite: bool
    moved: Array  # which entries of the value have changed at all

    @property
    def total(self) -> float:
        return float(np.sum(self.parts))


def measure(
    f: Function, direction: Direction, step: float, depends: Array | None = None
) -> Measured:
    """`Σ upstream · slope` along a direction, by central differences over one step.

    `depends` says for each entry of the value whether larger steps have moved it: what does not
    move over this one may still have been rounded.
    """
    there = f.compute(direction.move(f.at, step))
    back = f.compute(direction.move(f.at, -step))
    counts = np.isfinite(f.value)
    is_finite = bool(np.all(np.isfinite(there[counts]) & np.isfinite(back[counts])))
    counts &= np.isfinite(there) & np.isfinite(back)
    slope = np.where(counts, there - back, 0.0) / (2 * step)
    bend = np.where(counts, (there - f.value) - (f.value - back), 0.0) / step
    moved = counts & ((there != f.value) | (back != f.value))
    magnitudes = np.abs(f.upstream * np.maximum(np.abs(there), np.abs(back)))
    rounded = moved if depends is None else moved | (depends & counts)
    rounding = 4 * f.precision * float(np.sum(magnitudes[rounded])) / step
    return Measured(
        step,
        np.array([np.sum(g * slope) for g in f.upstreams]),
        float(np.sum(np.where(slope == 0, 0.0, f.shown * slope))),
        float(np.sum(np.where(bend == 0, 0.0, f.shown * bend))),
        float(np.linalg.norm(f.upstream * slope)),
        rounding,
        float(np.sum(np.abs(f.upstream * bend))),
        2 * rounding,
        is_finite,
        moved,
    )


class Verdict(Enum):
    """What differences say of a gradient."""

    AGREES = "agrees"
    DIFFERS = "differs"
    KINK = "kink"
    JUMP = "jump"
    OUTSIDE = "outside"
    ROUGH = "rough"


class Examined(NamedTuple):
    finding: Verdict
    measured: Measured  # over the step that can be trusted most


def examine(
    f: Function,
    direction: Direction,
    said: float,
    *,
    tolerance: float,
    floor: float,
    floor_if_still: float,
    reach: float,
) -> Examined:
    """Judge what a gradient says of one direction by steps of many sizes.

    Args:
        f: the function.
        direction: the direction.
        said: the derivative in that direction, as the gradient has it.
        tolerance: allowed relative to the size of the terms.
        floor: allowed in any case. floor_if_still: if no step changes the function.
        reach: how many times the usual step the largest step is at least.
    """
    largest = max(3, int(np.ceil(np.log10(max(reach, 1.0)))) + 1)
    measured: list[Measured] = []
    depends = np.zeros(f.value.shape, bool)
    for k in range(largest, -7, -1):
        measured.insert(0, measure(f, direction, f.step * 10.0**k, depends))
        depends = depends | measured[0].moved
    finite = [m for m in measured if m.is_finite]
    is_defined = np.isfinite(said) or bool(np.all(np.isfinite(f.value)))
    if len(finite) < 3 or not measured[0].is_finite or not is_defined:
        return Examined(Verdict.OUTSIDE, measured[0])
    if (jump := _jump(finite)) is not None:
        return Examined(Verdict.JUMP, jump)
    doubts = _doubts(finite)
    best = int(np.argmin(doubts))
    found = finite[best]
    if _is_kink(*finite[min(best, len(finite) - 2) :][:2]):
        return Examined(Verdict.KINK, found)
    # What computes in float32 inside does not move at all over the finest steps.
    moves = [i for i, m in enumerate(finite) if np.any(m.moved)]
    if not moves:
        moves, floor = [best], max(floor, floor_if_still)
    for i in (best, min(moves, key=lambda i: doubts[i])):
        m = finite[i]
        if abs(said - m.total) <= tolerance * m.size + 2 * doubts[i] + floor:
            return Examined(Verdict.AGREES, m)
    if doubts[best] > 0.1 * max(abs(said), abs(found.total)):
        return Examined(Verdict.ROUGH, found)
    return Examined(Verdict.DIFFERS, found)


def _doubts(measured: Sequence[Measured]) -> Array:
    """How far off each of the slopes may be: how much its neighbours differ, and rounding; that of
    the dtype, and that which shows over finer steps, where the code itself rounds.
    """
    gaps = np.abs(np.diff([m.total for m in measured]))
    steps = np.array([m.step for m in measured])
    leaps = np.insert(np.maximum.accumulate(gaps * steps[:-1]), 0, 0.0)
    around = np.maximum(np.append(gaps, 0.0), np.insert(gaps, 0, 0.0))
    doubts: Array = np.maximum(around, leaps / steps) + [m.rounding for m in measured]
    return doubts


def _jump(measured: Sequence[Measured]) -> Measured | None:
    """Whether the slope grows as the step shrinks; at the finest steps at which it would show."""
    for fine, coarse in pairwise(measured):
        if coarse.size > 10 * max(coarse.rounding, fine.rounding):
            return fine if fine.size > 2 * coarse.size else None
    return None


def _is_kink(fine: Measured, coarse: Measured) -> bool:
    """Whether the slopes ahead and behind stay as far apart when the step shrinks tenfold."""
    is_visible = coarse.bend > 10 * max(coarse.bend_rounding, fine.bend_rounding)
    return is_visible and fine.bend > 0.3 * coarse.bend
