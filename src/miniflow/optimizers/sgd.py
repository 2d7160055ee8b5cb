"""Stochastic gradient descent, with momentum and weight decay."""

from typing import Any, Unpack

from miniflow.graph.checks import tell_wrong_calls
from miniflow.optimizers.clipping import Clipping
from miniflow.optimizers.optimizer import Optimizer, Schedule
from miniflow.options import OptionError, flag, number


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum and weight decay if asked for.

        g ← g + weight_decay · w
        v ← momentum · v + g
        w ← w - lr · v                    Nesterov: w ← w - lr · (g + momentum · v)

    Args:
        lr: the learning rate, a number or a schedule; 0.1 by default.
        momentum: in [0, 1); 0 by default.
        nesterov: look ahead along the momentum; False by default.
        weight_decay: pulls every weight towards 0 in proportion to its size; 0 by default.
        clipping: as for every optimizer; see `Clipping`.

    Raises:
        OptionError: lr is neither a number of at least 0 nor a schedule, or another option does not
            fit.
        CallError: there is no option of that name.

    Without momentum and with a number for `lr` it keeps no state at all.

    Sources: Robbins and Monro, "A Stochastic Approximation Method", 1951; Polyak, "Some methods of
    speeding up the convergence of iteration methods", 1964; Sutskever et al., "On the importance of
    initialization and momentum in deep learning", 2013.

    >>> from miniflow.graph import Parameter
    >>> w = Parameter(1.0, "w")
    >>> optimizer = SGD(lr=0.1, momentum=0.9)
    >>> for _ in range(2):
    ...     optimizer.update([w], [2.0])
    >>> w.value.round(6), optimizer.state
    (np.float64(0.42), {'velocity.0': array(3.8)})
    """

    def __init__(
        self,
        lr: float | Schedule = 0.1,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
        **clipping: Unpack[Clipping],
    ) -> None:
        Optimizer.__init__(self, lr, **clipping)
        self.momentum = number("SGD", "momentum", momentum, below=1.0)
        self.nesterov = flag("SGD", "nesterov", nesterov)
        self.weight_decay = number("SGD", "weight_decay", weight_decay)
        self.slots = ("velocity",) if self.momentum else ()
        if self.nesterov and not self.momentum:
            raise OptionError("SGD: nesterov=True needs a momentum above 0.")

    def _move(self, value: Any, grad: Any, lr: Any, *kept: Any) -> None:
        if self.weight_decay:
            grad = grad + self.weight_decay * value
        if kept:
            (velocity,) = kept
            velocity *= self.momentum
            velocity += grad
            grad = grad + self.momentum * velocity if self.nesterov else velocity
        value -= lr * grad


tell_wrong_calls(SGD)
