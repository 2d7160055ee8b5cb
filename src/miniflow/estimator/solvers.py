"""What moves a perceptron's arrays: scikit-learn's solvers to the letter, and miniflow's others.

Two of the formulas differ from those of `miniflow.optimizers` in a way that shows: scikit-learn's
momentum keeps steps, learning rate included, where ours keeps gradients, which is another thing
once the rate changes; and its epsilon stands beside the root before the correction, where ours
stands beside the corrected one, which is another thing for an entry whose gradients are tiny.

`Rate` is how the learning rate of "sgd" goes down, epoch by epoch.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np

from miniflow.optimizers import SGD, Adam, AdamW, Optimizer, RMSprop

SOLVERS: Final = ("adam", "adamw", "rmsprop", "sgd")
RATES: Final = ("constant", "invscaling", "adaptive")
LEAST_ADAPTIVE: Final = 1e-6  # a rate of at most that is not divided again
ADAPTIVE_DIVISOR: Final = 5.0


class Settings(NamedTuple):
    """What is chosen about a solver; a schedule or a number is its learning rate."""

    solver: str
    lr: Any
    momentum: float
    nesterov: bool
    beta_1: float
    beta_2: float
    epsilon: float

    def optimizer(self) -> Optimizer:
        """A new optimizer with these settings."""
        if self.solver == "sgd":
            return StepMomentum(self.lr, momentum=self.momentum, nesterov=self.nesterov)
        if self.solver == "rmsprop":
            return RMSprop(self.lr)
        kind = AdamW if self.solver == "adamw" else UncorrectedEpsilonAdam
        return kind(self.lr, self.beta_1, self.beta_2, self.epsilon)


class SolverGroup(NamedTuple):
    """Some arrays, by their names, and what moves them."""

    settings: Settings
    names: tuple[str, ...]


class StepMomentum(SGD):
    """Stochastic gradient descent whose velocity is a sum of steps.

    v ← momentum · v - lr · g
    w ← w + v                         Nesterov: w ← w + momentum · v - lr · g
    """

    def _move(self, value: Any, grad: Any, lr: Any, *kept: Any) -> None:
        step = lr * grad
        if not kept:
            value -= step
            return
        (velocity,) = kept
        velocity *= self.momentum
        velocity -= step
        value += self.momentum * velocity - step if self.nesterov else velocity


class UncorrectedEpsilonAdam(Adam):
    """Adam with the order of computation of Kingma and Ba's section 2, whose epsilon is not
    corrected.

        w ← w - lr · √(1 - beta_2^t) / (1 - beta_1^t) · m / (√v + epsilon)
    """

    slots = ("mean", "square")

    def _move(self, value: Any, grad: Any, lr: Any, *kept: Any) -> None:
        mean, square = kept
        mean *= self.beta_1
        mean += (1 - self.beta_1) * grad
        square *= self.beta_2
        square += (1 - self.beta_2) * (grad * grad)
        step = self.state["step"]  # this update counted
        correction = np.sqrt(1 - self.beta_2**step) / (1 - self.beta_1**step)
        move = np.sqrt(square)
        move += self.epsilon
        value -= (lr * correction.astype(value.dtype)) * (mean / move)


class Rate:
    """The learning rate of "sgd" from epoch to epoch.

    constant     lr
    invscaling   lr / (t + 1)^power_t, t the examples seen
    adaptive     lr, divided by 5 whenever the training would otherwise end
    """

    def __init__(self, kind: str, first: Any, power_t: float) -> None:
        self.kind, self.first, self.power_t = kind, first, power_t

    def end_epoch(self, optimizer: Optimizer, examples_seen: int) -> None:
        """Lower the rate of "invscaling"."""
        if self.kind == "invscaling":
            optimizer.lr = float(self.first) / (examples_seen + 1) ** self.power_t

    def go_on(self, optimizer: Optimizer) -> bool:
        """Whether a training that has come to rest goes on, with a lower rate."""
        rate = optimizer.lr
        if self.kind != "adaptive" or not isinstance(rate, float) or rate <= LEAST_ADAPTIVE:
            return False
        optimizer.lr = rate / ADAPTIVE_DIVISOR
        return True
