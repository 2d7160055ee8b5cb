"""A program becomes a graph again: each equation is made the node that says it is that primitive.

    step = mf.compile(loss, wrt=[W])
    step(feed)
    graph = mf.graph_of(step.program)
    value, dW = graph.outputs          # nodes: drawn, differentiated, compiled like all others

Which class says what primitive stands in the classes (`primitive = "add"`), and how to
differentiate it too, in their own `gradient`: there is no table here. What a node computes is to
the bit what its equation computes (`graph.equations`).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from miniflow.errors import GraphError
from miniflow.graph import Constant, Input, Node, Op, Parameter
from miniflow.graph.checks import is_listed
from miniflow.graph.equations import NODE_OF
from miniflow.graph.values import describe
from miniflow.ir.dtypes import DTYPES
from miniflow.ir.indexing import brackets
from miniflow.ir.loop import body_of
from miniflow.ir.primitives import PRIMITIVES
from miniflow.ir.program import Constant as ProgramConstant
from miniflow.ir.program import Equation, Literal, Operand, Program
from miniflow.tracing.arrays import is_traced_array, operand_of, wrap
from miniflow.tracing.trace import active, is_recording


class ProgramGraph(NamedTuple):
    """A program as a graph.

    Attributes:
        inputs: what is fed, in order: data, and whatever else the program takes but parameters.
        parameters: a node for each input of the program that is a parameter, in order.
        outputs: a node for each output of the program, in order.
    """

    inputs: list[Node]
    parameters: list[Node]
    outputs: list[Node]


class Meaning(NamedTuple):
    """What an equation computes, as a function of the values of its operands; while a program is
    recorded, that equation.
    """

    primitive: str
    params: dict[str, Any]

    def __call__(self, *values: Any) -> Any:
        """The equation's result."""
        primitive = PRIMITIVES[self.primitive]
        if not (is_recording() and active().is_of_this_thread()):
            return primitive.compute(*values, **self.params)
        result = wrap(active().record(self.primitive, list(map(operand_of, values)), self.params))
        if primitive.is_view and is_traced_array(result):
            result.storage.locked = "it may be the memory of another array"
        return result


def graph_of(program: Program, parameters: Sequence[Any] | None = None) -> ProgramGraph:
    """A program as a graph of built-in nodes, which computes what the program computes.

    Args:
        program: any, such as `step.program`.
        parameters: for each input of the program that is a parameter, in order, a `Parameter`, or
            an array from which one is made; by default they are `Input`s, and are fed.

    Returns:
        The `inputs`, the `parameters` and the `outputs`, each a list of nodes, by the program's
        names; the inputs have the shapes and dtypes for which the program was made.

    Raises GraphError for what is no program, and for too many parameters or too few.

    >>> import numpy as np, miniflow as mf
    >>> x = mf.Input("x")
    >>> cube = mf.compile(x**3, wrt=[x], backend="reference")
    >>> cube({x: 2.0})
    (8.0, [12.0])
    >>> graph = mf.graph_of(cube.program)
    >>> value, dx = graph.outputs
    >>> mf.value_and_grad(dx, {graph.inputs[0]: 2.0}, wrt=graph.inputs)
    (12.0, [12.0])
    """
    if not isinstance(program, Program):
        raise GraphError(
            f"graph_of takes a program, such as the .program of a compiled step, not "
            f"{describe(program)}."
        )
    named = [entry.variable for entry in program.inputs if entry.role == "parameter"]
    if parameters is not None and not is_listed(parameters):
        raise GraphError(f"graph_of: parameters is a list, not {describe(parameters)}.")
    if parameters is not None and len(parameters := list(parameters)) != len(named):
        raise GraphError(
            f"graph_of was given {len(parameters)} parameters for a program of {len(named)}: "
            f"{', '.join(str(v.name) for v in named) or 'none'}."
        )
    nodes: dict[Operand, Node] = {
        entry.variable: Input(entry.variable.name) for entry in program.inputs
    }
    for variable, given in zip(named, parameters or (), strict=False):
        nodes[variable] = given if isinstance(given, Node) else Parameter(given, variable.name)
    inputs = [nodes[e.variable] for e in program.inputs if e.role != "parameter"]
    return ProgramGraph(inputs, [nodes[v] for v in named], lift(program, nodes))


def lift(program: Program, nodes: Mapping[Operand, Node]) -> list[Node]:
    """The outputs of a program as nodes; `nodes` are those of its inputs."""
    found = dict(nodes)
    lift_constants(program.constants, found)
    lift_equations(program.equations, found)
    return [read_operand(output.operand, found) for output in program.outputs]


def lift_constants(constants: Iterable[ProgramConstant], found: dict[Operand, Node]) -> None:
    """Add a node for each constant that has none yet."""
    for constant in constants:
        if constant.variable not in found:
            found[constant.variable] = Constant(constant.value, constant.variable.name)


def lift_equations(equations: Iterable[Equation], found: dict[Operand, Node]) -> None:
    """Add a node for the result of each equation, in order."""
    for equation in equations:
        found[equation.result] = _node_of(equation, found)


def read_operand(operand: Operand, found: Mapping[Operand, Node]) -> Node:
    """The node of an operand."""
    return Constant(operand.value) if isinstance(operand, Literal) else found[operand]


def _node_of(equation: Equation, found: Mapping[Operand, Node]) -> Node:
    operands = [read_operand(operand, found) for operand in equation.operands]
    if body_of(equation) is not None:
        node = _loop_of(equation, operands)
    else:
        options = {name: _as_written(name, value) for name, value in equation.params.items()}
        node = NODE_OF[equation.primitive](*operands, **options)
    node.name = equation.result.name
    if isinstance(node, Op) and body_of(equation) is None:
        node.meaning = Meaning(equation.primitive, dict(equation.params))
    if equation.result.dtype[0] != "f":
        node.stops_gradient = True
    if equation.origin is not None and equation.origin.where:
        node._built_at = equation.origin.where
    return node


def _as_written(name: str, value: Any) -> Any:
    """A parameter of an equation as the node takes it, which is how Python and NumPy write it."""
    if name == "index":
        return brackets(value)
    return DTYPES[value] if name == "dtype" else value


def _loop_of(equation: Equation, operands: Sequence[Node]) -> Node:
    body, count = equation.params["body"], equation.params["sequences"]
    variables = [entry.variable for entry in body.inputs]
    first, sequences = operands[0], operands[1 : 1 + count]
    state, *items = (Input(variable.name) for variable in variables[: 1 + count])
    state._stands_for = (first, False)
    for item, sequence in zip(items, sequences, strict=True):
        item._stands_for = (sequence, True)
    inside: dict[Operand, Node] = dict(zip(variables, [state, *items], strict=False))
    inside.update(zip(variables[1 + count :], operands[1 + count :], strict=True))
    (new,) = lift(body, inside)
    loop: Node = NODE_OF["scan"].over(
        state, items, new, first, sequences, equation.params["reverse"]
    )
    return loop
