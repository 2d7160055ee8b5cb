"""Any index that NumPy takes, read and written through: recorded right, or refused."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from miniflow.tracing.trace import Refused
from tracing.recorded import assert_same_when_recorded

SLICES = [slice(None), slice(None, None, -1), slice(1, None), slice(-1, None, -2), slice(0, 0)]


@st.composite
def shapes_and_indices(draw: Any) -> tuple[tuple[int, ...], tuple[Any, ...]]:
    """Draw a shape, and an index of some of its axes."""
    shape = tuple(draw(st.lists(st.integers(0, 4), max_size=4)))
    index: list[Any] = []
    for length in shape[: draw(st.integers(0, len(shape)))]:
        places = [st.sampled_from(SLICES), _masks(length)]
        if length:
            place = st.integers(-length, length - 1)
            places += [place, place.map(np.int64), st.lists(place, min_size=1, max_size=2)]
            places += [st.lists(place, min_size=2, max_size=2).map(lambda p: np.array([p]).T)]
        index.append(draw(st.one_of(places)))
        if draw(st.integers(0, 6)) == 0:
            index.append(None)
    if draw(st.booleans()):
        index.insert(draw(st.integers(0, len(index))), ...)
    return shape, tuple(index)


def _masks(length: int) -> Any:
    flags = st.lists(st.booleans(), min_size=length, max_size=length)
    return flags.map(lambda entries: np.array(entries, bool))


def read(a: Any, index: Any) -> Any:
    return a[index]


def write(a: Any, index: Any) -> Any:
    a[index] = 7
    return a


def add(a: Any, index: Any) -> Any:
    a[index] += 1.5
    return a


def change_both(a: Any, index: Any) -> Any:
    part = a[index]
    if isinstance(part, np.ndarray):
        part *= 2
    a += 1
    return a, part


@settings(max_examples=20 * settings.default.max_examples, deadline=None)
@given(shapes_and_indices(), st.sampled_from([read, write, add, change_both]))
@example(((), (...,)), change_both)
@example(((4, 2, 1), (slice(None), [0, 1], ..., [0, 0])), read)
@example(((3, 2), (np.array([True, False, True]), 1)), add)
def test_every_index_means_what_it_means_to_numpy(case: Any, use: Any) -> None:
    shape, index = case
    x = np.arange(float(np.prod(shape))).reshape(shape)
    try:
        use(np.copy(x), index)
    except IndexError:  # arrays that do not broadcast with each other
        assume(False)
    try:
        assert_same_when_recorded(lambda a: use(np.copy(a), index), x)
    except Refused as refusal:
        if "`...` for no axis between two arrays" not in str(refusal):
            raise
