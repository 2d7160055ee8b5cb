"""One step of a GRU and of an LSTM as a node each: what the gates do, and its gradient by hand.

A step could be put together of a dozen nodes. As one, what the gates hear is put together once on
the way back, and not gate by gate, and the interpreter calls one node where it would call twelve.
"""

from typing import Any

import numpy as np

from miniflow.graph import Op
from miniflow.graph.integers import as_operands
from miniflow.nodes.activation import sigmoid


class GRUCell(Op):
    """The state after an item.

        r = σ(x_r + h U_r),    z = σ(x_z + h U_z),    c = tanh(x_c + r · (h U_c + u))
        value = (1 - z) · c + z · h

    Args:
        state: h, shape (n, units).
        item: x, what an item says to r, z and c, side by side: (n, 3 · units).
        U: (units, 3 · units).
        u: (units,).
        name: None by default.

    With G the upstream gradient: dc = (1 - z) G, dz = (h - c) G; of what c hears D = (1 - c²) dc,
    so dr = (h U_c + u) D, each times the slope of its σ. What the gates hear of the item is (dr,
    dz, D), of the state (dr, dz, r D), from which Uᵀ leads back to the state, beside z G.
    """

    def __init__(self, state: Any, item: Any, U: Any, u: Any, *, name: str | None = None) -> None:
        Op.__init__(self, state, item, U, u, name=name)

    def compute(self, state: Any, item: Any, U: Any, u: Any) -> Any:
        state, item, U, u = as_operands(state, item, U, u, owner=self)
        n = state.shape[-1]
        heard = state @ U
        gates = sigmoid(item[..., : 2 * n] + heard[..., : 2 * n])
        r, z = gates[..., :n], gates[..., n:]
        recalled = heard[..., 2 * n :] + u
        new = np.tanh(item[..., 2 * n :] + r * recalled)
        self.cache["gates"] = r, z, recalled, new
        return new + z * (state - new)

    def gradient(self, grad: Any, state: Any, item: Any, U: Any, u: Any) -> Any:
        grad, state, item, U, u = as_operands(grad, state, item, U, u)
        r, z, recalled, new = self.cache["gates"]
        of_new = grad * (1 - z) * (1 - new * new)
        of_r = of_new * recalled * r * (1 - r)
        of_z = grad * (state - new) * z * (1 - z)
        of_recalled = of_new * r
        of_heard = np.concatenate([of_r, of_z, of_recalled], axis=-1)
        n = state.shape[-1]
        return (
            lambda: grad * z + of_heard @ np.swapaxes(U, -1, -2),
            lambda: np.concatenate([of_heard[..., : 2 * n], of_new], axis=-1),
            lambda: np.swapaxes(state, -1, -2) @ of_heard,
            lambda: np.sum(of_recalled, axis=0),
        )


class LSTMCell(Op):
    """The output and the cell after an item, side by side.

        i, f, o = σ(x + h U) each,    g = tanh(x_g + h U_g)
        cell = f · c + i · g,    output = o · tanh(cell)

    Args:
        state: h and c side by side, (n, 2 · units).
        item: x, what an item says to i, f, g and o: (n, 4 · units).
        U: (units, 4 · units).
        name: None by default.

    With (H, C) the upstream gradients of output and cell and t = tanh(cell): D = C + (1 - t²) o H
    is the cell's whole one. di = g D, df = c D, dg = i D, do = t H, each times the slope of its
    function, are what the gates hear; Uᵀ leads back to h, and f D to c.
    """

    def __init__(self, state: Any, item: Any, U: Any, *, name: str | None = None) -> None:
        Op.__init__(self, state, item, U, name=name)

    def compute(self, state: Any, item: Any, U: Any) -> Any:
        state, item, U = as_operands(state, item, U, owner=self)
        n = state.shape[-1] // 2
        heard = item + state[..., :n] @ U
        both = sigmoid(heard[..., : 2 * n])
        i, f, o = both[..., :n], both[..., n:], sigmoid(heard[..., 3 * n :])
        g = np.tanh(heard[..., 2 * n : 3 * n])
        cell = f * state[..., n:] + i * g
        shown = np.tanh(cell)
        self.cache["gates"] = i, f, g, o, shown
        return np.concatenate([o * shown, cell], axis=-1)

    def gradient(self, grad: Any, state: Any, item: Any, U: Any) -> Any:
        grad, state, item, U = as_operands(grad, state, item, U)
        i, f, g, o, shown = self.cache["gates"]
        n = state.shape[-1] // 2
        of_output, c = grad[..., :n], state[..., n:]
        of_cell = grad[..., n:] + of_output * o * (1 - shown * shown)
        of_heard = np.concatenate(
            [
                of_cell * g * i * (1 - i),
                of_cell * c * f * (1 - f),
                of_cell * i * (1 - g * g),
                of_output * shown * o * (1 - o),
            ],
            axis=-1,
        )

        def of_state() -> Any:
            return np.concatenate([of_heard @ np.swapaxes(U, -1, -2), of_cell * f], axis=-1)

        return of_state, of_heard, lambda: np.swapaxes(state[..., :n], -1, -2) @ of_heard
