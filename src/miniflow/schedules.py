"""Learning rates that change from update to update.

A schedule is a function of `step`, the number of updates made so far (0 for the first), and is
given to an optimizer in place of a number: `SGD(lr=CosineDecay(0.1, steps=4300))`. All lengths are
in updates; an epoch has as many of them as there are batches.

`step` may be an int or a whole number in a 0-d array, and also a tracer that records what NumPy was
asked to do. So there is no Python `if` on it: each formula is one expression.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from miniflow.graph.checks import is_listed, tell_wrong_calls
from miniflow.graph.values import describe
from miniflow.options import OptionError, number, whole

__all__ = [
    "CosineDecay",
    "ExponentialDecay",
    "OneCycle",
    "PiecewiseConstant",
    "StepDecay",
]


@dataclass(frozen=True)
class StepDecay:
    """`lr · factor^⌊step / every⌋`: a drop every so many updates.

    Args:
        lr: the first learning rate.
        every: updates from one drop to the next.
        factor: what a drop multiplies by; 0.1 by default.

    Raises:
        OptionError: a number does not fit; the message says which would.

    >>> schedule = StepDecay(0.1, every=100, factor=0.5)
    >>> [float(schedule(step)) for step in (0, 99, 100, 250)]
    [0.1, 0.1, 0.05, 0.025]
    """

    lr: float
    every: int
    factor: float = 0.1

    def __post_init__(self) -> None:
        number("StepDecay", "lr", self.lr)
        whole("StepDecay", "every", self.every, least=1)
        number("StepDecay", "factor", self.factor)

    def __call__(self, step: Any) -> Any:
        return self.lr * np.power(float(self.factor), step // self.every)


@dataclass(frozen=True)
class ExponentialDecay:
    """`lr · factor^(step / steps)`: the same share less with every update.

    Args:
        lr: the first learning rate.
        steps: updates in which it is multiplied by `factor` once.
        factor: 0.1 by default.

    Raises:
        OptionError: a number does not fit; the message says which would.

    >>> schedule = ExponentialDecay(0.1, steps=100, factor=0.25)
    >>> [float(schedule(step)) for step in (0, 50, 100)]
    [0.1, 0.05, 0.025]
    """

    lr: float
    steps: int
    factor: float = 0.1

    def __post_init__(self) -> None:
        number("ExponentialDecay", "lr", self.lr)
        whole("ExponentialDecay", "steps", self.steps, least=1)
        number("ExponentialDecay", "factor", self.factor)

    def __call__(self, step: Any) -> Any:
        return self.lr * np.power(float(self.factor), step / self.steps)


@dataclass(frozen=True)
class CosineDecay:
    """Half a cosine, from `lr` down to `final`; before it, if asked for, a linear warm-up.

        step < warmup:  lr · (step + 1) / warmup
        then:           final + (lr - final) · (1 + cos(π t)) / 2

    where t = (step - warmup) / (steps - warmup), and `final` from `steps` on.

    Args:
        lr: the largest learning rate.
        steps: updates in all, warm-up included.
        warmup: updates of warm-up; 0 by default.
        final: the last learning rate; 0 by default.

    Raises:
        OptionError: a number does not fit; the message says which would.

    Source: Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", 2017 (one
    cycle of it); the warm-up: Goyal et al., "Accurate, Large Minibatch SGD", 2017.

    >>> schedule = CosineDecay(0.1, steps=110, warmup=10)
    >>> [round(float(schedule(step)), 4) for step in (0, 9, 10, 60, 110, 500)]
    [0.01, 0.1, 0.1, 0.05, 0.0, 0.0]
    """

    lr: float
    steps: int
    warmup: int = 0
    final: float = 0.0

    def __post_init__(self) -> None:
        number("CosineDecay", "lr", self.lr)
        whole("CosineDecay", "steps", self.steps, least=1)
        whole("CosineDecay", "warmup", self.warmup, least=0)
        number("CosineDecay", "final", self.final)
        if self.warmup >= self.steps:
            raise OptionError(
                f"CosineDecay: a warm-up of {self.warmup} updates leaves nothing of {self.steps}."
            )

    def __call__(self, step: Any) -> Any:
        warmup = max(self.warmup, 1)
        rising = self.lr * (np.minimum(step + 1, warmup) / warmup)  # never above lr
        falling = _cosine(self.lr, self.final, (step - self.warmup) / (self.steps - self.warmup))
        return np.where(step < self.warmup, rising, falling)


@dataclass(frozen=True)
class OneCycle:
    """Up along half a cosine from `lr / start` to `lr`, and down along another to `lr / end`.

    Args:
        lr: the largest learning rate.
        steps: updates in all.
        rise: the share of them in which it rises; 0.3 by default.
        start: what `lr` is divided by at the beginning; 25 by default.
        end: what `lr` is divided by at the end; 10,000 by default.

    Raises:
        OptionError: a number does not fit; the message says which would.

    Source: Smith and Topin, "Super-Convergence: Very Fast Training of Neural Networks Using Large
    Learning Rates", 2018, with cosines for the straight lines.

    >>> schedule = OneCycle(1.0, steps=100)
    >>> [round(float(schedule(step)), 4) for step in (0, 15, 30, 65, 100)]
    [0.04, 0.52, 1.0, 0.5, 0.0001]
    """

    lr: float
    steps: int
    rise: float = 0.3
    start: float = 25.0
    end: float = 1e4

    def __post_init__(self) -> None:
        number("OneCycle", "lr", self.lr)
        whole("OneCycle", "steps", self.steps, least=1)
        number("OneCycle", "rise", self.rise, below=1.0)
        number("OneCycle", "start", self.start, least=1.0)
        number("OneCycle", "end", self.end, least=1.0)

    def __call__(self, step: Any) -> Any:
        peak = self.rise * self.steps
        rising = _cosine(self.lr / self.start, self.lr, step / max(peak, 1))
        falling = _cosine(self.lr, self.lr / self.end, (step - peak) / (self.steps - peak))
        return np.where(step < peak, rising, falling)


@dataclass(frozen=True)
class PiecewiseConstant:
    """`values[0]` before update `boundaries[0]`, `values[1]` from there on, and so forth.

    Args:
        boundaries: the updates at which the learning rate changes, in rising order.
        values: the learning rates, one more than there are boundaries.

    Raises:
        OptionError: a number does not fit; the message says which would.

    >>> schedule = PiecewiseConstant([100, 200], [0.1, 0.01, 0.001])
    >>> [float(schedule(step)) for step in (0, 99, 100, 200)]
    [0.1, 0.1, 0.01, 0.001]
    """

    boundaries: Sequence[int]
    values: Sequence[float]

    def __post_init__(self) -> None:
        for name in ("boundaries", "values"):
            if not is_listed(getattr(self, name)):
                seen = describe(getattr(self, name))
                raise OptionError(f"PiecewiseConstant: {name} is a list of numbers, not {seen}.")
        for boundary in self.boundaries:
            whole("PiecewiseConstant", "a boundary", boundary, least=0)
        for value in self.values:
            number("PiecewiseConstant", "a value", value)
        if list(self.boundaries) != sorted(set(self.boundaries)):
            raise OptionError(
                f"PiecewiseConstant: boundaries rise from each to the next, not {self.boundaries}."
            )
        if len(self.values) != len(self.boundaries) + 1:
            raise OptionError(
                f"PiecewiseConstant: {len(self.boundaries)} boundaries take "
                f"{len(self.boundaries) + 1} values, not {len(self.values)}."
            )

    def __call__(self, step: Any) -> Any:
        lr: Any = float(self.values[0])
        for boundary, value in zip(self.boundaries, self.values[1:], strict=True):
            lr = np.where(step >= boundary, float(value), lr)
        return lr


def _cosine(first: float, last: float, progress: Any) -> Any:
    """From `first` to `last` along half a cosine, as `progress` goes from 0 to 1; then `last`."""
    bounded = np.minimum(np.maximum(progress, 0.0), 1.0)
    return last + (first - last) * (1 + np.cos(math.pi * bounded)) / 2


_INSTEAD = {"decay_steps": "write steps=", "decay_rate": "write factor=", "gamma": "write factor="}

for _name in __all__:
    tell_wrong_calls(globals()[_name], _INSTEAD)
