"""A loop program while it is being written: its buffers, and the steps so far."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from miniflow.ir import Equation, Literal, Namer, ValueType, Variable
from miniflow.ir.dtypes import DTYPES, Array
from miniflow.lowering.expressions import can_fuse
from miniflow.lowering.loop_evaluate import number_cell
from miniflow.lowering.loop_program import (
    CONSTANT,
    KEPT,
    NUMBER,
    Buffer,
    BufferView,
    FusedProduct,
    Number,
    NumpyCall,
    Product,
    Repeat,
    Step,
)
from miniflow.lowering.views import Region, Shape, c_strides

RESERVED: Final = ("numpy", "range", "t", "tile")  # words of the text


def _has_every_product(c: BufferView, a: BufferView, b: BufferView) -> bool:
    return True


def _has_no_windows(step: Product) -> bool:
    return False


def _has_no_epilogues(step: FusedProduct) -> bool:
    return False


def _adds_nothing_up(step: Product) -> bool:
    return False


def _itemsize(dtype: str) -> int:
    return DTYPES[dtype].itemsize


@dataclass(frozen=True)
class Target:
    """What a printer can do.

    Attributes:
        can_fuse: whether its nests may compute an equation.
        can_multiply: whether it has a product of matrices that lie so: c, a, b, all of one dtype,
            which is one of `product_dtypes`.
        can_read_windows: whether it has a product whose first factor is a matrix of windows.
        can_finish: whether it has a product with this epilogue.
        can_sum: whether it has a product that adds up the columns of its second factor, too.
        continues_products: whether one product can go on with the chains of another.
        adds_products: whether its products are scaled, and added to what was there.
        has_numpy: whether it can call NumPy. If not, a `NumpyCall` is arithmetic of the caller's
            single numbers alone, which nests are handed as they are.
        has_tiles: whether convolutions go through the batch tile by tile.
        updates_last: whether what the caller hands in is updated by copies at the very end, which
            the printer puts a look at the new values before; else in place, and after a check.
        pieces: into how many pieces a nest of short rows may be cut, each of which gets what a row
            keeps for itself.
        itemsize: how many bytes a number takes in its memory, by dtype.
        reserved: words that name no buffer.
    """

    can_multiply: Callable[[BufferView, BufferView, BufferView], bool] = _has_every_product
    can_read_windows: Callable[[Product], bool] = _has_no_windows
    can_finish: Callable[[FusedProduct], bool] = _has_no_epilogues
    can_sum: Callable[[Product], bool] = _adds_nothing_up
    continues_products: bool = False
    adds_products: bool = True
    has_numpy: bool = True
    has_tiles: bool = True
    updates_last: bool = False
    pieces: int = 1
    itemsize: Callable[[str], int] = _itemsize
    reserved: Collection[str] = ()
    can_fuse: Callable[[Equation], bool] = can_fuse
    product_dtypes: Collection[str] = ("f32", "f64")

    def can_lay(self, c: Region, a: Region, b: Region) -> bool:
        """Whether there is a product whose result, and whose factors, lie so in memory."""
        if c.dtype not in self.product_dtypes or {a.dtype, b.dtype} != {c.dtype}:
            return False
        return self.can_multiply(*(BufferView("", x.dtype, *x[1:]) for x in (c, a, b)))

    @property
    def reads_windows(self) -> bool:
        """Whether there are any products that read windows."""
        return self.can_read_windows is not _has_no_windows

    @property
    def has_sums(self) -> bool:
        """Whether there are any products that add up columns."""
        return self.can_sum is not _adds_nothing_up


class Draft:
    """What grows while a program is lowered.

    Attributes:
        buffers: those that have been asked for, by name.
        first: steps before all others: arithmetic of single numbers that the caller hands in.
        made_in: for the equations of a loop's body, the scan that they are a part of.
    """

    def __init__(self, target: Target) -> None:
        self.target = target
        self.buffers: dict[str, Buffer] = {}
        self.first: list[Step] = []
        self.made_in: dict[Equation, Equation] = {}
        self._block: list[Step] = []
        self._around: list[str] = []  # indices of the loops around it
        self._names = Namer((*RESERVED, *target.reserved))
        self._constants: dict[tuple[bytes, str], BufferView] = {}
        self._cells: dict[tuple[str, str], BufferView] = {}

    @property
    def steps(self) -> tuple[Step, ...]:
        """All steps so far."""
        return (*self.first, *self._block)

    def add(self, step: Step) -> None:
        """Add a step."""
        self._block.append(step)

    @contextmanager
    def repeat(self, word: str, count: int) -> Iterator[str]:
        """Let the steps that are added meanwhile run `count` times; gives the index."""
        index, outside = word, self._block
        while index in self._around:
            index += "_"
        self._around.append(index)
        self._block = []
        yield index
        outside.append(Repeat(index, count, tuple(self._block)))
        self._block = outside
        self._around.pop()

    def name(self, variable: Variable) -> str:
        """A name for a value, that no other one has."""
        return self._names(variable)

    def declare(
        self,
        variable: Variable,
        role: str = KEPT,
        shape: Shape | None = None,
        value: Array | None = None,
    ) -> str:
        """Add a buffer for a value, of its own shape or another, and return its name."""
        name = self.name(variable)
        shape = variable.shape if shape is None else shape
        self.buffers[name] = Buffer(variable.dtype, shape, role, value=value)
        return name

    def new(self, hint: str, dtype: str, shape: Shape = (), role: str = KEPT) -> BufferView:
        """Add a buffer that is no value of the program."""
        kind = "array" if shape else "scalar"
        name = self.declare(Variable(ValueType(dtype, shape, kind), hint), role)
        return BufferView(name, dtype, 0, shape, c_strides(shape))

    def constant(self, literal: Literal, dtype: str) -> BufferView:
        """A number in memory."""
        cell = number_cell(literal, dtype)
        key = cell.tobytes(), dtype
        if key not in self._constants:
            variable = Variable(ValueType(dtype, (), "scalar"), "number")
            name = self.declare(variable, CONSTANT, value=cell)
            self._constants[key] = BufferView(name, dtype, 0, (), ())
        return self._constants[key]

    def cell(self, number: BufferView, dtype: str) -> BufferView:
        """A number of the caller's in memory, in a dtype."""
        key = number.buffer, dtype
        if key not in self._cells:
            made = Variable(ValueType(dtype, (), "scalar"), f"{number.buffer}_{dtype}")
            source = Variable(ValueType(number.dtype, (), "python"), number.buffer)
            target = BufferView(self.declare(made), dtype, 0, (), ())
            equation = Equation("cast", (source,), {"dtype": dtype}, made)
            self.first.append(NumpyCall(equation, (number,), target))
            self._cells[key] = target
        return self._cells[key]

    def is_number(self, operand: Number) -> bool:
        """Whether something is known before anything is computed in memory."""
        return isinstance(operand, Literal) or self.buffers[operand.buffer].role == NUMBER
