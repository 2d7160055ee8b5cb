"""What an optimizer keeps besides its arrays and its learning rate, and whether it is still that.

A program has these settings written into it, so a change must be noticed: another object, one more
attribute, and another number in a list, a dictionary, an array or an object that is kept.
"""

from collections import deque
from collections.abc import Set
from typing import Any

import numpy as np

from miniflow.interpreter.keeping import PLAIN, attributes_of, is_helper


def settings_of(optimizer: Any) -> dict[str, Any]:
    """What an optimizer keeps besides its arrays and its learning rate: attribute → value.

    One of a class of somebody's own that has no `settings()` is asked for its attributes, of which
    `_lr` is a learning rate behind a property.
    """
    own = getattr(type(optimizer), "settings", None)
    if callable(own):
        settings: dict[str, Any] = optimizer.settings()
        return settings
    return {k: v for k, v in vars(optimizer).items() if k not in ("state", "lr", "_lr")}


def can_change(value: Any) -> bool:
    """Whether a value may become another one and stay the same object.

    >>> can_change((1, "a")), can_change([1])
    (False, True)
    """
    if isinstance(value, tuple):
        return any(map(can_change, value))
    return isinstance(value, (list, deque, dict, Set, np.ndarray)) or is_helper(value)


def fingerprint(value: Any) -> Any:
    """What differs if the value, or something that it holds, has become another one.

    >>> bounds = {"clipnorm": 1.0}
    >>> before = fingerprint(bounds)
    >>> bounds["clipnorm"] = 2.0
    >>> before == fingerprint(bounds), before == fingerprint({"clipnorm": 1.0})
    (False, True)
    """
    return _fingerprint(value, ())


class _Same:
    """An object by its identity, kept alive so that no other one gets it."""

    def __init__(self, kept: Any) -> None:
        self.kept = kept

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.kept is self.kept

    def __hash__(self) -> int:
        return id(self.kept)


def _fingerprint(value: Any, around: tuple[int, ...]) -> Any:
    kind = type(value)
    if kind in PLAIN or isinstance(value, np.generic):
        return kind, repr(value)
    if id(value) in around:
        return _Same(value)
    inside = (*around, id(value))
    if is_helper(value):
        return _Same(value), _fingerprint(attributes_of(value), inside)
    if isinstance(value, np.ndarray) and value.dtype.kind != "O":
        return kind, value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, dict):
        pairs = [(_fingerprint(k, inside), _fingerprint(v, inside)) for k, v in value.items()]
        return kind, tuple(pairs)
    if isinstance(value, Set):
        return kind, frozenset(_fingerprint(each, inside) for each in value)
    if isinstance(value, (list, deque, tuple, np.ndarray)):
        return kind, tuple(_fingerprint(each, inside) for each in value)
    return _Same(value)
