"""The mean of squares by which Adam and RMSprop divide: they keep its root.

Squares of gradients that are numbers of their dtype may be none, and the root of their mean always
is one.
"""

import math
from collections.abc import Sequence
from typing import Any

from miniflow.graph import Parameter
from miniflow.graph.means import hypot
from miniflow.optimizers.optimizer import update_dtype
from miniflow.options import OptionError


def add_square(rms: Any, share: float, grad: Any) -> None:
    """Root and all: rms² ← share · rms² + (1 - share) · grad²."""
    rms *= math.sqrt(share)
    hypot(rms, math.sqrt(1 - share) * grad, out=rms)


def check_epsilon(optimizer: Any, factor: float, parameters: Sequence[Parameter]) -> None:
    """Raise OptionError for an epsilon that is not 0, and would be by the time that it is used."""
    epsilon = optimizer.epsilon
    for parameter in parameters:
        dtype = update_dtype(parameter.value.dtype)
        if parameter.trainable and epsilon and not dtype.type(epsilon * factor):
            raise OptionError(
                f"{type(optimizer).__name__}: epsilon={epsilon!r} is too small for {parameter}, "
                f"which is updated in {dtype}: there it is 0."
            )
