"""Nests of sums and maxima over any axes, of where a maximum is, of running sums, of products."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf
from typing import Final

import numpy as np

from miniflow.ir import DTYPES, Variable
from miniflow.lowering.expressions import is_small_sum
from miniflow.lowering.nests import (
    SIZE,
    Accumulate,
    Begin,
    Statement,
    Store,
    Term,
    cast,
    constant,
    equal,
    load,
    name,
    not_equal,
    where,
)
from miniflow.lowering.strided_loops import AloneWriter, Steps, wide_dtype

REDUCTIONS: Final = {  # how a reduction goes on, and where it begins
    "sum": ("add", 0),
    "prod": ("multiply", 1),
    "max": ("maximum", -inf),
    "min": ("minimum", inf),
    "any": ("bitwise_or", False),
    "all": ("bitwise_and", True),
}
_OF_BOOLS: Final = {"maximum": "bitwise_or", "minimum": "bitwise_and"}


class ReductionWriter(AloneWriter):
    """Writes the nest of an equation whose loops add up, or compare, along some axes."""

    def write(self) -> None:
        match self.equation.primitive:
            case "argmax" | "argmin":
                self._write_place_of_extreme()
            case "cumsum":
                self._write_running_sum()
            case "matmul":
                self._write_product()
            case _:
                self._write_reduction()

    def _write_reduction(self) -> None:
        """A total for each place of the axes that are kept."""
        (x,) = self.equation.operands
        assert isinstance(x, Variable)
        reduced = self.equation.params["axis"]
        kinds = ["reduced" if axis in reduced else "kept" for axis in range(len(x.shape))]
        kept = self._steps_of_kept(x.shape, reduced)
        by, start = REDUCTIONS[self.equation.primitive]
        self.open_loops(x.shape, {self.result: kept, x: self.steps_of(x)}, kinds=kinds)
        by = _OF_BOOLS.get(by, by) if self.result.dtype == "bool" else by
        is_narrow = self.result.dtype == "f16" or self._total_dtype() == SIZE
        if self.axes and self.axes[-1].kind == "kept" and "reduced" in kinds and not is_narrow:
            self._reduce_in_memory(by, start)
        else:
            self.axes.sort(key=lambda axis: axis.kind == "reduced")  # these are innermost
            self._reduce_into_a_name(self.at(x), by, start)

    def _write_place_of_extreme(self) -> None:
        """Where along an axis the largest, or smallest, number is first; NaN is both."""
        (x,) = self.equation.operands
        assert isinstance(x, Variable)
        by, start = REDUCTIONS[self.equation.primitive[3:]]
        axis = self.equation.params["axis"]
        kinds = ["along" if a == axis else "kept" for a in range(len(x.shape))]
        self.open_loops(
            x.shape,
            {self.result: self._steps_of_kept(x.shape, (axis,)), x: self.steps_of(x)},
            kinds=kinds,
        )
        along = self.innermost("along", x.shape[axis])
        dtype = {"bool": "u8", "f16": "f32"}.get(x.dtype, x.dtype)
        best, place = name("best", dtype), name("place")
        value, length = cast(self.at(x), dtype), self.length(along)
        is_there = equal(value, best)
        if dtype[0] == "f":
            is_there = is_there | not_equal(value, value)
        here = where(is_there, self.counter(along), length)
        self.close_loops(
            Begin("best", constant(_limit(start, dtype), dtype)),
            self.loop(along, Accumulate("best", value, by)),
            Begin("place", length),
            self.loop(along, Accumulate("place", here, "minimum")),
            self.store(self.at(self.result, without=along), cast(place, self.result.dtype)),
            inside=along,
        )

    def _write_running_sum(self) -> None:
        """The sum of all elements up to each, along an axis."""
        (x,) = self.equation.operands
        assert isinstance(x, Variable)
        axis = self.equation.params["axis"]
        kinds = ["along" if a == axis else "kept" for a in range(len(x.shape))]
        self.open_loops(
            x.shape, {self.result: self.steps_of(self.result), x: self.steps_of(x)}, kinds=kinds
        )
        along, dtype = self.innermost("along", x.shape[axis]), wide_dtype(self.result.dtype)
        total = name("total", dtype)
        step = (
            Accumulate("total", cast(self.at(x), dtype)),
            self.store(self.at(self.result), cast(total, self.result.dtype)),
        )
        start = Begin("total", constant(-0.0, dtype))  # the sum of -0.0 and -0.0 is one
        self.close_loops(start, self.loop(along, *step), inside=along)

    def _write_product(self) -> None:
        """A product of matrices: of stacks of them, or of vectors, and of any dtype."""
        a, b = self.equation.operands
        assert isinstance(a, Variable)
        assert isinstance(b, Variable)
        is_row, is_column = len(a.shape) == 1, len(b.shape) == 1
        of_result = self.steps_of(self.result)
        own = len(self.result.shape) - (not is_row) - (not is_column)
        stack, rest = self.result.shape[:own], of_result[own:]
        m, k, n = 1 if is_row else a.shape[-2], a.shape[-1], 1 if is_column else b.shape[-1]
        of_a, of_b = self.steps_of(a), self.steps_of(b)
        steps_of_a = (*(0,) * is_row, *of_a[len(a.shape) - 2 + is_row :])
        steps_of_b = (*of_b[len(b.shape) - 2 + is_column :], *(0,) * is_column)
        steps_of_result = (*(0,) * is_row, *rest, *(0,) * is_column)
        laid = {
            self.result: (*of_result[:own], *steps_of_result, 0),
            a: (*_over_stack(a, of_a, stack), steps_of_a[0], 0, steps_of_a[1]),
        }
        second = (*_over_stack(b, of_b, stack), 0, steps_of_b[1], steps_of_b[0])
        extra = {}
        word = self.array(b).name
        if b is a:  # one array, passed in two ways
            word, extra = "other", {"other": second}
        else:
            laid[b] = second
        kinds = [*["kept"] * (len(stack) + 2), "reduced"]
        self.open_loops((*stack, m, n, k), laid, kinds=kinds, extra=extra)
        dtype = self._total_dtype()
        x, y = self.at(a), load(self.array(b), self.place(word))
        by, product = "add", cast(x, dtype) * cast(y, dtype)
        if dtype == "bool":
            by, product = "bitwise_or", cast(x, dtype) & cast(y, dtype)
        self._reduce_into_a_name(product, by, 0)

    def _total_dtype(self) -> str:
        """In which dtype is added up: halves and f32 in a wider one; few integers as a size."""
        dtype, primitive = self.result.dtype, self.equation.primitive
        x = self.equation.operands[0]
        if primitive not in ("sum", "matmul"):
            return wide_dtype(dtype)
        if dtype in ("f16", "f32"):
            return "f64"
        return SIZE if primitive == "sum" and is_small_sum(x.dtype, x.type.size) else dtype

    def _reduce_into_a_name(self, value: Term, by: str, start: float) -> None:
        inner = [axis for axis in self.axes if axis.kind == "reduced"]
        dtype = self._total_dtype()
        total = name("total", dtype)
        step: Statement = Accumulate("total", cast(value, dtype), by, self.equation)
        for axis in reversed(inner):
            step = self.loop(axis, step)
        place = self.place_of(self.result, [axis for axis in self.axes if axis.kind == "kept"])
        whole = cast(total, self.result.dtype)
        self.close_loops(
            Begin("total", constant(_limit(start, dtype), dtype), self.equation),
            step,
            Store(self.array(self.result).name, (place,), whole, equation=self.equation),
            inside=inner[0] if inner else None,
        )

    def _reduce_in_memory(self, by: str, start: float) -> None:
        """Row after row is added to the result."""
        (x,) = self.equation.operands
        assert isinstance(x, Variable)
        axes, dtype = self.axes, self.result.dtype
        neutral = constant(_limit(start, dtype), dtype)
        self.axes = [axis for axis in axes if axis.kind == "kept"]
        self.close_loops(self.store(self.at(self.result), neutral))
        self.axes = axes
        there, value = self.at(self.result), cast(self.at(x), dtype)
        if by == "add":
            place = Store(str(there.what), there.operands, value, True, self.equation)
            self.close_loops(place)
        else:
            self.close_loops(self.store(there, Term(by, dtype, (there, value))))

    def _steps_of_kept(self, shape: Sequence[int], reduced: Iterable[int]) -> Steps:
        """The steps of the result for the axes of what is reduced."""
        own = list(self.steps_of(self.result))
        if self.equation.params.get("keepdims"):
            own = [step for axis, step in enumerate(own) if axis not in tuple(reduced)]
        return tuple(0 if axis in tuple(reduced) else own.pop(0) for axis in range(len(shape)))


def _over_stack(x: Variable, steps: Steps, stack: Sequence[int]) -> Steps:
    """The steps of a stack of matrices that is broadcast to one."""
    lengths = x.shape[:-2]
    own = (0 if n == 1 else step for n, step in zip(lengths, steps, strict=False))
    return (*(0,) * (len(stack) - len(lengths)), *own)


def _limit(start: float, dtype: str) -> float:
    """Return where a reduction begins, in its dtype: integers know no infinity."""
    if dtype == "bool":
        return start > 0
    if dtype[0] in "iu" and abs(start) == inf:
        info = np.iinfo(DTYPES[dtype])
        return int(info.min if start < 0 else info.max)
    return start
