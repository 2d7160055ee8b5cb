"""Write a step for each group of a schedule, in order.

A loop becomes a kernel and its arguments, a product one of `products`; what neither can do, or not
in the way that its operands lie in memory, becomes a line of Python that calls NumPy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from miniflow.backends.backend import Buffers, Groups, TimedRun
from miniflow.backends.loops import run_loop
from miniflow.backends.native import machine
from miniflow.backends.native.draft import Draft
from miniflow.backends.native.frame import (
    assign_new_values,
    check_value,
    copy_old_values,
    hand_out,
    write_head,
)
from miniflow.backends.native.movements import Movements
from miniflow.backends.native.products.plan import (
    DotPlan,
    ProductPlan,
    compile_product,
    plan_product,
)
from miniflow.backends.native.step import Run
from miniflow.backends.native.tiling import Tiling, batch_size, find_tiling
from miniflow.ir import DTYPES, PRIMITIVES, Equation, Literal, Operand, Variable
from miniflow.lowering.alone import write_alone
from miniflow.lowering.bodies import body_in_place
from miniflow.lowering.fuse import Schedule
from miniflow.lowering.groups import (
    CALL,
    CONSTANT,
    ELEMENT,
    LOOP,
    NUMBER,
    ONE,
    PRODUCT,
    TABLE,
    EquationGroup,
)
from miniflow.lowering.kernels import GroupKernel, write_kernel
from miniflow.lowering.nests import Kernel
from miniflow.lowering.parameters import APART, BY_COLUMNS, BY_ROWS, Number, Scratch, Size
from miniflow.lowering.plan import make_plan
from miniflow.lowering.views import Region, distance, whole_view
from miniflow.lowering.written_over import is_zero

if TYPE_CHECKING:
    from miniflow.backends.native.executable import NativeExecutable

_ONE, _ZERO = Literal(1.0), Literal(0.0)
_TAKE_OUT: Final = ("matmul", "sum", "prod", "max", "min", "any", "all")


class Lowered(NamedTuple):
    """A step: the function, its text, the kernels that it runs, each with its name, the equations
    of each loop, its buffers, and the bodies of the scans.
    """

    run: Run
    text: str
    kernels: tuple[tuple[Kernel, str], ...]
    loops: Groups
    buffers: Buffers
    timed: Callable[[], TimedRun]
    bodies: tuple[NativeExecutable, ...]


def lower_schedule(schedule: Schedule) -> Lowered:
    """Write the step that runs `schedule`."""
    plan = make_plan(schedule)
    draft = Draft(plan)
    writer = _StepWriter(draft)
    copies = copy_old_values(draft)
    items = batch_size(plan)
    position, end = 0, len(plan.schedule.groups)
    while position < end:
        tiling = find_tiling(draft, position, items, writer.is_compiled)
        positions = tiling.positions if tiling else [position]
        if tiling:
            writer.write_tiles(tiling)
        else:
            writer.write_at(position)
        for read_last in positions:
            for variable in plan.last_reads.get(read_last, ()):
                draft.memory.give_back(variable)
        position = positions[-1] + 1
    writer.movements.finish()
    assign_new_values(draft, copies)
    draft.step.mark(())
    hand_out(draft, copies)
    write_head(draft)
    run, text = draft.step.finish(draft.memory)
    kernels, loops = tuple(writer.kernels.items()), tuple(writer.loops)
    bodies, buffers = tuple(writer.bodies), draft.memory.buffers()
    timed = partial(draft.step.finish_timed, draft.memory, plan.program)
    return Lowered(run, text, kernels, loops, buffers, timed, bodies)


class _StepWriter:
    def __init__(self, draft: Draft) -> None:
        self.draft, self.plan = draft, draft.plan
        self.memory, self.step, self.values = draft.memory, draft.step, draft.values
        self.kernels: dict[Kernel, str] = {}  # their names
        self.bodies: list[NativeExecutable] = []  # of the scans
        self.loops: dict[tuple[Equation, ...], None] = {}  # the equations of each
        self.movements = Movements(draft.memory, draft.step, draft.values, self._has_zeros)
        self.copies: dict[tuple[Variable, tuple[int, ...]], Variable] = {}  # that tiles share

    def write_at(self, position: int) -> None:
        """Write the step of the group at a position of the schedule, and what has to be checked."""
        group = self.plan.schedule.groups[position]
        self.write(group)
        self.step.mark(group.equations)
        if any(equation.result is self.plan.finite for equation in group.equations):
            check_value(self.draft, group)

    def write_tiles(self, tiling: Tiling) -> None:
        """Write the steps of some groups, again for each tile."""
        self.movements.finish()
        for position in tiling.before:
            self.write_at(position)
        title = f"for each {tiling.count} of {tiling.items}:"
        for tile in tiling.tiles():
            self.values.look_at(tile)
            with self.step.below(title) if tile.first == 0 else self.step.again():
                for position in tiling.groups:
                    self.write(tile.group(self.plan.schedule.groups[position]))
                    self.step.mark(self.plan.schedule.groups[position].equations)
                self.movements.finish()
        self.values.look_at(None)
        for copy in self.copies.values():
            self.memory.give_back(copy)
        self.copies = {}
        for position in tiling.after:
            self.write_at(position)

    def is_compiled(self, equation: Equation) -> bool:
        """Whether compiled code does all of a product, or of a movement."""
        if equation.primitive == "matmul":
            a, b = equation.operands
            return self._plan_product(a, b, equation.result) is not None
        return self.movements.is_compiled(equation)

    def write(self, group: EquationGroup) -> None:
        """Write the step of a group, if anybody needs its results."""
        if not any(equation.result in self.plan.needed for equation in group.equations):
            return
        if group.kind in (LOOP, PRODUCT, CALL) and not self.movements.continues(group.equations[0]):
            self.movements.finish()
        if group.kind == LOOP:
            self._write_loop(group)
        elif group.kind == PRODUCT:
            self._write_product(group.equations[0])
        elif group.kind == CALL:
            self._write_call(group.equations[0])
        elif group.kind == CONSTANT:
            self._write_constant(group.equations[0])
        elif group.kind == NUMBER:
            equation = group.equations[0]
            self.step.first(f"{self.values.name(equation.result)} = {self.values.call(equation)}")

    # What NumPy does.

    def _write_constant(self, equation: Equation) -> None:
        values = [o.value for o in equation.operands if isinstance(o, Literal)]
        try:
            with np.errstate(all="ignore"):
                value = PRIMITIVES[equation.primitive].compute(*values, **equation.params)
        except (ArithmeticError, ValueError):  # it shall be raised when the step runs
            self._write_call(equation)
        else:
            self.memory.keep(equation.result, np.array(value, order="C"))

    def _write_call(self, equation: Equation) -> None:
        result = equation.result
        self._allocate(result)
        if equation.primitive == "scan":
            self._write_scan(equation)
            return
        if self.movements.write(equation) or self._write_alone(equation):
            return
        if result.kind == "scalar":
            cell = self.step.bind(self.values.name(result), self.memory.arrays[result])
            self.step.line(f"{cell}[()] = {self.values.call(equation)}")
            return
        out = self.values.text(result)
        if _takes_out(equation):
            self.step.line(self.values.call(equation, out))
        else:
            self.step.line(f"np.copyto({out}, {self.values.call(equation)})")

    def _write_scan(self, equation: Equation) -> None:
        """Write a loop of Python's round machine code of the body, which writes its states into the
        history.
        """
        from miniflow.backends.native.executable import make

        executable = make(body_in_place(equation.params["body"]))
        self.bodies.append(executable)
        body = self.step.bind(f"body_{len(self.bodies)}_", executable.run)
        loop, out = self.step.bind("run_loop_", run_loop), self.values.text(equation.result)
        first, *rest = map(self.values.text, equation.operands)
        count, reverse = equation.params["sequences"], equation.params["reverse"]
        items, outside = (f"[{', '.join(part)}]" for part in (rest[:count], rest[count:]))
        self.step.line(f"{loop}({body}, {out}, {first}, {items}, {outside}, {reverse})")

    def _write_alone(self, equation: Equation) -> bool:
        """Compute an equation in a nest of its own, if there is one; whether there is.

        What may fail, or reads what lies where the result will, is left to NumPy, which has its
        result before it is copied there.
        """
        result, layout = equation.result, self.values.layout
        if not self.values.is_whole or self.memory.home(result) is not result:
            return False
        arrays = [o for o in equation.operands if isinstance(o, Variable) and o.kind == "array"]
        if any(self.memory.home(layout(v).base) is result for v in arrays):
            return False
        written = write_alone(equation, lambda variable: layout(variable).strides)
        if written is None:
            return False
        self._run_kernel(written, EquationGroup(CALL, (equation,)))
        return True

    def _allocate(self, variable: Variable) -> None:
        """Find memory for a value that is about to be computed, unless it has some."""
        home = self.memory.home(variable)
        if home in self.memory.arrays or home in self.plan.returned:
            return
        if home.kind == "scalar":
            self.memory.keep(home, np.zeros((), DTYPES[home.dtype]))
        elif home in self.plan.made_by:
            self.memory.take_buffer(home, self.values.room(home))

    # Products.

    def _write_product(self, equation: Equation) -> None:
        operands, result = equation.operands, equation.result
        c, a, b, alpha, beta = (None, *operands, _ONE, _ZERO) if len(operands) == 2 else operands
        if c is not None and self._is_zero(c):
            c, beta = None, _ZERO
        plan = self._plan_product(a, b, result)
        where_alpha, where_beta = (self.values.number(x, result.dtype) for x in (alpha, beta))
        if plan is None or where_alpha is None or where_beta is None:
            self._write_product_of_numpy(equation, c)
            return
        self._allocate(result)
        if c is not None:
            self._begin_sum(c, result)
        operands_at = zip("abc", (a, b, result), strict=True)
        places = {word: self.values.address(x) for word, x in operands_at}  # type: ignore[arg-type]
        places |= {"alpha": where_alpha, "beta": where_beta}
        for word, nbytes in plan.scratch(adds=c is not None).items():
            places[word] = self.memory.scratch(word, nbytes), 0
        text, arguments = compile_product(plan, machine.final_routine, adds=c is not None)
        self.step.compiled(
            machine.final_routine(text),
            _flat(arguments, places),
            _product_comment(equation, [self.values.shown(o) for o in (result, *operands)]),
            _label([equation]),
        )

    def _plan_product(
        self, a: Operand, b: Operand, result: Variable
    ) -> ProductPlan | DotPlan | None:
        """Return how compiled code computes a product; None if it cannot."""
        assert isinstance(a, Variable)
        assert isinstance(b, Variable)
        layout = self.values.layout
        return plan_product(layout(a), layout(b), layout(result), machine.processor())

    def _write_product_of_numpy(self, equation: Equation, c: Operand | None) -> None:
        if equation.primitive == "matmul" or c is not None:
            self._write_call(equation)
            return
        _, a, b, alpha, _ = equation.operands
        self._allocate(equation.result)
        out, alpha_text = self.values.text(equation.result), self.values.text(alpha)
        self.step.line(f"np.matmul({self.values.text(a)}, {self.values.text(b)}, out={out})")
        self.step.line(f"np.multiply({out}, {alpha_text}, out={out})")

    def _is_zero(self, operand: Operand) -> bool:
        group = self.plan.made_by.get(operand)  # type: ignore[arg-type]
        made = [e for e in group.equations if e.result is operand] if group else []
        return any(map(is_zero, made))

    def _has_zeros(self, operand: Operand) -> bool:
        """Whether a value is full of zeros that have been written: somebody will see them."""
        return self._is_zero(operand) and operand in self.plan.needed

    def _begin_sum(self, c: Operand, result: Variable) -> None:
        """Put what the product is added to where the result will lie."""
        assert isinstance(c, Variable)
        if self.memory.home(c) is not self.memory.home(result):
            self.step.line(f"np.copyto({self.values.text(result)}, {self.values.text(c)})")

    # Loops.

    def _write_loop(self, group: EquationGroup) -> None:
        self.loops[group.equations] = None
        stored, needed = self.plan.schedule.stored, self.plan.needed
        results = (equation.result for equation in group.equations)
        wanted = frozenset(v for v in results if v in stored and v in needed)
        group = self._with_rows(group)
        layouts = {v: self._lay(v, domain, group) for v, domain in group.reads.items()}
        for equation in group.equations:  # in this order: a set's is another in each process
            if equation.result in wanted:
                self._allocate(equation.result)
        homes = ((v, self.memory.home(v)) for v in wanted)
        in_place = {v: home for v, home in homes if home in group.reads}
        finite = self.plan.finite if self.plan.finite in group.places else None
        written = write_kernel(group, wanted, layouts, in_place, finite)
        self._run_kernel(written, group)

    def _run_kernel(self, written: GroupKernel, group: EquationGroup) -> None:
        """Add a compiled step."""
        name = self.kernels.setdefault(written.kernel, f"kernel_{len(self.kernels) + 1}")
        numbers = self._kernel_arguments(written, group)
        comment = f"{name}({', '.join(self._shown(written, group))})"
        self.step.nest(written.kernel, numbers, comment, _label(group.equations))

    def _with_rows(self, group: EquationGroup) -> EquationGroup:
        """Let a loop over all elements go row by row, if it reads a transposed array, say."""
        if group.split or len(group.space) != 2:
            return group
        for variable, domain in group.reads.items():
            layout = self.values.layout(variable)
            if domain == ELEMENT and distance(layout.shape, layout.strides) not in (0, 1):
                return replace(group, split=1)
        return group

    def _lay(self, variable: Variable, domain: str, group: EquationGroup) -> str:
        """Return how an array lies; copy it, if it lies in a way that kernels do not know."""
        if domain == ONE:
            return BY_ROWS
        arrangement = _arrangement(self.values.layout(variable), domain, group)
        if arrangement is None:
            copy = self._new_copy(variable)
            self.movements.copy(copy, variable, group.equations[0])
            self.values.move(variable, whole_view(copy))
            return BY_ROWS
        return arrangement

    def _new_copy(self, variable: Variable) -> Variable:
        """Find memory for a copy of an array, or of the part in this tile and the next."""
        shape = self.values.layout(variable).shape
        copy = None if self.values.is_whole else self.copies.get((variable, shape))
        if copy is None:
            copy = Variable(variable.type._replace(shape=shape), variable.name)
            self.memory.take_buffer(copy)
        if not self.values.is_whole:
            self.copies[variable, shape] = copy
        return copy

    def _kernel_arguments(self, kernel: GroupKernel, group: EquationGroup) -> list[int]:
        numbers: list[int] = []
        scratch = 0
        for argument in kernel.arguments.values():
            if isinstance(argument, (int, Size)):
                numbers.append(self._size(argument, group))
                continue
            if isinstance(argument, Scratch):
                nbytes = max(group.columns, 1) * DTYPES[argument.dtype].itemsize
                where: tuple[int, int] | None = (self.memory.scratch(scratch, nbytes), 0)
                scratch += 1
            elif isinstance(argument, Number):
                where = self.values.number(Literal(argument.value), argument.dtype)
            elif (
                argument in group.places
                or argument.kind == "array"
                or argument is group.equations[0].result
            ):
                where = self.values.address(argument)
            else:
                where = self.values.number(argument, argument.dtype)
            assert where is not None
            numbers += where
        return numbers

    def _size(self, size: int | Size, group: EquationGroup) -> int:
        if isinstance(size, int):
            return size
        if size.array is None:
            return group.rows if size.what == "rows" else group.columns
        layout = self.values.layout(size.array)
        if size.what == "length":
            return layout.shape[0]
        return _step(layout, group.reads[size.array], group)

    def _shown(self, kernel: GroupKernel, group: EquationGroup) -> list[str]:
        texts = []
        for name, argument in kernel.arguments.items():
            if isinstance(argument, (int, Size)):
                text = str(self._size(argument, group))
            elif isinstance(argument, Number):
                text = str(argument.value)
            elif isinstance(argument, Scratch):
                text = "..."
            else:
                text = self.values.shown(argument)
            texts.append(f"{name}={text}")
        return texts


def _takes_out(equation: Equation) -> bool:
    """Whether NumPy can write the result to an array that it is given, and will write all of it."""
    name = equation.primitive
    if name == "power" and equation.result.dtype[0] != "f":
        return False  # it stops at a negative exponent
    return isinstance(getattr(np, name, None), np.ufunc) or name in _TAKE_OUT


def _arrangement(layout: Region, domain: str, group: EquationGroup) -> str | None:
    """Return how a kernel can read an array; None if it cannot."""
    if domain not in (ELEMENT, TABLE):
        step = distance(layout.shape, layout.strides)
        return None if step is None else BY_ROWS if step <= 1 else APART
    split = 1 if domain == TABLE else group.split
    steps = layout.rows_and_columns(split)
    if steps is None:
        return None
    rows, columns = prod(layout.shape[:split]), prod(layout.shape[split:])
    if steps[1] <= 1 and (rows <= 1 or steps[0] == columns):
        return BY_ROWS
    if steps[1] <= 1 and steps[0] >= columns:
        return APART
    is_by_columns = domain == ELEMENT and steps[0] <= 1 and steps[1] == rows
    return BY_COLUMNS if is_by_columns and split else None


def _step(layout: Region, domain: str, group: EquationGroup) -> int:
    """Return the distance that a kernel asks for where rows lie apart."""
    if domain not in (ELEMENT, TABLE):
        return distance(layout.shape, layout.strides) or 1
    steps = layout.rows_and_columns(1 if domain == TABLE else group.split)
    assert steps is not None
    return steps[0]


def _label(equations: Sequence[Equation]) -> str:
    nodes = dict.fromkeys(e.origin.node for e in equations if e.origin)
    return ", ".join(nodes) or equations[0].primitive


def _flat(arguments: list[int | str], places: dict[str, tuple[int, int]]) -> list[int]:
    """Return arguments as numbers: for the name of a place, where it is."""
    found = ((x,) if isinstance(x, int) else places.get(x, places["c"]) for x in arguments)
    return [number for numbers in found for number in numbers]


def _product_comment(equation: Equation, names: list[str]) -> str:
    if equation.primitive == "matmul":
        result, a, b = names
        return f"{result} = {a} @ {b}"
    result, c, a, b, alpha, beta = names
    return f"{result} = {beta} * {c} + {alpha} * ({a} @ {b})"
