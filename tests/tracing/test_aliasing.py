"""Arrays that share memory: recorded right, or refused; never silently wrong."""

import numpy as np
import pytest

from miniflow.tracing.trace import Refused
from tracing.recorded import assert_same_when_recorded, record

X = np.arange(12.0).reshape(4, 3)


def test_a_write_through_a_slice_is_seen_in_the_array():
    def function(x):
        a = np.copy(x)
        a[1:3] *= 10
        return a

    assert_same_when_recorded(function, X)


def test_a_write_to_the_array_is_seen_through_an_older_view():
    def function(x):
        a = np.copy(x)
        row, column = a[1], a[:, 2]
        a += 1
        a[1, 2] = -5
        return row, column

    assert_same_when_recorded(function, X)


def test_two_views_of_one_array_see_each_others_writes():
    def function(x):
        a = np.copy(x)
        left, right = a[:, :2], a[:, 1:]
        left[...] = 7
        right[0] += 1
        return a, left, right

    assert_same_when_recorded(function, X)


def test_views_of_views_in_any_order_of_slices_transposes_and_reshapes():
    def function(x):
        a = np.copy(x)
        b = a.T[1:]
        c = b[:, ::2]
        c[0] = -1
        d = a.reshape(2, 6)[1]
        d[2:4] = 100
        e = a[::-1, np.newaxis]
        e[0, 0, 0] = 55
        return a, b, c, d, e

    assert_same_when_recorded(function, X)


def test_one_array_stored_in_two_places_is_one_array():
    def function(x):
        kept = {}
        kept["a"] = kept["b"] = np.zeros_like(x)
        kept["a"] += x
        kept["b"] *= 2
        return kept["a"]

    assert_same_when_recorded(function, X)


def test_writing_through_a_view_of_an_array_without_axes_changes_it():
    def function(x):
        a = np.zeros(())
        whole = a[...]
        whole += x[0, 1]
        a[...] *= 3
        a[()] += 1
        return a, whole

    assert_same_when_recorded(function, X)


def test_a_copy_is_another_array():
    def function(x):
        a = np.zeros((4, 3))
        b, c, d, e = a.copy(), np.copy(a), np.array(a), a.astype(float)
        a += x
        return a, b, c, d, e

    assert_same_when_recorded(function, X)


def test_asarray_and_no_copy_astype_are_the_same_array():
    def function(x):
        a = np.zeros((4, 3))
        b = np.asarray(a)
        c = a.astype(float, copy=False)
        a += x
        return b, c

    assert_same_when_recorded(function, X)


def test_picking_with_an_array_of_integers_copies():
    def function(x):
        a = np.copy(x)
        b = a[[0, 1]]
        b *= 100
        return a, b

    assert_same_when_recorded(function, X)


def test_adding_in_place_at_repeated_places_counts_once_as_in_numpy():
    def function(x):
        a = np.zeros(4)
        a[[0, 0, 1]] += 1
        b = np.zeros(4)
        np.add.at(b, [0, 0, 1], 1)
        return a + x[:, 0], b

    assert_same_when_recorded(function, X)


def test_in_place_arithmetic_on_numbers_makes_new_numbers():
    def function(x):
        total = np.sum(x)
        first = total
        total += 1
        total *= 2
        return total, first

    assert_same_when_recorded(function, X)


def test_an_in_place_update_keeps_the_dtype():
    def function(x):
        a = np.zeros(3, np.float32)
        a += x[0]
        a[:2] = x[1, :2]
        return a

    assert_same_when_recorded(function, X)


def test_in_place_updates_that_numpy_refuses_are_refused():
    def function(x):
        a = np.zeros(3, int)
        a += x[0]
        return a

    with pytest.raises(TypeError, match="Cannot cast"):
        record(function, X)


@pytest.mark.parametrize(
    "write",
    [
        lambda x: x.__iadd__(1),
        lambda x: x.__setitem__(0, 1),
        lambda x: x[1:].__setitem__(0, 1),
        lambda x: x.T.__imul__(2),
        lambda x: x.reshape(-1).__setitem__(0, 1),
        lambda x: np.add(x, 1, out=x),
        lambda x: np.add.at(x, [0], 1),
        lambda x: x.fill(0),
        lambda x: x.__setitem__(x > 0, 0),
    ],
)
def test_writing_to_what_was_fed_is_refused(write):
    with pytest.raises(Refused, match=r"writes to an array in place, and that array was fed\."):
        record(lambda x: (write(x), x)[1], X)


def test_writing_into_an_array_from_outside_is_refused():
    outside = np.zeros((4, 3))

    def in_place(x):
        a = outside
        a += x
        return a

    with pytest.raises(Refused, match="did not make in this call"):
        record(in_place, X)
    with pytest.raises(Refused, match="needs its numbers"):
        record(lambda x: outside.__setitem__(0, x[0]), X)
    assert not outside.any()


def test_writing_where_numpy_may_have_copied_or_not_is_refused():
    def function(x):
        a = np.copy(x)
        flat = a.T.reshape(-1)
        flat += 1
        return a

    with pytest.raises(Refused, match="may share"):
        record(function, X)


def test_reading_such_a_reshape_is_fine():
    assert_same_when_recorded(lambda x: x.T.reshape(-1) * 2, X)


def test_a_broadcast_array_cannot_be_written_to():
    with pytest.raises(Refused, match="cannot be written to"):
        record(lambda x: np.broadcast_to(np.copy(x[0]), (4, 3)).__iadd__(1), X)


def test_a_mask_that_is_computed_can_be_written_through():
    def function(x):
        a = np.copy(x)
        a[a > 5] = 0
        a[x < 2] = -1
        a[np.sum(x, axis=1) > 20] = 9
        return a

    assert_same_when_recorded(function, X)
