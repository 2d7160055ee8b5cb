"""What a network is made of, as a table: a line for each node, with its parameters and its work.

    name         operation  output shape  parameters  FLOPs a row
    X            Input      (n, 784)
    dense1       Linear     (n, 128)         100,480      200,832
    dense1/relu  ReLU       (n, 128)                          128
    ...

Shapes come from forward passes over examples of one row and of two, so an axis that grows with the
rows is seen to. FLOPs are those of the compiled forward program, each counted where it comes from;
of a graph that cannot be compiled they are not known.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from miniflow.errors import CompileError
from miniflow.graph import Constant, Node, Parameter
from miniflow.graph.plans import ancestors_in_order, plan_for
from miniflow.graph.typed import FedNode
from miniflow.interpreter.feeding import checked_output, is_input
from miniflow.ir.cost import cost
from miniflow.ir.dtypes import DTYPES, type_of
from miniflow.layers.example_shapes import UnknownShapeError, example_feed, example_values
from miniflow.passes import optimize
from miniflow.tracing.keeping import preserved_deeply
from miniflow.tracing.record import record

Size = int | str  # "n" where it is the number of rows, "3n" where it is three times that


class Line(NamedTuple):
    """A node: its name and its class, the shape of its value, how many numbers its parameters have,
    the arithmetic operations that it takes for one row (None where that is not known), and how many
    of the numbers are frozen (`W.trainable = False`).
    """

    name: str
    operation: str
    shape: tuple[Size, ...]
    parameters: int
    flops: int | None
    frozen: int = 0


class Summary(NamedTuple):
    """The lines in the order of the graph, inputs first. Printing it shows a table."""

    lines: tuple[Line, ...]

    @property
    def parameters(self) -> int:
        """How many numbers the parameters have; one that several nodes share counts once."""
        return sum(line.parameters for line in self.lines)

    @property
    def frozen(self) -> int:
        """How many of them are not trained."""
        return sum(line.frozen for line in self.lines)

    @property
    def flops(self) -> int | None:
        """The arithmetic operations of all nodes, for one row; None where they are not known."""
        return sum(line.flops or 0 for line in self.lines) if self._knows_flops else None

    @property
    def _knows_flops(self) -> bool:
        return all(line.flops is not None for line in self.lines)

    def __str__(self) -> str:
        rows = [
            [line.name, line.operation, _shape_text(line.shape), _count(line.parameters), work]
            for line in self.lines
            for work in [_count(line.flops)]
        ]
        header = ["name", "operation", "output shape", "parameters", "FLOPs a row"]
        total = ["total", "", "", f"{self.parameters:,}", _total(self.flops)]
        if self.frozen:
            frozen = [_count(line.frozen) for line in self.lines]
            for row, text in zip(
                [header, *rows, total], ["frozen", *frozen, f"{self.frozen:,}"], strict=True
            ):
                row.insert(4, text)
        return _table([header, *rows, total])


def summary(network: Any, inputs: Mapping[FedNode, Any] | None = None) -> None:
    """Print what a network is made of: names, operations, shapes, parameters and FLOPs; and how
    many parameters are frozen, if any.

    Args:
        network: a node, the output; or a `Network`, whose logits are taken; or an estimator that
            has been fitted.
        inputs: input → an example of what is fed, an array with at least one row; not needed for
            those that were made by `layers.Input`, or were fed before. None by default.

    `summarize` returns the same as an object.

    Raises GraphError if the shape of an input is not known, or a node fails on an example of zeros.

    >>> import miniflow as mf
    >>> X = mf.layers.Input((784,), name="X")
    >>> hidden = mf.layers.Dense(128, activation="relu")(X)
    >>> mf.summary(mf.layers.Dense(10, name="logits")(hidden))
    name         operation  output shape  parameters  FLOPs a row
    X            Input      (n, 784)
    dense1       Linear     (n, 128)         100,480      200,832
    dense1/relu  ReLU       (n, 128)                          128
    logits       Linear     (n, 10)            1,290        2,570
    total                                    101,770      203,530
    """
    print(summarize(network, inputs))


def summarize(network: Any, inputs: Mapping[FedNode, Any] | None = None) -> Summary:
    """What `summary` prints, as a `Summary`.

    >>> import miniflow as mf
    >>> X = mf.layers.Input((784,), name="X")
    >>> summarize(mf.layers.Dense(10)(X)).parameters
    7850
    """
    given = getattr(network, "output_node", getattr(network, "logits", network))
    output = checked_output(given)
    examples = _last_fed(output)
    examples.update((inputs or {}).items())
    try:
        one, two = (example_values(output, rows, examples) for rows in (1, 2))
    except UnknownShapeError as error:
        known = str(error).removesuffix(".")
        raise UnknownShapeError(
            f"{known}, or give an example of what is fed, summary(network, inputs={{node: array}})."
        ) from None
    flops = _flops(output, examples)
    counted: set[Node] = set()
    lines = []
    for node in ancestors_in_order(output):
        if isinstance(node, (Parameter, Constant)):
            continue
        new = [n for n in node.inbound_nodes if isinstance(n, Parameter) and n not in counted]
        own = list(dict.fromkeys(new))
        counted.update(own)
        lines.append(
            Line(
                node.name or "",
                type(node).__name__,
                _growing(np.shape(one[node]), np.shape(two[node])),
                sum(parameter.value.size for parameter in own),
                None if flops is None else flops.get(node, 0),
                sum(parameter.value.size for parameter in own if not parameter.trainable),
            )
        )
    return Summary(tuple(lines))


def _last_fed(output: Node) -> dict[Node, Any]:
    """An example, as it was last fed, for each input whose shape nobody has said."""
    examples: dict[Node, Any] = {}
    for node in ancestors_in_order(output):
        if is_input(node) and node._row is None:
            fed = None if node.value is None else type_of(node.value)
            fed = node._fed_type or fed
            if fed is not None and fed.shape:
                examples[node] = np.zeros((1, *fed.shape[1:]), DTYPES[fed.dtype])
    return examples


def _flops(output: Node, inputs: Mapping[FedNode, Any] | None) -> dict[Node, int] | None:
    """The operations of each node for one row, in the program that inference runs."""
    order = ancestors_in_order(output)
    types = {node: type_of(value) for node, value in example_feed(output, 1, inputs).items()}
    try:
        with preserved_deeply(order):
            program = optimize(record(output, plan_for(output), types).program)
    except CompileError:
        return None
    spent: dict[Node, int] = {}
    for origin, its in cost(program).by_origin.items():
        if origin is not None and 0 <= origin.index < len(order):
            node = order[origin.index]
            spent[node] = spent.get(node, 0) + its.flops
    return spent


def _growing(one: Sequence[int], two: Sequence[int]) -> tuple[Size, ...]:
    """A shape with "n" where an axis has one entry for one row and two for two."""
    if len(one) != len(two):
        return tuple(one)
    growth = [(a, b - a) for a, b in zip(one, two, strict=True)]
    return tuple(("n" if a == 1 else f"{a}n") if grown == a else a for a, grown in growth)


def _shape_text(shape: tuple[Size, ...]) -> str:
    return f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"


def _count(number: int | None) -> str:
    return f"{number:,}" if number else ""


def _total(number: int | None) -> str:
    return "unknown" if number is None else f"{number:,}"


def _table(rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest entry; words to the left, numbers to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        words = [entry.ljust(width) for entry, width in zip(row[:3], widths[:3], strict=True)]
        numbers = [entry.rjust(width) for entry, width in zip(row[3:], widths[3:], strict=True)]
        lines.append("  ".join([*words, *numbers]).rstrip())
    return "\n".join(lines)
