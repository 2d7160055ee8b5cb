"""Whether a batch can be cut: is its loss what those of its parts say, and the gradient with it?

`fit(accumulate=)` makes one update of several batches, and takes the loss for a sum or a mean over
the rows, or for something that is computed from such numbers. A maximum over the rows is neither;
nor is a norm of a mean of many numbers, a sum in a class that does not say so, or what is made of
rows that have been seen beside each other. No table of nodes could know that of classes that people
write. So a few rows are computed, together and in two parts, and compared.

Two kinds of node are taken at their word, and have in the parts the rows that they had in the
whole: those that draw random numbers, and those that read a `State`, as a `BatchNorm` does, which
normalises each batch by itself.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from miniflow.graph import Node, Parameter, State
from miniflow.graph.plans import ancestors_in_order, plan_for
from miniflow.graph.values import shape_of
from miniflow.interpreter.feeding import checked_feed, end_feed
from miniflow.interpreter.keeping import attributes_preserved
from miniflow.interpreter.passes import (
    forward_pass,
    one_pass_at_a_time,
    start_pass,
)
from miniflow.interpreter.states import states_held
from miniflow.options import OptionError
from miniflow.training.averages import Averages, StepResult, Totals

ROWS = 8  # that are looked at, from all over the batch
FIRST = 3  # of them are the first part: so the two are not as long as each other
TOLERANCE = 1e-6  # of numbers that are float64 all the way, relative to the largest
NARROW_TOLERANCE = 1e-2  # of others: some node has rounded on the way

Values = Mapping[Node, Any]


def check_can_be_divided(loss: Node, feed: Mapping[Node, Any], averages: Averages) -> None:
    """See that a batch may be computed in parts, by a few of its rows.

    Args:
        loss: what is trained.
        feed: a batch.
        averages: how the loss follows from those of parts.

    Nothing is said of a graph that cannot be run on some of the rows, nor of one that draws other
    random numbers each time.

    Raises OptionError, with the first node that tells the parts from the whole.
    """
    rows = next((shape_of(value)[0] for value in feed.values() if shape_of(value)), 0)
    chosen = np.unique(np.linspace(0, max(rows - 1, 0), ROWS).astype(int))
    if len(chosen) < 2:
        return
    cut = min(FIRST, len(chosen) - 1)
    nodes = ancestors_in_order(loss)
    with one_pass_at_a_time, attributes_preserved(nodes), states_held(), np.errstate(all="ignore"):
        try:
            whole = _values(loss, feed, rows, chosen)
            again = _values(loss, feed, rows, chosen)
            rowwise = _taken_at_their_word(whole, len(chosen))
            parts = [
                _values(
                    loss, feed, rows, chosen[some], {n: value[some] for n, value in rowwise.items()}
                )
                for some in (slice(0, cut), slice(cut, None))
            ]
        except Exception:  # whatever a node makes of fewer rows: it is no fault of the graph's
            return
    if any(_differ(whole[node], again[node]) for node in nodes):
        return
    counts = cut, len(chosen) - cut
    for node in nodes:
        if _rows_differ(whole[node], parts[0][node], parts[1][node], counts):
            raise _refusal(f"{node} sees each row beside the others of its batch")
    number = _number_that_differs(loss, averages, whole, parts, counts)
    if number is not None:
        raise no_sum_or_mean(number)


def no_sum_or_mean(node: Node) -> OptionError:
    """The refusal of a number that does not follow from those of parts of a batch."""
    return _refusal(f"{node} over a batch is no sum or mean of what it is over parts of it")


def _refusal(why: str) -> OptionError:
    return OptionError(
        f"fit: with accumulate, several batches are to make the update that one large batch would, "
        f"and {why}: train with accumulate=1 and a larger batch_size."
    )


def _values(
    loss: Node,
    feed: Mapping[Node, Any],
    rows: int,
    chosen: np.ndarray[Any, Any],
    known: Values = MappingProxyType({}),
) -> Values:
    """The value of each node for some of the rows, in float64 where there are fractions; of some
    it is known.
    """
    plan = plan_for(loss)
    fed = {
        node: _wide(np.asarray(x)[chosen] if shape_of(x)[:1] == (rows,) else x)
        for node, x in feed.items()
    }
    for node in plan.order:
        if isinstance(node, Parameter) and not isinstance(node, State) and node not in fed:
            fed[node] = _wide(node.value)

    def call(node: Node, _: str, forward: Any) -> None:
        if node in known:
            node.value = known[node]
        else:
            forward()

    checked = checked_feed(fed, loss, plan.consumers)
    try:
        forward_pass(loss, plan, checked, start_pass(loss, plan, ()), call)
        return {node: node.value for node in (*plan.order, loss)}
    finally:
        end_feed(checked)


def _taken_at_their_word(whole: Values, rows: int) -> Values:
    return {
        node: value
        for node, value in whole.items()
        if shape_of(value)[:1] == (rows,)
        and (node.draws_numbers or any(isinstance(n, State) for n in node.inbound_nodes))
    }


def _wide(x: Any) -> Any:
    array = np.asarray(x)
    return array.astype(np.float64) if array.dtype.kind == "f" else x


def _differ(a: Any, b: Any) -> bool:
    """Whether two arrays of fractions are not the same, to rounding."""
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape:
        return True
    if not a.size or a.dtype.kind != "f" or not (np.isfinite(a).all() and np.isfinite(b).all()):
        return False
    size = max(np.abs(a).max(), np.abs(b).max())
    return bool(np.abs(a - b).max() > _tolerance(a, b) * size)


def _tolerance(*arrays: Any) -> float:
    is_wide = all(np.asarray(array).dtype == np.float64 for array in arrays)
    return TOLERANCE if is_wide else NARROW_TOLERANCE


def _rows_differ(whole: Any, first: Any, second: Any, counts: tuple[int, int]) -> bool:
    """Whether a value that has rows, some for each that is fed, has others in the parts."""
    (n, *row), (a, *of_first), (b, *of_second) = (
        shape_of(value) or (0,) for value in (whole, first, second)
    )
    has_rows = n == a + b > 0 and a * counts[1] == b * counts[0] and row == of_first == of_second
    return has_rows and _differ(whole, np.concatenate([first, second]))


def _number_that_differs(
    loss: Node, averages: Averages, whole: Values, parts: Sequence[Values], counts: tuple[int, int]
) -> Node | None:
    """The part of the loss, or the loss, whose number for the whole does not follow from those of
    the parts; None if all do.
    """
    totals, sizes = Totals(averages), [abs(float(np.reshape(whole[loss], ())))]
    for values, count in zip(parts, counts, strict=True):
        total = float(np.reshape(values[loss], ()))
        shape_now = {node: shape_of(value) for node, value in values.items()}
        counted = averages.count(total, values, shape_now.__getitem__)
        totals.add(StepResult(total, None, counted), count)
        sizes.append(abs(total))
    numbers = totals.parts()
    if numbers is None:
        return None
    for part, number in zip(averages.parts, numbers, strict=True):
        if np.size(whole[part.node]) == 1 and _differ(
            np.reshape(whole[part.node], ()), np.float64(number)
        ):
            return part.node
    sizes += [float(np.max(np.abs(number))) for number in numbers if np.isfinite(number)]
    error = abs(totals.loss - float(np.reshape(whole[loss], ())))
    return loss if error > _tolerance(whole[loss]) * max(sizes) else None
