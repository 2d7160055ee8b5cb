"""Conditions, entry by entry: which is greater, what is equal, and, or, not. Booleans come out, for
`Where` to choose by, and to be counted (true is 1). Their gradients are zero.
"""

from functools import reduce
from typing import Any

import numpy as np

from miniflow.errors import OperandError
from miniflow.graph import Op
from miniflow.graph.operators import OPERATORS, WAYS
from miniflow.nodes.arithmetic import BROADCASTING


class _Condition(Op):
    """What the conditions share: a value of booleans, gradients of zero, and no truth before a
    pass.
    """

    expects = BROADCASTING

    def gradient(self, grad: Any, *values: Any) -> Any:
        return (None,) * len(values)

    def __bool__(self) -> bool:
        raise OperandError(
            f"{self} is a condition in a graph, true or false only in a pass, and entry by entry: "
            "choose with mf.Where(condition, x, y), which stands for `if` and for max(x, y), and "
            "combine with mf.And, mf.Or and mf.Not, which stand for `and`, `or`, `not` and "
            "0 < x < 1."
        )


class _Comparison(_Condition):
    def __init__(self, x: Any, y: Any, *, name: str | None = None) -> None:
        Op.__init__(self, x, y, name=name)


class Less(_Comparison):
    """`x < y`, entry by entry; its gradient is zero.

    Args:
        x: any shape.
        y: a shape that broadcasts with that of x.
        name: None by default.

    Raises:
        GraphError: an operand is neither a node nor numbers.
        ShapeError: in the pass: the shapes do not broadcast.

    >>> import numpy as np, miniflow as mf
    >>> x = mf.Input("x")
    >>> mf.value(x < 2.0, {x: np.array([1.0, 2.0, 3.0])})
    array([ True, False, False])
    """

    primitive = "less"

    def compute(self, x: Any, y: Any) -> Any:
        return x < y


class LessEqual(_Comparison):
    """`x <= y`, entry by entry; its gradient is zero.

    Args:
        x: any shape.
        y: a shape that broadcasts with that of x.
        name: None by default.

    Raises:
        GraphError: an operand is neither a node nor numbers.
        ShapeError: in the pass: the shapes do not broadcast.

    >>> import numpy as np, miniflow as mf
    >>> x = mf.Input("x")
    >>> mf.value(x <= 2.0, {x: np.array([1.0, 2.0, 3.0])})
    array([ True,  True, False])
    """

    primitive = "less_equal"

    def compute(self, x: Any, y: Any) -> Any:
        return x <= y


class Greater(_Comparison):
    """`x > y`, entry by entry; its gradient is zero.

    Args:
        x: any shape.
        y: a shape that broadcasts with that of x.
        name: None by default.

    Raises:
        GraphError: an operand is neither a node nor numbers.
        ShapeError: in the pass: the shapes do not broadcast.

    >>> import numpy as np, miniflow as mf
    >>> x = mf.Input("x")
    >>> mf.value_and_grad(mf.Where(x > 0, x, 0.1 * x), {x: np.array([2.0, -2.0])}, [x])
    (array([ 2. , -0.2]), [array([1. , 0.1])])
    """

    primitive = "greater"

    def compute(self, x: Any, y: Any) -> Any:
        return x > y


class GreaterEqual(_Comparison):
    """`x >= y`, entry by entry; its gradient is zero.

    Args:
        x: any shape.
        y: a shape that broadcasts with that of x.
        name: None by default.

    Raises:
        GraphError: an operand is neither a node nor numbers.
        ShapeError: in the pass: the shapes do not broadcast.

    >>> import numpy as np, miniflow as mf
    >>> x = mf.Input("x")
    >>> mf.value(x >= 2.0, {x: np.array([1.0, 2.0, 3.0])})
    array([False,  True,  True])
    """

    primitive = "greater_equal"

    def compute(self, x: Any, y: Any) -> Any:
        return x >= y


class Equal(_Comparison):
    """Where `x` and `y` are equal, entry by entry; its gradient is zero.

    Args:
        x: any shape.
        y: a shape that broadcasts with that of x.
        name: None by default.

    Raises:
        GraphError: an operand is neither a node nor numbers.
        ShapeError: in the pass: the shapes do not broadcast.

    `x == y` does not build it: between nodes that is identity, as lists and dictionaries need it.

    >>> import numpy as np, miniflow as mf
    >>> x = mf.Input("x")
    >>> mf.value(mf.Where(mf.Equal(x, 0.0), 1.0, x), {x: np.array([0.0, 5.0])})
    array([1., 5.])
    """

    primitive = "equal"

    def compute(self, x: Any, y: Any) -> Any:
        return x == y


class NotEqual(_Comparison):
    """Where `x` and `y` differ, entry by entry; its gradient is zero.

    Args:
        x: any shape.
        y: a shape that broadcasts with that of x.
        name: None by default.

    Raises:
        GraphError: an operand is neither a node nor numbers.
        ShapeError: in the pass: the shapes do not broadcast.

    >>> import numpy as np, miniflow as mf
    >>> words = mf.Input("words")
    >>> mf.value(mf.Sum(mf.NotEqual(words, 0)), {words: np.array([7, 3, 0, 0])})
    np.int64(2)
    """

    primitive = "not_equal"

    def compute(self, x: Any, y: Any) -> Any:
        return x != y


class And(_Condition):
    """Where all of its two or more operands hold, entry by entry (a number holds where it is
    not 0); its gradient is zero.

    Args:
        x: any shape.
        y: a shape that broadcasts with that of x.
        more: further operands.
        name: None by default.

    Raises:
        GraphError: an operand is neither a node nor numbers.
        ShapeError: in the pass: the shapes do not broadcast.

    >>> import numpy as np, miniflow as mf
    >>> x = mf.Input("x")
    >>> mf.value(mf.And(0 < x, x < 1), {x: np.array([-0.5, 0.5, 1.5])})
    array([False,  True, False])
    """

    primitive = "logical_and"

    def __init__(self, x: Any, y: Any, *more: Any, name: str | None = None) -> None:
        Op.__init__(self, x, y, *more, name=name)

    def compute(self, *values: Any) -> Any:
        return reduce(np.logical_and, values)


class Or(_Condition):
    """Where one or more of its two or more operands hold, entry by entry (a number holds where it
    is not 0); its gradient is zero.

    Args:
        x: any shape.
        y: a shape that broadcasts with that of x.
        more: further operands.
        name: None by default.

    Raises:
        GraphError: an operand is neither a node nor numbers.
        ShapeError: in the pass: the shapes do not broadcast.

    >>> import numpy as np, miniflow as mf
    >>> x = mf.Input("x")
    >>> mf.value(mf.Or(x < 0, x > 1), {x: np.array([-0.5, 0.5, 1.5])})
    array([ True, False,  True])
    """

    primitive = "logical_or"

    def __init__(self, x: Any, y: Any, *more: Any, name: str | None = None) -> None:
        Op.__init__(self, x, y, *more, name=name)

    def compute(self, *values: Any) -> Any:
        return reduce(np.logical_or, values)


class Not(_Condition):
    """Where `x` does not hold, entry by entry (a number holds where it is not 0); its gradient is
    zero.

    Args:
        x: any shape.
        name: None by default.

    Raises:
        GraphError: an operand is neither a node nor numbers.

    >>> import numpy as np, miniflow as mf
    >>> x = mf.Input("x")
    >>> mf.value(mf.Not(x > 1), {x: np.array([0.5, 1.5])})
    array([ True, False])
    """

    primitive = "logical_not"

    def __init__(self, x: Any, *, name: str | None = None) -> None:
        Op.__init__(self, x, name=name)

    def compute(self, x: Any) -> Any:
        return np.logical_not(x)


OPERATORS.update({"<": Less, "<=": LessEqual, ">": Greater, ">=": GreaterEqual})
WAYS.update(
    less="x < y",
    less_equal="x <= y",
    greater="x > y",
    greater_equal="x >= y",
    equal="mf.Equal(x, y)",
    not_equal="mf.NotEqual(x, y)",
    isclose="(x - y) ** 2 < 1e-12",
    logical_and="mf.And(x, y)",
    logical_or="mf.Or(x, y)",
    logical_not="mf.Not(x)",
    bitwise_and="mf.And(x, y)",
    bitwise_or="mf.Or(x, y)",
    invert="mf.Not(x)",
    logical_xor="mf.NotEqual(mf.Not(x), mf.Not(y))",
    isnan="mf.NotEqual(x, x)",
    heaviside="mf.Where(x > 0, 1.0, 0.0)",
)
