"""The nest of an equation that is part of no group: its arrays have any rank, and lie anyhow.

Sums and maxima over any axes, and where a maximum is; running sums; what is indexed along any axes;
products of matrices in any dtype; and what is elementwise, but laid over a space as no loop over
rows and columns is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import inf
from typing import Final

import numpy as np

from miniflow.ir import DTYPES, Equation, Operand, ValueType, Variable
from miniflow.lowering.expressions import (
    EXPRESSIONS,
    convert,
    dtypes_in_loop,
    has_term,
    is_python_int,
    is_small_sum,
    write_term,
)
from miniflow.lowering.kernels import NEGATIVE_POWER, OUT_OF_RANGE, GroupKernel
from miniflow.lowering.loop_dtypes import loop_dtypes, loop_dtypes_of
from miniflow.lowering.nest_walk import COMPARISONS
from miniflow.lowering.nests import (
    SIZE,
    Accumulate,
    Begin,
    Fail,
    If,
    Let,
    Loop,
    Statement,
    Store,
    Term,
    cast,
    compare,
    constant,
    equal,
    load,
    name,
    not_equal,
    where,
)
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
_OF_BOOLS: Final = {"maximum": "bitwise_or", "minimum": "bitwise_and"}
_INDEXED: Final = ("gather", "gather_update", "scatter_add")


def write_alone(
    equation: Equation, steps_of: StepsOf, without_python: bool = False, stays: bool = False
) -> GroupKernel | None:
    """Write an equation by itself; None if no nest can compute it.

    `steps_of` says how far apart the elements of an array lie along each axis. The result's memory
    is nobody else's, but that of the first operand where it `stays`. `without_python`: there is
    nobody else to compute what Python and NumPy would otherwise do: with numbers alone, with
    Python's ints of any size, and what raises.
    """
    primitive = equation.primitive
    if not _has_nest(equation) or not (without_python or _is_for_arrays(equation)):
        return None
    writer = _AloneWriter(equation, steps_of)
    if primitive in _INDEXED:
        writer.write_indexed(stays)
    elif primitive in _BY:
        writer.write_reduction()
    elif primitive in ("argmax", "argmin"):
        writer.write_place_of_extreme()
    elif primitive == "cumsum":
        writer.write_running_sum()
    elif primitive == "matmul":
        writer.write_product()
    elif primitive == "power" and not has_term(equation):
        writer.write_whole_power()
    else:
        writer.write_elementwise()
    return writer.kernel()


def _has_nest(equation: Equation) -> bool:
    primitive = equation.primitive
    if any(len(o.shape) > MAX_RANK for o in (*equation.operands, equation.result)):
        return False
    if primitive in ("argmax", "argmin", "cumsum", "matmul", *_BY):
        return isinstance(equation.operands[0], Variable)
    if primitive not in EXPRESSIONS:
        return False
    if primitive == "power" or _is_compared_with_python(equation):
        return True
    return has_term(equation)


def _is_for_arrays(equation: Equation) -> bool:
    """Whether it computes with arrays, and cannot raise anything but an IndexError."""
    operands, primitive = equation.operands, equation.primitive
    variables = [o for o in (*operands, equation.result) if isinstance(o, Variable)]
    if any(map(is_python_int, variables)) or (
        primitive in ("full", "matmul") and _is_float(equation)
    ):
        return False
    if not any(isinstance(o, Variable) and o.kind == "array" for o in operands):
        return False
    if primitive == "power" and not has_term(equation):
        return operands[1].dtype[0] in "ub"
    if primitive in ("max", "min") and operands[0].type.size == 0:
        return False
    return primitive not in _INDEXED or all(i.dtype != "u64" for i in _indices(equation))


def _is_float(equation: Equation) -> bool:
    return equation.result.dtype in ("f32", "f64")


def _is_compared_with_python(equation: Equation) -> bool:
    """Whether a Python int, which may lie outside of the other's dtype, is one of two operands."""
    return equation.primitive in COMPARISONS and None in loop_dtypes(equation)


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
        by = _OF_BOOLS.get(by, by) if self.result.dtype == "bool" else by
        is_narrow = self.result.dtype == "f16" or self._total_dtype() == SIZE
        if self.axes and self.axes[-1].kind == "kept" and "reduced" in kinds and not is_narrow:
            self._reduce_in_memory(by, start)
        else:
            self.axes.sort(key=lambda axis: axis.kind == "reduced")  # these are innermost
            self._reduce_into_a_name(self.at(x), by, start)

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

    def write_running_sum(self) -> None:
        """The sum of all elements up to each, along an axis."""
        (x,) = self.equation.operands
        assert isinstance(x, Variable)
        axis = self.equation.params["axis"]
        kinds = ["along" if a == axis else "kept" for a in range(len(x.shape))]
        self.open_loops(
            x.shape, {self.result: self.steps_of(self.result), x: self.steps_of(x)}, kinds=kinds
        )
        along, dtype = self.innermost("along", x.shape[axis]), _wide(self.result.dtype)
        total = name("total", dtype)
        step = (
            Accumulate("total", cast(self.at(x), dtype)),
            self.store(self.at(self.result), cast(total, self.result.dtype)),
        )
        start = Begin("total", constant(-0.0, dtype))  # the sum of -0.0 and -0.0 is one
        self.close_loops(start, self.loop(along, *step), inside=along)

    def write_product(self) -> None:
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

    def write_whole_power(self) -> None:
        """A power of whole numbers: the exponent's bits say which squares are multiplied."""
        shape, dtype = self.result.shape, self.result.dtype
        self.open_loops(shape, {self.result: self.steps_of(self.result)}, self._read(shape))
        x, exponent = (
            self.operand(o, d or o.dtype)
            for o, d in zip(self.equation.operands, loop_dtypes(self.equation), strict=True)
        )
        exponent_there = name("exponent", dtype)
        fails = If(exponent_there < 0, (Fail(NEGATIVE_POWER, equation=self.equation),))
        bit, square = name("bit"), name("square", dtype)
        is_set = not_equal((exponent_there >> cast(bit, dtype)) & 1, 0)
        turn = (
            Accumulate("result", where(is_set, square, 1), "multiply"),
            Accumulate("square", square, "multiply"),
        )
        self.close_loops(
            Let("exponent", exponent),
            *([fails] if dtype[0] == "i" else []),
            Begin("square", x),
            Begin("result", constant(1, dtype)),
            Loop("bit", constant(8 * DTYPES[dtype].itemsize - (dtype[0] == "i"), SIZE), turn),
            self.store(self.at(self.result), name("result", dtype)),
        )

    def write_indexed(self, stays: bool) -> None:
        """What `x[indices]` holds, or x with that changed: where it `stays`, x itself."""
        x, *rest = self.equation.operands
        assert isinstance(x, Variable)
        primitive, axes = self.equation.primitive, self.equation.params["axes"]
        indices = _indices(self.equation)
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
        wider = _wide(wide)
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

    # Reductions.

    def _total_dtype(self) -> str:
        """In which dtype is added up: halves and f32 in a wider one; few integers as a size."""
        dtype, primitive = self.result.dtype, self.equation.primitive
        x = self.equation.operands[0]
        if primitive not in ("sum", "matmul"):
            return _wide(dtype)
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
        dtypes, operands = dtypes_in_loop(self.equation), self.equation.operands
        if self.equation.primitive in COMPARISONS and None in dtypes:
            return self._compared_with_python()
        terms = [
            self.operand(operand, dtype or operand.dtype)
            for operand, dtype in zip(operands, dtypes, strict=True)
        ]
        return convert(write_term(self.equation, *terms), self.result.dtype)

    def _compared_with_python(self) -> Term:
        """A comparison with an int of any size: with the nearest of the other's dtype, or, where
        that is another number, of 0 with its side.
        """
        operands = self.equation.operands
        place = next(k for k, o in enumerate(operands) if is_python_int(o))
        python, other = operands[place], operands[1 - place]
        dtype = other.dtype if other.dtype != "bool" else "u8"
        number = self.converted(python, dtype, "nearest")
        side = self.converted(python, dtype, "side")
        pair, sides = [self.operand(other, dtype), number], [constant(0, "i8"), side]
        compared = (
            compare(self.equation.primitive, *each[:: 1 if place else -1]) for each in (pair, sides)
        )
        return where(equal(side, 0), *compared)


def _space_of_indices(
    shape: Sequence[int], indices: Sequence[Operand], axes: Sequence[int]
) -> tuple[tuple[int, ...], int, int]:
    """The shape of `x[indices]`; where the axes of the indices begin in it, and how many."""
    indexed = np.broadcast_shapes(*(index.shape for index in indices))
    others = [n for axis, n in enumerate(shape) if axis not in axes]
    first = axes[0] if axes[-1] - axes[0] == len(axes) - 1 else 0
    return (*others[:first], *indexed, *others[first:]), first, len(indexed)


def _wide(dtype: str) -> str:
    """The dtype in which a loop computes: halves are only stored."""
    return "f32" if dtype == "f16" else dtype


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
