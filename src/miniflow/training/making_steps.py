"""From the batches of an epoch to steps: many in one call of compiled code, where that can be.

Rows of whole arrays are gathered by the compiled code itself. Batches that are made in Python
(augmentation, a function of somebody's) are collected by a second thread while compiled code runs,
some ahead, and then handed over together. Either way each step is what it would be alone, to the
bit (on JAX to rounding); a call takes about a twentieth of a second. What cannot be compiled, or
runs by another backend, is made step by step.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from miniflow.compiler.epoch import feed_of
from miniflow.compiler.rows import CallLength, lengths_of, run_feeds, run_rows
from miniflow.errors import CompileError
from miniflow.graph import Node
from miniflow.training.averages import StepResult
from miniflow.training.batching import Batch, Batches, BatchRows, HasRows
from miniflow.training.collecting import BatchCollector
from miniflow.training.interrupts import at_once
from miniflow.training.sharing import agree_on, agree_when_ready, decides
from miniflow.training.stepping import Step


class MadeBatch(NamedTuple):
    """What a step has given, of each loss with a name, too, and how many rows it was fed."""

    result: StepResult
    named: Mapping[str, StepResult]
    rows: int


def seeded_batches(
    data: Batches, n: int, seeds: Mapping[Node, int], rng: np.random.Generator
) -> Generator[Batch, None, None]:
    """The batches of an epoch, with what the seeds are fed: numbers that count up from the first.
    While one is made, Ctrl-C is raised at once.

    Args:
        data: the examples.
        n: how many are in a batch.
        seeds: of each, the number of the first batch.
        rng: shuffles them.
    """
    batches = at_once(data.batches, n, rng)
    for number in itertools.count():
        batch = at_once(next, batches, None)
        if batch is None:
            return
        numbers = {seed: first + number for seed, first in seeds.items()}
        yield Batch({**batch.feed, **numbers}, batch.rows)


def with_last(batches: Iterator[Batch], n: int) -> Iterator[tuple[Batch, bool]]:
    """The batches, and whether each is the last of `n` that make an update, or of all."""
    if n == 1:
        yield from ((batch, True) for batch in batches)
        return
    before: Batch | None = None
    for number, batch in enumerate(batches):
        if before is not None:
            yield before, number % n == 0
        before = batch
    if before is not None:
        yield before, True


def make_steps(
    step: Step, data: Batches, n: int, seeds: Mapping[Node, int], rng: np.random.Generator
) -> Iterator[MadeBatch]:
    """Make the steps of an epoch; the arguments are those of `seeded_batches`.

    Raises what a step raises, after those before it.
    """
    rows = data.rows(n, rng) if isinstance(data, HasRows) else None
    if rows is None:
        shared = getattr(data, "source", data), rng
        return _steps_of_batches(step, seeded_batches(data, n, seeds, rng), shared)
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
                for results in run_rows(compiled, inside.data, order, done, agree_on):
                    some = looked_at._replace(order=order[done : done + len(results)])
                    for result, named in _read_rows(step, results, some, done):
                        yield MadeBatch(result, named, len(order[done]))
                        done += 1
                return
            except CompileError:  # the step by itself tells it, or leaves it to the interpreter
                pass
        agree_on(1)
        yield _one_step(step, rows.batch(done))
        done += 1


def _steps_of_batches(
    step: Step, batches: Generator[Batch, None, None], shared: tuple[Any, ...]
) -> Iterator[MadeBatch]:
    length = CallLength()
    with ExitStack() as endings:
        endings.callback(batches.close)  # who keeps an error keeps this frame, and them
        for batch in batches:
            agree_when_ready(1)
            yield _one_step(step, batch)
            if step.for_many is not None:
                break
        else:
            return
        endings.pop_all()  # now they are the collector's to close
        collector = endings.enter_context(BatchCollector(batches, shared))
        while waiting := _taken(collector, step, length):
            while waiting:
                agree_when_ready(1)
                results = _results_of_some(step, waiting, length)
                if not results:
                    yield _one_step(step, waiting.pop(0))
                made = waiting[: len(results)]
                del waiting[: len(results)]
                read = _read_batches(step, results, [batch.feed for batch in made])
                for batch, (result, named) in zip(made, read, strict=True):
                    yield MadeBatch(result, named, batch.rows)


def _taken(collector: BatchCollector, step: Step, length: CallLength) -> list[Batch]:
    """Some batches, as many in each process as process 0 has; none at the end."""
    lengths = None if step.for_many is None else lengths_of(step.for_many)
    if decides():
        if lengths is None:
            taken = at_once(collector.take, length.steps)
        else:
            fewest = min(lengths, default=1)
            taken = at_once(collector.take, fewest, fewest)
        agree_when_ready(len(taken))
        return taken
    return at_once(collector.take_all, agree_when_ready(0))


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
