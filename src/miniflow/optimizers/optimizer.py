"""What all optimizers share: the learning rate, the state, the checks, and when what is updated.

Whatever an optimizer remembers from update to update is an array in its flat dictionary `state`:
`"velocity.0"` belongs to the first parameter, `"velocity.1"` to the second. A checkpoint that keeps
these arrays keeps the optimizer. `"step"`, a 0-d int64 array, counts the updates; it is there where
something needs the count: a schedule, or Adam's correction. The dictionary knows whose arrays these
are, and others are refused: moments of one network would move another without a word. A copy of the
optimizer, and arrays that are assigned to `state`, belong to whoever comes first.

A Python float times a float32 array is float32; a learning rate that a schedule computed from
`"step"` is float64, and is cast to each parameter's dtype first. So float32 stays float32. float16
is computed in float32, and so are the arrays that are kept for it; a parameter is rounded to
float16 once, at the end.
"""

import numbers
import weakref
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Unpack

import numpy as np

from miniflow.errors import GradientError, GraphError
from miniflow.graph import Node, Parameter
from miniflow.graph.half import widen
from miniflow.graph.lines import aligned_zeros
from miniflow.graph.values import as_value, describe, read_only, shape_of
from miniflow.optimizers.clipping import Clipping, checked_clipping, clip_gradients
from miniflow.options import OptionError, number
from miniflow.residence import look_at, look_at_all

Schedule = Callable[[Any], Any]
Array = np.ndarray[Any, Any]


class OptimizerState(dict[str, Array]):
    """What an optimizer remembers, name → array, and whose it is.

    Attributes:
        owners: the place of a parameter → the parameter, held weakly, and what it is called.
    """

    def __init__(self, arrays: Mapping[str, Array] = MappingProxyType({})) -> None:
        super().__init__(arrays)
        self.owners: dict[int, tuple[weakref.ref[Parameter], str]] = {}

    def check_owners(self, who: Any, parameters: Sequence[Parameter]) -> None:
        """Raise GraphError if there are arrays of other parameters."""
        if not self:
            self.owners.clear()
        for place, (owner, name) in self.owners.items():
            if place < len(parameters) and owner() is not parameters[place]:
                raise GraphError(
                    f"{who}: its state belongs to {name}, and now it is to move "
                    f"{parameters[place]}: give each set of parameters an optimizer of its own, or "
                    "let it begin anew, optimizer.state = {}."
                )

    def belong_to(self, parameters: Sequence[Parameter]) -> None:
        """Belong to these parameters from now on, if there are arrays."""
        for place in range(len(self.owners), len(parameters) if self else 0):
            parameter = parameters[place]
            self.owners[place] = weakref.ref(parameter), str(parameter)

    def __copy__(self) -> "OptimizerState":
        copied = OptimizerState(self)
        copied.owners = dict(self.owners)
        return copied

    def __reduce__(self) -> Any:  # deep copies and pickles are nobody's
        return OptimizerState, (dict(self),)


class Optimizer:
    """What all optimizers share: the learning rate, the state, the checks; a subclass has `_move`.

    Args:
        lr: the learning rate, a number or a schedule.
        clipping: `clipnorm`, `global_clipnorm` or `clipvalue`, by keyword: see `Clipping`.

    Attributes:
        lr: the learning rate: a number, or a schedule (a function of the step; see
            `miniflow.schedules`). Assigning it takes effect at the next update.
        state: what is remembered: name → array.
            It belongs to the parameters that were moved first; `optimizer.state = {}` begins anew,
            and `optimizer.state = dict(optimizer.state)` goes on with others in their place.
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
    def state(self) -> dict[str, Array]:
        """What is remembered: name → array."""
        state: dict[str, Array] = vars(self)["state"]
        look_at_all(state.values())  # what lies on a device comes home
        return state

    @state.setter
    def state(self, state: Mapping[str, Array]) -> None:
        vars(self)["state"] = OptimizerState(state)

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

        >>> import miniflow as mf
        >>> mf.SGD(0.1, momentum=0.9, clipnorm=1.0).settings()  # doctest: +NORMALIZE_WHITESPACE
        {'clipping': {'clipnorm': 1.0}, 'momentum': 0.9, 'nesterov': False, 'weight_decay': 0.0,
         'slots': ('velocity',)}
        """
        return {k: v for k, v in vars(self).items() if k not in ("state", "_lr")}

    def latest_lr(self) -> float:
        """The learning rate of the latest update, as a number; before the first, of the first.

        >>> import miniflow as mf
        >>> mf.SGD(0.1).latest_lr()
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
        kept = vars(self).get("state")
        if isinstance(kept, OptimizerState):
            kept.check_owners(self, parameters)
        if (self.counts or callable(self._lr)) and "step" not in self.state:
            self.state["step"] = np.zeros((), np.int64)
        for i, parameter in enumerate(parameters):
            if not parameter.trainable:
                continue
            value, dtype = parameter.value, update_dtype(parameter.value.dtype)
            if type(value) is np.ndarray:  # and no tracer
                parameter.check_writable()
            for slot in self.slots:
                array = self.state.get(f"{slot}.{i}")
                if array is None:
                    zeros = aligned_zeros if type(value) is np.ndarray else np.zeros
                    self.state[f"{slot}.{i}"] = zeros(value.shape, dtype)
                elif array.shape != value.shape or array.dtype != dtype:
                    raise GraphError(
                        f"{self}: its {slot} number {i} has shape {array.shape} and dtype "
                        f"{array.dtype}, and {parameter} has shape {value.shape} and dtype "
                        f"{value.dtype}: give each set of parameters an optimizer of its own."
                    )
        if isinstance(kept, OptimizerState):
            kept.belong_to(parameters)

    def update(self, parameters: Sequence[Parameter], gradients: Sequence[Any]) -> None:
        """Move each parameter once, in place, as its gradient says; but for those that are frozen
        (`W.trainable = False`).

        Args:
            parameters: always the same, in the same order: state is kept by position.
            gradients: one for each, in its shape; for one that is frozen whatever there is.

        Raises:
            GradientError: there are not as many gradients as parameters, or one has another shape.
            GraphError: something among `parameters` is not a `Parameter`.

        >>> import miniflow as mf
        >>> W = mf.Parameter([1.0, 2.0], "W")
        >>> mf.SGD(lr=0.5).update([W], [np.array([1.0, -1.0])])
        >>> W.value
        array([0.5, 2.5])
        """
        gradients = self._as_gradients(parameters, gradients)
        self.prepare(parameters)
        moved = [i for i, parameter in enumerate(parameters) if parameter.trainable]
        if not moved:
            return
        gradients = clip_gradients(widen([gradients[i] for i in moved]), self.clipping)
        lr = self._lr
        if "step" in self.state:
            step = self.state["step"]
            if callable(lr):
                lr = self._rate_of_schedule(lr(read_only(step)))
            step += 1
        for i, grad in zip(moved, gradients, strict=True):
            value = parameters[i].value
            kept = [self.state[f"{slot}.{i}"] for slot in self.slots]
            (wide,) = widen([value])  # float16 in float32, anything else itself
            self._move(wide, grad, cast(lr, wide.dtype), *kept)
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

    def _as_gradients(self, parameters: Sequence[Parameter], gradients: Sequence[Any]) -> list[Any]:
        """The gradients, those that are lists as arrays."""
        if len(parameters) != len(gradients):
            raise GradientError(
                f"{self} was given {len(parameters)} parameters and {len(gradients)} gradients: "
                "one for each."
            )
        checked = list(gradients)
        for i, (parameter, grad) in enumerate(zip(parameters, checked, strict=True)):
            if not isinstance(parameter, Parameter):
                raise GraphError(f"{self} updates Parameters, and was given {describe(parameter)}.")
            if not parameter.trainable:
                continue
            is_plain = type(grad) is np.ndarray and grad.dtype.kind in "fiub"
            if not is_plain and not _is_traced(grad):
                grad = checked[i] = as_value(grad, f"{self}, for {parameter},")
            if shape_of(grad) != parameter.value.shape:
                raise GradientError(
                    f"{self} was given a gradient of shape {shape_of(grad)} for {parameter}, "
                    f"which has shape {parameter.value.shape}."
                )
        return checked

    def __repr__(self) -> str:
        shown = {k: v for k, v in self.settings().items() if k not in ("slots", "clipping")}
        options = ", ".join(f"{k}={v!r}" for k, v in (shown | self.clipping).items())
        return f"{type(self).__name__}(lr={self._lr!r}{', ' * bool(options)}{options})"


def update_dtype(dtype: Any) -> Any:
    """The dtype in which parameters of a dtype are updated."""
    return np.dtype(np.float32) if dtype == np.float16 else dtype


def _is_traced(x: Any) -> bool:
    """Whether this stands for a number that a compiled step is given."""
    if isinstance(x, (Node, np.ndarray, np.generic)) or hasattr(x, "to_numpy"):  # a column's
        return False
    return hasattr(x, "__array_ufunc__")


def cast(x: Any, dtype: Any) -> Any:
    """A scalar in the dtype of what it meets; a Python number adapts itself (NEP 50)."""
    return x.astype(dtype) if hasattr(x, "dtype") else x
