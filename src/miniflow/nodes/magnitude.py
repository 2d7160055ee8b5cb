"""How large, which way, and which of two: Abs, Sign, Clip, Maximum and Minimum. Each has a kink,
and says what its gradient is there. Gradients are chosen as the values are, and never multiplied by
a mask, which would make NaN of an infinite one.
"""

import math
import operator
from typing import Any

import numpy as np

from miniflow.errors import GraphError
from miniflow.graph import Op
from miniflow.graph.checks import is_whole, number
from miniflow.graph.integers import as_operands, whole_or_floating
from miniflow.graph.operators import OPERATORS, WAYS
from miniflow.graph.values import describe, where
from miniflow.nodes.arithmetic import BROADCASTING


class Abs(Op):
    """`|x|`, or `abs(x)`, entry by entry; its derivative is the sign of x, and taken to be 0 at 0.

    Args:
        x: any shape.
        name: None by default.

    Raises:
        GraphError: an operand is neither a node nor numbers.

    >>> import numpy as np, miniflow as mf
    >>> x = mf.Input("x")
    >>> mf.value_and_grad(mf.Abs(x), {x: np.array([-2.0, 0.0, 3.0])}, [x])
    (array([2., 0., 3.]), [array([-1.,  0.,  1.])])
    """

    primitive = "absolute"

    def __init__(self, x: Any, *, name: str | None = None) -> None:
        Op.__init__(self, x, name=name)

    def compute(self, x: Any) -> Any:
        return whole_or_floating(abs, max, (x,), self)

    def gradient(self, grad: Any, x: Any) -> Any:
        return (where(x > 0, grad, where(x < 0, -grad, 0.0)),)


class Sign(Op):
    """-1 where x is negative, 0 at 0, 1 where it is positive; its gradient is zero.

    Args:
        x: any shape.
        name: None by default.

    Raises:
        GraphError: an operand is neither a node nor numbers.

    >>> import numpy as np, miniflow as mf
    >>> mf.value(mf.Sign(np.array([-2.0, 0.0, 3.0])))
    array([-1.,  0.,  1.])
    """

    primitive = "sign"

    def __init__(self, x: Any, *, name: str | None = None) -> None:
        Op.__init__(self, x, name=name)

    def compute(self, x: Any) -> Any:
        (x,) = as_operands(x, whole=True, owner=self)
        return np.sign(x)

    def gradient(self, grad: Any, x: Any) -> Any:
        return (None,)


class Clip(Op):
    """`x`, where it lies between two bounds; the nearer bound elsewhere: min(max(x, low), high).

    Args:
        x: any shape.
        low: a number; None: no bound.
        high: a number of at least `low`; None: no bound.
        name: None by default.

    The gradient is passed on where low <= x <= high, at the bounds too, and is 0 elsewhere. Whole
    numbers stay whole between whole bounds.

    Raises GraphError where `low` is larger than `high`, or a bound is no number.

    >>> import numpy as np, miniflow as mf
    >>> x = mf.Input("x")
    >>> mf.value_and_grad(mf.Clip(x, 0.0, 6.0), {x: np.array([-1.0, 0.0, 7.0])}, [x])
    (array([0., 0., 6.]), [array([0., 1., 0.])])
    """

    def __init__(
        self,
        x: Any,
        low: float | None = None,
        high: float | None = None,
        *,
        name: str | None = None,
    ) -> None:
        Op.__init__(self, x, name=name)
        self.low, self.high = _bound(self, "low", low), _bound(self, "high", high)
        if self.low is not None and self.high is not None and self.low > self.high:
            raise GraphError(f"{self}: low is {self.low}, which is more than high, {self.high}.")

    def compute(self, x: Any) -> Any:
        bounds = [bound for bound in (self.low, self.high) if bound is not None]
        x = as_operands(x, *bounds, whole=True, owner=self)[0]
        x = x if self.low is None else np.maximum(x, self.low)
        return x if self.high is None else np.minimum(x, self.high)

    def gradient(self, grad: Any, x: Any) -> Any:
        if self.low is not None:
            grad = where(x >= self.low, grad, 0.0)
        if self.high is not None:
            grad = where(x <= self.high, grad, 0.0)
        return (grad,)


class _OfTwo(Op):
    """The larger, or the smaller, of two; where they are equal, each has half the gradient."""

    expects = BROADCASTING

    def __init__(self, x: Any, y: Any, *, name: str | None = None) -> None:
        Op.__init__(self, x, y, name=name)

    def _of_first(self, grad: Any, first: Any, equal: Any) -> Any:
        return where(first, grad, where(equal, 0.5 * grad, 0.0))


class Maximum(_OfTwo):
    """The larger of x and y, entry by entry; NaN where either is.

    Args:
        x, y: shapes that broadcast.
        name: None by default.

    Raises:
        GraphError: an operand is neither a node nor numbers.
        ShapeError: in the pass: the shapes do not broadcast.

    The larger has the gradient; where both are equal, each has half of it.

    >>> import numpy as np, miniflow as mf
    >>> x, y = mf.Input("x"), mf.Input("y")
    >>> mf.value_and_grad(mf.Maximum(x, y), {x: np.array([1.0, 2.0]), y: np.array([3.0, 2.0])}, [x])
    (array([3., 2.]), [array([0. , 0.5])])
    """

    primitive = "maximum"

    def compute(self, x: Any, y: Any) -> Any:
        return np.maximum(*as_operands(x, y, whole=True, owner=self))

    def gradient(self, grad: Any, x: Any, y: Any) -> Any:
        x, y = as_operands(x, y, whole=True)
        return (
            lambda: self._of_first(grad, x > y, x == y),
            lambda: self._of_first(grad, y > x, x == y),
        )


class Minimum(_OfTwo):
    """The smaller of x and y, entry by entry; NaN where either is.

    Args:
        x, y: shapes that broadcast.
        name: None by default.

    Raises:
        GraphError: an operand is neither a node nor numbers.
        ShapeError: in the pass: the shapes do not broadcast.

    The smaller has the gradient; where both are equal, each has half of it.

    >>> import numpy as np, miniflow as mf
    >>> x, y = mf.Input("x"), mf.Input("y")
    >>> mf.value_and_grad(mf.Minimum(x, y), {x: np.array([1.0, 2.0]), y: np.array([3.0, 2.0])}, [x])
    (array([1., 2.]), [array([1. , 0.5])])
    """

    primitive = "minimum"

    def compute(self, x: Any, y: Any) -> Any:
        return np.minimum(*as_operands(x, y, whole=True, owner=self))

    def gradient(self, grad: Any, x: Any, y: Any) -> Any:
        x, y = as_operands(x, y, whole=True)
        return (
            lambda: self._of_first(grad, x < y, x == y),
            lambda: self._of_first(grad, y < x, x == y),
        )


def _bound(node: Clip, name: str, x: Any) -> float | None:
    """A bound as Python's number, whole where it is whole; None as it is."""
    if x is None:
        return None
    if is_whole(x):
        bound = operator.index(x)
        if abs(bound) >= 2**63:
            raise GraphError(f"{node}: {name} is a number of 64 bits, not {describe(x)}.")
        return bound
    return number(node, name, x, least=-math.inf)


OPERATORS["abs"] = Abs
WAYS.update(
    absolute="mf.Abs(x)",
    fabs="mf.Abs(x)",
    sign="mf.Sign(x)",
    clip="mf.Clip(x, low, high)",
    maximum="mf.Maximum(x, y), or mf.ReLU(x) for np.maximum(x, 0)",
    minimum="mf.Minimum(x, y)",
    fmax="mf.Maximum(x, y)",
    fmin="mf.Minimum(x, y)",
)
