"""Are the gradients right? Each node's `backward` against central differences of its `forward`.

One node at a time, so that the report names the node that is wrong and not the network that
contains it. A pass gives each node the values of its inputs; then it is put on a bench:

- its forward and backward run twice on the same values, which must change nothing (`bench`);
- each of its edges is judged, with random upstream gradients of three consumers (`edges`,
  `judging`, `differences`), and a wrong one is told with the likeliest of `mistakes`; one that
  passes is compared with the derived gradient (`against_derived`);
- a second pass with another feed must not depend on the first (`repetition`).
"""

from __future__ import annotations  # np.random.Generator, looked at, would load numpy.random

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from miniflow.errors import GradientError, GraphError
from miniflow.graph import Constant, Node, Parameter
from miniflow.graph.checks import number, whole
from miniflow.graph.plans import Pass, Plan, plan_for
from miniflow.graph.typed import FedNode
from miniflow.interpreter.against_derived import compare_with_derived
from miniflow.interpreter.bench import Array, Bench, NodeRun, are_equal, plain, set_values
from miniflow.interpreter.edges import Edge, EdgeCheck, NodeTrial, OfPass
from miniflow.interpreter.feeding import (
    checked_feed,
    checked_output,
    checked_wrt,
    end_feed,
)
from miniflow.interpreter.keeping import Generators
from miniflow.interpreter.mistakes import ONE_HALF_BACK
from miniflow.interpreter.passes import (
    backward_pass,
    forward_pass,
    one_pass_at_a_time,
    start_pass,
)
from miniflow.interpreter.repetition import Repetition, is_same
from miniflow.interpreter.results import node_failed

CONSUMERS = 3  # since a backward() may forget to add them up, or leave its loop early


class GradientReport(NamedTuple):
    """What `check_gradients` compared, edge by edge."""

    edges: list[EdgeCheck]

    def __str__(self) -> str:
        return "\n".join(str(edge) for edge in self.edges)


def check_gradients(
    node: Node,
    feed_dict: Mapping[FedNode, Any] | None = None,
    wrt: Sequence[Node] | None = None,
    *,
    tolerance: float | None = None,
    seed: int = 0,
) -> GradientReport:
    """Compare every node's `backward` with central differences of its `forward`.

    Each node between `wrt` and the output is run by itself, in float64, with the values that a pass
    gave its inbound nodes. `(f(x + h) - f(x - h)) / 2h` is compared with what its `backward` leaves
    for the random upstream gradients of three consumers, the output's too. The numbers of the
    report are those of the pass: the gradient of the output, at the entry that is furthest off.

    - **The end of a pass.** An output whose code asserts that it has no consumers is judged with
      an upstream gradient of ones, and so is a loss (one number of two inputs or more) that never
      looks at its consumers. The report says so.
    - **All entries.** An input of up to 100 entries is moved entry by entry. Of a larger one, 50
      entries are, and besides, all entries at once along random directions, one for each magnitude
      of gradients: one wrong entry in a million is found, and named.
    - **Steps** are relative to each entry: 1e6 and 1e-6 can stand in one array.
    - **No derivative.** Kinks, ties, jumps and the ends of a domain (the 0 of a ReLU, two equal
      maxima, a threshold, the 0 of a square root) are told as such and not called wrong; the node
      is judged beside that point. Nor are gradients that rounding hides.
    - **The derived gradient.** Besides, in float64, the same is compared with the gradient that is
      derived from what `forward` does, where that can be recorded, to 1e-9 of the largest entry (or
      as far as rounding moves it): an error of 1e-7, which differences let pass, is found. Entries
      at a kink, or not finite, are left to the differences, and counted.
    - **Tidiness.** A node that changes its inputs, the gradient that a consumer handed back, or
      gives something else the second time, is told. A pass with another feed, with a row less if
      the graph takes it, must not depend on a first pass: a mask that is kept is found.
    - **Nothing is left behind.** The passes run on copies of what is fed and of the parameters, and
      random generators draw the same numbers each time.

    The cost is bounded: for each node some twenty calls of its forward, and for each of its inputs
    two for each entry that is moved and each direction (four where nothing changes): 430 at most.
    What is doubtful is examined with steps of many sizes, and beside the point: 2,000 at most.

    Args:
        node: the output.
        feed_dict: input → value, as for `value_and_grad`.
        wrt: the nodes to differentiate with respect to; by default every input with a
            floating-point value that is no `Constant`.
        tolerance: the largest difference allowed, relative to the size of the terms that add up to
            the derivative; by default 1e-5 (2e-3 and 3e-2 for a node that computes in float32 or
            float16 whatever it is given).
        seed: of the upstream gradients and the directions; 0 by default.

    Returns:
        A report; printed, it has a line for each edge.

    Raises:
        GraphError: the tolerance or the seed is no number of at least 0.
        GradientError: a gradient differs; the message names the node, the input, the worst index,
            the shape and both numbers, and the likeliest mistake. Or a node is not tidy.

    >>> import miniflow as mf
    >>> x, y = mf.Input("x"), mf.Input("y")
    >>> print(mf.check_gradients(mf.Mul(x, y, name="area"), {x: 3.0, y: 4.0}))  # doctest: +ELLIPSIS
    Mul 'area' (...): the gradient with respect to Input 'x' is 4 by backward() and 4 by ...
    Mul 'area' (...): the gradient with respect to Input 'y' is 3 by backward() and 3 by ...
    """
    if tolerance is not None:
        number("check_gradients", "tolerance", tolerance)
    seed = whole("check_gradients", "seed", seed, least=0)
    with one_pass_at_a_time, np.errstate(all="ignore"):
        plan = plan_for(checked_output(node))
        with _fed_copies(node, plan, feed_dict) as feed:
            rng = np.random.default_rng(seed)
            faults, edges = _found(node, plan, feed, wrt, tolerance, rng)
    wrong = [f"{n}: {fault.rstrip('.')}." for n, fault in faults.items()]
    wrong += [str(edge) for edge in edges if not edge.passed]
    if wrong:
        raise GradientError("\n".join(wrong))
    return GradientReport(edges)


@contextmanager
def _fed_copies(
    node: Node, plan: Plan, feed_dict: Mapping[FedNode, Any] | None
) -> Iterator[dict[Node, Any]]:
    """What is fed, and the parameters: copies, since the user's own arrays are nobody's to change,
    whatever a node's code does.
    """
    given = checked_feed(feed_dict, node, plan.consumers)
    own = {n: n.value for n in plan.order if n.keeps_a_value and n not in given}
    feed = {n: _as_fed(value) for n, value in {**own, **given}.items()}
    for n in given:
        n._fed_type = None  # that of its value
    try:
        yield feed
    finally:
        end_feed(feed)
        for n, value in own.items():
            if isinstance(n, Parameter) and n.value is not value:
                n._array = value  # a node's code has assigned to it


def _found(
    node: Node,
    plan: Plan,
    feed: Mapping[Node, Any],
    wrt: Sequence[Node] | None,
    tolerance: float | None,
    rng: np.random.Generator,
) -> tuple[dict[Node, str], list[EdgeCheck]]:
    """Nodes that are not tidy, and why; and the edges of the others."""
    generators = Generators((*plan.order, node))
    repetition = Repetition(node, plan, feed, lambda: _wanted_nodes(node, plan, wrt), generators)
    generators.rewind()
    changing: dict[Node, str] = {}
    forward_pass(node, plan, feed, start_pass(node, plan, ()), partial(_watch, changing))
    wanted = _wanted_nodes(node, plan, wrt)
    this_pass = start_pass(node, plan, wanted)
    backward_pass(wanted, this_pass, partial(_watch, changing))
    faults = {**repetition.faults(), **changing}
    edges: list[EdgeCheck] = []
    for n in this_pass.order[::-1]:
        if n.inbound_nodes and n not in {**feed, **changing}:  # the gradient of a DummyGrad is fed
            bench = Bench(n, _sources(n, this_pass, wanted), generators)
            checked = _check_node(bench, this_pass, n is node, tolerance, rng)
            if isinstance(checked, str):
                faults[n] = checked
            elif n not in faults:
                edges += checked
    generators.rewind()
    return faults, edges


def _watch(faults: dict[Node, str], node: Node, method: str, call: Callable[[], Any]) -> Any:
    """Call a node's method; tell, and undo, what it does to the values of its inputs."""
    before = {source: plain(source.value) for source in node.inbound_nodes}
    try:
        result = call()
    except GraphError:
        raise
    except Exception as error:
        raise node_failed(node, method, error) from error
    for source, value in before.items():
        if not are_equal(value, source.value):
            what = f"{method}() changes the value of {source.label} in place: work on a copy"
            faults.setdefault(node, what)
            set_values({source: value})
    return result


def _as_fed(value: Any) -> Any:
    """A copy; a Python number as NumPy's, which becomes infinite where Python's would raise."""
    return np.float64(value) if isinstance(value, float) else plain(value)


def _wanted_nodes(node: Node, plan: Plan, wrt: Sequence[Node] | None) -> list[Node]:
    """The inputs with respect to which gradients are checked: those asked for, or all that have
    floating-point values and are no constants.
    """
    if wrt is not None:
        return checked_wrt(node, plan, wrt)
    real = [n for n in plan.order if not n.inbound_nodes and _is_floating(n.value)]
    inputs = [n for n in real if not isinstance(n, Constant)]
    if not inputs:
        constants = " (a constant is checked if wrt names it)" if real else ""
        raise GradientError(
            f"{node}: none of its inputs has a floating-point value; feed 3.0 in place of 3"
            f"{constants}."
        )
    return inputs


def _is_floating(value: Any) -> bool:
    return isinstance(value, float) or getattr(value, "dtype", np.dtype(int)).kind == "f"


def _sources(node: Node, this_pass: Pass, wanted: Sequence[Node]) -> list[Node]:
    """The inbound nodes whose gradients are judged: of conditions, only those that are named."""
    needed = [source for source in dict.fromkeys(node.inbound_nodes) if source in this_pass.needed]
    return [n for n in needed if np.asarray(n.value).dtype.kind != "b" or n in wanted]


def _check_node(
    bench: Bench,
    this_pass: Pass,
    is_output: bool,
    tolerance: float | None,
    rng: np.random.Generator,
) -> list[EdgeCheck] | str:
    """All edges of a node; or why they cannot be judged."""
    node, sources = bench.node, bench.sources
    given = {n: n.value for n in bench.inbound}
    # The differences are taken in float64.
    values = {
        n: np.array(value, float) if n in sources or _is_floating(value) else value
        for n, value in given.items()
    }
    trial = _trial(bench, values, is_output, rng)
    again = bench.run(values, None if trial.end else trial.upstreams, times=2)
    if not again.keeps_upstream:
        return "backward() changes the gradient that a consumer hands back: work on a copy"
    if (fault := _difference_of(trial.run, again)) is not None:
        return fault
    own = _run_in_own_dtype(bench, given, trial)
    edges = [
        Edge(bench, source, _of_pass(node, source, this_pass), tolerance).check(trial, own, rng)
        for source in sources
    ]
    return compare_with_derived(bench, trial, edges, tolerance, rng)


def _trial(
    bench: Bench, values: Mapping[Node, Any], is_output: bool, rng: np.random.Generator
) -> NodeTrial:
    """The node's gradients for random upstream gradients; as the end of a pass, if its code says
    that it is one.
    """
    end = ""
    if is_output and bench.insists_on_being_last(values):
        end = "it allows no consumers"
    else:
        upstreams = _random_upstreams(bench.node.value, rng)
        run = bench.run(values, upstreams)
        halved = bench.run(values, [ONE_HALF_BACK * g for g in upstreams])
        if not (is_output and bench.is_a_loss_on_its_own(values, run)):
            return NodeTrial(values, upstreams, run, halved)
        end = "it does not look at its consumers"
    ones = [np.ones(np.shape(bench.node.value))]
    return NodeTrial(values, ones, bench.run(values, None), None, end)


def _random_upstreams(value: Any, rng: np.random.Generator) -> list[Array]:
    """Of several consumers; in numbers that the dtype of the value has, too."""
    value = np.asarray(value)
    signs = rng.choice([-1.0, 1.0], value.shape) * np.isfinite(value)  # nothing hangs on a NaN
    dtype = value.dtype if value.dtype.kind == "f" else float
    drawn = (signs * rng.uniform(0.5, 1.5, value.shape) for _ in range(CONSUMERS))
    return [np.asarray(part).astype(dtype).astype(float) for part in drawn]


def _difference_of(once: NodeRun, twice: NodeRun) -> str | None:
    """What a second forward and backward, on the same values, make different."""
    if not is_same(once.value, twice.value):
        return (
            "forward() gives another value the second time, for the same inputs, so there is "
            "nothing to compare: feed what changes, and keep nothing from pass to pass"
        )
    for source, gradient in once.gradients.items():
        if not is_same(gradient, twice.gradients[source]):
            return (
                f"the second backward() gives another gradient for {source.label}, of the same "
                "values: make the zeros of self.gradients in backward()"
            )
    return None


def _run_in_own_dtype(bench: Bench, given: Mapping[Node, Any], trial: NodeTrial) -> NodeRun | None:
    """The same in the dtypes of the pass, if these are not float64."""
    dtypes = {np.asarray(value).dtype for value in given.values() if _is_floating(value)}
    if dtypes <= {np.dtype(float)}:
        return None
    dtype = np.asarray(bench.node.value).dtype
    upstreams = [g.astype(dtype if dtype.kind == "f" else float) for g in trial.upstreams]
    return bench.run(given, None if trial.end else upstreams)


def _of_pass(node: Node, source: Node, this_pass: Pass) -> OfPass:
    """What the pass left, before any node was put on the bench."""
    with this_pass:
        upstream = np.asarray(node.upstream_gradient(), float)
        has_others = len(this_pass.consumers[source]) > 1
        total = np.asarray(source.upstream_gradient(), float) if has_others else None
    shape = np.shape(source.value)
    return OfPass(
        np.broadcast_to(upstream, np.shape(node.value)),
        np.broadcast_to(np.asarray(node.gradients[source], float), shape),
        None if total is None else np.broadcast_to(total, shape),
    )
