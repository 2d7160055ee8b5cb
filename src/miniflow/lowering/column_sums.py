"""Sums over rows that a product makes in passing, as it reads these rows anyhow.

    bias, G = kernel_1(...)           G = kernel_1(...)
    K = windows.T @ G                 K, bias = windows.T @ G, sum(G, 0)

The gradient of a convolution's bias is the sum of all places, one chain through the whole batch. In
the loop that computes the gradient of the places, it would keep that out of the tiles (`tiling`).
So it is taken out of there (`take_out_sums`), and, when it is known which products read windows,
becomes part of one that reads what it adds up (`sum_in_products`): a row of ones more, which leaves
every bit as it was.

So it is with the bias of a wide layer before one of few classes: without the sums, what comes back
through the classes' weights can have the activation's gradient as its epilogue (`epilogues`), and
threads can have some rows or columns each. The sums stay a loop of their own, cut by columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from miniflow.ir import Equation, Literal, Operand, Variable
from miniflow.lowering.epilogues import SHORT
from miniflow.lowering.fuse import Schedule
from miniflow.lowering.groups import LOOP, PRODUCT, EquationGroup, LoopBuilder
from miniflow.lowering.loop_program import (
    BufferView,
    LoopProgram,
    Nest,
    Product,
    Step,
    WindowMatrix,
    accesses,
    steps_of,
)
from miniflow.lowering.stages import is_over_rows

_LARGE: Final = 1 << 16  # elements, of which threads have some each


def take_out_sums(schedule: Schedule) -> Schedule:
    """Return the schedule with loops of their own for sums over the rows of what a product reads
    beside windows, and of what is made element by element of a short product.
    """
    definitions: dict[Variable, Equation] = {e.result: e for e in schedule.program.equations}
    factors = set(_beside_windows(schedule, definitions))
    groups: list[EquationGroup] = []
    for group in schedule.groups:
        taken = {*factors, *_of_short_products(group, definitions)} & schedule.stored
        groups += _without_sums(group, taken, definitions) or [group]
    return replace(schedule, groups=tuple(groups))


def _beside_windows(
    schedule: Schedule, definitions: Mapping[Variable, Equation]
) -> Iterator[Operand]:
    """What products multiply the transpose of a matrix of windows with."""
    for group in schedule.groups:
        equation = group.equations[0]
        if group.kind == PRODUCT and equation.primitive == "matmul":
            a, b = equation.operands
            seen = list(_looks_at(a, definitions))
            turned = [e.params["axes"] for e in seen if e.primitive == "transpose"]
            if (1, 0) in turned and any(e.primitive == "windows" for e in seen):
                last = list(_looks_at(b, definitions, ("reshape",)))
                yield last[-1].operands[0] if last else b


def _of_short_products(
    group: EquationGroup, definitions: Mapping[Variable, Equation]
) -> Iterator[Operand]:
    """What is large, in a loop that reads a product which takes no longer than its memory."""
    if group.kind != LOOP or not any(_is_short(definitions.get(x)) for x in group.reads):
        return
    for equation in group.equations:
        if equation.result.kind == "array" and equation.result.type.size >= _LARGE:
            yield equation.result


def _is_short(equation: Equation | None) -> bool:
    if equation is None or equation.primitive != "matmul":
        return False
    a, _ = equation.operands
    return isinstance(a, Variable) and len(a.shape) == 2 and a.shape[1] <= SHORT


def _looks_at(
    operand: Operand,
    definitions: Mapping[Variable, Equation],
    primitives: Sequence[str] = ("reshape", "transpose", "slice", "windows"),
) -> Iterator[Equation]:
    """The equations that bring an operand into its shape."""
    while isinstance(operand, Variable) and operand in definitions:
        if definitions[operand].primitive not in primitives:
            return
        yield definitions[operand]
        operand = definitions[operand].operands[0]


def _without_sums(
    group: EquationGroup, factors: set[Operand], definitions: Mapping[Variable, Equation]
) -> list[EquationGroup]:
    """A loop in two: what has been there beside sums over the rows of a factor, and these; nothing
    if it has no such sums.
    """
    if group.kind != LOOP:
        return []
    sums = [
        e
        for e in group.equations
        if e.primitive == "sum" and is_over_rows(e, group) and e.operands[0] in factors
        if e.operands[0] in group.places
    ]
    rest = [e for e in group.equations if e not in sums]
    made = {e.result for e in sums}
    if not sums or not rest or any(not made.isdisjoint(e.operands) for e in rest):
        return []
    loops = [LoopBuilder(definitions), *(LoopBuilder(definitions) for _ in sums)]
    is_taken = all(map(loops[0].add, rest))
    is_taken = is_taken and all(x.add(e) for x, e in zip(loops[1:], sums, strict=True))
    return [loop.group() for loop in loops] if is_taken else []


def sum_in_products(program: LoopProgram, can_sum: Callable[[Product], bool]) -> LoopProgram:
    """Return the program with products in the place of sums, where there is one for it."""
    steps = list(program.steps)
    for nest in program.steps:
        found = _sum_of(nest)
        if found is None:
            continue
        first = steps.index(nest)
        for position in range(first + 1, len(steps)):
            product = steps[position]
            if isinstance(product, Product) and _reads(product, found[1]):
                changed = replace(
                    product,
                    sums=found[0],
                    equations=(*product.equations, *nest.equations),
                )
                if can_sum(changed):
                    steps[position] = changed
                    del steps[first]
                break
            if _touches(product, *found):
                break
    return replace(program, steps=tuple(steps))


def _sum_of(step: Step) -> tuple[BufferView, BufferView] | None:
    """The sums that a nest makes over rows, and of what, if it does nothing else."""
    if not isinstance(step, Nest) or len(step.equations) != 1:
        return None
    (equation,) = step.equations
    views = accesses(step)
    if equation.primitive != "sum" or len(views) != 2:
        return None
    (of, _, _), (sums, _, _) = views
    (x,) = equation.operands
    if not isinstance(x, Variable) or equation.params["axis"] != tuple(
        range(len(equation.params["axis"]))
    ):
        return None
    inner = x.shape[len(equation.params["axis"]) :]
    is_plain = of.size == x.type.size and of.is_contiguous and sums.is_contiguous
    is_like = sums.size == Variable(x.type._replace(shape=inner)).type.size
    if not is_plain or not is_like or {of.dtype, sums.dtype} != {x.dtype} or of.moves or sums.moves:
        return None
    return sums._replace(shape=(sums.size,), strides=(1,)), of


def _reads(product: Product, of: BufferView) -> bool:
    """Whether a product reads windows beside the rows that are added up, and is no more."""
    a, b = product.a, product.b
    is_plain = product.alpha == Literal(1.0) and product.beta is None and product.sums is None
    is_there = (b.buffer, b.offset, b.size, b.moves) == (of.buffer, of.offset, of.size, ())
    is_there = is_there and b.is_contiguous and len(b.shape) == 2
    return is_plain and is_there and isinstance(a, WindowMatrix) and a.is_turned


def _touches(step: Step, sums: BufferView, of: BufferView) -> bool:
    """Whether a step reads or writes the sums, or writes to what they are of."""
    return any(
        x.view.buffer == sums.buffer or (x.writes and x.view.buffer == of.buffer)
        for inner in steps_of((step,))
        for x in accesses(inner)
    )
