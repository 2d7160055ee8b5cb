"""Are the gradients right? Each node's `backward` against central differences of its `forward`.

One node at a time, so that the report names the node that is wrong and not the network that
contains it.
"""

from __future__ import annotations  # np.random.Generator, looked at, would load numpy.random

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from miniflow.errors import GradientError, GraphError
from miniflow.graph import Node, Parameter
from miniflow.graph.plans import Plan, plan_for
from miniflow.graph.values import ones_like
from miniflow.interpreter.feeding import (
    checked_feed,
    checked_output,
    checked_wrt,
    end_feed,
)
from miniflow.interpreter.passes import (
    Upstream,
    alone,
    backward_pass,
    check_gradients_of,
    forward_pass,
    one_pass_at_a_time,
    start_pass,
)
from miniflow.interpreter.results import node_failed

# Entries of an input that are compared, at most: differences cost two forward calls each.
SAMPLES = 100
# Relative to the largest of the gradients, per dtype of the one that `backward` left.
TOLERANCE = {np.float16: 3e-2, np.float32: 2e-3, np.float64: 1e-5}


class EdgeCheck(NamedTuple):
    """One edge: a node's gradient with respect to one of its inbound nodes, at the worst entry."""

    node: Node
    source: Node
    at: tuple[int, ...]
    analytic: float
    numerical: float
    shape: tuple[int, ...]
    passed: bool

    def __str__(self) -> str:
        where = f" at index {self.at} of shape {self.shape}" if self.at else ""
        return (
            f"{self.node}: the gradient with respect to {self._source_as_told()}{where} is "
            f"{self.analytic:.6g} by backward() and {self.numerical:.6g} by central differences."
        )

    def _source_as_told(self) -> str:
        # Where two inputs look alike, the reader needs to know which of them it is.
        inbound = list(dict.fromkeys(self.node.inbound_nodes))
        if [node.label for node in inbound].count(self.source.label) == 1:
            return self.source.label
        return f"inbound_nodes[{self.node.inbound_nodes.index(self.source)}], {self.source.label},"


class GradientReport(NamedTuple):
    """What `check_gradients` compared, edge by edge."""

    edges: list[EdgeCheck]

    def __str__(self) -> str:
        return "\n".join(str(edge) for edge in self.edges)


def check_gradients(
    node: Node,
    feed_dict: Mapping[Node, Any] | None = None,
    wrt: Sequence[Node] | None = None,
    *,
    tolerance: float | None = None,
    seed: int = 0,
) -> GradientReport:
    """Compare every node's `backward` with central differences of its `forward`.

    Each node between `wrt` and the output is called by itself, in float64, with the values that a
    pass gave its inbound nodes; `(f(x + h) - f(x - h)) / 2h` is compared with what its `backward`
    leaves for the random upstream gradients of two consumers (for the output: ones, as in a pass).
    Of a large input, a random sample of entries is compared.

    Args:
        node: the output.
        feed_dict: input → value, as for `value_and_grad`; keep away from kinks (the 0 of a ReLU).
        wrt: the nodes to differentiate with respect to; by default every input with a
            floating-point value.
        tolerance: the largest difference allowed, relative to the largest of the gradients that
            are compared; by default 1e-5, and 2e-3 where the values are float32.
        seed: of the upstream gradients and the sample.

    Returns:
        A report; printed, it has a line for each edge.

    Raises:
        GradientError: a gradient differs; the message names the node, the input, the worst index,
            the shape and both numbers.

    >>> import miniflow as mf
    >>> x, y = mf.Input("x"), mf.Input("y")
    >>> print(mf.check_gradients(mf.Mul(x, y, name="area"), {x: 3.0, y: 4.0}))  # doctest: +ELLIPSIS
    Mul 'area' (...): the gradient with respect to Input 'x' is 4 by backward() and 4 by ...
    Mul 'area' (...): the gradient with respect to Input 'y' is 3 by backward() and 3 by ...
    """
    rng = np.random.default_rng(seed)
    with one_pass_at_a_time:
        plan = plan_for(checked_output(node))
        feed = checked_feed(feed_dict, node, plan.consumers)
        try:
            forward_pass(node, plan, feed, start_pass(node, plan, ()))
            wrt = _inputs_of(node, plan) if wrt is None else checked_wrt(node, plan, wrt)
            backward_pass(wrt, start_pass(node, plan, wrt))
            needed, order = plan.needed_for(wrt)
            edges = [
                _check_edge(n, source, needed, n is node, tolerance, rng)
                for n in (*reversed(order), node)
                if n not in feed  # the gradient of a DummyGrad is fed, not derived
                for source in dict.fromkeys(n.inbound_nodes)
                if source in needed
            ]
        finally:
            end_feed(feed)
    wrong = [edge for edge in edges if not edge.passed]
    if wrong:
        raise GradientError("\n".join(str(edge) for edge in wrong))
    return GradientReport(edges)


def _inputs_of(node: Node, plan: Plan) -> list[Node]:
    inputs = [n for n in plan.order if not n.inbound_nodes and _is_real(n.value)]
    if not inputs:
        raise GradientError(
            f"{node}: none of its inputs has a floating-point value; feed 3.0 in place of 3."
        )
    return inputs


def _is_real(value: Any) -> bool:
    return isinstance(value, float) or getattr(value, "dtype", np.dtype(int)).kind == "f"


def _check_edge(
    node: Node,
    source: Node,
    needed: set[Node],
    is_output: bool,
    tolerance: float | None,
    rng: np.random.Generator,
) -> EdgeCheck:
    """Compare one node's gradient with respect to one inbound node; all node state is put back."""
    upstream = np.asarray(ones_like(node.value))
    consumers = None
    if not is_output:  # two consumers, since a backward() may forget to add them up
        parts = [rng.normal(size=upstream.shape).astype(upstream.dtype) for _ in range(2)]
        consumers = [Upstream(node, part.copy()[()]) for part in parts]
        upstream = parts[0] + parts[1]
    # As when tracing, nothing is validated: a step may leave the range of a probability.
    with alone(node, consumers, needed, tracing=True, moved=node.inbound_nodes):
        method = "backward"
        try:
            node.forward()  # once more: a backward() may use up what forward() left for it
            node.backward()
            check_gradients_of(node, needed)
            analytic = np.asarray(node.gradients[source])
            method = "forward"
            for n in dict.fromkeys(node.inbound_nodes):  # the differences are taken in float64
                if n is source or _is_real(n.value):
                    _set(n, np.array(n.value, np.float64))
            return _compare(node, source, analytic, np.asarray(upstream, float), tolerance, rng)
        except GraphError:
            raise
        except Exception as error:
            raise node_failed(node, method, error) from error


def _compare(
    node: Node,
    source: Node,
    analytic: np.ndarray,
    upstream: np.ndarray,
    tolerance: float | None,
    rng: np.random.Generator,
) -> EdgeCheck:
    at = np.asarray(source.value)
    tested = rng.permutation(at.size)[:SAMPLES]
    by_backward = np.broadcast_to(analytic, at.shape).reshape(-1)[tested].astype(float)
    differences = [_difference(node, source, at, i, upstream) for i in tested]
    by_differences, rounding = np.array(differences, float).reshape(-1, 2).T
    errors = np.abs(by_backward - by_differences)
    finite = np.isfinite(errors)
    if tolerance is None:
        tolerance = TOLERANCE.get(analytic.dtype.type, 1e-5)
    scale = np.max(np.abs(by_differences[finite]), initial=0.0)
    allowed = tolerance * scale + np.where(finite, rounding, 0.0) + _rounding_of(analytic)
    worst = int(np.argmax(errors - allowed)) if tested.size else 0
    return EdgeCheck(
        node,
        source,
        tuple(map(int, np.unravel_index(tested[worst], at.shape))) if tested.size else (),
        float(by_backward[worst]) if tested.size else 0.0,
        float(by_differences[worst]) if tested.size else 0.0,
        at.shape,
        bool(np.all(errors <= allowed)),
    )


def _rounding_of(analytic: np.ndarray) -> float:
    """What is left where terms of size one, in the dtype of the gradient, cancel out."""
    return 20 * float(np.finfo(analytic.dtype).eps) if analytic.dtype.kind == "f" else 0.0


def _difference(
    node: Node, source: Node, at: np.ndarray, index: int, upstream: np.ndarray
) -> tuple[float, float]:
    """`Σ upstream · (f(x + h) - f(x - h)) / 2h` for one entry of x, and how far rounding may put it
    off.
    """
    h = 6e-6 * max(1.0, abs(float(at.flat[index])))  # near the cube root of float64's precision
    sides = []
    for step in (h, -h):
        moved = at.copy()
        moved.flat[index] += step
        _set(source, moved)
        node.forward()
        sides.append(np.asarray(node.value, float))
    _set(source, at)
    difference = np.sum(upstream * (sides[0] - sides[1])) / (2 * h)
    moved_terms = np.abs(upstream * sides[0])[sides[0] != sides[1]]
    rounding = 4 * np.finfo(float).eps * np.sum(moved_terms) / h
    return float(difference), float(rounding)


def _set(node: Node, value: np.ndarray) -> None:
    if isinstance(node, Parameter):
        node.forward(value)
    else:
        node.value = value if value.shape else value[()]
