"""Many steps with rows of the same data: as many as can be in one call of compiled code.

A backend may have a program run many times in one call (`CanRunSeries`); then Python has a part in
the first step of each call alone. A call takes about a twentieth of a second, so that Ctrl-C, and
whoever shows how far it is, come to their turn. Where there is no such call, steps are made one by
one. All that a single call does is done: what is fed is checked, the number of a `Seed` counts up,
ranges are looked at when it is their time; what fails is done again by itself, which tells why.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from miniflow.backends.backend import StepSeries
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
_FASTER: Final = 8  # times as many steps as in the call before, at most


def run_rows(step: Compiled, data: EpochData, order: Sequence[Array]) -> Iterator[list[list[Any]]]:
    """Make steps, and yield for some of them at a time what `step.run` gives for each.

    Args:
        step: what is trained.
        data: what is fed.
        order: the rows of each step, which are there.

    Raises what a single call raises, when the steps before have been yielded.
    """
    rows = _StepRows(data, order)
    done, most = 0, 1
    while done < len(order):
        begun = time.perf_counter()
        results = _run_some(step, rows, done, rows.alike(done, most))
        seconds = time.perf_counter() - begun
        pace = int(A_CALL * len(results) / max(seconds, 1e-9))
        most = max(min(pace, _FASTER * most), _AT_FIRST if done == 0 else 1)
        done += len(results)
        yield results


def _run_some(step: Compiled, rows: _StepRows, done: int, most: int) -> list[list[Any]]:
    with step._lock:
        variant, feed, arguments = step._bind(rows.feed_of_step(done))
        some = None
        if most > 1 and not step._sources:
            some = _SomeSteps.of(variant, rows, done, most)
        if some is not None:
            left = most
            if variant.ranges is not None:
                if not step._within.holds(variant.ranges, variant.steps, arguments):
                    return [step._run(variant, feed, arguments)]
                left = min(most, step._within.left + 1)
            results = some.run(arguments, min(left, rows.first_refused(variant, done, left)))
            step._within.pass_on(len(results) - 1)
            if results:
                return results
        return [step._run(variant, feed, arguments)]


class _SomeSteps(NamedTuple):
    """Steps that can be made in one call: by what, and where among the arguments data go."""

    series: StepSeries
    rows: _StepRows
    done: int
    arrays: dict[int, Array]
    seeds: dict[int, int]
    lies_ready: bool  # whether the arrays are such as a program can read rows of

    @classmethod
    def of(cls, variant: Variant, rows: _StepRows, done: int, most: int) -> _SomeSteps | None:
        """Return them; None if there are none, or data are not of the program's types."""
        series, data = variant.series, rows.data
        if series is None:
            return None
        arrays, seeds, lies_ready = dict[int, Array](), dict[int, int](), True
        updated = variant.updated_arrays()
        for node, (place, type_) in variant.fed_places().items():
            if node in data.seeds:
                seeds[place] = data.seeds[node]
            elif node in data.arrays:
                array = data.arrays[node]
                if array.dtype.newbyteorder("=") != DTYPES[type_.dtype]:
                    return None
                arrays[place] = array
                in_order = array.flags.num & ARRAY_IN_ORDER == ARRAY_IN_ORDER
                is_shared = any(np.may_share_memory(array, other) for other in updated)
                lies_ready &= in_order and array.dtype.isnative and not is_shared
        return cls(series, rows, done, arrays, seeds, lies_ready)

    def run(self, arguments: list[Any], count: int) -> list[list[Any]]:
        """Make so many of them; return the results of those that could be made."""
        order = np.stack(self.rows.order[self.done : self.done + count])
        arrays = self.arrays
        if not self.lies_ready:
            arrays = {place: _taken(array, order.reshape(-1)) for place, array in arrays.items()}
            order = np.arange(order.size).reshape(order.shape)
        numbers = {
            place: range(first + self.done, first + self.done + count)
            for place, first in self.seeds.items()
        }
        made, outputs, _ = self.series.run(arguments, arrays, order, numbers)
        return [[output[k] for output in outputs] for k in range(made)]


class _StepRows:
    """The data and the rows of each step."""

    def __init__(self, data: EpochData, order: Sequence[Array]) -> None:
        self.data, self.order = data, order
        self._gathered: Gathered = {}

    def alike(self, done: int, most: int) -> int:
        """How many of the next steps have as many rows as the first of them; of so many at most."""
        length, some = len(self.order[done]), self.order[done : done + most]
        return next((k for k, rows in enumerate(some) if len(rows) != length), len(some))

    def feed_of_step(self, number: int) -> Feed:
        """What a step is fed; nothing that is fed is kept."""
        return feed_of(self.data, self.order[number], number, self._gathered)

    def first_refused(self, variant: Variant, done: int, count: int) -> int:
        """How many of the next steps are fed what no check refuses; the first of them is."""
        batch = len(self.order[done])
        together = np.concatenate(self.order[done : done + count])
        if all(self._passes(check, together, batch) for check in variant.checks):
            return count
        for number in range(1, count):
            feed = self.feed_of_step(done + number)
            try:
                for check in variant.checks:
                    check.validate(*(_value(x, feed) for x in check.values))
            except Exception:  # of somebody's class: whatever it is, a single call tells it
                return number
        return count

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


def _value(x: Any, feed: Mapping[Node, Any]) -> Any:
    if isinstance(x, Node):
        return feed[x]
    return x(feed) if callable(x) else x
