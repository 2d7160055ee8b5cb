"""The rule that all aliasing follows, for groups of loops and for whole arrays."""

from __future__ import annotations

from collections.abc import Iterable


def may_write(position: int, read_at: Iterable[int], last_raising: int = -1) -> bool:
    """Whether memory may be written at a position: what was there is read later by nobody, and
    nothing that comes later can fail.

    >>> may_write(3, read_at=[0, 3]), may_write(3, read_at=[4]), may_write(3, [], last_raising=5)
    (True, False, False)
    """
    return last_raising <= position and all(at <= position for at in read_at)
