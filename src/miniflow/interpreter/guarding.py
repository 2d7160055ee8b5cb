"""What is fed and what is kept, handed to people's own classes so that they cannot write to it.

A node that changes the value of an input in place, `x *= 2` for `x * 2`, would change the array
that was fed, or a parameter. Compiling such a class is refused, and so is running it: in a pass
with classes that are not miniflow's own, all these arrays are looked at through views that are
read-only, and so is what other nodes make of them without copying, a `Reshape` say. What nodes
compute anew is theirs to work on, as NumPy has it.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from miniflow.errors import NodeError
from miniflow.graph import Node, Parameter
from miniflow.graph.plans import Plan
from miniflow.graph.values import read_only
from miniflow.interpreter.keeping import attributes_preserved


def guard(plan: Plan, feed: dict[Node, Any]) -> dict[Node, Any]:
    """What to feed in place of `feed`: the same, and constants, read-only. Parameters are told.
    Where all classes are miniflow's own, `feed` itself.
    """
    if not plan.guarded:
        return feed
    guarded = {node: read_only(value) for node, value in feed.items()}
    for node in plan.guarded:
        if node.keeps_a_value and node not in feed:
            if isinstance(node, Parameter):
                node.guard()
            else:
                guarded[node] = read_only(node.value)
    return guarded


def end_guard(plan: Plan, feed: Mapping[Node, Any], guarded: Mapping[Node, Any]) -> None:
    """After the pass, everything is as if it had not been guarded."""
    for node in plan.guarded:
        if isinstance(node, Parameter):
            node.end_guard()
        elif node.value is guarded.get(node):
            if node.keeps_a_value:
                node.forward()
            else:
                node.value = feed[node]


def written_in_place(node: Node, method: str, error: Exception) -> NodeError | None:
    """The error for a node that has tried to write to what it may only read; None for any other.

    NumPy does not say which array it was: so the method is called once more, with copies.
    """
    if not (isinstance(error, ValueError) and "read-only" in str(error)):
        return None
    sources = dict.fromkeys(node.inbound_nodes)
    before = {source: np.array(source.value) for source in sources}
    try:
        with attributes_preserved((node, *sources)), np.errstate(all="ignore"):
            for source, value in before.items():
                source.value = value.copy()
            getattr(node, method)()
            after = {source: source.value for source in sources}
    except Exception:  # it fails with copies, too: of something else
        after = before
    changed = [f"{n}" for n in sources if not np.array_equal(before[n], after[n], equal_nan=True)]
    return NodeError(
        f"{node}: {method}() changes the value of {' and '.join(changed) or 'an input'} in place, "
        f"which was fed or is kept ({error}): work on a copy, np.array(x), or write x = x * 2 in "
        "place of x *= 2."
    )


def own(value: Any) -> Any:
    """A value for who asked for it, who may write to it: a copy of what is looked at read-only."""
    if isinstance(value, list):
        return [own(each) for each in value]
    return value.copy() if type(value) is np.ndarray and not value.flags.writeable else value
