"""`+ - * / @ ** -x abs(x) x[...] < <= > >=` on nodes: which node class an operator builds, and
which one stands for a function of NumPy's, is registered by the class's own file.
"""

import numbers
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from miniflow.errors import OperandError

if TYPE_CHECKING:
    from miniflow.graph.node import Node

OPERATORS: dict[str, Callable[..., "Node"]] = {}

WAYS: dict[str, str] = {}
"""How a function of NumPy's is written with nodes: "mean" → "mf.Mean(x)"."""


class Operators:
    """What `Node` inherits: each operator builds the node that is registered for it."""

    def __add__(self, other: Any) -> "Node":
        return OPERATORS["+"](self, other)

    def __radd__(self, other: Any) -> "Node":
        return OPERATORS["+"](other, self)

    def __sub__(self, other: Any) -> "Node":
        return OPERATORS["-"](self, other)

    def __rsub__(self, other: Any) -> "Node":
        return OPERATORS["-"](other, self)

    def __mul__(self, other: Any) -> "Node":
        return OPERATORS["*"](self, other)

    def __rmul__(self, other: Any) -> "Node":
        return OPERATORS["*"](other, self)

    def __truediv__(self, other: Any) -> "Node":
        return OPERATORS["/"](self, other)

    def __rtruediv__(self, other: Any) -> "Node":
        return OPERATORS["/"](other, self)

    def __matmul__(self, other: Any) -> "Node":
        return OPERATORS["@"](self, other)

    def __rmatmul__(self, other: Any) -> "Node":
        return OPERATORS["@"](other, self)

    def __pow__(self, other: Any) -> "Node":
        return OPERATORS["**"](self, other)

    def __rpow__(self, other: Any) -> "Node":
        return OPERATORS["**"](other, self)

    def __neg__(self) -> "Node":
        return OPERATORS["neg"](self)

    def __abs__(self) -> "Node":
        return OPERATORS["abs"](self)

    def __getitem__(self, index: Any) -> "Node":
        return OPERATORS["[]"](self, index)

    def __pos__(self) -> Any:
        return self

    def __lt__(self, other: Any) -> "Node":
        return OPERATORS["<"](self, other)

    def __le__(self, other: Any) -> "Node":
        return OPERATORS["<="](self, other)

    def __gt__(self, other: Any) -> "Node":
        return OPERATORS[">"](self, other)

    def __ge__(self, other: Any) -> "Node":
        return OPERATORS[">="](self, other)

    # Between nodes == is identity: lists of nodes and dictionaries need it to be. To be False of a
    # number, in an expression that is meant as a condition, would be a wrong number later.

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Operators):
            return self is other
        if _holds_numbers(other):
            raise self._not_compared("==", "Equal")
        return NotImplemented

    def __ne__(self, other: object) -> bool:
        if isinstance(other, Operators):
            return self is not other
        if _holds_numbers(other):
            raise self._not_compared("!=", "NotEqual")
        return NotImplemented

    __hash__ = object.__hash__

    def _not_compared(self, operator: str, node: str) -> OperandError:
        return OperandError(
            f"{self} is a node: {operator} asks Python, here and now, whether it is that number, "
            f"which no node is; the condition is mf.{node}(x, y)."
        )


def _holds_numbers(x: object) -> bool:
    """Whether it is a number, an array, a list or a table: what could stand in a condition."""
    if isinstance(x, (str, bytes)):
        return False
    return isinstance(x, (numbers.Number, list)) or hasattr(type(x), "__array__")
