"""The graph as programs that a page can run: change a number, and everything is computed anew.

Two programs are recorded from the nodes' own code. `look` puts out all that the explorer shows:
each node's value, what each node hands each of its inputs, the sums, the local derivatives. `step`
is a training step, as `compile` makes it. Both are compared with the interpreter's pass before they
are let into a page. Where a graph cannot be recorded, there are no programs, and a sentence that
says why.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from miniflow.compiler.comparing import compare_with_interpreter, is_close
from miniflow.errors import CompileError, GraphError
from miniflow.graph import Constant, Node, Parameter
from miniflow.graph.places import is_ours
from miniflow.graph.plans import plan_for
from miniflow.graph.values import ones_like
from miniflow.interpreter.feeding import wants_a_value
from miniflow.interpreter.passes import CallNode, alone, fit_gradient, one_pass_at_a_time
from miniflow.interpreter.selection import prepare, trainable
from miniflow.ir.dtypes import ProgramError, type_of
from miniflow.ir.evaluate import evaluate
from miniflow.ir.program import Operand, Output, Program
from miniflow.passes import optimize
from miniflow.pictures.explorer.recording import Recorded
from miniflow.pictures.local import LocalDerivative, pull_back
from miniflow.tracing.arrays import operand_of
from miniflow.tracing.keeping import preserved_deeply
from miniflow.tracing.record import Recording, record
from miniflow.tracing.steady import record_steadily

MOST_NUMBERS = 250_000  # in inputs and parameters: up to three megabytes of page


class Slot(NamedTuple):
    """What one output of `look` is: the "value" or the "gradient" of a node; what it has "handed"
    its input `source`; the "local" derivative on that edge, or row `row` of its Jacobian.
    """

    what: str
    node: int
    source: int = -1
    row: int = -1


class Live(NamedTuple):
    """The programs, the arguments that they start with, and what the outputs of `look` are."""

    look: Program
    slots: list[Slot]
    step: Program | None
    arguments: dict[str, Any]  # "node 3", "state velocity.0", "lr" → the array or number
    optimizer: str
    why_no_step: str = ""


def live_programs(recorded: Recorded, optimizer: Any) -> Live | str:
    """The programs of a recorded pass; or, in a sentence, why there are none."""
    feed = _own_values(recorded) | _floating_feed(recorded)
    numbers = sum(np.size(value) for value in feed.values())
    numbers += sum(np.size(n.value) for n in recorded.order if isinstance(n, Parameter))
    if numbers > MOST_NUMBERS:
        return (
            f"Its inputs and parameters are {numbers:,} numbers, and a page holds up to "
            f"{MOST_NUMBERS:,}: what is shown is the recorded pass."
        )
    try:
        look, slots = _look(recorded, feed)
        arguments = _arguments(recorded, feed, look)
        _compare(recorded, look, slots, list(arguments.values()))
    except (CompileError, GraphError, ProgramError) as error:
        return f"{error}"
    live = Live(look, slots, None, arguments, type(optimizer).__name__)
    try:
        return _with_step(live, recorded, feed, copy.deepcopy(optimizer))
    except (CompileError, GraphError, ProgramError) as error:
        return live._replace(why_no_step=f"{error}")


# --- What is fed


def _own_values(recorded: Recorded) -> dict[Node, Any]:
    """The values that sources which are not fed have made themselves."""
    return {
        node: value
        for node, value in zip(recorded.order, recorded.values, strict=True)
        if not node.inbound_nodes
        and not isinstance(node, (Parameter, Constant))
        and not wants_a_value(type(node).forward)
    }


def _floating_feed(recorded: Recorded) -> dict[Node, Any]:
    """The feed, whole numbers as floating-point ones where a gradient flows to them: x = 3 may be
    changed to 3.5; a label or an index may not.
    """
    feed = {}
    gradients = dict(zip(recorded.order, recorded.gradients, strict=True))
    for node, value in recorded.feed.items():
        gradient = gradients[node]
        whole = np.asarray(value).dtype.kind in "iu"
        flows = gradient is not None and np.any(gradient)
        feed[node] = value * 1.0 if whole and flows else value
    return feed


def _arguments(recorded: Recorded, feed: Mapping[Node, Any], program: Program) -> dict[str, Any]:
    """The program's arguments, in its order."""
    arguments = {}
    for entry in program.inputs:
        assert entry.origin is not None, "nodes are the only inputs of a pass"
        node = recorded.order[entry.origin.index]
        value = feed[node] if node in feed else recorded.values[entry.origin.index]
        arguments[f"node {entry.origin.index}"] = value
    return arguments


# --- The program that shows


def _look(recorded: Recorded, feed: Mapping[Node, Any]) -> tuple[Program, list[Slot]]:
    order = recorded.order
    slots: list[Slot] = []

    def further_outputs(call: CallNode) -> list[Output]:
        slots.clear()
        outputs: list[Output] = []
        for slot, operand in _all_operands(recorded, call):
            slots.append(slot)
            outputs.append(Output(operand, "value" if slot.what == "value" else "gradient"))
        return outputs

    wanted = recorded.wanted
    recording = _record(order, feed, wrt=wanted, further_outputs=further_outputs)
    values = [Output(recording.values[node]) for node in order]
    program = recording.program
    gradients = program.outputs[1 : 1 + len(wanted)]
    extra = program.outputs[1 + len(wanted) :]
    index = {node: i for i, node in enumerate(order)}
    slots[:0] = [
        *(Slot("value", i) for i in range(len(order))),
        *(Slot("gradient", index[node]) for node in wanted),
    ]
    outputs = (*values, *gradients, *extra)
    return optimize(Program(program.inputs, program.equations, outputs, program.constants)), slots


def _record(order: Sequence[Node], feed: Mapping[Node, Any], **how: Any) -> Recording:
    types = {node: type_of(value) for node, value in feed.items()}
    plan = plan_for(order[-1])
    with one_pass_at_a_time, np.errstate(all="ignore"):
        return record_steadily(lambda: record(order[-1], plan, types, **how), order)


def _all_operands(recorded: Recorded, call: CallNode) -> list[tuple[Slot, Operand]]:
    """What nodes have handed back, and their local derivatives, from the nodes' traced state."""
    index = {node: i for i, node in enumerate(recorded.order)}
    found: list[tuple[Slot, Operand]] = []
    for c, node in enumerate(recorded.order):
        pulled: dict[int, Any] = {}  # what the node's backward makes of an upstream gradient
        for source in dict.fromkeys(node.inbound_nodes):
            s = index[source]
            if (c, s) not in recorded.local:
                continue
            handed = call(node, "backward", partial(_operand_of, node.gradients, node, source))
            found.append((Slot("handed", c, s), handed))
            for row in _rows(recorded.local[c, s]):
                if row not in pulled:
                    pulled[row] = call(node, "backward", partial(_traced_pull, node, row))
                operand = call(node, "backward", partial(_operand_of, pulled[row], node, source))
                found.append((Slot("local", c, s, row), operand))
    return found


def _rows(local: LocalDerivative) -> Sequence[int]:
    """The rows of a local derivative: of a Jacobian all, of what is no matrix the one (-1)."""
    if local.value is None:
        return ()
    return range(len(local.value)) if local.kind == "jacobian" else (-1,)


def _traced_pull(node: Node, row: int) -> Mapping[Node, Any]:
    """What a node hands back for an upstream gradient of one, for one entry of its value or for
    all.

    Its backward has been recorded before, and may have worked in place on what its forward had
    kept: so forward is recorded again. Of what is the same, one copy will be left.
    """
    if node.upstream_is_fed:  # it hands on what it is fed, whatever comes from above
        return {node.inbound_nodes[0]: ones_like(node.value)}
    with alone(node, tracing=True):
        if not is_ours(node):
            node.forward()
        return pull_back(node, ones_like(node.value) if row < 0 else _unit(node, row))


def _operand_of(gradients: Mapping[Node, Any], node: Node, source: Node) -> Operand:
    """What is handed to a source, in the shape of its value."""
    return operand_of(fit_gradient(gradients[source], source, by=node))


def _unit(node: Node, row: int) -> Any:
    """An upstream gradient of one for one entry of the node's value, which is traced."""
    unit = np.zeros(node.value.shape)
    unit.reshape(-1)[row] = 1.0
    return unit


def _compare(
    recorded: Recorded, look: Program, slots: Sequence[Slot], arguments: Sequence[Any]
) -> None:
    """Raise CompileError with the first node for which the program computes another number than the
    interpreter.
    """
    with np.errstate(all="ignore"):
        computed = evaluate(look, arguments)
    for slot, got in zip(slots, computed, strict=True):
        expected = _expected_at(recorded, slot)
        if expected is not None and not _is_close(np.asarray(got), np.asarray(expected)):
            raise CompileError(
                f"{recorded.order[slot.node]}: the recorded program computes another "
                f"{slot.what} than the interpreter, so the page does not use it."
            )


def _expected_at(recorded: Recorded, slot: Slot) -> Any:
    if slot.what == "value":
        return recorded.values[slot.node]
    if slot.what == "gradient":
        return recorded.gradients[slot.node]
    if slot.what == "handed":
        return recorded.handed[slot.node, slot.source]
    local: Any = recorded.local[slot.node, slot.source].value
    return local if slot.row < 0 else local[slot.row]


def _is_close(got: Any, expected: Any) -> bool:
    if got.size != expected.size:
        return got.size == 1 and not np.any(got) and not np.any(expected)  # a bare 0
    return is_close(got.ravel(), expected.ravel())


# --- The program that trains


def _with_step(live: Live, recorded: Recorded, feed: Mapping[Node, Any], optimizer: Any) -> Live:
    order = recorded.order
    own = [node for node in order if isinstance(node, Parameter) and node.is_trained]
    parameters = [node for node in own if node not in feed]
    if not trainable(parameters):
        return live._replace(
            why_no_step="The graph has no Parameter that is trainable: there is nothing to train."
        )
    if np.size(recorded.values[-1]) != 1:
        return live._replace(
            why_no_step="The output is not one number: there is no loss to make small."
        )
    with preserved_deeply(order):
        prepare(optimizer, parameters)
        recording = _record(order, feed, parameters=parameters, optimizer=optimizer)
        compare_with_interpreter(order, (), parameters, recording, feed, optimizer)
    program = optimize(recording.program)
    arguments = dict(live.arguments)
    for entry in program.inputs:
        if entry.role == "state":
            arguments[f"state {entry.variable.name}"] = optimizer.state[str(entry.variable.name)]
        elif entry.role == "hyper":
            arguments["lr"] = float(optimizer.lr)
    return live._replace(step=program, arguments=arguments)


def input_keys(program: Program) -> list[str]:
    """For each input of a program its key among the arguments."""
    keys = []
    for entry in program.inputs:
        if entry.role == "state":
            keys.append(f"state {entry.variable.name}")
        elif entry.role == "hyper":
            keys.append("lr")
        else:
            assert entry.origin is not None
            keys.append(f"node {entry.origin.index}")
    return keys
