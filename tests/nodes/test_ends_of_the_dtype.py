"""Results that their dtype can hold are right, however large what they are made from.

Each node is held to its formula, computed with numbers that reach further. Inputs go to the ends of
their dtype; a result that does not fit is infinite, and no result is NaN.
"""

import numpy as np
import pytest
from every_backend import every_backend
from extremes import CASES, DTYPES, assert_all_right, computed, reaches_further, values_of


@pytest.mark.breadth("dtype", "backend")
@every_backend
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CASES)
def test_what_fits_is_right_at_the_ends_of_the_dtype(name: str, dtype: type, backend: str) -> None:
    if not reaches_further(dtype):
        pytest.skip("this processor's long double reaches no further than a float64")
    case, values = CASES[name], values_of(CASES[name], dtype)
    with np.errstate(over="ignore"):  # of what does not fit, alone
        value, gradients, g = computed(case, values, backend)
    assert_all_right(case, dtype, values, value, gradients, g)
