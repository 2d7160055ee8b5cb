"""A whole step as data: the memory that it needs, and what runs on it, one after the other.

    program(X: f32[100352], W: f32[1290], y: i64[128], lr: number):
        logits: f32[1290]
        logits[...] = X @ W
        kernel_1(m=128, n=10, a1=logits, a2=y, ...)
        repeat t in 27:
            ...
        return loss

A `LoopProgram` has `Buffer`s, by name, and steps:

- `Nest`: a kernel (`nests`) and what it is handed;
- `Product`: ``c = alpha * (a @ b)``, or this added to ``beta * c``;
- `FusedProduct`: a product whose entries go through a kernel before they are stored;
- `Copy`: one part of memory to another, or added to it;
- `NumpyCall`: what only NumPy computes, and arithmetic of single numbers; the exception;
- `Repeat`: steps that run again and again.

What a step reads and writes is a `BufferView`: a buffer, an offset, a shape and strides, all
counted in elements; in a `Repeat` it moves so many elements a turn. Steps run in order; no step
reads what it writes, but at the same place. Nothing here knows the language that it will be printed
in.

`loop_text` prints one for people, `loop_check` verifies it, `loop_evaluate` says what it means, and
`placing` lets buffers share memory that are not needed at the same time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Final, NamedTuple, TypeAlias

from miniflow.ir.dtypes import DTYPES, Array
from miniflow.ir.program import Equation, Literal
from miniflow.lowering.nests import Kernel, written_arrays
from miniflow.lowering.views import Shape, c_strides

ARGUMENT: Final = "argument"  # what the caller hands in; some are written to
RESULT: Final = "result"  # what the caller gets, and keeps: another piece of memory in each run
KEPT: Final = "kept"  # what one step leaves to another
SCRATCH: Final = "scratch"  # what a nest needs for itself
CONSTANT: Final = "constant"  # what is known before, and only read
NUMBER: Final = "number"  # a single number of the caller's, or made of these: not in memory


@dataclass(frozen=True, slots=True)
class Buffer:
    """Memory for an array.

    `alias` names the buffer in whose memory it lies, which is needed at other times; None: it has
    memory of its own. `value` is what a constant holds. A number of NumPy's or Python's (`NUMBER`)
    has no memory; only a `NumpyCall` reads one.
    """

    dtype: str
    shape: Shape
    role: str
    alias: str | None = None
    value: Array | None = field(default=None, compare=False)

    @property
    def size(self) -> int:
        """For how many elements."""
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        """How many bytes it takes."""
        return self.size * DTYPES[self.dtype].itemsize


class BufferView(NamedTuple):
    """The elements ``offset + Σ index[axis] · strides[axis]`` of a buffer, counted in elements.

    `moves` says by how much the offset grows in each turn of a `Repeat`, by its index.
    """

    buffer: str
    dtype: str
    offset: int
    shape: Shape
    strides: Shape
    moves: tuple[tuple[str, int], ...] = ()

    @property
    def size(self) -> int:
        """The number of elements."""
        return prod(self.shape)

    @property
    def is_contiguous(self) -> bool:
        """Whether the elements follow each other in C order."""
        steps = zip(self.shape, self.strides, c_strides(self.shape), strict=True)
        return self.size == 0 or all(n == 1 or of == to for n, of, to in steps)

    @property
    def extent(self) -> tuple[int, int]:
        """The first and the last place of the buffer that it looks at, before any turn."""
        ends = [(n - 1) * step for n, step in zip(self.shape, self.strides, strict=True)]
        before, after = sum(min(end, 0) for end in ends), sum(max(end, 0) for end in ends)
        return self.offset + before, self.offset + after

    def is_beside(self, other: BufferView) -> bool:
        """Whether this and another view are matrices of other columns of the same rows."""
        if self.moves != other.moves or len(self.shape) != 2 or self.strides != other.strides:
            return False
        if self.shape[0] != other.shape[0] or self.strides[1] != 1:
            return False
        low, high = sorted((self, other), key=lambda view: view.offset)
        far = high.offset - low.offset
        return low.shape[1] <= far <= self.strides[0] - high.shape[1]

    @property
    def nbytes_before(self) -> int:
        """The offset in bytes, before any turn."""
        return self.offset * DTYPES[self.dtype].itemsize


class WindowMatrix(NamedTuple):
    """A matrix whose rows are what a window sees in its places: the first `split` axes of `view`
    count the places, the others the elements inside. It lies in memory as the images do, where
    windows overlap, and whoever multiplies it reads it there.

    `rows` and `columns` are the first of these that there are, and how many. `is_turned`: it is the
    transpose of that, and rows and columns change roles after they are chosen.
    """

    view: BufferView
    split: int
    rows: tuple[int, int]
    columns: tuple[int, int]
    is_turned: bool = False

    @property
    def dtype(self) -> str:
        """The dtype of the elements."""
        return self.view.dtype

    @property
    def shape(self) -> Shape:
        """How many rows and columns."""
        lengths = self.rows[1], self.columns[1]
        return lengths[::-1] if self.is_turned else lengths

    @property
    def size(self) -> int:
        """The number of elements that are multiplied."""
        return prod(self.shape)

    def part(self, axis: int, first: int, last: int) -> WindowMatrix:
        """The rows (axis -2) or columns (axis -1) from `first` to before `last`."""
        is_rows = (axis == -2) != self.is_turned
        begin = (self.rows if is_rows else self.columns)[0] + first
        chosen = begin, last - first
        return self._replace(rows=chosen) if is_rows else self._replace(columns=chosen)


Number: TypeAlias = "Literal | BufferView"
Factor: TypeAlias = "BufferView | WindowMatrix"


class ConvertedInt(NamedTuple):
    """A Python int of any size, in a dtype: `lowering.parameters.Converted` says `how`. Only
    printers that have such ints are handed one.
    """

    operand: Number
    dtype: str
    how: str


NestArgument: TypeAlias = "int | Literal | BufferView | ConvertedInt"  # a size, numbers, an array


@dataclass(frozen=True, slots=True)
class Nest:
    """A kernel, and for each parameter a size, a number, or where an array begins."""

    kernel: Kernel
    arguments: tuple[NestArgument, ...]
    equations: tuple[Equation, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Product:
    """``c = alpha * (a @ b)`` of vectors, matrices or stacks of such, as NumPy's `matmul` takes
    them; with a `beta`, ``beta * c`` is added. The rows of `a` may be windows. With `sums`, these
    are the sums of the columns of `b`, each a chain in the order of k. If it `continues`, the chain
    of each entry begins with what is in c, as if the k before had been of the same product; then
    there is neither an `alpha` nor a `beta`.
    What `is_measured` only is seen by nobody, but by a check: it may be added up in any order.
    """

    c: BufferView
    a: Factor
    b: BufferView
    alpha: Number = field(default_factory=lambda: Literal(1.0))
    beta: Number | None = None
    equations: tuple[Equation, ...] = field(default=(), compare=False)
    sums: BufferView | None = None
    continues: bool = False
    is_measured: bool = False

    @property
    def left(self) -> BufferView:
        """The first factor, for printers that have not said that they read windows."""
        assert isinstance(self.a, BufferView)
        return self.a


@dataclass(frozen=True, slots=True)
class FusedProduct:
    """A product, and the nest that its entries go through before they are stored: `epilogue` reads
    ``product.c``, each entry at its own place (`epilogues`). If it `keeps` them, they are in there
    afterwards; else nobody else ever reads that, and a printer need not write it.
    """

    product: Product
    epilogue: Nest
    keeps: bool = False

    @property
    def equations(self) -> tuple[Equation, ...]:
        """Those of both."""
        return (*self.product.equations, *self.epilogue.equations)


@dataclass(frozen=True, slots=True)
class Copy:
    """``target = source``, or ``+=`` if it `adds`; both of one shape and dtype."""

    target: BufferView
    source: BufferView
    adds: bool = False
    equations: tuple[Equation, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class NumpyCall:
    """``target = equation of operands``, computed as NumPy does, and then copied to the target."""

    equation: Equation
    operands: tuple[Number, ...]
    target: BufferView

    @property
    def equations(self) -> tuple[Equation, ...]:
        """The equation."""
        return (self.equation,)


@dataclass(frozen=True, slots=True)
class Repeat:
    """Steps that run `count` times, `index` counting from 0; at least once."""

    index: str
    count: int
    steps: tuple[Step, ...]

    @property
    def equations(self) -> tuple[Equation, ...]:
        """Those of its steps."""
        return tuple(dict.fromkeys(e for step in self.steps for e in step.equations))


Step: TypeAlias = "Nest | Product | FusedProduct | Copy | NumpyCall | Repeat"


@dataclass(frozen=True, slots=True, eq=False)
class LoopProgram:
    """Memory, and the steps that run on it.

    Attributes:
        buffers: by name.
        arguments: the names of what the caller hands in, in order.
        steps: what runs.
        outputs: what the caller gets: arrays (results), and numbers, wherever they are.
        updated: the arguments that are written to.
    """

    buffers: Mapping[str, Buffer]
    arguments: tuple[str, ...]
    steps: tuple[Step, ...]
    outputs: tuple[Number, ...]
    updated: frozenset[str] = frozenset()

    def all_steps(self) -> Iterator[Step]:
        """All steps, those of a `Repeat` after it."""
        return steps_of(self.steps)


def steps_of(steps: tuple[Step, ...]) -> Iterator[Step]:
    """These steps, and those in them, each `Repeat` before its own."""
    for step in steps:
        yield step
        if isinstance(step, Repeat):
            yield from steps_of(step.steps)


class Access(NamedTuple):
    """That a step reads, or writes, or both, what is in a view."""

    view: BufferView
    reads: bool
    writes: bool


def accesses(step: Step) -> list[Access]:
    """What a step itself reads and writes, reading first; of a `Repeat`, nothing."""
    match step:
        case Nest(kernel, arguments):
            written = written_arrays(kernel)
            found = []
            for parameter, argument in zip(kernel.parameters, arguments, strict=True):
                if isinstance(argument, BufferView):
                    is_written = parameter.name in written
                    found.append(Access(argument, written.get(parameter.name, True), is_written))
            return sorted(found, key=lambda access: access.writes)
        case Product(c, a, b, alpha, beta, _, sums, continues):
            numbers = [x for x in (alpha, beta) if isinstance(x, BufferView)]
            factor = a.view if isinstance(a, WindowMatrix) else a
            read = [Access(x, True, False) for x in (factor, b, *numbers)]
            added_up = [] if sums is None else [Access(sums, False, True)]
            return [*read, *added_up, Access(c, continues or beta is not None, True)]
        case FusedProduct(product, epilogue):
            *read, entries = accesses(product)
            others = [x for x in accesses(epilogue) if x.view.buffer != product.c.buffer]
            return [*read, *others, entries]
        case Copy(target, source, adds):
            return [Access(source, True, False), Access(target, adds, True)]
        case NumpyCall(_, operands, target):
            read = [Access(x, True, False) for x in operands if isinstance(x, BufferView)]
            return [*read, Access(target, False, True)]
    return []
