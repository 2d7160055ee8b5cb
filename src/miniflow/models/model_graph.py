"""The graph of a model file: to go on training it, to differentiate it, to look into it.

A file holds one program for any number of rows, and a graph takes any number, too. Most equations
are the same for all: these are lifted as everywhere. Where a size or a count depends on the rows
(the shape that a convolution's windows are brought into), a `ForRows` asks the model's input for
their number, and is the equation for so many.
"""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

from miniflow.errors import GraphError
from miniflow.graph import Input, Node, Op, Parameter
from miniflow.graph.places import users_level
from miniflow.graph.plans import passes_under_way
from miniflow.graph.values import shape_of
from miniflow.ir.program import Equation, Literal, Operand, Output, Program, Variable
from miniflow.ir.program import Input as ProgramInput
from miniflow.ir.store import describe_program, generalize, parse
from miniflow.models.lifted import LiftedProgram
from miniflow.models.lifting import ProgramGraph, lift_constants, lift_equations, read_operand
from miniflow.tracing.creation import real_creation


class ParameterWarning(UserWarning):
    """Which arrays of a model are parameters is not known, and guessed."""


def are_parameters(arrays: Sequence[Any], known: int | None) -> list[bool]:
    """For each array of a model whether it is a parameter: the first so many, or, where nobody
    knows, all that are floating.
    """
    if known is not None:
        return [i < known for i in range(len(arrays))]
    warnings.warn(
        "The file of this model does not say which of its arrays are parameters, as those of "
        "miniflow 0.1.0: every floating array is one. Save the model again to keep what is said "
        "of it now.",
        ParameterWarning,
        stacklevel=users_level(),
    )
    return [array.dtype.kind == "f" for array in arrays]


class ForRows(Op):
    """An equation that is another one for each number of rows; its last inbound node has them."""

    def __init__(self, pair: Sequence[Equation], operands: Sequence[Node], rows: Node) -> None:
        Op.__init__(self, *operands, rows, name=pair[0].result.name or pair[0].primitive)
        self.description = generalize(dict(zip((1, 2), map(_alone, pair), strict=True)))
        self.graph: LiftedProgram | None = None  # the equation for as many rows as there were last

    def compute(self, *values: Any) -> Any:
        *operands, rows = values
        shape = shape_of(rows)
        if not shape or shape[0] == 0:
            raise GraphError(f"{self}: there are no rows: its input has shape {shape}.")
        with real_creation():
            program = parse(self.description, [], shape[0])
            self.graph = LiftedProgram(program, [True] * len(operands))
        return self.graph.forward(operands)

    def gradient(self, grad: Any, *values: Any) -> Any:
        assert self.graph is not None
        needed = passes_under_way[-1].needed if passes_under_way else self.inbound_nodes
        sources = self.inbound_nodes[:-1]
        return [*self.graph.backward(grad, [node in needed for node in sources]), None]


def _alone(equation: Equation) -> Program:
    """A program of this equation, which takes what it reads."""
    inputs = tuple(map(ProgramInput, _read_by(equation)))
    return Program(inputs, (equation,), (Output(equation.result),))


def _read_by(equation: Equation) -> list[Variable]:
    """The variables that an equation reads, each once."""
    return list(dict.fromkeys(o for o in equation.operands if isinstance(o, Variable)))


def graph_of_rows(
    make: Callable[[int], Program], grows: Sequence[bool], parameters: Sequence[bool]
) -> ProgramGraph:
    """The graph of a program for any number of rows.

    Args:
        make: number of rows → the program; all have the same constants.
        grows: for each input whether its first axis is that of the rows.
        parameters: for each constant whether it becomes a `Parameter`.
    """
    one, two = make(1), make(2)
    inputs: list[Node] = [Input(entry.variable.name) for entry in one.inputs]
    rows = next((node for node, does in zip(inputs, grows, strict=True) if does), None)
    trained: list[Node] = [
        Parameter(constant.value, constant.variable.name)
        for constant, is_one in zip(one.constants, parameters, strict=True)
        if is_one
    ]
    waiting = iter(trained)
    found: dict[Operand, Node] = {
        entry.variable: node for entry, node in zip(one.inputs, inputs, strict=True)
    }
    for constant, is_one in zip(one.constants, parameters, strict=True):
        if is_one:
            found[constant.variable] = next(waiting)
    lift_constants(one.constants, found)
    for equation, other in zip(one.equations, two.equations, strict=True):
        if rows is None or _is_the_same(equation, other):
            lift_equations([equation], found)
        else:
            operands = [found[variable] for variable in _read_by(equation)]
            found[equation.result] = ForRows((equation, other), operands, rows)
    outputs = [read_operand(output.operand, found) for output in one.outputs]
    return ProgramGraph(inputs, trained, outputs)


def _is_the_same(one: Equation, other: Equation) -> bool:
    """Whether two equations differ in nothing but the types of what they read and give."""
    numbers = [[o for o in e.operands if isinstance(o, Literal)] for e in (one, other)]
    params = [
        {k: describe_program(v) if isinstance(v, Program) else v for k, v in e.params.items()}
        for e in (one, other)
    ]
    return numbers[0] == numbers[1] and params[0] == params[1]
