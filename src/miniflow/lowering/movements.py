"""The steps that move what does not lie in one piece: parts written, added or joined, views copied.

Sums into parts of one array are held back as long as one follows the other, for `copies` makes one
of many. A write to a part of zeros is held back too: if sums follow, it is the first.
"""

from __future__ import annotations

from collections.abc import Callable

from miniflow.ir import Equation, Operand, Variable
from miniflow.ir.indexing import Index
from miniflow.lowering.copies import Movement, merge, plan_movement
from miniflow.lowering.draft import Draft
from miniflow.lowering.loop_program import Copy, NumpyCall
from miniflow.lowering.values import Values
from miniflow.lowering.views import Region, c_strides, sliced, whole_view


class Movements:
    """Writes the movements of one program; `has_zeros` says whether memory is full of zeros where a
    value lies.
    """

    def __init__(self, draft: Draft, values: Values, has_zeros: Callable[[Operand], bool]) -> None:
        self._draft, self._values = draft, values
        self._has_zeros = has_zeros
        self._sums: list[Movement] = []  # that wait, all of them into one array, from one array
        self._between: tuple[Variable, Variable] | None = None
        self._adding: Equation | None = None

    def write(self, equation: Equation) -> bool:
        """Write a part of an array, join arrays, copy a view; whether this is such an equation."""
        if equation.primitive in ("slice_update", "slice_add"):
            self._write_part(equation)
            return True
        if equation.primitive == "concatenate":
            return self._copy_parts(equation)
        return equation.primitive == "reshape" and self._copy_reshaped(equation)

    def is_compiled(self, equation: Equation) -> bool:
        """Whether `write` makes a copy that is a nest of loops, and so a step of a tile."""
        layout = self._values.layout
        arrays = [o for o in equation.operands if isinstance(o, Variable) and o.kind == "array"]
        if len(arrays) < len(equation.operands) or equation.result.kind != "array":
            return False
        if equation.primitive == "reshape":
            of = layout(arrays[0])
            return plan_movement(_unfolded(layout(equation.result), of), of) is not None
        if equation.primitive not in ("slice_update", "slice_add"):
            return False
        result, part = layout(equation.result), arrays[1]
        there = sliced(result, equation.params["index"])
        if there.shape != part.shape:
            return False
        return bool(plan_movement(there, layout(part)) and plan_movement(result, layout(arrays[0])))

    def copy(self, target: Variable, source: Variable, equations: tuple[Equation, ...]) -> None:
        """Copy a whole array."""
        to, of = self._values.layout(target), self._values.layout(source)
        self._draft.add(self._copy(to, of, equations))

    def continues(self, equation: Equation) -> bool:
        """Whether this is one more sum into the array that the waiting ones go to."""
        between = self._ends(equation) if equation.primitive == "slice_add" else None
        return between is not None and between == self._between

    def finish(self) -> None:
        """Write the sums that wait."""
        if self._between is None or self._adding is None:
            return
        to, of = map(whole_view, self._between)
        adds = self._adding.primitive == "slice_add"  # else it is a write that nothing followed
        for movement in merge(self._sums):
            self._move(movement, to, of, self._adding, adds)
        self._sums, self._between, self._adding = [], None, None

    def _write_part(self, equation: Equation) -> None:
        """Write, or add, the second operand to a part of the first, which is copied if need be."""
        x, value = equation.operands
        result, adds = equation.result, equation.primitive == "slice_add"
        assert isinstance(x, Variable)
        is_array = isinstance(value, Variable) and value.kind == "array"
        number = None if is_array else self._values.in_memory(value, result.dtype)
        if value.dtype != result.dtype if is_array else number is None:
            place, operands = self._values.place(result), self._values.operands(equation)
            self._draft.add(NumpyCall(equation, operands, place))
            return
        if self._values.home(x) is not self._values.home(result):
            self.copy(result, x, (equation,))
        whole = self._values.layout(result)
        part = sliced(whole, _fitted(equation.params["index"], whole))
        if number is not None:
            everywhere = number._replace(shape=part.shape, strides=(0,) * len(part.shape))
            self._draft.add(Copy(self._values.place_of(part), everywhere, adds, (equation,)))
            return
        source = self._values.layout(value)  # type: ignore[arg-type]
        if (
            self._values.home(source.base) is self._values.home(whole.base)
            and source[1:] == part[1:]
        ):
            return  # it has been made there
        strides = source.laid_over(part.shape)
        strides = strides[len(strides) - len(part.shape) :]  # axes of length one in front
        source = source._replace(shape=part.shape, strides=strides)
        movement = plan_movement(part, source)
        if movement is not None and (adds or self._has_zeros(x)):
            self._sums.append(movement)
            self._between, self._adding = self._ends(equation), equation
        else:
            self._draft.add(self._copy(part, source, (equation,), adds))

    def _copy_parts(self, equation: Equation) -> bool:
        """Copy each operand of a concatenation to its place in the result."""
        result, axis = equation.result, equation.params["axis"]
        whole, at = self._values.layout(result), 0
        copies: list[Copy] = []
        for x in equation.operands:
            index = [(0, n, 1) for n in result.shape]
            index[axis] = (at, x.shape[axis], 1)
            at += x.shape[axis]
            if not isinstance(x, Variable) or x.kind != "array":
                return False
            part, source = sliced(whole, tuple(index)), self._values.layout(x)
            if plan_movement(part, source) is None:
                return False
            copies.append(self._copy(part, source, (equation,)))
        for copy in copies:
            self._draft.add(copy)
        return True

    def _ends(self, equation: Equation) -> tuple[Variable, Variable] | None:
        """The memory that a part is written or added to, and that of what is moved."""
        value = equation.operands[1]
        if not isinstance(value, Variable) or value.kind != "array":
            return None
        root = self._values.layout(value).base
        return self._values.home(equation.result), self._values.home(root)

    def _copy_reshaped(self, equation: Equation) -> bool:
        """Copy what a reshape cannot look at, in the order of its elements."""
        result, (x,) = equation.result, equation.operands
        if not isinstance(x, Variable) or x.kind != "array" or result.kind != "array":
            return False
        of = self._values.layout(x)
        to = _unfolded(self._values.layout(result), of)
        if plan_movement(to, of) is None:
            return False
        self._draft.add(self._copy(to, of, (equation,)))
        return True

    def _move(
        self, movement: Movement, to: Region, of: Region, equation: Equation, adds: bool
    ) -> None:
        """Write a movement between the memory of two values."""
        lengths, *steps, offsets = movement
        target, source = (
            region._replace(offset=offset, shape=lengths, strides=step)
            for region, offset, step in zip((to, of), offsets, steps, strict=True)
        )
        self._draft.add(self._copy(target, source, (equation,), adds))

    def _copy(
        self, to: Region, of: Region, equations: tuple[Equation, ...], adds: bool = False
    ) -> Copy:
        return Copy(self._values.place_of(to), self._values.place_of(of), adds, equations)


def _unfolded(result: Region, like: Region) -> Region:
    """An array that lies in one piece, with the shape of what is copied to it."""
    return result._replace(shape=like.shape, strides=c_strides(like.shape))


def _fitted(index: Index, whole: Region) -> Index:
    """The index for as many items as there are: in a tile, fewer than in the batch."""
    if not index or isinstance(index[0], int) or index[0][1] <= whole.shape[0]:
        return index
    return ((0, whole.shape[0], 1), *index[1:])
