"""Trainings that real signals end; each function is run in a process of its own by
`test_ctrl_c.py`. What makes the data takes 30 seconds, which nobody waits for.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import miniflow as mf
from miniflow.errors import NotFiniteError

LONG = 30.0
SOON = 5.0  # on a machine that has much else to do
ROWS = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)


class Network:
    """One that is trained on batches of four rows, by a function that hangs where it is told to."""

    def __init__(self, hangs_at: int | None = None, backend: str = "auto") -> None:
        self.X, self.W = mf.Input("X"), mf.Parameter(np.ones((6, 3), np.float32), "W")
        self.loss = mf.Mean((self.X @ self.W - 1.0) ** 2)
        self.backend, self.hangs_at = backend, hangs_at
        self.hangs, self.ended, self.made = threading.Event(), threading.Event(), 0
        self.where: Any = None
        self.is_let_go = False

    def batches(self, rng: np.random.Generator) -> Iterator[Any]:
        self.ended.clear()
        try:
            for some in rng.permutation(40).reshape(10, 4):
                self.made += 1
                if self.made == self.hangs_at:
                    self.where = threading.current_thread()
                    self.hangs.set()
                    until = time.monotonic() + LONG
                    while time.monotonic() < until and not self.is_let_go:
                        time.sleep(0.01)
                yield {self.X: ROWS[some]}
        finally:
            self.ended.set()

    def fit(self, **options: Any) -> Any:
        given: dict[str, Any] = {"epochs": 4, "rng": 1, "progress": "none", "data": self.batches}
        given |= {"backend": self.backend, "optimizer": mf.Adam(0.1), **options}
        return mf.fit(self.loss, **given)


class EachBatch(mf.Callback):
    """Wants to see each batch, which are made on the main thread."""

    def on_batch_end(self, training: Any) -> None:
        pass


def when(event: threading.Event, then: Callable[[], None] | None = None) -> None:
    """Press Ctrl-C a little after an event."""

    def press() -> None:
        event.wait()
        time.sleep(0.1)
        pressed.append(time.monotonic())
        (then or ctrl_c)()

    threading.Thread(target=press, daemon=True).start()


def ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


pressed: list[float] = []


def ends(run: Callable[[], Any], error: type[BaseException] = KeyboardInterrupt) -> BaseException:
    """See that it raises an error, soon after Ctrl-C, and return it."""
    try:
        run()
    except error as raised:
        assert time.monotonic() - pressed[-1] < SOON, time.monotonic() - pressed[-1]
        return raised
    raise AssertionError(f"no {error.__name__}")


def whole_steps(network: Network) -> int:
    """After how many steps its parameters are what they are."""
    same = Network()
    step = mf.compile(same.loss, optimizer=mf.Adam(0.1))
    rng, number = np.random.default_rng(1), 0
    while not np.allclose(same.W.value, network.W.value, rtol=1e-4, atol=1e-6):
        if number % 10 == 0:
            order = rng.permutation(40).reshape(10, 4)
        step({same.X: ROWS[order[number % 10]]})
        number += 1
        assert number < 50, "no whole step"
    return number


def beside_a_slow_function(backend: str = "auto") -> None:
    """Nobody waits for the function; the training goes on to the same bits."""
    whole = Network(backend=backend)
    whole.fit()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "checkpoint.safetensors"
        network = Network(hangs_at=25, backend=backend)
        when(network.hangs)
        kept = ends(lambda: network.fit(checkpoint=path))  # with its frames
        alone = backend in ("numpy", "interpreter")  # which make each step by itself
        assert (network.where is threading.main_thread()) == alone, backend
        assert 20 <= whole_steps(network) <= 24
        if not alone:
            assert not network.ended.is_set()
        network.is_let_go = True
        for thread in threading.enumerate():
            if thread is network.where and not alone:
                thread.join(SOON)
        assert network.ended.is_set(), "its finally runs"
        assert network.made == 25, "it makes no more"
        del kept
        again = Network(backend=backend)
        history = again.fit(checkpoint=path, resume=True)
        assert again.W.value.tobytes() == whole.W.value.tobytes()
        assert len(history) == 4


def in_a_function_on_the_main_thread() -> None:
    for hangs_at, callbacks, backend in (
        (1, [], "auto"),
        (15, [EachBatch()], "numpy"),
        (15, [], "interpreter"),
    ):
        network = Network(hangs_at, backend)
        when(network.hangs)
        raised = ends(lambda n=network, c=callbacks: n.fit(callbacks=c))  # type: ignore[misc]
        frames, traceback = [], raised.__traceback__
        while traceback is not None:
            frames.append(traceback.tb_frame.f_code.co_name)
            traceback = traceback.tb_next
        assert "batches" in frames, frames
        assert network.ended.is_set()
        assert whole_steps(network) == hangs_at - 1


def in_a_validation() -> None:
    network = Network()
    slow = Network(hangs_at=12)
    when(slow.hangs)

    def validation() -> Iterator[Any]:
        return ({network.X: batch[slow.X]} for batch in slow.batches(np.random.default_rng(0)))

    ends(lambda: network.fit(validation=validation))
    assert whole_steps(network) == 20


def what_goes_wrong_is_told_at_once() -> None:
    """Beside a function that takes its time: a loss that is not finite, a callback of ours, the
    function's own error.
    """
    network = Network(hangs_at=9)

    def spoiled(rng: np.random.Generator) -> Iterator[Any]:
        for number, batch in enumerate(network.batches(rng)):
            yield {network.X: batch[network.X] * (np.nan if number == 6 else 1.0)}

    when(network.hangs, lambda: None)
    kept = ends(lambda: network.fit(data=spoiled), NotFiniteError)
    assert whole_steps(network) == 6

    def broken(rng: np.random.Generator) -> Iterator[Any]:
        yield from network.batches(rng)
        pressed.append(time.monotonic())
        raise OSError("the disk is gone")

    network = Network()
    told = ends(lambda: network.fit(data=broken), OSError)
    assert str(told) == "the disk is gone"
    del kept


def two_trainings_of_one_generator() -> None:
    """The second waits for the function that the first has left in it."""
    network = Network(hangs_at=9)
    stream = network.batches(np.random.default_rng(1))
    when(network.hangs)
    ends(lambda: network.fit(data=lambda: stream))
    assert not network.ended.is_set()
    threading.Timer(0.3, setattr, (network, "is_let_go", True)).start()
    network.fit(data=lambda: stream, epochs=1)  # what the first has not taken
    assert network.made == 10
    # The same function, and the same random numbers.
    whole = Network()
    whole.fit(rng=np.random.default_rng(1))
    rng = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "checkpoint.safetensors"
        network = Network(hangs_at=25)
        when(network.hangs)
        ends(lambda: network.fit(checkpoint=path, rng=rng))
        threading.Timer(0.3, setattr, (network, "is_let_go", True)).start()
        again = Network()
        again.fit(checkpoint=path, resume=True, rng=rng)
    assert again.W.value.tobytes() == whole.W.value.tobytes()


def in_another_thread() -> None:
    """There it is the main thread's, and the training is not disturbed."""
    network = Network()
    thread = threading.Thread(target=network.fit)
    begun = threading.Event()
    when(begun)

    def wait() -> None:
        thread.start()
        begun.set()
        time.sleep(LONG)

    ends(wait)
    thread.join()
    assert network.made == 40


def pressed_twice() -> None:
    """The second ends what the first waits for."""
    network, waits = Network(), threading.Event()

    class Slow(mf.Callback):
        def on_epoch_end(self, training: Any) -> None:
            waits.set()
            time.sleep(LONG)

    def twice() -> None:
        ctrl_c()
        time.sleep(0.2)
        ctrl_c()

    when(waits, twice)
    ends(lambda: network.fit(callbacks=[Slow()]))
    assert whole_steps(network) == 10


def generators_are_closed_while_an_error_is_kept() -> None:
    for options in ({}, {"callbacks": [EachBatch()]}):
        network = Network()

        def spoiled(rng: Any, network: Network = network) -> Iterator[Any]:
            for batch in network.batches(rng):
                yield {network.X: batch[network.X] * np.nan}

        gc.disable()
        pressed.append(time.monotonic())
        kept = ends(lambda n=network, s=spoiled, o=options: n.fit(data=s, **o), NotFiniteError)  # type: ignore[misc]
        assert network.ended.is_set()
        del kept


def and_the_program_ends() -> None:
    """With a thread that is left in the function: no traceback, and no wait."""
    network = Network(hangs_at=9)
    when(network.hangs)
    network.fit()


if __name__ == "__main__":
    for name in sys.argv[1:]:
        function, _, argument = name.partition(":")
        globals()[function](*[argument] if argument else [])
        print(name, flush=True)
