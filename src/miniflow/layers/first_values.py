"""First values of a layer's parameters: at once, where the shape that they fit is known, and else
when something is fed for the first time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike

from miniflow.errors import GraphError
from miniflow.graph import Node
from miniflow.graph.rows import Row
from miniflow.layers.example_shapes import floating

if TYPE_CHECKING:
    from miniflow.layers.base import Layer
    from miniflow.layers.named import Initializer

ShapeOn = Callable[[Row], Sequence[int]]


class FirstValue:
    """Makes the array of a parameter, called in the first pass that comes to it.

    layer: whose random numbers it is drawn from.
    shape: of the parameter, from that of a row of what the layer is built on.
    initializer: makes the array.
    least: the narrowest dtype that it may have.
    sources: the nodes that the layer was built on; the first that has a value tells the shape.
    """

    def __init__(
        self,
        layer: Layer,
        shape: ShapeOn,
        initializer: Initializer,
        least: DTypeLike = np.float16,
    ) -> None:
        self.layer, self.shape, self.initializer, self.least = layer, shape, initializer, least
        self.sources: list[Node] = []

    def __call__(self) -> Any:
        for source in self.sources:
            value = source.value
            if value is not None:
                self._check(source, np.shape(value))
                return self.on(Row(np.shape(value)[1:], np.asarray(value).dtype))
        names = " and ".join(map(str, self.sources))
        raise GraphError(
            f"{self.layer!r} gets the shape of its parameters from {names}, which has no value yet "
            "in this pass: say what one example is like, mf.Input(name, shape=(784,))."
        )

    def on(self, row: Row) -> Any:
        """The array for such rows."""
        dtype = np.promote_types(floating(row), self.least)
        return self.initializer(self.shape(row), self.layer.generator(), dtype)

    def _check(self, source: Node, shape: tuple[int, ...]) -> None:
        if len(shape) < 2:
            raise GraphError(
                f"{self.layer!r} is built on {source}, whose value has shape {shape}: it needs an "
                "axis of rows before all others. A single example is one row: x[np.newaxis]."
            )
