"""Many steps of an epoch in one call, for a backend that repeats them itself (`CanRepeat`).

What is looked at before a step is looked at beforehand for all of them, and what a step finds wrong
is explained as a single call explains it: steps before it have been made, those after it not.
"""

from collections.abc import Sequence
from typing import Any

from miniflow.backends.backend import CanRepeat
from miniflow.compiler.binding import Check
from miniflow.compiler.epoch import EpochData, feeds_of
from miniflow.compiler.making import VariantMaker, in_native_order
from miniflow.compiler.variants import Variant
from miniflow.errors import MiniflowError
from miniflow.graph import Node


def repeat_steps(
    variant: Variant,
    feed: Any,
    arguments: list[Any],
    order: Sequence[Node],
    data: EpochData,
    rows: Any,
    before: int,
    maker: VariantMaker,
) -> tuple[Sequence[Any], Exception | None] | None:
    """Make several steps of as many rows each.

    Args:
        variant: the program of one step. feed, arguments: of the first.
        order: the nodes of the graph.
        data: what is fed. rows: those of each step, (steps, batch).
        before: how many steps of the epoch came before.
        maker: explains what goes wrong.

    Returns:
        The losses of the steps that were made, and what the next one has raised; None where what
        runs the program runs one step at a time.
    """
    executable = variant.executable
    if not isinstance(executable, CanRepeat):
        return None
    places = {
        order[entry.origin.index]: place
        for place, entry in enumerate(variant.program.inputs)
        if entry.role == "fed" and entry.origin is not None
    }
    counting = {places[n]: first + before for n, first in data.seeds.items() if n in places}
    whole = {places[n]: in_native_order(x) for n, x in data.arrays.items() if n in places}
    count, refused = _count_valid(variant.checks, data, rows, before)
    if not count:
        return [], refused
    losses, failed = executable.run_steps(arguments, whole, rows[:count], counting)
    if failed is None:
        return losses, refused
    number, error = failed
    wrong = next(feeds_of(data, rows[number : number + 1], before + number))
    return losses[:number], maker.explain({**feed, **wrong}, error)


def _count_valid(
    checks: Sequence[Check], data: EpochData, rows: Any, before: int
) -> tuple[int, Exception | None]:
    """How many steps the checks let pass, and what they say of the next one."""
    values = [value for check in checks for value in check.values]
    if not any(map(callable, values)):  # labels, mostly: the images are left alone
        read = {value for value in values if isinstance(value, Node)}
        data = data._replace(arrays={n: x for n, x in data.arrays.items() if n in read})
    for number, feed in enumerate(feeds_of(data, rows, before) if checks else ()):
        for check in checks:
            try:
                check.validate(*(_look_up(value, feed) for value in check.values))
            except MiniflowError as error:
                return number, error
    return len(rows), None


def _look_up(value: Any, feed: Any) -> Any:
    if isinstance(value, Node):
        return feed[value]
    return value(feed) if callable(value) else value
