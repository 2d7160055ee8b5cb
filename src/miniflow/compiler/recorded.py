"""A compiled step as it was recorded: what is exported, rather than what one backend made of it."""

from typing import Any, NamedTuple

import numpy as np

from miniflow.compiler.compiled import Compiled
from miniflow.compiler.making import prepare_arrays
from miniflow.errors import CompileError, MiniflowError
from miniflow.graph import Node
from miniflow.interpreter.passes import one_pass_at_a_time
from miniflow.ir.program import Input, Program
from miniflow.passes.finite import check_new_values, check_states
from miniflow.tracing.update import rates_of, states_of


class RecordedStep(NamedTuple):
    """A training step for the shapes of its last call.

    Attributes:
        program: forward, backward and update, before any pass; it has a check of all that it
            updates.
        values: for each input, the array or the number that it has now: a parameter's, the
            optimizer's, the learning rate; None for what is fed.
    """

    program: Program
    values: list[Any]


def recorded_step(step: Compiled) -> RecordedStep:
    """The program of a step's last call, recorded once more, and the values of its inputs.

    Raises:
        CompileError: it was never called, so that no shapes are known, or it has no optimizer and
            sets no state.
    """
    optimizer = step._optimizer
    if optimizer is None and not (step._last is not None and step._last.updates):
        raise CompileError(
            f"{step._node} was compiled without an optimizer, and sets no state: a training step "
            "does. "
            "Its value alone is exported as the node itself."
        )
    types = dict(step._ran().key[0])
    if optimizer is not None:
        prepare_arrays(optimizer, step.parameters)
    with one_pass_at_a_time:
        recording = step._maker.record_types(types)
    gradients = recording.gradients[len(step._wrt) :]
    if optimizer is None:
        program = check_states(recording.program)
    else:
        program = check_new_values(recording.program, gradients)
    return RecordedStep(program, [_value_of(step, optimizer, entry) for entry in program.inputs])


def recorded_value(
    step: Compiled, node: Node, rows: int
) -> tuple[Program, list[Node | None]] | None:
    """The program of a node that leads to a step's loss, for that many rows, which sets no state,
    and which node each of its inputs is; None if it does not work for so many.

    The first axis of what was fed is that of the rows, where it has as many as the first input.
    """
    forward = Compiled(node, (), None, "reference", sets_states=False)
    types = {n: t for n, t in dict(step._ran().key[0]).items() if n in forward._needed}
    given = next((t.shape[0] for t in types.values() if t.shape), None)
    types = {
        n: t._replace(shape=(rows, *t.shape[1:])) if t.shape[:1] == (given,) else t
        for n, t in types.items()
    }
    try:
        with one_pass_at_a_time:
            program = forward._maker.record_types(types).program
    except (MiniflowError, ArithmeticError, LookupError, TypeError, ValueError):
        return None
    if program.outputs[0].operand.shape[:1] != (rows,):
        return None
    origins = (entry.origin for entry in program.inputs)
    return program, [None if o is None else forward._order[o.index] for o in origins]


def _value_of(step: Compiled, optimizer: Any, entry: Input) -> Any:
    name = str(entry.variable.name)
    if entry.role == "parameter" and entry.origin is not None:
        return step._order[entry.origin.index].value
    if entry.role == "state":
        part, key = states_of(optimizer)[name]
        return part.state[key]
    return np.float64(rates_of(optimizer)[name].lr) if entry.role == "hyper" else None
