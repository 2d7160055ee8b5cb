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

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

import numpy as np

from miniflow.errors import GradientError, GraphError, ShapeError
from miniflow.graph import Node
from miniflow.graph.hits import warn_of_nan
from miniflow.graph.node import end_of_first_values, just_made
from miniflow.graph.plans import Pass, Plan, passes_under_way, plan_for
from miniflow.graph.values import describe, ones_like, shape_of, zeros_like
from miniflow.interpreter.cut_fractions import see_to_fractions
from miniflow.interpreter.feeding import (
    check_fed_enough,
    checked_feed,
    checked_output,
    checked_wrt,
    end_feed,
    parameters_of,
)
from miniflow.interpreter.results import (
    node_failed,
    see_to_gradients,
    see_to_value,
    value_not_set,
)
from miniflow.locks import Lock


class _PassLock(Lock):
    def renew(self) -> bool:
        was_anothers = super().renew()
        if was_anothers:  # and so was the pass under way
            passes_under_way.clear()
        return was_anothers


one_pass_at_a_time = _PassLock()
"""Held during a pass, and by whoever reads or changes what a pass leaves on the nodes."""


def value(node: Node, feed_dict: Mapping[Node, Any] | None = None) -> Any:
    """The value of `node`: a forward pass over the nodes that lead to it.

    Args:
        node: the output.
        feed_dict: input → value: Python numbers, NumPy arrays, or what `np.asarray` makes an array
            of.

    >>> import miniflow as mf
    >>> x, y = mf.Input("x"), mf.Input("y")
    >>> mf.value(x * y + 1, {x: 3, y: 4})
    13
    """
    with one_pass_at_a_time:
        plan = plan_for(checked_output(node))
        feed = checked_feed(feed_dict, node, plan.consumers)
        try:
            forward_pass(node, plan, feed, start_pass(node, plan, ()))
            return node.value
        finally:
            end_feed(feed)


def value_and_grad(
    node: Node, feed_dict: Mapping[Node, Any] | None = None, wrt: Iterable[Node] | None = None
) -> tuple[Any, list[Any]]:
    """The value of `node` and its gradient with respect to each node of `wrt`: a forward and a
    backward pass.

    Args:
        node: the output. Where its value is an array, the gradient is that of the sum of its
            entries, unless the output is a `DummyGrad`, whose upstream gradient is fed.
        feed_dict: input → value, as for `value`.
        wrt: the nodes to differentiate with respect to, interior ones included; by default all
            `Parameter`s that the output depends on and that are `trainable`, in the order of the
            graph. Only the gradients
            that these need are computed; with an empty `wrt`, all are, to be looked at in
            `node.gradients`.

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
        plan = plan_for(checked_output(node))
        wrt = parameters_of(node, plan) if wrt is None else checked_wrt(node, plan, wrt)
        feed = checked_feed(feed_dict, node, plan.consumers)
        try:
            this_pass = start_pass(node, plan, wrt)
            forward_pass(node, plan, feed, this_pass)
            gradients = backward_pass(wrt, this_pass)
            return node.value, _own_copies(gradients, plan)
        finally:
            end_feed(feed)


def accuracy(node: Node, feed_dict: Mapping[Node, Any]) -> float:
    """The share of labels at which the largest logit is.

    Args:
        node: a loss whose inbound nodes are (logits, labels): `CrossEntropyWithSoftmax` or a class
            of your own. Logits have shape (..., k) and labels (...), or (..., k) if they are
            one-hot; logits of one column or of shape (n,) are those of two classes, and say 1 where
            they are positive, and so are the logits of a `BinaryCrossEntropy`, each by itself.
        feed_dict: input → value, as for `value`.

    A score that is NaN is missed, with a `NaNWarning`.

    Raises GraphError for what has no accuracy: a regression, a sum of losses.

    >>> import numpy as np, miniflow as mf
    >>> logits, labels = mf.Input(), mf.Input()
    >>> loss = mf.CrossEntropyWithSoftmax(logits, labels)
    >>> mf.accuracy(loss, {logits: np.array([[0.1, 0.9], [0.8, 0.2]]), labels: np.array([1, 1])})
    0.5
    """
    if len(checked_output(node).inbound_nodes) < 2:
        raise GraphError(
            f"accuracy needs a loss of (logits, labels); {node} has "
            f"{len(node.inbound_nodes)} inbound nodes."
        )
    with one_pass_at_a_time:
        value(node, feed_dict)
        logits, labels = (np.asarray(source.value) for source in node.inbound_nodes[:2])
        hits = node.count_correct(logits, labels)
    if hits is None or hits.share is None:
        raise _without_accuracy(node, logits, labels)
    warn_of_nan(hits, node)
    return hits.share


def _without_accuracy(node: Node, logits: Any, labels: Any) -> GraphError:
    """The error for what has no accuracy."""
    if logits.ndim < 2 or logits.shape[-1] == 1:
        logits_of, labels = logits.size, labels.reshape(-1)
    else:
        logits_of = logits.size // logits.shape[-1]
    if labels.size not in (logits_of, logits.size):
        return ShapeError(
            f"accuracy of {node}: logits {logits.shape} and labels {labels.shape} do not match."
        )
    first, second = (source.label for source in node.inbound_nodes[:2])
    return GraphError(
        f"{node} has no accuracy: that takes a loss of logits (..., classes) and labels that are "
        f"numbers of classes (...), or one-hot, and {first} has shape {logits.shape} and {second} "
        f"shape {labels.shape} and dtype {labels.dtype}. Of a sum of losses, ask the one that has "
        "it."
    )


# --- The passes (the compiler runs these same functions, with tracer arrays for values)


class TheEnd(list[Node]):
    """What the output of a pass sees as its `outbound_nodes`.

    The list is empty, as a loss that insists on being last can assert. Yet whoever loops over it
    meets one consumer, which hands back the gradient of the output with respect to itself: one; or
    what `gradient()` gives, where somebody asks what would become of that. So no node has to treat
    the end specially.
    """

    def __init__(self, output: Node, gradient: Callable[[], Any] | None = None) -> None:
        self.output = output
        self.gradient = gradient

    def __iter__(self) -> Iterator[Any]:
        grad = ones_like(self.output.value) if self.gradient is None else self.gradient()
        return iter((Upstream(self.output, grad),))


class Upstream:
    """A consumer that is no node, with nothing but the gradient that it hands back."""

    def __init__(self, node: Node, gradient: Any) -> None:
        self.gradients = {node: gradient}


def start_pass(output: Node, plan: Plan, wrt: Sequence[Node], tracing: bool = False) -> Pass:
    """What the nodes can know of the pass: their consumers in it, and whether their gradient is
    needed.
    """
    consumers = plan.consumers.copy()
    for source in () if output.stops_gradient else output.inbound_nodes:
        consumers[source] = [*plan.consumers[source], output]
    consumers[output] = TheEnd(output)
    needed, order = plan.needed_for(wrt)
    return Pass(consumers, needed, [output, *order], tracing)


@contextmanager
def attributes_preserved(nodes: Iterable[Node]) -> Iterator[None]:
    """Put all state of these nodes back at the end: what was computed in between leaves no
    trace.
    """
    kept = [(node, node.__dict__.copy(), dict(node.cache)) for node in nodes]
    try:
        yield
    finally:
        for node, state, cache in kept:
            node.__dict__.clear()
            node.__dict__.update(state)
            node.cache = cache


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
            raise node_failed(node, "forward", error) from error


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
                is_reached = node in needed or node is output
                method = partial(gradient_of if is_reached else _zero_gradient, node)
                gradients.append(method() if call is None else call(node, "backward", method))
            return gradients
        except Exception as error:
            if call is not None or isinstance(error, GraphError):
                raise
            raise node_failed(node, "backward", error) from error


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


def _zero_gradient(node: Node) -> Any:
    """The gradient with respect to a node from which nothing but `StopGradient`s leads on."""
    return zeros_like(node.value)


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
