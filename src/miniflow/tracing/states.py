"""What nodes have set states to, as outputs of the program that replace inputs."""

from collections.abc import Collection, Mapping
from functools import partial
from typing import Any

import numpy as np

from miniflow.errors import FeedError
from miniflow.graph import Node
from miniflow.ir.program import Operand, Output, Variable
from miniflow.tracing.arrays import TracedArray, operand_of
from miniflow.tracing.trace import Storage
from miniflow.tracing.walk import Walk


def record_states(
    sets: Mapping[Node, tuple[Any, Node | None]], fed: Collection[Node], walk: Walk
) -> dict[Node, Operand]:
    """The new value of each state, in its dtype: state → operand.

    Raises FeedError if one of them is fed.
    """
    found = {}
    for state, (value, by) in sets.items():
        if state in fed:
            raise FeedError(f"{state} is fed, and {by or 'a node'} sets it: it is one of both.")
        variable = _input_of(state, walk)
        caller = state if by is None else by
        found[state] = walk.call(caller, "forward", partial(_in_its_type, variable, value))
    return found


def state_outputs(states: Mapping[Node, Operand], walk: Walk) -> list[Output]:
    """The outputs of the program for what is no longer what it was."""
    outputs = []
    for state, new in states.items():
        old = _input_of(state, walk)
        walk.trace.builder.name(new, old.name)
        if new is not old:
            outputs.append(Output(new, "parameter", old.name, old))
    return outputs


def _in_its_type(variable: Variable, value: Any) -> Operand:
    array: Any = np.zeros_like(TracedArray(Storage(variable)))
    array[...] = value
    return operand_of(array)


def _input_of(state: Node, walk: Walk) -> Variable:
    """The input of the program that is the value of a state."""
    return next(
        entry.variable
        for entry in walk.trace.builder.inputs
        if entry.origin is not None and entry.origin.index == walk.index[state]
    )
