"""Whether a second pass, with another feed, depends on the first.

A node may keep what it likes for its own `backward`. What it must not do is to go on using in the
next pass what it kept in this one: a mask of the first batch, a transpose, its number of rows, the
gradients themselves. So a pass with another feed is run before the pass that is checked, from
nodes that know of none, and once more after it; both must give the same.
"""

import dis
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import FunctionType
from typing import Any, NamedTuple

import numpy as np

from miniflow.errors import GraphError
from miniflow.graph import Constant, Node
from miniflow.graph.plans import Plan
from miniflow.interpreter.bench import plain
from miniflow.interpreter.keeping import Generators, contents_preserved, foreign_classes
from miniflow.interpreter.passes import backward_pass, forward_pass, start_pass

SAME = {np.dtype(np.float16): 1e-2, np.dtype(np.float32): 1e-4}  # others: 1e-7
Feed = Mapping[Node, Any]
_OF_EVERY_NODE = {"value", "gradients", "cache", "name", "inbound_nodes"}


class Left(NamedTuple):
    """What a pass left on the nodes."""

    values: dict[Node, Any]
    gradients: dict[Node, dict[Node, Any]]  # the output's first, as the backward pass goes


class Repetition:
    """A pass with another feed, run before the one that is checked, to be compared with one after.

    Args:
        output: the output.
        plan: its plan.
        feed: node → value, of the pass that is checked.
        wanted: called when the nodes have their values; with respect to what gradients are wanted.
        generators: rewound before each pass, so that random numbers are the same each time.
    """

    def __init__(
        self,
        output: Node,
        plan: Plan,
        feed: Feed,
        wanted: Callable[[], Sequence[Node]],
        generators: Generators,
    ) -> None:
        self.output, self.plan = output, plan
        self.wanted, self.generators = wanted, generators
        self.nodes = (*plan.order, output)
        kinds = (_other_rows(feed), _other_signs(feed))
        self.firsts = [first for feeds in kinds if (first := self._first_of(feeds)) is not None]

    def _first_of(self, feeds: Iterable[Feed]) -> tuple[Feed, Left] | None:
        """The first of these feeds that the graph takes, and what a first pass with it leaves."""
        for feed in feeds:
            for prepare in (_forget, list):  # as made; as they are
                with contents_preserved(self.nodes):
                    prepare(self.nodes)
                    try:
                        return feed, self._left_by(feed)
                    except GraphError:  # this graph takes no other number of rows, say
                        continue
        return None

    def faults(self) -> dict[Node, str]:
        """The nodes for which this pass is another one after a first one, and what is told."""
        for feed, first in self.firsts:
            if faults := self._faults_with(feed, first):
                return faults
        return {}

    def _faults_with(self, feed: Feed, first: Left) -> dict[Node, str]:
        with contents_preserved(self.nodes):
            before = {node: _kept(node) for node in self.nodes}
            try:
                second = self._left_by(feed)
            except GraphError as error:
                culprits = (node for node in self.nodes if str(error).startswith(f"{node}"))
                culprit = next(culprits, self.output)
                before[culprit].pop("self.gradients")
                kept = _what_is_kept(culprit, before[culprit])
                return {
                    culprit: "it fails in a second pass with another feed, and not in a first "
                    f"one{kept}: {str(error).removeprefix(f'{culprit}: ')}"
                }
            return {
                node: f"a second pass with another feed depends on the first: its {what} is not "
                f"what it is in a first pass{_what_is_kept(node, before[node])}"
                for node, what in self._differences(first, second)
                if node.inbound_nodes
            }

    def _left_by(self, feed: Feed) -> Left:
        self.generators.rewind()
        feed = {node: plain(value) for node, value in feed.items()}  # whoever writes into it
        forward_pass(self.output, self.plan, feed, start_pass(self.output, self.plan, ()))
        values = {node: np.array(node.value) for node in self.nodes}
        wanted = self.wanted()
        this_pass = start_pass(self.output, self.plan, wanted)
        backward_pass(wanted, this_pass)
        gradients = {
            node: {
                source: np.array(node.gradients[source])
                for source in node.inbound_nodes
                if source in this_pass.needed
            }
            for node in this_pass.order
        }
        return Left(values, gradients)

    def _differences(self, first: Left, second: Left) -> Iterator[tuple[Node, str]]:
        """Where passes differ first: the nodes that made something else of the same."""
        values = {n: is_same(first.values[n], second.values[n]) for n in self.nodes}
        for node in self.nodes:
            if not values[node] and all(values[source] for source in node.inbound_nodes):
                yield node, "value"
        handed_back = dict.fromkeys(self.nodes, True)
        for node, gradients in first.gradients.items():
            for source, gradient in gradients.items():
                if not is_same(gradient, second.gradients[node][source]):
                    if handed_back[node] and values[node]:
                        yield node, f"gradient for {source.label}"
                    handed_back[source] = False


def _other_rows(feed: Feed) -> Iterator[Feed]:
    """Feeds that a graph may take in place of this one: a row less (or two for one), if it can be,
    in another order, and somewhat smaller numbers, if it can be.
    """
    smaller = {n: v if isinstance(n, Constant) else _scale(v, 0.9) for n, v in feed.items()}
    data = {n: v for n, v in feed.items() if np.ndim(v) and not n.keeps_a_value}
    sizes = Counter(len(value) for value in data.values() if len(value))
    for size, _ in sizes.most_common(2):
        rows = slice(None, 0, -1) if size > 1 else np.array([0, 0])
        of_size = [node for node, value in data.items() if len(value) == size]
        for nodes in (of_size, *([node] for node in of_size[:3])):  # a square has two such axes
            for numbers in (smaller, feed):
                yield {**feed, **numbers, **{node: numbers[node][rows].copy() for node in nodes}}
    for numbers in (smaller, feed):
        yield {**feed, **numbers, **{node: numbers[node][::-1].copy() for node in data}}


def _other_signs(feed: Feed) -> Iterator[Feed]:
    """What is fed with its sign turned, or, where nothing is fed, the parameters."""
    numbers = [node for node in feed if not isinstance(node, Constant)]
    data = [node for node in numbers if not node.keeps_a_value] or numbers
    yield {**feed, **{node: _scale(feed[node], -0.9) for node in data}}


def _scale(value: Any, factor: float) -> Any:
    """Floating-point numbers times a factor; others as they are."""
    array = np.asarray(value)
    return (array * array.dtype.type(factor))[()] if array.dtype.kind == "f" else value


def is_same(one: Any, other: Any) -> bool:
    """Whether two passes left the same, to rounding."""
    if one.shape != other.shape:
        return False
    close = SAME.get(one.dtype, 1e-7)
    scale = np.max(np.abs(one), where=np.isfinite(one), initial=0.0) if one.size else 0.0
    return bool(np.allclose(one, other, rtol=close, atol=close * float(scale), equal_nan=True))


def _forget(nodes: Sequence[Node]) -> None:
    """Nodes as they were made: without what passes have left on them."""
    for node in nodes:
        node.cache.clear()
        for name, is_none_at_first in _made_in_passes(node).items():
            node.__dict__.pop(name, None)
            if is_none_at_first:
                node.__dict__[name] = None


def _made_in_passes(node: Node) -> dict[str, bool]:
    """The attributes that methods assign and `__init__` does not; True for those that it sets to
    None.
    """
    made, kept, none = set[str](), set(_OF_EVERY_NODE), set[str]()
    for class_ in foreign_classes([node]):
        for name, function in vars(class_).items():
            if isinstance(function, FunctionType):
                steps = list(dis.get_instructions(function))
                for i, step in enumerate(steps):
                    if step.opname == "STORE_ATTR":
                        before = steps[max(i - 2, 0)]  # what is assigned, and then to whose
                        is_none = before.opname == "LOAD_CONST" and before.argval is None
                        first = none if is_none else kept
                        (first if name == "__init__" else made).add(step.argval)
    return {name: name in none for name in made - kept}


def _kept(node: Node) -> dict[str, Any]:
    """What a node has from passes: name, as in the code → object."""
    attributes = {f"self.{name}": node.__dict__.get(name) for name in _made_in_passes(node)}
    cached = {f"self.cache[{key!r}]": value for key, value in node.cache.items()}
    return {"self.gradients": node.gradients or None, **attributes, **cached}


def _what_is_kept(node: Node, before: Mapping[str, Any]) -> str:
    """What the node still has from the first pass, and would have had to make anew."""
    now = _kept(node)
    names = [name for name, kept in before.items() if kept is not None and now.get(name) is kept]
    if "self.gradients" in names:
        return " (the zeros in self.gradients must be made in backward(), in each pass)"
    return f" (it keeps {', '.join(sorted(names))})" if names else ""
