"""Adam, and AdamW, which decays the weights apart from it."""

import math
from collections.abc import Sequence
from types import MappingProxyType
from typing import Any, Unpack

import numpy as np

from miniflow.graph import Parameter
from miniflow.graph.checks import tell_wrong_calls
from miniflow.optimizers.clipping import Clipping
from miniflow.optimizers.mean_squares import add_square, check_epsilon
from miniflow.optimizers.optimizer import Optimizer, Schedule, cast
from miniflow.options import number


class Adam(Optimizer):
    """Adaptive moments: each entry's step is scaled by the size that its gradients have had.

        m ← beta_1 · m + (1 - beta_1) · g
        v ← beta_2 · v + (1 - beta_2) · g²
        w ← w - lr · m̂ / (√v̂ + epsilon),    m̂ = m / (1 - beta_1^t),  v̂ = v / (1 - beta_2^t)

    where t counts the updates from 1. Of v the root is kept (`"rms"`): it is never larger than a
    gradient, whose square may be more than the dtype holds.

    Args:
        lr: the learning rate, a number or a schedule; 0.001 by default.
        beta_1: how much of the mean gradient is kept, in [0, 1); 0.9 by default.
        beta_2: how much of the mean square is kept, in [0, 1); 0.999 by default.
        epsilon: keeps the quotient finite; 1e-8 by default.
        clipping: as for every optimizer; see `Clipping`.

    Raises:
        OptionError: lr is neither a number of at least 0 nor a schedule, or another option does not
            fit.
        CallError: there is no option of that name.

    Source: Kingma and Ba, "Adam: A Method for Stochastic Optimization", 2015, Algorithm 1.

    >>> w = Parameter([1.0, 1.0], "w")
    >>> Adam(lr=0.1).update([w], [np.array([1e-3, 1e3])])  # the first step has the size of lr
    >>> w.value.round(6)
    array([0.900001, 0.9     ])
    """

    slots = ("mean", "rms")
    counts = True
    older_slots = MappingProxyType({"square": ("rms", np.sqrt)})

    def __init__(
        self,
        lr: float | Schedule = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        **clipping: Unpack[Clipping],
    ) -> None:
        Optimizer.__init__(self, lr, **clipping)
        owner = type(self).__name__
        self.beta_1 = number(owner, "beta_1", beta_1, below=1.0)
        self.beta_2 = number(owner, "beta_2", beta_2, below=1.0)
        self.epsilon = number(owner, "epsilon", epsilon)

    def _move(self, value: Any, grad: Any, lr: Any, *kept: Any) -> None:
        mean, rms = kept
        mean *= self.beta_1
        mean += (1 - self.beta_1) * grad
        add_square(rms, self.beta_2, grad)
        step = self.state["step"]  # this update counted
        # Both quotients' corrections as two numbers, which costs nothing; a quotient comes first,
        # since a gradient times a learning rate may be no number.
        of_mean, of_rms = 1 - self.beta_1**step, np.sqrt(1 - self.beta_2**step)
        lr, epsilon = lr * (of_rms / of_mean), self.epsilon * of_rms
        value -= cast(lr, value.dtype) * (mean / (rms + cast(epsilon, value.dtype)))

    def prepare(self, parameters: Sequence[Parameter]) -> None:
        check_epsilon(self, math.sqrt(1 - self.beta_2), parameters)
        Optimizer.prepare(self, parameters)


class AdamW(Adam):
    """Adam with weight decay that is not scaled: w ← w - lr · weight_decay · w, then Adam's step.

    Args:
        lr, beta_1, beta_2, epsilon, clipping: as for `Adam`.
        weight_decay: 0.01 by default.

    Raises:
        OptionError: lr is neither a number of at least 0 nor a schedule, or another option does not
            fit.
        CallError: there is no option of that name.

    Source: Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019.

    >>> w = Parameter(1.0, "w")
    >>> AdamW(lr=0.1, weight_decay=0.5).update([w], [0.0])
    >>> float(w.value)
    0.95
    """

    def __init__(
        self,
        lr: float | Schedule = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        weight_decay: float = 0.01,
        **clipping: Unpack[Clipping],
    ) -> None:
        Adam.__init__(self, lr, beta_1, beta_2, epsilon, **clipping)
        self.weight_decay = number("AdamW", "weight_decay", weight_decay)

    def _move(self, value: Any, grad: Any, lr: Any, *kept: Any) -> None:
        value -= (lr * self.weight_decay) * value
        Adam._move(self, value, grad, lr, *kept)


tell_wrong_calls(Adam)
tell_wrong_calls(AdamW)
