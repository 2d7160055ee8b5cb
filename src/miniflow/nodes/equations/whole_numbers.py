"""Bits of whole numbers and booleans: what random numbers are made of. Their gradients are zero."""

from typing import Any

import numpy as np

from miniflow.graph import Op
from miniflow.nodes.arithmetic import BROADCASTING


class _OfBits(Op):
    """Two operands, which broadcast, of whole numbers or booleans."""

    expects = BROADCASTING

    def __init__(self, x: Any, y: Any, *, name: str | None = None) -> None:
        Op.__init__(self, x, y, name=name)

    def gradient(self, grad: Any, x: Any, y: Any) -> Any:
        return None, None


class BitwiseAnd(_OfBits):
    """The bits that are set in both, `x & y`; its gradient is zero.

    Args:
        x: whole numbers, any shape.
        y: whole numbers, a shape that broadcasts with that of x.
        name: None by default.

    Raises:
        NodeError: in the pass: an operand has no whole numbers.
        ShapeError: in the pass: the shapes do not broadcast.

    >>> import numpy as np, miniflow as mf
    >>> mf.value(mf.nodes.BitwiseAnd(np.array([6]), np.array([3])))
    array([2])
    """

    primitive = "bitwise_and"

    def compute(self, x: Any, y: Any) -> Any:
        return np.bitwise_and(x, y)


class BitwiseOr(_OfBits):
    """The bits that are set in one or both, `x | y`; its gradient is zero.

    Args:
        x: whole numbers, any shape.
        y: whole numbers, a shape that broadcasts with that of x.
        name: None by default.

    Raises:
        NodeError: in the pass: an operand has no whole numbers.
        ShapeError: in the pass: the shapes do not broadcast.

    >>> import numpy as np, miniflow as mf
    >>> mf.value(mf.nodes.BitwiseOr(np.array([6]), np.array([3])))
    array([7])
    """

    primitive = "bitwise_or"

    def compute(self, x: Any, y: Any) -> Any:
        return np.bitwise_or(x, y)


class BitwiseXor(_OfBits):
    """The bits that are set in one of the two, `x ^ y`; its gradient is zero.

    Args:
        x: whole numbers, any shape.
        y: whole numbers, a shape that broadcasts with that of x.
        name: None by default.

    Raises:
        NodeError: in the pass: an operand has no whole numbers.
        ShapeError: in the pass: the shapes do not broadcast.

    >>> import numpy as np, miniflow as mf
    >>> mf.value(mf.nodes.BitwiseXor(np.array([6]), np.array([3])))
    array([5])
    """

    primitive = "bitwise_xor"

    def compute(self, x: Any, y: Any) -> Any:
        return np.bitwise_xor(x, y)


class LeftShift(_OfBits):
    """The bits moved up by `y` places, `x << y`; its gradient is zero.

    Args:
        x: whole numbers, any shape.
        y: how far: whole numbers of at least 0, a shape that broadcasts with that of x.
        name: None by default.

    Raises:
        NodeError: in the pass: an operand has no whole numbers.
        ShapeError: in the pass: the shapes do not broadcast.

    >>> import numpy as np, miniflow as mf
    >>> mf.value(mf.nodes.LeftShift(np.array([6]), 1))
    array([12])
    """

    primitive = "left_shift"

    def compute(self, x: Any, y: Any) -> Any:
        return np.left_shift(x, y)


class RightShift(_OfBits):
    """The bits moved down by `y` places, `x >> y`; its gradient is zero.

    Args:
        x: whole numbers, any shape.
        y: how far: whole numbers of at least 0, a shape that broadcasts with that of x.
        name: None by default.

    Raises:
        NodeError: in the pass: an operand has no whole numbers.
        ShapeError: in the pass: the shapes do not broadcast.

    >>> import numpy as np, miniflow as mf
    >>> mf.value(mf.nodes.RightShift(np.array([6]), 1))
    array([3])
    """

    primitive = "right_shift"

    def compute(self, x: Any, y: Any) -> Any:
        return np.right_shift(x, y)
