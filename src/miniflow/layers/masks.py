"""Masks of sequences: True where there is an item, False where there is padding, shape (n, T)."""

from __future__ import annotations

from typing import Any

import numpy as np

from miniflow.errors import ShapeError
from miniflow.graph import Node, Op
from miniflow.graph.values import describe, shape_of
from miniflow.options import OptionError


def checked_mask(owner: str, mask: Any) -> Node | None:
    """A mask, or None. Raises OptionError where it is no node: it differs from batch to batch."""
    if mask is None or isinstance(mask, Node):
        return mask
    raise OptionError(
        f"{owner}: mask is a node that is fed (n, T) booleans, True where there is an item, "
        f"mf.Input('mask', shape=(T,), dtype=bool), not {describe(mask)}."
    )


class MaskWithAxes(Op):
    """A mask (n, T) with axes of length 1 more, over which it serves all features, or heads."""

    def __init__(self, owner: str, mask: Node, axes: tuple[int, ...]) -> None:
        Op.__init__(self, mask)
        self.owner, self.axes = owner, axes

    def compute(self, mask: Any) -> Any:
        shape = shape_of(mask)
        if len(shape) != 2:
            (node,) = self.inbound_nodes
            raise ShapeError(
                f"{self.owner}: its mask, {node.label}, has shape {shape}; it takes (n, T), True "
                "where a sequence has an item and False where it has padding."
            )
        return np.expand_dims(mask, self.axes)

    def gradient(self, grad: Any, mask: Any) -> Any:
        return (None,)
