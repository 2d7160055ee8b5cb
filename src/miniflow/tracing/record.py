"""From a graph to a program: the nodes' own forward and backward, and the optimizer's update, run
with tracer values.

This is the interpreter's walk, its very functions (`interpreter.passes`), with tracers for the
values that are fed and a way of its own to call the nodes' methods (`walk`). A node's code cannot
tell the difference, as long as it only asks NumPy for arithmetic.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import NamedTuple

from miniflow.graph import Node, Parameter
from miniflow.graph.plans import Plan
from miniflow.graph.values import ones_like
from miniflow.interpreter.feeding import give_to_sources
from miniflow.interpreter.passes import CallNode, TheEnd, forward_pass, start_pass
from miniflow.interpreter.selection import trainable
from miniflow.ir.dtypes import ValueType
from miniflow.ir.program import Operand, Output, Program, Variable
from miniflow.tracing.arrays import wrap
from miniflow.tracing.creation import visible_creation
from miniflow.tracing.states import record_states, state_outputs
from miniflow.tracing.trace import recording
from miniflow.tracing.update import OptimizerLike, record_update
from miniflow.tracing.walk import Walk, name_of, show_arrays, value_of


class Recording(NamedTuple):
    """A program, and what its inputs and its equations have to do with the graph."""

    program: Program
    values: dict[Node, Operand]  # each node's value: what the forward pass computed
    gradients: list[Operand]  # with respect to each node of wrt, and each parameter not frozen
    updated: list[Variable]  # the inputs that the optimizer may change: parameters, and its state
    states: Mapping[Node, Operand] = MappingProxyType({})  # the new value of each that is set


def record(
    output: Node,
    plan: Plan,
    fed: Mapping[Node, ValueType],
    wrt: Sequence[Node] = (),
    parameters: Sequence[Parameter] = (),
    optimizer: OptimizerLike | None = None,
    further_outputs: Callable[[CallNode], list[Output]] | None = None,
    upstream: ValueType | None = None,
    sets_states: bool = False,
) -> Recording:
    """Record the value of `output`, its gradients, and the optimizer's update, as one program.

    Args:
        output: the node, or `SeveralOutputs`, each of which is an output of the program.
        plan: its plan.
        fed: the type of the value of each node that is fed; parameters that are not among them are
            inputs too.
        wrt: the nodes whose gradients are outputs of the program.
        parameters: what the optimizer may update, in its order; of those that are frozen no
            gradient is computed.
        optimizer: None to update nothing.
        further_outputs: asked for them when both passes are done, while the nodes still hold their
            traced values and gradients.
        upstream: the type of the output's upstream gradient, if that is to be the last input of
            the program; by default it is one, as in every pass.
        sets_states: whether the program puts out what states are set to.

    The nodes are left with traced values: the caller puts their state back (`keeping`).

    Raises:
        CompileError: with the node, the line of its code and the reason, if it cannot be recorded.
        GraphError: the code raised an error of its own; the `__cause__` is a CompileError, for the
            case that the interpreter finds nothing wrong with it.
    """
    order = (*plan.order, output)
    with recording(visible_creation) as trace:
        walk = Walk(trace, {node: i for i, node in enumerate(order)})
        show_arrays(order)
        wanted = [*wrt, *trainable(parameters)] if optimizer is not None else list(wrt)
        this_pass = start_pass(output, plan, wanted, tracing=True)
        forward_pass(output, plan, give_to_sources(walk.inputs(fed)), this_pass, walk.call_forward)
        if upstream is not None:
            fed_gradient = wrap(trace.builder.input(upstream, "fed", "upstream"))
            # As of a DummyGrad: in the shape of the value, and in an array that may be written to.
            this_pass.consumers[output] = TheEnd(
                output, lambda: fed_gradient * ones_like(output.value)
            )
        gradients = walk.gradients(wanted, this_pass) if wanted else []
        # As the interpreter hands them out: at the end, after all that was done in place.
        nodes = [node for node in order if not node.gathers]
        values = {node: walk.call(node, "forward", partial(value_of, node)) for node in nodes}
        ends = output.inbound_nodes if output.gathers else [output]
        outputs = [Output(values[node], "value", name_of(node, "value")) for node in ends]
        outputs += [
            Output(gradient, "gradient", name_of(node, "input"))
            for node, gradient in zip(wrt, gradients, strict=False)
        ]
        if further_outputs is not None:
            outputs += further_outputs(walk.call)
        states = {}
        if sets_states and this_pass.sets:
            states = record_states(this_pass.sets, fed, walk)
            outputs += state_outputs(states, walk)
        updated: list[Variable] = []
        if optimizer is not None:
            changed, updated = record_update(parameters, gradients[len(wrt) :], optimizer, walk)
            outputs += changed
        named = trace.builder.named
        return Recording(
            trace.builder.program(outputs),
            {node: named(value) for node, value in values.items()},
            list(map(named, gradients)),
            updated,
            {state: named(value) for state, value in states.items()},
        )
