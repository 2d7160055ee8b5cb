"""The steps that move what does not lie in one piece: parts written, added or joined, views copied.

Sums into parts of one array are held back as long as one follows the other, for `strided` makes one
kernel of many. A write to a part of zeros is held back too: if sums follow, it is the first.
"""

from __future__ import annotations

from collections.abc import Callable

from miniflow.backends.native.memory import Memory
from miniflow.backends.native.step import StepBuilder
from miniflow.backends.native.values import Values
from miniflow.ir import DTYPES, Equation, Operand, Variable
from miniflow.ir.indexing import Index, bracket_text, brackets
from miniflow.lowering.copies import (
    Movement,
    fixed_lengths,
    merge,
    movement_arguments,
    movement_kernel,
    plan_movement,
)
from miniflow.lowering.views import Region, c_strides, sliced, whole_view


class Movements:
    """Writes the movements of one step; `has_zeros` says whether memory is full of zeros where a
    value lies.
    """

    def __init__(
        self,
        memory: Memory,
        step: StepBuilder,
        values: Values,
        has_zeros: Callable[[Operand], bool],
    ) -> None:
        self._memory, self._step, self._values = memory, step, values
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
        """Whether `write` leaves nothing of an equation to Python."""
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
        is_either = equation.primitive == "slice_add" and part.dtype == "bool"
        there = sliced(result, equation.params["index"])
        if is_either or there.shape != part.shape:
            return False
        return bool(plan_movement(there, layout(part)) and plan_movement(result, layout(arrays[0])))

    def copy(self, target: Variable, source: Variable, equation: Equation) -> None:
        """Copy a whole array."""
        to, of = self._values.layout(target), self._values.layout(source)
        movement = plan_movement(to, of)
        if movement is None:
            text = f"np.copyto({self._values.text(target)}, {self._values.text(source)})"
            self._step.line(text)
        else:
            self._move(movement, to, of, equation, f"copy {self._values.shown(source)}")

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
        comment = f"{'add' if adds else 'write'} {self._values.shown(self._adding.operands[1])}"
        for movement in merge(self._sums):
            self._move(movement, to, of, self._adding, comment, adds)
        self._step.mark((self._adding,))
        self._sums, self._between, self._adding = [], None, None

    def _write_part(self, equation: Equation) -> None:
        """Write, or add, the second operand to a part of the first, which is copied if need be."""
        x, value = equation.operands
        result, index = equation.result, equation.params["index"]
        assert isinstance(x, Variable)
        if self._memory.home(x) is not self._memory.home(result):
            self.copy(result, x, equation)
        whole = self._values.layout(result)
        part = sliced(whole, _fitted(index, whole))
        movement, adds = None, equation.primitive == "slice_add"
        is_either = adds and value.dtype == "bool"  # True + True is True
        if isinstance(value, Variable) and value.kind == "array" and not is_either:
            source = self._values.layout(value)
            movement = plan_movement(part, source) if source.shape == part.shape else None
        if movement is None:
            out, text = self._values.text(result), self._values.text(value)
            there = f"{out}[{bracket_text(brackets(index))}]"
            self._step.line(f"{there} {'+=' if adds else '='} {text}")
        elif adds or self._has_zeros(x):
            self._sums.append(movement)
            self._between, self._adding = self._ends(equation), equation
        else:
            self._move(movement, part, source, equation, f"write {self._values.shown(value)}")

    def _copy_parts(self, equation: Equation) -> bool:
        """Copy each operand of a concatenation to its place in the result."""
        result, axis = equation.result, equation.params["axis"]
        whole, at = self._values.layout(result), 0
        moves: list[tuple[Movement, Region, Region, str]] = []
        for x in equation.operands:
            index = [(0, n, 1) for n in result.shape]
            index[axis] = (at, x.shape[axis], 1)
            at += x.shape[axis]
            if not isinstance(x, Variable) or x.kind != "array":
                return False
            part, source = sliced(whole, tuple(index)), self._values.layout(x)
            movement = plan_movement(part, source)
            if movement is None:
                return False
            moves.append((movement, part, source, f"copy {self._values.shown(x)}"))
        for movement, part, source, comment in moves:
            self._move(movement, part, source, equation, comment)
        return True

    def _ends(self, equation: Equation) -> tuple[Variable, Variable] | None:
        """The memory that a part is written or added to, and that of what is moved."""
        value = equation.operands[1]
        if not isinstance(value, Variable) or value.kind != "array":
            return None
        root = self._values.layout(value).base
        return self._memory.home(equation.result), self._memory.home(root)

    def _copy_reshaped(self, equation: Equation) -> bool:
        """Copy what a reshape cannot look at, in the order of its elements."""
        result, (x,) = equation.result, equation.operands
        if not isinstance(x, Variable) or x.kind != "array" or result.kind != "array":
            return False
        of = self._values.layout(x)
        to = _unfolded(self._values.layout(result), of)
        movement = plan_movement(to, of)
        if movement is not None:
            self._move(movement, to, of, equation, f"copy {self._values.shown(x)}")
        return movement is not None

    def _move(
        self,
        movement: Movement,
        to: Region,
        of: Region,
        equation: Equation,
        comment: str,
        adds: bool = False,
    ) -> None:
        dtype, rank = to.base.dtype, len(movement.lengths)
        places = self._memory.place(to.base), self._memory.place(of.base)
        one_piece = movement.is_in_one_piece
        kernel = movement_kernel(dtype, rank, fixed_lengths(movement), one_piece, adds)
        nodes = [equation.origin.node] if equation.origin else []
        self._step.nest(
            kernel,
            movement_arguments(movement, *places, DTYPES[dtype].itemsize),
            f"{self._values.shown(equation.result)}: {comment}",
            ", ".join(nodes) or equation.primitive,
        )


def _unfolded(result: Region, like: Region) -> Region:
    """An array that lies in one piece, with the shape of what is copied to it."""
    return result._replace(shape=like.shape, strides=c_strides(like.shape))


def _fitted(index: Index, whole: Region) -> Index:
    """The index for as many items as there are: in a tile, fewer than in the batch."""
    if not index or isinstance(index[0], int) or index[0][1] <= whole.shape[0]:
        return index
    return ((0, whole.shape[0], 1), *index[1:])
