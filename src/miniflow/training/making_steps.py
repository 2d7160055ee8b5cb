"""From the batches of an epoch to steps: many in one call of compiled code, where that can be.

Rows of whole arrays are gathered by the compiled code itself. Batches that are made in Python
(augmentation, a function of somebody's) are collected by a second thread while compiled code runs,
some ahead, and then handed over together. Either way each step is what it would be alone, to the
bit; a call takes about a twentieth of a second. What cannot be compiled, or runs by another
backend, is made step by step.
"""

from __future__ import annotations

import contextvars
import copy
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np

from miniflow.compiler.epoch import feed_of
from miniflow.compiler.rows import CallLength, run_feeds, run_rows
from miniflow.errors import CompileError
from miniflow.graph import Node
from miniflow.graph.values import plain_array
from miniflow.training.averages import StepResult
from miniflow.training.batching import Batch, Batches, BatchRows, HasRows
from miniflow.training.stepping import Step

MOST_AHEAD: Final = 64  # batches that are collected
_NBYTES_AHEAD: Final = 64 << 20


class MadeBatch(NamedTuple):
    """What a step has given, of each loss with a name, too, and how many rows it was fed."""

    result: StepResult
    named: Mapping[str, StepResult]
    rows: int


def seeded_batches(
    data: Batches, n: int, seeds: Mapping[Node, int], rng: np.random.Generator
) -> Iterator[Batch]:
    """The batches of an epoch, with what the seeds are fed: numbers that count up from the first.

    Args:
        data: the examples.
        n: how many are in a batch.
        seeds: of each, the number of the first batch.
        rng: shuffles them.
    """
    for number, batch in enumerate(data.batches(n, rng)):
        numbers = {seed: first + number for seed, first in seeds.items()}
        yield Batch({**batch.feed, **numbers}, batch.rows)


def make_steps(
    step: Step, data: Batches, n: int, seeds: Mapping[Node, int], rng: np.random.Generator
) -> Iterator[MadeBatch]:
    """Make the steps of an epoch; the arguments are those of `seeded_batches`.

    Raises what a step raises, after those before it.
    """
    rows = data.rows(n, rng) if isinstance(data, HasRows) else None
    if rows is None:
        return _steps_of_batches(step, seeded_batches(data, n, seeds, rng))
    return _steps_of_rows(step, rows._replace(data=rows.data._replace(seeds=dict(seeds))))


def _one_step(step: Step, batch: Batch) -> MadeBatch:
    return MadeBatch(step(batch.feed), step.named, batch.rows)


def _steps_of_rows(step: Step, rows: BatchRows) -> Iterator[MadeBatch]:
    done, order = 0, rows.order
    inside = rows.without(step.outside)
    looked_at = rows.only(step.looks_at)
    while done < len(order):
        compiled = step.for_many
        if compiled is not None:
            try:
                for results in run_rows(compiled, inside.data, order, done):
                    some = looked_at._replace(order=order[done : done + len(results)])
                    for result, named in _read_rows(step, results, some, done):
                        yield MadeBatch(result, named, len(order[done]))
                        done += 1
                return
            except CompileError:  # the step by itself tells it, or leaves it to the interpreter
                pass
        yield _one_step(step, rows.batch(done))
        done += 1


def _steps_of_batches(step: Step, batches: Iterator[Batch]) -> Iterator[MadeBatch]:
    for batch in batches:
        yield _one_step(step, batch)
        if step.for_many is not None:
            break
    else:
        return
    length = CallLength()
    with BatchCollector(batches) as collector:
        while waiting := collector.take(length.steps):
            while waiting:
                results = _results_of_some(step, waiting, length)
                if not results:
                    yield _one_step(step, waiting.pop(0))
                made = waiting[: len(results)]
                del waiting[: len(results)]
                read = _read_batches(step, results, [batch.feed for batch in made])
                for batch, (result, named) in zip(made, read, strict=True):
                    yield MadeBatch(result, named, batch.rows)


Read: TypeAlias = "Iterable[tuple[StepResult, dict[str, StepResult]]]"


def _read_rows(step: Step, results: list[list[Any]], rows: BatchRows, done: int) -> Read:
    """What steps have given, of which so many had been made before the first."""

    def feed_at(number: int) -> dict[Node, Any]:
        return feed_of(rows.data, rows.order[number], done + number, {})

    def fed_after_first() -> dict[Node, Any]:
        return feed_of(rows.data, np.concatenate(rows.order[1:]), done, {})

    return step.read_many(results, feed_at, fed_after_first)


def _read_batches(step: Step, results: list[list[Any]], feeds: list[dict[Node, Any]]) -> Read:
    if not results:
        return ()

    def fed_after_first() -> dict[Node, Any]:
        looked_at = [node for node in feeds[0] if node in step.looks_at]
        return {n: np.concatenate([f[n] for f in feeds[1 : len(results)]]) for n in looked_at}

    return step.read_many(results, feeds.__getitem__, fed_after_first)


def _results_of_some(step: Step, batches: Sequence[Batch], length: CallLength) -> list[list[Any]]:
    """What the first of some batches give in one call; nothing, if they are to be made alone."""
    compiled = step.for_many
    if compiled is None:
        return []
    outside = step.outside
    feeds = [{node: x for node, x in b.feed.items() if node not in outside} for b in batches]
    begun = time.perf_counter()
    try:
        results = run_feeds(compiled, feeds)
    except CompileError:
        return []
    length.note(len(results), time.perf_counter() - begun)
    return results


class BatchCollector:
    """Batches that a second thread makes, some ahead of who takes them: copies, as whoever makes
    them may use the same arrays again.

    Inside a `with` block; at its end no more are made.

    >>> with BatchCollector(Batch({}, rows) for rows in range(3)) as collector:
    ...     taken = [batch.rows for _ in range(4) for batch in collector.take(1)]
    >>> taken
    [0, 1, 2]
    """

    def __init__(self, batches: Iterator[Batch]) -> None:
        self._batches = batches
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
        self._thread.join()

    def take(self, most: int) -> list[Batch]:
        """Some batches, at least one; none when there are no more.

        Raises what making the next one has raised.
        """
        with self._changed:
            while not self._waiting and not self._is_over:
                self._changed.wait()
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

    def _collect(self) -> None:
        try:
            for given in self._batches:
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
            self._error = error
        with self._changed:
            self._is_over = True
            self._changed.notify_all()

    def _is_far_ahead(self) -> bool:
        return len(self._waiting) >= MOST_AHEAD or self._nbytes >= _NBYTES_AHEAD


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
