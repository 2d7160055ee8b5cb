"""What shape the value of a node has, before anything is fed: layers and summaries ask.

Only an `Input` that was made with a shape knows it (`layers.Input`); the state and the item of a
loop are like its first state and the items of its sequence. What follows from it is found
by a forward pass over examples of zeros, in the interpreter; so it is known behind nodes of
anybody's class, and no node has to state a rule for its shape. The pass leaves no trace: values and
whatever else the nodes keep are put back.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from miniflow import interpreter
from miniflow.errors import GraphError, ShapeError
from miniflow.graph import Node
from miniflow.graph.plans import ancestors_in_order
from miniflow.graph.values import describe
from miniflow.interpreter.feeding import is_input
from miniflow.interpreter.passes import one_pass_at_a_time
from miniflow.tracing.keeping import preserved_deeply


class Row(NamedTuple):
    """The value of a node for one example: its shape without the axis of the rows, its dtype."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


def declare(node: Node, row: Row) -> None:
    """Say what one row of an input is."""
    node._row = row  # its copies know it, too


def row_of(node: Node) -> Row:
    """What the node's value is for one example.

    Raises:
        GraphError: an input that it depends on has no known shape; or a node of the graph fails on
            zeros, for whatever reason it gives.
        ShapeError: the value has no axis of rows.
    """
    if node._row is None:
        example = example_values(node, 1)[node]
        if np.shape(example)[:1] != (1,):
            raise ShapeError(
                f"{node}: for one example its value has shape {np.shape(example)}; "
                "a layer needs an axis of rows before all others, one row for each example."
            )
        declare(node, Row(np.shape(example)[1:], np.asarray(example).dtype))
    row: Row = node._row
    return row


def floating(row: Row) -> np.dtype[Any]:
    """The dtype of parameters that meet such rows: theirs, or float32 if they are whole."""
    return row.dtype if row.dtype.kind == "f" else np.dtype(np.float32)


def example_feed(
    output: Node, rows: int, given: Mapping[Node, Any] | None = None
) -> dict[Node, Any]:
    """Zeros for the inputs of a graph, with so many rows.

    Args:
        output: the node that is to be computed.
        rows: how many examples.
        given: input → what stands in for its declared shape, an array of one row or more.

    Raises GraphError if neither says what an input is like.
    """
    known = {node: _row(node, value) for node, value in (given or {}).items()}
    feed = {}
    for node in ancestors_in_order(output):
        if not is_input(node):
            continue
        row = known.get(node) or node._row
        if row is None and node._stands_for is not None:
            source, is_item = node._stands_for
            example = np.asarray(example_values(source, rows, given)[source])
            feed[node] = np.zeros_like(example[0] if is_item else example)
            continue
        if row is None:
            raise GraphError(
                f"The shape of {node} is not known: make it with mf.layers.Input(shape), "
                "the shape of one example."
            )
        feed[node] = np.zeros((rows, *row.shape), row.dtype)
    return feed


def example_values(
    output: Node, rows: int, given: Mapping[Node, Any] | None = None
) -> dict[Node, Any]:
    """The value of every node that leads to `output`, for examples of zeros; see `example_feed`."""
    feed = example_feed(output, rows, given)
    order = ancestors_in_order(output)
    with one_pass_at_a_time, preserved_deeply(order), np.errstate(all="ignore"):
        interpreter.value(output, feed)
        return {node: node.value for node in order}


def _row(node: Node, example: Any) -> Row:
    array = np.asarray(example)
    if array.ndim == 0:
        raise ShapeError(
            f"The example for {node} is {describe(example)}: it takes an array with at least one "
            "row."
        )
    return Row(array.shape[1:], array.dtype)
