"""What recording must leave as it was: the state of the nodes, and of what they keep.

A node's code runs for real while it is recorded. So all that `interpreter.keeping` puts back is put
back; and what is no number, in the global variables of the modules where the nodes' classes are
written.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from miniflow.graph import Node
from miniflow.graph.plans import with_parts
from miniflow.interpreter.keeping import (
    OURS,
    PLAIN,
    attributes_of,
    contents_preserved,
    foreign_classes,
    is_helper,
)
from miniflow.tracing.traced import is_traced


@contextmanager
def preserved_deeply(nodes: Sequence[Node], others: Sequence[Any] = ()) -> Iterator[None]:
    """Put all state of these nodes back at the end, the contents of what they keep too; and leave
    no traced value anywhere. `others` are objects and random generators that none of them keeps.
    """
    nodes = with_parts(nodes)
    restores = [
        _restore_of_globals(variables) for variables in _globals_of(foreign_classes(nodes)).values()
    ]
    with contents_preserved(nodes, others):
        try:
            yield
        finally:
            for restore in restores:
                restore()


def plain_state(thing: Any, is_deep: bool = True) -> dict[str, Any]:
    """What a node or an object keeps that is no array: attribute → number, text, or how much is in
    it; those of objects that it keeps, too ("helper.count"), if it `is_deep`.
    """
    state: dict[str, Any] = {}
    waiting, seen = [("", thing)], {id(thing)}
    while waiting:
        prefix, thing = waiting.pop()
        for name, value in attributes_of(thing).items():
            if not prefix and (name in OURS or name == "gradients"):
                continue
            if type(value) in PLAIN:
                state[prefix + name] = value
            elif isinstance(value, (list, dict, set, deque)):
                entries = value.values() if isinstance(value, dict) else value
                state[prefix + name] = len(value), [x for x in entries if type(x) in PLAIN]
            if is_deep and is_helper(value) and id(value) not in seen:
                seen.add(id(value))
                waiting.append((f"{prefix}{name}.", value))
    return state


def _globals_of(classes: Iterable[type]) -> dict[int, dict[str, Any]]:
    """The global variables that the methods of the classes see."""
    functions = (value for class_ in classes for value in vars(class_).values())
    each = (getattr(function, "__globals__", None) for function in functions)
    return {id(variables): variables for variables in each if variables is not None}


def _restore_of_globals(variables: dict[str, Any]) -> Callable[[], None]:
    """What takes traced values out of global variables, and out of lists and dictionaries there."""
    before = variables.copy()
    copies = {
        name: value.copy()
        for name, value in before.items()
        if isinstance(value, (list, dict, set)) and value is not variables
    }

    def restore() -> None:
        for name, value in list(variables.items()):
            if is_traced(value):
                if name in before:
                    variables[name] = before[name]
                else:
                    del variables[name]
            elif name in copies and value is before[name] and _has_traced(value):
                value.clear()
                (value.extend if isinstance(value, list) else value.update)(copies[name])

    return restore


def _has_traced(container: Any) -> bool:
    entries = container.values() if isinstance(container, dict) else container
    return any(map(is_traced, entries))
