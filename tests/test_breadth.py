"""A quick run takes one cell of each row of a table; all dtypes and backends have their turn."""

from typing import Any, NamedTuple

import pytest
from breadth import mark_breadth


class Cell:
    """What `mark_breadth` asks of a test."""

    class Spec(NamedTuple):
        params: dict[str, int]

    def __init__(self, params: dict[str, int], marks: tuple[Any, ...]) -> None:
        self.nodeid, self.callspec = f"test_x[{params}]", self.Spec(params)
        self.marks = {mark.name: mark for mark in marks}

    def get_closest_marker(self, name: str) -> Any:
        return self.marks.get(name)

    def add_marker(self, name: str) -> None:
        self.marks[name] = name


def table(rows: int, dtypes: int, *marks: Any) -> list[Cell]:
    return [
        Cell({"name": name, "dtype": dtype}, marks)
        for name in range(rows)
        for dtype in range(dtypes)
    ]


def taken(cells: list[Cell], without: str = "slow") -> list[tuple[int, int]]:
    mark_breadth(cells)
    left = [cell.callspec.params for cell in cells if without not in cell.marks]
    return [(params["name"], params["dtype"]) for params in left]


def test_of_each_row_one_cell_is_taken_of_the_next_row_the_next() -> None:
    breadth = pytest.mark.breadth("dtype").mark
    assert taken(table(4, 3, breadth)) == [(0, 0), (1, 1), (2, 2), (3, 0)]
    assert len(taken(table(4, 3))) == 12


def test_of_the_others_one_is_not_rare() -> None:
    breadth = pytest.mark.breadth("dtype").mark
    assert taken(table(3, 3, breadth), "rare") == [(0, 0), (0, 1), (1, 1), (1, 2), (2, 0), (2, 2)]
    assert taken(table(1, 9, breadth), "rare") == [(0, 0), (0, 1)]


def test_what_is_slow_by_itself_is_not_what_is_taken() -> None:
    cells = table(1, 3, pytest.mark.breadth("dtype").mark)
    cells[0].add_marker("slow")
    assert taken(cells) == [(0, 1)]


def test_a_mark_of_an_argument_that_is_not_there_is_told() -> None:
    with pytest.raises(AssertionError, match="has no arguments"):
        mark_breadth(table(1, 1, pytest.mark.breadth("backend").mark))
