"""Nodes that move entries: repeated indices add up, options come in NumPy's spellings."""

import numpy as np
import pytest

import miniflow as mf


def gradient(node: mf.Node, x: mf.Node, fed) -> np.ndarray:
    return mf.value_and_grad(node, {x: fed}, [x])[1][0]


def test_reshape_takes_a_number_a_tuple_or_a_list() -> None:
    x = mf.Input()
    for shape, result in (
        *((6, (6,)), (-1, (6,)), (np.int64(6), (6,))),
        *(((3, -1), (3, 2)), ([1, 6], (1, 6))),
    ):
        value = mf.value(mf.Reshape(x, shape), {x: np.arange(6.0).reshape(2, 3)})
        assert value.shape == result


def test_transpose_reverses_the_axes_or_takes_their_order() -> None:
    x = mf.Input()
    fed = np.arange(24.0).reshape(2, 3, 4)
    assert np.array_equal(mf.value(mf.Transpose(x), {x: fed}), fed.T)
    node = mf.Transpose(x, (2, 0, 1))
    upstream = np.arange(24.0).reshape(4, 2, 3)
    dummy = mf.DummyGrad(node)
    value, [dx] = mf.value_and_grad(dummy, {x: fed, dummy: upstream}, [x])
    assert np.array_equal(value, fed.transpose(2, 0, 1))
    assert np.array_equal(dx, upstream.transpose(1, 2, 0))


def test_concat_hands_each_input_its_own_part() -> None:
    x, y = mf.Input(), mf.Input()
    node = mf.Concat(x, y, x, axis=-1)
    feed = {x: np.ones((2, 1)), y: np.full((2, 2), 2.0)}
    dummy = mf.DummyGrad(node)
    upstream = np.arange(8.0).reshape(2, 4)
    value, (dx, dy) = mf.value_and_grad(dummy, feed | {dummy: upstream}, [x, y])
    assert np.array_equal(value, [[1, 2, 2, 1], [1, 2, 2, 1]])
    assert np.array_equal(dx, [[0 + 3], [4 + 7]])
    assert np.array_equal(dy, [[1, 2], [5, 6]])


@pytest.mark.parametrize(
    "index",
    [
        0,
        -1,
        slice(1, None),
        slice(None, None, -2),
        (slice(None), 1),
        (..., 0),
        (0, None, ...),
        [2, 0, 2],
        ([0, 0, 1], [1, 1, 2]),
        (slice(None), [2, 2]),
        np.array([[0, 1], [2, 2]]),
        np.array([True, False, True]),
        np.eye(3, dtype=bool),
        (),
        [],
        (slice(None), [[]]),
    ],
    ids=repr,
)
def test_any_index_that_numpy_knows_picks_the_same_and_adds_up_gradients(index) -> None:
    x = mf.Input()
    fed = np.arange(9.0).reshape(3, 3)
    value, [dx] = mf.value_and_grad(x[index], {x: fed}, [x])
    assert np.array_equal(value, fed[index])
    times = np.zeros((3, 3))
    np.add.at(times, index, 1.0)
    assert np.array_equal(dx, times)


def test_gather_looks_rows_up_and_adds_up_the_gradients_of_repeated_ones() -> None:
    table, indices = mf.Input(), mf.Input()
    feed = {table: np.arange(6.0).reshape(3, 2), indices: np.array([[2, 0], [2, 2]], np.uint8)}
    value, [dtable] = mf.value_and_grad(mf.Gather(table, indices), feed, [table])
    assert value.shape == (2, 2, 2)
    assert np.array_equal(value[1, 1], [4.0, 5.0])
    assert np.array_equal(dtable, [[1.0, 1.0], [0.0, 0.0], [3.0, 3.0]])


def test_gather_of_one_index_is_one_row() -> None:
    table, index = mf.Input(), mf.Input()
    value, [dtable] = mf.value_and_grad(
        mf.Gather(table, index), {table: np.arange(3.0), index: 1}, [table]
    )
    assert value == 1.0
    assert np.array_equal(dtable, [0.0, 1.0, 0.0])


def test_where_takes_conditions_of_numbers_and_keeps_float32() -> None:
    x = mf.Input()
    fed = np.array([1.0, 2.0], np.float32)
    value, [dx] = mf.value_and_grad(mf.Where(np.array([0, 3]), x, -1.0), {x: fed}, [x])
    assert np.array_equal(value, [-1.0, 2.0])
    assert np.array_equal(dx, [0.0, 1.0])
    assert value.dtype == dx.dtype == np.float32


def test_where_of_numbers_is_a_number() -> None:
    x = mf.Input()
    value, [dx] = mf.value_and_grad(mf.Where(x > 0, x, 3.0), {x: 2.0}, [x])
    assert (value, dx) == (2.0, 1.0)
    assert not isinstance(value, np.ndarray)
    assert not isinstance(dx, np.ndarray)


def test_where_keeps_the_side_that_is_not_chosen_out_of_the_gradient() -> None:
    """The NaN of a logarithm of a negative number does not come through."""
    x = mf.Input()
    fed = np.array([-1.0, 2.0])
    with np.errstate(invalid="ignore"):
        safe = mf.Where(fed > 0, mf.Log(mf.Where(fed > 0, x, 1.0)), 0.0)
        assert np.array_equal(gradient(safe, x, fed), [0.0, 0.5])
