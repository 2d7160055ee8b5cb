"""What a node's value is for every row of a data set: in batches, compiled."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from miniflow import interpreter
from miniflow.bars import BarStyle, rows_bar
from miniflow.compiler import Compiled
from miniflow.errors import CompileError, FeedError, ShapeError
from miniflow.graph import Node
from miniflow.graph.places import users_level
from miniflow.graph.plans import ancestors_in_order
from miniflow.graph.values import describe, shape_of
from miniflow.interpreter.feeding import checked_outputs, is_input
from miniflow.interpreter.states import states_held
from miniflow.options import whole, with_known_options
from miniflow.training.batching import Batches, PairBatches, batches_for
from miniflow.training.stepping import InterpreterWarning, checked_backend


@with_known_options(
    {
        "x": "write data={X: x}",
        "verbose": "write progress='none'",
        "callbacks": "there is no training",
    }
)
def predict(
    node: Node | Sequence[Node],
    data: Any,
    batch_size: int = 1000,
    *,
    backend: str = "auto",
    progress: BarStyle = "auto",
) -> Any:
    """The value of a node for every row of `data`.

    Args:
        node: the output: logits, say, with a row for each row that is fed; or a list of outputs.
        data: a dictionary {input: array} (what `node` does not need is left out); or an array or a
            `miniflow.datasets.Dataset`, fed to the one input that `node` has; or a function that
            yields batches, as for `fit`.
        batch_size: rows at a time, 1000 by default. Where rows have nothing to do with each other,
            only the memory that is used depends on it.
        backend: what runs it, as for `fit`; "auto" by default.
        progress: "bar", "none", or "auto": a bar on a terminal, if it takes a while; "auto" by
            default.

    Returns:
        An array with a row for each row of the data, in their order; of a list of outputs, a list.
        No number is fed to a `Seed`: this is inference.

    Raises:
        ShapeError: the value has no row for each row that is fed, as that of a loss.
        DataError, FeedError, OptionError: what was given does not fit; the message says what does.
        CompileError: the graph cannot be compiled, and the backend was named.

    >>> import numpy as np, miniflow as mf
    >>> X, W = mf.Input("X"), mf.Parameter([[1.0], [2.0]], "W")
    >>> mf.predict(X @ W, {X: np.ones((5, 2))}, batch_size=2).ravel()
    array([3., 3., 3., 3., 3.])
    """
    output = checked_outputs(node)
    rows = whole("predict", "batch_size", batch_size, least=1)
    run = _Run(output, checked_backend("predict", backend))
    batches = _batches_for(output, data)
    found: list[list[Any]] = []
    with rows_bar("predict", batches.examples, progress) as advance:
        for batch in batches.batches(rows):
            found.append(run(batch.feed, batch.rows))
            advance(batch.rows)
    columns = [np.concatenate(column) for column in zip(*found, strict=True)]
    return columns if output.gathers else columns[0]


class _Run:
    """The values of the outputs for a batch: by a compiled program, or the interpreter."""

    def __init__(self, output: Node, backend: str) -> None:
        self.outputs = list(output.inbound_nodes) if output.gathers else [output]
        self._falls_back = backend == "auto"
        self._compiled = None
        if backend != "interpreter":
            self._compiled = Compiled(self.outputs, (), None, backend, sets_states=False)

    def __call__(self, feed: dict[Node, Any], rows: int) -> list[Any]:
        values = self._values(feed)
        for node, value in zip(self.outputs, values, strict=True):
            if shape_of(value)[:1] != (rows,):
                raise ShapeError(
                    f"predict: {node} has a value of shape {shape_of(value)} where {rows} rows are "
                    "fed: it takes a node with a row for each. Of a loss, give the logits."
                )
        return values

    def _values(self, feed: dict[Node, Any]) -> list[Any]:
        if self._compiled is not None:
            try:
                return self._compiled.run(feed)
            except CompileError as error:
                if not self._falls_back:
                    raise
                warnings.warn(f"{error}", InterpreterWarning, stacklevel=users_level())
                self._compiled = None
        with states_held():
            return [np.array(value) for value in interpreter.value(self.outputs, feed)]


def _batches_for(output: Node, data: Any) -> Batches:
    """`data` as batches: what is not needed is left out, and an array is for the one input."""
    order = frozenset(ancestors_in_order(output))
    if isinstance(data, Mapping):
        data = {node: x for node, x in data.items() if node in order or not isinstance(node, Node)}
        if not data:
            raise FeedError(
                f"predict: data has nothing that {output} depends on: it is {{input: array}}, and "
                f"the inputs are {_told(_inputs(output)) or 'none'}."
            )
        return batches_for(output, data)
    if isinstance(data, Iterator) or (callable(data) and not hasattr(data, "batches")):
        return batches_for(output, data)
    inputs = _inputs(output)
    if len(inputs) != 1:
        raise FeedError(
            f"predict: {output} has {len(inputs)} inputs, {_told(inputs) or 'none'}: say which "
            f"gets what, data={{input: array}}, and not {describe(data)}."
        )
    if hasattr(data, "batches") and hasattr(data, "__len__"):
        return PairBatches(data, inputs[0], None)
    return batches_for(output, {inputs[0]: data})


def _inputs(output: Node) -> list[Node]:
    return [node for node in ancestors_in_order(output) if is_input(node)]


def _told(nodes: Sequence[Node]) -> str:
    return ", ".join(map(str, nodes))
