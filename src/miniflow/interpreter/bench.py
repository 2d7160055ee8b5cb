"""One node on a bench: run by itself, at values and with upstream gradients of our choosing."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, NamedTuple

import numpy as np

from miniflow.errors import GraphError
from miniflow.graph import Node, Parameter
from miniflow.graph.deriving import derived_gradients
from miniflow.graph.plans import with_parts
from miniflow.interpreter.keeping import Generators, attributes_preserved, contents_preserved
from miniflow.interpreter.passes import Upstream, alone, check_gradients_of
from miniflow.interpreter.results import node_failed, value_not_set

Array = np.ndarray[Any, Any]


class NodeRun(NamedTuple):
    """What a node's forward and backward left."""

    value: Array
    gradients: dict[Node, Array]  # in the dtypes in which they were left
    keeps_upstream: bool  # whether the gradients that consumers hand back are as they were
    saw_consumers: bool  # whether the code has looked at them at all


class Consumers(list[Any]):
    """What a node sees as its `outbound_nodes`; it remembers whether anybody has looked."""

    were_seen = False

    def __iter__(self) -> Iterator[Any]:
        self.were_seen = True
        return list.__iter__(self)

    def __len__(self) -> int:
        self.were_seen = True
        return list.__len__(self)

    def __getitem__(self, index: Any) -> Any:
        self.were_seen = True
        return list.__getitem__(self, index)


class Bench:
    """A node, and the inbound nodes for which its gradients are wanted. Whatever runs on the bench
    leaves the state of the nodes as it was.

    Args:
        node: the node.
        sources: the inbound nodes for which its gradients are wanted.
        generators: rewound before each forward, so that random numbers are the same each time.
    """

    def __init__(self, node: Node, sources: Sequence[Node], generators: Generators) -> None:
        self.node = node
        self.sources = sources
        self.generators = generators
        self.is_random = True  # until it has run without drawing
        self.inbound = list(dict.fromkeys(node.inbound_nodes))

    def run(
        self, values: Mapping[Node, Any], upstreams: Sequence[Array] | None, times: int = 1
    ) -> NodeRun:
        """A forward and a backward.

        Args:
            values: of the inbound nodes.
            upstreams: what the consumers hand back; None for the end of a pass.
            times: how often they run in a row; what the last ones left is returned.
        """
        node = self.node
        handed = None if upstreams is None else [plain(g) for g in upstreams]
        consumers = None if handed is None else Consumers(Upstream(node, g) for g in handed)
        given = {n: plain(value) for n, value in values.items()}
        with self._alone(consumers):
            set_values(given)
            for _ in range(times):
                self._draw_again()
                with self._telling_errors("forward"):
                    node.forward()
                    if node.value is None:
                        raise value_not_set(node)
                    value = np.array(node.value)
                with self._telling_errors("backward"):
                    node.backward()
                    check_gradients_of(node, set(self.sources))
                    gradients = {n: _fill(node.gradients[n], values[n]) for n in self.sources}
        self.is_random = self.is_random and self.generators.have_moved()
        pairs = zip(upstreams or (), handed or (), strict=True)
        keeps_upstream = all(are_equal(before, after) for before, after in pairs)
        saw_consumers = consumers is None or consumers.were_seen
        return NodeRun(value, gradients, keeps_upstream, saw_consumers)

    def derive(
        self, values: Mapping[Node, Any], upstream: Any
    ) -> tuple[dict[Node, Array], np.dtype[Any]]:
        """The gradients that follow from the node's forward alone, and the narrowest floating dtype
        that it computes in.
        """
        with self._alone(None):
            set_values({n: plain(value) for n, value in values.items()})
            self._draw_again()
            found, dtype = derived_gradients(self.node, upstream, self.sources, "")
        zeros = (np.zeros(np.shape(values[n])) for n in self.sources)
        filled = {
            n: _fill(zero if gradient is None else gradient, values[n])
            for n, gradient, zero in zip(self.sources, found, zeros, strict=True)
        }
        return filled, dtype

    @contextmanager
    def function(
        self, source: Node, values: Mapping[Node, Any]
    ) -> Iterator[Callable[[Array], Array]]:
        """Inside the block, the node's value as a function of that of one inbound node."""
        node = self.node
        with self._alone(None):
            set_values({n: plain(value) for n, value in values.items()})

            def compute(moved: Array) -> Array:
                set_values({source: plain(moved)})
                self._draw_again()
                with self._telling_errors("forward"):
                    node.forward()
                    return np.array(node.value, float)

            yield compute

    def insists_on_being_last(self, values: Mapping[Node, Any]) -> bool:
        """Whether the code runs as the end of a pass, and not with a single consumer."""
        try:
            value = self.run(values, None).value
        except GraphError:
            return False
        try:
            self.run(values, [np.ones(value.shape)])
        except GraphError:
            return True
        return False

    def _alone(self, consumers: list[Any] | None) -> AbstractContextManager[None]:
        # As when tracing, nothing is validated: a step may leave the range of a probability.
        return alone(
            self.node,
            consumers,
            set(self.sources),
            tracing=True,
            moved=self.inbound,
            keep=_with_the_contents_of_the_first,
        )

    def _draw_again(self) -> None:
        if self.is_random:
            self.generators.rewind()

    @contextmanager
    def _telling_errors(self, method: str) -> Iterator[None]:
        """The errors of the node's code, with the node."""
        try:
            yield
        except GraphError:
            raise
        except Exception as error:
            raise node_failed(self.node, method, error) from error

    def is_a_loss_on_its_own(self, values: Mapping[Node, Any], run: NodeRun) -> bool:
        """Whether this makes one number of two inputs or more, predictions and labels say, and
        has not looked at its consumers: it is written to be last.
        """
        ranks = [np.ndim(value) for value in values.values()]
        return not run.saw_consumers and not run.value.shape and len(ranks) > 1 and any(ranks)


@contextmanager
def _with_the_contents_of_the_first(nodes: Sequence[Node]) -> Iterator[None]:
    with attributes_preserved(nodes), contents_preserved(with_parts(nodes[:1])):
        yield


def plain(value: Any) -> Any:
    """A copy; numbers in place of arrays of rank 0."""
    return np.array(value, order="C")[()] if isinstance(value, (np.ndarray, np.generic)) else value


def set_values(values: Mapping[Node, Any]) -> None:
    """Give nodes these values; a parameter keeps its own array."""
    for node, value in values.items():
        if isinstance(node, Parameter):
            node.forward(value)
        else:
            node.value = value


def _fill(gradient: Any, value: Any) -> Array:
    return np.array(np.broadcast_to(np.asarray(gradient), np.shape(value)), order="C")


def are_equal(before: Any, after: Any) -> bool:
    """Whether a value is as it was, NaN where it was NaN."""
    before, after = np.asarray(before), np.asarray(after)
    return before.shape == after.shape and bool(
        np.all((before == after) | ((before != before) & (after != after)))
    )
