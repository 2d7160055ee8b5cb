"""Many steps with rows of the same data: as many as can be in one call of compiled code.

A backend may have a program run many times in one call (`CanRunSeries`); then Python has a part in
the first step of each call alone. A call takes about a twentieth of a second, so that Ctrl-C, and
whoever shows how far it is, come to their turn. Where there is no such call, steps are made one by
one. All that a single call does is done: what is fed is checked, the number of a `Seed` counts up,
ranges are looked at when it is their time; what fails is done again by itself, which tells why.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from miniflow.backends.backend import DataWalk, SeriesResult, StepSeries
from miniflow.compiler.binding import ARRAY_IN_ORDER, Check
from miniflow.compiler.epoch import EpochData, Feed, Gathered, feed_of
from miniflow.compiler.variants import Shaped, Variant
from miniflow.errors import MiniflowError
from miniflow.graph import Node
from miniflow.ir.dtypes import DTYPES, Array

if TYPE_CHECKING:
    from miniflow.compiler.compiled import Compiled

A_CALL: Final = 0.05  # seconds, about
_AT_FIRST: Final = 4  # steps, after the first, for which a program may have been made
_MOST_NBYTES: Final = 64 << 20  # of the results of a call
_FASTER: Final = 8  # times as many steps as in the call before, at most


class CallLength:
    """How many steps the next call is to make, from how long the latest one took.

    >>> length = CallLength()
    >>> length.steps
    1
    >>> length.note(1, seconds=10.0)  # a program may have been made
    >>> length.note(4, seconds=4e-4)
    >>> length.steps
    32
    """

    def __init__(self) -> None:
        self.steps, self._is_first = 1, True

    def note(self, made: int, seconds: float) -> None:
        """A call has made so many, in so long."""
        pace = int(A_CALL * made / max(seconds, 1e-9))
        self.steps = max(min(pace, _FASTER * self.steps), _AT_FIRST if self._is_first else 1)
        self._is_first = False


def run_rows(
    step: Compiled,
    data: EpochData,
    order: Sequence[Array],
    done: int = 0,
    pace: Callable[[int], int] = lambda steps: steps,
) -> Iterator[list[list[Any]]]:
    """Make steps, and yield for some of them at a time what `step.run` gives for each.

    Args:
        step: what is trained.
        data: what is fed.
        order: the rows of each step, which are there.
        done: how many of these steps have been made already; none by default.
        pace: asked before each call how many steps it is to make, of how many it would be.

    Raises what a single call raises, when the steps before have been yielded.
    """
    rows = _StepRows(data, order)
    while done < len(order):
        length = step.call_lengths.setdefault(len(order[done]), CallLength())
        lengths = lengths_of(step)
        if lengths is None:
            most = pace(length.steps)
        else:  # the first of all, after which a program is there, is made alone, and so are others
            most = pace(max(lengths, default=1) if done else 1)
        begun = time.perf_counter()
        results = _run_some(step, rows, done, rows.alike(done, most))
        length.note(len(results), time.perf_counter() - begun)
        done += len(results)
        yield results


def run_feeds(step: Compiled, feeds: Sequence[Feed]) -> list[list[Any]]:
    """Make steps of the first of these feeds, at least one, in one call; return what `step.run`
    gives for each.

    Raises what a single call of the first one raises.
    """
    with step._lock:
        variant, feed, arguments = step._bind(feeds[0])
        series = None if step._sources else variant.series
        left = _steps_within(step, variant, arguments) if series is not None else 0
        if series is None or left == 0 or len(feeds) == 1:
            return [step._run(variant, feed, arguments)]
        handed = [arguments]
        for other in feeds[1 : min(left, _most_of(series))]:
            bound = _bound(step, variant, other)
            if bound is None:
                break
            handed.append(bound)
        if len(handed) == 1:
            return [step._run(variant, feed, arguments)]
        results = _each(series.run_each(handed))
        step._within.pass_on(len(results) - 1)
        return results or [step._run(variant, feed, arguments)]


def _bound(step: Compiled, variant: Variant, feed: Feed) -> list[Any] | None:
    try:
        arguments = variant.arguments(feed)
        if arguments is None:  # it may be of lists, or have what the loss does not need
            arguments = variant.arguments(step._check_feed(feed))
        return arguments
    except Exception:  # of somebody's class: whatever it is, a single call tells it
        return None


def _steps_within(step: Compiled, variant: Variant, arguments: list[Any]) -> int:
    """How many steps can be made before ranges are to be looked at; 0 if they do not hold."""
    if variant.ranges is None:
        return sys.maxsize
    held = step._within.holds(variant.ranges, variant.steps, arguments)
    return step._within.left + 1 if held else 0


def lengths_of(step: Compiled) -> tuple[int, ...] | None:
    """How many steps calls make, as the backend of the last call has it: `StepSeries.lengths`."""
    series = None if step._last is None else step._last.series
    return None if series is None else series.lengths


def makes_many(step: Compiled) -> bool:
    """Return whether the program of the last call can make many steps in one call."""
    return step._last is not None and step._last.series is not None


def _most_of(series: StepSeries) -> int:
    return max(_MOST_NBYTES // max(series.nbytes, 1), 1)


def _each(result: SeriesResult) -> list[list[Any]]:
    return [[output[k] for output in result.outputs] for k in range(result.made)]


def _run_some(step: Compiled, rows: _StepRows, done: int, most: int) -> list[list[Any]]:
    with step._lock:
        if results := _run_shared(step, rows, done, most):
            return results
        variant, feed, arguments = step._bind(rows.feed_of_step(done))
        some = None
        if most > 1 and not step._sources:
            some = _SomeSteps.of(variant, rows, done)
        if some is not None:
            left = min(most, _steps_within(step, variant, arguments), _most_of(some.series))
            if left == 0:
                return [step._run(variant, feed, arguments)]
            results = some.run(arguments, rows.first_refused(variant, done, left))
            step._within.pass_on(len(results) - 1)
            if results:
                return results
        return [step._run(variant, feed, arguments)]


def _run_shared(step: Compiled, rows: _StepRows, done: int, most: int) -> list[list[Any]]:
    """Make steps of which other processes make other parts, without a look at their rows; none
    where that is not possible, and where one fails.
    """
    variant = step._last
    if not done or variant is None or variant.series is None or not variant.series.is_shared:
        return []
    if step._sources:
        return []
    try:
        arguments = variant.arguments(rows.feed_like_step(done))
    except MiniflowError:  # it is told of the step's own rows
        return []
    some = None if arguments is None else _SomeSteps.of(variant, rows, done)
    if arguments is None or some is None:
        return []
    left = min(most, _steps_within(step, variant, arguments), _most_of(some.series))
    count = rows.first_refused(variant, done, left, looked_at=0)
    results = some.run(arguments, count) if count else []
    step._within.pass_on(max(len(results) - 1, 0))
    return results


class _SomeSteps(NamedTuple):
    """Steps that can be made in one call: by what, and where among the arguments data go."""

    series: StepSeries
    rows: _StepRows
    done: int
    arrays: dict[int, Array]
    numbers: dict[int, Sequence[Any]]  # one for each step of the order
    lies_ready: bool  # whether the arrays are such as a program can read rows of

    @classmethod
    def of(cls, variant: Variant, rows: _StepRows, done: int) -> _SomeSteps | None:
        """Return them; None if there are none, or data are not of the program's types, or are
        themselves what the program updates.
        """
        series, data = variant.series, rows.data
        if series is None:
            return None
        arrays, numbers, lies_ready = dict[int, Array](), dict[int, Sequence[Any]](), True
        updated = variant.updated_arrays()
        fed = (*data.arrays.values(), *data.numbers.values())
        if any(
            np.may_share_memory(x, y) for x in fed if isinstance(x, np.ndarray) for y in updated
        ):
            return None  # each step is fed what the one before has left
        for node, (place, type_) in variant.fed_places().items():
            if node in data.seeds:
                numbers[place] = range(data.seeds[node], data.seeds[node] + len(rows.order))
            elif node in data.varying:
                numbers[place] = data.varying[node]
            elif node in data.arrays:
                array = data.arrays[node]
                if array.dtype.newbyteorder("=") != DTYPES[type_.dtype]:
                    return None
                arrays[place] = array
                in_order = array.flags.num & ARRAY_IN_ORDER == ARRAY_IN_ORDER
                lies_ready &= in_order and array.dtype.isnative
        return cls(series, rows, done, arrays, numbers, lies_ready)

    def run(self, arguments: list[Any], count: int) -> list[list[Any]]:
        """Make so many of them; return the results of those that could be made."""
        order, walk = self.rows.together(self.done, count), self.rows.walk
        arrays = self.arrays
        walk.ahead = self.rows.order[self.done + count :]
        if not self.lies_ready:
            walk = DataWalk()
            arrays = {place: _taken(array, order.reshape(-1)) for place, array in arrays.items()}
            order = np.arange(order.size).reshape(order.shape)
        end = self.done + count
        numbers = {place: each[self.done : end] for place, each in self.numbers.items()}
        return _each(self.series.run(arguments, arrays, order, numbers, walk))


class _StepRows:
    """The data and the rows of each step."""

    def __init__(self, data: EpochData, order: Sequence[Array]) -> None:
        self.data, self.order, self.walk = data, order, DataWalk()
        self._together: tuple[int, int, Array] | None = None
        self._gathered: Gathered = {}

    def alike(self, done: int, most: int) -> int:
        """How many of the next steps have as many rows as the first of them; of so many at most."""
        length, some = len(self.order[done]), self.order[done : done + most]
        return next((k for k, rows in enumerate(some) if len(rows) != length), len(some))

    def together(self, done: int, count: int) -> Array:
        """The rows of some steps that have as many each."""
        if self._together is None or self._together[:2] != (done, count):
            self._together = done, count, np.stack(self.order[done : done + count])
        return self._together[2]

    def feed_of_step(self, number: int) -> Feed:
        """What a step is fed; nothing that is fed is kept."""
        return feed_of(self.data, self.order[number], number, self._gathered)

    def feed_like_step(self, number: int) -> Feed:
        """The same, but for the numbers in it, all of which are those of the first row."""
        rows = self.order[number]
        feed = feed_of(self.data._replace(arrays={}), rows, number, {})
        for node, array in self.data.arrays.items():
            feed[node] = np.broadcast_to(_taken(array, rows[:1]), (len(rows), *array.shape[1:]))
        return feed

    def first_refused(self, variant: Variant, done: int, count: int, looked_at: int = 1) -> int:
        """How many of the next steps are fed what no check refuses; so many have been looked at."""
        batch = len(self.order[done])
        together = self.together(done, count).reshape(-1)
        alone = [check for check in variant.checks if not self._passes(check, together, batch)]
        for number in range(looked_at, count if alone else 0):
            try:
                for check in alone:
                    check.validate(*(self._value(x, done + number) for x in check.values))
            except Exception:  # of somebody's class: whatever it is, a single call tells it
                return number
        return count

    def _value(self, x: Any, number: int) -> Any:
        """What a check looks at in the step of a number."""
        if isinstance(x, Node) and x in self.data.arrays:
            return _taken(self.data.arrays[x], self.order[number])
        if isinstance(x, Node) and x in self.data.seeds:
            return self.data.seeds[x] + number
        if isinstance(x, Node) and x in self.data.varying:
            return self.data.varying[x][number]
        if isinstance(x, Node):
            return self.data.numbers[x]
        return x(feed_of(self.data, self.order[number], number, {})) if callable(x) else x

    def _passes(self, check: Check, rows: Array, batch: int) -> bool:
        """Whether a check of ours has nothing to say of all these rows, as if they were a batch."""
        if isinstance(check.validate, partial):
            return False
        values = list[Any]()
        for x in check.values:
            if isinstance(x, Shaped) and x.shape[:1] == (batch,):
                values.append(x.with_rows(len(rows)))
            elif isinstance(x, Node) and x in self.data.arrays:
                values.append(_taken(self.data.arrays[x], rows))
            elif isinstance(x, Node) or callable(x):
                return False
            else:
                values.append(x)
        try:
            check.validate(*values)
        except MiniflowError:
            return False
        return True


def _taken(array: Array, rows: Array) -> Array:
    taken = np.take(array, rows, 0)
    return taken if taken.dtype.isnative else taken.astype(taken.dtype.newbyteorder("="))
