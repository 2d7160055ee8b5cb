"""Rows for the lines that move across between two layers of a terminal's picture.

A line comes down a column, moves along a row of its own to another column, and goes on down. Lines
that come down one column are one line with branches and share a row. Two lines share a row only if
they do not meet in it. Where one line goes down the column that another has left, the one that
leaves takes the higher row.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Move(NamedTuple):
    """From one column to another."""

    start: int
    end: int


def assign_tracks(moves: Iterable[Move]) -> dict[Move, int]:
    """The row of each move, from 0.

    >>> assign_tracks([Move(2, 8), Move(2, 5), Move(8, 12)])
    {Move(start=8, end=12): 0, Move(start=2, end=5): 1, Move(start=2, end=8): 1}
    """
    ends: dict[int, list[int]] = {}
    for start, end in sorted(moves):
        ends.setdefault(start, []).append(end)
    above = {
        start: {end for end in found if end in ends and end != start}
        for start, found in ends.items()
    }
    rows: list[list[tuple[int, int]]] = []  # what is taken in each
    row_of: dict[int, int] = {}
    waiting = sorted(ends)
    while waiting:
        ready = [start for start in waiting if above[start].isdisjoint(waiting)]
        start = (ready or waiting)[0]  # lines in a circle of such wishes: somebody yields
        waiting.remove(start)
        span = min(start, *ends[start]), max(start, *ends[start])
        row = max((row_of[other] + 1 for other in above[start] if other in row_of), default=0)
        while row < len(rows) and any(a <= span[1] and span[0] <= b for a, b in rows[row]):
            row += 1
        while row >= len(rows):
            rows.append([])
        rows[row].append(span)
        row_of[start] = row
    return {Move(start, end): row_of[start] for start in row_of for end in ends[start]}
