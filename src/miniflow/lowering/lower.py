"""From a program to a loop program: a step for each group of its schedule, in order.

`steps` writes them. Convolutions go through the batch in tiles (`tiling`): their steps stand in a
`Repeat`, and once more for what is left of the batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from miniflow.ir import Equation, Program, Variable
from miniflow.lowering.column_sums import sum_in_products, take_out_sums
from miniflow.lowering.destinations import compute_where_copied
from miniflow.lowering.draft import Draft, Target
from miniflow.lowering.epilogues import fuse_products
from miniflow.lowering.frame import assign_new_values, copy_old_values, hand_out, take_arguments
from miniflow.lowering.fuse import fuse
from miniflow.lowering.loop_program import SCRATCH, LoopProgram, Repeat
from miniflow.lowering.measures import mark_measured
from miniflow.lowering.placing import place_buffers
from miniflow.lowering.plan import StepPlan, make_plan
from miniflow.lowering.shared_rows import are_rows_apart
from miniflow.lowering.steps import StepWriter
from miniflow.lowering.steps_without_numpy import PlainStepWriter
from miniflow.lowering.tiling import batch_size, find_tiling
from miniflow.lowering.totals import take_out_totals
from miniflow.lowering.values import Values
from miniflow.lowering.windows import read_windows


class Lowering(NamedTuple):
    """A loop program, and what it has to do with the program that it was made of.

    `buffers` says in which buffer a value lies; `made_in`, for an equation of the body of a scan,
    which scan that is.
    """

    loop_program: LoopProgram
    buffers: Mapping[Variable, str]
    made_in: Mapping[Equation, Equation]


def lower_program(program: Program, target: Target | None = None) -> Lowering:
    """Lower a program for a printer that can do what `target` says.

    >>> from miniflow.ir import Builder, ValueType
    >>> from miniflow.lowering.loop_text import loop_text
    >>> b = Builder()
    >>> x, w = (b.input(ValueType("f32", (3, 3)), name=name) for name in "xw")
    >>> turned = b.add("transpose", (x,), {"axes": (1, 0)})
    >>> negative = b.add("negative", (b.add("matmul", (turned, w)),))
    >>> print(loop_text(lower_program(b.program([negative])).loop_program).strip())
    program(x: f32[3, 3], w: f32[3, 3]):
        t1: f32[3, 3]
        t2: f32[3, 3] = new
        t1 = x.T @ w
        kernel_1(a1=t1, n=9, a2=t2)
        return t2
    <BLANKLINE>
    def kernel_1(a1: f32[n], n: size, a2: f32[n]):
        for j in range(n):
            t1 = -a1[j]
            a2[j] = t1
    """
    draft = Draft(target or Target())
    schedule = take_out_totals(fuse(program, draft.target.can_fuse))
    plan = make_plan(
        take_out_sums(schedule) if draft.target.has_sums else schedule,
        updates_in_place=not draft.target.updates_last,
        adds_products=draft.target.adds_products,
        reads_windows=draft.target.reads_windows,
        can_lay=draft.target.can_lay,
    )
    values = Values(draft, plan)
    arguments = take_arguments(plan, values)
    copies = copy_old_values(draft, plan, values)
    write_groups(draft, plan, values)
    assign_new_values(draft, plan, values, copies, in_one_piece=draft.target.updates_last)
    outputs = hand_out(draft, plan, values, copies)
    updated = {values.place(o.replaces).buffer for o in program.outputs if o.replaces is not None}
    steps = tuple(mark_measured(draft.steps, program))
    made = LoopProgram(draft.buffers, arguments, steps, outputs, frozenset(updated))
    fused = fuse_products(
        read_windows(made, draft.target.can_read_windows), draft.target.can_finish
    )
    fused = compute_where_copied(sum_in_products(fused, draft.target.can_sum))
    kept = {
        variable: word
        for variable, word in values.buffers().items()
        if word in fused.buffers and fused.buffers[word].role != SCRATCH
    }

    def at_once(loop: Repeat) -> bool:
        return draft.target.pieces > 1 and are_rows_apart(loop, fused)

    placed = place_buffers(fused, draft.target.itemsize, at_once)
    return Lowering(placed, kept, draft.made_in)


def write_groups(draft: Draft, plan: StepPlan, values: Values) -> None:
    """Write the steps of all groups of a plan."""
    kind = StepWriter if draft.target.has_numpy else PlainStepWriter
    writer = kind(draft, plan, values, write_groups)
    items = batch_size(plan) if draft.target.has_tiles else 0
    position, end = 0, len(plan.schedule.groups)
    while position < end:
        continues = draft.target.continues_products
        tiling = find_tiling(plan, values, position, items, writer.is_compiled, continues)
        if tiling:
            writer.write_tiles(tiling)
            position = tiling.positions[-1]
        else:
            writer.write(plan.schedule.groups[position])
        position += 1
    writer.movements.finish()
