"""LayerNorm: each row brought to mean 0 and variance 1, then scaled and shifted."""

import math
from typing import Any

import numpy as np

from miniflow.errors import GraphError, ShapeError
from miniflow.graph import Op
from miniflow.graph.checks import number
from miniflow.graph.integers import as_operands
from miniflow.graph.means import mean, root_mean_square, shrink
from miniflow.graph.values import promote, shape_of


class LayerNorm(Op):
    """Normalisation over the last axis: Z = gain · (X - mean) / √(variance + ε) + shift.

    Args:
        x: shape (..., n).
        gain: shape (n,).
        shift: shape (n,).
        epsilon: what is added to the variance; 1e-5 by default.
        name: None by default.

    With the normalised X̂ and Ĝ = gain · G: dX = (Ĝ - mean(Ĝ) - X̂ · mean(Ĝ · X̂)) / √(variance + ε).
    A row of equal numbers becomes `shift`, however large they are; rows may reach to the limits of
    their dtype.

    Source: J. L. Ba, J. R. Kiros, G. E. Hinton, "Layer normalization", 2016.

    >>> import numpy as np, miniflow as mf
    >>> mf.value(mf.LayerNorm(np.array([[1.0, 3.0]]), np.ones(2), np.zeros(2))).round(3)
    array([[-1.,  1.]])
    """

    def __init__(
        self, x: Any, gain: Any, shift: Any, *, epsilon: float = 1e-5, name: str | None = None
    ) -> None:
        Op.__init__(self, x, gain, shift, name=name)
        self.epsilon = number(self, "epsilon", epsilon)
        if self.epsilon == 0:
            raise GraphError(f"{self}: epsilon must be positive, not {epsilon!r}.")

    def compute(self, x: Any, gain: Any, shift: Any) -> Any:
        self._check(shape_of(x), shape_of(gain), shape_of(shift))
        x, gain, shift = as_operands(x, gain, shift, owner=self)
        return gain * self._normalised(x)[0] + shift

    def gradient(self, grad: Any, x: Any, gain: Any, shift: Any) -> Any:
        grad, x, gain = as_operands(grad, x, gain)
        normalised, deviation = self._normalised(x)
        rows = tuple(range(len(x.shape) - 1))

        def dx() -> Any:
            G = grad * gain
            along = mean(G * normalised, -1, keepdims=True)
            return (G - mean(G, -1, keepdims=True) - normalised * along) / deviation

        return dx, lambda: np.sum(grad * normalised, axis=rows), lambda: np.sum(grad, axis=rows)

    def _normalised(self, x: Any) -> tuple[Any, Any]:
        """The rows brought to mean 0 and variance 1, and √(variance + ε) of each.

        All is computed from the distances to the largest number of the row, which are 0 in a row
        of equal numbers, and in a unit in which their sum is no larger than a number of the dtype.
        """
        x = promote(x)
        unit = shrink(x.shape[-1])
        away = unit * x - unit * np.max(x, axis=-1, keepdims=True)
        away = away - np.mean(away, axis=-1, keepdims=True)
        root = root_mean_square(away, -1, keepdims=True)
        least = self._root_of_epsilon(x.dtype) * unit
        larger = np.maximum(root, least)  # √(root² + least²), by way of squares that are ≤ 1
        deviation = larger * np.sqrt((root / larger) ** 2 + (least / larger) ** 2)
        return away / deviation, deviation / unit

    def _root_of_epsilon(self, dtype: Any) -> float:
        root = math.sqrt(self.epsilon)
        if dtype.type(root) == 0:
            raise GraphError(
                f"{self}: epsilon={self.epsilon!r} is too small for {dtype}: beside it, it is 0."
            )
        return root

    def _check(self, x: tuple[int, ...], gain: tuple[int, ...], shift: tuple[int, ...]) -> None:
        x_label, gain_label, shift_label = (node.label for node in self.inbound_nodes)
        if not x or x[-1] == 0:
            raise ShapeError(f"{self}: {x_label} has shape {x}; there is nothing to normalise.")
        for label, seen in ((gain_label, gain), (shift_label, shift)):
            if seen != x[-1:]:
                raise ShapeError(
                    f"{self}: {label} has shape {seen}; it must have shape {x[-1:]}: an entry for "
                    f"each column of {x_label}, {x}."
                )
