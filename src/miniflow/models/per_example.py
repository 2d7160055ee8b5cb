"""`per_example_gradients`: the gradient of each example's loss by itself, in one program.

The gradient is recorded for one example, and its equations are then written for all of them at once
(`ir.vectorize`): what a loop over examples computes, one product for all in place of one product
each.
"""

import weakref
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from miniflow.backends import check_name, choose
from miniflow.compiler.pool import ExecutablePool, make_run
from miniflow.errors import FeedError
from miniflow.graph import Node, Parameter
from miniflow.graph.plans import plan_for, with_parts
from miniflow.graph.typed import FedNode
from miniflow.graph.values import shape_of
from miniflow.interpreter.feeding import (
    check_fed_enough,
    checked_feed,
    checked_output,
    checked_wrt,
    parameters_of,
)
from miniflow.interpreter.passes import one_pass_at_a_time
from miniflow.ir.build import Builder
from miniflow.ir.dtypes import ValueType, type_of
from miniflow.ir.program import Operand, Output, Program
from miniflow.ir.vectorize import Vectorizer
from miniflow.models.forward_program import record_graph
from miniflow.passes import optimize
from miniflow.tracing.keeping import plain_state

_KEPT = 8  # programs of one loss, for other shapes


def per_example_gradients(
    loss: Node,
    feed_dict: Mapping[FedNode, Any],
    wrt: Iterable[Node] | None = None,
    *,
    backend: str = "auto",
) -> list[Any]:
    """The gradients of the loss of each example by itself.

    Args:
        loss: the node; for each example it is computed from arrays of one row.
        feed_dict: input → value, as for `value_and_grad`. The first axis of the first array is that
            of the examples, and so is that of every array with as many entries along it, but for
            those of `wrt`; all others are the same for each example.
        wrt: the nodes to differentiate with respect to; by default all `Parameter`s that the loss
            depends on.
        backend: what runs the program, as for `compile`.

    Returns:
        An array for each of `wrt`, in its order: shape (n, ...), the examples along its first axis.
        For a loss that is a sum over examples they add up to its gradient; of a mean, they do
        divided by n.

    It is one program, recorded and compiled for the first call, and for others with the same shapes
    kept. What makes examples differ in length or mixes them (a normalisation over the batch) is
    computed as of one example.

    Raises:
        FeedError: nothing that is fed has examples, or they are those of one of `wrt`.
        GradientError: the loss does not depend on one of `wrt`.
        CompileError: the graph cannot be recorded.

    Used for clipping each example's gradient before they are added (M. Abadi et al., "Deep learning
    with differential privacy", 2016), and to see which examples pull where.

    >>> import numpy as np, miniflow as mf
    >>> X, t = mf.Input("X"), mf.Input("t")
    >>> W = mf.Parameter([[1.0], [2.0]], "W")
    >>> loss = mf.MSE(X @ W, t)
    >>> feed = {X: np.array([[1.0, 0.0], [0.0, 1.0]]), t: np.zeros((2, 1))}
    >>> (dW,) = mf.per_example_gradients(loss, feed, [W])
    >>> dW[:, :, 0]
    array([[2., 0.],
           [0., 4.]])
    """
    check_name(backend)
    with one_pass_at_a_time:
        plan = plan_for(checked_output(loss))
        order = [*plan.order, loss]
        nodes = parameters_of(loss, plan) if wrt is None else checked_wrt(loss, plan, wrt)
        feed = checked_feed(feed_dict, loss, plan.consumers)
        check_fed_enough(order, feed)
        count, split = _examples_in(loss, feed, nodes)
        own: dict[Node, Any] = {n: n.value for n in order if isinstance(n, Parameter)}
        values = own | feed
        key = (
            [(id(n), type_of(value)) for n, value in values.items()],
            [*map(id, nodes), backend],
            [plain_state(node) for node in with_parts(order)],
        )
        kept = _programs.setdefault(loss, [])
        made = next((one for one in kept if one.key == key), None)
        if made is None:
            types = {n: type_of(value) for n, value in feed.items()}
            program, read = _for_all(loss, order, types, split, nodes, count)
            pool = ExecutablePool(partial(make_run, choose(program, backend)))
            made = _Made(key, pool, read)
            kept[:] = [*kept[1 - _KEPT :], made]
        return made.pool.run([values[order[index]] for index in made.read])


class _Made(NamedTuple):
    """A program that is compiled."""

    key: Any  # what it was made for
    pool: ExecutablePool
    read: list[int]  # the nodes whose values it takes, by their places


_programs: "weakref.WeakKeyDictionary[Node, list[_Made]]" = weakref.WeakKeyDictionary()


def _examples_in(
    loss: Node, feed: Mapping[Node, Any], wrt: Collection[Node]
) -> tuple[int, set[Node]]:
    """How many examples there are, and which inputs have a row for each."""
    shapes = {node: shape_of(value) for node, value in feed.items()}
    first = next((node for node, shape in shapes.items() if shape), None)
    count = 0 if first is None else shapes[first][0]
    if count == 0:
        raise FeedError(
            f"per_example_gradients of {loss}: nothing that is fed has an axis of examples."
        )
    if first in wrt:
        raise FeedError(
            f"per_example_gradients: {first} has a row for each example, and so has its gradient: "
            "mf.value_and_grad(loss, feed, wrt=[...]) gives it."
        )
    return count, {n for n, shape in shapes.items() if shape[:1] == (count,) and n not in wrt}


def _for_all(
    loss: Node,
    order: Sequence[Node],
    types: Mapping[Node, ValueType],
    split: Collection[Node],
    wrt: Sequence[Node],
    count: int,
) -> tuple[Program, list[int]]:
    """The program for all examples, and the nodes whose values it takes, by their places."""
    of_one = {n: t._replace(shape=(1, *t.shape[1:])) if n in split else t for n, t in types.items()}
    one = optimize(record_graph(loss, of_one, wrt, twice=True).program)
    b, stacked, single = Builder(), dict[Operand, Operand](), dict[Operand, Operand]()
    read = []
    for entry in one.inputs:
        assert entry.origin is not None  # each is a node's
        read.append(entry.origin.index)
        node, type_ = order[entry.origin.index], entry.variable.type
        if node in split:
            rows = b.input(types[node], entry.role, entry.variable.name)
            stacked[entry.variable] = b.add("reshape", [rows], {"shape": (count, *type_.shape)})
        else:
            single[entry.variable] = b.input(type_, entry.role, entry.variable.name)
    for constant in one.constants:
        single[constant.variable] = b.constant(constant.value, constant.variable.name)
    written = Vectorizer(b.add, count, stacked, single)
    written.learn(one.equations)
    outputs = [
        Output(written.stack(output.operand), "value", output.name)
        for output in one.outputs
        if output.role == "gradient"
    ]
    return b.program(outputs), read
