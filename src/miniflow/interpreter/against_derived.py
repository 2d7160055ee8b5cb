"""A hand-written `backward` against the gradient that is derived from the node's own `forward`.

Both compute the same in another order, so they agree to rounding, where central differences let an
error of 1e-7 pass. What they differ by is held against what rounding can do to the derived one: how
far that moves if its inputs move by a few bits. Where there is no derivative (a kink, a tie), two
choices are as good as each other: they agree beside that point. Such entries, and those that are
not finite, are left to the differences.
"""

from __future__ import annotations  # np.random.Generator, looked at, would load numpy.random

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from miniflow.errors import MiniflowError
from miniflow.graph import Node
from miniflow.interpreter.bench import Array, Bench
from miniflow.interpreter.edges import EdgeCheck, NodeTrial

RELATIVE = 1e-9  # to the largest entry of the gradient
_ROUNDINGS = 1000.0  # of a dtype that is narrower, if the node computes in one
_MOVED = 2.0**-36  # by how much inputs are moved, to see what rounding does
_BITS = 64 * 2.0**-16  # of such a move: some sixty units in the last place


class Comparison(NamedTuple):
    """One gradient compared: the first entry that differs, and how many were left out."""

    entry: int | None
    derived: Array
    left_out: int


def compare_with_derived(
    bench: Bench,
    trial: NodeTrial,
    edges: list[EdgeCheck],
    tolerance: float | None,
    rng: np.random.Generator,
) -> list[EdgeCheck]:
    """The edges of a node; one that passed, and differs from what is derived, does not pass."""
    if bench.node.derives_gradient or bench.is_random or trial.run.value.dtype != float:
        return edges
    compared = _Compared(bench, trial, RELATIVE if tolerance is None else tolerance, rng)
    if compared.derived is None:
        return edges
    return [compared.judge(edge) if edge.passed else edge for edge in edges]


class _Compared:
    """The gradients of a node for one upstream gradient, and the derived ones."""

    def __init__(
        self, bench: Bench, trial: NodeTrial, relative: float, rng: np.random.Generator
    ) -> None:
        self.bench = bench
        self.trial = trial
        self.relative = relative
        self.rng = rng
        self.upstream = np.sum(trial.upstreams, axis=0)[()]
        # What is left where terms of the upstream gradient's size cancel out; and along an entry,
        # where its size does not matter, terms of the value's.
        value = np.where(np.isfinite(trial.run.value), trial.run.value, 0.0)
        some_bits = 20 * np.finfo(float).eps
        self.floor = some_bits * float(np.max(np.abs(self.upstream), initial=0.0))
        self.floor_if_0 = some_bits * float(np.max(np.abs(self.upstream * value), initial=0.0))
        self.derived = self._derive(trial.values)

    def judge(self, edge: EdgeCheck) -> EdgeCheck:
        """The edge as it is, with a remark perhaps; or one that does not pass."""
        found = self._compare(edge.source, has_steps=bool(edge.remark))
        if found is None:
            return edge
        if found.entry is not None:
            return self._wrong(edge, found)
        if not found.left_out:
            return edge
        entries = "entry" if found.left_out == 1 else "entries"
        told = f"; {found.left_out} {entries} not compared with the derived gradient"
        return edge._replace(remark=told + edge.remark)

    def _compare(self, source: Node, has_steps: bool) -> Comparison | None:
        derived = (self.derived or {}).get(source)
        ours = self.trial.run.gradients[source]
        if derived is None or ours.dtype != float or derived.shape != ours.shape:
            return None
        is_finite = np.isfinite(ours) & np.isfinite(derived)
        at = np.abs(np.asarray(self.trial.values[source], float))
        apart = is_finite & self._is_apart(ours, derived, 0.0)
        apart &= (derived != 0) | (np.abs(ours) * at > self.floor_if_0)
        if np.any(apart):
            apart &= self._is_apart(ours, derived, self._rounding_error(source, derived))
        differs = apart & self._differs_beside(source) if np.any(apart) else apart
        if has_steps:  # flat nearly everywhere, and the author may know better: a rounding
            differs &= derived != 0
        wrong = np.flatnonzero(differs)
        left_out = ours.size - int(np.sum(is_finite)) + int(np.sum(apart & ~differs))
        return Comparison(int(wrong[0]) if wrong.size else None, derived, left_out)

    def _is_apart(self, ours: Array, derived: Array, rounding: Any) -> Array:
        finite = np.abs(derived)[np.isfinite(derived)]
        largest = float(np.max(finite, initial=0.0))
        apart: Array = np.abs(ours - derived) > self.relative * largest + self.floor + rounding
        return apart

    def _rounding_error(self, source: Node, derived: Array) -> Any:
        """How far the derived gradient moves if its inputs move by a few bits."""
        moved = self._derive(self._move(_MOVED, 0.0))
        if moved is None:
            return np.inf
        with np.errstate(all="ignore"):
            change = np.abs(moved[source] - derived)
        return _BITS * np.where(np.isfinite(change), change, 0.0)

    def _differs_beside(self, source: Node) -> Any:
        """Where the two differ near by as well, on either side."""
        differ: Any = True
        for side in (0.01, -0.01):
            values = self._move(side, side)
            try:
                upstreams = None if self.trial.end else self.trial.upstreams
                ours = self.bench.run(values, upstreams).gradients[source]
            except MiniflowError:
                continue
            derived = self._derive(values)
            if derived is not None:
                finite = np.isfinite(ours) & np.isfinite(derived[source])
                differ = differ & (finite & self._is_apart(ours, derived[source], 0.0))
        return differ

    def _move(self, share: float, at_zero: float) -> dict[Node, Any]:
        """The values moved by a share of themselves; a 0 by a share of the largest."""
        values = dict(self.trial.values)
        for source in self.bench.sources:
            value = np.array(values[source], float)
            u = self.rng.uniform(0.5, 1.0, value.shape)
            largest = float(np.max(np.abs(value), where=np.isfinite(value), initial=0.0)) or 1.0
            moved = np.where(value == 0, at_zero * largest * u, value * (1 + share * u))
            values[source] = moved[()]
        return values

    def _derive(self, values: Mapping[Node, Any]) -> dict[Node, Array] | None:
        """None where nothing can be derived."""
        try:
            derived, dtype = self.bench.derive(values, self.upstream)
        except MiniflowError:
            return None
        self.relative = max(self.relative, _ROUNDINGS * float(np.finfo(dtype).eps))
        return derived

    def _wrong(self, edge: EdgeCheck, found: Comparison) -> EdgeCheck:
        ours = self.trial.run.gradients[edge.source].reshape(-1)
        derived, entry = found.derived.reshape(-1), found.entry or 0
        largest = float(np.max(np.abs(derived[np.isfinite(derived)])))
        share = abs(ours[entry] - derived[entry]) / (largest or 1.0)
        where = np.unravel_index(entry, found.derived.shape)
        return edge._replace(
            at=tuple(map(int, where)),
            analytic=float(ours[entry]),
            numerical=float(derived[entry]),
            passed=False,
            against="the gradient derived from its forward(),",
            remark=f" with a random upstream gradient: {share:.0e} of the largest entry apart",
            total=None,
        )
