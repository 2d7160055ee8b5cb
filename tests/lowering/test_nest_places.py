"""A kernel that may leave an array is found, whatever leads there."""

from __future__ import annotations

import pytest

from miniflow.lowering.nest_check import KernelError
from miniflow.lowering.nest_places import EntryRange, check_places
from miniflow.lowering.nests import (
    SIZE,
    ArrayParameter,
    Fail,
    If,
    Kernel,
    Let,
    Loop,
    Statement,
    Store,
    Term,
    cast,
    constant,
    load,
    name,
)

from . import nests
from .nests import J, N, array, columns, sized

SIZES = {"m": 5, "n": 7}
ROOMS = {
    "sums_of_rows": {"x": 35, "b": 7, "total": 5, "largest": 5, "out": 35},
    "checked_indices": {"x": 7, "out": 7},
    "arithmetic": {"x": 7, "y": 7, "out": 7},
    "every_third": {"out": 7},
}


def from_the_beginning(rooms: dict[str, int]) -> dict[str, EntryRange]:
    return {word: EntryRange(0, room - 1) for word, room in rooms.items()}


@pytest.mark.parametrize("kernel", ROOMS)
def test_a_kernel_fits_into_its_arrays_and_into_no_smaller_ones(kernel: str) -> None:
    made, rooms = getattr(nests, kernel)(), ROOMS[kernel]
    check_places(made, SIZES, from_the_beginning(rooms))
    for word in rooms:
        smaller = rooms | {word: rooms[word] - 1}
        with pytest.raises(KernelError, match=f"{word}\\["):
            check_places(made, SIZES, from_the_beginning(smaller))


OUT, INDEX = array("out", "f64"), array("y", "i64")
LABEL = name("label")
FOUND = Let("label", cast(load(INDEX, J), SIZE))
WRITTEN = Store("out", (LABEL,), constant(1.0, "f64"))


def checked(*parts: Term) -> If:
    condition = parts[0] if len(parts) == 1 else parts[0] | parts[1]
    return If(condition, (Fail(1),))


@pytest.mark.parametrize(
    ("statements", "is_safe"),
    [
        ((FOUND, checked(LABEL < 0, LABEL >= N), WRITTEN), True),
        ((FOUND, checked(LABEL < 0), checked(LABEL >= N), WRITTEN), True),
        ((FOUND, checked(LABEL < 0, LABEL >= N - 1), WRITTEN), True),
        ((FOUND, WRITTEN), False),
        ((FOUND, checked(LABEL < 0), WRITTEN), False),
        ((FOUND, checked(LABEL >= N), WRITTEN), False),
        ((FOUND, checked(LABEL < 0, LABEL >= N + 1), WRITTEN), False),
        ((FOUND, WRITTEN, checked(LABEL < 0, LABEL >= N)), False),
    ],
)
def test_what_is_looked_up_needs_a_check(statements: tuple[Statement, ...], is_safe: bool) -> None:
    kernel = Kernel(sized(INDEX, OUT), (columns(*statements),))
    rooms = from_the_beginning({"y": 7, "out": 7})
    if is_safe:
        check_places(kernel, SIZES, rooms)
    else:
        with pytest.raises(KernelError, match=r"out\[label\]"):
            check_places(kernel, SIZES, rooms)


def test_an_array_may_be_walked_backwards_from_its_end() -> None:
    memory, step = ArrayParameter("x", "f32"), name("step")
    walk = Loop("j", N, (Store("x", (J * step,), constant(0.0, "f32")),))
    kernel = Kernel(sized(memory), (walk,))
    check_places(kernel, SIZES | {"step": -1}, {"x": EntryRange(-6, 0)})
    with pytest.raises(KernelError, match=r"x\[-6\], beyond x\[-5\]"):
        check_places(kernel, SIZES | {"step": -1}, {"x": EntryRange(-5, 0)})


def test_a_loop_of_no_turns_goes_nowhere() -> None:
    check_places(
        nests.sums_of_rows(),
        {"m": 0, "n": 0},
        from_the_beginning(dict.fromkeys(ROOMS["sums_of_rows"], 0)),
    )


def test_where_nothing_passes_a_check_nothing_comes_after_it() -> None:
    statements = (FOUND, checked(LABEL < 0, LABEL >= N - 7), WRITTEN)
    kernel = Kernel(sized(INDEX, OUT), (columns(*statements),))
    check_places(kernel, SIZES, from_the_beginning({"y": 7, "out": 0}))
