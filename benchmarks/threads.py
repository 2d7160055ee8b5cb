"""What the native backend's workers bring, and what they cost beside a busy machine: `python
benchmarks/threads.py`.

An epoch in one call, on one thread and on all, in turn, many short rounds: with nothing beside it,
with `yes` on one core, and with `yes` on each. A line says how long a step takes on one thread and
how many times as fast it is on all: the best of the rounds, the median of all, and the worst tenth.
Beside a busy machine, 0.9 is what is allowed; what else runs meanwhile counts, too, so the load
before the race is printed.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import numpy as np

import miniflow as mf

ROUNDS, SECONDS = 41, 0.12


def network(hidden: int, batch: int) -> Callable[[int], object]:
    """What makes so many steps of a network 784-hidden-10, in one call."""
    rng = np.random.default_rng(0)
    x, y = mf.Input("x"), mf.Input("y")
    sizes = ((784, hidden), (hidden, 10))
    W, V = (mf.Parameter(rng.normal(0, 0.05, size).astype(np.float32)) for size in sizes)
    b, c = (mf.Parameter(np.zeros(n, np.float32)) for n in (hidden, 10))
    loss = mf.CrossEntropyWithSoftmax(mf.Linear(mf.ReLU(mf.Linear(x, W, b)), V, c), y)
    step = mf.compile(loss, optimizer=mf.SGD(1e-3), backend="native")
    data = {x: rng.random((8192, 784), np.float32), y: rng.integers(0, 10, 8192)}
    order = rng.integers(0, 8192, (4096, batch))
    return lambda steps: step.epoch(data, order[:steps])


CASES = {
    "784-32-10, batch 32": (32, 32),
    "784-128-10, batch 128": (128, 128),
    "784-1024-10, batch 512": (1024, 512),
}


@contextmanager
def busy(cores: int) -> Iterator[None]:
    """Let `yes` run on so many cores."""
    with ExitStack() as stack:
        for core in range(cores):
            taken = subprocess.Popen(
                ["yes"],
                stdout=subprocess.DEVNULL,
                preexec_fn=lambda core=core: os.sched_setaffinity(0, {core}),
            )
            stack.callback(taken.wait)
            stack.callback(taken.kill)
        yield


def race(epoch: Callable[[int], object]) -> str:
    """One line: one thread against all."""
    mf.set_threads(1)
    epoch(8)
    begun = time.perf_counter()
    epoch(8)
    steps = max(int(SECONDS * 8 / (time.perf_counter() - begun)), 4)
    seconds: dict[int | None, list[float]] = {1: [], None: []}
    for _ in range(ROUNDS):
        for threads, found in seconds.items():
            mf.set_threads(threads)
            begun = time.perf_counter()
            epoch(min(steps, 4096))
            found.append((time.perf_counter() - begun) / min(steps, 4096))
    alone, together = sorted(seconds[1]), sorted(seconds[None])
    worst = [one / all_ for one, all_ in zip(seconds[1], seconds[None], strict=True)]
    return (
        f"{alone[0] * 1e6:9.1f} us  {alone[0] / together[0]:5.2f}  "
        f"{statistics.median(alone) / statistics.median(together):5.2f}  "
        f"{sorted(worst)[len(worst) // 10]:5.2f}"
    )


def main() -> None:
    """Print all lines."""
    cores = sorted(os.sched_getaffinity(0))
    print(f"{len(cores)} cores, load {os.getloadavg()[0]:.1f}")
    print(f"{'':24}{'beside':12}{'one thread':>12}  {'best':>5}  {'median':>5}  worst tenth")
    for name, (hidden, batch) in CASES.items():
        epoch = network(hidden, batch)
        for beside in sorted({0, 1, len(cores)}):
            with busy(beside):
                told = "nothing" if not beside else f"{beside} x yes"
                print(f"{name:24}{told:12}{race(epoch)}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
