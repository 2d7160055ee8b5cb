"""`gradient`: gradients as nodes, to compute with and to differentiate again.

    dx, = mf.gradient(loss, [x])                      # a node
    penalised = loss + mf.Sum(dx**2)                  # a graph that has a gradient in it
    d2x, = mf.gradient(dx, [x])                       # the second derivative

A `Gradient` knows the graph between a node and the output. In a pass it has that graph recorded,
forward and backward, for the shapes that it sees, and the program lifted (`lifting`): a graph of
built-in nodes, which computes the gradient from the values of the node and of what else goes into
the graph between. Its own gradient is that graph's.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from miniflow.errors import CompileError, GradientError, GraphError
from miniflow.graph import Node, Op
from miniflow.graph.plans import (
    Plan,
    ancestors_in_order,
    passes_under_way,
    plan_for,
    with_parts,
)
from miniflow.graph.values import ones_like, zeros_like
from miniflow.interpreter.feeding import checked_output, checked_wrt, parameters_of
from miniflow.interpreter.passes import backward_pass, fit_gradient, forward_pass, start_pass
from miniflow.ir.dtypes import type_of
from miniflow.models.lifted import LiftedProgram, as_written, lift_code, told_by
from miniflow.tracing.keeping import plain_state
from miniflow.tracing.trace import is_recording
from miniflow.tracing.walk import Walk


def gradient(node: Node, wrt: Iterable[Node] | None = None) -> list[Node]:
    """The gradients of a node as nodes: a graph, to be computed with and differentiated again.

    Args:
        node: the output; of an array, the gradient is that of the sum of its entries.
        wrt: the nodes to differentiate with respect to, interior ones included; by default all
            `Parameter`s that `node` depends on.

    Returns:
        A node for each of `wrt`, in its order; its value has the shape of that node's value.

    Nothing is computed, and nothing need be fed, before one of them has its turn in a pass. They
    can stand wherever nodes can: in a loss, in the interpreter, compiled.

    Raises:
        GradientError: `node` does not depend on one of `wrt`.
        GraphError: a `DummyGrad`, whose upstream gradient is fed, leads to the node; in a pass:
            the code of a node cannot be recorded, with the line that it is.

    >>> import miniflow as mf
    >>> x = mf.Input("x")
    >>> (dx,) = mf.gradient(x**3, [x])
    >>> (ddx,) = mf.gradient(dx, [x])
    >>> mf.value(dx, {x: 2.0}), mf.value(ddx, {x: 2.0})
    (12.0, 12.0)
    >>> v = mf.Input("v")
    >>> W = mf.Parameter([1.0, 2.0], "W")
    >>> (dW,) = mf.gradient(mf.Sum(W**4), [W])
    >>> mf.value_and_grad(mf.Sum(dW * v), {v: [1.0, 0.0]}, [W])[1]  # Hessian times v
    [array([12.,  0.])]
    """
    plan = plan_for(checked_output(node))
    nodes = parameters_of(node, plan) if wrt is None else checked_wrt(node, plan, wrt)
    return [Gradient(node, one) for one in nodes]


class Gradient(Op):
    """The gradient of `output` with respect to `source`, which leads to it: see `gradient`."""

    def __init__(self, output: Node, source: Node, *, name: str | None = None) -> None:
        between, outside = _between(output, source)
        for node in between:
            if node.upstream_is_fed:
                raise GraphError(
                    f"gradient: {node} is fed its upstream gradient, and stands between {source} "
                    f"and {output}: leave it out, and multiply by what you feed."
                )
            stops = next((part for part in with_parts(node.parts) if part.stops_gradient), None)
            if stops is not None:
                raise GraphError(
                    f"gradient: {stops} stands in the step of {node}, where a gradient as a node "
                    "would flow through it: it stands outside."
                )
        if name is None and output.name and source.name:
            whole = output.name if isinstance(output, Gradient) else f"d{output.name}"
            name = f"{whole} by {source.name}"
        Op.__init__(self, source, *outside, name=name)
        self.output, self.source = output, source
        self.parts = between
        self.graph: LiftedProgram | None = None  # the gradient as a graph, as it was last computed
        self._made_for: Any = None  # what it was made for: types, options

    def compute(self, *values: Any) -> Any:
        if not self.parts:
            return (ones_like if self.output is self.source else zeros_like)(values[0])
        made_for = self._made_for_now(values)
        if self.graph is None or made_for is None or made_for != self._made_for:
            self.graph, self._made_for = self._record(values), made_for
        return self.graph.forward(values)

    def gradient(self, grad: Any, *values: Any) -> Any:
        if not self.parts or self.graph is None:
            return (None,) * len(values)
        needed = passes_under_way[-1].needed if passes_under_way else self.inbound_nodes
        return self.graph.backward(grad, [node in needed for node in self.inbound_nodes])

    def graph_inside(self) -> tuple[dict[Node, Node], Node] | None:
        """The graph of the gradient, once it has been computed."""
        if not self.parts or self.graph is None:
            return None
        return self.graph.stands_for(self.inbound_nodes), self.graph.output

    def _made_for_now(self, values: Sequence[Any]) -> Any:
        """What the recorded graph depends on; None where that cannot be known: within a recording,
        and of classes that are not miniflow's own.
        """
        nodes = with_parts(self.parts)
        if is_recording() or any(node._is_foreign for node in nodes):
            return None
        written = [as_written(n, v) for n, v in zip(self.inbound_nodes, values, strict=True)]
        types = [type_of(v) if w is None else w for v, w in zip(values, written, strict=True)]
        return types, [(id(node), plain_state(node)) for node in nodes]

    def _record(self, values: Sequence[Any]) -> LiftedProgram:
        try:
            return lift_code(self.parts, self.inbound_nodes, values, self._run)
        except CompileError as error:
            raise GradientError(
                f"{self}: a gradient as a node is recorded, and that is refused. {told_by(error)}"
            ) from error

    def _run(self, walk: Walk) -> Any:
        """Both passes over the graph between, as they are everywhere."""
        plan = self._plan_of_parts()
        this_pass = start_pass(self.output, plan, [self.source], tracing=True)
        forward_pass(self.output, plan, {}, this_pass, walk.call_forward)
        backward_pass((), this_pass, walk.call)
        with this_pass:
            return walk.call(
                self.source,
                "backward",
                lambda: fit_gradient(self.source.upstream_gradient(), self.source),
            )

    def _plan_of_parts(self) -> Plan:
        """The plan of the graph between: what goes into it has its value already."""
        order = [node for node in self.parts if node is not self.output]
        consumers: dict[Node, list[Node]] = {n: [] for n in (*self.inbound_nodes, *order)}
        for node in order:
            for inbound in dict.fromkeys(node.inbound_nodes):
                consumers[inbound].append(node)
        return Plan(order, [node.inbound_nodes[:] for node in self.parts], consumers, {})


def _between(output: Node, source: Node) -> tuple[list[Node], list[Node]]:
    """The nodes through which a gradient flows from `output` back to `source`, that one left out,
    in order; and the others that they take values from. None of either where none flows.
    """
    order = ancestors_in_order(output)
    leads = {source}  # somehow
    for node in order:
        if not node.stops_gradient and not leads.isdisjoint(node.inbound_nodes):
            leads.add(node)
    flows = {output}
    for node in reversed(order):
        if node in flows and node is not source:
            flows.update(n for n in node.inbound_nodes if n in leads and not node.stops_gradient)
    between = [n for n in order if n in leads and n in flows and n is not source]
    if source not in flows or output is source:
        return [], []
    inside = set(between)
    outside = dict.fromkeys(n for node in between for n in node.inbound_nodes)
    return between, [n for n in outside if n is not source and n not in inside]
