"""What a value is used for without being learned from: nothing flows back through it."""

from typing import Any

from miniflow.graph import Op


class StopGradient(Op):
    """Passes its value through, and no gradient back: what is above it counts as a constant.

        forward:  x        backward:  0

    What leads to the output through it alone is not gone through in the backward pass; a gradient
    with respect to such a node is zeros. It is the way to a target that is computed and not to be
    moved, as of a frozen teacher, or of contrastive learning.

    Args:
        x: any shape.
        name: None by default.

    Raises:
        GraphError: an operand is neither a node nor numbers.

    >>> import miniflow as mf
    >>> x = mf.Input("x")
    >>> mf.value_and_grad(x * mf.StopGradient(x), {x: 3.0}, [x])
    (9.0, [3.0])
    """

    stops_gradient = True
    linear_in = "all"

    def __init__(self, x: Any, *, name: str | None = None) -> None:
        Op.__init__(self, x, name=name)

    def compute(self, x: Any) -> Any:
        return x

    def gradient(self, grad: Any, x: Any) -> Any:
        return (None,)
