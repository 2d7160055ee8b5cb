"""*touch_rows*: a table of which a step looks some rows up is updated in these rows alone.

The gradient of a table (an embedding) is zeros, to which the gradients of the rows that were looked
up are added; and an update by gradient descent leaves a row as it was where its gradient is zero:

    gradient = scatter_add(full(0), G, rows)       as large as the table
    new = table - lr * gradient                    and so is this

So only the rows need be looked at that were looked up:

    sums = what scatter_add gives in these rows    (rows, width)
    new = gather_update(table, table[rows] - lr * sums, rows)

To the bit: a row that is named several times gets the same sum of the same gradients in the same
order, and is written several times with the same result. Where the sums of a row lie, a table of
whole numbers says, the place where each row is named last. It is of use for less than half as many
rows as the table has.

An optimizer that remembers something, momentum, say, moves rows whose gradient is zero, too; so
does weight decay, and a bound on the norm asks for all of the gradient. Those programs stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Final, NamedTuple

from miniflow.ir.build import Builder
from miniflow.ir.program import (
    Equation,
    Operand,
    Program,
    Variable,
    count_uses,
    is_number,
)

ROWS_FOR_ONE: Final = 2  # rows of the table for each one that is looked up, or more


def touch_rows(program: Program) -> Program:
    """Return the program in which such updates touch the rows that were looked up.

    >>> from miniflow.ir import Output, ValueType
    >>> b = Builder()
    >>> table = b.input(ValueType("f32", (9, 2)), "parameter", "table")
    >>> rows = b.input(ValueType("i64", (3,)), name="rows")
    >>> G = b.input(ValueType("f32", (3, 2)), name="G")
    >>> zeros = b.add("full", (0,), {"shape": (9, 2), "dtype": "f32"})
    >>> gradient = b.add("scatter_add", (zeros, G, rows), {"axes": (0,)})
    >>> new = b.add("subtract", (table, b.add("multiply", (0.5, gradient))))
    >>> from miniflow.passes import prune
    >>> print(prune(touch_rows(b.program([Output(new, "parameter", replaces=table)]))))
    program(table: f32[9,2], rows: i64[3], G: f32[3,2]):
      t1 = full((9,), 0, i32)                             # i32[9]
      t2 = gather_update(t1[rows], arange(3, i32))[rows]  # i32[3]
      t3 = scatter_add(full((3, 2), 0, f32)[t2], G)[t2]   # f32[3,2]
      t4 = subtract(table[rows], multiply(0.5, t3))       # f32[3,2]
      t5 = gather_update(table[rows], t4)                 # f32[9,2]
      return (
        t5,  # new value of table
      )
    """
    uses = count_uses(program)
    made: dict[Operand, Equation] = {e.result: e for e in program.equations}
    found: dict[Operand, _Update] = {}
    for output in program.outputs:
        if output.replaces is not None and isinstance(output.operand, Variable):
            update = _update_of(output.operand, output.replaces, made, uses)
            if update is not None:
                found[output.operand] = update
    if not found:
        return program
    read = {operand for equation in program.equations for operand in equation.operands}
    equations: list[Equation] = []
    last: list[Equation] = []  # tables are written when nothing can fail any more
    for equation in program.equations:
        update = found.get(equation.result)
        if update is None:
            equations.append(equation)
            continue
        *before, write = _written(update, equation)
        equations += before
        (equations if equation.result in read else last).append(write)
    return Program(program.inputs, (*equations, *last), program.outputs, program.constants)


class _Update(NamedTuple):
    """table - rate * scatter_add(0, G, rows); of the product, which operand is the rate."""

    table: Variable
    rate: Operand
    is_rate_first: bool
    G: Operand
    rows: Variable


def _update_of(
    new: Variable, table: Variable, made: Mapping[Operand, Equation], uses: Mapping[Variable, int]
) -> _Update | None:
    """What an update of a table is made of, if it is one such."""
    difference = made.get(new)
    if difference is None or difference.primitive != "subtract":
        return None
    step = made.get(difference.operands[1])
    if difference.operands[0] is not table or step is None or step.primitive != "multiply":
        return None
    for is_first in (True, False):
        rate, gradient = step.operands if is_first else step.operands[::-1]
        sums = made.get(gradient)
        if rate.shape == () and sums is not None and sums.primitive == "scatter_add":
            break
    else:
        return None
    zeros, G, *indices = sums.operands
    filled = made.get(zeros)
    is_zero = filled is not None and filled.primitive == "full" and is_number(filled.operands[0], 0)
    rows = indices[0]
    if (
        not is_zero
        or sums.params["axes"] != (0,)
        or not isinstance(rows, Variable)
        or rows.kind != "array"
        or rows.dtype == "u64"
        or uses[step.result] != 1
        or uses[sums.result] != 1
        or G.shape != rows.shape + table.shape[1:]
        or {G.dtype, sums.result.dtype, step.result.dtype, new.dtype} != {table.dtype}
        or not 0 < ROWS_FOR_ONE * prod(rows.shape) <= table.shape[0] < 2**31
    ):
        return None
    return _Update(table, rate, is_first, G, rows)


def _written(update: _Update, equation: Equation) -> list[Equation]:
    """The equations in place of the one that makes the new table."""
    builder, (table, rate, is_rate_first, G, rows) = Builder(), update
    count, others = prod(rows.shape), table.shape[1:]
    of_rows = {"axes": (0,)}

    def add(primitive: str, *operands: Operand | int, **params: object) -> Variable:
        return builder.add(primitive, operands, params, equation.origin)

    if len(rows.shape) != 1:
        rows = add("reshape", rows, shape=(count,))
        G = add("reshape", G, shape=(count, *others))
    nowhere = add("full", 0, shape=(table.shape[0],), dtype="i32")
    numbers = add("arange", start=0, stop=count, step=1, dtype="i32")
    last = add("gather", add("gather_update", nowhere, numbers, rows, **of_rows), rows, **of_rows)
    zeros = add("full", 0, shape=(count, *others), dtype=table.dtype)
    sums = add("gather", add("scatter_add", zeros, G, last, **of_rows), last, **of_rows)
    step = add("multiply", *((rate, sums) if is_rate_first else (sums, rate)))
    new = add("subtract", add("gather", table, rows, **of_rows), step)
    builder.add(
        "gather_update", (table, new, rows), of_rows, equation.origin, result=equation.result
    )
    return builder.equations
