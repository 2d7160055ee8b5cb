"""Where did this NaN come from? A pass, replayed until a value or a gradient is not finite."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from miniflow.graph import Node
from miniflow.graph.plans import Pass, plan_for
from miniflow.interpreter.feeding import checked_feed, checked_output, checked_wrt, end_feed
from miniflow.interpreter.passes import (
    backward_pass,
    forward_pass,
    one_pass_at_a_time,
    start_pass,
)


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
    with one_pass_at_a_time, np.errstate(all="ignore"):
        plan = plan_for(checked_output(node))
        wrt = checked_wrt(node, plan, wrt)
        feed = checked_feed(feed_dict, node, plan.consumers)
        try:
            this_pass = start_pass(node, plan, wrt)
            forward_pass(node, plan, feed, this_pass)
            unchosen = ""
            for n in (*plan.order, node):
                if (index := _first_not_finite(n.value)) is not None:
                    what = "fed to" if n in feed and not n.inbound_nodes else "of"
                    told = f"The value {what} {n} is the first that is not finite: {index}."
                    choice = _choice_after(n, node, this_pass)
                    if choice is None:
                        return told
                    unchosen = unchosen or f"{told} {choice} did not choose it."
            backward_pass(wrt, this_pass)
            for n in (node, *plan.needed_for(wrt)[1]):
                for source in n.inbound_nodes:
                    if (index := _first_not_finite(n.gradients.get(source, 0.0))) is not None:
                        told = (
                            f"The gradient that {n} hands back to {source.label} "
                            f"is the first that is not finite: {index}."
                        )
                        choice = _choice_after(n, node, this_pass)
                        return told if choice is None else f"{told} {_way_out(choice, n)}"
        finally:
            end_feed(feed)
    return unchosen or None


def _choice_after(culprit: Node, output: Node, this_pass: Pass) -> Node | None:
    """The next node that chooses, and has left out what is not finite of the culprit's; if any."""
    ahead, seen = [culprit], {culprit}
    for node in ahead:
        if node.chooses and _first_not_finite(node.value) is None:
            return node
        if node is not output:
            following = [n for n in this_pass.consumers[node] if n not in seen]
            seen.update(following)
            ahead += following
    return None


def _way_out(choice: Node, culprit: Node) -> str:
    how = type(culprit).__name__
    return (
        f"{choice} may not have chosen it, and 0 times infinity is NaN all the same: choose what "
        f"goes in as well, {how}(mf.Where(condition, x, 1.0))."
    )


def _first_not_finite(value: Any) -> str | None:
    array = np.asarray(value)
    if array.dtype.kind != "f" or np.isfinite(array).all():
        return None
    index = np.argwhere(~np.isfinite(array))[0]
    where = f" at index {tuple(map(int, index))} of shape {array.shape}" if array.shape else ""
    return f"{array[tuple(index)]}{where}"
