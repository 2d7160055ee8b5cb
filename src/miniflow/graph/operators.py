"""`+ - * / @ ** -x x[...]` on nodes: which node class an operator builds is registered by the
class's own file.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from miniflow.graph.node import Node

OPERATORS: dict[str, Callable[..., "Node"]] = {}


class Operators:
    """What `Node` inherits: each operator builds the node that is registered for it."""

    __array_ufunc__ = None  # array * node must call node.__rmul__, not multiply entry by entry
    __iter__ = None  # has __getitem__, yet is no sequence

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

    def __getitem__(self, index: Any) -> "Node":
        return OPERATORS["[]"](self, index)
