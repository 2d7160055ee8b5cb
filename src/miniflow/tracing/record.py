"""From a graph to a program: the nodes' own forward and backward, and the optimizer's update, run
with tracer values.

This is the interpreter's walk over the same nodes in the same order (`interpreter.passes`), with
tracers for the values that are fed. A node's code cannot tell the difference, as long as it only
asks NumPy for arithmetic.
"""

import copy
import operator
import os
import traceback
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol

import numpy as np

import miniflow
from miniflow.errors import CompileError, GraphError
from miniflow.graph import Node, Parameter
from miniflow.graph.plans import Pass, Plan
from miniflow.graph.values import describe, ones_like
from miniflow.interpreter.feeding import explained, given_to_sources
from miniflow.interpreter.keeping import OURS
from miniflow.interpreter.passes import CallNode, TheEnd, backward_pass, forward_pass, start_pass
from miniflow.ir.dtypes import RECORDABLE, ProgramError, ValueType, same_bits, type_of
from miniflow.ir.program import Operand, Origin, Output, Program, Variable
from miniflow.tracing.arrays import TracedArray, TracedPython, is_traced_array, operand_of, wrapped
from miniflow.tracing.creation import visible_creation
from miniflow.tracing.trace import OutsideStorage, Refused, Storage, Trace, recording
from miniflow.tracing.traced import is_traced


class Optimizer(Protocol):
    """What the recorder needs of an optimizer: its arrays in `state`, and `update`, in plain
    NumPy.
    """

    lr: Any
    state: dict[str, Any]

    def update(self, parameters: Sequence[Parameter], gradients: Sequence[Any]) -> None:
        """Change the parameters' values in place."""


class Recording(NamedTuple):
    """A program, and what its inputs and its equations have to do with the graph."""

    program: Program
    values: dict[Node, Operand]  # each node's value: what the forward pass computed
    gradients: list[Operand]  # with respect to each node of wrt, and then each parameter
    updated: list[Variable]  # the inputs that the optimizer may change: parameters, and its state


def record(
    output: Node,
    plan: Plan,
    fed: Mapping[Node, ValueType],
    wrt: Sequence[Node] = (),
    parameters: Sequence[Parameter] = (),
    optimizer: Optimizer | None = None,
    more: Callable[[CallNode], list[Output]] | None = None,
    upstream: ValueType | None = None,
) -> Recording:
    """Record the value of `output`, its gradients, and the optimizer's update, as one program.

    Args:
        output: the node.
        plan: its plan.
        fed: the type of the value of each node that is fed; parameters that are not among them are
            inputs too.
        wrt: the nodes whose gradients are outputs of the program.
        parameters: what the optimizer updates.
        optimizer: None to update nothing.
        more: asked for further outputs when both passes are done, while the nodes still hold their
            traced values and gradients.
        upstream: the type of the output's upstream gradient, if that is to be the last input of
            the program; by default it is one, as in every pass.

    The nodes are left with traced values: the caller puts their state back (`keeping`).

    Raises:
        CompileError: with the node, the line of its code and the reason, if it cannot be recorded.
        GraphError: the code raised an error of its own; the `__cause__` is a CompileError, for the
            case that the interpreter finds nothing wrong with it.
    """
    order = (*plan.order, output)
    with recording(visible_creation) as trace:
        walk = _Walk(trace, {node: i for i, node in enumerate(order)})
        _show_arrays(order)
        wanted = [*wrt, *parameters] if optimizer is not None else list(wrt)
        this_pass = start_pass(output, plan, wanted, tracing=True)
        forward_pass(output, plan, given_to_sources(walk.inputs(fed)), this_pass, walk.call_forward)
        if upstream is not None:
            fed_gradient = wrapped(trace.builder.input(upstream, "fed", "upstream"))
            # As of a DummyGrad: in the shape of the value, and in an array that may be written to.
            this_pass.consumers[output] = TheEnd(
                output, lambda: fed_gradient * ones_like(output.value)
            )
        gradients = walk.gradients(wanted, this_pass) if wanted else []
        # As the interpreter hands them out: at the end, after all that was done in place.
        values = {node: walk.call(node, "forward", partial(_value_of, node)) for node in order}
        outputs = [Output(values[output], "value", _name(output, "value"))]
        outputs += [
            Output(gradient, "gradient", _name(node, "input"))
            for node, gradient in zip(wrt, gradients, strict=False)
        ]
        if more is not None:
            outputs += more(walk.call)
        updated: list[Variable] = []
        if optimizer is not None:
            changed, updated = _update(parameters, gradients[len(wrt) :], optimizer, walk)
            outputs += changed
        return Recording(trace.builder.program(outputs), values, gradients, updated)


class _Walk:
    """Calls nodes' methods one after the other, and tells the trace whose equations it is
    hearing.
    """

    def __init__(self, trace: Trace, index: Mapping[Node, int]) -> None:
        self.trace = trace
        self.index = index  # the nodes in their order
        self._origins: dict[tuple[Node, str], Origin] = {}

    def inputs(self, fed: Mapping[Node, ValueType]) -> dict[Node, Any]:
        """The feed of the pass: tracers for what is fed and for the parameters, the inputs of the
        program.
        """
        feed = {}
        for node in self.index:
            if node in fed:
                feed[node] = self._input(node, fed[node], "fed", "that array was fed")
            elif isinstance(node, Parameter):
                locked = "a parameter changes only by an update"
                feed[node] = self._input(node, type_of(node.value), "parameter", locked)
        return feed

    def _input(self, node: Node, type_: ValueType, role: str, locked: str) -> Any:
        origin = self._origin(node, "forward")
        tracer = wrapped(self.trace.builder.input(type_, role, _name(node, "input"), origin))
        if is_traced_array(tracer):
            tracer.storage.locked = locked
        return tracer

    def _origin(self, node: Node, phase: str) -> Origin:
        origin = self._origins.get((node, phase))
        if origin is None:
            origin = Origin(node.label, node.where, phase, self.index[node])
            self._origins[node, phase] = origin
        return origin

    def call_forward(self, node: Node, phase: str, method: Callable[[], Any]) -> None:
        """Call `forward` of a node, and give its value the node's name."""
        self.call(node, phase, method)
        if node.value is not None:  # that is what the pass sees to
            value = self.call(node, phase, partial(_value_of, node))
            self.trace.builder.name(value, node.name)

    def gradients(self, wanted: Sequence[Node], this_pass: Pass) -> list[Operand]:
        """Go the way back; the gradients of the wanted nodes have their names."""
        gradients = []
        for node, gradient in zip(wanted, backward_pass(wanted, this_pass, self.call), strict=True):
            operand = self.call(node, "backward", partial(operand_of, gradient))
            self.trace.builder.name(operand, f"d{node.name}" if node.name else None)
            gradients.append(operand)
        return gradients

    def call(self, node: Node, phase: str, method: Callable[[], Any]) -> Any:
        self.trace.origin = self._origin(node, phase)
        try:
            return self.guarded(f"{node}", phase, method)
        except (GraphError, CompileError):
            raise
        except Exception as error:
            what = f"it raises {type(error).__name__}: {error}"
            refusal = _refusal(f"{node}", phase, what, error)
            # What the interpreter would say; if it says nothing, the cause is what must be told.
            raise explained(node, phase, error) from refusal

    def guarded(self, who: str, phase: str, method: Callable[[], Any]) -> Any:
        """Call it; a refusal is told as a CompileError, one that the code has caught as well."""
        self.trace.refused = None
        error: Exception | None = None
        try:
            result = method()
        except (GraphError, CompileError):
            raise
        except Exception as raised:
            error = raised
        refused = error if isinstance(error, (Refused, ProgramError)) else self.trace.refused
        if refused is not None:
            raise _refusal(who, phase, str(refused), refused) from None
        if error is not None:
            raise error
        return result


def _refusal(who: str, phase: str, reason: str, error: Exception) -> CompileError:
    """The error for what cannot be recorded, with the line of the user's code that did it."""
    lines = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith(_LIBRARIES)
    ]
    at = ""
    if lines:
        last = lines[-1]
        code = f": {last.line}" if last.line else ""
        at = f" ({os.path.basename(last.filename)}:{last.lineno}{code})"
    stop = "" if reason.endswith((".", "!", "?")) else "."
    told = CompileError(
        f"{who}: {phase}{at} cannot be compiled: {reason}{stop} "
        "The interpreter (mf.value_and_grad) runs it as it is."
    )
    told.__cause__ = error if not isinstance(error, Refused) else None
    return told


_LIBRARIES = tuple(
    os.path.dirname(os.path.abspath(str(module.__file__))) + os.sep for module in (miniflow, np)
)


def _name(node: Node, fallback: str) -> str:
    return node.name or (type(node).__name__ if fallback == "input" else fallback)


def _show_arrays(nodes: Sequence[Node]) -> None:
    """Have the arrays that nodes keep as attributes seen as constants, which traced indices can
    pick from: `self.table[labels]`.
    """
    for node in nodes:
        for name, value in node.__dict__.items():
            if type(value) is np.ndarray and value.dtype in RECORDABLE and name not in OURS:
                storage = OutsideStorage(value, "that array was made before this pass")
                node.__dict__[name] = TracedArray(storage)


def _value_of(node: Node) -> Operand:
    return operand_of(node.value)


def _update(
    parameters: Sequence[Parameter], gradients: Sequence[Operand], optimizer: Optimizer, walk: _Walk
) -> tuple[list[Output], list[Variable]]:
    """Run the optimizer's own `update` on tracers; the program puts out what has changed."""
    builder = walk.trace.builder
    owner = type(optimizer).__name__
    walk.trace.origin = Origin(owner, "", "update")
    inputs = {
        entry.origin.index: entry.variable for entry in builder.inputs if entry.origin is not None
    }
    before: dict[str, tuple[str, Variable]] = {}
    for i, parameter in enumerate(parameters):
        variable = inputs[walk.index[parameter]]
        before[f"parameter {i}"] = "parameter", variable
        parameter.forward(TracedArray(Storage(variable)))
    state = {}
    for key, array in optimizer.state.items():
        variable = builder.input(_type_of_state(owner, key, array), "state", key)
        before[f"state {key}"] = "state", variable
        state[key] = TracedArray(Storage(variable))
    kept = _copied(optimizer)
    try:
        optimizer.state = state
        if isinstance(optimizer.lr, (int, float)):
            rate = TracedPython(builder.input(ValueType("f64", (), "python"), "hyper", "lr"))
            # Past a property that would ask for the number.
            optimizer.__dict__["_lr" if "_lr" in optimizer.__dict__ else "lr"] = rate
        walk.guarded(
            owner,
            "update",
            lambda: optimizer.update(parameters, [wrapped(gradient) for gradient in gradients]),
        )
        _check_settings(optimizer, kept)
        after = {f"parameter {i}": p.value for i, p in enumerate(parameters)}
        after |= {f"state {key}": value for key, value in optimizer.state.items()}
        updated = [variable for _, variable in before.values()]
        return _replacements(owner, before, after, walk), updated
    finally:
        optimizer.__dict__.clear()
        optimizer.__dict__.update(kept)


def _type_of_state(owner: str, key: str, array: Any) -> ValueType:
    if not isinstance(array, np.ndarray):
        raise CompileError(
            f"{owner}: state[{key!r}] is {describe(array)}: what an optimizer keeps in its state "
            "are arrays (np.zeros(()) for a number), which a program can update in place."
        )
    return type_of(array)


def _copied(optimizer: Optimizer) -> dict[str, Any]:
    """The attributes, and copies of the lists, dictionaries and arrays among them."""
    return {
        name: copy.copy(value) if isinstance(value, (list, dict, set, np.ndarray)) else value
        for name, value in optimizer.__dict__.items()
    }


def _check_settings(optimizer: Optimizer, kept: Mapping[str, Any]) -> None:
    """A number that an optimizer keeps outside of `state` would stand still in a program."""
    now = optimizer.__dict__
    for name in now.keys() | kept.keys():
        if name in ("state", "lr", "_lr"):
            continue
        if name not in now or name not in kept or not _is_same(now[name], kept[name]):
            raise CompileError(
                f"{type(optimizer).__name__}: update changes self.{name}, which a compiled step "
                "would not do. Keep what is remembered from update to update in self.state, as "
                "arrays. The interpreter (mf.value_and_grad, then update) runs it as it is."
            )


def _is_same(now: Any, before: Any) -> bool:
    if type(now) is not type(before) or is_traced(now):
        return False
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
    walk: _Walk,
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
