"""Functions of one entry or two: rounding, quotients without remainder and remainders, and some
that are exact where the formula is not.
"""

from typing import Any

import numpy as np

from miniflow.graph import Op
from miniflow.graph.values import promote, where
from miniflow.nodes.arithmetic import BROADCASTING


class _Unary(Op):
    """One operand."""

    def __init__(self, x: Any, *, name: str | None = None) -> None:
        Op.__init__(self, x, name=name)


class _Binary(Op):
    """Two operands, which broadcast."""

    expects = BROADCASTING

    def __init__(self, x: Any, y: Any, *, name: str | None = None) -> None:
        Op.__init__(self, x, y, name=name)


class _Steps(_Unary):
    """A value that is the same nearly everywhere near by: its gradient is zero."""

    def gradient(self, grad: Any, x: Any) -> Any:
        return (None,)


class Floor(_Steps):
    """The largest whole number that is not greater than `x`; its gradient is zero.

    Args:
        x: any shape.
        name: None by default.

    Raises:
        GraphError: an operand is neither a node nor numbers.

    >>> import numpy as np, miniflow as mf
    >>> mf.value(mf.nodes.Floor(np.array([1.5, -1.5])))
    array([ 1., -2.])
    """

    primitive = "floor"

    def compute(self, x: Any) -> Any:
        return np.floor(x)


class Ceil(_Steps):
    """The smallest whole number that is not less than `x`; its gradient is zero.

    Args:
        x: any shape.
        name: None by default.

    Raises:
        GraphError: an operand is neither a node nor numbers.

    >>> import numpy as np, miniflow as mf
    >>> mf.value(mf.nodes.Ceil(np.array([1.5, -1.5])))
    array([ 2., -1.])
    """

    primitive = "ceil"

    def compute(self, x: Any) -> Any:
        return np.ceil(x)


class Round(_Steps):
    """The whole number nearest to `x`, the even one of two; its gradient is zero.

    Args:
        x: any shape.
        name: None by default.

    Raises:
        GraphError: an operand is neither a node nor numbers.

    >>> import numpy as np, miniflow as mf
    >>> mf.value(mf.nodes.Round(np.array([1.4, 2.5])))
    array([1., 2.])
    """

    primitive = "rint"

    def compute(self, x: Any) -> Any:
        return np.rint(x)


class IsNaN(_Steps):
    """Where `x` is no number; its gradient is zero.

    Args:
        x: any shape.
        name: None by default.

    Raises:
        GraphError: an operand is neither a node nor numbers.

    >>> import numpy as np, miniflow as mf
    >>> mf.value(mf.nodes.IsNaN(np.array([1.0, np.nan])))
    array([False,  True])
    """

    primitive = "isnan"

    def compute(self, x: Any) -> Any:
        return np.isnan(x)


class IsFinite(_Steps):
    """Where `x` is a number, and not infinite; its gradient is zero.

    Args:
        x: any shape.
        name: None by default.

    Raises:
        GraphError: an operand is neither a node nor numbers.

    >>> import numpy as np, miniflow as mf
    >>> mf.value(mf.nodes.IsFinite(np.array([1.0, np.inf])))
    array([ True, False])
    """

    primitive = "isfinite"

    def compute(self, x: Any) -> Any:
        return np.isfinite(x)


class FloorDivide(_Binary):
    """`x // y`, the largest whole number that is not greater than the quotient; its gradient is
    zero.

    Args:
        x: any shape.
        y: a shape that broadcasts with that of x.
        name: None by default.

    Raises:
        GraphError: an operand is neither a node nor numbers.
        ShapeError: in the pass: the shapes do not broadcast.

    >>> import numpy as np, miniflow as mf
    >>> mf.value(mf.nodes.FloorDivide(np.array([7.0, -7.0]), 2.0))
    array([ 3., -4.])
    """

    primitive = "floor_divide"

    def compute(self, x: Any, y: Any) -> Any:
        return x // y

    def gradient(self, grad: Any, x: Any, y: Any) -> Any:
        return None, None


class Remainder(_Binary):
    """`x % y = x - y · (x // y)`, of the sign of `y`.

    Args:
        x: any shape.
        y: a shape that broadcasts with that of x.
        name: None by default.

    Raises:
        GraphError: an operand is neither a node nor numbers.
        ShapeError: in the pass: the shapes do not broadcast.

    Its derivative is 1 for x, and -(x // y) for y.

    >>> import miniflow as mf
    >>> x, y = mf.Input(), mf.Input()
    >>> mf.value_and_grad(mf.nodes.Remainder(x, y), {x: 7.5, y: 2.0}, [x, y])
    (1.5, [1.0, -3.0])
    """

    primitive = "remainder"

    def compute(self, x: Any, y: Any) -> Any:
        return x % y

    def gradient(self, grad: Any, x: Any, y: Any) -> Any:
        return grad, lambda: -grad * (x // y)


class Hypot(_Binary):
    """`√(x² + y²)`, which does not overflow on the way; at 0 its gradient is 0.

    Args:
        x: any shape.
        y: a shape that broadcasts with that of x.
        name: None by default.

    Raises:
        GraphError: an operand is neither a node nor numbers.
        ShapeError: in the pass: the shapes do not broadcast.

    With h the value, its derivative is x / h for x, and y / h for y.

    >>> import miniflow as mf
    >>> x, y = mf.Input(), mf.Input()
    >>> mf.value_and_grad(mf.nodes.Hypot(x, y), {x: 3.0, y: 4.0}, [x])
    (np.float64(5.0), [np.float64(0.6)])
    """

    primitive = "hypot"

    def compute(self, x: Any, y: Any) -> Any:
        return np.hypot(x, y)

    def gradient(self, grad: Any, x: Any, y: Any) -> Any:
        length = where(self.value > 0, self.value, 1.0)
        return lambda: grad * (x / length), lambda: grad * (y / length)


class Expm1(_Unary):
    """`e ** x - 1`, exact where `x` is small.

    Args:
        x: any shape.
        name: None by default.

    Raises:
        GraphError: an operand is neither a node nor numbers.

    Its derivative is e ** x.

    >>> import miniflow as mf
    >>> mf.value(mf.nodes.Expm1(1e-20))
    np.float64(1e-20)
    """

    primitive = "expm1"

    def compute(self, x: Any) -> Any:
        return np.expm1(x)

    def gradient(self, grad: Any, x: Any) -> Any:
        return (grad * (self.value + 1.0),)


class Log1p(_Unary):
    """`log(1 + x)`, exact where `x` is small.

    Args:
        x: any shape.
        name: None by default.

    Raises:
        GraphError: an operand is neither a node nor numbers.

    Its derivative is 1 / (1 + x).

    >>> import miniflow as mf
    >>> mf.value(mf.nodes.Log1p(1e-20))
    np.float64(1e-20)
    """

    primitive = "log1p"

    def compute(self, x: Any) -> Any:
        return np.log1p(x)

    def gradient(self, grad: Any, x: Any) -> Any:
        return (grad / (promote(x) + 1.0),)


class ArcTan(_Unary):
    """The angle whose tangent is `x`.

    Args:
        x: any shape.
        name: None by default.

    Raises:
        GraphError: an operand is neither a node nor numbers.

    Its derivative is 1 / (1 + x²).

    >>> import miniflow as mf
    >>> x = mf.Input()
    >>> mf.value_and_grad(mf.nodes.ArcTan(x), {x: 0.0}, [x])
    (np.float64(0.0), [np.float64(1.0)])
    """

    primitive = "arctan"

    def compute(self, x: Any) -> Any:
        return np.arctan(x)

    def gradient(self, grad: Any, x: Any) -> Any:
        x = promote(x)
        return (grad / (x * x + 1.0),)
