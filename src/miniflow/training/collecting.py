"""Batches that somebody's function makes, collected by a second thread while steps are made.

Making one may take long, and a training that ends does not wait for it: the thread is told so, ends
when the function has come back, and what it still makes is dropped. So a thread may be left behind.
It is waited for where the next training would walk through the same data, or draw from the same
random numbers, beside it (`wait_for_collectors`).
"""

from __future__ import annotations

import contextlib
import contextvars
import copy
import inspect
import threading
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from miniflow.errors import DataError
from miniflow.graph.values import plain_array

if TYPE_CHECKING:
    from miniflow.training.batching import Batch

MOST_AHEAD: Final = 64  # batches that are collected
_NBYTES_AHEAD: Final = 64 << 20
_BRIEFLY: Final = 0.1  # seconds; a wait that nobody notices
_A_LOOK: Final = 0.2  # seconds; for Ctrl-C, where the system does not end a wait for it

_left: list[BatchCollector] = []  # whose threads were left behind


class BatchCollector:
    """Batches that a second thread makes, some ahead of who takes them: copies, as whoever makes
    them may use the same arrays again.

    Inside a `with` block; at its end no more are made, and the thread closes the generator, when it
    comes back from it.

    Args:
        batches: what makes them. shared: what it uses, and others may, too.

    >>> from miniflow.training.batching import Batch
    >>> with BatchCollector(Batch({}, rows) for rows in range(3)) as collector:
    ...     taken = [batch.rows for _ in range(4) for batch in collector.take(1)]
    >>> taken
    [0, 1, 2]
    """

    def __init__(self, batches: Generator[Batch, None, None], shared: Sequence[Any] = ()) -> None:
        self._batches, self.shared = batches, shared
        self._waiting: list[Batch] = []
        self._nbytes = 0
        self._is_over = self._ends = False
        self._error: BaseException | None = None
        self._changed = threading.Condition()
        run = contextvars.copy_context().run
        self._thread = threading.Thread(target=run, args=(self._collect,), daemon=True)

    def __enter__(self) -> BatchCollector:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._ends = True
            self._changed.notify_all()
        _left.append(self)
        self.wait(_BRIEFLY)
        if not self.is_alive():
            _left.remove(self)

    def take(self, most: int, least: int = 1) -> list[Batch]:
        """Some batches, none when there are no more: at least `least`, where so many are made and
        may be kept at a time.

        Raises what making the next one has raised.
        """
        with self._changed:
            while len(self._waiting) < least and not self._is_over and not self._is_far_ahead():
                self._changed.wait(_A_LOOK)
            taken = self._waiting[:most]
            del self._waiting[:most]
            self._nbytes -= sum(map(_nbytes, taken))
            self._changed.notify_all()
            if self._error is None or taken:
                return taken
            error, self._error = self._error, None
        try:
            raise error
        finally:
            del error  # it holds this frame

    def take_all(self, count: int) -> list[Batch]:
        """The next so many batches; all that are left, for 0.

        Raises DataError if that are not so many.
        """
        taken: list[Batch] = []
        while len(taken) < count or not count:
            some = self.take(count - len(taken) or MOST_AHEAD)
            taken += some
            if not some or not count:
                break
        if len(taken) != count:
            raise DataError(
                "The processes of the training have been given different numbers of batches: the "
                "function that makes the data has to make the same in each of them."
            )
        return taken

    def is_alive(self) -> bool:
        """Whether the thread is at work."""
        return self._thread.is_alive()

    def wait(self, seconds: float) -> None:
        """Wait until it has ended, and no longer than so many seconds."""
        self._thread.join(seconds)

    def _collect(self) -> None:
        try:
            for given in self._batches:
                if self._ends:
                    break
                # Who makes the next one may do so in the same arrays.
                batch = given._replace(feed={n: _copy_of(x) for n, x in given.feed.items()})
                with self._changed:
                    self._waiting.append(batch)
                    self._nbytes += _nbytes(batch)
                    self._changed.notify_all()
                    while self._is_far_ahead() and not self._ends:
                        self._changed.wait()
                    if self._ends:
                        break
        except BaseException as error:
            self._error = None if self._ends else error
        with contextlib.suppress(BaseException):  # nobody is there to be told
            self._batches.close()
        with self._changed:
            self._is_over = True
            self._changed.notify_all()

    def _is_far_ahead(self) -> bool:
        return len(self._waiting) >= MOST_AHEAD or self._nbytes >= _NBYTES_AHEAD


def wait_for_collectors(*shared: Any) -> None:
    """Wait for the threads that trainings have left behind, as far as they use one of these, or
    run it: a generator is run by one thread at a time.
    """
    for collector in list(_left):
        while collector.is_alive() and any(
            getattr(mine, "gi_running", False) or _is_one_of(mine, collector.shared)
            for mine in shared
        ):
            collector.wait(_A_LOOK)
        if not collector.is_alive() and collector in _left:
            _left.remove(collector)


def _is_one_of(one: Any, others: Sequence[Any]) -> bool:
    if inspect.ismethod(one):  # made anew by each look at it
        methods = (other for other in others if inspect.ismethod(other))
        return any(o.__self__ is one.__self__ and o.__func__ is one.__func__ for o in methods)
    return any(one is other for other in others)


def _copy_of(x: Any) -> Any:
    """What is fed, in an array of its own; as it is, if it is a number or a step will refuse it."""
    if isinstance(x, (int, float, np.generic)):
        return x
    if isinstance(x, np.ndarray):
        return copy.deepcopy(x)
    try:  # lists, tables, views of bytes, arrays of other libraries
        array = np.array(plain_array(x, "what is fed"))
    except Exception:  # of somebody's class: whatever it is, the step tells it
        return x
    return array if array.dtype.kind in "biuf" else x


def _nbytes(batch: Batch) -> int:
    return sum(getattr(array, "nbytes", 0) for array in batch.feed.values())
