"""Embedding: a row of numbers, to be learned, for each of a vocabulary of whole numbers."""

from typing import Any

import numpy as np

from miniflow.errors import GraphError, ShapeError
from miniflow.graph import Op
from miniflow.graph.values import shape_of
from miniflow.nodes.shape import added_up


class Embedding(Op):
    """`Z = W[x]`: for each whole number in x the row of W that it names.

    Args:
        x: integers in [0, k), any shape: words, letters, categories.
        W: shape (k, d): a row of d numbers for each.
        name: None by default.

    The value has shape `x.shape + (d,)`. A row of W that is named several times gets the sum of its
    gradients, one that is not named a gradient of 0. A compiled step of `SGD` without momentum,
    weight decay and bounds on the gradient therefore touches the rows that were named, where these
    are at most half as many as W has; the bits are those of an update of all. Other optimizers move
    every row at each step: what they remember of a row goes on when its gradient is 0.

    Raises ShapeError where W is no matrix or x has no integers, GraphError where one of them is not
    in [0, k).

    Source: Y. Bengio et al., "A neural probabilistic language model", 2003.

    >>> import numpy as np, miniflow as mf
    >>> x, W = mf.Input("x"), mf.Parameter([[1.0, 2.0], [3.0, 4.0]], "W")
    >>> mf.value_and_grad(mf.Embedding(x, W), {x: np.array([1, 1])}, [W])
    (array([[3., 4.],
           [3., 4.]]), [array([[0., 0.],
           [2., 2.]])])
    """

    validates_shape_of = 1

    def __init__(self, x: Any, W: Any, *, name: str | None = None) -> None:
        Op.__init__(self, x, W, name=name)

    def validate(self, x: Any, W: Any) -> None:
        x_label, w_label = (node.label for node in self.inbound_nodes)
        if len(shape_of(W)) != 2:
            raise ShapeError(
                f"{self}: {w_label} has shape {shape_of(W)}; it must have shape (k, d): a row for "
                "each whole number below k."
            )
        rows, x = shape_of(W)[0], np.asarray(x)
        if x.dtype.kind not in "iu":
            raise ShapeError(
                f"{self}: {x_label} has dtype {x.dtype}; it takes integers: x.astype(int)."
            )
        if x.size and not 0 <= x.min() <= x.max() < rows:
            raise GraphError(
                f"{self}: {x_label} runs from {x.min()} to {x.max()}; {w_label} of shape "
                f"{shape_of(W)} has the rows 0 to {rows - 1}."
            )

    def compute(self, x: Any, W: Any) -> Any:
        return W[x]

    def gradient(self, grad: Any, x: Any, W: Any) -> Any:
        return None, lambda: added_up(W, x, grad)
