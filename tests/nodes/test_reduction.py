"""Reductions: axes in every spelling, ties, numbers and empty arrays."""

import numpy as np
import pytest

import miniflow as mf

NUMPY = {mf.Sum: np.sum, mf.Mean: np.mean, mf.Max: np.max}


@pytest.mark.parametrize("cls", NUMPY)
@pytest.mark.parametrize("axis", [None, 0, -1, (0, 2), (-1, 0), [1, 2], ()])
@pytest.mark.parametrize("keepdims", [False, True])
def test_axes_are_numpys(cls: type, axis, keepdims: bool) -> None:
    x = mf.Input()
    fed = np.arange(24.0).reshape(2, 3, 4)
    value, [dx] = mf.value_and_grad(cls(x, axis=axis, keepdims=keepdims), {x: fed}, [x])
    as_numpy = tuple(axis) if isinstance(axis, list) else axis
    assert np.array_equal(value, NUMPY[cls](fed, axis=as_numpy, keepdims=keepdims))
    assert dx.shape == fed.shape


@pytest.mark.parametrize(
    ("cls", "axis"), [(mf.Sum, None), (mf.Sum, 0), (mf.Max, -1), (mf.Max, None), (mf.Mean, None)]
)
def test_number_is_its_own_reduction(cls: type, axis) -> None:
    """NumPy lets sum and max have an axis even here, and mean not."""
    x = mf.Input()
    for fed in (2.5, np.float64(2.5), np.array(2.5)):
        assert mf.value_and_grad(cls(x, axis=axis), {x: fed}, [x]) == (2.5, [1.0])


def test_largest_entries_that_are_equal_share_the_gradient() -> None:
    x = mf.Input()
    fed = np.array([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]])
    _, [dx] = mf.value_and_grad(mf.Max(x, axis=1), {x: fed}, [x])
    assert np.allclose(dx, [[0, 1 / 2, 1 / 2], [1 / 3, 1 / 3, 1 / 3]])
    _, [dx] = mf.value_and_grad(mf.Max(x), {x: fed}, [x])
    assert np.allclose(dx, [[0, 1 / 2, 1 / 2], [0, 0, 0]])


def test_upstream_gradient_may_be_a_python_number() -> None:
    class AsFloat(mf.Node):
        """Written as in the lab, with numbers of Python's own."""

        def __init__(self, x: mf.Node) -> None:
            mf.Node.__init__(self, [x])

        def forward(self) -> None:
            self.value = float(self.inbound_nodes[0].value)

        def backward(self) -> None:
            self.gradients = {self.inbound_nodes[0]: 2.0}

    x = mf.Input()
    for cls, expected in ((mf.Max, [0.0, 2.0]), (mf.Sum, [2.0, 2.0]), (mf.Mean, [1.0, 1.0])):
        _, [dx] = mf.value_and_grad(AsFloat(cls(x)), {x: np.array([1.0, 3.0])}, [x])
        assert np.array_equal(dx, expected)
    _, [dx] = mf.value_and_grad(AsFloat(mf.Max(x)), {x: 3.0}, [x])
    assert dx == 2.0


def test_sum_over_nothing_is_zero() -> None:
    x = mf.Input()
    value, [dx] = mf.value_and_grad(mf.Sum(x, axis=0), {x: np.ones((0, 3))}, [x])
    assert np.array_equal(value, np.zeros(3))
    assert dx.shape == (0, 3)


def test_mean_of_integers_is_floating_and_a_maximum_stays_an_integer() -> None:
    x = mf.Input()
    fed = np.array([1, 2, 4], np.uint8)
    value, [dx] = mf.value_and_grad(mf.Mean(x), {x: fed}, [x])
    assert value == pytest.approx(7 / 3)
    assert np.allclose(dx, 1 / 3)
    value, [dx] = mf.value_and_grad(mf.Max(x), {x: fed}, [x])
    assert value.dtype == np.uint8
    assert np.array_equal(dx, [0.0, 0.0, 1.0])
