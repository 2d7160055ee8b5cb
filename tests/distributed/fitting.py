"""A training in several processes; run by `test_fitting.py`.

    python fitting.py ADDRESS HOSTS HOST WHAT...

For each kind of training it prints a line of JSON: the losses, or None where Ctrl-C ended it; the
parameters; the most steps of a call; how many rows of the images it has read.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
import time
from typing import Any

import numpy as np

import miniflow as mf
from miniflow.compiler import rows
from miniflow.training import batching

ROWS, BATCH, EPOCHS = 328, 8, 2
PRESSED = ("first", "second", "both")
SLOW = ("slow, first", "slow, second")  # process 1 makes a batch for ever, and who presses Ctrl-C
FOR_EVER = 600  # seconds
read: list[int] = []
calls: list[int] = []


class Counted(np.ndarray):
    """An array that says how many of its rows are read."""

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, np.ndarray) and index.dtype.kind in "iu":
            read.append(index.size)
        return np.asarray(np.ndarray.__getitem__(self, index))

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if function is np.take:
            read.append(np.size(args[1]))
        given = [a.view(np.ndarray) if isinstance(a, Counted) else a for a in args]
        return function(*given, **kwargs)


def counted(array: Any) -> Any:
    return array.view(Counted) if array.ndim == 2 else array


def main(address: str, hosts: int, host: int, *kinds: str) -> None:
    if hosts > 1:
        mf.distributed.initialize(address, hosts=hosts, host=host, heartbeat=60)
    from miniflow.backends.jax.epochs import StepLoop

    as_value = batching.as_value
    batching.as_value = lambda x, node: counted(as_value(x, node))  # type: ignore[assignment]
    for name in ("run_rows", "run_stacked"):
        run = getattr(StepLoop, name)

        def noted(self: Any, *given: Any, run: Any = run, **named: Any) -> Any:
            results = run(self, *given, **named)
            calls.append(len(results[1]))
            return results

        setattr(StepLoop, name, noted)
    for kind in kinds:
        calls[:], read[:] = [1], []
        # Many steps in a call, on a busy machine, too.
        rows.A_CALL = 0.05 if kind in PRESSED else 60.0  # type: ignore[misc]
        losses, weights = trained(kind, host, mf.JAX(devices="all"))
        print(json.dumps([losses, weights, max(calls), sum(read)]), flush=True)
    mf.distributed.leave()


def trained(kind: str, host: int, backend: str) -> Any:
    rng = np.random.default_rng(0)
    X, y, s = mf.Input("X"), mf.Input("y"), mf.Seed("s")
    W = mf.Parameter(rng.normal(size=(12, 4)).astype(np.float32), "W")
    loss = mf.CrossEntropyWithSoftmax(mf.Dropout(X, s, rate=0.25) @ W, y)
    images = rng.normal(size=(ROWS, 12)).astype(np.float32)
    labels = rng.integers(0, 4, ROWS)

    walks = list[int]()

    def batches(rng: np.random.Generator) -> Any:
        walks.append(1)
        for number, some in enumerate(rng.permutation(ROWS).reshape(-1, BATCH)):
            time.sleep(0.0005 * (number % 3) * host)  # they are not equally fast
            if kind in SLOW and host == 1 and walks == [1, 1] and number == 20:
                time.sleep(FOR_EVER)
            yield {X: images[some], y: labels[some]}

    data: Any = {X: images, y: labels}
    epochs, callbacks = EPOCHS, list[mf.Callback]()
    if kind in PRESSED:
        epochs, callbacks = 100_000, [Pressing(kind in (("first", "second")[host], "both"))]
    elif kind in SLOW:
        epochs, callbacks = 100_000, [Pressing(kind == SLOW[host], after=2.0)]
    elif kind == "alone":  # each step in a call of its own
        epochs, callbacks = 100_000, [PressingEach(host == 1)]
    elif kind == "limit":
        epochs, callbacks = 100_000, [Limit(host == 0)]
    losses = None
    with contextlib.suppress(KeyboardInterrupt):
        history = mf.fit(
            loss,
            batches if kind in ("batches", *SLOW) else data,
            mf.Adam(0.01),
            epochs=epochs,
            batch_size=BATCH,
            rng=1,
            progress="none",
            callbacks=callbacks,
            backend=backend,
        )
        losses = list(map(float, history["loss"]))
    return losses, W.value.ravel().tolist()


class Pressing(mf.Callback):
    """Ctrl-C, some time in the second epoch."""

    def __init__(self, presses: bool, after: float = 0.05) -> None:
        self.presses, self.after = presses, after

    def on_epoch_end(self, training: Any) -> None:
        if self.presses and training.epoch == 1:
            threading.Timer(self.after, os.kill, (os.getpid(), signal.SIGINT)).start()


class PressingEach(Pressing):
    """The same of one who wants to see each batch."""

    def on_batch_end(self, training: Any) -> None:
        self.rows = training.rows


class Limit(mf.Callback):
    """A limit of time, say: process 0 comes to it first, or another one does."""

    def __init__(self, comes: bool) -> None:
        self.comes = comes

    def on_epoch_end(self, training: Any) -> None:
        training.stop = training.epoch == EPOCHS if self.comes else training.epoch == 1


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:])
