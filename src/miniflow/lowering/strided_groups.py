"""The nest of equations that are computed element by element, of arrays that lie anyhow.

    for i0 in range(n0):            # the largest of four elements of an image: no window is copied
        for i1 in range(n1):
            t1 = maximum(a1[i0 * 384 + i1], a2[i0 * 384 + i1])

A loop over rows and columns knows few ways in which an array may lie; one that it reads, and that
lies in none of these, would have to be copied first.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from miniflow.ir import Equation, Operand, Variable
from miniflow.lowering.alone import MAX_RANK
from miniflow.lowering.expressions import RENAMINGS, convert, dtypes_in_loop, write_term
from miniflow.lowering.groups import ELEMENT, TABLE, EquationGroup
from miniflow.lowering.kernels import GroupKernel
from miniflow.lowering.nests import Let, Statement, Term, name
from miniflow.lowering.stages import is_reduction
from miniflow.lowering.strided_loops import Steps, StridedWriter
from miniflow.lowering.views import Region

_INDEXED = ("gather", "gather_update", "scatter_add")


def write_elements(
    group: EquationGroup, wanted: Collection[Variable], layout: Callable[[Variable], Region]
) -> GroupKernel | None:
    """Write a group that leaves the values `wanted`, whose memory is nobody else's; None if some of
    it is not elementwise.
    """
    if not can_write_elements(group, layout):
        return None
    ours = (equation.result for equation in group.equations)  # in an order that is always the same
    laid: dict[Variable, Steps] = {v: layout(v).strides for v in ours if v in wanted}
    for variable in group.reads:
        if variable.kind == "array":
            laid[variable] = layout(variable).laid_over(group.space)
    if any(len(steps) != len(group.space) for steps in laid.values()):
        return None
    return _ElementWriter(group).write(wanted, laid)


def can_write_elements(group: EquationGroup, layout: Callable[[Variable], Region]) -> bool:
    """Whether all of a group is elementwise, over as many axes as its results have."""
    if len(group.space) > MAX_RANK or not all(_is_elementwise(e, group) for e in group.equations):
        return False
    return all(
        domain != TABLE and _fits(layout(variable).shape, group.space)
        for variable, domain in group.reads.items()
        if variable.kind == "array"
    )


def _is_elementwise(equation: Equation, group: EquationGroup) -> bool:
    if is_reduction(equation) or equation.primitive in (*RENAMINGS, *_INDEXED):
        return False
    return group.places[equation.result].domain == ELEMENT


def _fits(shape: Steps, space: Steps) -> bool:
    """Whether an array of that shape is broadcast to the space."""
    axes = zip(reversed(shape), reversed(space), strict=False)
    return len(shape) <= len(space) and all(n in (1, length) for n, length in axes)


class _ElementWriter(StridedWriter):
    """Writes the nest of one group."""

    def __init__(self, group: EquationGroup) -> None:
        super().__init__(group.equations[0])
        self.group = group
        self.known: dict[Variable, Term] = {}

    def write(self, wanted: Collection[Variable], laid: dict[Variable, Steps]) -> GroupKernel:
        """Write the loops over all elements."""
        self.open_loops(self.group.space, laid)
        statements: list[Statement] = []
        needed = self._needed(wanted)
        for number, equation in enumerate(self.group.equations, 1):
            if equation.result not in needed:
                continue
            self.equation, result = equation, equation.result
            statements.append(Let(f"t{number}", self._value(equation), equation))
            self.known[result] = name(f"t{number}", result.dtype)
            if result in wanted:
                statements.append(self.store(self.at(result), self.known[result]))
        self.close_loops(*statements)
        return self.kernel()

    def _needed(self, wanted: Collection[Variable]) -> set[Operand]:
        """What is left in memory, and what that is made of."""
        needed: set[Operand] = set(wanted)
        for equation in reversed(self.group.equations):
            if equation.result in needed:
                needed.update(equation.operands)
        return needed

    def _value(self, equation: Equation) -> Term:
        terms = [
            convert(self.known[x], dtype or x.dtype)
            if isinstance(x, Variable) and x in self.known
            else self.operand(x, dtype or x.dtype)
            for x, dtype in zip(equation.operands, dtypes_in_loop(equation), strict=True)
        ]
        return convert(write_term(equation, *terms), equation.result.dtype)
