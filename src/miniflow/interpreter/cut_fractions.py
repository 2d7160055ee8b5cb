"""Fractions that a node's own `backward` writes into an array of whole numbers: where they are
assigned NumPy cuts them off, without a word. They are found and told.
"""

from collections.abc import Container
from typing import Any

import numpy as np

from miniflow.errors import NodeError
from miniflow.graph import Node
from miniflow.graph.plans import passes_under_way
from miniflow.interpreter.keeping import contents_preserved

_FLOAT = np.dtype(np.float64)


def see_to_fractions(node: Node, needed: Container[Node]) -> None:
    """See that a node of somebody's own class has not written fractions into whole numbers.

    `dx = np.zeros_like(x)` is whole where x is, and `dx[...] = 0.5` then writes 0, without a word.
    So where x is whole and its gradient too, the node is asked again with the same numbers as
    floats, and left as it was.
    """
    whole = {
        source: node.gradients[source]
        for source in node.inbound_nodes
        if source in needed and _is_whole(source.value) and _is_whole(node.gradients.get(source))
    }
    if not whole or (passes_under_way and passes_under_way[-1].tracing):
        return
    for source, exact in _gradients_for_floats(node).items():
        seen = whole.get(source)
        if seen is None or getattr(exact, "dtype", _FLOAT).kind != "f":
            continue
        with np.errstate(invalid="ignore"):
            cut = np.asarray(exact).astype(seen.dtype)
        if np.array_equal(cut, seen) and not np.array_equal(cut, exact):
            told = fractions_told(np.asarray(exact).dtype, seen.dtype)
            raise NodeError(f"{node}: backward() {told}")


def _is_whole(value: Any) -> bool:
    return getattr(value, "dtype", _FLOAT).kind in "iub"


def _gradients_for_floats(node: Node) -> dict[Node, Any]:
    """What the node's backward leaves if its whole numbers are floats; nothing if it cannot."""
    values = {source: source.value for source in node.inbound_nodes}
    try:
        with contents_preserved([node]):
            for source, value in values.items():
                source.value = value.astype(np.float64) if _is_whole(value) else value
            node.forward()
            node.backward()
            return dict(node.gradients)
    except Exception:  # they index, say
        return {}
    finally:
        for source, value in values.items():
            source.value = value


def fractions_told(fractions: Any, whole: Any) -> str:
    """What is said of fractions of one dtype in an array of another."""
    return (
        f"puts fractions ({fractions}) into an array of whole numbers ({whole}), which cannot "
        "hold them. np.zeros_like(v) is one wherever v is: write np.zeros_like(v, dtype=float),"
        " or feed floats, x.astype(float)."
    )
