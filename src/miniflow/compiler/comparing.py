"""The last net under a recording: what the program computes is compared with what the interpreter
computes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from miniflow import interpreter
from miniflow.errors import CompileError
from miniflow.graph import Node, Parameter
from miniflow.interpreter.feeding import give_to_sources
from miniflow.interpreter.selection import move, parts_of, trainable, with_none_for_frozen
from miniflow.interpreter.states import states_held
from miniflow.ir.dtypes import ProgramError
from miniflow.ir.evaluate import evaluate
from miniflow.ir.program import Output, Program
from miniflow.tracing.keeping import preserved_deeply
from miniflow.tracing.record import Recording
from miniflow.tracing.update import rates_of, states_of

RELATIVE = {np.dtype(np.float16): 2e-2, np.dtype(np.float32): 1e-3}  # others: 1e-6


def compare_with_interpreter(
    order: Sequence[Node],
    wrt: Sequence[Node],
    parameters: Sequence[Parameter],
    recording: Recording,
    feed: Mapping[Node, Any],
    optimizer: Any,
) -> None:
    """Raise `CompileError` with the first node whose value, or the first gradient, or the first
    parameter after its update, is not the interpreter's.
    """
    output, wanted = order[-1], [*wrt, *trainable(parameters)]
    nodes = [node for node in order if not node.gathers]
    with preserved_deeply(order), states_held() as sets, np.errstate(all="ignore"):
        arguments = [argument_of(e, order, feed, optimizer) for e in recording.program.inputs]
        fed = give_to_sources(feed)
        if wanted:
            _, gradients = interpreter.value_and_grad(output, fed, wanted)
        else:
            interpreter.value(output, fed)
            gradients = []
        # What keeps a value of its own, a Seed for one, has it back by now.
        values = [fed[n] if n in fed and n.keeps_a_value else n.value for n in nodes]
        interpreted = [(f"{n}: its value", value) for n, value in zip(nodes, values, strict=True)]
        interpreted += [
            (f"{output}: the gradient with respect to {node}", gradient)
            for node, gradient in zip(wanted, gradients, strict=True)
        ]
        interpreted += [(f"{state}: its new value", sets[state][0]) for state in recording.states]
        if optimizer is not None:
            interpreted += _values_after_update(parameters, gradients[len(wrt) :], optimizer)
        compiled = _values_of_program(order, recording, arguments)
    for (what, expected), got in zip(interpreted, compiled, strict=True):
        _compare(what, got, expected)


def _values_after_update(
    parameters: Sequence[Parameter], gradients: Sequence[Any], optimizer: Any
) -> list[tuple[str, Any]]:
    """What the optimizer makes of (copies of) the parameters and of its state."""
    parts = [part for _, part in parts_of(optimizer)]
    kept = [part.__dict__.copy() for part in parts]
    trained = trainable(parameters)
    try:
        for part in parts:
            part.state = {key: np.copy(array) for key, array in part.state.items()}
        for parameter in trained:
            parameter.__dict__["_array"] = np.copy(parameter.value)
        move(optimizer, parameters, with_none_for_frozen(parameters, gradients))
        who = f"{type(optimizer).__name__}: the new value of"
        states = states_of(optimizer).items()
        return [
            *((f"{who} {parameter}", parameter.value) for parameter in trained),
            *((f"{who} state[{name!r}]", part.state[key]) for name, (part, key) in states),
        ]
    finally:
        for part, attributes in zip(parts, kept, strict=True):
            part.__dict__.clear()
            part.__dict__.update(attributes)


def _values_of_program(
    order: Sequence[Node], recording: Recording, arguments: Sequence[Any]
) -> list[Any]:
    """What the program computes for the same: values, gradients, and what is updated."""
    program = recording.program
    new = {output.replaces: output.operand for output in program.outputs if output.replaces}
    updated = [new.get(variable, variable) for variable in recording.updated]
    nodes = [node for node in order if not node.gathers]
    operands = [recording.values[node] for node in nodes]
    operands += [*recording.gradients, *recording.states.values(), *updated]
    outputs = tuple(Output(operand) for operand in operands)
    everything = Program(program.inputs, program.equations, outputs, program.constants)
    try:
        return evaluate(everything, arguments)
    except ProgramError as error:  # the interpreter did not fail
        raise CompileError(
            f"{order[-1]}: its program fails: {error}. Code that catches errors, to go another way "
            "then, cannot be compiled. The interpreter (mf.value_and_grad) runs it as it is."
        ) from error


def argument_of(entry: Any, order: Sequence[Node], feed: Mapping[Node, Any], optimizer: Any) -> Any:
    """What an input of a program is given."""
    if entry.role == "state":
        part, key = states_of(optimizer)[entry.variable.name]
        return part.state[key]
    if entry.role == "hyper":
        return float(rates_of(optimizer)[entry.variable.name].lr)
    node = order[entry.origin.index]
    return feed.get(node, node.value)


def _compare(what: str, got: Any, expected: Any) -> None:
    a, b = np.asarray(got), np.asarray(expected)
    if a.shape == b.shape and a.dtype == b.dtype and (a.size == 0 or is_close(a, b)):
        return
    where = ""
    if a.shape == b.shape and a.shape and a.dtype == b.dtype:
        difference = np.abs(a.astype(float) - b.astype(float))
        index = np.unravel_index(
            np.nanargmax(np.where(np.isnan(difference), np.inf, difference)), a.shape
        )
        where, a, b = f" at index {tuple(map(int, index))}", a[index], b[index]
    if np.shape(a) != np.shape(b):
        seen = f"of shape {a.shape} compiled and {b.shape} interpreted"
    elif a.dtype != b.dtype:
        seen = f"{a.dtype} compiled and {b.dtype} interpreted"
    else:
        seen = f"{a} compiled and {b} interpreted{where}"
    raise CompileError(
        f"{what} is {seen}: its code does something that the recording does not see. "
        "The interpreter (mf.value_and_grad) runs it as it is."
    )


def is_close(a: Any, b: Any) -> bool:
    """Whether two arrays of one shape hold the same numbers, to the rounding of the coarser of
    their dtypes, relative to the largest in `b`; whole numbers exactly.
    """
    if a.dtype.kind not in "f" and b.dtype.kind not in "f":
        return bool(np.array_equal(a, b))
    relative = max(RELATIVE.get(a.dtype, 1e-6), RELATIVE.get(b.dtype, 1e-6))
    finite = b[np.isfinite(b)]
    scale = float(np.max(np.abs(finite))) if finite.size else 1.0
    return bool(np.allclose(a, b, rtol=relative, atol=relative * scale, equal_nan=True))
