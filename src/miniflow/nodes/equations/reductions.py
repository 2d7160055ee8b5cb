"""Reductions that few graphs need, and the product that adds: what programs have besides."""

from typing import Any

import numpy as np

from miniflow.graph import Op
from miniflow.nodes.options import one_axis
from miniflow.nodes.reduction import Max, Reduction


class Min(Max):
    """The smallest entry; where several are equal, they share its gradient.

    Args:
        x: any shape.
        axis: an axis, a tuple of axes, or None for all of them (default).
        keepdims: whether the reduced axes stay, with size 1; False by default.
        name: None by default.

    Raises:
        GraphError: axis is no whole number, no tuple of them and not None, or names an axis twice;
            keepdims is not True or False.
        ShapeError: in the pass: x has no such axis, or nothing along it.

    >>> import numpy as np, miniflow as mf
    >>> x = mf.Input()
    >>> mf.value_and_grad(mf.nodes.Min(x), {x: np.array([1.0, 1.0, 3.0])}, [x])
    (np.float64(1.0), [array([0.5, 0.5, 0. ])])
    """

    primitive = "min"

    def compute(self, x: Any) -> Any:
        return np.min(x, axis=self._axes(x), keepdims=self.keepdims)


class _Told(Reduction):
    """A reduction that says something about the entries: its gradient is zero."""

    def gradient(self, grad: Any, x: Any) -> Any:
        return (None,)


class AnyTrue(_Told):
    """Whether an entry is true, or not 0; its gradient is zero.

    Args:
        x: any shape.
        axis: an axis, a tuple of axes, or None for all of them (default).
        keepdims: whether the reduced axes stay, with size 1; False by default.
        name: None by default.

    Raises:
        GraphError: axis is no whole number, no tuple of them and not None, or names an axis twice;
            keepdims is not True or False.
        ShapeError: in the pass: x has no such axis.

    >>> import numpy as np, miniflow as mf
    >>> mf.value(mf.nodes.AnyTrue(np.array([False, True])))
    np.True_
    """

    primitive = "any"

    def compute(self, x: Any) -> Any:
        return np.any(x, axis=self._axes(x), keepdims=self.keepdims)


class AllTrue(_Told):
    """Whether all entries are true, or not 0; its gradient is zero.

    Args:
        x: any shape.
        axis: an axis, a tuple of axes, or None for all of them (default).
        keepdims: whether the reduced axes stay, with size 1; False by default.
        name: None by default.

    Raises:
        GraphError: axis is no whole number, no tuple of them and not None, or names an axis twice;
            keepdims is not True or False.
        ShapeError: in the pass: x has no such axis.

    >>> import numpy as np, miniflow as mf
    >>> mf.value(mf.nodes.AllTrue(np.array([False, True])))
    np.False_
    """

    primitive = "all"

    def compute(self, x: Any) -> Any:
        return np.all(x, axis=self._axes(x), keepdims=self.keepdims)


class _PlaceOfExtreme(_Told):
    """Where an entry is: along an axis, or among all."""

    def __init__(
        self, x: Any, axis: int | None = None, *, keepdims: bool = False, name: str | None = None
    ) -> None:
        _Told.__init__(self, x, axis, keepdims=keepdims, name=name)
        if self.axis is not None:
            self.axis = one_axis(self, axis)


class ArgMax(_PlaceOfExtreme):
    """Where the largest entry is, along an axis: the first of several; its gradient is zero.

    Args:
        x: any shape.
        axis: an axis, or None (default): the place among all entries, in C order.
        keepdims: whether the reduced axes stay, with size 1; False by default.
        name: None by default.

    Raises:
        GraphError: axis is no whole number and not None; keepdims is not True or False.
        ShapeError: in the pass: x has no such axis, or nothing along it.

    >>> import numpy as np, miniflow as mf
    >>> mf.value(mf.nodes.ArgMax(np.array([1.0, 3.0, 3.0]), axis=0))
    np.int64(1)
    """

    primitive = "argmax"

    def compute(self, x: Any) -> Any:
        return np.argmax(x, axis=self._axes(x), keepdims=self.keepdims)  # type: ignore[arg-type]


class ArgMin(_PlaceOfExtreme):
    """Where the smallest entry is, along an axis: the first of several; its gradient is zero.

    Args:
        x: any shape.
        axis: an axis, or None (default): the place among all entries, in C order.
        keepdims: whether the reduced axes stay, with size 1; False by default.
        name: None by default.

    Raises:
        GraphError: axis is no whole number and not None; keepdims is not True or False.
        ShapeError: in the pass: x has no such axis, or nothing along it.

    >>> import numpy as np, miniflow as mf
    >>> mf.value(mf.nodes.ArgMin(np.array([3.0, 1.0, 1.0]), axis=0))
    np.int64(1)
    """

    primitive = "argmin"

    def compute(self, x: Any) -> Any:
        return np.argmin(x, axis=self._axes(x), keepdims=self.keepdims)  # type: ignore[arg-type]


class Gemm(Op):
    """`beta · c + alpha · (a @ b)`, of matrices (m, n), (m, k) and (k, n), and two numbers.

    Args:
        c: shape (m, n), or one that broadcasts to it.
        a: shape (m, k).
        b: shape (k, n).
        alpha: a number.
        beta: a number.
        name: None by default.

    Raises:
        ShapeError: in the pass: the sizes k differ, or c does not fit.

    With the upstream gradient G: dc = beta G, da = alpha G bᵀ, db = alpha aᵀ G.

    >>> import numpy as np, miniflow as mf
    >>> mf.value(mf.nodes.Gemm(np.ones((1, 1)), np.ones((1, 3)), np.ones((3, 1)), 2.0, 1.0))
    array([[7.]])
    """

    primitive = "gemm"
    expects = "c of shape (m, n), a of (m, k), b of (k, n), and two numbers"

    def __init__(
        self, c: Any, a: Any, b: Any, alpha: Any, beta: Any, *, name: str | None = None
    ) -> None:
        Op.__init__(self, c, a, b, alpha, beta, name=name)

    def compute(self, c: Any, a: Any, b: Any, alpha: Any, beta: Any) -> Any:
        return c * beta + (a @ b) * alpha

    def gradient(self, grad: Any, c: Any, a: Any, b: Any, alpha: Any, beta: Any) -> Any:
        return (
            lambda: grad * beta,
            lambda: (grad @ b.T) * alpha,
            lambda: (a.T @ grad) * alpha,
            lambda: np.sum(grad * (a @ b)),
            lambda: np.sum(grad * c),
        )
