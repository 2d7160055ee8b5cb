"""Whether a loop program is one: every view is inside of its buffer, in every turn of every loop;
nobody writes what is not to be written, or reads what has not been; and memory is shared by nobody
who is there at the same time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from math import prod

from miniflow.ir.dtypes import DTYPES, ProgramError, ValueType
from miniflow.ir.primitives import infer
from miniflow.ir.program import Literal, Variable
from miniflow.lowering.epilogues import finishes
from miniflow.lowering.loop_program import (
    ARGUMENT,
    CONSTANT,
    KEPT,
    NUMBER,
    RESULT,
    SCRATCH,
    Buffer,
    BufferView,
    Copy,
    Factor,
    FusedProduct,
    LoopProgram,
    Nest,
    NumpyCall,
    Product,
    Repeat,
    Step,
    WindowMatrix,
    accesses,
)
from miniflow.lowering.nest_check import KernelError, check_kernel
from miniflow.lowering.nest_places import EntryRange, check_places
from miniflow.lowering.nests import ArrayParameter, NumberParameter, SizeParameter
from miniflow.lowering.placing import exact_lifetimes
from miniflow.lowering.views import Shape


class LoopProgramError(Exception):
    """A loop program is not one; a defect of whoever made it, never of a user."""


def check_loop_program(
    program: LoopProgram, itemsize: Callable[[str], int] = lambda dtype: DTYPES[dtype].itemsize
) -> None:
    """Raise LoopProgramError where a program is not one.

    `itemsize` says how many bytes a number takes, by dtype.
    """
    for name, buffer in program.buffers.items():
        _check_buffer(name, buffer, program.buffers, itemsize)
    for name in program.arguments:
        _expect(program.buffers[name].role in (ARGUMENT, NUMBER), f"{name} is no argument")
    checker = _StepChecker(program)
    for step in program.steps:
        checker.step(step)
    for output in program.outputs:
        if isinstance(output, BufferView):
            checker.view(output, reads=True, writes=False)
    _check_sharing(program, itemsize)


def _expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise LoopProgramError(otherwise)


def _check_buffer(
    name: str, buffer: Buffer, buffers: Mapping[str, Buffer], itemsize: Callable[[str], int]
) -> None:
    _expect(buffer.role in (ARGUMENT, RESULT, KEPT, SCRATCH, CONSTANT, NUMBER), f"{name}: a role?")
    value = buffer.value
    _expect((value is not None) == (buffer.role == CONSTANT), f"{name}: only constants hold values")
    _expect(value is None or value.size == buffer.size, f"{name} holds another number of elements")
    if buffer.alias is None:
        return
    owner = buffers.get(buffer.alias)
    _expect(owner is not None and owner.alias is None, f"{name} lies in {buffer.alias}: no memory")
    assert owner is not None
    _expect({owner.role, buffer.role} <= {KEPT, SCRATCH}, f"{name} lies in {buffer.alias}")
    own, there = (x.size * itemsize(x.dtype) for x in (buffer, owner))
    _expect(own <= there, f"{name} does not fit into {buffer.alias}")


def _check_sharing(program: LoopProgram, itemsize: Callable[[str], int]) -> None:
    sharing: dict[str, list[str]] = {}
    lives = exact_lifetimes(program, itemsize)
    for name in lives:
        sharing.setdefault(program.buffers[name].alias or name, []).append(name)
    for names in sharing.values():
        for one, other in combinations(names, 2):
            apart = not lives[one].meets(lives[other])
            _expect(apart, f"{one} and {other} need the same memory at the same time")


class _StepChecker:
    """Walks over steps; `turns` has the number of turns of each loop around."""

    def __init__(self, program: LoopProgram) -> None:
        self.buffers, self.updated = program.buffers, program.updated
        self.turns: dict[str, int] = {}
        self.filled = {n for n, b in self.buffers.items() if b.role in (ARGUMENT, CONSTANT)}
        self.filled |= set(program.arguments)

    def step(self, step: Step) -> None:
        """Check a step."""
        self._apart(step)
        for view, reads, writes in accesses(step):
            self.view(view, reads, writes)
        match step:
            case Nest():
                self._nest(step)
            case Product(c, a, b, alpha, beta, sums=sums, continues=continues):
                self._product(c, a, b)
                is_plain = alpha == Literal(1.0) and beta is None and sums is None
                _expect(is_plain or not continues, f"{c} is scaled, and goes on")
                is_known = sums is None or (sums.shape == b.shape[1:] and sums.dtype == b.dtype)
                _expect(is_known, f"{sums} are no sums of {b}")
            case FusedProduct(product, epilogue, keeps):
                self._product(product.c, product.a, product.b)
                self._nest(epilogue)
                is_new = product.beta is None and not product.continues
                _expect(keeps or is_new, f"{product.c} is added to, and not kept")
                _expect(finishes(epilogue, product), f"{product.c} is read by no epilogue")
            case Copy(target, source):
                _expect(target.shape == source.shape, f"{target} is no copy of {source}")
                _expect(target.dtype == source.dtype, f"{target} is no copy of {source}")
            case NumpyCall(equation, _, target):
                result = equation.result
                _expect(target.dtype == result.dtype, f"{target} is no place for {result}")
                _expect(target.shape == result.shape, f"{target} is no place for {result}")
            case Repeat(index, count, steps):
                _expect(index not in self.turns and count > 0, f"{index} counts {count} turns")
                self.turns[index] = count
                for inner in steps:
                    self.step(inner)
                del self.turns[index]
        if isinstance(step, (Product, Copy)):
            numbers = [v for v, _, _ in accesses(step) if self.buffers[v.buffer].role == NUMBER]
            _expect(not numbers, f"{numbers} are not in memory")

    def view(self, view: BufferView, reads: bool, writes: bool) -> None:
        """Check that a view is inside of its buffer, and that it may be read or written."""
        name, buffer = view.buffer, self.buffers.get(view.buffer)
        _expect(buffer is not None, f"there is no buffer {name}")
        assert buffer is not None
        _expect(buffer.dtype == view.dtype, f"{view}: {name} is of {buffer.dtype}")
        low, high = self._ends(view)
        _expect(not view.size or (low >= 0 and high < buffer.size), f"{view} is outside of {name}")
        _expect(not reads or name in self.filled, f"{name} is read before it is written")
        if writes:
            is_open = name in self.updated or buffer.role not in (ARGUMENT, CONSTANT)
            _expect(is_open, f"{name} is written to")
            self.filled.add(name)

    def _ends(self, view: BufferView) -> tuple[int, int]:
        """The first and the last element that a view comes to, in any turn."""
        low, high = self._starts(view)
        for length, stride in zip(view.shape, view.strides, strict=True):
            low += min(0, (length - 1) * stride)
            high += max(0, (length - 1) * stride)
        return low, high

    def _starts(self, view: BufferView) -> tuple[int, int]:
        """The first and the last offset."""
        low = high = view.offset
        for index, step in view.moves:
            _expect(index in self.turns, f"{view} moves with {index}, which counts nothing here")
            low += min(0, (self.turns[index] - 1) * step)
            high += max(0, (self.turns[index] - 1) * step)
        return low, high

    def _nest(self, nest: Nest) -> None:
        """Check a kernel, what it is handed, and all places that it may come to."""
        check_kernel(nest.kernel)
        sizes, rooms = dict[str, int](), dict[str, EntryRange]()
        for parameter, argument in zip(nest.kernel.parameters, nest.arguments, strict=True):
            word = parameter.name
            if isinstance(parameter, SizeParameter):
                _expect(isinstance(argument, int), f"{word} is a size")
                sizes[word] = int(argument)  # type: ignore[arg-type]
            elif isinstance(argument, BufferView) and self.buffers[argument.buffer].role == NUMBER:
                fits = isinstance(parameter, NumberParameter) and parameter.dtype == argument.dtype
                _expect(fits, f"{word} is no number {argument}")
            elif isinstance(argument, BufferView):
                _expect(argument.dtype == parameter.dtype, f"{word} is no {argument}")
                low, high = self._starts(argument)
                last = self.buffers[argument.buffer].size - 1
                rooms[word] = EntryRange(-low, last - high)
                is_number = isinstance(parameter, NumberParameter)
                _expect(not is_number or rooms[word].high >= 0, f"{word} is outside")
            else:
                is_number = isinstance(parameter, NumberParameter) and not isinstance(argument, int)
                _expect(is_number, f"{word} is no {argument}")
        arrays = {p.name for p in nest.kernel.parameters if isinstance(p, ArrayParameter)}
        rooms = {word: room for word, room in rooms.items() if word in arrays}
        try:
            check_places(nest.kernel, sizes, rooms)
        except KernelError as error:
            raise LoopProgramError(str(error)) from error

    def _product(self, c: BufferView, a: Factor, b: BufferView) -> None:
        if isinstance(a, WindowMatrix):
            lengths = prod(a.view.shape[: a.split]), prod(a.view.shape[a.split :])
            for (first, count), length in zip((a.rows, a.columns), lengths, strict=True):
                _expect(first >= 0 and 0 < count <= length - first, f"{a} has {length} windows")
        _expect(c.shape == _shape_of_product(a, b), f"{c} is no {a} @ {b}")
        _expect(len({a.dtype, b.dtype, c.dtype}) == 1, f"{c} is no {a} @ {b}")

    def _apart(self, step: Step) -> None:
        """Check that nothing else is seen where a step writes; NumPy has its result before."""
        found = [] if isinstance(step, NumpyCall) else accesses(step)
        for one, other in combinations(found, 2):
            is_one_number = one.view == other.view and one.view.size == 1
            is_written = (one.writes or other.writes) and not is_one_number
            if is_written and one.view.buffer == other.view.buffer:
                wrong = f"{one.view} is seen by a step that writes {other.view}"
                _expect(not self._meet(one.view, other.view), wrong)

    def _meet(self, one: BufferView, other: BufferView) -> bool:
        if one.moves != other.moves:
            return True
        if one.is_beside(other):
            return False
        (low, high), (from_, to) = (self._ends(x._replace(moves=())) for x in (one, other))
        if low > to or from_ > high or one.strides != other.strides:
            return low <= to and from_ <= high
        axes = zip(map(abs, one.strides), one.shape, other.shape, strict=True)
        return _is_sum(other.offset - one.offset, sorted(axes, reverse=True))


def _is_sum(distance: int, axes: Sequence[tuple[int, int, int]]) -> bool:
    """Whether steps along axes, fewer each way than these lengths, come so far.

    >>> _is_sum(5, [(10, 3, 3)]), _is_sum(5, [(10, 3, 3), (1, 5, 6)]), _is_sum(-20, [(10, 3, 3)])
    (False, True, True)
    """
    axes = [axis for axis in axes if axis[0]]
    if not axes:
        return distance == 0
    (step, one, other), *inner = axes
    reach = sum(s * (max(n, m) - 1) for s, n, m in inner)
    most = max(one, other) - 1
    first, last = -((reach - distance) // step), (distance + reach) // step
    return any(
        _is_sum(distance - count * step, inner)
        for count in range(max(first, -most), min(last, most) + 1)
    )


def _shape_of_product(a: Factor, b: BufferView) -> Shape | None:
    """The shape of a @ b, as NumPy has it; None if there is no such product."""
    try:
        operands = [Variable(ValueType(x.dtype, x.shape)) for x in (a, b)]
        return infer("matmul", operands, {}).shape
    except ProgramError:
        return None
