"""What shape the value of a node has, before anything is fed: layers and summaries ask.

An `Input` that was made with a shape knows it; the state and the item of a loop are like its first
state and the items of its sequence. What follows from it is found by a forward pass over examples
of zeros, in the interpreter; so it is known behind nodes of anybody's class, and no node has to
state a rule for its shape. The pass leaves no trace: values and whatever else the nodes keep are
put back. Behind an input without a shape it is seen when something is fed (`layers.first_values`).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from miniflow import interpreter
from miniflow.errors import GraphError, ShapeError
from miniflow.graph import Node
from miniflow.graph.plans import ancestors_in_order
from miniflow.graph.rows import Row
from miniflow.graph.typed import FedNode
from miniflow.graph.values import describe
from miniflow.interpreter.feeding import is_input
from miniflow.interpreter.passes import one_pass_at_a_time
from miniflow.tracing.first_values import make_first_values
from miniflow.tracing.keeping import preserved_deeply


class UnknownShapeError(GraphError):
    """An input has no known shape: what depends on it is known when something is fed."""


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
        example = np.asarray(example_values(node, 1)[node])
        if example.shape[:1] != (1,):
            _check_rows(node, example.shape, np.shape(example_values(node, 2)[node]))
        declare(node, Row(example.shape[1:], example.dtype))
    row: Row = node._row
    return row


def known_row(node: Node) -> Row | None:
    """`row_of`, or None where that is not known before something is fed."""
    try:
        return row_of(node)
    except UnknownShapeError:
        return None


def _check_rows(node: Node, one: tuple[int, ...], two: tuple[int, ...]) -> None:
    """ShapeError unless a value has rows, many for each example or along another axis, and a last
    axis that is the same however many there are: (n · T, k) of sequences, (T, n, k) of a loop.
    """
    if len(one) < 2 or one == two or one[-1:] != two[-1:]:
        raise ShapeError(
            f"{node}: for one example its value has shape {one}, for two {two}; a layer needs an "
            "axis of rows, one row or more for each example, and a last axis that does not grow "
            "with them."
        )


def floating(row: Row) -> np.dtype[Any]:
    """The dtype of parameters that meet such rows: theirs, or float32 if they are whole."""
    return row.dtype if row.dtype.kind == "f" else np.dtype(np.float32)


def example_feed(
    output: Node, rows: int, given: Mapping[FedNode, Any] | None = None
) -> dict[Node, Any]:
    """Zeros for the inputs of a graph, with so many rows.

    Args:
        output: the node that is to be computed.
        rows: how many examples.
        given: input → what stands in for its declared shape, an array of one row or more.

    Raises GraphError if neither says what an input is like.
    """
    known: dict[Node, Any] = {node: _row(node, x) for node, x in (given or {}).items()}
    feed = {}
    for node in ancestors_in_order(output):
        if not is_input(node):
            continue
        row = known.get(node) or node._row
        if row is None and node._stands_for is not None:
            source, is_item = node._stands_for
            try:
                example = np.asarray(example_values(source, rows, given)[source])
            except UnknownShapeError as error:  # the parameters of a loop are made before it runs
                raise GraphError(str(error)) from error
            feed[node] = np.zeros_like(example[0] if is_item else example)
            continue
        if row is None:
            raise UnknownShapeError(
                f"The shape of {node} is not known: make it with mf.layers.Input(shape), "
                "the shape of one example."
            )
        feed[node] = np.zeros((rows, *row.shape), row.dtype)
    return feed


def example_values(
    output: Node, rows: int, given: Mapping[FedNode, Any] | None = None
) -> dict[Node, Any]:
    """The value of every node that leads to `output`, for examples of zeros; see `example_feed`."""
    feed = example_feed(output, rows, given)
    order = ancestors_in_order(output)
    make_first_values(output, order, feed)
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
