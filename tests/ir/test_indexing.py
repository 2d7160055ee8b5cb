"""Parts of arrays, read and written: the primitives against NumPy's brackets."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from miniflow.ir import ProgramError, brackets, slice_index

from .test_primitives import assert_same, compute

CUBE = np.arange(60.0).reshape(3, 4, 5)


@st.composite
def arrays_and_brackets(draw):
    """Draw an array and what its brackets may hold: ints and slices."""
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
    x = np.arange(float(np.prod(shape))).reshape(shape)
    index = draw(hnp.basic_indices(shape, allow_ellipsis=False, allow_newaxis=False))
    return x, index if isinstance(index, tuple) else (index,)


@settings(max_examples=50, deadline=None)
@given(arrays_and_brackets())
def test_slice_is_numpys(case):
    x, index = case
    assert_same(compute("slice", (x,), index=slice_index(index, x.shape)), x[index])


@settings(max_examples=50, deadline=None)
@given(arrays_and_brackets())
def test_slice_params_have_one_form(case):
    x, index = case
    params = slice_index(index, x.shape)
    assert slice_index(brackets(params), x.shape) == params


@settings(max_examples=50, deadline=None)
@given(arrays_and_brackets(), st.sampled_from([7, 2.5, np.float32(1.5), True]))
def test_slice_update_is_numpys_assignment(case, value):
    x, index = case
    before, expected = x.copy(), x.copy()
    expected[index] = value
    assert_same(compute("slice_update", (x, value), index=slice_index(index, x.shape)), expected)
    assert_same(x, before)


@settings(max_examples=50, deadline=None)
@given(arrays_and_brackets())
def test_slice_add_adds_to_a_part(case):
    x, index = case
    before, expected = x.copy(), x.copy()
    part = np.arange(float(np.size(x[index]))).reshape(np.shape(x[index]))
    expected[index] += part
    assert_same(compute("slice_add", (x, part), index=slice_index(index, x.shape)), expected)
    assert_same(x, before)


def test_slice_add_does_not_widen():
    with pytest.raises(ProgramError, match="widen"):
        compute("slice_add", (np.zeros(3, np.float32), np.ones(3)), index=((0, 3, 1),))


@settings(max_examples=50, deadline=None)
@given(arrays_and_brackets(), st.integers(0, 2))
def test_slice_update_broadcasts_as_assignment_does(case, extra):
    x, index = case
    part = x[index]
    value = np.arange(float(part.size)).reshape((1,) * extra * (np.ndim(part) > 0) + part.shape)
    expected = x.copy()
    expected[index] = value
    assert_same(compute("slice_update", (x, value), index=slice_index(index, x.shape)), expected)


def test_brackets_out_of_bounds_are_refused():
    for index in ((3,), (-4,), (0, 0, 0, 0)):
        with pytest.raises(IndexError):
            slice_index(index, (3, 4, 5))


def test_slice_of_a_scalar_is_the_scalar_and_of_a_python_number_refused():
    assert_same(compute("slice", (np.float32(3),), index=()), np.float32(3))
    with pytest.raises(ProgramError, match="no parts"):
        compute("slice", (3.0,), index=())


INDICES = [
    {0: np.array([2, 0, 2])},
    {1: np.array([[0, -1], [3, 3]])},
    {2: np.array([], np.int64)},
    {0: np.array([0, 1]), 1: np.array([3, 3])},
    {1: np.array([0, 1]), 2: np.array([[4], [0]])},
    {0: np.array([0, 1]), 2: np.array([3, 3])},
    {0: 1, 2: np.array([3, 1])},
    {0: np.int64(1), 1: np.array([3, 1])},
    {0: np.array(1), 1: 2, 2: np.uint8(3)},
    {0: 1, 1: -1},
    {0: np.array([0, 1], np.uint8), 1: np.array([1, 2], np.int16), 2: 0},
]


def at(index: dict) -> tuple:
    return tuple(index.get(axis, slice(None)) for axis in range(3))


@pytest.mark.parametrize("index", INDICES)
def test_gather_is_numpys_advanced_indexing(index):
    ours = compute("gather", (CUBE, *index.values()), axes=tuple(index))
    assert_same(ours, CUBE[at(index)])


@pytest.mark.parametrize("index", INDICES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int8])
def test_gather_update_is_numpys_assignment(index, dtype):
    x = CUBE.astype(dtype)
    shape = np.shape(x[at(index)])
    for value in (7, np.float32(2.5), np.arange(float(np.prod(shape))).reshape(shape)):
        expected = x.copy()
        expected[at(index)] = value
        ours = compute("gather_update", (x, value, *index.values()), axes=tuple(index))
        assert_same(ours, expected)
    assert_same(x, CUBE.astype(dtype))


@pytest.mark.parametrize("index", INDICES)
def test_scatter_add_adds_every_occurrence(index):
    shape = np.shape(CUBE[at(index)])
    for value in (7, np.float32(2.5), np.arange(float(np.prod(shape))).reshape(shape)):
        expected = CUBE.copy()
        np.add.at(expected, at(index), value)
        ours = compute("scatter_add", (CUBE, value, *index.values()), axes=tuple(index))
        assert_same(ours, expected)


def test_scatter_add_counts_repeated_indices():
    ours = compute("scatter_add", (np.zeros(3), 1.0, np.array([1, 1, 2])), axes=(0,))
    assert ours.tolist() == [0.0, 2.0, 1.0]


def test_scatter_add_of_floats_into_integers_is_what_this_numpy_makes_of_it():
    x, value, index = np.array([5, -5]), np.array([1.5, 1.5]), np.array([0, 1])
    expected = x.copy()
    try:
        np.add.at(expected, (index,), value)
    except TypeError:
        with pytest.raises(ProgramError, match="scatter_add"):
            compute("scatter_add", (x, value, index), axes=(0,))
    else:
        assert_same(compute("scatter_add", (x, value, index), axes=(0,)), expected)


@pytest.mark.parametrize(
    ("indices", "axes"),
    [
        ((np.array([0.0]),), (0,)),
        ((np.array([True, False, True]),), (0,)),
        ((True,), (0,)),
        ((np.array([0]),), (3,)),
        ((np.array([0]),), (-1,)),
        ((np.array([0]), np.array([0])), (1, 0)),
        ((np.array([0]), np.array([0])), (1, 1)),
        ((np.array([0, 1]), np.array([0, 1, 2])), (0, 1)),
        ((np.array([0]),), (0, 1)),
        ((), ()),
    ],
)
def test_indices_that_do_not_fit_are_refused(indices, axes):
    with pytest.raises(ProgramError, match="gather"):
        compute("gather", (CUBE, *indices), axes=axes)


@pytest.mark.parametrize("name", ["gather_update", "scatter_add"])
def test_value_that_does_not_fit_its_place_is_refused(name):
    with pytest.raises(ProgramError, match="does not fit"):
        compute(name, (CUBE, np.ones((3, 5)), np.array([0, 1])), axes=(0,))


def test_number_is_not_written_to():
    with pytest.raises(ProgramError, match="needs an array"):
        compute("slice_update", (np.float64(1), 2.0), index=())


def test_index_out_of_bounds_is_reported_with_its_equation():
    with pytest.raises(ProgramError, match=r"gather.*out of bounds") as caught:
        compute("gather", (CUBE, np.array([5])), axes=(0,))
    assert isinstance(caught.value.__cause__, IndexError)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_gather_puts_indexed_axes_where_numpy_puts_them(data):
    ndim = data.draw(st.integers(1, 4))
    x = np.arange(float(2**ndim)).reshape((2,) * ndim)
    axes = data.draw(st.sets(st.integers(0, ndim - 1), min_size=1).map(sorted).map(tuple))
    shapes = st.sampled_from([(), (3,), (2, 1), (2, 3), (1,)])
    indices = [data.draw(hnp.arrays(np.int64, shapes, elements=st.integers(-2, 1))) for _ in axes]
    where = [slice(None)] * ndim
    for axis, index in zip(axes, indices, strict=True):
        where[axis] = index
    assert_same(compute("gather", (x, *indices), axes=axes), x[tuple(where)])
