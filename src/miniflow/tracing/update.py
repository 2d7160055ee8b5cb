"""The optimizer's own `update`, recorded: the last part of a training step's program.

What it moves and what it remembers, the parameters and the arrays in its `state`, are inputs of the
program, and so is a learning rate that is a number. All else that it keeps, its settings, is
written into the program.
"""

import copy
import operator
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Protocol

import numpy as np

from miniflow.errors import CompileError
from miniflow.graph import Parameter
from miniflow.graph.values import describe
from miniflow.interpreter.selection import move, parts_of, with_none_for_frozen
from miniflow.ir.dtypes import ValueType, same_bits, type_of
from miniflow.ir.program import Operand, Origin, Output, Variable
from miniflow.tracing.arrays import TracedArray, TracedPython, operand_of, wrap
from miniflow.tracing.trace import Storage
from miniflow.tracing.traced import is_traced
from miniflow.tracing.walk import Walk


class OptimizerLike(Protocol):
    """What the recorder needs of an optimizer: its arrays in `state`, and `update`, in plain NumPy.
    (miniflow's own say what else they keep in `settings`; see `settings_of`.)
    """

    lr: Any
    state: dict[str, Any]

    def update(self, parameters: Sequence[Parameter], gradients: Sequence[Any]) -> None:
        """Change the parameters' values in place."""


def has_number_for_rate(optimizer: Any) -> bool:
    """Whether the learning rate is a number: then it is an argument of the program."""
    return isinstance(optimizer.lr, (int, float))


def rates_of(optimizer: Any) -> dict[str, Any]:
    """The learning rates that are arguments of the program: name of the input → whose it is."""
    parts = parts_of(optimizer)
    return {f"{prefix}lr": part for prefix, part in parts if has_number_for_rate(part)}


def states_of(optimizer: Any) -> dict[str, tuple[Any, str]]:
    """What is remembered from update to update: name of the input → whose, and by what name."""
    parts = parts_of(optimizer)
    return {prefix + key: (part, key) for prefix, part in parts for key in part.state}


def record_update(
    parameters: Sequence[Parameter],
    gradients: Sequence[Operand],
    optimizer: OptimizerLike,
    walk: Walk,
) -> tuple[list[Output], list[Variable]]:
    """Run the optimizer's own `update` on tracers; the program puts out what has changed.

    Args:
        parameters: all that it may move. gradients: one for each that is not frozen.
        optimizer: what moves them. walk: of the recording.
    """
    builder = walk.trace.builder
    owner = type(optimizer).__name__
    walk.trace.origin = Origin(owner, "", "update")
    inputs = {
        entry.origin.index: entry.variable for entry in builder.inputs if entry.origin is not None
    }
    before: dict[str, tuple[str, Variable]] = {}
    given = with_none_for_frozen(parameters, [wrap(gradient) for gradient in gradients])
    trained = [parameter for parameter in parameters if parameter.trainable]
    for i, parameter in enumerate(trained):
        variable = inputs[walk.index[parameter]]
        before[f"parameter {i}"] = "parameter", variable
        parameter.forward(TracedArray(Storage(variable)))
    parts = [part for _, part in parts_of(optimizer)]
    traced: list[dict[str, Any]] = [{} for _ in parts]
    for name, (part, key) in states_of(optimizer).items():
        type_ = _type_of_state(type(part).__name__, key, part.state[key])
        variable = builder.input(type_, "state", name)
        before[f"state {name}"] = "state", variable
        traced[parts.index(part)][key] = TracedArray(Storage(variable))
    kept = [_copy_attributes(vars(part)) for part in parts]
    try:
        for part, state in zip(parts, traced, strict=True):
            part.state = state
        for name, part in rates_of(optimizer).items():
            rate = TracedPython(builder.input(ValueType("f64", (), "python"), "hyper", name))
            walk.guard(type(part).__name__, "update", partial(_give_rate, part, rate))
        before_update = [_copy_attributes(vars(part)) for part in parts]
        walk.guard(owner, "update", lambda: move(optimizer, parameters, given))
        for part, attributes in zip(parts, before_update, strict=True):
            _check_unchanged(part, attributes)
        after = {f"parameter {i}": p.value for i, p in enumerate(trained)}
        after |= {f"state {n}": part.state[k] for n, (part, k) in states_of(optimizer).items()}
        updated = [variable for _, variable in before.values()]
        return _replacements(owner, before, after, walk), updated
    finally:
        for part, attributes in zip(parts, kept, strict=True):
            part.__dict__.clear()
            part.__dict__.update(attributes)


def _type_of_state(owner: str, key: str, array: Any) -> ValueType:
    if not isinstance(array, np.ndarray):
        raise CompileError(
            f"{owner}: state[{key!r}] is {describe(array)}: what an optimizer keeps in its state "
            "are arrays (np.zeros(()) for a number), which a program can update in place."
        )
    return type_of(array)


def _give_rate(optimizer: Any, rate: Any) -> None:
    if "_lr" in vars(optimizer) and not hasattr(type(optimizer), "settings"):
        vars(optimizer)["_lr"] = rate  # past a property that would ask for the number
    else:
        optimizer.lr = rate


def _copy_attributes(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes, with copies of the lists, dictionaries and arrays among them."""
    return {
        name: copy.copy(value) if isinstance(value, (list, dict, set, np.ndarray)) else value
        for name, value in attributes.items()
    }


def _check_unchanged(optimizer: Any, before: Mapping[str, Any]) -> None:
    """A number that an optimizer keeps outside of `state` would stand still in a program."""
    now = vars(optimizer)
    for name in sorted((now.keys() | before.keys()) - {"state"}):
        if name not in now or name not in before or not _is_same(now[name], before[name]):
            shown = "lr" if name == "_lr" else name
            raise CompileError(
                f"{type(optimizer).__name__}: update changes self.{shown}, which a "
                "compiled step would not do. Keep what is remembered from update to update in "
                "self.state, as arrays. The interpreter (mf.value_and_grad, then update) runs it "
                "as it is."
            )


def _is_same(now: Any, before: Any) -> bool:
    if type(now) is not type(before) or is_traced(now):
        return now is before  # the learning rate
    if isinstance(now, np.ndarray):
        return same_bits(now, before)
    if isinstance(now, (list, dict)):
        entries = [list(x.values()) if isinstance(x, dict) else x for x in (now, before)]
        return len(now) == len(before) and all(map(operator.is_, *entries))
    return now is before or bool(now == before)


def _replacements(
    owner: str,
    before: Mapping[str, tuple[str, Variable]],
    after: Mapping[str, Any],
    walk: Walk,
) -> list[Output]:
    """The outputs of the program for what is no longer what it was."""
    if gone := sorted(before.keys() ^ after.keys()):
        raise CompileError(
            f"{owner}: update changes which arrays there are in self.state ({gone[0]}): "
            "make them in prepare(self, parameters), which is called before the first update."
        )
    outputs = []
    for key, (role, variable) in before.items():
        contents = operand_of(after[key])
        if contents.type != variable.type:
            raise CompileError(
                f"{owner}: update makes {contents.type} of {key}, which was {variable.type}: "
                "change it in place (value -= step), or cast it."
            )
        walk.trace.builder.name(contents, variable.name)
        if contents is not variable:
            outputs.append(Output(contents, role, variable.name, variable))
    return outputs
