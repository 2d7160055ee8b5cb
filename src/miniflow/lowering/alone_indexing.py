"""Nests of what is indexed along any axes: read, replaced, or added to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from miniflow.ir import Equation, Operand, ValueType, Variable
from miniflow.lowering.expressions import convert
from miniflow.lowering.kernels import OUT_OF_RANGE
from miniflow.lowering.loop_dtypes import loop_dtypes_of
from miniflow.lowering.nests import (
    SIZE,
    Fail,
    If,
    Let,
    Statement,
    Store,
    Term,
    cast,
    constant,
    load,
    name,
    where,
)
from miniflow.lowering.strided_loops import AloneWriter, wide_dtype


def indices_of(equation: Equation) -> Sequence[Operand]:
    return equation.operands[1 if equation.primitive == "gather" else 2 :]


class IndexingWriter(AloneWriter):
    """Writes the nest of an equation that has indices among its operands."""

    def write(self, stays: bool) -> None:
        """What `x[indices]` holds, or x with that changed: where it `stays`, x itself."""
        x, *rest = self.equation.operands
        assert isinstance(x, Variable)
        primitive, axes = self.equation.primitive, self.equation.params["axes"]
        indices = indices_of(self.equation)
        is_read = primitive == "gather"
        if not is_read and not stays:
            self.open_loops(x.shape, {self.result: self.steps_of(self.result), x: self.steps_of(x)})
            self.close_loops(self.store(self.at(self.result), self.at(x)))
        there = x if is_read else self.result
        space, first, count = _space_of_indices(x.shape, indices, axes)
        kinds = ["rest"] * first + ["index"] * count + ["rest"] * (len(space) - first - count)
        laid = {}
        for index in indices:
            if isinstance(index, Variable) and index.kind == "array":
                inner = self.laid(index, space[first : first + count])
                laid[index] = (0,) * first + inner + (0,) * (len(space) - first - count)
        others = [s for axis, s in enumerate(self.steps_of(there)) if axis not in axes]
        of_others = (*others[:first], *(0,) * count, *others[first:])
        value = rest[0]
        if is_read:
            laid[self.result] = self.steps_of(self.result)
        elif isinstance(value, Variable) and value.kind == "array":
            laid[value] = self.laid(value, space)
        self.open_loops(space, laid, kinds=kinds, extra={"there": of_others})
        place = self.place("there")
        lets: list[Statement] = []
        for number, (axis, index) in enumerate(zip(axes, indices, strict=True), 1):
            label = self._label(number, index, axis, lets)
            place = place + label * self.size(f"along{axis}", self.steps_of(there)[axis])
        array = self.array(there)
        if is_read:
            lets.append(self.store(self.at(self.result), load(array, place)))
        else:
            there_now = load(array, place)
            lets.append(
                Store(array.name, (place,), *self._written(value, there_now), self.equation)
            )
        self.close_loops(*lets)

    def _written(self, value: Operand, before: Term) -> tuple[Term, bool]:
        """What is stored at an indexed place, and whether it is added to what is there."""
        dtype = self.result.dtype
        if self.equation.primitive == "gather_update":
            return self.operand(value, dtype), False
        array = value if value.kind != "python" else Variable(ValueType(value.dtype, (1,)))
        wide = loop_dtypes_of("add", Variable(ValueType(dtype, (1,))), array)[0] or dtype
        more = self.operand(value, wide)
        if wide == dtype != "f16" and dtype != "bool":
            return more, True
        if wide == "bool":
            return before | more, False
        wider = wide_dtype(wide)
        return convert(convert(before, wider) + convert(more, wider), dtype), False

    def _label(self, number: int, index: Operand, axis: int, lets: list[Statement]) -> Term:
        """Add the statements that find a place along an axis and check it; return the place."""
        given, label = name(f"index{number}"), name(f"label{number}")
        size = self.size(f"length{number}", self.equation.operands[0].shape[axis])
        is_outside = (label < 0) | (label >= size)
        about = (given, constant(axis, SIZE), size)
        lets += [
            Let(str(given.what), cast(self.operand(index, index.dtype), SIZE), self.equation),
            Let(str(label.what), where(given < 0, given + size, given), self.equation),
            If(is_outside, (Fail(OUT_OF_RANGE, self.equation, about),), self.equation),
        ]
        return label


def _space_of_indices(
    shape: Sequence[int], indices: Sequence[Operand], axes: Sequence[int]
) -> tuple[tuple[int, ...], int, int]:
    """The shape of `x[indices]`; where the axes of the indices begin in it, and how many."""
    indexed = np.broadcast_shapes(*(index.shape for index in indices))
    others = [n for axis, n in enumerate(shape) if axis not in axes]
    first = axes[0] if axes[-1] - axes[0] == len(axes) - 1 else 0
    return (*others[:first], *indexed, *others[first:]), first, len(indexed)
