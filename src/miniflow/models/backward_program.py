"""The backward program of a graph: from a gradient of its output to the gradients of its inputs.

A model file holds it beside the forward program, so that whoever reads the file can ask which
pixels an answer rests on. It is recorded from the nodes' own `backward`, like any gradient, with
the upstream gradient of the output as one more input; and for one row, for it is asked of one
answer at a time. A graph need not have one: nodes may be without a `backward`,
or have one that cannot be recorded.
"""

from collections.abc import Mapping

from miniflow.errors import MiniflowError
from miniflow.graph import Node
from miniflow.ir.dtypes import ValueType
from miniflow.ir.program import Program
from miniflow.models.forward_program import (
    Stored,
    as_stored,
    record_graph,
    with_constants,
    with_rows,
)
from miniflow.passes.prune import prune


def backward_program(
    output: Node, examples: Mapping[Node, ValueType], forward: Stored
) -> Stored | None:
    """The program that takes the inputs and an upstream gradient in the shape of the output, and
    gives the gradient of every input that holds fractions; None if the graph has none.
    """
    wrt = [node for node, type_ in examples.items() if _holds_fractions(type_)]
    if not wrt or not _holds_fractions(forward.output):
        return None
    types = with_rows(examples, forward.rows)
    try:
        recorded = record_graph(output, types, wrt, twice=True, upstream=forward.output).program
    except MiniflowError:
        return None
    whole = with_constants(recorded, list(examples), output)
    gradients = tuple(o for o in whole.outputs if o.role == "gradient")
    if not all(_holds_fractions(o.operand.type) for o in gradients):
        return None
    program = prune(Program(whole.inputs, whole.equations, gradients, whole.constants))
    return as_stored(program, forward.rows)


def _holds_fractions(type_: ValueType) -> bool:
    return type_.kind == "array" and type_.dtype.startswith("f")
