"""The steps of one program, written group by group.

A loop becomes a nest and what it is handed, a product a product, what does not lie in one piece
copies (`movements`), a scan a `Repeat`. What none of these can do is a call of NumPy; printers that
have no NumPy have `steps_without_numpy`.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Final

import numpy as np

from miniflow.ir import PRIMITIVES, Equation, Literal, Operand, Variable
from miniflow.lowering.aliasing import may_raise
from miniflow.lowering.alone import write_alone
from miniflow.lowering.arrangements import arrangement_of, step_of, with_rows
from miniflow.lowering.checks import checks_of, without_checks
from miniflow.lowering.draft import Draft
from miniflow.lowering.groups import (
    CALL,
    CONSTANT,
    LOOP,
    NUMBER,
    ONE,
    PRODUCT,
    EquationGroup,
)
from miniflow.lowering.kernels import NOT_FINITE, GroupKernel, write_kernel
from miniflow.lowering.loop_program import (
    SCRATCH,
    BufferView,
    ConvertedInt,
    Copy,
    Nest,
    NestArgument,
    NumpyCall,
    Product,
)
from miniflow.lowering.movements import Movements
from miniflow.lowering.nests import Fail, If, Kernel, NumberParameter, absolute, cast, name
from miniflow.lowering.parameters import BY_ROWS, Argument, Converted, Number, Scratch, Size
from miniflow.lowering.plan import StepPlan
from miniflow.lowering.rows import LONGEST_ROW
from miniflow.lowering.scans import write_scan
from miniflow.lowering.strided_groups import write_elements
from miniflow.lowering.tiles import Tile, Tiling
from miniflow.lowering.values import Values
from miniflow.lowering.views import Region, whole_view
from miniflow.lowering.written_over import is_zero

ONE_LITERAL: Final = Literal(1.0)
_ZERO: Final = Literal(0.0)
WriteGroups = Callable[[Draft, StepPlan, Values], None]


class StepWriter:
    """Writes the steps of the groups of a plan; `write_groups` those of the body of a scan."""

    def __init__(
        self, draft: Draft, plan: StepPlan, values: Values, write_groups: WriteGroups
    ) -> None:
        self.draft, self.plan, self.values = draft, plan, values
        self.write_groups = write_groups
        self.movements = Movements(draft, values, self._has_zeros)
        self.copies: dict[tuple[Variable, tuple[int, ...]], Variable] = {}  # that tiles share

    def write_tiles(self, tiling: Tiling) -> None:
        """Write the steps of some groups, to run for each tile."""
        self.movements.finish()
        for position in tiling.before:
            self.write(self.plan.schedule.groups[position])
        for position in tiling.checked:
            self._write_checks(self.plan.schedule.groups[position])
        for variable in tiling.summed:
            self._write_zeros(variable)
        with self.draft.repeat("tile", tiling.items // tiling.count) as index:
            self._write_tile(tiling, tiling.whole_tile(index))
        if tiling.items % tiling.count:
            self._write_tile(tiling, tiling.last_tile())
        self.values.look_at(None)
        self.copies = {}
        for position in tiling.after:
            self.write(self.plan.schedule.groups[position])

    def _write_tile(self, tiling: Tiling, tile: Tile) -> None:
        self.values.look_at(tile)
        for position in tiling.groups:
            self.write(tile.group(self.plan.schedule.groups[position]))
        self.movements.finish()

    def _write_checks(self, group: EquationGroup) -> None:
        """Look at all indices that a loop will read."""
        self.add_nest(checks_of(self._kernel_of(group, self._wanted(group))), group)

    def _write_zeros(self, variable: Variable) -> None:
        """Fill an array that tiles will add to."""
        target = self.values.place(variable)
        zero = self.draft.constant(_ZERO, variable.dtype)
        zeros = zero._replace(shape=target.shape, strides=(0,) * len(target.shape))
        self.draft.add(Copy(target, zeros, equations=self.plan.made_by[variable].equations))

    def is_compiled(self, equation: Equation) -> bool:
        """Whether compiled code does all of a product, or of a movement."""
        if equation.primitive == "matmul":
            a, b = equation.operands
            return self.can_multiply(a, b, equation.result)
        return self.movements.is_compiled(equation)

    def write(self, group: EquationGroup) -> None:
        """Write the steps of a group, if anybody needs its results."""
        if not any(equation.result in self.plan.needed for equation in group.equations):
            return
        if self.values.is_bound(group.equations[0].result):  # a loop has written it
            return
        if group.kind in (LOOP, PRODUCT, CALL) and not self.movements.continues(group.equations[0]):
            self.movements.finish()
        if group.kind == LOOP:
            self.write_loop(group)
        elif group.kind == PRODUCT:
            self.write_product(group)
        elif group.kind == CALL:
            self.write_call(group)
        elif group.kind == CONSTANT:
            self._write_constant(group)
        elif group.kind == NUMBER:
            self._write_number(group.equations[0])
        finite = self.plan.finite
        if group.kind != LOOP and any(e.result is finite for e in group.equations):
            self._check_finite(group)

    # Single numbers, and what NumPy does.

    def _write_number(self, equation: Equation) -> None:
        """Arithmetic of what the caller hands in depends on nothing that is computed here."""
        target = self.values.place(equation.result)
        self.draft.first.append(NumpyCall(equation, self.values.operands(equation), target))

    def _write_constant(self, group: EquationGroup) -> None:
        (equation,) = group.equations
        values = [o.value for o in equation.operands if isinstance(o, Literal)]
        try:
            with np.errstate(all="ignore"):
                value = PRIMITIVES[equation.primitive].compute(*values, **equation.params)
        except (ArithmeticError, ValueError):  # it shall be raised when the step runs
            self.write_call(group)
        else:
            self.values.keep(equation.result, np.array(value, order="C"))

    def write_call(self, group: EquationGroup) -> None:
        (equation,) = group.equations
        if equation.primitive == "scan":
            write_scan(equation, self.draft, self.values, self.write_groups)
        elif not self.movements.write(equation) and not self.write_by_itself(group):
            operands = self.values.operands(equation)
            call = NumpyCall(equation, operands, self.values.place(equation.result))
            is_first = equation.result.kind != "array" and all(map(self.draft.is_number, operands))
            self.draft.first.append(call) if is_first else self.draft.add(call)

    def write_by_itself(self, group: EquationGroup) -> bool:
        """Compute an equation in a nest of its own, if there is one; whether there is.

        What reads what lies where the result will, or may fail where something else lies, is left
        to NumPy, which has its result before it is copied there. Parts that are written in place
        are no reading.
        """
        (equation,) = group.equations
        result, values = equation.result, self.values
        is_in_place = values.home(result) is not result
        if not values.is_whole or (is_in_place and may_raise(group, self.plan.safe)):
            return False
        arrays = [o for o in equation.operands if isinstance(o, Variable) and o.kind == "array"]
        stays = (
            is_in_place
            and equation.primitive == "gather_update"
            and values.home(result) is equation.operands[0]
        )
        if any(values.root(v) is values.home(result) for v in arrays[stays:]):
            return False
        written = write_alone(
            equation, lambda variable: values.layout(variable).strides, stays=stays
        )
        if written is None:
            return False
        self.add_nest(written, group)
        return True

    def _check_finite(self, group: EquationGroup) -> None:
        """Fail where the number is not finite that has to be; a loop does so itself."""
        assert self.plan.finite is not None
        place = self.values.number(self.plan.finite, self.plan.finite.dtype)
        assert place is not None
        self.draft.add(Nest(_finite_kernel(self.plan.finite.dtype), (place,), group.equations))

    # Products.

    def write_product(self, group: EquationGroup) -> None:
        (equation,) = group.equations
        operands, result, values = equation.operands, equation.result, self.values
        c: Operand | None = None
        alpha: Operand = ONE_LITERAL
        beta: Operand | None = None
        if len(operands) == 5:
            c, a, b, alpha, beta = operands
        else:
            a, b = operands
        if c is not None and self.makes_zeros(c):  # which has not been written
            operands, c, beta = (_ZERO, *operands[1:]), None, None
        first = values.number(alpha, result.dtype)
        second = None if beta is None else values.number(beta, result.dtype)
        is_known = first is not None and (beta is None or second is not None)
        target = values.place(result)
        if first is None or not is_known or not self.can_multiply(a, b, result):
            if len(operands) == 5 or not self.write_by_itself(group):
                handed = tuple(map(values.operand, operands))
                self.draft.add(NumpyCall(equation, handed, target))
            return
        if isinstance(c, Variable) and values.home(c) is not values.home(result):
            self.draft.add(Copy(target, values.place(c), equations=(equation,)))
        assert isinstance(a, Variable)
        assert isinstance(b, Variable)
        factors = values.place(a), values.place(b)
        goes_on = values.is_continued(result)
        product = Product(target, *factors, first, second, (equation,), continues=goes_on)
        self.draft.add(product)

    def can_multiply(self, a: Operand, b: Operand, result: Variable) -> bool:
        """Whether there is a product for these operands, as they lie."""
        assert isinstance(a, Variable)
        assert isinstance(b, Variable)
        has_dtype = result.dtype in self.draft.target.product_dtypes
        if not has_dtype or {a.dtype, b.dtype} != {result.dtype}:
            return False
        layouts = [self.values.layout(variable) for variable in (result, a, b)]
        return self.draft.target.can_multiply(*map(_as_view, layouts))

    def makes_zeros(self, operand: Operand) -> bool:
        group = self.plan.made_by.get(operand)  # type: ignore[arg-type]
        made = [e for e in group.equations if e.result is operand] if group else []
        return any(map(is_zero, made))

    def _has_zeros(self, operand: Operand) -> bool:
        """Whether a value is full of zeros that have been written: somebody will see them."""
        return self.makes_zeros(operand) and operand in self.plan.needed

    # Loops.

    def write_loop(self, group: EquationGroup, wanted: frozenset[Variable] | None = None) -> None:
        """Write a loop that leaves the values `wanted`; by default, what anybody needs."""
        wanted = self._wanted(group) if wanted is None else wanted
        if self._write_elements(group, wanted):
            return
        group = with_rows(group, self.values.layout)
        for variable, domain in group.reads.items():
            self._lay(variable, domain, group)
        written = self._kernel_of(group, wanted)
        self.add_nest(written if self.values.is_whole else without_checks(written), group)

    def _wanted(self, group: EquationGroup) -> frozenset[Variable]:
        """What anybody needs of a group's results."""
        results = {equation.result for equation in group.equations}
        return frozenset(results & self.plan.schedule.stored & self.plan.needed)

    def _kernel_of(self, group: EquationGroup, wanted: frozenset[Variable]) -> GroupKernel:
        """The kernel of a loop whose arrays lie in ways that kernels know."""
        group = with_rows(group, self.values.layout)
        layouts = {
            v: BY_ROWS
            if domain == ONE
            else arrangement_of(self.values.layout(v), domain, group) or BY_ROWS
            for v, domain in group.reads.items()
        }
        homes = ((v, self.values.home(v)) for v in wanted)
        in_place = {v: home for v, home in homes if home in group.reads}
        finite = self.plan.finite if self.plan.finite in group.places else None
        continued = frozenset(v for v in wanted if self.values.is_continued(v))
        return write_kernel(group, wanted, layouts, in_place, finite, continued)

    def _write_elements(self, group: EquationGroup, wanted: frozenset[Variable]) -> bool:
        """Write a loop over elements that lie in ways which loops over rows do not know, in place
        of copying them; whether this is one.
        """
        layout = self.values.layout
        with_its_rows = with_rows(group, layout)
        known = (
            domain == ONE or arrangement_of(layout(v), domain, with_its_rows) is not None
            for v, domain in group.reads.items()
        )
        homes = [self.values.home(v) for v in wanted]
        is_part = any(self.values.root(v) is not self.values.home(v) for v in wanted)
        if (all(known) and not is_part) or not group.reads.keys().isdisjoint(homes):
            return False
        written = write_elements(group, wanted, layout)
        if written is not None:
            self.add_nest(written, group)
        return written is not None

    def add_nest(self, written: GroupKernel, group: EquationGroup) -> None:
        """Add a step for a kernel."""
        arguments = tuple(
            self._argument(written.converted.get(x, x) if isinstance(x, Variable) else x, group)
            for x in written.arguments.values()
        )
        self.draft.add(Nest(written.kernel, arguments, group.equations))

    def _lay(self, variable: Variable, domain: str, group: EquationGroup) -> None:
        """Copy an array that lies in a way that kernels do not know."""
        if domain == ONE or arrangement_of(self.values.layout(variable), domain, group):
            return
        copy = self._new_copy(variable)
        self.movements.copy(copy, variable, group.equations)
        self.values.move(variable, whole_view(copy))

    def _new_copy(self, variable: Variable) -> Variable:
        """A value for a copy of an array, or of the part in this tile and the next."""
        shape = self.values.layout(variable).shape
        copy = None if self.values.is_whole else self.copies.get((variable, shape))
        if copy is None:
            copy = Variable(variable.type._replace(shape=shape), variable.name)
        if not self.values.is_whole:
            self.copies[variable, shape] = copy
        return copy

    def _argument(self, argument: Argument | Converted, group: EquationGroup) -> NestArgument:
        if isinstance(argument, (int, Size)):
            return self._size(argument, group)
        if isinstance(argument, Scratch):
            shape: tuple[int, ...] = (max(group.columns, 1),)
            pieces = self.draft.target.pieces
            if pieces > 1 and group.split and group.columns <= LONGEST_ROW:
                shape = (pieces, *shape)
            return self.draft.new("scratch", argument.dtype, shape, SCRATCH)
        if isinstance(argument, Number):
            return Literal(argument.value)
        if isinstance(argument, Converted):
            operand = self.values.operand(argument.operand)
            return ConvertedInt(operand, argument.dtype, argument.how)
        is_first = argument is group.equations[0].result
        if argument in group.places or argument.kind == "array" or is_first:
            return self.values.place(argument)
        found = self.values.handed(argument)
        assert found is not None
        return found

    def _size(self, size: int | Size, group: EquationGroup) -> int:
        if isinstance(size, int):
            return size
        if size.array is None:
            return group.rows if size.what == "rows" else group.columns
        layout = self.values.layout(size.array)
        if size.what == "length":
            return layout.shape[0]
        return step_of(layout, group.reads[size.array], group)


def _as_view(region: Region) -> BufferView:
    """The view of memory that nobody has yet, to ask whether there is a product for it."""
    return BufferView("", region.base.dtype, *region[1:])


def _finite_kernel(dtype: str) -> Kernel:
    """The nest that fails where a number is not finite."""
    x = cast(name("c1", dtype), "f64")
    fail = If(~(absolute(x) < inf), (Fail(NOT_FINITE),))
    return Kernel((NumberParameter("c1", dtype),), (fail,))
