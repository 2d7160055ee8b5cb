"""What a graph has to be fed, and what it learns: its inputs and its parameters, in order."""

from collections.abc import Sequence
from typing import Any, SupportsIndex

from miniflow.errors import GraphError
from miniflow.graph import Node, Parameter, State
from miniflow.graph.plans import ancestors_in_order
from miniflow.interpreter.feeding import checked_output, is_input


class NodeList(list[Any]):
    """Nodes in the order of the graph, and by their names: `nodes[0]`, `nodes["W"]`."""

    @property
    def names(self) -> list[str | None]:
        """Their names; None of a node that has none."""
        return [node.name for node in self]

    def __getitem__(self, key: SupportsIndex | slice | str) -> Any:
        if not isinstance(key, str):
            return list.__getitem__(self, key)
        found = [node for node in self if node.name == key]
        if len(found) == 1:
            return found[0]
        if found:
            raise GraphError(f"{len(found)} nodes are called {key!r}: {_told(found)}.")
        names = ", ".join(repr(name) for name in self.names if name is not None)
        raise GraphError(f"There is no node {key!r}; there are {names or 'none with a name'}.")


def parameters(node: Node | Sequence[Node]) -> NodeList:
    """The `Parameter`s that a node depends on, or several nodes, in the order of the graph.

    Args:
        node: the output, or a list of outputs.

    Returns:
        A list; `.names` are their names, and `["W"]` is the one of that name. Raises GraphError for
        a name that none has, or several.

    >>> import miniflow as mf
    >>> X, W, b = mf.Input("X"), mf.Parameter([[1.0]], "W"), mf.Parameter([0.0], "b")
    >>> found = mf.parameters(mf.Linear(X, W, b))
    >>> found, found.names, found["b"]
    ([<Parameter 'W'>, <Parameter 'b'>], ['W', 'b'], <Parameter 'b'>)
    """
    return NodeList(n for n in _order_of(node) if isinstance(n, Parameter) and n.is_trained)


def states(node: Node | Sequence[Node]) -> NodeList:
    """The `State`s that a node depends on, or several nodes, in the order of the graph. As for
    `parameters`.

    >>> import miniflow as mf
    >>> count = mf.State(0, "count")
    >>> mf.states(mf.SetState(count, count + 1)).names
    ['count']
    """
    return NodeList(n for n in _order_of(node) if isinstance(n, State))


def inputs(node: Node | Sequence[Node]) -> NodeList:
    """What has to be fed for a node's value, or for those of several nodes: its inputs that have no
    value of their own, in the order of the graph. As for `parameters`.

    Args:
        node: the output, or a list of outputs, of any shapes.

    Raises:
        GraphError: node is none.

    >>> import miniflow as mf
    >>> X, y = mf.Input("X"), mf.Input("y")
    >>> mf.inputs(mf.MSE(X * 2.0, y)).names
    ['X', 'y']
    """
    return NodeList(n for n in _order_of(node) if is_input(n))


def _order_of(node: Any) -> list[Node]:
    outputs = list(node) if isinstance(node, (list, tuple)) else [node]
    found: dict[Node, None] = {}
    for output in outputs:
        found.update(dict.fromkeys(ancestors_in_order(checked_output(output))))
    return list(found)


def _told(nodes: Sequence[Node]) -> str:
    return " and ".join(map(str, nodes))
