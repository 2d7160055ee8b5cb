"""What a pass does with the states that its nodes have set: all of them are set when it ends well,
or none.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from miniflow.errors import FeedError, NotFiniteError
from miniflow.graph import Node
from miniflow.graph.plans import Pass

Sets = dict[Any, tuple[Any, Node | None]]  # state → its new value, and what set it

_held: ContextVar[Sets | None] = ContextVar("held", default=None)


@contextmanager
def states_held() -> Iterator[Sets]:
    """Inside the block, what passes would set states to comes into what the block is given, and the
    states stay as they are.

    >>> import miniflow as mf
    >>> count = mf.State(0, "count")
    >>> with states_held() as sets:
    ...     _ = mf.value(mf.SetState(count, count + 1))
    >>> int(count.value), [int(value) for value, _ in sets.values()]
    (0, [1])
    """
    sets: Sets = {}
    token = _held.set(sets)
    try:
        yield sets
    finally:
        _held.reset(token)


def end_of_states(this_pass: Pass, feed: Mapping[Node, Any]) -> None:
    """Set what a pass over this feed has set, or hold it."""
    sets = this_pass.sets or {}
    for state in sets:
        if state in feed:
            raise FeedError(f"{state} is fed, and {_who(sets, state)} sets it: it is one of both.")
    held = _held.get()
    if held is None:
        set_states(sets)
    else:
        held.update(sets)


def set_states(sets: Sets) -> None:
    """Give states their new values.

    Raises NotFiniteError where a number that was finite would not be; then none is set.
    """
    if (told := spoiled_state(sets)) is not None:
        raise NotFiniteError(told)
    for state in sets:
        state.check_writable()
    for state, (value, _) in sets.items():
        state.value = np.array(value, state.value.dtype, order="C")


def spoiled_state(sets: Sets) -> str | None:
    """What is told of the first state that would no longer be finite; None if all would."""
    for state, (value, _) in sets.items():
        old, new = state.value, np.asarray(value)
        with np.errstate(all="ignore"):  # a narrower dtype may not hold it
            new = new.astype(old.dtype)
        if old.dtype.kind == "f" and (np.isfinite(old) & ~np.isfinite(new)).any():
            return (
                f"The new value of {state}, which {_who(sets, state)} sets, is no longer finite, "
                "and nothing was updated."
            )
    return None


def _who(sets: Sets, state: Node) -> str:
    by = sets[state][1]
    return "a node" if by is None else f"{by}"
