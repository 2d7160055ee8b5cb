"""Where did this NaN come from? A pass, replayed until a value or a gradient is not finite; and
what is told of an update that was not made.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from miniflow.errors import NotFiniteError
from miniflow.graph import Node, Parameter
from miniflow.graph.plans import Pass, plan_for
from miniflow.graph.typed import FedNode
from miniflow.interpreter.feeding import checked_feed, checked_output, checked_wrt, end_feed
from miniflow.interpreter.guarding import end_guard, guard
from miniflow.interpreter.passes import (
    backward_pass,
    forward_pass,
    one_pass_at_a_time,
    start_pass,
    value_and_grad,
)
from miniflow.interpreter.selection import parts_of, trainable, with_none_for_frozen
from miniflow.interpreter.states import spoiled_state, states_held
from miniflow.interpreter.updating import update_if_finite

_TRY = "Try a smaller learning rate, or clipping (clipnorm=1.0)"
_WAY_OUT = "choose what goes in as well"


def find_not_finite(
    node: Node, feed_dict: Mapping[FedNode, Any] | None = None, wrt: Sequence[Node] = ()
) -> str | None:
    """Say which node, or which edge of the backward pass, is the first to produce a NaN or an
    infinity.

    Args:
        node: the output.
        feed_dict: input → value, as for `value_and_grad`.
        wrt: as for `value_and_grad`.

    Raises:
        GraphError: node is none.
        FeedError: something is not fed.

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
        fed = guard(plan, feed)
        try:
            this_pass = start_pass(node, plan, wrt)
            forward_pass(node, plan, fed, this_pass)
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
            end_guard(plan, feed, fed)
    return unchosen or None


def not_finite_error(
    loss: Node,
    feed: Mapping[Node, Any],
    parameters: Sequence[Parameter],
    optimizer: Any,
    handed: Sequence[Any] | None = None,
) -> NotFiniteError:
    """What is told of an update that was not made, by whatever ran it: what was not finite, where
    that began, and what to try. Parameters and optimizer are left as they are.

    `handed` are the gradients, where they are no matter of one feed and are finite; None for one
    that is frozen.
    """
    if handed is not None:
        return _error_of_update(loss, parameters, handed, optimizer)
    trained = trainable(parameters)
    with one_pass_at_a_time, states_held() as sets, np.errstate(all="ignore"):
        value, gradients = value_and_grad(loss, feed, trained)
        is_value_finite = _first_not_finite(value) is None
        is_finite = is_value_finite and all(_first_not_finite(g) is None for g in gradients)
        if is_finite and (told := spoiled_state(sets)) is not None:
            return NotFiniteError(f"{told} {find_not_finite(loss, feed, trained) or ''}".strip())
        if is_finite:
            gradients = with_none_for_frozen(parameters, gradients)
            return _error_of_update(loss, parameters, gradients, optimizer)
        found = find_not_finite(loss, feed, trained)
    what = f"{loss} is" if is_value_finite is False else f"A gradient of {loss} is"
    if found is None:
        found = (
            "Its parts are: their sum is beyond its dtype, or a node gives other values each time."
        )
    elif found.startswith("The value fed to "):
        return _error(what, f"{found} Look for it in the data.")
    elif _WAY_OUT in found:
        return _error(what, found)
    return _error(what, f"{found} {_TRY}; or keep what goes into that node away from such a place.")


def _error_of_update(
    loss: Node, parameters: Sequence[Parameter], gradients: Sequence[Any], optimizer: Any
) -> NotFiniteError:
    """Of finite gradients: which parameter the optimizer's own arithmetic would spoil."""
    spoiled = update_if_finite(optimizer, parameters, gradients, for_good=False)
    if spoiled is None:
        told = "The interpreter finds it finite: it is near the limit of its dtype, or random."
        return _error(f"A value, a gradient or a step of {loss} is", f"{told} {_TRY}.")
    has_none = any(getattr(part, "epsilon", 1.0) == 0.0 for _, part in parts_of(optimizer))
    way_out = "Try an epsilon above 0" if has_none else _TRY
    told = "The loss and its gradients are."
    return _error(f"The step of {optimizer} for {spoiled} is", f"{told} {way_out}.")


def _error(what: str, told: str) -> NotFiniteError:
    return NotFiniteError(f"{what} no longer finite, and nothing was updated. {told}")


def _choice_after(culprit: Node, output: Node, this_pass: Pass) -> Node | None:
    """The next node that chooses, and has left out what is not finite of the culprit's; if any."""
    ahead, seen = [culprit], {culprit}
    for node in ahead:
        if node.chooses and _first_not_finite(node.value) is None:
            return node
        if node is not output:
            following = [n for n in list.__iter__(this_pass.consumers[node]) if n not in seen]
            seen.update(following)
            ahead += following
    return None


def _way_out(choice: Node, culprit: Node) -> str:
    how = type(culprit).__name__
    return (
        f"{choice} may not have chosen it, and 0 times infinity is NaN all the same: {_WAY_OUT}"
        f", {how}(mf.Where(condition, x, 1.0))."
    )


def _first_not_finite(value: Any) -> str | None:
    array = np.asarray(value)
    if array.dtype.kind != "f" or np.isfinite(array).all():
        return None
    index = np.argwhere(~np.isfinite(array))[0]
    where = f" at index {tuple(map(int, index))} of shape {array.shape}" if array.shape else ""
    return f"{array[tuple(index)]}{where}"
