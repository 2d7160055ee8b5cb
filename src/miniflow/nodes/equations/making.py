"""Arrays of another dtype, of a larger shape, and arrays that are made of little or nothing."""

import operator
from typing import Any

import numpy as np

from miniflow.errors import GraphError
from miniflow.graph import Constant, Op
from miniflow.graph.checks import dtype_of_numbers, is_whole
from miniflow.graph.values import describe
from miniflow.nodes.options import sizes


def _in_the_dtype_of(x: Any, grad: Any) -> Any:
    """A gradient for `x`, which has been cast to another dtype; None for whole numbers."""
    dtype = getattr(x, "dtype", None)
    if dtype is None:
        return grad if isinstance(x, float) else None
    return grad.astype(dtype) if dtype.kind == "f" else None


class Cast(Op):
    """The same numbers in another dtype; a whole number has no gradient.

    Args:
        x: any shape.
        dtype: any that NumPy has for real numbers.
        name: None by default.

    Raises:
        GraphError: dtype is none of real numbers.

    >>> import numpy as np, miniflow as mf
    >>> mf.value(mf.nodes.Cast(np.array([1.5, 2.0]), np.float32)).dtype
    dtype('float32')
    """

    primitive = "cast"

    def __init__(self, x: Any, dtype: Any, *, name: str | None = None) -> None:
        Op.__init__(self, x, name=name)
        self.dtype = dtype_of_numbers(self, dtype)

    def compute(self, x: Any) -> Any:
        if hasattr(x, "astype"):
            return x.astype(self.dtype)
        return np.asarray(x, self.dtype)[()]

    def gradient(self, grad: Any, x: Any) -> Any:
        return (_in_the_dtype_of(x, grad) if self.dtype.kind == "f" else None,)


class BroadcastTo(Op):
    """Repeated along new axes, and along those of length one.

    Args:
        x: a shape that broadcasts to the new one.
        shape: the new shape.
        name: None by default.

    Raises:
        GraphError: shape is no tuple of whole numbers of at least 0.
        ShapeError: in the pass: x does not broadcast to that shape.

    The gradient is summed over what was repeated.

    >>> import numpy as np, miniflow as mf
    >>> x = mf.Input()
    >>> mf.value_and_grad(mf.nodes.BroadcastTo(x, (2, 2)), {x: np.ones(2)}, [x])[1]
    [array([2., 2.])]
    """

    primitive = "broadcast_to"

    def __init__(self, x: Any, shape: tuple[int, ...], *, name: str | None = None) -> None:
        Op.__init__(self, x, name=name)
        self.shape = sizes(self, "shape", shape)
        self.expects = f"what broadcasts to {self.shape}"

    def compute(self, x: Any) -> Any:
        return np.broadcast_to(x, self.shape)

    def gradient(self, grad: Any, x: Any) -> Any:
        return (grad,)


class Full(Op):
    """An array of one number; the number's gradient is the sum of the array's.

    Args:
        value: a number.
        shape: that of the array.
        dtype: that of the array.
        name: None by default.

    Raises:
        GraphError: the shape is no tuple of whole numbers of at least 0, or dtype is none of real
            numbers.
        ShapeError: in the pass: value does not broadcast to that shape.

    >>> import numpy as np, miniflow as mf
    >>> mf.value(mf.nodes.Full(0.5, (2,), np.float32))
    array([0.5, 0.5], dtype=float32)
    """

    primitive = "full"

    def __init__(
        self, value: Any, shape: tuple[int, ...], dtype: Any, *, name: str | None = None
    ) -> None:
        Op.__init__(self, value, name=name)
        self.shape, self.dtype = sizes(self, "shape", shape), dtype_of_numbers(self, dtype)
        self.expects = f"a number, or what broadcasts to {self.shape}"

    def compute(self, value: Any) -> Any:
        return np.full(self.shape, value, self.dtype)

    def gradient(self, grad: Any, value: Any) -> Any:
        return (_in_the_dtype_of(value, grad) if self.dtype.kind == "f" else None,)


class Arange(Constant):
    """`start`, `start + step`, ... up to `stop`, which is left out.

    Args:
        start: a whole number.
        stop: a whole number.
        step: a whole number, not 0.
        dtype: that of the array.
        name: None by default.

    Raises:
        GraphError: start, stop or step is no whole number, step is 0, or dtype is none of real
            numbers.

    Its shape is (⌈(stop - start) / step⌉,); it has no gradient.

    >>> import miniflow as mf
    >>> mf.value(mf.nodes.Arange(5, 0, -2, "int64"))
    array([5, 3, 1])
    """

    primitive = "arange"

    def __init__(
        self, start: int, stop: int, step: int, dtype: Any, *, name: str | None = None
    ) -> None:
        bounds = {"start": start, "stop": stop, "step": step}
        for bound, given in bounds.items():
            if not is_whole(given) or abs(operator.index(given)) >= 2**63:
                raise GraphError(f"Arange: {bound} is a whole number, not {describe(given)}.")
        if operator.index(step) == 0:
            raise GraphError("Arange: step is 0, which would go nowhere.")
        dtype = dtype_of_numbers("Arange", dtype)
        try:
            numbers = np.arange(start, stop, step).astype(dtype)
        except (MemoryError, ValueError, OverflowError) as error:
            raise GraphError(
                f"Arange: from {start} to {stop} by {step} are more numbers than memory holds."
            ) from error
        Constant.__init__(self, numbers, name)
