"""Matrix products: MatMul, and Linear, which every layer of a network begins with."""

import math
from typing import Any

import numpy as np

from miniflow.errors import ShapeError
from miniflow.graph import Node, Op
from miniflow.graph.integers import as_operands
from miniflow.graph.operators import OPERATORS, WAYS
from miniflow.graph.values import shape_of
from miniflow.nodes.scaling import scaled_layer


class Linear(Op):
    """`X W + b`: Z_ij = Σ_k X_ik W_kj + b_j.

    Args:
        X: shape (m, n): m rows of n features (or any number of leading axes: (..., n)).
        W: shape (n, p).
        b: shape (p,) or (1, p), added to every row.
        name: None by default.

    Raises:
        ShapeError: in the pass: the shapes do not go together; the message says which one would.

    With the upstream gradient G of shape (m, p): dX = G Wᵀ, dW = Xᵀ G, db = Σ_i G_ij.

    >>> import numpy as np, miniflow as mf
    >>> X = mf.Input("X")
    >>> W, b = mf.Parameter([[2.0, -3.0], [2.0, -3.0]], "W"), mf.Parameter([-3.0, -5.0], "b")
    >>> mf.value(mf.Linear(X, W, b), {X: np.array([[-1.0, -2.0], [-1.0, -2.0]])})
    array([[-9.,  4.],
           [-9.,  4.]])
    """

    def __init__(self, X: Any, W: Any, b: Any, *, name: str | None = None) -> None:
        Op.__init__(self, X, W, b, name=name)

    def with_channels_scaled(self, scale: Any, shift: Any) -> Node | None:
        return scaled_layer(self, scale, shift, (1,))

    def compute(self, X: Any, W: Any, b: Any) -> Any:
        self._check(shape_of(X), shape_of(W), shape_of(b))
        X, W, b = as_operands(X, W, b, owner=self)
        return X @ W + b

    def gradient(self, grad: Any, X: Any, W: Any, b: Any) -> Any:
        grad, X, W = as_operands(grad, X, W)
        rows, G = X, grad
        if len(X.shape) > 2:
            m = math.prod(X.shape[:-1])
            rows, G = X.reshape(m, X.shape[-1]), grad.reshape(m, W.shape[1])
        keepdims = len(b.shape) == 2
        return lambda: grad @ W.T, lambda: rows.T @ G, lambda: np.sum(G, axis=0, keepdims=keepdims)

    def _check(self, X: tuple[int, ...], W: tuple[int, ...], b: tuple[int, ...]) -> None:
        x_label, w_label, b_label = (node.label for node in self.inbound_nodes)
        if len(X) < 2:
            raise ShapeError(
                f"{self}: {x_label} has shape {X}; it must have rows and columns, (m, n). "
                "A single example is one row: x[np.newaxis, :]."
            )
        if len(W) != 2 or W[0] != X[-1]:
            raise ShapeError(
                f"{self}: {x_label} has shape {X} and {w_label} has shape {W}; "
                f"{w_label} must have shape ({X[-1]}, p): a row for each column of {x_label}."
            )
        if b not in ((W[1],), (1, W[1])):
            raise ShapeError(
                f"{self}: {b_label} has shape {b}; it must have shape ({W[1]},): "
                f"an entry for each column of {w_label}, {W}."
            )


class MatMul(Op):
    """`x @ y`, as `np.matmul`: matrices (m, n) and (n, p), vectors, and stacks of matrices, which
    broadcast.

    Args:
        x: shape (..., m, n), or (n,).
        y: shape (..., n, p), or (n,).
        name: None by default.

    Raises:
        GraphError: an operand is neither a node nor numbers.
        ShapeError: in the pass: the two sizes n differ, or the leading axes do not broadcast.

    With the upstream gradient G, of matrices: dx = G yᵀ, dy = xᵀ G. Where one matrix y serves a
    stack of x, dy is one product, of all their rows.

    >>> import numpy as np, miniflow as mf
    >>> x = mf.Input("x")
    >>> mf.value(x @ np.array([1.0, 2.0]), {x: np.array([3.0, 4.0])})
    np.float64(11.0)
    """

    primitive = "matmul"
    expects = (
        "(..., m, n) and (..., n, p): the last size of the first is the last but one of the second"
    )

    def __init__(self, x: Any, y: Any, *, name: str | None = None) -> None:
        Op.__init__(self, x, y, name=name)

    def with_channels_scaled(self, scale: Any, shift: Any) -> Node | None:
        is_matrix = np.ndim(self.inbound_nodes[1].value) == 2
        made = scaled_layer(self, scale, shift, (1,)) if is_matrix else None
        return None if made is None else Linear(*made.inbound_nodes, name=self.name)

    def compute(self, x: Any, y: Any) -> Any:
        return np.matmul(*as_operands(x, y, owner=self))

    def gradient(self, grad: Any, x: Any, y: Any) -> Any:
        grad, x, y = as_operands(grad, x, y)
        if len(x.shape) == len(y.shape) == 2:
            return lambda: grad @ y.T, lambda: x.T @ grad
        if len(x.shape) > 2 and len(y.shape) == 2:
            m = math.prod(x.shape[:-1])
            return (
                lambda: grad @ y.T,
                lambda: x.reshape(m, y.shape[0]).T @ grad.reshape(m, y.shape[1]),
            )
        # A vector is a matrix of one row on the left and of one column on the right.
        rows = x if len(x.shape) > 1 else x.reshape(1, -1)
        columns = y if len(y.shape) > 1 else y.reshape(-1, 1)
        batch = np.broadcast_shapes(rows.shape[:-2], columns.shape[:-2])
        grad = np.reshape(grad, (*batch, rows.shape[-2], columns.shape[-1]))

        def dx() -> Any:
            product = grad @ np.swapaxes(columns, -1, -2)
            return product if len(x.shape) > 1 else product.reshape(*batch, x.shape[0])

        def dy() -> Any:
            product = np.swapaxes(rows, -1, -2) @ grad
            return product if len(y.shape) > 1 else product.reshape(*batch, y.shape[0])

        return dx, dy


OPERATORS["@"] = MatMul
WAYS.update(
    matmul="x @ y",
    dot="x @ y",
    vdot="mf.Sum(x * y)",
    inner="x @ mf.Transpose(y)",
    outer="mf.Reshape(x, (-1, 1)) * mf.Reshape(y, (1, -1))",
    tensordot="x @ y",
    einsum="x @ y, or mf.Sum(x * y, axis=axis)",
)
