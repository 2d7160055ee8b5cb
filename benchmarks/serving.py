"""How much more one compiled program computes where several threads call it: `python
benchmarks/serving.py [BACKEND]`.

Each round asks one model for as many answers from 1, 2 and 4 threads, in turn; a line says how many
times as many answers a second there were as from one thread, the median and the best of the rounds.
More threads than processors can bring nothing, and what is computed in microseconds is told by one
thread as fast as by many: there Python's own lock is what they wait for.
"""

from __future__ import annotations

import os
import statistics
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

os.environ.setdefault(
    "OPENBLAS_NUM_THREADS", "1"
)  # before NumPy reads it: requests share processors

import numpy as np

import miniflow as mf

ROUNDS, SECONDS = 9, 0.25
THREADS = (1, 2, 4)


def perceptron(rows: int) -> tuple[Any, dict[Any, Any]]:
    """Probabilities of a network 784-256-10."""
    x = mf.layers.Input((784,), name="x")
    network = mf.layers.Sequential([mf.layers.Dense(256, "relu"), mf.layers.Dense(10)], rng=0)
    return mf.Softmax(network(x)), {x: np.random.default_rng(0).random((rows, 784), np.float32)}


def convolutional(rows: int) -> tuple[Any, dict[Any, Any]]:
    """Probabilities of a convolutional network for digits."""
    x = mf.layers.Input((28, 28, 1), name="x")
    layers = [mf.layers.Conv2D(16, 3, "relu"), mf.layers.MaxPool(2), mf.layers.Flatten()]
    network = mf.layers.Sequential([*layers, mf.layers.Dense(10)], rng=0)
    images = np.random.default_rng(0).random((rows, 28, 28, 1), np.float32)
    return mf.Softmax(network(x)), {x: images}


CASES = {
    "perceptron, 1 row": lambda: perceptron(1),
    "perceptron, 128 rows": lambda: perceptron(128),
    "convolution, 1 row": lambda: convolutional(1),
    "convolution, 64 rows": lambda: convolutional(64),
}


def answers_per_second(ask: Callable[[], Any], threads: int) -> float:
    """How many answers all threads together get."""
    counts, together = [0] * threads, threading.Barrier(threads + 1)
    over = threading.Event()

    def work(number: int) -> None:
        ask()
        together.wait()
        while not over.is_set():
            ask()
            counts[number] += 1

    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    together.wait()
    started = time.perf_counter()
    time.sleep(SECONDS)
    over.set()
    taken = time.perf_counter() - started
    for worker in workers:
        worker.join()
    return sum(counts) / taken


def main() -> None:
    """Print a line for each case."""
    backend = sys.argv[1] if len(sys.argv) > 1 else "native"
    print(f"{backend}, {os.cpu_count()} processors; answers a second, as multiples of one thread's")
    for name, make in CASES.items():
        node, feed = make()
        compiled = mf.compile(node, backend=backend)
        measured: dict[int, list[float]] = {count: [] for count in THREADS}
        for _ in range(ROUNDS):
            for count in THREADS:
                measured[count].append(answers_per_second(partial(compiled, feed), count))
        texts = []
        for count in THREADS[1:]:
            ratios = [many / one for many, one in zip(measured[count], measured[1], strict=True)]
            texts.append(
                f"{count} threads {statistics.median(ratios):.2f} (best {max(ratios):.2f})"
            )
        print(f"{name:22} {statistics.median(measured[1]):9,.0f}/s   {'   '.join(texts)}")


if __name__ == "__main__":
    main()
