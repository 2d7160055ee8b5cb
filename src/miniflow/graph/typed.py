"""What type checkers are told of code that a user writes: of dictionaries whose keys are nodes, and
of methods that a class of the user's own defines with arguments of its own.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from miniflow.graph.node import Node

# Keys of a mapping are invariant: {x: 1.0, y: 2.0} is a dict[Input, float], and as such no
# Mapping[Node, Any].
FedNode = TypeVar("FedNode", bound="Node")


def overridable(method: Callable[..., Any]) -> Callable[..., Any]:
    """The method itself; to a type checker, one that subclasses may define with any arguments, as
    `forward(self)` or `compute(self, x, y)`.

    >>> overridable(len) is len
    True
    """
    return method
