"""The two passes over a graph: forward for the value, backward for the gradients.

    value:           for every node that leads to the output, in order:  node.forward()
    value_and_grad:  and then, from the output back to the inputs:       node.backward()

That is all there is to backpropagation. No node knows the whole derivative; each one multiplies
what its consumers hand back with its own local derivatives and adds up over its consumers, because
every path to the output counts. And since a node is visited once, after all its consumers, no
partial derivative is ever computed twice.

What else is in this file: the gradient of one that starts the backward pass, and a look at what
each `backward` left, so that a mistake is told where it was made. Everything a pass computes stays
on the nodes, to be inspected.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from itertools import chain, repeat
from typing import Any

import numpy as np

from miniflow.errors import GradientError, GraphError
from miniflow.graph import Node
from miniflow.graph.inputs import end_of_first_values, just_made
from miniflow.graph.plans import Pass, Plan, passes_under_way, plan_for
from miniflow.graph.typed import FedNode
from miniflow.graph.values import describe, ones_like, shape_of, zeros_like
from miniflow.interpreter.cut_fractions import see_to_fractions
from miniflow.interpreter.feeding import (
    check_fed_enough,
    checked_feed,
    checked_outputs,
    checked_wrt,
    end_feed,
    parameters_of,
)
from miniflow.interpreter.guarding import end_guard, guard, own, written_in_place
from miniflow.interpreter.keeping import attributes_preserved
from miniflow.interpreter.results import (
    node_failed,
    see_to_gradients,
    see_to_value,
    value_not_set,
)
from miniflow.interpreter.states import end_of_states
from miniflow.locks import Lock


class _PassLock(Lock):
    def renew(self) -> bool:
        was_anothers = super().renew()
        if was_anothers:  # and so was the pass under way
            passes_under_way.clear()
        return was_anothers


one_pass_at_a_time = _PassLock()
"""Held during a pass, and by whoever reads or changes what a pass leaves on the nodes."""


def value(node: Node | Sequence[Node], feed_dict: Mapping[FedNode, Any] | None = None) -> Any:
    """The value of `node`: a forward pass over the nodes that lead to it.

    Args:
        node: the output, or a list of outputs, whose values are given in a list, from one pass.
        feed_dict: input → value: Python numbers, NumPy arrays, or what `np.asarray` makes an array
            of. None, the default, feeds nothing.

    Raises:
        GraphError: node is none.
        FeedError: something is not fed, or what is fed does not fit.
        ShapeError: shapes reach a node that it cannot combine.
        NodeError: a node's own code raised.

    >>> import miniflow as mf
    >>> x, y = mf.Input("x"), mf.Input("y")
    >>> mf.value(x * y + 1, {x: 3, y: 4})
    13
    >>> mf.value([x, x * y], {x: 3, y: 4})
    [3, 12]
    """
    with one_pass_at_a_time:
        output = checked_outputs(node)
        plan = plan_for(output)
        feed = checked_feed(feed_dict, output, plan.consumers)
        fed = guard(plan, feed)
        try:
            this_pass = start_pass(output, plan, ())
            forward_pass(output, plan, fed, this_pass)
            if this_pass.sets:
                end_of_states(this_pass, feed)
            return output.value if fed is feed else own(output.value)
        finally:
            end_feed(feed)
            if fed is not feed:
                end_guard(plan, feed, fed)


def value_and_grad(
    node: Node | Sequence[Node],
    feed_dict: Mapping[FedNode, Any] | None = None,
    wrt: Iterable[Node] | None = None,
) -> tuple[Any, list[Any]]:
    """The value of `node` and its gradient with respect to each node of `wrt`: a forward and a
    backward pass.

    Args:
        node: the output. Where its value is an array, the gradient is that of the sum of its
            entries, unless the output is a `DummyGrad`, whose upstream gradient is fed. Of a list
            of outputs, the values are given in a list, and the gradients are those of their sum.
        feed_dict: input → value, as for `value`.
        wrt: the nodes to differentiate with respect to, interior ones included; by default all
            `Parameter`s that the output depends on and that are `trainable`, in the order of the
            graph. Only the gradients
            that these need are computed; with an empty `wrt`, all are, to be looked at in
            `node.gradients`.

    Raises:
        GraphError: node is none.
        FeedError: something is not fed, or what is fed does not fit.
        ShapeError: shapes reach a node that it cannot combine.
        GradientError: a `backward` leaves a gradient out, or gives one of another shape; or `wrt`
            has what the output does not lead back to and cannot.
        NodeError: a node's own code raised.

    Returns:
        The value, and a list of gradients in the order and in the shapes of `wrt`.

    >>> import miniflow as mf
    >>> x, y, z = mf.Input("x"), mf.Input("y"), mf.Input("z")
    >>> mf.value_and_grad(x * y + x * z, {x: 3, y: 4, z: -5}, wrt=[x, y, z])
    (-3, [-1.0, 3.0, 3.0])
    >>> W, b = mf.Parameter([2.0], "W"), mf.Parameter([1.0], "b")
    >>> mf.value_and_grad(mf.Sum(W * x + b), {x: 3.0})
    (np.float64(7.0), [array([3.]), array([1.])])
    """
    with one_pass_at_a_time:
        output = checked_outputs(node)
        plan = plan_for(output)
        wrt = parameters_of(output, plan) if wrt is None else checked_wrt(output, plan, wrt)
        feed = checked_feed(feed_dict, output, plan.consumers)
        fed = guard(plan, feed)
        try:
            this_pass = start_pass(output, plan, wrt)
            forward_pass(output, plan, fed, this_pass)
            gradients = backward_pass(wrt, this_pass)
            if this_pass.sets:
                end_of_states(this_pass, feed)
            value = output.value if fed is feed else own(output.value)
            return value, _own_copies(gradients, plan)
        finally:
            end_feed(feed)
            if fed is not feed:
                end_guard(plan, feed, fed)


# --- The passes (the compiler runs these same functions, with tracer arrays for values)


class TheEnd(list[Node]):
    """What the output of a pass sees as its `outbound_nodes`.

    The list is empty, as a loss that insists on being last can assert. Yet whoever loops over it
    meets one consumer, which hands back the gradient of the output with respect to itself: one; or
    what `gradient()` gives, where somebody asks what would become of that. So no node has to treat
    the end specially.

    Of several outputs one may lead to others: then the list has these consumers, `others`; and one
    may be asked for several `times`.
    """

    def __init__(
        self,
        output: Node,
        gradient: Callable[[], Any] | None = None,
        others: Sequence[Node] = (),
        times: int = 1,
    ) -> None:
        list.__init__(self, others)
        self.output = output
        self.gradient = gradient
        self.times = times

    def __iter__(self) -> Iterator[Any]:
        grad = ones_like(self.output.value) if self.gradient is None else self.gradient()
        return chain(list.__iter__(self), repeat(Upstream(self.output, grad), self.times))


class Upstream:
    """A consumer that is no node, with nothing but the gradient that it hands back."""

    def __init__(self, node: Node, gradient: Any) -> None:
        self.gradients = {node: gradient}


def start_pass(output: Node, plan: Plan, wrt: Sequence[Node], tracing: bool = False) -> Pass:
    """What the nodes can know of the pass: their consumers in it, and whether their gradient is
    needed.
    """
    consumers = plan.consumers.copy()
    inbound = output.inbound_nodes
    if output.gathers:
        for source, times in Counter(inbound).items():
            consumers[source] = TheEnd(source, others=plan.consumers[source], times=times)
    elif not output.stops_gradient:
        for source in inbound:
            consumers[source] = [*plan.consumers[source], output]
    consumers[output] = TheEnd(output)
    needed, order = plan.needed_for(wrt)
    return Pass(consumers, needed, [output, *order], tracing, {})


@contextmanager
def alone(
    node: Node,
    consumers: list[Any] | None = None,
    needed: set[Node] | None = None,
    *,
    tracing: bool = False,
    moved: Iterable[Node] = (),
    keep: Callable[[Sequence[Node]], AbstractContextManager[None]] = attributes_preserved,
) -> Iterator[None]:
    """A pass over one node by itself: `node.forward()` and `node.backward()` can be called inside
    the `with` block, and afterwards its state is as it was.

    Args:
        node: the node.
        consumers: what it sees as its `outbound_nodes`; by default the end of a pass.
        needed: the inbound nodes that need a gradient; by default all.
        tracing: as in `Pass`.
        moved: other nodes whose state is put back too.
        keep: what keeps the state of nodes and puts it back.
    """
    consumers = TheEnd(node) if consumers is None else consumers
    needed = set(node.inbound_nodes) if needed is None else needed
    with one_pass_at_a_time, keep([node, *moved]), Pass({node: consumers}, needed, (), tracing):
        yield


CallNode = Callable[[Node, str, Callable[[], Any]], Any]
"""Calls something on behalf of a node, in its "forward" or "backward"; returns what it returned."""


def forward_pass(
    output: Node,
    plan: Plan,
    feed: Mapping[Node, Any],
    this_pass: Pass,
    call: CallNode | None = None,
) -> None:
    """Call `forward` of every node that leads to the output, in order.

    With `call`, that is what calls each of them, and tells the errors of their code in its own way.
    """
    node = output
    with this_pass:
        try:
            for node in (*plan.order, output):
                if call is not None:
                    method = partial(node.forward, feed[node]) if node in feed else node.forward
                    call(node, "forward", method)
                elif node in feed:
                    node._fed_type = None  # that of its value
                    node.forward(feed[node])
                else:
                    node.forward()
                if node._is_foreign:
                    see_to_value(node)
                elif node.value is None:
                    raise value_not_set(node)
            if just_made:
                end_of_first_values(is_kept=True)
        except Exception as error:
            if just_made:
                end_of_first_values(is_kept=False)
            check_fed_enough((*plan.order, output), feed)
            if call is not None or isinstance(error, GraphError):
                raise
            told = written_in_place(node, "forward", error)
            raise (told or node_failed(node, "forward", error)) from error


def backward_pass(wrt: Sequence[Node], this_pass: Pass, call: CallNode | None = None) -> list[Any]:
    """Call `backward` of every node between the output and `wrt`, consumers first; collect the
    gradients. `call` is as for `forward_pass`.
    """
    node, needed = this_pass.order[0], this_pass.needed
    with this_pass:
        try:
            for node in this_pass.order:
                if call is None:
                    leave_gradients(node, needed)
                else:
                    call(node, "backward", partial(leave_gradients, node, needed))
            output, gradients = this_pass.order[0], list[Any]()
            for node in wrt:
                method: Callable[[], Any] = partial(gradient_of, node)
                if node not in needed and node is not output:  # beyond what stops gradients
                    method = partial(zeros_like, node.value)
                gradients.append(method() if call is None else call(node, "backward", method))
            return gradients
        except Exception as error:
            if call is not None or isinstance(error, GraphError):
                raise
            told = written_in_place(node, "backward", error)
            raise (told or node_failed(node, "backward", error)) from error


def leave_gradients(node: Node, needed: set[Node]) -> None:
    """Call `backward` of one node, and see that its gradients fit."""
    node.backward()
    if not node._sees_to_shapes:
        check_gradients_of(node, needed)
    if node._is_foreign:
        see_to_gradients(node)
        see_to_fractions(node, needed)


def gradient_of(node: Node) -> Any:
    """The gradient of the output with respect to `node`, once the backward pass has reached it."""
    grad = node.upstream_gradient() if node.inbound_nodes else node.gradients[node]
    return fit_gradient(grad, node)


def check_gradients_of(node: Node, needed: set[Node]) -> None:
    """See that `backward` has left a gradient of the right shape for each input that needs one."""
    for source in node.inbound_nodes or (node,):
        if source in needed or source is node:
            if source not in node.gradients:
                what = "itself" if source is node else f"its input {source}"
                raise GradientError(
                    f"{node}: backward() left no gradient for {what} in self.gradients."
                )
            grad = node.gradients[source]
            if grad is None or shape_of(grad) != shape_of(source.value):
                node.gradients[source] = fit_gradient(grad, source, by=node)


def fit_gradient(grad: Any, node: Node, by: Node | None = None) -> Any:
    """A gradient with respect to `node`, left by another node's `backward`, in the shape of the
    value: leading ones are dropped, and those of a column; a bare 0 stands for zeros.

    Raises GradientError if it has another shape, or is none.
    """
    if grad is None:
        raise GradientError(f"{by or node}: backward() left None as the gradient for {node}.")
    if isinstance(grad, (list, tuple)):
        raise GradientError(
            f"{by or node}: backward() left {describe(grad)} as the gradient for {node}: it is a "
            "number or an array."
        )
    seen, shape = shape_of(grad), shape_of(node.value)
    if seen == shape:
        return grad
    if seen == () and isinstance(grad, (int, float, np.generic, np.ndarray)) and grad == 0:
        return zeros_like(node.value)
    longer, shorter = sorted((seen, shape), key=len, reverse=True)
    extra = len(longer) - len(shorter)
    is_column = longer is seen and set(seen[len(shape) :]) == {1} and seen[: len(shape)] == shape
    if is_column or (set(longer[:extra]) == {1} and longer[extra:] == shorter):
        return np.reshape(grad, shape)
    transposed = ": it is the transpose" if seen == shape[::-1] else ""
    raise GradientError(
        f"{by or node}: backward() left a gradient of shape {seen} for {node}, "
        f"whose value has shape {shape}{transposed}."
    )


def _own_copies(gradients: list[Any], plan: Plan) -> list[Any]:
    """The same gradients, none of which shares memory with another or with an input: they belong
    to the caller, who may write to them.
    """
    taken: set[int] = set()
    for i, grad in enumerate(gradients):
        if isinstance(grad, np.ndarray):
            if not taken:
                taken = {id(_memory(node.value)) for node in plan.order if not node.inbound_nodes}
            if id(_memory(grad)) in taken:
                gradients[i] = grad = grad.copy()
            taken.add(id(_memory(grad)))
    return gradients


def _memory(value: Any) -> Any:
    """The array whose memory a value is, or looks at."""
    while isinstance(value, np.ndarray) and isinstance(value.base, np.ndarray):
        value = value.base
    return value
