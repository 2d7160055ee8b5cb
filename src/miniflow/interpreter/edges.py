"""One edge of the graph checked: a node's gradient with respect to one of its inbound nodes.

Where there is no derivative (a kink, a tie, a jump, the end of a domain), or the gradients are so
small that rounding hides them, the edge is judged beside that point: the code is the same there.
"""

from __future__ import annotations  # np.random.Generator, looked at, would load numpy.random

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from miniflow.errors import GraphError
from miniflow.graph import Node
from miniflow.interpreter.bench import Bench, NodeRun
from miniflow.interpreter.differences import Array, Function, Verdict
from miniflow.interpreter.judging import SAMPLES, Judge, Judgement, Probe
from miniflow.interpreter.mistakes import ONE_HALF_BACK, is_proportional, likeliest_mistake

# Relative to the size of the terms, per dtype of the least precise of value and gradient.
TOLERANCE = {np.dtype(np.float16): 3e-2, np.dtype(np.float32): 2e-3, np.dtype(np.float64): 1e-5}
# Beside a point, fewer entries are moved one by one.
SAMPLES_BESIDE = 20

WITH_A_RANDOM_ONE = " with a random upstream gradient"


class EdgeCheck(NamedTuple):
    """One edge: a node's gradient with respect to one of its inbound nodes, at the worst entry."""

    node: Node
    source: Node
    at: tuple[int, ...]
    analytic: float
    numerical: float
    shape: tuple[int, ...]
    passed: bool
    remark: str = ""
    """What else there is to know: ` with a random upstream gradient`, `: its sign is wrong`."""
    total: float | None = None
    """The whole gradient at that entry, if other nodes contribute to it too."""
    against: str = "central differences"
    """What it was compared with, where it is told."""

    def __str__(self) -> str:
        where = f" at index {self.at} of shape {self.shape}" if self.at else ""
        whose = "the" if self.total is None else "its part of the"
        whole = "" if self.total is None else f", {self.total:.6g} in all,"
        ours, theirs = self.analytic + 0.0, self.numerical + 0.0
        digits = 6 if self.passed or f"{ours:.6g}" != f"{theirs:.6g}" else 14
        return (
            f"{self.node}: {whose} gradient with respect to {self._source_as_told()}{where}{whole} "
            f"is {ours:.{digits}g} by {self._by()} and {theirs:.{digits}g} by {self.against}"
            f"{self.remark}."
        )

    def _by(self) -> str:
        return "the derived gradient" if self.node.derives_gradient else "backward()"

    def _source_as_told(self) -> str:
        # Where two inputs look alike, the reader needs to know which of them it is.
        inbound = list(dict.fromkeys(self.node.inbound_nodes))
        if [node.label for node in inbound].count(self.source.label) == 1:
            return self.source.label
        return f"inbound_nodes[{self.node.inbound_nodes.index(self.source)}], {self.source.label},"


class NodeTrial(NamedTuple):
    """What a node's code made of the values of its inputs, and of upstream gradients."""

    values: Mapping[Node, Any]  # floating ones in float64
    upstreams: Sequence[Array]  # of as many consumers; one of ones at the end of a pass
    run: NodeRun
    halved: NodeRun | None  # for ONE_HALF_BACK times the upstream gradients
    end: str = ""  # why the node was run as the end of a pass, if it was


class OfPass(NamedTuple):
    """What the pass itself left on an edge: the numbers that are told."""

    upstream: Array  # of the node
    gradient: Array  # for the inbound node, from this node
    total: Array | None  # from all its consumers, if there are others


class Edge:
    """A node on a bench, and the inbound node with respect to which its gradient is checked."""

    def __init__(
        self, bench: Bench, source: Node, of_pass: OfPass, tolerance: float | None
    ) -> None:
        self.bench = bench
        self.source = source
        self.of_pass = of_pass
        self.tolerance = tolerance

    def check(self, trial: NodeTrial, own: NodeRun | None, rng: np.random.Generator) -> EdgeCheck:
        """Judge the gradient that a trial left; where that cannot be done, one beside it.

        Args:
            trial: in float64.
            own: the same in the dtypes of the pass; None if these are float64.
            rng: for the directions.
        """
        with self._judge(trial) as judge:
            here = judge.judge(rng)
            if here.wrong is not None:
                return self._wrong(here.wrong, here, trial)
        gradient = trial.run.gradients[self.source]
        if trial.halved is not None:
            halved = trial.halved.gradients[self.source]
            if not is_proportional(gradient, halved):
                return self._not_proportional(gradient, halved)
        if own is not None and (imprecise := self._imprecise(trial, own)) is not None:
            return imprecise
        remark = "".join(map(self._not_differentiable, here.not_differentiable[:1]))
        if here.is_hidden:
            remark += "; too small to be told from rounding"
        if remark:
            beside = self._check_beside(trial, here, rng)
            if isinstance(beside, EdgeCheck):
                return beside
            remark += beside
        if trial.end:
            remark += f"; judged as the end of a pass, with ones, since {trial.end}"
        return self._pass_of(here.worst, own, remark)

    @contextmanager
    def _judge(self, trial: NodeTrial) -> Iterator[Judge]:
        at = np.array(trial.values[self.source], float, order="C")
        gradient = trial.run.gradients[self.source]
        least_precise = max(
            (dtype for dtype in (trial.run.value.dtype, gradient.dtype) if dtype in TOLERANCE),
            key=lambda dtype: np.finfo(dtype).eps,
            default=np.dtype(float),
        )
        with self.bench.function(self.source, trial.values) as compute:
            function = Function(
                compute,
                at,
                trial.run.value.astype(float),
                trial.upstreams,
                np.sum(trial.upstreams, axis=0),
                np.broadcast_to(self.of_pass.upstream, trial.run.value.shape),
                float(np.finfo(least_precise).eps),
            )
            tolerance = TOLERANCE[least_precise] if self.tolerance is None else self.tolerance
            yield Judge(function, gradient.astype(float), tolerance)

    def _check_beside(
        self, trial: NodeTrial, here: Judgement, rng: np.random.Generator
    ) -> EdgeCheck | str:
        """A wrong gradient near a point at which there is none; else what to remark."""
        at = np.array(trial.values[self.source], float)
        for beside in _points_beside(at, here.is_hidden, rng):
            values = {**trial.values, self.source: beside}
            try:
                run = self.bench.run(values, None if trial.end else trial.upstreams)
            except GraphError:  # the code does not take such a number
                continue
            if not np.all(np.isfinite(run.value) >= np.isfinite(trial.run.value)):
                continue
            moved = trial._replace(values=values, run=run, halved=None)
            with self._judge(moved) as judge:
                found = judge.judge(rng, min(SAMPLES, SAMPLES_BESIDE))
                if found.wrong is not None:
                    return self._wrong(found.wrong, found, moved, is_beside=True)
            if not found.not_differentiable and not found.is_hidden:
                return "; judged beside it"
        return "; not judged"

    def _pass_of(self, worst: Probe | None, own: NodeRun | None, remark: str) -> EdgeCheck:
        """What to tell of an edge in which nothing is wrong."""
        shape = np.shape(self.of_pass.gradient)
        if worst is None:
            return EdgeCheck(self.bench.node, self.source, (), 0.0, 0.0, shape, True, remark)
        check = self._check_of(worst, True, remark)
        error = abs(check.analytic - check.numerical)
        if (
            own is not None
            and not remark
            and not error <= 0.05 * worst.per_entry(worst.measured.size)
        ):
            dtype = own.gradients[self.source].dtype
            return check._replace(remark=f"; {dtype} is too coarse to hold it")
        return check

    def _check_of(self, probe: Probe, passed: bool, remark: str) -> EdgeCheck:
        """The numbers of the pass, at the entry of a probe."""
        gradient, total = self.of_pass.gradient, self.of_pass.total
        entry = probe.entry or 0
        return EdgeCheck(
            self.bench.node,
            self.source,
            _index(entry, gradient.shape),
            float(gradient.flat[entry]),
            probe.measured.shown / float(probe.direction.amounts[0]),
            gradient.shape,
            passed,
            remark,
            None if total is None else float(total.flat[entry]),
        )

    def _wrong(
        self, probe: Probe, judgement: Judgement, trial: NodeTrial, is_beside: bool = False
    ) -> EdgeCheck:
        gradients = {n: g.astype(float) for n, g in trial.run.gradients.items()}
        gradient = gradients.pop(self.source)
        halved = None if trial.halved is None else trial.halved.gradients[self.source]
        remark = likeliest_mistake([*judgement.probes, probe], gradient, halved, gradients)
        if probe.entry is not None and not is_beside:
            check = self._check_of(probe, False, remark)
            if not _are_close(check):
                return check
        if not trial.end:
            remark = WITH_A_RANDOM_ONE + remark
        if is_beside:
            remark = " beside this point" + remark
        if probe.entry is None:
            remark = " in a random direction" + remark
        amount = float(probe.direction.amounts[0]) if probe.entry is not None else 1.0
        return EdgeCheck(
            self.bench.node,
            self.source,
            () if probe.entry is None else _index(probe.entry, gradient.shape),
            probe.said / amount,
            probe.measured.total / amount,
            gradient.shape,
            False,
            remark,
        )

    def _not_proportional(self, gradient: Array, halved: Array) -> EdgeCheck:
        """Right for one upstream gradient, wrong for another."""
        gradient, halved = gradient.astype(float), halved.astype(float)
        expected = ONE_HALF_BACK * gradient
        entry = int(np.argmax(np.abs(halved - expected)))
        return EdgeCheck(
            self.bench.node,
            self.source,
            _index(entry, gradient.shape),
            float(halved.flat[entry]),
            float(expected.flat[entry]),
            gradient.shape,
            False,
            WITH_A_RANDOM_ONE + ": it is not proportional to the upstream gradient",
        )

    def _imprecise(self, trial: NodeTrial, own: NodeRun) -> EdgeCheck | None:
        """Right in float64, and wrong in the dtype of the pass."""
        right, seen = trial.run.gradients[self.source], own.gradients[self.source]
        limits = np.finfo(seen.dtype) if seen.dtype in TOLERANCE else np.finfo(float)
        if not np.all(np.isfinite(own.value)):
            return None
        largest = np.max(np.abs(np.sum(trial.upstreams, axis=0)), initial=0.0)
        fits = np.isfinite(right) & (np.abs(right) < limits.max / 2)
        error = np.where(fits, np.abs(seen.astype(float) - right), 0.0)
        noise = 20 * limits.eps * largest + limits.tiny
        allowed = 0.1 * np.linalg.norm(right[fits]) + noise * np.sqrt(right.size)
        if np.linalg.norm(error) <= allowed:
            return None
        entry = int(np.argmax(error))
        return EdgeCheck(
            self.bench.node,
            self.source,
            _index(entry, right.shape),
            float(seen.flat[entry]),
            float(right.flat[entry]),
            right.shape,
            False,
            f"{WITH_A_RANDOM_ONE}: in float64 the two agree, in {seen.dtype} they do not",
        )

    def _not_differentiable(self, probe: Probe) -> str:
        """Why there is no derivative, and where."""
        entry = probe.entry or 0
        index = _index(entry, np.shape(self.of_pass.gradient))
        where = f" at index {index}" if index else ""
        if probe.finding is Verdict.KINK:
            amount = float(probe.direction.amounts[0])
            middle, half = probe.measured.shown / amount, probe.measured.shown_bend / amount / 2
            slopes = sorted((middle - half, middle + half))
            one, other = (0.0 if abs(slope) < 1e-5 * abs(half) else slope for slope in slopes)
            sides = ""
            if abs(half) > 1e-5 * abs(middle):  # the upstream gradient is not 0 there
                sides = f": the slope is {one:.6g} on one side and {other:.6g} on the other"
            return f"; not differentiable{where} (a kink or a tie{sides})"
        if probe.finding is Verdict.ROUGH:
            return f"; too rough to be compared{where}"
        why = {Verdict.JUMP: "a jump, or an infinite slope"}
        not_finite = "there or close by, the value is not finite"
        return f"; not differentiable{where} ({why.get(probe.finding, not_finite)})"


def _are_close(check: EdgeCheck) -> bool:
    """Whether a reader takes the two numbers for the same."""
    return bool(np.isclose(check.analytic, check.numerical, rtol=0.05, atol=0.0, equal_nan=True))


def _points_beside(at: Array, are_small: bool, rng: np.random.Generator) -> list[Array]:
    """Points near by, where ties are broken; and numbers of about one, for those too small or too
    large.
    """
    u = rng.uniform(0.5, 1.0, at.shape)
    largest = float(np.max(np.abs(at), where=np.isfinite(at), initial=0.0)) or 1.0
    near = [np.where(at == 0, side * u * largest, at * (1 - 0.02 * u)) for side in (0.02, -0.02)]
    of_one = np.where(at == 0, u, np.sign(at) * (0.5 + u))
    return [of_one, *near] if are_small else [*near, of_one]


def _index(entry: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(map(int, np.unravel_index(entry, shape)))
