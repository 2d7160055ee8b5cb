"""What a run takes of a table of tests: of each row one cell, two of them, or all.

`@pytest.mark.breadth("dtype", "backend")` on a test says that these of its arguments are breadth:
the question is the same for each. Of the cells that differ in nothing else a quick run takes one,
and CI another one: all but the first are marked slow; the rest is marked rare, too, and is for
`make test-every`. The next row gives the next cell, so that each dtype and each backend has its
turn in some row. A cell that is slow by itself is none of the quick run's.
"""

from collections.abc import Iterable
from typing import Any

import pytest


def mark_breadth(items: Iterable[Any]) -> None:
    """Mark the cells of every table that is among the items as slow, but for one of each row, and
    as rare, but for one more.
    """
    tables: dict[str, dict[Any, list[Any]]] = {}
    for item in items:
        mark = item.get_closest_marker("breadth")
        if mark is None or item.get_closest_marker("slow") is not None:
            continue
        values = item.callspec.params
        assert set(mark.args) <= values.keys(), f"{item.nodeid} has no arguments {mark.args}"
        row = tuple(id(value) for name, value in sorted(values.items()) if name not in mark.args)
        tables.setdefault(item.nodeid.partition("[")[0], {}).setdefault(row, []).append(item)
    for rows in tables.values():
        for number, cells in enumerate(rows.values()):
            for place, cell in enumerate(cells):
                turn = (place - number) % len(cells)
                if turn:
                    cell.add_marker("slow")
                if turn > 1:
                    cell.add_marker("rare")


def one_in_three(names: Iterable[str], others: str = "slow") -> list[Any]:
    """The rows of a table, in order, of which a run takes every third: the others are marked slow,
    and are for CI, or rare, and are for `make test-every`.
    """
    marks = [getattr(pytest.mark, mark) for mark in dict.fromkeys(("slow", others))]
    rows = enumerate(sorted(names))
    return [name if i % 3 == 0 else pytest.param(name, marks=marks) for i, name in rows]
