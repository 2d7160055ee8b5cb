"""Which nodes lead to an output, in what order, and the passes that are under way.

A pass asks for the `Plan` of its output: every node that leads to it, each after its inbound nodes,
and for each the consumers among them. It is found once, in time proportional to nodes and edges,
and kept until somebody rewires the graph. While a pass runs, a `Pass` says which consumers
`outbound_nodes` shows and which nodes need a gradient.
"""

import weakref
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from miniflow.errors import GraphError
from miniflow.graph.pixels import tell_of_bytes

if TYPE_CHECKING:
    from miniflow.graph.node import Node


class Plan(NamedTuple):
    """What a pass needs to know about an output: found once, kept until the graph changes.

    The output itself is left out everywhere: it keeps its plan, and a plan that kept the output
    would be a cycle.
    """

    order: list["Node"]  # the nodes that lead to the output, each after its inbound nodes
    inbound: list[Sequence["Node"]]  # a copy of their inbound_nodes, and last the output's
    consumers: dict["Node", list["Node"]]  # for each of them, the consumers among them
    backward: dict[tuple[int, ...], tuple[set["Node"], list["Node"]]]  # per `wrt`: see needed_for
    live: set["Node"] | None = None  # from which a gradient comes back; None: from all
    guarded: Sequence["Node"] = ()  # what is fed or kept, where others' code could write to it

    def is_current(self, output: "Node") -> bool:
        """Whether nobody has rewired the graph since."""
        return (
            output.inbound_nodes == self.inbound[-1]
            and [node.inbound_nodes for node in self.order] == self.inbound[:-1]
        )

    def needed_for(self, wrt: Sequence["Node"]) -> tuple[set["Node"], list["Node"]]:
        """The nodes between `wrt` and the output, as a set and last to first; all nodes if `wrt` is
        empty. Those that lead to it through what stops gradients alone are left out.
        """
        key = tuple(map(id, wrt))
        if key not in self.backward:
            needed = set(wrt) & self.consumers.keys() if wrt else set(self.order)
            for node, inbound in zip(self.order, self.inbound, strict=False):
                if not needed.isdisjoint(inbound) and not node.stops_gradient:
                    needed.add(node)
            if self.live is not None:
                needed &= self.live
            self.backward[key] = needed, [node for node in reversed(self.order) if node in needed]
        return self.backward[key]


def plan_for(output: "Node") -> Plan:
    """The plan of an output: the one it keeps if the graph is as it was, else a new one."""
    plan = output._plan
    if plan is None or not plan.is_current(output):
        order = ancestors_in_order(output)[:-1]
        consumers: dict[Node, list[Node]] = {node: [] for node in order}
        for node in order:
            for source in dict.fromkeys(node.inbound_nodes):  # Mul(x, x) is one consumer of x
                consumers[source].append(node)
        for node in (*order, output):  # somebody may have rewired the graph
            for source in node.inbound_nodes:
                source._consumers[weakref.ref(node)] = None
        inbound = [node.inbound_nodes[:] for node in (*order, output)]
        plan = output._plan = make_plan(output, order, inbound, consumers)
    return plan


def make_plan(
    output: "Node",
    order: list["Node"],
    inbound: list[Sequence["Node"]],
    consumers: dict["Node", list["Node"]],
) -> Plan:
    """The plan of that order; consumers that have no gradient to hand back are left out."""
    live = _live(output, order)
    for node in live or ():
        back = (n for n in consumers[node] if n in live and not n.stops_gradient)  # type: ignore[operator]
        consumers[node] = list(back)
    computing = (node for node in with_parts((*order, output)) if node.inbound_nodes)
    is_foreign = any(node._is_foreign for node in computing)
    sources = [node for node in order if not node.inbound_nodes] if is_foreign else []
    return Plan(order, inbound, consumers, {}, live, sources)


def _live(output: "Node", order: Sequence["Node"]) -> set["Node"] | None:
    """The nodes of an order from which a gradient flows back from the output; None: from all."""
    if not any(node.stops_gradient for node in (*order, output)):
        return None
    live = {output}
    for node in (output, *reversed(order)):
        if node in live and not node.stops_gradient:
            live.update(node.inbound_nodes)
    live.discard(output)
    return live


def ancestors_in_order(output: "Node") -> list["Node"]:
    """Every node that leads to `output`, each after its inbound nodes, `output` last; O(nodes +
    edges).

    >>> import miniflow as mf
    >>> x, y = mf.Input("x"), mf.Input("y")
    >>> ancestors_in_order(x * y + x)
    [<Input 'x'>, <Input 'y'>, <Mul>, <Add>]
    """
    order: list[Node] = []
    entered, finished = {output}, set["Node"]()
    stack: list[tuple[Node, Iterator[Node]]] = [(output, iter(output.inbound_nodes))]
    while stack:
        node, rest = stack[-1]
        source = next(rest, None)
        if source is None:
            stack.pop()
            finished.add(node)
            order.append(node)
        elif source not in entered:
            entered.add(source)
            stack.append((source, iter(source.inbound_nodes)))
        elif source not in finished:
            raise GraphError(f"The graph has a cycle: {source} is computed from its own value.")
    return order


def with_parts(nodes: Iterable["Node"]) -> list["Node"]:
    """Nodes, and after each those that it runs itself, and so on."""
    found: list[Node] = []
    waiting = list(nodes)[::-1]
    while waiting:
        node = waiting.pop()
        found.append(node)
        waiting += reversed(node.parts)
    return found


class Pass(NamedTuple):
    """A pass, under way inside its `with` block: what `outbound_nodes` shows, and which nodes need
    a gradient (`order`: in which order).

    `sets` has what nodes have set states to, and which node did: state → (value, node); None where
    nobody wants to know. Where it `repeats`, the nodes run many times, and none sets a state.
    """

    consumers: dict["Node", list["Node"]]
    needed: set["Node"]
    order: Sequence["Node"] = ()
    tracing: bool = False  # the values are tracer arrays, which have no numbers to validate
    sets: dict["Node", tuple[Any, "Node | None"]] | None = None
    repeats: bool = False

    def __enter__(self) -> "Pass":
        passes_under_way.append(self)
        return self

    def __exit__(self, error: type | None, *_: object) -> None:
        passes_under_way.pop()
        if error is None and not passes_under_way:
            tell_of_bytes()


# The innermost last: a node's own forward may run a pass of another graph.
passes_under_way: list[Pass] = []
