"""What a program costs to run, estimated from its types: arithmetic (FLOPs) and memory traffic
(bytes).

Counted as if every equation read its operands from memory and wrote its result there, so fusing
equations lowers the bytes; views move nothing. An addition counts one operation per element, a
matrix product (m, k) @ (k, n) 2·m·k·n, `exp` and its kin ten per element, which is an estimate of
one digit. A scan costs what its body does, as often as there are items.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from miniflow.ir.loop import body_of, shows_more
from miniflow.ir.primitive import Primitive
from miniflow.ir.primitives import NO_PRIMITIVES, PRIMITIVES
from miniflow.ir.program import Equation, Origin, Program, Variable


class Cost(NamedTuple):
    """`flops`: arithmetic operations; `bytes`: bytes read and written. Costs add up with `plus`."""

    flops: int = 0
    bytes: int = 0

    def plus(self, other: Cost) -> Cost:
        """Return the sum of two costs."""
        return Cost(self.flops + other.flops, self.bytes + other.bytes)


@dataclass(frozen=True, slots=True)
class ProgramCost:
    """The cost in `total`, of each of the `equations`, and `by_origin` (None: no origin)."""

    total: Cost
    equations: tuple[Cost, ...]
    by_origin: Mapping[Origin | None, Cost]

    def by_node(self) -> dict[str, Cost]:
        """Return the cost per node's label, all its passes together, in program order."""
        costs: dict[tuple[int, str, str], Cost] = {}
        for origin, spent in self.by_origin.items():
            key = (origin.index, origin.where, origin.node) if origin else (-1, "", "")
            costs[key] = costs.get(key, Cost()).plus(spent)
        labels = [label for _, _, label in costs]
        return {
            label if labels.count(label) == 1 else f"{label} ({where}, node {index})": spent
            for (index, where, label), spent in costs.items()
        }


def cost(program: Program) -> ProgramCost:
    """Return what `program` costs, estimated from its types.

    >>> from miniflow.ir import Builder, ValueType
    >>> b = Builder()
    >>> a, w = b.input(ValueType("f32", (2, 3))), b.input(ValueType("f32", (3, 4)))
    >>> cost(b.program([b.add("matmul", (a, w))])).total
    Cost(flops=48, bytes=104)
    """
    each = tuple(map(equation_cost, program.equations))
    total, by_origin = Cost(), dict[Origin | None, Cost]()
    for equation, spent in zip(program.equations, each, strict=True):
        total = total.plus(spent)
        by_origin[equation.origin] = by_origin.get(equation.origin, Cost()).plus(spent)
    return ProgramCost(total, each, by_origin)


def equation_cost(equation: Equation, also: Mapping[str, Primitive] = NO_PRIMITIVES) -> Cost:
    """Return the cost of one equation; `also` has primitives besides those of the table."""
    found, result = PRIMITIVES.get(equation.primitive), equation.result.type
    primitive = found or also[equation.primitive]
    if shows_more(equation):
        return Cost(0, result.nbytes)
    if (body := body_of(equation)) is not None:
        each = cost(body).total
        return Cost(result.shape[0] * each.flops, result.shape[0] * each.bytes)
    flops = primitive.flops(result, *equation.operands, **equation.params)
    if primitive.is_view:
        return Cost(flops, 0)
    read = [o.type.nbytes for o in equation.operands if isinstance(o, Variable)]
    if primitive.name == "gather":  # reads of its first operand only what it returns
        read[0] = result.nbytes
    return Cost(flops, sum(read) + result.nbytes)


def count_turns(program: Program) -> int:
    """Return how many turns the loops of a program take, those within others as often as these.

    >>> from miniflow.ir import Builder
    >>> count_turns(Builder().program([1.0]))
    0
    """
    turns = 0
    for equation in program.equations:
        if (body := body_of(equation)) is not None and not shows_more(equation):
            turns += equation.result.shape[0] * (1 + count_turns(body))
    return turns


def peak_memory(program: Program) -> int:
    """Return the bytes of all results that are needed at one time, if equations run in order.

    A result is needed until its last reader, or reader of a view of it, has run; outputs to the
    end; what the body of a scan needs, while that runs. Inputs and constants are not counted.

    >>> from miniflow.ir import Builder, ValueType
    >>> b = Builder()
    >>> x = b.input(ValueType("f32", (100,)))
    >>> for _ in range(9):
    ...     x = b.add("exp", (x,))
    >>> peak_memory(b.program([x]))
    800
    """
    base: dict[Variable, Variable] = {}
    last_use: dict[Variable, int] = {}
    for position, equation in enumerate(program.equations):
        read = [operand for operand in equation.operands if isinstance(operand, Variable)]
        if PRIMITIVES[equation.primitive].is_view and read:
            base[equation.result] = base.get(read[0], read[0])
        for variable in (*read, equation.result):
            last_use[base.get(variable, variable)] = position
    end = len(program.equations)
    for output in program.outputs:
        if isinstance(output.operand, Variable):
            last_use[base.get(output.operand, output.operand)] = end
    ending: dict[int, int] = {}
    needed = most = 0
    for position, equation in enumerate(program.equations):
        if equation.result not in base:
            size = equation.result.type.nbytes
            needed += size
            ending[last_use[equation.result]] = ending.get(last_use[equation.result], 0) + size
        body = body_of(equation)
        most = max(most, needed + (0 if body is None else peak_memory(body)))
        needed -= ending.get(position, 0)
    return most
