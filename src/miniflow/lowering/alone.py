"""The nest of an equation that is part of no group: its arrays have any rank, and lie anyhow.

Sums and maxima over any axes, and where a maximum is; running sums; what is indexed along any axes;
and what is elementwise, but laid over a space as no loop over rows and columns is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import inf
from typing import Final

import numpy as np

from miniflow.ir import DTYPES, PRIMITIVES, Equation, Literal, Operand, Variable
from miniflow.lowering.expressions import BAKED, EXPRESSIONS, SHIFTS, can_fuse, write_term
from miniflow.lowering.kernels import OUT_OF_RANGE, GroupKernel
from miniflow.lowering.loop_dtypes import loop_dtypes
from miniflow.lowering.nests import (
    SIZE,
    Accumulate,
    Begin,
    Fail,
    If,
    Let,
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
from miniflow.lowering.parameters import Number
from miniflow.lowering.strided_loops import Steps, StridedWriter

StepsOf = Callable[[Variable], Steps]

MAX_RANK: Final = 7  # of what is left when axes are counted as one
_BY: Final = {  # how a reduction goes on, and where it begins
    "sum": ("add", 0),
    "prod": ("multiply", 1),
    "max": ("maximum", -inf),
    "min": ("minimum", inf),
    "any": ("bitwise_or", False),
    "all": ("bitwise_and", True),
}
_INDEXED: Final = ("gather", "gather_update", "scatter_add")


def write_alone(equation: Equation, steps_of: StepsOf) -> GroupKernel | None:
    """Write an equation by itself; None if no nest can compute it.

    `steps_of` says how far apart the elements of an array lie along each axis. The result's memory
    is nobody else's.
    """
    if not _is_known(equation):
        return None
    writer = _AloneWriter(equation, steps_of)
    primitive = equation.primitive
    if primitive in _INDEXED:
        writer.write_indexed()
    elif primitive in _BY:
        writer.write_reduction()
    elif primitive in ("argmax", "argmin"):
        writer.write_place_of_extreme()
    elif primitive == "cumsum":
        writer.write_running_sum()
    else:
        writer.write_elementwise()
    return writer.kernel()


def _is_known(equation: Equation) -> bool:
    types = [equation.result.type, *(operand.type for operand in equation.operands)]
    if any(t.dtype == "f16" or t.ndim > MAX_RANK for t in types):
        return False
    variables = [o for o in (*equation.operands, equation.result) if isinstance(o, Variable)]
    if any(v.kind == "python" and v.dtype == "i64" for v in variables):
        return False  # an int of any size
    if not any(isinstance(o, Variable) and o.kind == "array" for o in equation.operands):
        return False
    primitive, x = equation.primitive, equation.operands[0]
    if primitive in ("argmax", "argmin", "cumsum"):
        return x.dtype != "bool"
    if primitive in _BY:
        is_empty = primitive in ("max", "min") and x.type.size == 0
        return not is_empty and (x.dtype != "bool" or primitive not in ("max", "min"))
    if primitive not in EXPRESSIONS or not can_fuse(equation):
        return False
    if primitive in _INDEXED:
        return all(i.dtype != "u64" for i in _indices(equation))
    return PRIMITIVES[primitive].category == "elementwise" or primitive == "broadcast_to"


def _indices(equation: Equation) -> Sequence[Operand]:
    return equation.operands[1 if equation.primitive == "gather" else 2 :]


class _AloneWriter(StridedWriter):
    """Writes the nest of one equation."""

    def __init__(self, equation: Equation, steps_of: StepsOf) -> None:
        super().__init__(equation)
        self.steps_of, self.result = steps_of, equation.result

    # What there is for each primitive.

    def write_elementwise(self) -> None:
        """Each element of the result from those at its own place."""
        shape = self.result.shape
        self.open_loops(shape, {self.result: self.steps_of(self.result)}, self._read(shape))
        self.close_loops(self.store(self.at(self.result), self._value()))

    def write_reduction(self) -> None:
        """A total for each place of the axes that are kept."""
        (x,) = self.equation.operands
        assert isinstance(x, Variable)
        reduced = self.equation.params["axis"]
        kinds = ["reduced" if axis in reduced else "kept" for axis in range(len(x.shape))]
        kept = self._steps_of_kept(x.shape, reduced)
        by, start = _BY[self.equation.primitive]
        self.open_loops(x.shape, {self.result: kept, x: self.steps_of(x)}, kinds=kinds)
        if self.axes and self.axes[-1].kind == "kept" and "reduced" in kinds:
            self._reduce_in_memory(by, start)
        else:
            self.axes.sort(key=lambda axis: axis.kind == "reduced")  # these are innermost
            self._reduce_into_a_name(x, by, start)

    def write_place_of_extreme(self) -> None:
        """Where along an axis the largest, or smallest, number is first; NaN is both."""
        (x,) = self.equation.operands
        assert isinstance(x, Variable)
        by, start = _BY[self.equation.primitive[3:]]
        axis = self.equation.params["axis"]
        kinds = ["along" if a == axis else "kept" for a in range(len(x.shape))]
        self.open_loops(
            x.shape,
            {self.result: self._steps_of_kept(x.shape, (axis,)), x: self.steps_of(x)},
            kinds=kinds,
        )
        along = self.innermost("along", x.shape[axis])
        best, place = name("best", x.dtype), name("place", "i64")
        value, length = self.at(x), cast(self.length(along), "i64")
        is_there = equal(value, best)
        if x.dtype[0] == "f":
            is_there = is_there | not_equal(value, value)
        here = where(is_there, cast(self.counter(along), "i64"), length)
        self.close_loops(
            Begin("best", constant(_limit(start, x.dtype), x.dtype)),
            self.loop(along, Accumulate("best", value, by)),
            Begin("place", length),
            self.loop(along, Accumulate("place", here, "minimum")),
            self.store(self.at(self.result, without=along), place),
            inside=along,
        )

    def write_running_sum(self) -> None:
        """The sum of all elements up to each, along an axis."""
        (x,) = self.equation.operands
        assert isinstance(x, Variable)
        axis = self.equation.params["axis"]
        kinds = ["along" if a == axis else "kept" for a in range(len(x.shape))]
        self.open_loops(
            x.shape, {self.result: self.steps_of(self.result), x: self.steps_of(x)}, kinds=kinds
        )
        along, dtype = self.innermost("along", x.shape[axis]), self.result.dtype
        total = name("total", dtype)
        step = (
            Accumulate("total", cast(self.at(x), dtype)),
            self.store(self.at(self.result), total),
        )
        self.close_loops(Begin("total", constant(0, dtype)), self.loop(along, *step), inside=along)

    def write_indexed(self) -> None:
        """What `x[indices]` holds, or x with that changed."""
        x, *rest = self.equation.operands
        assert isinstance(x, Variable)
        primitive, axes = self.equation.primitive, self.equation.params["axes"]
        indices = _indices(self.equation)
        is_read = primitive == "gather"
        if not is_read:
            self.open_loops(x.shape, {self.result: self.steps_of(self.result), x: self.steps_of(x)})
            self.close_loops(self.store(self.at(self.result), self.at(x)))
        there = x if is_read else self.result
        space, first, count = _space_of_indices(x.shape, indices, axes)
        kinds = ["rest"] * first + ["index"] * count + ["rest"] * (len(space) - first - count)
        laid = {}
        for index in indices:
            if isinstance(index, Variable) and index.kind == "array":
                inner = self._laid(index, space[first : first + count])
                laid[index] = (0,) * first + inner + (0,) * (len(space) - first - count)
        others = [s for axis, s in enumerate(self.steps_of(there)) if axis not in axes]
        of_others = (*others[:first], *(0,) * count, *others[first:])
        value = rest[0]
        if is_read:
            laid[self.result] = self.steps_of(self.result)
        elif isinstance(value, Variable) and value.kind == "array":
            laid[value] = self._laid(value, space)
        self.open_loops(space, laid, kinds=kinds, extra={"there": of_others})
        place = self.place("there")
        lets: list[Statement] = []
        for number, (axis, index) in enumerate(zip(axes, indices, strict=True), 1):
            label = self._label(number, index, x.shape[axis], lets)
            place = place + label * self.size(f"along{axis}", self.steps_of(there)[axis])
        array = self.array(there)
        if is_read:
            lets.append(self.store(self.at(self.result), load(array, place)))
        else:
            new = self._operand(value, self.result.dtype)
            adds = primitive == "scatter_add"
            lets.append(Store(array.name, (place,), new, adds, self.equation))
        self.close_loops(*lets)

    def _label(self, number: int, index: Operand, length: int, lets: list[Statement]) -> Term:
        """Add the statements that find a place along an axis and check it; return the place."""
        given, label = name(f"index{number}"), name(f"label{number}")
        size = self.size(f"length{number}", length)
        is_outside = (label < 0) | (label >= size)
        lets += [
            Let(str(given.what), cast(self._operand(index, index.dtype), SIZE), self.equation),
            Let(str(label.what), where(given < 0, given + size, given), self.equation),
            If(is_outside, (Fail(OUT_OF_RANGE, self.equation),), self.equation),
        ]
        return label

    # Reductions.

    def _total_dtype(self) -> str:
        is_sum = self.equation.primitive == "sum" and self.result.dtype == "f32"
        return "f64" if is_sum else self.result.dtype

    def _reduce_into_a_name(self, x: Variable, by: str, start: float) -> None:
        inner = [axis for axis in self.axes if axis.kind == "reduced"]
        dtype = self._total_dtype()
        total = name("total", dtype)
        step: Statement = Accumulate("total", cast(self.at(x), dtype), by, self.equation)
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

    # Values.

    def _read(self, shape: Sequence[int]) -> dict[Variable, Steps]:
        arrays = (o for o in self.equation.operands if isinstance(o, Variable))
        return {v: self._laid(v, shape) for v in arrays if v.kind == "array"}

    def _laid(self, variable: Variable, space: Sequence[int]) -> Steps:
        """The steps of an array that is broadcast to a space."""
        steps = tuple(
            0 if length == 1 else step
            for length, step in zip(variable.shape, self.steps_of(variable), strict=True)
        )
        steps = steps[max(len(steps) - len(space), 0) :]  # axes of length one in front
        return (0,) * (len(space) - len(steps)) + steps

    def _value(self) -> Term:
        dtypes, operands = loop_dtypes(self.equation), self.equation.operands
        is_baked = self.equation.primitive in SHIFTS
        terms = [
            self._operand(operand, dtype or operand.dtype, is_baked)
            for operand, dtype in zip(operands, dtypes, strict=True)
        ]
        return cast(write_term(self.equation, *terms), self.result.dtype)

    def _operand(self, operand: Operand, dtype: str, is_baked: bool = False) -> Term:
        if isinstance(operand, Literal):
            if is_baked or float(operand.value) in BAKED:
                return constant(operand.value, dtype)
            return self.number((operand, dtype), Number(operand.value, dtype), dtype)
        if operand.kind == "array":
            return cast(self.at(operand), dtype)
        return cast(self.number(operand, operand, operand.dtype), dtype)


def _space_of_indices(
    shape: Sequence[int], indices: Sequence[Operand], axes: Sequence[int]
) -> tuple[tuple[int, ...], int, int]:
    """The shape of `x[indices]`; where the axes of the indices begin in it, and how many."""
    indexed = np.broadcast_shapes(*(index.shape for index in indices))
    others = [n for axis, n in enumerate(shape) if axis not in axes]
    first = axes[0] if axes[-1] - axes[0] == len(axes) - 1 else 0
    return (*others[:first], *indexed, *others[first:]), first, len(indexed)


def _limit(start: float, dtype: str) -> float:
    """Return where a reduction begins, in its dtype: integers know no infinity."""
    if dtype[0] in "iu" and abs(start) == inf:
        info = np.iinfo(DTYPES[dtype])
        return int(info.min if start < 0 else info.max)
    return start
