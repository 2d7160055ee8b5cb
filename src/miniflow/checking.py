"""Two questions to a graph: are its gradients right, and where did this NaN come from?

`check_gradients` compares what each node's `backward` leaves with central differences of that same
node's `forward`, one node at a time, so that the report names the node that is wrong and not the
network that contains it. `find_not_finite` replays a pass and names the first node, or the first
edge of the backward pass, that produced a NaN or an infinity.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from miniflow import autodiff
from miniflow.autodiff import (
    Seed,
    TheEnd,
    backward_pass,
    check_gradients_of,
    forward_pass,
    preserved,
    start_pass,
)
from miniflow.errors import GradientError
from miniflow.feeding import checked_feed, end_feed
from miniflow.graph import Node, Parameter, Pass, _passes, plan_for
from miniflow.values import ones_like

SAMPLES = (
    100  # entries of an input that are compared, at most: differences cost two forward calls each
)
TOLERANCE = {
    np.float16: 3e-2,
    np.float32: 2e-3,
    np.float64: 1e-5,
}  # per dtype of the analytic gradient


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
        where = f" at index {self.at} of shape {self.shape}" if self.shape else ""
        return (
            f"{self.node}: the gradient with respect to {self.source.label}{where} is "
            f"{self.analytic:.6g} by backward() and {self.numerical:.6g} by central differences."
        )


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
    leaves for a random upstream gradient (for the output: ones, as in a pass). Of a large input, a
    random sample of entries is compared.

    Args:
        node: the output.
        feed_dict: input → value, as for `value_and_grad`; keep away from kinks (the 0 of a ReLU).
        wrt: the nodes to differentiate with respect to; by default every input with a
            floating-point value.
        tolerance: the largest difference allowed, relative to the larger of 1 and the gradients'
            size; by default 1e-5, and 2e-3 where the values are float32.
        seed: of the upstream gradients and the sample.

    Returns:
        A report; printed, it has a line for each edge.

    Raises:
        GradientError: a gradient differs; the message names the node, the input, the worst index
            and both numbers.

    >>> import miniflow as mf
    >>> x, y = mf.Input("x"), mf.Input("y")
    >>> print(mf.check_gradients(mf.Mul(x, y, name="area"), {x: 3.0, y: 4.0}))  # doctest: +ELLIPSIS
    Mul 'area' (...): the gradient with respect to Input 'x' is 4 by backward() and 4 by ...
    Mul 'area' (...): the gradient with respect to Input 'y' is 3 by backward() and 3 by ...
    """
    rng = np.random.default_rng(seed)
    with autodiff._lock:
        plan = plan_for(node)
        feed = checked_feed(feed_dict)
        try:
            forward_pass(node, plan, feed, start_pass(node, plan, ()))
            if wrt is None:
                wrt = [n for n in plan.order if not n.inbound_nodes and _is_real(n.value)]
            if not wrt:
                raise GradientError(f"{node}: none of its inputs has a floating-point value.")
            backward_pass(node, plan, wrt, start_pass(node, plan, wrt))
            needed, order = plan.needed_for(wrt)
            edges = [
                _check_edge(n, source, n is node, tolerance, rng)
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


def _is_real(value: Any) -> bool:
    return isinstance(value, float) or getattr(value, "dtype", np.dtype(int)).kind == "f"


def _check_edge(
    node: Node, source: Node, is_output: bool, tolerance: float | None, rng: np.random.Generator
) -> EdgeCheck:
    """Compare one node's gradient with respect to one inbound node; all node state is put back."""
    with preserved([node, *node.inbound_nodes]):
        ones = np.asarray(ones_like(node.value))
        upstream = ones if is_output else rng.normal(size=ones.shape).astype(ones.dtype)
        consumers: Any = TheEnd(node) if is_output else [Seed({node: upstream})]
        _passes.append(Pass({node: consumers}, set(node.inbound_nodes)))
        try:
            node.backward()
            check_gradients_of(node, _passes[-1].needed)
            analytic = np.asarray(node.gradients[source])
            for n in dict.fromkeys(node.inbound_nodes):  # the differences are taken in float64
                if n is source or _is_real(n.value):
                    _set(n, np.array(n.value, np.float64))
            return _compare(node, source, analytic, upstream.astype(float), tolerance, rng)
        finally:
            _passes.pop()


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
    by_differences = np.array([_difference(node, source, at, i, upstream) for i in tested])
    errors = np.abs(by_backward - by_differences)
    errors[~np.isfinite(errors)] = np.inf
    if tolerance is None:
        tolerance = TOLERANCE.get(analytic.dtype.type, 1e-5)
    scale = max(1.0, *np.abs(by_differences)) if tested.size else 1.0
    worst = int(np.argmax(errors)) if tested.size else 0
    return EdgeCheck(
        node,
        source,
        tuple(map(int, np.unravel_index(tested[worst], at.shape))) if tested.size else (),
        float(by_backward[worst]) if tested.size else 0.0,
        float(by_differences[worst]) if tested.size else 0.0,
        at.shape,
        bool(np.all(errors <= tolerance * scale)),
    )


def _difference(
    node: Node, source: Node, at: np.ndarray, index: int, upstream: np.ndarray
) -> float:
    """`Σ upstream · (f(x + h) - f(x - h)) / 2h` for one entry of x."""
    h = 6e-6 * max(1.0, abs(float(at.flat[index])))  # near the cube root of float64's precision
    sides = []
    for step in (h, -h):
        moved = at.copy()
        moved.flat[index] += step
        _set(source, moved)
        node.forward()
        sides.append(np.asarray(node.value, float))
    _set(source, at)
    return float(np.sum(upstream * (sides[0] - sides[1])) / (2 * h))


def _set(node: Node, value: np.ndarray) -> None:
    if isinstance(node, Parameter):
        node.forward(value)
    else:
        node.value = value if value.shape else value[()]


def find_not_finite(
    node: Node, feed_dict: Mapping[Node, Any] | None = None, wrt: Sequence[Node] = ()
) -> str | None:
    """Say which node, or which edge of the backward pass, is the first to produce a NaN or an
    infinity.

    Args:
        node: the output.
        feed_dict: input → value, as for `value_and_grad`.
        wrt: as for `value_and_grad`.

    Returns:
        A sentence, or None if all values and gradients are finite.

    >>> import numpy as np, miniflow as mf
    >>> x = mf.Input("x")
    >>> with np.errstate(divide="ignore"):
    ...     print(find_not_finite(mf.Log(x, name="log") * 2, {x: 0.0}))  # doctest: +ELLIPSIS
    The value of Log 'log' (...) is the first that is not finite: -inf.
    """
    with autodiff._lock, np.errstate(all="ignore"):
        plan = plan_for(node)
        feed = checked_feed(feed_dict)
        try:
            this_pass = start_pass(node, plan, wrt)
            forward_pass(node, plan, feed, this_pass)
            for n in (*plan.order, node):
                if (index := _first_not_finite(n.value)) is not None:
                    what = "was fed to" if not n.inbound_nodes else "of"
                    return f"The value {what} {n} is the first that is not finite: {index}."
            backward_pass(node, plan, wrt, this_pass)
            for n in (node, *plan.needed_for(wrt)[1]):
                for source in n.inbound_nodes:
                    if (index := _first_not_finite(n.gradients.get(source, 0.0))) is not None:
                        return (
                            f"The gradient that {n} hands back to {source.label} "
                            f"is the first that is not finite: {index}."
                        )
        finally:
            end_feed(feed)
    return None


def _first_not_finite(value: Any) -> str | None:
    array = np.asarray(value)
    if array.dtype.kind != "f" or np.isfinite(array).all():
        return None
    index = np.argwhere(~np.isfinite(array))[0]
    where = f" at index {tuple(map(int, index))} of shape {array.shape}" if array.shape else ""
    return f"{array[tuple(index)]}{where}"
