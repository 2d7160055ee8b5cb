"""What one example is like, where somebody has said so: its shape without the axis of the rows, and
its dtype.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from miniflow.errors import GraphError
from miniflow.graph.checks import dtype_of_numbers, is_listed, whole
from miniflow.graph.values import describe


class Row(NamedTuple):
    """The value of a node for one example: its shape without the axis of the rows, its dtype."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


def checked_row(owner: object, shape: Sequence[int], dtype: Any) -> Row:
    """A shape and a dtype as a `Row`. Raises GraphError where they are none.

    >>> checked_row("Input", [28, 28, 1], np.float32)
    Row(shape=(28, 28, 1), dtype=dtype('float32'))
    """
    if not is_listed(shape):
        raise GraphError(
            f"{owner}: the shape of one example is (784,), say, not {describe(shape)}."
        )
    sizes = tuple(whole(owner, "each size of the shape", size, least=1) for size in shape)
    return Row(sizes, dtype_of_numbers(owner, dtype))
