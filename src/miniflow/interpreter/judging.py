"""A gradient judged at one point by differences.

Small inputs are moved entry by entry. Of a large one, a random sample of entries is moved one by
one, and all entries are moved at once, along random directions: one for each magnitude of their
gradients, so that a small one is not lost among large ones. Where a direction does not agree,
halving it finds the entry.
"""

from __future__ import annotations  # np.random.Generator, looked at, would load numpy.random

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from miniflow.interpreter.differences import (
    Array,
    Direction,
    Function,
    Measured,
    Verdict,
    examine,
    measure,
)

# Entries of an input that are moved one by one, at most: each costs two forward calls.
SAMPLES = 100
# Of an input with more entries than that, since random directions cover them all.
SAMPLES_OF_LARGE = 50
# Directions examined with steps of many sizes, at most, of each kind: each takes some twenty calls.
EXAMINED = 6
LONG = 1000.0  # a long step, in short ones


class Probe(NamedTuple):
    """A direction, what the gradient says of it, and what differences say."""

    direction: Direction
    said: float
    measured: Measured
    allowed: float
    finding: Verdict = Verdict.AGREES

    @property
    def entry(self) -> int | None:
        """The entry that was moved, if it was one."""
        return int(self.direction.entries[0]) if self.direction.entries.size == 1 else None

    @property
    def excess(self) -> float:
        """How far off it is, where 1 is allowed."""
        error = abs(self.said - self.measured.total)
        if not np.isfinite(error):
            return np.inf
        return error / self.allowed if error else 0.0

    @property
    def is_conclusive(self) -> bool:
        """Whether it agrees, and one step was enough to tell."""
        found = self.measured
        return self.excess <= 1 and found.is_finite and found.rounding <= 0.01 * found.size

    def is_bent(self, scale: float) -> bool:
        """Whether this may be a kink: the slopes ahead and behind are far apart."""
        found = self.measured
        visible = max(0.01 * found.size, 1e-6 * scale, 10 * found.bend_rounding)
        return not found.is_finite or found.bend > visible

    def per_entry(self, change: float) -> float:
        """A change along the direction, as a gradient."""
        return float(change / np.linalg.norm(self.direction.amounts))


class Judgement(NamedTuple):
    """What was found at one point."""

    probes: list[Probe]  # as one step told
    wrong: Probe | None
    not_differentiable: list[Probe]
    is_hidden: bool  # whether the gradients are too small to be told from rounding

    @property
    def worst(self) -> Probe | None:
        """Of the entries that can be told best, the one that is furthest off."""
        entries = [probe for probe in self.probes if probe.entry is not None]
        clear = [probe for probe in entries if probe.is_conclusive and probe.measured.size]
        good = clear or [probe for probe in entries if probe.excess <= 1] or entries
        return max(good, key=lambda probe: probe.excess, default=None)


class Judge:
    """Compares a gradient, for the sum of the upstream gradients, with differences.

    Args:
        function: what is differentiated, and where.
        gradient: what `backward` left.
        tolerance: relative to the size of the terms that add up to a derivative.
    """

    def __init__(self, function: Function, gradient: Array, tolerance: float) -> None:
        self.function = function
        self.gradient = gradient
        self.tolerance = tolerance
        self.tolerance_of_many = tolerance
        # What is left where terms of the upstream gradient's size cancel out in `backward`.
        largest = float(np.max(np.abs(function.upstream), initial=0.0))
        self.floor = 20 * function.precision * largest
        # The same where no step changes anything, as when a norm divides what it is the norm of:
        # along a direction, terms of the value's size cancel out.
        terms = np.abs(function.upstream * np.where(np.isfinite(function.value), function.value, 0))
        self.floor_if_still = 20 * function.precision * float(np.max(terms, initial=0.0))

    def judge(self, rng: np.random.Generator, samples: int = SAMPLES) -> Judgement:
        """Probe all entries, and examine what one step cannot tell."""
        probes = self._probes(rng, samples)
        scale = max((probe.measured.size for probe in probes), default=0.0)
        bent = [probe for probe in probes if probe.is_bent(scale)]
        straight = [p for p in probes if not p.is_bent(scale) and not p.is_conclusive]
        wrong, spoilt = [], []
        for doubtful in (straight, bent):
            for probe in sorted(doubtful, key=lambda probe: -probe.excess)[:EXAMINED]:
                found = self._examine(probe)
                if found.finding is Verdict.DIFFERS:
                    wrong += self._wrong_entry(found)
                elif found.finding is not Verdict.AGREES:
                    spoilt.append(self._narrow(found, _bend))
        worst = max(wrong, key=lambda probe: probe.excess, default=None)
        sizes = [probe.per_entry(max(abs(probe.said), probe.measured.size)) for probe in probes]
        is_hidden = 0 < max(sizes, default=0.0) < 10 * self.floor
        return Judgement(probes, worst, spoilt, is_hidden)

    def _probes(self, rng: np.random.Generator, samples: int) -> list[Probe]:
        """Entries one by one, and then, if these are not all, random directions."""
        flat = self.function.at.reshape(-1)
        movable = np.flatnonzero(np.isfinite(flat))  # a -inf that masks something stays
        sizes = np.abs(flat)
        largest = float(np.max(sizes[movable], initial=0.0)) or 1.0
        sizes = np.where(sizes > 0, sizes, largest)
        tested = rng.permutation(movable)
        is_smooth = np.isfinite(self.gradient.reshape(-1))
        if tested.size > samples:
            strange = tested[~is_smooth[tested]][:10]
            tested = np.concatenate([strange, tested])[: min(SAMPLES_OF_LARGE, samples)]
        probes = [self._probe(Direction(np.array([i]), sizes[[i]])) for i in tested]
        if movable.size > tested.size:
            # One entry of many is a small part of their sum, which therefore has to agree as well
            # as these entries did.
            good = [p for p in probes if p.is_conclusive and p.measured.size]
            errors = [abs(p.said - p.measured.total) / p.measured.size for p in good]
            self.tolerance_of_many = min(self.tolerance, max([1e-8, *(30 * e for e in errors)]))
            smooth = movable[is_smooth[movable]]
            weights = np.abs(self.gradient.reshape(-1)) * sizes
            for entries in _by_magnitude(smooth, weights):
                signs = rng.choice([-1.0, 1.0], entries.size)
                amounts = signs * rng.uniform(0.5, 1.5, entries.size) * sizes[entries]
                probes.append(self._probe(Direction(entries, amounts)))
        return probes

    def _probe(self, direction: Direction) -> Probe:
        """One step along a direction; a long one where a short one changes nothing."""
        step = self.function.step
        measured = measure(self.function, direction, step)
        if not np.any(measured.moved) and measured.is_finite:
            measured = measure(self.function, direction, LONG * step)
        said, allowed = direction.of(self.gradient), self._allowance(direction, measured)
        return Probe(direction, said, measured, allowed)

    def _examine(self, probe: Probe) -> Probe:
        """Steps of many sizes along a direction."""
        at, amounts = self.function.at, np.abs(probe.direction.amounts)
        largest = float(np.max(np.abs(at), where=np.isfinite(at), initial=0.0))
        finding, measured = examine(
            self.function,
            probe.direction,
            probe.said,
            tolerance=self._tolerance_of(probe.direction),
            floor=self.floor * float(np.linalg.norm(amounts)),
            floor_if_still=self.floor_if_still,
            reach=largest / float(np.max(amounts)),
        )
        allowed = self._allowance(probe.direction, measured)
        return Probe(probe.direction, probe.said, measured, allowed, finding)

    def _tolerance_of(self, direction: Direction) -> float:
        return self.tolerance if direction.entries.size == 1 else self.tolerance_of_many

    def _allowance(self, direction: Direction, measured: Measured) -> float:
        floor = self.floor * float(np.linalg.norm(direction.amounts))
        if not np.any(measured.moved):
            floor = max(floor, self.floor_if_still)
        return self._tolerance_of(direction) * measured.size + measured.rounding + floor

    def _wrong_entry(self, probe: Probe) -> list[Probe]:
        """The entry because of which a direction does not agree; the direction, if all have a part
        in it; nothing, if their errors are tolerable.
        """
        if probe.entry is not None:
            return [probe]
        found = self._examine(self._narrow(probe, lambda half: half.excess))
        if found.finding is Verdict.DIFFERS:
            return [found]
        tolerable = probe.allowed + self.tolerance * probe.measured.size
        return [probe] if abs(probe.said - probe.measured.total) > tolerable else []

    def _narrow(self, probe: Probe, badness: Callable[[Probe], float]) -> Probe:
        """The worst entry of a direction, by halving."""
        finding = probe.finding
        while probe.entry is None:
            probe = max(map(self._probe, probe.direction.halves()), key=badness)
        return probe._replace(finding=finding)


def _by_magnitude(entries: Array, weights: Array) -> Iterator[Array]:
    """The entries whose weights are 0; and the others, two powers of ten together, the smallest of
    them in a sixth group.
    """
    logs = np.full(weights.shape, -np.inf)
    np.log10(weights, where=weights > 0, out=logs)
    largest = np.max(logs[entries], where=np.isfinite(logs[entries]), initial=-np.inf)
    with np.errstate(invalid="ignore"):
        groups = np.where(weights > 0, np.minimum((largest - logs) // 2, 5), -1)
    for group in np.unique(groups[entries]):
        yield entries[groups[entries] == group]


def _bend(probe: Probe) -> float:
    return probe.measured.bend if probe.measured.is_finite else np.inf
