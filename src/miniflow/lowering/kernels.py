"""From groups of equations to kernels: nested loops over rows and columns.

A kernel has one part for each sweep of its group: before the rows and after them it computes what
there is one number of, or one for each column; in between it walks over the rows. A row is passed
over once for each stage (`stages`):

    for i in range(m):
        max1 = -inf
        for j in range(n):              # stage 0
            max1 = maximum(max1, a1[i, j])
        t1 = max1
        sum2 = f64(0.0)
        for j in range(n):              # stage 1
            t2 = a1[i, j] - t1
            ...

Columns before and after the rows are passed over in the same way, as if they were one more row.

The values are named t1, t2, ..., in the order of the equations; parameters as `parameters`
has them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Final, NamedTuple

import numpy as np

from miniflow.ir import DTYPES, Equation, Literal, Operand, Variable
from miniflow.lowering.expressions import (
    RENAMINGS,
    convert,
    is_baked,
    is_small_sum,
    number_in,
    write_term,
)
from miniflow.lowering.groups import AFTER, BEFORE, COLUMN, ONE, ROW, TABLE, WITHIN, EquationGroup
from miniflow.lowering.loop_dtypes import loop_dtypes
from miniflow.lowering.nests import (
    SIZE,
    Accumulate,
    Begin,
    Fail,
    If,
    Kernel,
    Let,
    Loop,
    Statement,
    Store,
    Term,
    absolute,
    cast,
    constant,
    equal,
    name,
    where,
)
from miniflow.lowering.parameters import Argument, Converted, Parameters
from miniflow.lowering.stages import is_over_rows, is_reduction, plan_stages

# With what a kernel fails where it finds an index, the loss, or an integer's exponent, so.
OUT_OF_RANGE, NOT_FINITE, NEGATIVE_POWER = 1, 2, 3

_I, _J, _ZERO = name("i"), name("j"), constant(0, SIZE)


@dataclass(frozen=True, slots=True, eq=False)
class GroupKernel:
    """The kernel of a group, and what its parameters are in the program it was written for.

    Among these may be variables that are `converted`, and not of the program.
    """

    kernel: Kernel
    arguments: Mapping[str, Argument]
    converted: Mapping[Variable, Converted] = field(default_factory=dict)


def write_kernel(
    group: EquationGroup,
    stored: frozenset[Variable],
    layouts: Mapping[Variable, str],
    in_place: Mapping[Variable, Variable],
    finite: Variable | None = None,
    continued: frozenset[Variable] = frozenset(),
) -> GroupKernel:
    """Write `group`, which leaves the values `stored` in memory.

    `layouts` says how the arrays lie that do not lie by rows; `in_place` maps a value to the array
    that the group reads and the value overwrites. The kernel stops where the number `finite` is
    NaN or infinite. Sums over the rows that are `continued` are added to what is there.
    """
    parameters = Parameters(group, stored, layouts, in_place)
    body = _KernelWriter(group, parameters, finite, continued).write()
    return GroupKernel(Kernel(tuple(parameters.declared.values()), body), parameters.arguments)


class _Pass(NamedTuple):
    """One walk over a row: the stage that it computes, in which column, and what it knows there."""

    stage: int
    column: Term
    known: dict[Variable, Term]


class _KernelWriter:
    """Makes the statements of one kernel.

    `block` has those of the row (or of what comes before and after the rows), `inner` those of the
    pass that is being written, if one is.
    """

    def __init__(
        self,
        group: EquationGroup,
        parameters: Parameters,
        finite: Variable | None,
        continued: frozenset[Variable],
    ) -> None:
        self.group, self.parameters, self.stored = group, parameters, parameters.stored
        self.finite, self.continued = finite, continued
        self.plan = plan_stages(group, self.stored)
        self.definitions = {equation.result: equation for equation in group.equations}
        self.number = {e.result: k for k, e in enumerate(group.equations, 1)}
        self.sweep = BEFORE
        self.block: list[Statement] = []
        self.inner: list[Statement] | None = None
        self.labels: dict[tuple[Variable, Term], Term] = {}  # that have been checked in this row
        self.at_labels: dict[Term, dict[Variable, Term]] = {}  # what is known there

    def write(self) -> tuple[Statement, ...]:
        """Write the three sweeps, and what adds up over the rows around the middle one."""
        over_rows = [e for e in self.group.equations if is_over_rows(e, self.group)]
        self._write_sweep(BEFORE)
        for reduction in over_rows:
            if reduction.result not in self.continued:
                self._begin(reduction)
        self._write_rows()
        for reduction in over_rows:
            self._finish(reduction)
        self._write_sweep(AFTER)
        return tuple(self.block)

    def _write_rows(self) -> None:
        if not self.plan.count(WITHIN):
            return
        if not self.group.split:
            self._write_sweep(WITHIN)
            return
        rows, outside = self.parameters.rows(), self.block
        self.block = []
        self._write_sweep(WITHIN)
        row, self.block = tuple(self.block), outside
        if row:  # else nobody needs what the rows hold
            self.block.append(Loop("i", rows, row))

    # A sweep: for each stage, the numbers that are ready, then a pass over the row.

    def _write_sweep(self, sweep: int) -> None:
        self.sweep, self.labels, self.at_labels = sweep, {}, {}
        for stage in range(self.plan.count(sweep)):
            for equation in self.group.equations:
                place = self.group.places[equation.result]
                is_now = (place.sweep, self.plan.stage[equation.result]) == (sweep, stage)
                if is_now and place.domain in (ONE, ROW) and not is_reduction(equation):
                    self._write_number(equation, stage)
            roots = self.plan.roots.get((sweep, stage))
            if roots:
                self._write_pass(roots, stage)

    def _write_number(self, equation: Equation, stage: int) -> None:
        if equation.primitive == "gather":
            x, column = equation.operands[0], self._label(equation)
            assert isinstance(x, Variable)
            known = self.at_labels.setdefault(column, {})
            value = self._vector(x, _Pass(stage, column, known))
        else:
            value = self._expression(equation, _Pass(stage, _ZERO, {}))
        self._add(Let(self._word(equation.result), value, equation))
        self._finish_number(equation)

    def _finish_number(self, equation: Equation) -> None:
        """Store a number where it is wanted, and add it to what adds up over the rows."""
        result, value = equation.result, self._name(equation.result)
        if result in self.stored:
            self._store(result, _ZERO, value, equation)
        if result is self.finite:
            fail = Fail(NOT_FINITE, equation)
            self._add(If(~(absolute(value) < inf), (fail,), equation))
        if self.group.places[result].sweep == WITHIN:
            for reduction in self._reductions_of(result):
                self._accumulate(reduction, value)

    def _write_pass(self, roots: Iterable[Variable], stage: int) -> None:
        reductions = [reduction for root in roots for reduction in self._reductions_of(root)]
        within_row = [r for r in reductions if not is_over_rows(r, self.group)]
        for reduction in within_row:
            self._begin(reduction)
        self.inner, place = [], _Pass(stage, _J, {})
        values = {root: self._vector(root, place) for root in roots}
        for root, value in values.items():
            for reduction in self._reductions_of(root):
                self._accumulate(reduction, value)
        for root, value in values.items():  # last, as it may overwrite what the pass has read
            is_ours = root in self.stored or root in self.plan.kept
            is_new = is_ours and root in self.definitions
            if is_new and value != self.parameters.entry(root, _I, _J):
                self._store(root, _J, value, self.definitions[root])
        body, self.inner = tuple(self.inner), None
        self._add(Loop("j", self.parameters.columns(), body))
        for reduction in within_row:
            self._finish(reduction)

    # Sums and maxima: begun before a loop, accumulated in it, finished after it.

    def _reductions_of(self, x: Variable) -> Iterator[Equation]:
        return (e for e in self.group.equations if is_reduction(e) and e.operands[0] is x)

    def _is_in_memory(self, reduction: Equation) -> bool:
        return self.parameters.domain(reduction.result) == COLUMN

    def _total(self, reduction: Equation) -> Term:
        """Return where a reduction adds up: an entry in memory, or a name; a sum of f32 in f64."""
        result = reduction.result
        if self._is_in_memory(reduction):
            return self.parameters.entry(result, _ZERO, _J)
        dtype, x = result.dtype, reduction.operands[0]
        if reduction.primitive == "sum":
            is_small = dtype[0] != "f" and is_small_sum(x.dtype, x.type.size)
            dtype = "f64" if dtype == "f32" else SIZE if is_small else dtype
        return name(f"{reduction.primitive}{self.number[result]}", dtype)

    def _begin(self, reduction: Equation) -> None:
        total = self._total(reduction)
        neutral = constant(_neutral(reduction.primitive, total.dtype), total.dtype)
        if not self._is_in_memory(reduction):
            self._add(Begin(str(total.what), neutral, reduction))
            return
        store = Store(str(total.what), total.operands, neutral, equation=reduction)
        self._add(Loop("j", self.parameters.columns(), (store,)))

    def _accumulate(self, reduction: Equation, value: Term) -> None:
        total = self._total(reduction)
        value, by = cast(value, total.dtype), _BY[reduction.primitive]
        if total.op == "name":
            self._add(Accumulate(str(total.what), value, by, reduction))
            return
        adds = by == "add"
        new = value if adds else Term(by, total.dtype, (total, value))
        self._add(Store(str(total.what), total.operands, new, adds, reduction))

    def _finish(self, reduction: Equation) -> None:
        if not self._is_in_memory(reduction):
            result = reduction.result
            whole = cast(self._total(reduction), result.dtype)
            self._add(Let(self._word(result), whole, reduction))
            self._finish_number(reduction)

    # Values.

    def _expression(self, equation: Equation, place: _Pass) -> Term:
        """Return what an equation is, in the column of the pass if it has columns."""
        primitive, x = equation.primitive, equation.operands[0]
        if primitive in RENAMINGS:
            return self._operand(x, equation.result.dtype, place, equation)
        if primitive == "gather":  # the row of a table
            assert isinstance(x, Variable)
            return self.parameters.entry(x, self._label(equation), place.column)
        is_write = primitive in ("gather_update", "scatter_add")
        there = [equal(place.column, self._label(equation))] if is_write else []
        dtypes = loop_dtypes(equation)[:2] if is_write else loop_dtypes(equation)
        operands = [
            self._operand(operand, dtype or operand.dtype, place, equation)
            for operand, dtype in zip(equation.operands, dtypes, strict=False)
        ]
        return write_term(equation, *operands, *there)

    def _operand(self, operand: Operand, dtype: str, place: _Pass, reader: Equation) -> Term:
        """Return an operand, converted to `dtype`, for an equation that reads it."""
        if isinstance(operand, Literal):
            operand_there = Literal(number_in(operand, dtype))
            if is_baked(reader, operand_there):
                return constant(operand_there.value, dtype)
            return self.parameters.literal(operand_there, dtype)
        domain, is_ours = self.parameters.domain(operand), operand in self.definitions
        if domain not in (ONE, ROW):
            value = self._vector(operand, place)
        elif is_ours:
            value = self._name(operand)
        elif domain == ONE:
            value = self.parameters.number(operand)
        else:
            value = self.parameters.entry(operand, _I, _ZERO)
        return convert(value, dtype)

    def _vector(self, variable: Variable, place: _Pass) -> Term:
        """Return an element, or column; computed, unless it is known or stored."""
        if variable in place.known:
            return place.known[variable]
        equation = self.definitions.get(variable)
        if equation is None or self._can_be_read(equation, place.stage):
            return self.parameters.entry(variable, _I, place.column)
        value = self._expression(equation, place)
        word = self._word(variable)
        if place.column != _J:
            word = f"{word}_{place.column.what}"
        place.known[variable] = name(word, variable.dtype)
        self._add(Let(word, value, equation))
        return place.known[variable]

    def _can_be_read(self, equation: Equation, stage: int) -> bool:
        variable = equation.result
        if is_over_rows(equation, self.group):
            return True
        if variable not in self.stored and variable not in self.plan.kept:
            return False
        return self.group.places[variable].sweep != self.sweep or self.plan.stage[variable] < stage

    def _label(self, equation: Equation) -> Term:
        """Return the column, or the table's row, that an equation indexes; checked."""
        x, index = equation.operands[0], equation.operands[-1]
        assert isinstance(x, Variable)
        assert isinstance(index, Variable)
        is_table = self.group.reads.get(x) == TABLE
        length = self.parameters.length(x) if is_table else self.parameters.columns()
        label = self.labels.get((index, length))
        if label is None:
            number = 1 + len(self.labels)
            given, label = name(f"index{number}"), name(f"label{number}")
            self.labels[index, length] = label
            value = self._operand(index, SIZE, _Pass(0, _ZERO, {}), equation)
            counted = where(given < 0, given + length, given)  # from the end, if it is negative
            is_outside = (label < 0) | (label >= length)
            about = (given, constant(0 if is_table else 1, SIZE), length)
            self.block += [
                Let(str(given.what), value, equation),
                Let(str(label.what), counted, equation),
                If(is_outside, (Fail(OUT_OF_RANGE, equation, about),), equation),
            ]
        return label

    # Statements.

    def _word(self, variable: Variable) -> str:
        return f"t{self.number[variable]}"

    def _name(self, variable: Variable) -> Term:
        return name(self._word(variable), variable.dtype)

    def _store(self, variable: Variable, column: Term, value: Term, equation: Equation) -> None:
        array = self.parameters.array(variable).name
        index = self.parameters.index(variable, _I, column)
        self._add(Store(array, index, value, equation=equation))

    def _add(self, statement: Statement) -> None:
        (self.block if self.inner is None else self.inner).append(statement)


_BY: Final = {"sum": "add", "max": "maximum", "min": "minimum"}


def _neutral(primitive: str, dtype: str) -> int | float:
    """Return the number from which a reduction starts."""
    if primitive == "sum":
        return 0
    if dtype[0] == "f":
        return -inf if primitive == "max" else inf
    limits = np.iinfo(DTYPES[dtype])
    return int(limits.min if primitive == "max" else limits.max)
