"""LayerNorm: each row brought to mean 0 and variance 1, then scaled and shifted."""

from typing import Any

import numpy as np

from miniflow.errors import GraphError, ShapeError
from miniflow.graph import Op
from miniflow.graph.values import promoted, shape_of


class LayerNorm(Op):
    """Normalisation over the last axis: Z = gain · (X - mean) / √(variance + ε) + shift.

    Args:
        x: shape (..., n).
        gain: shape (n,).
        shift: shape (n,).
        epsilon: what is added to the variance; 1e-5 by default.
        name: None by default.

    With the normalised X̂ and Ĝ = gain · G: dX = (Ĝ - mean(Ĝ) - X̂ · mean(Ĝ · X̂)) / √(variance + ε).

    Source: J. L. Ba, J. R. Kiros, G. E. Hinton, "Layer normalization", 2016.

    >>> import numpy as np, miniflow as mf
    >>> mf.value(mf.LayerNorm(np.array([[1.0, 3.0]]), np.ones(2), np.zeros(2))).round(3)
    array([[-1.,  1.]])
    """

    def __init__(
        self, x: Any, gain: Any, shift: Any, *, epsilon: float = 1e-5, name: str | None = None
    ) -> None:
        Op.__init__(self, x, gain, shift, name=name)
        if not epsilon > 0:
            raise GraphError(f"{self}: epsilon must be positive, not {epsilon!r}.")
        self.epsilon = float(epsilon)

    def compute(self, x: Any, gain: Any, shift: Any) -> Any:
        self._check(shape_of(x), shape_of(gain), shape_of(shift))
        return gain * self._normalised(x)[0] + shift

    def gradient(self, grad: Any, x: Any, gain: Any, shift: Any) -> Any:
        normalised, scale = self._normalised(x)
        rows = tuple(range(len(x.shape) - 1))

        def dx() -> Any:
            G = grad * gain
            along = np.mean(G * normalised, axis=-1, keepdims=True)
            return (G - np.mean(G, axis=-1, keepdims=True) - normalised * along) * scale

        return dx, lambda: np.sum(grad * normalised, axis=rows), lambda: np.sum(grad, axis=rows)

    def _normalised(self, x: Any) -> tuple[Any, Any]:
        deviation = promoted(x) - np.mean(x, axis=-1, keepdims=True)
        variance = np.mean(deviation * deviation, axis=-1, keepdims=True)
        scale = 1.0 / np.sqrt(variance + self.epsilon)
        return deviation * scale, scale

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
