"""Conditions for `Mistake(..., when=...)` that survive whatever a learner's code gave: None, a
text, an array of another shape.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from miniflow.lab.comparing import numbers_in


def numbers_that(test: Callable[[Any], Any]) -> Callable[[Any], bool]:
    """A condition that holds for numbers for which `test` holds (for all of them, of an array).

    >>> negative = numbers_that(lambda x: x < 0)
    >>> negative(-1), negative([-1, -2]), negative([-1, 2]), negative(None), negative("-1")
    (True, True, False, False, False)
    """

    def holds(actual: Any) -> bool:
        numbers = numbers_in(actual)
        if numbers is None:
            return False
        try:
            return bool(np.all(test(numbers)))
        except (TypeError, ValueError, IndexError):
            return False

    return holds


def about(values: Any, within: float = 2e-4) -> Callable[[Any], bool]:
    """A condition that holds for `values`, perhaps rounded, perhaps in every row."""
    return numbers_that(lambda x: x.shape and np.allclose(x, values, rtol=0, atol=within))


def is_nothing(actual: Any) -> bool:
    """Whether nothing was returned."""
    return actual is None
