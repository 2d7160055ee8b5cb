"""A loop over time, as `mf.scan` and unrolled by hand: seconds to compile, and what a step takes.

    OPENBLAS_NUM_THREADS=1 python benchmarks/loops.py [time steps ...]

The network is a recurrent layer of 64 units over sequences of 64 numbers, 32 at a time, and a
softmax on its last state; a step is one of SGD. Both graphs take their steps in turns, in one
process; what is compared is the ratio. The first call compiles, and takes a step.
"""

from __future__ import annotations

import statistics
import sys
import time
from typing import Any

import numpy as np

import miniflow as mf

BATCH, FEATURES, UNITS, CLASSES = 32, 64, 64, 10
ROUNDS = 9


def network(steps: int, is_unrolled: bool) -> tuple[mf.Node, dict[mf.Node, Any]]:
    """The loss, and what is fed."""
    rng = np.random.default_rng(0)

    def parameter(*shape: int) -> mf.Parameter:
        return mf.Parameter((rng.normal(size=shape) / 8).astype(np.float32))

    xs, y = mf.Input("xs"), mf.Input("y")
    U, W, b = parameter(FEATURES, UNITS), parameter(UNITS, UNITS), parameter(UNITS)
    V, c = parameter(UNITS, CLASSES), parameter(CLASSES)

    def step(state: Any, item: Any) -> mf.Node:
        return mf.Tanh(mf.Linear(item, U, b) + state @ W)

    state: Any = mf.Constant(np.zeros((BATCH, UNITS), np.float32))
    if is_unrolled:
        for t in range(steps):
            state = step(state, xs[t])
    else:
        state = mf.scan(step, state, xs)[-1]
    loss = mf.CrossEntropyWithSoftmax(mf.Linear(state, V, c), y)
    feed: dict[mf.Node, Any] = {
        xs: rng.normal(size=(steps, BATCH, FEATURES)).astype(np.float32),
        y: rng.integers(0, CLASSES, BATCH),
    }
    return loss, feed


def seconds(run: Any, feed: Any) -> float:
    start = time.perf_counter()
    run(feed)
    return time.perf_counter() - start


def race(steps: int, backend: str) -> str:
    """One line: seconds until the first step is taken, and the ratio of the later ones."""
    loops = []
    for is_unrolled in (False, True):
        loss, feed = network(steps, is_unrolled)
        run = mf.compile(loss, optimizer=mf.SGD(0.01), backend=backend)
        loops.append((run, feed, seconds(run, feed)))
    (scan, feed, first), (unrolled, other, slow) = loops
    pairs = [(seconds(scan, feed), seconds(unrolled, other)) for _ in range(ROUNDS)]
    least = min(a for a, _ in pairs), min(b for _, b in pairs)
    median = statistics.median(a / b for a, b in pairs)
    return (
        f"{backend:8} {steps:5} time steps: first step after {first:.2f} s "
        f"(unrolled {slow:.2f} s); "
        f"a step {1e3 * least[0]:.1f} ms (unrolled {1e3 * least[1]:.1f} ms), "
        f"scan / unrolled {least[0] / least[1]:.2f}, median {median:.2f}"
    )


if __name__ == "__main__":
    for count in map(int, sys.argv[1:] or ("50", "200", "1000")):
        for name in ("numpy", "native"):
            print(race(count, name), flush=True)
