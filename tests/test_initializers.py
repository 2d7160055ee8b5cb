"""The size of first values."""

import numpy as np
import pytest

from miniflow import initializers
from miniflow.options import OptionError

RANDOM = ["glorot_uniform", "glorot_normal", "he_uniform", "he_normal"]


@pytest.mark.parametrize("name", RANDOM)
def test_the_variance_is_the_papers_for_each_shape(name: str) -> None:
    for shape, inputs, outputs in [((400, 300), 400, 300), ((3, 3, 40, 60), 360, 540)]:
        expected = 2 / (inputs + outputs) if "glorot" in name else 2 / inputs
        weights = getattr(initializers, name)(shape, rng=1)
        assert weights.shape == shape
        assert abs(weights.mean()) < 0.02 * expected**0.5
        assert weights.var() == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize("name", RANDOM)
def test_a_seed_gives_the_same_numbers_in_every_dtype(name: str) -> None:
    make = getattr(initializers, name)
    single, double = make((5, 4), 7), make((5, 4), 7, dtype=np.float64)
    assert (single.dtype, double.dtype) == (np.float32, np.float64)
    np.testing.assert_array_equal(single, double.astype(np.float32))


def test_a_generator_gives_other_numbers_each_time() -> None:
    rng = np.random.default_rng(0)
    first, second = (initializers.he_normal((5, 4), rng) for _ in range(2))
    assert (first != second).any()


def test_uniform_stays_within_its_limits() -> None:
    weights = initializers.glorot_uniform((200, 100), rng=0)
    limit = (6 / 300) ** 0.5
    assert limit * 0.99 < np.abs(weights).max() <= limit


def test_zeros_and_ones_are_what_they_say() -> None:
    assert initializers.zeros((2, 3)).tolist() == [[0.0] * 3] * 2
    assert initializers.ones((3,), dtype=np.float64).dtype == np.float64


def test_a_shape_without_axes_is_refused() -> None:
    with pytest.raises(OptionError, match="no inputs and outputs"):
        initializers.he_normal((), rng=0)
