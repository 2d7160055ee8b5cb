"""Sines and cosines: for waves, and for the places in a sequence."""

from typing import Any

import numpy as np

from miniflow.graph import Op
from miniflow.graph.operators import WAYS
from miniflow.graph.values import promote


class Sin(Op):
    """The sine of x, in radians, entry by entry; its derivative is cos x.

    Args:
        x: any shape.
        name: None by default.

    Raises:
        GraphError: an operand is neither a node nor numbers.

    >>> import numpy as np, miniflow as mf
    >>> mf.value(mf.Sin(np.array([0.0, np.pi / 2])))
    array([0., 1.])
    """

    primitive = "sin"

    def __init__(self, x: Any, *, name: str | None = None) -> None:
        Op.__init__(self, x, name=name)

    def compute(self, x: Any) -> Any:
        return np.sin(promote(x))

    def gradient(self, grad: Any, x: Any) -> Any:
        return (grad * np.cos(promote(x)),)


class Cos(Op):
    """The cosine of x, in radians, entry by entry; its derivative is -sin x.

    Args:
        x: any shape.
        name: None by default.

    Raises:
        GraphError: an operand is neither a node nor numbers.

    >>> import numpy as np, miniflow as mf
    >>> mf.value(mf.Cos(np.array([0.0, np.pi])))
    array([ 1., -1.])
    """

    primitive = "cos"

    def __init__(self, x: Any, *, name: str | None = None) -> None:
        Op.__init__(self, x, name=name)

    def compute(self, x: Any) -> Any:
        return np.cos(promote(x))

    def gradient(self, grad: Any, x: Any) -> Any:
        return (-grad * np.sin(promote(x)),)


WAYS.update(sin="mf.Sin(x)", cos="mf.Cos(x)", tan="mf.Sin(x) / mf.Cos(x)")
