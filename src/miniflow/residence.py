"""Arrays whose newest numbers lie on a device: brought home when somebody looks at them.

A backend that computes on devices keeps parameters, and what an optimizer remembers, there from
step to step. The NumPy array that a `Parameter` has stays the one array that everybody knows. As
long as the device has newer numbers, the array has a `Resident`, and whoever hands the array out
(`Parameter.value`, `Optimizer.state`, a backend that computes on it) calls `look_at` first: the
numbers are copied into the array. What has been handed out may be written to, so the next step on
the device takes the numbers from the array again.

Somebody may still hold an array from an earlier look. How many hold it is known to Python; how many
of these are miniflow's own is kept here (`bind`). If there are others, the array is brought up to
date after every step: slower, and never stale.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final
from weakref import WeakKeyDictionary, finalize, ref

import numpy as np

_one: Final = [np.empty(0)]
_ALONE: Final = sys.getrefcount(_one[0])  # of an array that one list holds

lock: Final = threading.RLock()
residents: Final[dict[int, Resident]] = {}
"""By the identity of their arrays, which take theirs along when they go."""


class Resident:
    """The numbers of an array, on a device.

    Attributes:
        where: which devices, whatever a backend calls them; None if the device has no numbers that
            are known to be the array's.
        there: the numbers on the device.
        is_newer: whether the array has older ones.
    """

    __slots__ = ("_array", "_fetch", "is_newer", "there", "where")

    def __init__(self, array: Any) -> None:
        self._array = ref(array)
        self._fetch: Callable[[Any], Any] | None = None
        self.where: Any = None
        self.there: Any = None
        self.is_newer = False

    def put(self, where: Any, there: Any) -> None:
        """The device has the array's numbers now."""
        self.where, self.there, self.is_newer = where, there, False

    def move(self, there: Any, fetch: Callable[[Any], Any]) -> None:
        """The device has newer numbers; `fetch` makes a NumPy array of them."""
        self.there, self._fetch, self.is_newer = there, fetch, True

    def look(self) -> None:
        """Somebody looks at the array, and may write to it."""
        array = self._array()
        if self.is_newer and array is not None and self._fetch is not None:
            np.copyto(array, self._fetch(self.there))
        self.where = self.there = None
        self.is_newer = False


def look_at(array: Any) -> Any:
    """The array, with its newest numbers; it may be written to from now on.

    >>> look_at(np.arange(3))
    array([0, 1, 2])
    """
    if residents:
        with lock:
            resident = residents.get(id(array))
            if resident is not None:
                resident.look()
    return array


def look_at_all(arrays: Iterable[Any]) -> None:
    """The same of several."""
    if residents:
        for array in arrays:
            look_at(array)


def resident_of(array: Any) -> Resident:
    """The resident of an array, made if there is none."""
    found = residents.get(id(array))
    if found is None:
        key = id(array)
        found = residents[key] = Resident(array)
        _ends[key] = ref(array, lambda _: _forget(key))
    return found


_ends: dict[int, Any] = {}


def _forget(key: int) -> None:
    residents.pop(key, None)
    _ends.pop(key, None)


# Who holds an array.

_bound: WeakKeyDictionary[Any, Mapping[int, int]] = WeakKeyDictionary()
_counts: dict[int, int] = {}


def bind(holder: Any, counts: Mapping[int, int]) -> None:
    """Say how often one of miniflow's own holds arrays: identity → references; for as long as it
    lives, or until it says otherwise.
    """
    with lock:
        if holder not in _bound:
            finalize(holder, _counts.clear)
        _bound[holder] = dict(counts)
        _counts.clear()


def has_strangers(arguments: list[Any], place: int, owners: int = 1) -> bool:
    """Whether anybody else holds the array at that place of a list that only the caller has.

    >>> mine = [np.zeros(3)]
    >>> has_strangers(mine, 0, owners=0), has_strangers([mine[0]], 0, owners=0)
    (False, True)
    """
    if not _counts and _bound:
        for counts in _bound.values():
            for key, count in counts.items():
                _counts[key] = _counts.get(key, 0) + count
    array = arguments[place]
    known = _counts.get(id(array), 0)
    memory = array.base
    is_view = memory is not None and sys.getrefcount(memory) > _ALONE + 1
    del array, memory
    return is_view or sys.getrefcount(arguments[place]) - _ALONE > owners + known
