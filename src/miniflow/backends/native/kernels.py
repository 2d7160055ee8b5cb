"""Write a loop group as a kernel: a few nested loops, in the language of `language`.

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
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from miniflow.backends.native.expressions import (
    BAKED,
    EXPRESSIONS,
    RENAMINGS,
    SHIFTS,
    converted,
    expression,
)
from miniflow.backends.native.parameters import Argument, Parameters
from miniflow.backends.native.stages import is_over_rows, is_reduction, plan_stages
from miniflow.ir import DTYPES, Equation, Literal, Operand, Variable
from miniflow.lowering.groups import AFTER, BEFORE, COLUMN, ONE, ROW, TABLE, WITHIN, EquationGroup
from miniflow.lowering.loop_dtypes import loop_dtypes

OUT_OF_RANGE, NOT_FINITE = 1, 2  # what a kernel returns where it finds an index, or the loss, so

_CHOICES: Final = ("where", "full", "cast", "broadcast_to")  # of literals alone, perhaps


class KernelLine(NamedTuple):
    """A line of a kernel, and the equation that it computes."""

    text: str
    equation: Equation | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Kernel:
    """A kernel: its text, and what its parameters are in the program that it was written for."""

    lines: tuple[KernelLine, ...]
    arguments: Mapping[str, Argument]

    @property
    def source(self) -> str:
        """The text."""
        return "\n".join(line.text for line in self.lines) + "\n"


def write_kernel(
    group: EquationGroup,
    stored: frozenset[Variable],
    layouts: Mapping[Variable, str],
    in_place: Mapping[Variable, Variable],
    finite: Variable | None = None,
) -> Kernel:
    """Write `group`, which leaves the values `stored` in memory.

    `layouts` says how the arrays lie that do not lie by rows; `in_place` maps a value to the array
    that the group reads and the value overwrites. The kernel stops where the number `finite` is
    NaN or infinite.
    """
    parameters = Parameters(group, stored, layouts, in_place)
    writer = _KernelWriter(group, parameters, finite)
    lines = writer.write()
    declared = ", ".join(f"{name}: {kind}" for name, kind in parameters.declared.items())
    head = KernelLine(f"def kernel({declared}):")
    return Kernel((head, *lines), parameters.arguments)


class _Pass(NamedTuple):
    """One walk over a row: the stage that it computes, in which column, and what it knows there."""

    stage: int
    column: str
    known: dict[Variable, str]


class _KernelWriter:
    """Writes the lines of one kernel.

    `lines` are those of the row (or of what comes before and after the rows), `body` those of the
    pass that is being written, if one is.
    """

    def __init__(
        self, group: EquationGroup, parameters: Parameters, finite: Variable | None
    ) -> None:
        self.group, self.parameters, self.stored = group, parameters, parameters.stored
        self.finite = finite
        self.plan = plan_stages(group, self.stored)
        self.definitions = {equation.result: equation for equation in group.equations}
        self.number = {e.result: k for k, e in enumerate(group.equations, 1)}
        self.sweep = BEFORE
        self.lines: list[KernelLine] = []
        self.body: list[KernelLine] | None = None
        self.indent = "    "
        self.labels: dict[tuple[Variable, str], str] = {}  # that have been checked in this row

    def write(self) -> list[KernelLine]:
        """Write the three sweeps, and what adds up over the rows around the middle one."""
        over_rows = [e for e in self.group.equations if is_over_rows(e, self.group)]
        self._write_sweep(BEFORE)
        for reduction in over_rows:
            self._start(reduction)
        self._write_rows()
        for reduction in over_rows:
            self._finish(reduction)
        self._write_sweep(AFTER)
        return self.lines

    def _write_rows(self) -> None:
        if not self.plan.count(WITHIN):
            return
        if self.group.split:
            self._line(f"for i in range({self.parameters.rows()}):")
            self.indent += "    "
        before = len(self.lines)
        self._write_sweep(WITHIN)
        self.indent = "    "
        if self.group.split and len(self.lines) == before:
            self.lines.pop()  # nobody needs what the rows hold

    # A sweep: for each stage, the numbers that are ready, then a pass over the row.

    def _write_sweep(self, sweep: int) -> None:
        self.sweep, self.labels = sweep, {}
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
            text = self._vector(x, _Pass(stage, column, {}))
        else:
            text = self._expression(equation, _Pass(stage, "", {}))
        self._line(f"{self._name(equation.result)} = {text}", equation)
        self._finish_number(equation)

    def _finish_number(self, equation: Equation) -> None:
        """Store a number where it is wanted, and add it to what adds up over the rows."""
        result = equation.result
        if result in self.stored:
            self._line(f"{self.parameters.entry(result, 'i', '')} = {self._name(result)}", equation)
        if result is self.finite:
            self._line(f"if ~(absolute({self._name(result)}) < inf):", equation)
            self._line(f"    return {NOT_FINITE}", equation)
        if self.group.places[result].sweep == WITHIN:
            for reduction in self._reductions_of(result):
                self._accumulate(reduction, self._name(result))

    def _write_pass(self, roots: Iterable[Variable], stage: int) -> None:
        reductions = [reduction for root in roots for reduction in self._reductions_of(root)]
        inner = [r for r in reductions if not is_over_rows(r, self.group)]
        for reduction in inner:
            self._start(reduction)
        self.body, place = [], _Pass(stage, "j", {})
        texts = {root: self._vector(root, place) for root in roots}
        for root, text in texts.items():
            for reduction in self._reductions_of(root):
                self._accumulate(reduction, text)
        for root, text in texts.items():  # last, as it may overwrite what the pass has read
            entry = self.parameters.entry(root, "i", "j")
            is_ours = root in self.stored or root in self.plan.kept
            if is_ours and root in self.definitions and text != entry:
                self._line(f"{entry} = {text}", self.definitions[root])
        body, self.body = self.body, None
        self._line(f"for j in range({self.parameters.columns()}):")
        self.lines += body
        for reduction in inner:
            self._finish(reduction)

    # Sums and maxima: started before a loop, accumulated in it, finished after it.

    def _reductions_of(self, x: Variable) -> Iterator[Equation]:
        return (e for e in self.group.equations if is_reduction(e) and e.operands[0] is x)

    def _is_in_memory(self, reduction: Equation) -> bool:
        return self.parameters.domain(reduction.result) == COLUMN

    def _total(self, reduction: Equation) -> tuple[str, str]:
        """Return where a reduction adds up, and in which dtype: a sum of f32 in f64."""
        result = reduction.result
        if self._is_in_memory(reduction):
            return self.parameters.entry(result, "", "j"), result.dtype
        dtype = "f64" if (reduction.primitive, result.dtype) == ("sum", "f32") else result.dtype
        return f"{reduction.primitive}{self.number[result]}", dtype

    def _start(self, reduction: Equation) -> None:
        total, dtype = self._total(reduction)
        line = f"{total} = {dtype}({_neutral(reduction.primitive, dtype)})"
        if self._is_in_memory(reduction):
            self._line(f"for j in range({self.parameters.columns()}):")
            line = f"    {line}"
        self._line(line, reduction)

    def _accumulate(self, reduction: Equation, text: str) -> None:
        total, dtype = self._total(reduction)
        text = converted(text, reduction.operands[0].type.dtype, dtype)
        if reduction.primitive == "sum":
            self._line(f"{total} += {text}", reduction)
        else:
            larger = EXPRESSIONS[f"{reduction.primitive}imum"]
            template = larger.floats if dtype[0] == "f" else larger.integers
            assert template is not None
            self._line(f"{total} = {template.format(total, text)}", reduction)

    def _finish(self, reduction: Equation) -> None:
        if not self._is_in_memory(reduction):
            result, (total, dtype) = reduction.result, self._total(reduction)
            text = converted(total, dtype, result.dtype)
            self._line(f"{self._name(result)} = {text}", reduction)
            self._finish_number(reduction)

    # Values.

    def _expression(self, equation: Equation, place: _Pass) -> str:
        """Return the expression of an equation, in the column of the pass if it has columns."""
        name, x = equation.primitive, equation.operands[0]
        if name in RENAMINGS:
            return self._operand(x, equation.result.dtype, place)
        if name == "gather":  # the row of a table
            assert isinstance(x, Variable)
            return self.parameters.entry(x, self._label(equation), place.column)
        label = self._label(equation) if name in ("gather_update", "scatter_add") else ""
        dtypes = loop_dtypes(equation)[:2] if label else loop_dtypes(equation)
        typed, written = name in _CHOICES, name in SHIFTS
        texts = [
            self._operand(operand, dtype or operand.dtype, place, typed, written)
            for operand, dtype in zip(equation.operands, dtypes, strict=False)
        ]
        return expression(equation, texts, column=place.column, label=label)

    def _operand(
        self, operand: Operand, dtype: str, place: _Pass, typed: bool = False, written: bool = False
    ) -> str:
        """Return the text of an operand, converted to `dtype`; literals `typed`, or `written`
        into the kernel whatever they are.
        """
        if isinstance(operand, Literal):
            return self._literal(operand, dtype, typed, written)
        domain, is_ours = self.parameters.domain(operand), operand in self.definitions
        if domain not in (ONE, ROW):
            text = self._vector(operand, place)
        elif is_ours:
            text = self._name(operand)
        elif domain == ONE:
            text = self.parameters.number(operand)
        else:
            text = self.parameters.entry(operand, "i", "")
        return converted(text, operand.dtype, dtype)

    def _literal(self, literal: Literal, dtype: str, typed: bool, written: bool) -> str:
        if float(literal.value) not in BAKED and not written:
            return self.parameters.literal(literal, dtype)
        number = {"b": bool, "f": float}.get(dtype[0], int)(literal.value)
        return f"{'bool_' if dtype == 'bool' else dtype}({number!r})" if typed else repr(number)

    def _vector(self, variable: Variable, place: _Pass) -> str:
        """Return the text of an element, or column; computed, unless it is known or stored."""
        if variable in place.known:
            return place.known[variable]
        equation = self.definitions.get(variable)
        if equation is None or self._can_be_read(equation, place.stage):
            return self.parameters.entry(variable, "i", place.column)
        text = self._expression(equation, place)
        name = self._name(variable)
        if place.column != "j":
            name = f"{name}_{place.column}"
        place.known[variable] = name
        self._line(f"{name} = {text}", equation)
        return name

    def _can_be_read(self, equation: Equation, stage: int) -> bool:
        variable = equation.result
        if is_over_rows(equation, self.group):
            return True
        if variable not in self.stored and variable not in self.plan.kept:
            return False
        return self.group.places[variable].sweep != self.sweep or self.plan.stage[variable] < stage

    def _label(self, equation: Equation) -> str:
        """Return the name of the column, or the table's row, that an equation indexes; checked."""
        x, index = equation.operands[0], equation.operands[-1]
        assert isinstance(x, Variable)
        assert isinstance(index, Variable)
        is_table = self.group.reads.get(x) == TABLE
        length = self.parameters.length(x) if is_table else self.parameters.columns()
        name = self.labels.get((index, length))
        if name is None:
            name = self.labels[index, length] = f"label{1 + len(self.labels)}"
            value = self._operand(index, "i64", _Pass(0, "", {}))
            for text in (
                f"{name} = {value}",
                f"{name} = where({name} < 0, {name} + {length}, {name})",
                f"if ({name} < 0) | ({name} >= {length}):",
                f"    return {OUT_OF_RANGE}",
            ):
                self.lines.append(KernelLine(self.indent + text, equation))
        return name

    # Lines.

    def _name(self, variable: Variable) -> str:
        return f"t{self.number[variable]}"

    def _line(self, text: str, equation: Equation | None = None) -> None:
        if self.body is None:
            self.lines.append(KernelLine(self.indent + text, equation))
        else:
            self.body.append(KernelLine(f"{self.indent}    {text}", equation))


def _neutral(primitive: str, dtype: str) -> str:
    """Return the number from which a reduction starts."""
    if primitive == "sum":
        return "0"
    if dtype[0] == "f":
        return "-inf" if primitive == "max" else "inf"
    limits = np.iinfo(DTYPES[dtype])
    return str(limits.min if primitive == "max" else limits.max)
