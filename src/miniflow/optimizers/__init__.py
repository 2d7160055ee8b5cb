"""Optimizers: how parameters move, given their gradients.

    optimizer = Adam(lr=0.001)
    value, gradients = value_and_grad(loss, feed, wrt=parameters)
    optimizer.update(parameters, gradients)          # in place

An optimizer adds one formula to `Optimizer`, in `_move`. The same method serves the interpreter,
with arrays, and the compiler, with tracer arrays that record what NumPy was asked to do. So it is
plain NumPy, changes arrays in place, and has no Python `if` on a number that an array holds.

Whatever an optimizer remembers from update to update is an array in its flat dictionary `state`:
`"velocity.0"` belongs to the first parameter, `"velocity.1"` to the second. A checkpoint that keeps
these arrays keeps the optimizer. `"step"`, a 0-d int64 array, counts the updates; it is there where
something needs the count: a schedule, or Adam's correction.

Gradients may be clipped before they are used: `SGD(0.1, clipnorm=1.0)`. That, too, is NumPy that
`update` runs, and becomes a part of a compiled step (`clipping`).

A Python float times a float32 array is float32; a learning rate that a schedule computed from
`"step"` is float64, and is cast to each parameter's dtype first. So float32 stays float32. float16
is computed in float32, and so are the arrays that are kept for it; a parameter is rounded to
float16 once, at the end.

Adam and RMSprop divide by the root of a mean of squares. It is that root which they keep: squares
of gradients that are numbers of their dtype may be none, and the root of their mean always is one.
"""

import math
import numbers
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Unpack

import numpy as np

from miniflow.errors import GradientError, GraphError
from miniflow.graph import Node, Parameter
from miniflow.graph.checks import tell_wrong_calls
from miniflow.graph.half import widen
from miniflow.graph.means import hypot
from miniflow.graph.values import check_unmasked, describe, shape_of
from miniflow.optimizers.clipping import Clipping, checked_clipping, clip_gradients
from miniflow.options import OptionError, flag, number
from miniflow.residence import look_at, look_at_all

__all__ = ["SGD", "Adam", "AdamW", "Clipping", "Optimizer", "RMSprop"]

Schedule = Callable[[Any], Any]


class Optimizer:
    """What all optimizers share: the learning rate, the state, the checks; a subclass has `_move`.

    Args:
        lr: the learning rate, a number or a schedule.
        clipping: `clipnorm`, `global_clipnorm` or `clipvalue`, by keyword: see `Clipping`.

    Attributes:
        lr: the learning rate: a number, or a schedule (a function of the step; see
            `miniflow.schedules`). Assigning it takes effect at the next update.
        state: what is remembered: name → array.
        clipping: the bound that was given, if any: {"clipnorm": 1.0}.

    Raises:
        OptionError: lr is neither a number of at least 0 nor a schedule, or another option does not
            fit.
        CallError: there is no option of that name.

    A subclass names the arrays that it keeps for each parameter in `slots` and gets them, in that
    order, after the gradient:

    >>> class Sign(Optimizer):
    ...     slots = ("last",)
    ...     def _move(self, value, grad, lr, last):
    ...         value -= lr * np.sign(grad)
    ...         last[...] = grad
    >>> W = Parameter([1.0, 2.0], "W")
    >>> optimizer = Sign(lr=0.5)
    >>> optimizer.update([W], [np.array([3.0, -4.0])])
    >>> W.value, optimizer.state
    (array([0.5, 2.5]), {'last.0': array([ 3., -4.])})
    """

    slots: tuple[str, ...] = ()
    counts = False  # whether the formula itself needs state["step"]
    # What earlier versions kept: its slot → the slot of today, and what has become of the numbers.
    older_slots: Mapping[str, tuple[str, Callable[[Any], Any]]] = MappingProxyType({})

    clipping: dict[str, float] = {}  # noqa: RUF012 (never written to: an instance has its own)

    def __init__(self, lr: float | Schedule, **clipping: Unpack[Clipping]) -> None:
        self.lr = lr
        if bounds := checked_clipping(type(self).__name__, clipping):
            self.clipping = bounds
        self.state = {}

    @property
    def state(self) -> dict[str, np.ndarray[Any, Any]]:
        """What is remembered: name → array."""
        state: dict[str, np.ndarray[Any, Any]] = vars(self)["state"]
        look_at_all(state.values())  # what lies on a device comes home
        return state

    @state.setter
    def state(self, state: dict[str, np.ndarray[Any, Any]]) -> None:
        vars(self)["state"] = state

    @property
    def lr(self) -> Any:
        """The learning rate: a number, or a schedule."""
        return self._lr

    @lr.setter
    def lr(self, lr: Any) -> None:
        owner = type(self).__name__
        if isinstance(lr, np.ndarray) and lr.shape == ():
            lr = lr[()]
        if _is_traced(lr):
            pass  # a compiled step will be given the number
        elif isinstance(lr, numbers.Real):
            lr = number(owner, "lr", lr)
        elif isinstance(lr, (np.ndarray, type)) or not callable(lr):
            raise OptionError(
                f"{owner}: lr is a number, or a schedule (a function of the step), "
                f"not {describe(lr)}."
            )
        self._lr = lr

    def settings(self) -> dict[str, Any]:
        """What it keeps besides `lr` and `state`: attribute → value. A compiled step has these
        written into it, and is compiled anew when one of them changes.

        >>> SGD(0.1, momentum=0.9, clipnorm=1.0).settings()  # doctest: +NORMALIZE_WHITESPACE
        {'clipping': {'clipnorm': 1.0}, 'momentum': 0.9, 'nesterov': False, 'weight_decay': 0.0,
         'slots': ('velocity',)}
        """
        return {k: v for k, v in vars(self).items() if k not in ("state", "_lr")}

    def latest_lr(self) -> float:
        """The learning rate of the latest update, as a number; before the first, of the first.

        >>> SGD(0.1).latest_lr()
        0.1
        """
        kept = vars(self).get("state", {})  # the others stay where they lie
        step = max(int(look_at(kept.get("step", 0))) - 1, 0)
        return float(self._lr(step) if callable(self._lr) else self._lr)

    def prepare(self, parameters: Sequence[Parameter]) -> None:
        """Create the arrays of `state` that these parameters need and that are not there yet; a
        frozen one needs none.

        `update` calls it; so does whoever needs the arrays before the first update: a compiler, or
        the reader of a checkpoint.

        Raises GraphError if `state` belongs to other parameters, or one cannot be written to.
        """
        if (self.counts or callable(self._lr)) and "step" not in self.state:
            self.state["step"] = np.zeros((), np.int64)
        for i, parameter in enumerate(parameters):
            if not parameter.trainable:
                continue
            value, dtype = parameter.value, _computed_in(parameter.value.dtype)
            if type(value) is np.ndarray:  # and no tracer
                parameter.check_writable()
            for slot in self.slots:
                kept = self.state.get(f"{slot}.{i}")
                if kept is None:
                    self.state[f"{slot}.{i}"] = np.zeros_like(value, dtype)
                elif kept.shape != value.shape or kept.dtype != dtype:
                    raise GraphError(
                        f"{self}: its {slot} number {i} has shape {kept.shape} and dtype "
                        f"{kept.dtype}, and {parameter} has shape {value.shape} and dtype "
                        f"{value.dtype}: give each set of parameters an optimizer of its own."
                    )

    def update(self, parameters: Sequence[Parameter], gradients: Sequence[Any]) -> None:
        """Move each parameter once, in place, as its gradient says; but for those that are frozen
        (`W.trainable = False`).

        Args:
            parameters: always the same, in the same order: state is kept by position.
            gradients: one for each, in its shape; for one that is frozen whatever there is.

        Raises:
            GradientError: there are not as many gradients as parameters, or one has another shape.
            GraphError: something among `parameters` is not a `Parameter`.

        >>> W = Parameter([1.0, 2.0], "W")
        >>> SGD(lr=0.5).update([W], [np.array([1.0, -1.0])])
        >>> W.value
        array([0.5, 2.5])
        """
        self._check(parameters, gradients)
        self.prepare(parameters)
        moved = [i for i, parameter in enumerate(parameters) if parameter.trainable]
        if not moved:
            return
        gradients = clip_gradients(widen([gradients[i] for i in moved]), self.clipping)
        lr = self._lr
        if "step" in self.state:
            step = self.state["step"]
            if callable(lr):
                lr = self._rate_of_schedule(lr(step))
            step += 1
        for i, grad in zip(moved, gradients, strict=True):
            value = parameters[i].value
            kept = [self.state[f"{slot}.{i}"] for slot in self.slots]
            (wide,) = widen([value])  # float16 in float32, anything else itself
            self._move(wide, grad, _cast(lr, wide.dtype), *kept)
            if wide is not value:
                value[...] = wide

    update.skips_frozen = True  # type: ignore[attr-defined]

    def _rate_of_schedule(self, lr: Any) -> Any:
        """What a schedule returned, if it is one number."""
        if (isinstance(lr, numbers.Real) or hasattr(lr, "dtype")) and shape_of(lr) == ():
            return lr
        name = getattr(self._lr, "__name__", repr(self._lr))
        seen = f"an array of shape {shape_of(lr)}" if shape_of(lr) else describe(lr)
        raise OptionError(
            f"{type(self).__name__}: the schedule {name} returned {seen}: a learning rate is one "
            "number."
        )

    def _move(self, value: Any, grad: Any, lr: Any, *kept: Any) -> None:
        """Change `value`, and the arrays kept for it, in place."""
        raise NotImplementedError

    def _check(self, parameters: Sequence[Parameter], gradients: Sequence[Any]) -> None:
        if len(parameters) != len(gradients):
            raise GradientError(
                f"{self} was given {len(parameters)} parameters and {len(gradients)} gradients: "
                "one for each."
            )
        for parameter, grad in zip(parameters, gradients, strict=True):
            if not isinstance(parameter, Parameter):
                raise GraphError(f"{self} updates Parameters, and was given {describe(parameter)}.")
            if not parameter.trainable:
                continue
            check_unmasked(grad, parameter)
            if shape_of(grad) != parameter.value.shape:
                raise GradientError(
                    f"{self} was given a gradient of shape {shape_of(grad)} for {parameter}, "
                    f"which has shape {parameter.value.shape}."
                )

    def __repr__(self) -> str:
        shown = {k: v for k, v in self.settings().items() if k not in ("slots", "clipping")}
        options = ", ".join(f"{k}={v!r}" for k, v in (shown | self.clipping).items())
        return f"{type(self).__name__}(lr={self._lr!r}{', ' * bool(options)}{options})"


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
        _add_square(rms, self.beta_2, grad)
        step = self.state["step"]  # this update counted
        # Both quotients' corrections as two numbers, which costs nothing; a quotient comes first,
        # since a gradient times a learning rate may be no number.
        of_mean, of_rms = 1 - self.beta_1**step, np.sqrt(1 - self.beta_2**step)
        lr, epsilon = lr * (of_rms / of_mean), self.epsilon * of_rms
        value -= _cast(lr, value.dtype) * (mean / (rms + _cast(epsilon, value.dtype)))

    def prepare(self, parameters: Sequence[Parameter]) -> None:
        _check_epsilon(self, math.sqrt(1 - self.beta_2), parameters)
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
        _add_square(rms, self.rho, grad)
        value -= lr * (grad / (rms + self.epsilon))

    def prepare(self, parameters: Sequence[Parameter]) -> None:
        _check_epsilon(self, 1.0, parameters)
        Optimizer.prepare(self, parameters)


def _add_square(rms: Any, share: float, grad: Any) -> None:
    """Root and all: rms² ← share · rms² + (1 - share) · grad²."""
    rms *= math.sqrt(share)
    hypot(rms, math.sqrt(1 - share) * grad, out=rms)


def _check_epsilon(optimizer: Any, factor: float, parameters: Sequence[Parameter]) -> None:
    """Raise OptionError for an epsilon that is not 0, and would be by the time that it is used."""
    epsilon = optimizer.epsilon
    for parameter in parameters:
        dtype = _computed_in(parameter.value.dtype)
        if parameter.trainable and epsilon and not dtype.type(epsilon * factor):
            raise OptionError(
                f"{type(optimizer).__name__}: epsilon={epsilon!r} is too small for {parameter}, "
                f"which is updated in {dtype}: there it is 0."
            )


def _computed_in(dtype: Any) -> Any:
    """The dtype in which parameters of a dtype are updated."""
    return np.dtype(np.float32) if dtype == np.float16 else dtype


def _is_traced(x: Any) -> bool:
    """Whether this stands for a number that a compiled step is given."""
    return hasattr(x, "__array_ufunc__") and not isinstance(x, (Node, np.ndarray, np.generic))


def _cast(x: Any, dtype: Any) -> Any:
    """A scalar in the dtype of what it meets; a Python number adapts itself (NEP 50)."""
    return x.astype(dtype) if hasattr(x, "dtype") else x


for _optimizer in (SGD, Adam, AdamW, RMSprop):
    tell_wrong_calls(_optimizer)
