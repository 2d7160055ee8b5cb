"""Runs of equal pieces in a graph without names: the layers of a deep network, the steps of a
recurrent one.

The operations stand in the order of computation, each known by its class. If the same few classes
come again and again, that is a repeated block. Successive operations in an order of computation can
always be drawn as one box, since no path leaves such a run and comes back.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np

_LEAST_COPIES = 3
_LONGEST_BLOCK = 400  # operations


class RepeatedRun(NamedTuple):
    """`copies` blocks of `length` operations each, the first of them at `start`."""

    start: int
    length: int
    copies: int


def find_repeats(kinds: Sequence[Hashable]) -> list[RepeatedRun]:
    """The runs of repeated blocks in a sequence, in order; none overlaps another.

    >>> find_repeats(["a", "b", "c", "b", "c", "b", "c", "d"])
    [RepeatedRun(start=1, length=2, copies=3)]
    """
    number = {kind: index for index, kind in enumerate(dict.fromkeys(kinds))}
    sequence = np.array([number[kind] for kind in kinds], dtype=np.int64)
    found: list[RepeatedRun] = []
    parts = [(0, len(sequence))]
    while parts:
        start, end = parts.pop()
        best = _longest_run(sequence[start:end])
        if best is not None:
            repeat = best._replace(start=best.start + start)
            found.append(repeat)
            parts.append((start, repeat.start))
            parts.append((repeat.start + repeat.length * repeat.copies, end))
    return sorted(found)


def _longest_run(sequence: np.ndarray[tuple[int], np.dtype[np.int64]]) -> RepeatedRun | None:
    """The run that covers most of the sequence; of equal ones that of the shortest block."""
    best: RepeatedRun | None = None
    for length in range(1, min(_LONGEST_BLOCK, len(sequence) // _LEAST_COPIES) + 1):
        equal = np.concatenate(([False], sequence[length:] == sequence[:-length], [False]))
        edges = np.flatnonzero(equal[1:] != equal[:-1])
        starts, ends = edges[::2], edges[1::2]
        if not len(starts):
            continue
        longest = int(np.argmax(ends - starts))
        copies = (int(ends[longest] - starts[longest]) + length) // length
        covered = 0 if best is None else best.length * best.copies
        if copies >= _LEAST_COPIES and copies * length > covered:
            best = RepeatedRun(int(starts[longest]), length, copies)
    return best
