"""LayerNorm: each row brought to mean 0 and variance 1, then scaled and shifted; and RMSNorm, which
leaves its mean alone.
"""

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

    Raises:
        GraphError: epsilon is not above 0, or too small for the dtype.
        ShapeError: in the pass: gain or shift has not the shape (n,).

    With the upstream gradient G, the normalised X̂ and Ĝ = gain · G:
    dX = (Ĝ - mean(Ĝ) - X̂ · mean(Ĝ · X̂)) / √(variance + ε).
    A row of equal numbers becomes `shift`, however large they are; rows may reach to the limits of
    their dtype.

    Source: J. L. Ba, J. R. Kiros, G. E. Hinton, "Layer normalization", 2016.

    The gradients of gain and shift are the sums over all rows of G · X̂ and of G.

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
        return root_of_epsilon(self, self.epsilon, dtype)

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


class RMSNorm(Op):
    """Normalisation over the last axis by its root mean square: Z = gain · X / √(mean(X²) + ε).

    Args:
        x: shape (..., n).
        gain: shape (n,); None by default, for 1.
        epsilon: what is added to the mean of the squares; 1e-5 by default.
        name: None by default.

    Raises:
        GraphError: epsilon is not above 0, or too small for the dtype.
        ShapeError: in the pass: gain has not the shape (n,).

    With the upstream gradient G, X̂ = X / √(mean(X²) + ε) and Ĝ = gain · G:
    dX = (Ĝ - X̂ · mean(Ĝ · X̂)) / √(mean(X²) + ε).
    Rows may reach to the limits of their dtype.

    Source: B. Zhang, R. Sennrich, "Root mean square layer normalization", 2019.

    >>> import numpy as np, miniflow as mf
    >>> mf.value(mf.RMSNorm(np.array([[3.0, -3.0], [1.0, 7.0]]))).round(3)
    array([[ 1. , -1. ],
           [ 0.2,  1.4]])
    """

    def __init__(
        self, x: Any, gain: Any = None, *, epsilon: float = 1e-5, name: str | None = None
    ) -> None:
        Op.__init__(self, x, *(() if gain is None else (gain,)), name=name)
        self.epsilon = number(self, "epsilon", epsilon)
        if self.epsilon == 0:
            raise GraphError(f"{self}: epsilon must be positive, not {epsilon!r}.")

    def compute(self, x: Any, gain: Any = None) -> Any:
        self._check(shape_of(x), None if gain is None else shape_of(gain))
        if gain is None:
            return self._normalised(x)[0]
        x, gain = as_operands(x, gain, owner=self)
        return gain * self._normalised(x)[0]

    def gradient(self, grad: Any, x: Any, gain: Any = None) -> Any:
        if gain is None:
            grad, x = as_operands(grad, x)
        else:
            grad, x, gain = as_operands(grad, x, gain)
        normalised, size = self._normalised(x)

        def dx() -> Any:
            G = grad if gain is None else grad * gain
            return (G - normalised * mean(G * normalised, -1, keepdims=True)) / size

        if gain is None:
            return (dx,)
        return dx, lambda: np.sum(grad * normalised, axis=tuple(range(len(x.shape) - 1)))

    def _normalised(self, x: Any) -> tuple[Any, Any]:
        """The rows divided by √(mean square + ε), and that of each."""
        x = promote(x)
        root_of_epsilon(self, self.epsilon, x.dtype)
        size = root_mean_square(x, -1, keepdims=True, epsilon=self.epsilon)
        return x / size, size

    def _check(self, x: tuple[int, ...], gain: tuple[int, ...] | None) -> None:
        labels = [node.label for node in self.inbound_nodes]
        if not x or x[-1] == 0:
            raise ShapeError(f"{self}: {labels[0]} has shape {x}; there is nothing to normalise.")
        if gain is not None and gain != x[-1:]:
            raise ShapeError(
                f"{self}: {labels[1]} has shape {gain}; it must have shape {x[-1:]}: an entry for "
                f"each column of {labels[0]}, {x}."
            )


def root_of_epsilon(node: Op, epsilon: float, dtype: Any) -> float:
    """√ε. Raises GraphError where it is 0 in the dtype."""
    root = math.sqrt(epsilon)
    if dtype.type(root) == 0:
        raise GraphError(
            f"{node}: epsilon={epsilon!r} is too small for {dtype}: beside it, it is 0."
        )
    return root
