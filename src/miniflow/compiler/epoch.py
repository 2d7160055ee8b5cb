"""Many steps in one call: batches are gathered from whole arrays, row by row as an order says.

    losses = step.epoch({X: images, y: labels}, order)  # order: row numbers, (steps, batch)

Every step is what a single call with those rows would be, to the bit. All that can be looked at is
looked at before the first step; what only a step can find (a label out of range, a number that is
not finite) ends the epoch there: the steps before it have been made, and the error says how many.
"""

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from miniflow.errors import DataError, MiniflowError, NotFiniteError
from miniflow.graph import Node
from miniflow.graph.values import as_value, describe, plain_array, shape_of
from miniflow.interpreter.unneeded import only_needed
from miniflow.options import OptionError

Feed = dict[Node, Any]


class EpochData(NamedTuple):
    """What is fed: arrays with a row for each example, numbers that are the same in every step, of
    each seed the number of the first step, from which it counts up, and numbers that are `varying`:
    one for each step.
    """

    arrays: dict[Node, Any]
    numbers: Feed
    seeds: dict[Node, int]
    varying: Mapping[Node, Sequence[Any]] = MappingProxyType({})

    @property
    def examples(self) -> int:
        """How many rows there are; 0 where no array is fed."""
        return next((len(array) for array in self.arrays.values()), 0)


def epoch_data(given: Any, output: Node, needed: Container[Any]) -> EpochData:
    """Sort what is given as data.

    Args:
        given: input → array, or a number.
        output: what is trained.
        needed: the nodes that it depends on.

    Raises:
        DataError: it is no dictionary, it has no array, or arrays of different lengths.
        OptionError: a seed is fed something else than a whole number.
    """
    if not isinstance(given, Mapping):
        raise DataError(
            f"epoch: data is a dictionary {{input: array}} with a row for each example, not "
            f"{describe(given)}."
        )
    data = EpochData({}, {}, {})
    for node, value in only_needed(given, output, needed, "data").items():
        if node.wants_a_seed:
            data.seeds[node] = _checked_seed(node, value)
            continue
        array = as_value(value, node)
        if shape_of(array):
            data.arrays[node] = array
        else:
            data.numbers[node] = value
    if not data.arrays:
        raise DataError("epoch: data has no array with a row for each example.")
    if len({len(array) for array in data.arrays.values()}) > 1:
        said = ", ".join(f"{len(array):,} for {node}" for node, array in data.arrays.items())
        raise DataError(f"epoch: data has arrays of different lengths: {said}.")
    return data


def _checked_seed(node: Node, value: Any) -> int:
    whole = np.asarray(value)
    if whole.shape or whole.dtype.kind not in "iu":
        raise OptionError(
            f"epoch: {node} is fed the whole number of the first step, which counts up by one from "
            f"step to step, not {describe(value)}."
        )
    return int(whole)


def row_order(order: Any, examples: int) -> list[Any]:
    """The rows of each step, in order: arrays of whole numbers, each from 0 to `examples` - 1.

    Raises:
        DataError: `order` is no (steps, batch) of whole numbers and no list of such rows, or a row
            is not there.

    >>> row_order([[0, 1], [2]], 3)
    [array([0, 1]), array([2])]
    >>> row_order(np.arange(4), 4)
    Traceback (most recent call last):
        ...
    miniflow.errors.DataError: epoch: order has the rows of each step, (steps, batch), and this has the shape (4,): one step of all rows is order[None], steps of n rows order.reshape(-1, n).
    """  # noqa: E501 (the message is one line)
    if isinstance(order, np.ndarray):
        if order.ndim != 2:
            hint = ""
            if order.ndim == 1:
                hint = ": one step of all rows is order[None], steps of n rows order.reshape(-1, n)"
            raise DataError(
                f"epoch: order has the rows of each step, (steps, batch), and this has the shape "
                f"{order.shape}{hint}."
            )
        if order.size and order.dtype.kind in "iu" and _are_there(order, examples):
            return list(order.astype(np.intp, copy=False))
    elif not isinstance(order, (list, tuple)):
        raise DataError(
            "epoch: order is an array of row numbers, (steps, batch), or a list with the rows of "
            f"each step, not {describe(order)}."
        )
    return [_checked_rows(rows, number, examples) for number, rows in enumerate(order)]


def _are_there(rows: Any, examples: int) -> bool:
    return bool(rows.min() >= 0 and rows.max() < examples)


def _checked_rows(given: Any, number: int, examples: int) -> Any:
    rows = plain_array(given, f"epoch: order[{number}]")
    where = f"epoch: order[{number}]"
    if rows.ndim != 1:
        raise DataError(f"{where} is {describe(given)}: it has the row numbers of one step.")
    if not len(rows):
        raise DataError(f"{where} has no rows.")
    if rows.dtype.kind not in "iu":
        raise DataError(f"{where} has numbers of the dtype {rows.dtype}: rows are whole numbers.")
    if not _are_there(rows, examples):
        wrong = rows.min() if rows.min() < 0 else rows.max()
        raise DataError(
            f"{where} has the row {wrong}; data has {examples:,}, 0 to {examples - 1:,}."
        )
    return rows.astype(np.intp, copy=False)


Repeat = Callable[[Feed, EpochData, Any, int], "tuple[Sequence[Any], Exception | None] | None"]


def run_epoch(
    run: Callable[[Feed], Any], data: EpochData, order: Sequence[Any], repeat: Repeat | None = None
) -> np.ndarray[Any, Any]:
    """Make all steps, and return the losses.

    Args:
        run: makes one step of a feed, and returns its loss.
        data: what is fed.
        order: the rows of each step.
        repeat: makes several steps of as many rows each in one call, if that is possible: of the
            feed of the first, the data, the rows of each, and how many steps were before. It
            returns the losses of those that were made, and what the next one has raised; None if it
            is not possible.

    Raises:
        NotFiniteError: from a step; its `losses` are those of the steps before.
        MiniflowError: anything else that a step raises, with a note on which one.
    """
    losses: list[Any] = []
    if repeat is not None:
        done = _repeat_all(repeat, data, order, losses)
        order = order[done:]
    for number, feed in enumerate(feeds_of(data, order, len(losses)), len(losses)):
        try:
            losses.append(run(feed))
        except NotFiniteError as error:
            raise _of_step(error, number, losses) from None
        except MiniflowError as error:
            _of_step(error, number, losses)
            raise
    return np.array(losses)


def all_losses(made: Iterator[list[list[Any]]]) -> np.ndarray[Any, Any]:
    """The losses of all steps; `made` gives the results of some steps at a time. Raises as
    `run_epoch` does.
    """
    losses: list[Any] = []
    try:
        for results in made:
            losses += [result[0] for result in results]
    except NotFiniteError as error:
        raise _of_step(error, len(losses), losses) from None
    except MiniflowError as error:
        _of_step(error, len(losses), losses)
        raise
    return np.array(losses)


def _repeat_all(repeat: Repeat, data: EpochData, order: Sequence[Any], losses: list[Any]) -> int:
    """Make steps in as few calls as there are lengths of batches in a row; return how many."""
    done = 0
    while done < len(order):
        count = 1
        while done + count < len(order) and len(order[done + count]) == len(order[done]):
            count += 1
        rows = np.stack(order[done : done + count])
        first = next(feeds_of(data, [rows[0]], done))
        try:
            made = repeat(first, data, rows, done)
        except MiniflowError as error:
            raise _of_step(error, done, losses) from None
        if made is None:
            return done
        losses += list(made[0])
        if made[1] is not None:
            raise _of_step(made[1], len(losses), losses) from made[1].__cause__
        done += count
    return done


def _of_step(error: Exception, number: int, losses: Sequence[Any]) -> Exception:
    """What a step raised, with the step's number."""
    if isinstance(error, NotFiniteError):
        told = NotFiniteError(f"Step {number} of the epoch: {error}")
        told.losses = np.array(losses)
        return told
    if isinstance(error, MiniflowError) and number:
        error.add_note(f"This was step {number} of the epoch; {number} have been made.")
    return error


def feeds_of(data: EpochData, order: Sequence[Any], before: int = 0) -> Iterator[Feed]:
    """What each step is fed, after so many `before`. Steps of the same length are gathered into the
    same arrays: nothing that is fed is kept.
    """
    gathered: Gathered = {}
    for number, rows in enumerate(order, before):
        yield feed_of(data, rows, number, gathered)


Gathered = dict[tuple[Node, int], Any]


def feed_of(data: EpochData, rows: Any, number: int, gathered: Gathered) -> Feed:
    """What the step of a number is fed; `gathered` has the arrays that it may be gathered into."""
    feed: Feed = {**data.numbers}
    for node, array in data.arrays.items():
        if not array.dtype.isnative:
            feed[node] = array[rows]
            continue
        out = gathered.get((node, len(rows)))
        if out is None:
            shape = (len(rows), *array.shape[1:])
            out = gathered[node, len(rows)] = np.empty(shape, array.dtype)
        feed[node] = np.take(array, rows, 0, out, mode="clip")  # they have been looked at
    for seed, first in data.seeds.items():
        feed[seed] = first + number
    for node, values in data.varying.items():
        feed[node] = values[number]
    return feed
