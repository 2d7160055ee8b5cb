"""Where the time of a compiled step goes: `Compiled.profile`.

A step is run in its parts, on copies of what it would update, and the clock is read after each.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from miniflow.backends import find
from miniflow.backends.backend import TimedPart, TimedRun
from miniflow.compiler.threads import Run, on_one_thread_if_small
from miniflow.errors import printable
from miniflow.ir import Equation, Program, Variable
from miniflow.ir.cost import equation_cost
from miniflow.ir.primitive import Primitive

LONGEST = 48  # characters of the code of a part that are shown


class ProfiledStep(NamedTuple):
    """A part of a step.

    Attributes:
        code: what runs, or what is said of it.
        nodes: the nodes that it computes something of.
        seconds: the shortest time that it took, a few hundred nanoseconds of measuring included.
        flops: arithmetic operations, estimated from shapes as `cost` does.
        bytes: what it reads that others made, and leaves for others.
    """

    code: str
    nodes: tuple[str, ...]
    seconds: float
    flops: int
    bytes: int


@dataclass(frozen=True)
class Profile:
    """Seconds, FLOPs and bytes of each part of a compiled step; `print` it.

    Attributes:
        backend: what ran it.
        runs: how often.
        steps: the parts, in the order in which they run.
    """

    backend: str
    runs: int
    steps: tuple[ProfiledStep, ...]

    @property
    def seconds(self) -> float:
        """Of all parts together."""
        return sum(step.seconds for step in self.steps)

    def __iter__(self) -> Iterator[ProfiledStep]:
        return iter(self.steps)

    def __len__(self) -> int:
        return len(self.steps)

    def __str__(self) -> str:
        rows: list[tuple[str, ...]] = [
            ("time", "share", "MFLOP", "GFLOP/s", "MB", "GB/s", "node", "")
        ]
        rows += map(self._row, self.steps)
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = [
            "  ".join(
                text.rjust(width) if column < 6 else text.ljust(width)
                for column, (text, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        ]
        total = (
            f"{self.backend}: {_time(self.seconds)}, the fastest of {self.runs} runs of each part"
        )
        return "\n".join([total, *lines])

    def _row(self, step: ProfiledStep) -> tuple[str, ...]:
        share = step.seconds / self.seconds if self.seconds else 0.0
        speed = max(step.seconds, 1e-9) * 1e9
        code = step.code if len(step.code) <= LONGEST else f"{step.code[: LONGEST - 3]}..."
        return (
            _time(step.seconds),
            f"{share:.0%}",
            f"{step.flops / 1e6:.2f}",
            f"{step.flops / speed:.1f}",
            f"{step.bytes / 1e6:.2f}",
            f"{step.bytes / speed:.1f}",
            printable(", ".join(step.nodes)),
            printable(code),
        )


def _time(seconds: float) -> str:
    return f"{seconds * 1e3:.3f} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.1f} us"


def profile_program(
    program: Program, backend: str, timed: TimedRun, arguments: Sequence[Any], runs: int
) -> Profile:
    """Run a step in its parts, and return what each took."""
    replaced = {output.replaces for output in program.outputs}
    own = [entry.variable in replaced for entry in program.inputs]
    given = [np.array(a) if is_own else a for a, is_own in zip(arguments, own, strict=True)]
    keys = [part.equations or part.text for part in timed.parts]
    run: Run = lambda arguments: timed.run(arguments, tick)  # noqa: E731  # `tick` comes below
    if find(backend).has_blas:
        run = on_one_thread_if_small(program, run)
    best: dict[Any, float] = dict.fromkeys(keys, np.inf)
    spent: dict[Any, float] = {}
    clock, last = time.perf_counter, [0.0]

    def tick(number: int) -> None:
        """A part has run, perhaps not for the first time: there are loops."""
        now = clock()
        spent[keys[number]] += now - last[0]
        last[0] = now

    for _ in range(runs):
        for array, before, is_own in zip(given, arguments, own, strict=True):
            if is_own:
                np.copyto(array, before)
        spent |= dict.fromkeys(keys, 0.0)
        last[0] = clock()
        with np.errstate(all="ignore"):
            run(given)
        best = {key: min(seconds, spent[key]) for key, seconds in best.items()}
    first: dict[Any, TimedPart] = {}
    for key, part in zip(keys, timed.parts, strict=True):
        first.setdefault(key, part)
    readers = _readers(timed.program)
    steps = (_describe(part, best[key], timed.dialect, readers) for key, part in first.items())
    return Profile(backend, runs, tuple(steps))


def _describe(
    part: TimedPart,
    seconds: float,
    dialect: Mapping[str, Primitive],
    readers: Mapping[Variable, set[Equation | None]],
) -> ProfiledStep:
    """Add up what a part costs: it reads what others made, and leaves what others read."""
    nodes = dict.fromkeys(e.origin.node for e in part.equations if e.origin)
    costs = [equation_cost(equation, dialect) for equation in part.equations]
    inside = set(part.equations)
    made = {equation.result for equation in inside}
    moving = [e for e, each in zip(part.equations, costs, strict=True) if each.bytes]
    read = {o for e in moving for o in e.operands if isinstance(o, Variable) and o not in made}
    left = {e.result for e in moving if readers.get(e.result, set()) - inside}
    nbytes = sum(variable.type.nbytes for variable in (*read, *left))
    return ProfiledStep(part.text, tuple(nodes), seconds, sum(c.flops for c in costs), nbytes)


def _readers(program: Program) -> dict[Variable, set[Equation | None]]:
    """Who reads each value; None is the caller."""
    readers: dict[Variable, set[Equation | None]] = {}
    for equation in program.equations:
        for operand in equation.operands:
            if isinstance(operand, Variable):
                readers.setdefault(operand, set()).add(equation)
    for output in program.outputs:
        if isinstance(output.operand, Variable):
            readers.setdefault(output.operand, set()).add(None)
    return readers
