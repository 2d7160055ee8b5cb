"""Locks that work after a fork.

A forked child has one thread, the one that forked. What the parent's other threads held, nobody in
the child will give back, and what they were in the middle of, nobody will end. So a `Lock` that was
another thread's is opened in the child; and whoever keeps more than a lock that such a thread may
have been using says how that is made anew (`renew_after_fork`).
"""

import os
import threading
from collections.abc import Callable
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

T = TypeVar("T")


def renew_after_fork(thing: T, renew: Callable[[T], object]) -> None:
    """Have `renew(thing)` called in every forked child, as long as somebody holds the thing."""
    _renewals[thing] = renew


class Lock(type(threading.RLock())):  # type: ignore[misc]
    """A re-entrant lock, open in a forked child unless the thread that forked holds it itself.

    >>> lock = Lock()
    >>> with lock, lock:
    ...     print("one thread at a time")
    one thread at a time
    """

    def __init__(self) -> None:
        renew_after_fork(self, type(self).renew)

    def renew(self) -> bool:
        """In a forked child: open it if it was another thread's, and say whether it was."""
        if self.acquire(blocking=False):
            self.release()
            return False
        self._at_fork_reinit()  # as the standard library does with its own
        return True


_renewals: "WeakKeyDictionary[Any, Callable[[Any], object]]" = WeakKeyDictionary()


def renew_all() -> None:
    """What a forked child does first."""
    for thing, renew in list(_renewals.items()):
        renew(thing)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=renew_all)
