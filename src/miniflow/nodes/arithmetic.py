"""Arithmetic on numbers and arrays, entry by entry, broadcasting as NumPy does: `+ - * / ** -x`,
exp, log, sqrt.
"""

import math
import operator
from functools import partial, reduce
from typing import Any

import numpy as np

from miniflow.errors import GraphError
from miniflow.graph import Constant, Op
from miniflow.graph.integers import any_whole, as_operands, known_value, whole_or_floating
from miniflow.graph.operators import OPERATORS, WAYS
from miniflow.graph.values import promote, where

BROADCASTING = (
    "shapes that broadcast: from the last axis on, two sizes are equal or one of them is 1"
)


class _OfSeveral(Op):
    """What `Add` and `Mul` have in common: one operand or more."""

    expects = BROADCASTING

    def __init__(self, *operands: Any, name: str | None = None) -> None:
        # The lab's own classes take the name as their last argument, Mul(x, y, "g"); whereas
        # x + "g" is a mistake.
        if len(operands) > 2 and isinstance(operands[-1], str) and name is None:
            *operands, name = operands  # type: ignore[assignment]
        if not operands:
            kind = type(self).__name__
            raise GraphError(f"{kind} takes one operand or more: {kind}(x, y, z).")
        Op.__init__(self, *operands, name=name)


class Add(_OfSeveral):
    """`x + y + ...`, of one operand or more; each has the upstream gradient for its own.

    Args:
        operands: one or more, of shapes that broadcast.
        name: None by default.

    Raises:
        GraphError: there is no operand, or one is neither a node nor numbers.
        ShapeError: in the pass: the shapes do not broadcast.

    >>> import miniflow as mf
    >>> x, y, z = mf.Input(), mf.Input(), mf.Input()
    >>> mf.value_and_grad(mf.Add(x, y), {x: 2.0, y: 3.0}, [x, y])
    (5.0, [1.0, 1.0])
    >>> mf.value(mf.Add(x, y, z, name="total"), {x: 2.0, y: 3.0, z: 4.0})
    9.0
    """

    primitive = "add"
    linear_in = "all"

    def compute(self, *values: Any) -> Any:
        if any_whole(values):
            return whole_or_floating(_sum, _bits_of_sum, values, self)
        return reduce(operator.add, values)

    def gradient(self, grad: Any, *values: Any) -> Any:
        return (grad,) * len(values)


class Sub(Op):
    """`x - y`.

    Args:
        x: any shape.
        y: a shape that broadcasts with that of x.
        name: None by default.

    Raises:
        GraphError: an operand is neither a node nor numbers.
        ShapeError: in the pass: the shapes do not broadcast.

    With the upstream gradient G, dx = G and dy = -G.

    >>> import miniflow as mf
    >>> x, y = mf.Input(), mf.Input()
    >>> mf.value_and_grad(mf.Sub(x, y), {x: 2.0, y: 3.0}, [x, y])
    (-1.0, [1.0, -1.0])
    """

    primitive = "subtract"
    expects = BROADCASTING
    linear_in = "all"

    def __init__(self, x: Any, y: Any, *, name: str | None = None) -> None:
        Op.__init__(self, x, y, name=name)

    def compute(self, x: Any, y: Any) -> Any:
        return whole_or_floating(operator.sub, _bits_of_sum, (x, y), self)

    def gradient(self, grad: Any, x: Any, y: Any) -> Any:
        return grad, lambda: -grad


class Mul(_OfSeveral):
    """`x * y * ...`, entry by entry, of one operand or more; the gradient with respect to one is
    the upstream gradient times all the others.

    Args:
        operands: one or more, of shapes that broadcast.
        name: None by default.

    Raises:
        GraphError: there is no operand, or one is neither a node nor numbers.
        ShapeError: in the pass: the shapes do not broadcast.

    >>> import miniflow as mf
    >>> x, y, z = mf.Input(), mf.Input(), mf.Input()
    >>> mf.value_and_grad(mf.Mul(x, y), {x: 2.0, y: 3.0}, [x, y])
    (6.0, [3.0, 2.0])
    >>> mf.value_and_grad(mf.Mul(x, y, z), {x: 2.0, y: 3.0, z: 4.0}, [x, y, z])
    (24.0, [12.0, 8.0, 6.0])
    """

    primitive = "multiply"
    linear_in = "one"

    def compute(self, *values: Any) -> Any:
        if any_whole(values):
            return whole_or_floating(_product, sum, values, self)
        return reduce(operator.mul, values)

    def gradient(self, grad: Any, *values: Any) -> Any:
        if any_whole(values):
            grad, *values = as_operands(grad, *values)  # type: ignore[assignment]

        if len(values) == 2:  # nearly always, and at many nodes of every pass
            x, y = values
            return lambda: grad * y, lambda: grad * x

        def with_respect_to(one: int) -> Any:
            product = grad
            for i, value in enumerate(values):
                if i != one:
                    product = product * value
            return product

        return tuple(partial(with_respect_to, one) for one in range(len(values)))


class Div(Op):
    """`x / y`, entry by entry.

    Args:
        x: any shape.
        y: a shape that broadcasts with that of x.
        name: None by default.

    Raises:
        GraphError: an operand is neither a node nor numbers.
        ShapeError: in the pass: the shapes do not broadcast.

    With the upstream gradient G, dx = G / y and dy = -G x / y².

    >>> import miniflow as mf
    >>> x, y = mf.Input(), mf.Input()
    >>> mf.value_and_grad(mf.Div(x, y), {x: 3.0, y: 2.0}, [x, y])
    (1.5, [0.5, -0.75])
    """

    primitive = "divide"
    expects = BROADCASTING
    linear_in = "one"

    def __init__(self, x: Any, y: Any, *, name: str | None = None) -> None:
        Op.__init__(self, x, y, name=name)

    def compute(self, x: Any, y: Any) -> Any:
        if any_whole((x, y)):
            x, y = as_operands(x, y, owner=self)
        return x / y

    def gradient(self, grad: Any, x: Any, y: Any) -> Any:
        grad, y = as_operands(grad, y)
        return lambda: grad / y, lambda: -(grad / y) * self.value


class Neg(Op):
    """`-x`.

    Args:
        x: any shape.
        name: None by default.

    Raises:
        GraphError: an operand is neither a node nor numbers.

    Its derivative is -1.

    >>> import miniflow as mf
    >>> x = mf.Input()
    >>> mf.value_and_grad(mf.Neg(x), {x: 2.0}, [x])
    (-2.0, [-1.0])
    """

    primitive = "negative"
    linear_in = "all"

    def __init__(self, x: Any, *, name: str | None = None) -> None:
        Op.__init__(self, x, name=name)

    def compute(self, x: Any) -> Any:
        return whole_or_floating(operator.neg, max, (x,), self)

    def gradient(self, grad: Any, x: Any) -> Any:
        return (-grad,)


class Pow(Op):
    """`x ** y`, entry by entry; the gradient with respect to `y` is x^y · log x, and 0 where x is
    not positive.

    Args:
        x: any shape.
        y: a shape that broadcasts with that of x.
        name: None by default.

    Raises:
        GraphError: an operand is neither a node nor numbers; in the pass: a negative number to the
            power of a fraction.
        ShapeError: in the pass: the shapes do not broadcast.

    >>> import miniflow as mf
    >>> x = mf.Input()
    >>> mf.value_and_grad(mf.Pow(x, 3), {x: 2.0}, [x])
    (8.0, [12.0])
    """

    primitive = "power"
    expects = BROADCASTING

    def __init__(self, x: Any, y: Any, *, name: str | None = None) -> None:
        Op.__init__(self, x, y, name=name)

    def validate(self, x: Any, y: Any) -> None:
        if type(x) in (int, float) and x < 0 and type(y) is float and isinstance(x**y, complex):
            base, exponent = (node.label for node in self.inbound_nodes)
            raise GraphError(
                f"{self}: {base} is {x} and {exponent} is {y}: that power of a negative number is "
                "no real number."
            )

    def compute(self, x: Any, y: Any) -> Any:
        if _has_negative(y):
            x, y = as_operands(x, y)
            return x**y
        return whole_or_floating(
            operator.pow,
            lambda bits: bits[0] * y if type(y) is int else math.inf,
            (x, y),
            self,
        )

    def type_hangs_on_numbers(self) -> str:
        base, exponent = self.inbound_nodes
        x, y = base.value, exponent.value
        are_whole = all(
            type(v) is not float and getattr(v, "dtype", _INT).kind != "f" for v in (x, y)
        )
        if isinstance(exponent, Constant) or not are_whole:
            return ""
        if type(x) is type(y) is int or _has_negative(y):
            return (
                f"{exponent.label} is a whole number that may be negative or not, which makes a "
                "float or a whole number of the power, and a program knows its dtypes beforehand: "
                "feed it as a float, y.astype(float)"
            )
        return ""

    def gradient(self, grad: Any, x: Any, y: Any) -> Any:
        grad, x, y = as_operands(grad, x, y)
        # Where y is 0 the derivative is 0: x**0 there, since x**-1 would make 0 · ∞ of it at x = 0.
        exponent = y - 1 + (y == 0)

        def dy() -> Any:
            power, base = where(x > 0, self.value, 0.0), where(x > 0, promote(x), 1.0)
            return where(x > 0, grad * power * np.log(base), 0.0)

        return lambda: grad * y * promote(x) ** exponent, dy


class Exp(Op):
    """`e ** x`.

    Args:
        x: any shape.
        name: None by default.

    Raises:
        GraphError: an operand is neither a node nor numbers.

    Its derivative is its value.

    >>> import miniflow as mf
    >>> mf.value(mf.Exp(0.0))
    np.float64(1.0)
    """

    primitive = "exp"

    def __init__(self, x: Any, *, name: str | None = None) -> None:
        Op.__init__(self, x, name=name)

    def compute(self, x: Any) -> Any:
        return np.exp(promote(x))

    def gradient(self, grad: Any, x: Any) -> Any:
        return (grad * self.value,)


class Log(Op):
    """The natural logarithm of `x`.

    Args:
        x: any shape.
        name: None by default.

    Raises:
        GraphError: an operand is neither a node nor numbers.

    Its derivative is 1 / x. Of 0 it is -∞, and of what is negative NaN.

    >>> import miniflow as mf
    >>> x = mf.Input()
    >>> mf.value_and_grad(mf.Log(x), {x: 1.0}, [x])
    (np.float64(0.0), [np.float64(1.0)])
    """

    primitive = "log"

    def __init__(self, x: Any, *, name: str | None = None) -> None:
        Op.__init__(self, x, name=name)

    def compute(self, x: Any) -> Any:
        return np.log(promote(x))

    def gradient(self, grad: Any, x: Any) -> Any:
        return (grad / x,)


class Sqrt(Op):
    """The square root of `x`; at 0 its slope is infinite, below it there is none: see `Where`.

    Args:
        x: any shape.
        name: None by default.

    Raises:
        GraphError: an operand is neither a node nor numbers.

    With s the value, its derivative is 1 / 2s.

    >>> import miniflow as mf
    >>> mf.value(mf.Sqrt(9.0))
    np.float64(3.0)
    """

    primitive = "sqrt"

    def __init__(self, x: Any, *, name: str | None = None) -> None:
        Op.__init__(self, x, name=name)

    def compute(self, x: Any) -> Any:
        return np.sqrt(promote(x))

    def gradient(self, grad: Any, x: Any) -> Any:
        return (0.5 * grad / self.value,)


def _sum(*values: Any) -> Any:
    return reduce(operator.add, values)


def _product(*values: Any) -> Any:
    return reduce(operator.mul, values)


def _bits_of_sum(bits: list[float]) -> float:
    return max(bits) + math.log2(len(bits))


_INT = np.dtype(np.int64)


def _has_negative(exponent: Any) -> bool:
    """Whether an exponent of whole numbers is known to have a negative one."""
    exponent = known_value(exponent)
    if type(exponent) is int:
        return exponent < 0
    return getattr(exponent, "dtype", np.dtype(float)).kind == "i" and bool(np.any(exponent < 0))


OPERATORS.update({"+": Add, "-": Sub, "*": Mul, "/": Div, "**": Pow, "neg": Neg})
WAYS.update(
    add="x + y",
    subtract="x - y",
    multiply="x * y",
    divide="x / y",
    power="x ** y",
    float_power="x ** y",
    negative="-x",
    square="x ** 2",
    reciprocal="1 / x",
    exp="mf.Exp(x)",
    expm1="mf.Exp(x) - 1",
    exp2="2.0 ** x",
    log="mf.Log(x)",
    log1p="mf.Log(1 + x)",
    log2="mf.Log(x) / math.log(2)",
    log10="mf.Log(x) / math.log(10)",
    sqrt="mf.Sqrt(x)",
)
