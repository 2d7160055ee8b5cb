"""What many devices would bring: seconds of a step, from its cost and given speeds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from miniflow.ir.program import Program
from miniflow.options import flag, number, whole

POWERS: Final = tuple(2**n for n in range(13))


class EstimatedStep(NamedTuple):
    """A step on so many devices.

    Attributes:
        devices: how many.
        bytes: what each of them sends to sum up the gradients.
        computing: seconds of arithmetic.
        summing: seconds of summing up the gradients.
        faster: how many times as many examples a second as one device.
    """

    devices: int
    bytes: float
    computing: float
    summing: float
    faster: float

    @property
    def seconds(self) -> float:
        """Of the whole step: nothing of it overlaps."""
        return self.computing + self.summing


@dataclass(frozen=True)
class Estimate:
    """Steps on more and more devices; `print` it: a table, with what was assumed below.

    Attributes:
        rows: one for each number of devices.
        assumed: in words.

    >>> print(Estimate((EstimatedStep(8, 1e6, 2e-3, 1e-3, 5.5),), "Assumed: little."))
    devices  MB all-reduced  computing   summing      step  faster
          8            1.00   2.000 ms  1.000 ms  3.000 ms    5.5x
    Assumed: little.
    """

    rows: tuple[EstimatedStep, ...]
    assumed: str

    def __iter__(self) -> Iterator[EstimatedStep]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __str__(self) -> str:
        table = [("devices", "MB all-reduced", "computing", "summing", "step", "faster")]
        table += [
            (
                f"{row.devices:,}",
                f"{row.bytes / 1e6:,.2f}",
                _time(row.computing),
                _time(row.summing),
                _time(row.seconds),
                f"{row.faster:,.1f}x",
            )
            for row in self.rows
        ]
        widths = [max(len(line[column]) for line in table) for column in range(len(table[0]))]
        lines = [
            "  ".join(text.rjust(width) for text, width in zip(line, widths, strict=True))
            for line in table
        ]
        return "\n".join([*lines, self.assumed])


def _time(seconds: float) -> str:
    return f"{seconds * 1e3:,.3f} ms" if seconds >= 1e-3 else f"{seconds * 1e6:,.1f} us"


def estimate(
    step: Any,
    devices: int | Iterable[int] = POWERS,
    *,
    flops: float = 30e12,
    link: float = 300e9,
    network: float = 40e9,
    latency: float = 10e-6,
    per_machine: int = 8,
    more_rows: bool = False,
) -> Estimate:
    """Estimate what a compiled training step would take on many devices, each batch divided.

    Arithmetic is that of `step.cost()`. Gradients are summed up in two rings, within machines and
    then across them: of B bytes each device sends 2 · (d - 1) / d · B to the d of its machine, and
    2 · (m - 1) / m · B / d to the m machines. Nothing overlaps, so it is no promise, and may be
    beaten.

    Args:
        step: what `compile` returned, with an optimizer, after a first call.
        devices: how many, or several numbers; 1 to 4,096 by default.
        flops: operations a second that a device does on these shapes; 30e12 by default.
        link: bytes a second from device to device of a machine; 300e9 by default.
        network: bytes a second from machine to machine; 40e9 by default.
        latency: seconds for each turn of a ring, on top; 10e-6 by default.
        per_machine: devices of a machine; 8 by default.
        more_rows: whether each device has as many rows as the step was compiled for, so that the
            batch grows with them; False by default: the batch stays, and is divided.

    Returns:
        An `Estimate`: one `EstimatedStep` for each number of devices.

    Raises OptionError for a speed that is none.

    >>> import numpy as np, miniflow as mf
    >>> X, W = mf.Input("X"), mf.Parameter(np.ones((256, 256)), "W")
    >>> step = mf.compile(mf.Mean((X @ W) ** 2), optimizer=mf.SGD(0.1), backend="numpy")
    >>> _ = step({X: np.ones((64, 256))})
    >>> [round(row.bytes) for row in mf.distributed.estimate(step, [1, 2, 16])]
    [0, 524288, 983040]
    """
    speeds = {"flops": flops, "link": link, "network": network}
    for name, speed in speeds.items():
        number("estimate", name, speed, least=1.0)
    number("estimate", "latency", latency)
    per_machine = whole("estimate", "per_machine", per_machine, least=1)
    more_rows = flag("estimate", "more_rows", more_rows)
    counts = [devices] if isinstance(devices, int) else list(devices)
    divided, whole_work = _work(step.program, step)
    size = sum(parameter.value.nbytes for parameter in step.parameters if parameter.trainable)
    rows = []
    alone = (divided + whole_work) / flops
    for count in counts:
        count = whole("estimate", "devices", count, least=1)
        work = divided * (1 if more_rows else 1 / count) + whole_work
        inside = min(count, per_machine)
        machines = math.ceil(count / per_machine)
        near = 2 * (inside - 1) / inside * size
        far = 2 * (machines - 1) / machines * size / inside
        turns = 2 * (inside - 1) + 2 * (machines - 1)
        summing = near / link + far / network + turns * latency
        computing = work / flops
        share = count if more_rows else 1
        rows.append(
            EstimatedStep(
                count, near + far, computing, summing, share * alone / (computing + summing)
            )
        )
    return Estimate(
        tuple(rows),
        f"Assumed: {flops:.3g} operations a second on each device, {link:.3g} bytes a second from "
        f"device to device and {network:.3g} from machine to machine, {per_machine} devices a "
        f"machine, {latency:.3g} s for each turn of a ring, nothing at the same time; "
        f"{'as many rows on each device' if more_rows else 'the rows of the batch divided'}.",
    )


def _work(program: Program, step: Any) -> tuple[float, float]:
    """Operations that are divided with the rows, and those that each device does for itself."""
    costs = step.cost().equations
    own = [
        cost.flops
        for equation, cost in zip(program.equations, costs, strict=True)
        if equation.origin is not None
        and equation.origin.phase == "update"
        # A product that a pass has joined with the update is a sum over the rows all the same.
        and equation.primitive not in ("matmul", "gemm")
    ]
    return float(sum(cost.flops for cost in costs) - sum(own)), float(sum(own))
