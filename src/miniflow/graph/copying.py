"""Copies of nodes and of whole graphs: `copy`, `deepcopy` and `pickle`.

A graph refers to itself node by node; followed as it is, ten thousand layers are ten thousand calls
within one another. So a node that is copied announces its ancestors and itself, in a list in which
each comes after its inbound nodes: when it is one's turn, what it refers to has been copied
already; and the copy of the node is the last of them. Consumers are held weakly and are no part of
a node: a copy knows the consumers that were copied with it. And where a node was built is written
down as text.
"""

import threading
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from miniflow.graph.plans import ancestors_in_order
from miniflow.residence import look_at

if TYPE_CHECKING:
    from miniflow.graph.node import Node

_FOUND_AGAIN = ("_consumers", "_consumers_limit", "_plan")  # by whoever has the inbound nodes


class Copied:
    """What `Node` inherits: how it is copied and stored. A class that keeps what cannot be stored
    (an open file) defines `__getstate__` and `__setstate__`, and calls these.
    """

    def __reduce_ex__(self, protocol: Any) -> Any:
        node: Any = self
        class_: Any = type(node)
        if class_.__reduce__ is not object.__reduce__:
            return node.__reduce__()
        if node.inbound_nodes and not _turn.is_of(node):
            return _last, ([_Entry(n) for n in ancestors_in_order(node)],)
        return _without_state, (class_,), node.__getstate__()

    def __getstate__(self) -> Any:
        state: Any = object.__getstate__(self)
        own, slots = state if isinstance(state, tuple) else (state, None)
        own = {name: value for name, value in own.items() if name not in _FOUND_AGAIN}
        own["_built_at"] = self.where  # type: ignore[attr-defined]
        look_at(own.get("_array"))  # what lies on a device comes home
        return own if slots is None else (own, slots)

    def __setstate__(self, state: Any) -> None:
        node: Any = self
        own, slots = state if isinstance(state, tuple) else (state, {})
        node.__dict__.update(own)
        for name, value in slots.items():
            setattr(node, name, value)
        node._plan, node._consumers_limit = None, 16
        node.__dict__.setdefault("_consumers", {})  # a copy that refers to this one may be there
        me = weakref.ref(node)
        for source in node.inbound_nodes:
            source.__dict__.setdefault("_consumers", {})[me] = None

    def __copy__(self) -> Any:
        """Another node of the same inbound nodes, with lists, dictionaries and, if it is a
        `Parameter`, an array of its own.
        """
        node: Any = self
        state = node.__getstate__()
        own = state[0] if isinstance(state, tuple) else state
        for name in ("inbound_nodes", "cache", "gradients", "_array"):
            if own.get(name) is not None:
                own[name] = own[name].copy()
        other = _without_state(type(node))
        other.__setstate__(state)
        return other


class _Turn(threading.local):
    """Whose turn it is in an announcement."""

    def __init__(self) -> None:
        self.entry: Callable[[], _Entry | None] = lambda: None  # a weak reference: copying may fail

    def is_of(self, node: "Node") -> bool:
        entry = self.entry()
        return entry is not None and entry.node is node


_turn = _Turn()


class _Entry:
    """A node in an announcement: a copy of this is a copy of the node."""

    def __init__(self, node: "Node") -> None:
        self.node = node

    def __reduce_ex__(self, protocol: Any) -> Any:
        _turn.entry = weakref.ref(self)
        return _first, (self.node, _EndOfTurn())


class _EndOfTurn:
    def __reduce_ex__(self, protocol: Any) -> Any:
        _turn.entry = lambda: None
        return int, ()


def _first(node: "Node", end: int) -> "Node":
    return node


def _last(nodes: list["Node"]) -> "Node":
    return nodes[-1]


def _without_state(class_: Any) -> Any:
    return class_.__new__(class_)
