"""Steps that are done at once: those that have nothing to do with each other, where it pays."""

from __future__ import annotations

import pytest

from miniflow.lowering.at_once import groups_at_once, pieces_at_once
from miniflow.lowering.loop_program import ARGUMENT, KEPT, Buffer, BufferView, Product
from miniflow.lowering.pieces import cut_step


def matrix(name: str, rows: int, columns: int) -> BufferView:
    return BufferView(name, "f32", 0, (rows, columns), (columns, 1))


def product(c: str, a: str, b: str, side: int = 64, k: int = 2048, columns: int = 64) -> Product:
    return Product(matrix(c, side, columns), matrix(a, side, k), matrix(b, k, columns))


def sizes_of_groups(*steps: Product, **aliases: str) -> list[int]:
    views = [view for step in steps for view in (step.c, step.left, step.b)]
    memory = {
        view.buffer: Buffer(
            "f32", view.shape, ARGUMENT if view.buffer in "xyz" else KEPT, aliases.get(view.buffer)
        )
        for view in views
    }
    return [len(group) for group in groups_at_once(steps, memory)]


@pytest.mark.parametrize(
    ("steps", "aliases", "expected"),
    [
        ([product("a", "x", "y"), product("b", "x", "y")], {}, [2]),
        ([product("a", "x", "y"), product("b", "x", "y")], {"b": "a"}, [1, 1]),
        ([product("a", "x", "y"), product("b", "x", "a", k=64)], {}, [1, 1]),  # which reads it
        ([product("a", "b", "y"), product("b", "x", "y", columns=2048)], {}, [1, 1]),
        ([product("a", "b", "y"), product("c", "x", "y")], {"c": "b"}, [1, 1]),  # or what it reads
        ([product("a", "x", "y", k=8), product("b", "x", "y", k=8)], {}, [1, 1]),  # short ones
        ([product("a", "x", "y"), product("b", "x", "y", k=99)], {}, [1, 1]),  # one waits long
        ([product("a", "x", "y"), product("b", "x", "z", columns=256)], {}, [2]),  # and its pieces
    ],
)
def test_steps_are_done_at_once_where_none_needs_another(steps, aliases, expected) -> None:
    assert sizes_of_groups(*steps, **aliases) == expected


def test_a_thread_has_the_first_pieces_of_one_step_and_of_the_next() -> None:
    first, second = product("a", "x", "y", columns=256), product("b", "x", "z", columns=256)
    assert len(cut_step(first)) == 4
    pieces = [piece.c for (piece,) in pieces_at_once([first, second])]  # type: ignore[union-attr]
    assert [(c.buffer, c.offset) for c in pieces] == [
        (name, offset) for offset in (0, 64, 128, 192) for name in "ab"
    ]
