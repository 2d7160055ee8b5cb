"""The loss over many batches, as if they had been one.

A mean over a data set is not the mean of its batches' means: each of them counts as much as what it
divides by, and that is the number of rows, or of entries, or a sum of weights (`Node.divisor`). Of
a sum, the values of the batches add up. And a loss that is put together from such numbers, 0.1 · a
+ b or a / b, is put together again from what they are over all batches:

    loss  =  CrossEntropy  +  0.001 · Sum(W²)
             mean over Σ weights       the same in every batch

So the loss is looked at from above: nodes that compute with single numbers are gone through, down
to the `LossPart`s, which make one number (or a few, always as many) out of rows, or have nothing to
do with them. Where nobody says by what is divided, as in a loss of somebody's own, it counts as a
mean over the rows.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from miniflow.errors import MiniflowError
from miniflow.graph import Node
from miniflow.graph.hits import Hits
from miniflow.graph.plans import ancestors_in_order
from miniflow.interpreter.feeding import is_input
from miniflow.interpreter.keeping import attributes_preserved
from miniflow.interpreter.passes import one_pass_at_a_time

Kind = Literal["mean", "sum", "rows", "number", "unfed"]
ADDED = ("sum", "number")  # what is not divided


class LossPart(NamedTuple):
    """A number of which a loss is made, and how its values in batches become one: a "mean" over
    what its `divisor` says, or over the "rows" that are fed; a "sum"; a "number" that is fed; or
    "unfed": what has nothing to do with the data, whose changes count as a mean over the rows.
    """

    node: Node
    kind: Kind
    counted_by: Node | None = None  # whose divisor counts; None: the node's own

    @property
    def counter(self) -> Node:
        """The node whose divisor says how much a batch counts."""
        return self.counted_by or self.node


class Counted(NamedTuple):
    """The value of a part in a batch, a number or an array of them, and how much it counts; None:
    as much as it has rows.
    """

    value: Any
    weight: float | None


class StepResult(NamedTuple):
    """What a batch has given: the loss, its hits if it has an accuracy, and the parts of the loss
    (none where they are not known: then it counts as much as it has rows). `seen` are the values
    of the nodes that metrics read, if there are any.
    """

    loss: float
    hits: Hits | None
    parts: tuple[Counted, ...] = ()
    seen: Mapping[Node, Any] | None = None

    @property
    def correct(self) -> int | None:
        """How many labels were met; None where that cannot be told."""
        return None if self.hits is None else self.hits.correct


class Averages:
    """How the loss of a data set follows from those of its batches.

    Attributes:
        parts: what the loss is made of; mostly it itself, and nothing else.
        above: the nodes that compute it from their numbers, in order.
        reads: nodes whose values are asked for in every batch, the loss not among them.
    """

    def __init__(self, loss: Node) -> None:
        self.loss = loss
        self.parts, self.above = _parts_of(loss)
        inner = [part.node for part in self.parts if part.node is not loss]
        asked = [
            part.counter.inbound_nodes[place]
            for part in self.parts
            if part.kind == "mean"
            for place in part.counter.divisor_reads
        ]
        self.reads = list(dict.fromkeys([*inner, *asked]))

    def take_as_one_part(self) -> None:
        """Count it as a sum, if all in it that data are fed to adds up, else as a mean over the
        rows.
        """
        kinds = {part.kind for part in self.parts} - {"unfed"}
        kind: Kind = "sum" if kinds == {"sum"} else "rows"
        self.parts, self.above, self.reads = [LossPart(self.loss, kind)], [], []

    def count(
        self,
        loss: float,
        values: Mapping[Node, Any],
        shape_of: Callable[[Node], tuple[int, ...]],
    ) -> tuple[Counted, ...]:
        """The parts in one batch.

        Args:
            loss: the value of the loss.
            values: those of the nodes in `reads`.
            shape_of: the shape of the value of any node.
        """
        return tuple(
            Counted(
                loss if part.node is self.loss else _value_of(part, values[part.node]),
                _divisor(part.counter, values, shape_of) if part.kind == "mean" else None,
            )
            for part in self.parts
        )

    def combine(self, numbers: Sequence[Any]) -> float | None:
        """The loss whose parts have these values; None if the nodes above them fail."""
        if not self.above:
            return float(numbers[0])
        nodes = [part.node for part in self.parts]
        with (
            one_pass_at_a_time,
            attributes_preserved([*nodes, *self.above]),
            np.errstate(all="ignore"),
        ):
            for node, number in zip(nodes, numbers, strict=True):
                node.value = np.asarray(number, np.float64)[()]
            try:
                for node in self.above:
                    node.forward()
            except (MiniflowError, ArithmeticError):
                return None
            return _as_number(self.loss.value)


class Totals:
    """Adds up what batches have given; and has metrics count what was seen, if there are any.

    >>> import miniflow as mf
    >>> x = mf.Input("x")
    >>> totals = Totals(Averages(mf.Mean(x)))
    >>> totals.add(StepResult(4.0, None, (Counted(4.0, 1),)), 1)  # the mean of 1 entry
    >>> totals.add(StepResult(1.0, None, (Counted(1.0, 3),)), 3)  # and of 3
    >>> totals.loss, totals.accuracy
    (1.75, None)
    """

    def __init__(self, averages: Averages, metrics: Any = None) -> None:
        self.metrics = metrics
        self.rows = 0
        self.hits: Hits | None = Hits(0, 0)
        self._averages = averages
        self._of_rows = 0.0  # Σ loss · rows
        self._sums: list[Any] = [0.0] * len(averages.parts)
        self._weights: list[float] = [0] * len(averages.parts)
        self._numbers: dict[int, float] = {}
        self._is_one_loss = True  # whether numbers that are fed are the same in all batches

    def add(self, result: StepResult, rows: int) -> None:
        """A batch of so many rows has given this."""
        self.rows += rows
        if self.metrics is not None:
            self.metrics.add(result.seen)
        self._of_rows += result.loss * rows
        known = self.hits is not None and result.hits is not None
        self.hits = self.hits + result.hits if known else None  # type: ignore[operator]
        self._is_one_loss = self._is_one_loss and bool(result.parts)
        pairs = zip(self._averages.parts, result.parts, strict=False)
        for i, (part, (value, weight)) in enumerate(pairs):
            if part.kind == "sum":
                self._sums[i] = _add_up(self._sums[i], value)
            elif part.kind == "number":
                same = self._numbers.setdefault(i, value) == value
                self._is_one_loss = self._is_one_loss and same
            elif (weight := rows if weight is None else weight) > 0:
                self._sums[i] = _add_up(self._sums[i], value * weight)
                self._weights[i] += weight

    @property
    def loss(self) -> float:
        """The loss over all batches; 0 before the first."""
        if not self.rows:
            return 0.0
        numbers = [self._number(i, part.kind) for i, part in enumerate(self._averages.parts)]
        found = self._averages.combine(numbers) if self._is_one_loss else None
        return self._of_rows / self.rows if found is None or math.isnan(found) else found

    def parts(self) -> list[Any] | None:
        """The values of the parts over all batches; None where these are not parts of one loss."""
        kinds = enumerate(part.kind for part in self._averages.parts)
        return [self._number(i, kind) for i, kind in kinds] if self._is_one_loss else None

    def counts(self) -> list[float]:
        """By what the sum over the batches of each part is divided."""
        kinds = enumerate(part.kind for part in self._averages.parts)
        return [1.0 if kind in ADDED else self._weights[i] or 1.0 for i, kind in kinds]

    @property
    def accuracy(self) -> float | None:
        """The share of labels that were met; None where that is not known."""
        return None if self.hits is None else self.hits.share

    def _number(self, i: int, kind: Kind) -> Any:
        if kind == "sum":
            return self._sums[i]
        if kind == "number":
            return self._numbers[i]
        return self._sums[i] / self._weights[i] if self._weights[i] else 0.0


def _parts_of(loss: Node) -> tuple[list[LossPart], list[Node]]:
    """The parts of a loss, and the nodes that are computed from them, in order."""
    order = ancestors_in_order(loss)
    fed: set[Node] = set()  # what depends on what is fed
    reduced: dict[Node, bool] = {}  # whether its value is made of single numbers
    for node in order:
        if is_input(node) or not fed.isdisjoint(node.inbound_nodes):
            fed.add(node)
        numbers = bool(node.inbound_nodes) and all(reduced[n] for n in node.inbound_nodes)
        reduced[node] = node not in fed or numbers or _makes_one_number(node)
    found: dict[Node, LossPart] = {}
    above: set[Node] = set()
    waiting = [loss]
    while waiting:
        node = waiting.pop()
        if node in found or node in above:
            continue
        inner = _reduced_before(node, fed)
        if inner is not node:
            found[node] = LossPart(node, _kind_of(inner, fed), inner)
        elif node in fed and _goes_through(node, reduced):
            above.add(node)
            waiting += node.inbound_nodes
        else:
            found[node] = LossPart(node, _kind_of(node, fed))
    kinds = {part.kind for part in found.values()}
    says_nothing = kinds.isdisjoint(("mean", "sum"))
    if says_nothing or kinds >= {"sum", "number"}:  # is it the number of rows? who knows
        return [LossPart(loss, "rows")], []
    return [found[n] for n in order if n in found], [n for n in order if n in above]


def _says_how(node: Node) -> bool:
    """Whether a node makes one number of rows, and says how."""
    return node.adds_up or type(node).divisor is not Node.divisor


def _makes_one_number(node: Node) -> bool:
    """Whether a node makes one number of rows."""
    return _says_how(node) and not node.keeps_rows


def _reduced_before(node: Node, fed: set[Node]) -> Node:
    """The node that reduces the rows, below sums and means of what it leaves; itself, if there are
    none. A sum of sums over the rows adds up as these do.
    """
    while node in fed and node.is_linear_reduction:
        (source,) = node.inbound_nodes
        if source not in fed or not (source.is_linear_reduction and _makes_one_number(source)):
            break
        node = source
    return node


def _goes_through(node: Node, reduced: Mapping[Node, bool]) -> bool:
    """Whether a node computes with single numbers, or so as if it did."""
    sources = node.inbound_nodes
    if not sources:
        return False
    if all(reduced[source] for source in sources):
        return True
    if node.linear_in == "all":
        return True
    unknown = [n for n in sources if not reduced[n] and not is_input(n)]
    return node.linear_in == "one" and len(unknown) <= 1


def _kind_of(node: Node, fed: set[Node]) -> Kind:
    if node in fed and is_input(node):
        return "number"
    if node not in fed:
        return "unfed"
    if not _says_how(node):
        return "rows"
    return "sum" if node.adds_up else "mean"


def _divisor(
    node: Node, values: Mapping[Node, Any], shape_of: Callable[[Node], tuple[int, ...]]
) -> float | None:
    sources = node.inbound_nodes
    read = {place: values[sources[place]] for place in node.divisor_reads}
    return node.divisor([shape_of(source) for source in sources], read)


def _value_of(part: LossPart, value: Any) -> Any:
    """A part's value; one that is read by nodes with other shapes may be an array, if it is known
    how those of batches become one.
    """
    if np.size(value) == 1 or part.kind not in ("sum", "mean", "unfed"):
        return _as_number(value)
    return np.array(value, np.float64)


def _add_up(total: Any, value: Any) -> Any:
    """The sum of two numbers, or arrays of one shape; else NaN, for they are no parts of one."""
    fits = np.ndim(total) == 0 or np.shape(total) == np.shape(value)
    return total + value if fits else math.nan


def _as_number(value: Any) -> float:
    """A part's value; what is no single number is none."""
    return float(np.reshape(value, ())) if np.size(value) == 1 else float("nan")
