"""Does a long training grow? Train, and watch the resident memory.

    python tests/faults/memory.py --steps 1000000 --backend numpy
    python tests/faults/memory.py --steps 100000 --backend interpreter

The setting is the benchmark's small one, mlp-32: 784-32-10, sigmoid, batches of 32, on MNIST. It is
`fit` itself that runs, with momentum, so that its loop, batches and history are watched as well.
Growth is counted from the end of the first fifth: by then everything has its place.
"""

import argparse
import gc
import os
import pathlib
import sys
from collections.abc import Callable
from typing import NamedTuple

if __name__ == "__main__":
    ROOT = pathlib.Path(__file__).resolve().parents[2]
    sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "src")]

import numpy as np
from blobs import clouds

import miniflow as mf
from miniflow.compiler.threads import one_thread_if_small
from miniflow.datasets import Dataset
from miniflow.initializers import glorot_uniform
from miniflow.optimizers import SGD
from miniflow.training import Training, fit
from miniflow.training.callbacks import Callback

SAMPLES = 20
MOST_A_STEP = 1.0  # bytes


def resident_bytes() -> int | None:
    """The resident memory of this process; None where the system does not tell."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None


class Growth(NamedTuple):
    """What was seen: steps counted from the first fifth on, and the resident bytes at samples."""

    steps: int
    samples: list[int]

    @property
    def a_step(self) -> float:
        """Bytes a step, from the first sample to the last."""
        return (self.samples[-1] - self.samples[0]) / self.steps

    def text(self) -> str:
        mib = ", ".join(f"{sample / 2**20:.2f}" for sample in self.samples)
        return (
            f"{self.steps:,} steps: {self.samples[-1] - self.samples[0]:+,} bytes, "
            f"{self.a_step:+.3f} a step\nMiB: {mib}"
        )


class Watch(Callback):
    """Samples the resident memory; leaks on demand, to see whether that would be noticed."""

    def __init__(self, steps: int, leak: int) -> None:
        self.samples: list[int] = []
        self._done, self._every = 0, max(steps // SAMPLES, 1)
        self._leak, self._leaked = leak, []  # type: ignore[var-annotated]

    def on_batch_end(self, training: Training) -> None:
        self._done += 1
        if self._leak:
            self._leaked.append(bytes(self._leak))
        if self._done % self._every == 0:
            gc.collect()
            self.samples.append(resident_bytes() or 0)


def growth(
    steps: int, backend: str, build: Callable[[], tuple[mf.Node, Dataset, int]], leak: int = 0
) -> Growth:
    """Train so many steps (rounded up to an epoch) and watch the memory.

    Args:
        build: gives the loss, the data and the size of a batch.
        leak: bytes that are leaked on purpose at each step.
    """
    loss, data, size = build()
    epochs = -(-steps // -(-len(data) // size))
    watch = Watch(steps, leak)
    with one_thread_if_small(1.0):
        fit(
            loss, data, SGD(1e-3, momentum=0.9), epochs=epochs, batch_size=size, rng=0,
            progress="none", backend=backend, callbacks=[watch],
        )  # fmt: skip
    kept = watch.samples[SAMPLES // 5 : SAMPLES + 1]
    return Growth(watch._every * (len(kept) - 1), kept)


def mlp_32() -> tuple[mf.Node, Dataset, int]:
    """The benchmark's mlp-32."""
    return network((784, 32, 10), mf.datasets.mnist().train), mf.datasets.mnist().train, 32


def tiny() -> tuple[mf.Node, Dataset, int]:
    """A network whose step takes so little that many fit in a test."""
    data = clouds(4000, 1)
    return network((2, 4, 3), data), data, 4


def network(sizes: tuple[int, int, int], data: Dataset) -> mf.Node:
    """Two layers, with a sigmoid between them."""
    rng = np.random.default_rng(0)
    X, y = mf.Input("X"), mf.Input("y")
    W, V = (mf.Parameter(glorot_uniform(shape, rng)) for shape in (sizes[:2], sizes[1:]))
    b, c = (mf.Parameter(np.zeros(size, np.float32)) for size in sizes[1:])
    return mf.CrossEntropyWithSoftmax(mf.Linear(mf.Sigmoid(mf.Linear(X, W, b)), V, c), y)


SETTINGS = {"mlp-32": mlp_32, "tiny": tiny}


def main() -> None:
    """The command; its exit code is 1 if the memory grew."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--backend", default="numpy")
    parser.add_argument("--setting", default="mlp-32", choices=SETTINGS)
    parser.add_argument("--leak", type=int, default=0, help="bytes to leak at each step")
    given = parser.parse_args()
    if resident_bytes() is None:
        sys.exit("This system does not tell how much memory a process has.")
    seen = growth(given.steps, given.backend, SETTINGS[given.setting], given.leak)
    print(f"{given.setting}, {given.backend}\n{seen.text()}")
    sys.exit(seen.a_step > MOST_A_STEP)


if __name__ == "__main__":
    main()
