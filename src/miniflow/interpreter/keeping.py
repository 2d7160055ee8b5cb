"""The state of nodes, kept and put back with the contents of what they keep.

A node's code counts its calls, appends to lists, draws random numbers, keeps running means. Whoever
runs it out of turn puts that back: what the nodes have as attributes; the contents of the lists,
dictionaries and arrays among these; the attributes of other objects among them, helpers that are of
a class of the user's own; the state of random generators; and the attributes of the nodes' classes,
where these are not miniflow's own.
"""

import pickle
import random
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from miniflow.graph import Node
from miniflow.graph.places import is_ours

# Written by every pass, or not a node's own to write to: nothing in them is put back one by one.
OURS = frozenset(
    (
        *("value", "inbound_nodes", "_array", "_gradient", "_built_at"),
        *("_consumers", "_consumers_limit", "_plan"),
    )
)
PLAIN = frozenset((type(None), bool, int, float, str))


@contextmanager
def attributes_preserved(nodes: Iterable[Node]) -> Iterator[None]:
    """Put the attributes of these nodes back at the end, and not the contents of what they keep."""
    kept = [(node, node.__dict__.copy(), dict(node.cache)) for node in nodes]
    try:
        yield
    finally:
        for node, state, cache in kept:
            node.__dict__.clear()
            node.__dict__.update(state)
            node.cache = cache


@contextmanager
def contents_preserved(nodes: Sequence[Node], others: Sequence[Any] = ()) -> Iterator[None]:
    """Put all state of these nodes back at the end, the contents of what they keep too.

    Args:
        nodes: the nodes.
        others: objects and random generators that belong to none of them.
    """
    attributes = [(node, node.__dict__.copy()) for node in nodes]
    classes = [(class_, dict(vars(class_))) for class_ in foreign_classes(nodes)]
    restores = restores_of([*others, *(v for _, c in classes for v in c.values())], nodes)
    try:
        yield
    finally:
        for node, before in attributes:
            node.__dict__.clear()
            node.__dict__.update(before)
        for class_, before in classes:
            _restore_class(class_, before)
        for restore in restores:
            restore()


def restores_of(things: list[Any], nodes: Sequence[Node] = ()) -> list[Callable[[], None]]:
    """What puts the contents of some things back, and of what these and the nodes keep."""
    found = (_restore_of(thing) for thing in _reach(things, nodes))
    return [restore for restore in found if restore is not None]


class Generators:
    """The random generators that these nodes' code can reach, and where they were: their own, those
    of the modules of their classes, and the two that everybody shares.
    """

    def __init__(self, nodes: Sequence[Node]) -> None:
        kinds = (np.random.Generator, np.random.RandomState, random.Random)
        shared = [random._inst, np.random.mtrand._rand]
        of_modules = [
            value
            for class_ in foreign_classes(nodes)
            for function in vars(class_).values()
            for value in getattr(function, "__globals__", {}).values()
        ]
        things = {id(thing): thing for thing in (*shared, *of_modules, *_reach([], nodes))}
        self._found = [thing for thing in things.values() if isinstance(thing, kinds)]
        self._rewinds = [_restore_of(generator) for generator in self._found]
        self._before = self._states()

    def rewind(self) -> None:
        """Let them draw again what they drew."""
        for rewind in self._rewinds:
            if rewind is not None:
                rewind()

    def have_moved(self) -> bool:
        """Whether somebody has drawn from one."""
        return self._states() != self._before

    def _states(self) -> list[bytes]:
        return [pickle.dumps(generator) for generator in self._found]


def foreign_classes(nodes: Sequence[Node]) -> list[type]:
    """The classes of the nodes that are not miniflow's own."""
    classes = {class_ for type_ in {type(node) for node in nodes} for class_ in type_.__mro__}
    return [c for c in classes if c is not object and not is_ours(c)]


def _restore_class(class_: type, before: dict[str, Any]) -> None:
    for name in vars(class_).keys() - before.keys():
        delattr(class_, name)
    for name, value in before.items():
        if vars(class_).get(name) is not value:
            setattr(class_, name, value)


def _reach(waiting: list[Any], nodes: Sequence[Node]) -> Iterator[Any]:
    """What the nodes keep, what is in the lists and dictionaries that they keep, and so on."""
    waiting = waiting + [
        value for node in nodes for name, value in node.__dict__.items() if name not in OURS
    ]
    seen: set[int] = set()
    while waiting:
        thing = waiting.pop()
        if type(thing) in PLAIN or id(thing) in seen:
            continue
        seen.add(id(thing))
        yield thing
        if isinstance(thing, (list, tuple, deque, set)):
            waiting += thing
        elif isinstance(thing, dict):
            waiting += thing.values()
        if is_helper(thing):
            waiting += attributes_of(thing).values()


def is_helper(thing: Any) -> bool:
    """Whether it is an object of a class of the user's own, and no node: one that nodes share their
    work or their numbers with.
    """
    class_ = type(thing)
    if isinstance(thing, (type, ModuleType, Node)) or is_ours(class_):
        return False
    root = str(class_.__module__).partition(".")[0]
    is_known = root in ("builtins", "numpy") or root in sys.stdlib_module_names - {"__main__"}
    has_attributes = hasattr(thing, "__dict__") or hasattr(class_, "__slots__")
    return class_ is SimpleNamespace or (not is_known and has_attributes)


def attributes_of(thing: Any) -> dict[str, Any]:
    """The attributes of an object, those in `__slots__` too."""
    found = dict(getattr(thing, "__dict__", {}))
    for class_ in type(thing).__mro__:
        slots = vars(class_).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name not in ("__dict__", "__weakref__") and hasattr(thing, name):
                found[name] = getattr(thing, name)
    return found


def _restore_of(thing: Any) -> Callable[[], None] | None:
    """What puts the contents of a thing back; None for what has none, or cannot change."""
    if is_helper(thing):
        return _restore_of_attributes(thing)
    if isinstance(thing, (list, deque, set, dict)):
        before = thing.copy()
        add = thing.update if isinstance(thing, (set, dict)) else thing.extend

        def restore() -> None:
            thing.clear()
            add(before)

        return restore
    if _is_writable(thing):
        array = thing.copy()
        return lambda: thing.__setitem__(..., array)
    if isinstance(thing, np.random.Generator):
        generator = thing.bit_generator
        state = generator.state
        return lambda: setattr(generator, "state", state)
    if isinstance(thing, np.random.RandomState):
        old = thing.get_state()
        return lambda: thing.set_state(old)
    if isinstance(thing, random.Random):
        place = thing.getstate()
        return lambda: thing.setstate(place)
    return None


def _restore_of_attributes(thing: Any) -> Callable[[], None]:
    before = attributes_of(thing)
    contents = thing.copy() if isinstance(thing, (list, deque, set, dict)) else None

    def restore() -> None:
        now = attributes_of(thing)
        for name in now.keys() - before.keys():
            object.__delattr__(thing, name)
        for name, value in before.items():
            if name not in now or now[name] is not value:
                object.__setattr__(thing, name, value)  # past what a class makes of assigning
        if contents is not None:
            thing.clear()
            thing.update(contents) if isinstance(thing, (set, dict)) else thing.extend(contents)

    return restore


def _is_writable(thing: Any) -> bool:
    return type(thing) is np.ndarray and thing.flags.writeable
