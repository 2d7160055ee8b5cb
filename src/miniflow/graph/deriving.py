"""The gradient of a node whose class has none: derived from what its `forward` does.

How that is done needs more than a graph: whoever knows is told here (`derive_with`), and loaded
when it is first needed. Where a gradient is to be somebody's own work, nothing is derived
(`nothing_is_derived`).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from miniflow.errors import GraphError

Derived = tuple[list[Any], np.dtype[Any]]
Derive = Callable[[Any, Any, Sequence[Any]], Derived]
"""(node, upstream gradient, inbound nodes) → a gradient for each of these, None where none is; and
the narrowest floating dtype that the node computes in."""

_load: list[Callable[[], Derive]] = []
_forbidden: list[None] = []


def derive_with(load: Callable[[], Derive]) -> None:
    """Say who derives gradients: `load` returns it, when it is needed."""
    _load[:] = [load]


@contextmanager
def nothing_is_derived() -> Iterator[None]:
    """Inside the block, a class without a gradient is told so, and gets none."""
    _forbidden.append(None)
    try:
        yield
    finally:
        _forbidden.pop()


def derived_gradients(node: Any, upstream: Any, inbound: Sequence[Any], missing: str) -> Derived:
    """What follows from the node's own `forward`, for the values that its inbound nodes have.

    Raises GraphError, which says what is `missing`, where nothing is derived.
    """
    if _forbidden or not _load or not node.inbound_nodes:
        raise GraphError(missing)
    return _load[0]()(node, upstream, inbound)
