"""RMSprop: steps scaled by the root of the mean square of the gradients."""

from collections.abc import Sequence
from typing import Any, Unpack

from miniflow.graph import Parameter
from miniflow.graph.checks import tell_wrong_calls
from miniflow.optimizers.adam import Adam
from miniflow.optimizers.clipping import Clipping
from miniflow.optimizers.mean_squares import add_square, check_epsilon
from miniflow.optimizers.optimizer import Optimizer, Schedule
from miniflow.options import number


class RMSprop(Optimizer):
    """Each entry's step is scaled by the root of the mean square of its gradients.

        s ← rho · s + (1 - rho) · g²
        w ← w - lr · g / (√s + epsilon)

    Of s the root is kept (`"rms"`), as by `Adam`.

    Args:
        lr: the learning rate, a number or a schedule; 0.001 by default.
        rho: how much of the mean square is kept, in [0, 1); 0.9 by default.
        epsilon: keeps the quotient finite; 1e-7 by default.
        clipping: as for every optimizer; see `Clipping`.

    Raises:
        OptionError: lr is neither a number of at least 0 nor a schedule, or another option does not
            fit.
        CallError: there is no option of that name.

    Source: Tieleman and Hinton, "Lecture 6.5: rmsprop", Neural Networks for Machine Learning, 2012.

    >>> w = Parameter(1.0, "w")
    >>> RMSprop(lr=0.1, rho=0.75).update([w], [8.0])
    >>> round(float(w.value), 6)
    0.8
    """

    slots = ("rms",)
    older_slots = Adam.older_slots

    def __init__(
        self,
        lr: float | Schedule = 0.001,
        rho: float = 0.9,
        epsilon: float = 1e-7,
        **clipping: Unpack[Clipping],
    ) -> None:
        Optimizer.__init__(self, lr, **clipping)
        self.rho = number("RMSprop", "rho", rho, below=1.0)
        self.epsilon = number("RMSprop", "epsilon", epsilon)

    def _move(self, value: Any, grad: Any, lr: Any, *kept: Any) -> None:
        (rms,) = kept
        add_square(rms, self.rho, grad)
        value -= lr * (grad / (rms + self.epsilon))

    def prepare(self, parameters: Sequence[Parameter]) -> None:
        check_epsilon(self, 1.0, parameters)
        Optimizer.prepare(self, parameters)


tell_wrong_calls(RMSprop)
