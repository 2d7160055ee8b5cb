"""Attention: each place of a sequence looks at others, and takes over a mean of what they say."""

import math
from typing import Any

import numpy as np

from miniflow.errors import GraphError, ShapeError
from miniflow.graph import Op
from miniflow.graph.checks import flag, number
from miniflow.graph.integers import as_operands
from miniflow.graph.values import promote, shape_of, where
from miniflow.nodes.activation import softmax


class ScaledDotProductAttention(Op):
    """Each query's mean of the values, weighted by how well it fits their keys.

        P = softmax(scale · Q Kᵀ),    value = P V

    Args:
        q: queries, shape (..., m, d).
        k: keys, shape (..., n, d).
        v: values, shape (..., n, e).
        mask: True (or a whole number that is not 0) where a query may look, a node or an array that
            broadcasts to (..., m, n): for keys that are padding, shape (batch, 1, n), and (batch,
            1, 1, n) with an axis of heads. None by default: everywhere.
        causal: whether each query looks at its own place and those before it alone. The queries
            stand at the last m of the n places: query i sees the keys 0 to i + n - m. False by
            default.
        scale: 1/√d by default.
        name: None by default.

    Raises:
        GraphError: scale is no number; in the pass: the mask holds neither booleans nor whole
            numbers.
        ShapeError: in the pass: the shapes do not go together.

    Value: shape (..., m, e). A query that may look nowhere gets zeros, and so do its gradients.

    With G the upstream gradient, dV = Pᵀ G and dP = G Vᵀ; with D = P · (dP - Σ dP · P), the sum
    over the last axis, dQ = scale · D K and dK = scale · Dᵀ Q. The leading axes are batches and
    heads; where they were broadcast, gradients are summed.

    Source: A. Vaswani et al., "Attention is all you need", 2017.

    >>> import numpy as np, miniflow as mf
    >>> q, k = np.array([[0.0], [9.0]]), np.array([[-9.0], [9.0]])
    >>> v = np.array([[1.0, 0.0], [3.0, 1.0]])
    >>> mf.value(mf.ScaledDotProductAttention(q, k, v))
    array([[2. , 0.5],
           [3. , 1. ]])
    >>> mf.value(mf.ScaledDotProductAttention(q, k, v, causal=True))
    array([[1., 0.],
           [3., 1.]])
    """

    def __init__(
        self,
        q: Any,
        k: Any,
        v: Any,
        mask: Any = None,
        *,
        causal: bool = False,
        scale: float | None = None,
        name: str | None = None,
    ) -> None:
        Op.__init__(self, q, k, v, *(() if mask is None else (mask,)), name=name)
        self.causal = flag(self, "causal", causal)
        self.scale = None if scale is None else number(self, "scale", scale, least=-math.inf)

    def compute(self, q: Any, k: Any, v: Any, mask: Any = None) -> Any:
        self._check(shape_of(q), shape_of(k), shape_of(v), mask)
        q, k, v = map(promote, as_operands(q, k, v, owner=self))
        return self.weights(q, k, mask) @ v

    def gradient(self, grad: Any, q: Any, k: Any, v: Any, mask: Any = None) -> Any:
        grad, q, k, v = map(promote, as_operands(grad, q, k, v))
        weights = self.weights(q, k, mask)
        of_weights = grad @ _turned(v)
        # Not Σ G · value, which is the same but for rounding: beside 1, that is no longer small.
        along = np.sum(of_weights * weights, axis=-1, keepdims=True)
        scores = weights * (of_weights - along) * self._scale(k)
        return (
            lambda: scores @ k,
            lambda: _turned(scores) @ q,
            lambda: _turned(weights) @ grad,
            *(() if mask is None else (None,)),
        )

    def _scale(self, k: Any) -> float:
        return 1 / math.sqrt(k.shape[-1]) if self.scale is None else self.scale

    def weights(self, q: Any, k: Any, mask: Any = None) -> Any:
        """How much each query takes of each value, shape (..., m, n); rows add up to 1, or to 0."""
        scores = (q * self._scale(k)) @ _turned(k)
        m, n = scores.shape[-2:]
        is_seen = mask if mask is None or mask.dtype.kind == "b" else mask != 0
        if self.causal:
            before = np.arange(n) <= np.arange(m)[:, None] + (n - m)
            is_seen = before if mask is None else is_seen & before
        if is_seen is None:
            return softmax(scores)
        scores = where(is_seen, scores, -np.inf)
        if mask is None and m <= n:  # each query sees at least one key
            return softmax(scores)
        largest = np.max(scores, axis=-1, keepdims=True)
        with np.errstate(over="ignore"):  # -∞ is as good as what is no number of the dtype
            powers = np.exp(scores - where(largest > -np.inf, largest, 0.0))
        totals = np.sum(powers, axis=-1, keepdims=True)
        return powers / where(totals > 0, totals, 1.0)

    def _check(self, q: tuple[int, ...], k: tuple[int, ...], v: tuple[int, ...], mask: Any) -> None:
        labels = [node.label for node in self.inbound_nodes]
        for label, shape in zip(labels, (q, k, v), strict=False):
            if len(shape) < 2 or 0 in shape[-2:]:
                raise ShapeError(
                    f"{self}: {label} has shape {shape}; queries, keys and values have shape "
                    "(..., places, numbers), with one or more of both."
                )
        if q[-1] != k[-1]:
            raise ShapeError(
                f"{self}: {labels[0]} of shape {q} has queries of {q[-1]} numbers and {labels[1]} "
                f"of shape {k} keys of {k[-1]}: they are multiplied, and have equally many."
            )
        if k[-2] != v[-2]:
            raise ShapeError(
                f"{self}: {labels[1]} of shape {k} has {k[-2]} keys and {labels[2]} of shape {v} "
                f"{v[-2]} values: each value has a key."
            )
        batches = [shape[:-2] for shape in (q, k, v)]
        if mask is not None:
            self._check_mask(labels[3], mask, (q[-2], k[-2]))
            batches.append(shape_of(mask)[:-2])
        try:
            np.broadcast_shapes(*batches)
        except ValueError:
            raise ShapeError(
                f"{self}: the axes before the last two do not fit together: "
                + ", ".join(f"{b} of {a}" for a, b in zip(labels, batches, strict=True))
                + "."
            ) from None

    def _check_mask(self, label: str, mask: Any, places: tuple[int, int]) -> None:
        if getattr(mask, "dtype", np.dtype(float)).kind not in "biu":
            raise GraphError(
                f"{self}: {label} has dtype {getattr(mask, 'dtype', type(mask).__name__)}; a mask "
                "is of booleans, True where a query may look: mask > 0.5, or scores > -1e9 of one "
                "that is added to scores."
            )
        last = shape_of(mask)[-2:]
        if len(last) != 2 or any(a not in (1, b) for a, b in zip(last, places, strict=True)):
            raise ShapeError(
                f"{self}: {label} has shape {shape_of(mask)}; it has to fit {places[0]} queries "
                f"and {places[1]} keys, (..., {places[0]}, {places[1]}), of which each may be 1."
            )


def _turned(x: Any) -> Any:
    return np.swapaxes(x, -1, -2)
