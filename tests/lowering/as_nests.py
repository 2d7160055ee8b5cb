"""Loop programs of plain loops, which others have to equal: copies and products become nests.

    for i in range(m):
        for j in range(n):
            row[j] = 0.0
        for p in range(k):
            for j in range(n):
                row[j] = fma(a[i * a0 + p * a1], b[p * b0 + j * b1], row[j])
        for j in range(n):
            c[i * c0 + j * c1] = alpha * row[j] + beta * c[i * c0 + j * c1]

So each entry of a product is one chain of multiply-adds in the order of k. A stack of products is a
`Repeat` for each axis of the stack.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from math import prod

from miniflow.lowering.copies import copy_nest
from miniflow.lowering.epilogues import without_epilogues
from miniflow.lowering.loop_program import (
    SCRATCH,
    Buffer,
    BufferView,
    Copy,
    LoopProgram,
    Nest,
    NestArgument,
    Product,
    Repeat,
    Step,
    WindowMatrix,
)
from miniflow.lowering.nests import (
    ArrayParameter,
    Kernel,
    Loop,
    NumberParameter,
    Parameter,
    SizeParameter,
    Store,
    constant,
    fma,
    load,
    name,
)
from miniflow.lowering.placing import place_buffers
from miniflow.lowering.views import c_strides


def as_nests(program: LoopProgram) -> LoopProgram:
    """Return a program of nests, loops and what NumPy does, which computes the same.

    A copy of more axes than a nest may have stays a copy.
    """
    buffers = {name: replace(buffer, alias=None) for name, buffer in program.buffers.items()}
    rewriter = _NestRewriter(buffers)
    plain = without_epilogues(program.steps)
    steps = tuple(new for step in plain for new in rewriter.step(step))
    return place_buffers(replace(program, buffers=buffers, steps=steps))


class _NestRewriter:
    def __init__(self, buffers: dict[str, Buffer]) -> None:
        self.buffers = buffers
        self.count = 0

    def step(self, step: Step) -> Iterator[Step]:
        """The steps in place of one."""
        match step:
            case Copy():
                yield copy_nest(step) or step
            case Product():
                if isinstance(step.a, WindowMatrix):
                    copy, step = self._copied(step, step.a)
                    yield copy_nest(copy) or copy
                yield self._product(step)
            case Repeat(steps=steps):
                inner = tuple(new for each in steps for new in self.step(each))
                yield replace(step, steps=inner)
            case _:
                yield step

    def _copied(self, product: Product, windows: WindowMatrix) -> tuple[Copy, Product]:
        """A copy of all windows, and the product that reads it."""
        view, split = windows.view, windows.split
        word = self._word("windows")
        self.buffers[word] = Buffer(view.dtype, view.shape, SCRATCH)
        target = BufferView(word, view.dtype, 0, view.shape, c_strides(view.shape))
        row, ((i, m), (j, n)) = prod(view.shape[split:]), (windows.rows, windows.columns)
        matrix = BufferView(word, view.dtype, i * row + j, (m, n), (row, 1))
        if windows.is_turned:
            matrix = matrix._replace(shape=(n, m), strides=(1, row))
        copy = Copy(target, view, equations=product.equations)
        return copy, replace(product, a=matrix)

    def _product(self, product: Product) -> Step:
        """A nest, in a loop for each axis of a stack."""
        assert isinstance(product.a, BufferView)
        c, a, b = product.c, _matrix(product.a, 0), _matrix(product.b, 1)
        rank = len(c.shape) - (len(product.a.shape) > 1) - (len(product.b.shape) > 1)
        counts, rest = c.shape[:rank], list(zip(c.shape[rank:], c.strides[rank:], strict=True))
        if len(product.a.shape) == 1:
            rest.insert(0, (1, 0))
        if len(product.b.shape) == 1:
            rest.append((1, 0))
        words = [self._word("stack") for _ in counts]
        matrices = (
            a._replace(shape=a.shape[-2:], strides=a.strides[-2:]),
            b._replace(shape=b.shape[-2:], strides=b.strides[-2:]),
            c._replace(shape=tuple(n for n, _ in rest), strides=tuple(step for _, step in rest)),
        )
        arrays: list[NestArgument] = []
        stacks = (_over(a, rank), _over(b, rank), c.strides[:rank])
        for matrix, steps in zip(matrices, stacks, strict=True):
            moves = zip(words, steps, strict=True)
            arrays.append(matrix._replace(moves=(*matrix.moves, *moves)))
            arrays += matrix.strides
        (m, n), k = matrices[2].shape, a.shape[-1]
        row = self._word("row")
        self.buffers[row] = Buffer(c.dtype, (max(n, 1),), SCRATCH)
        scratch = BufferView(row, c.dtype, 0, (max(n, 1),), (1,))
        numbers = [product.alpha] if product.beta is None else [product.alpha, product.beta]
        handed: tuple[NestArgument, ...] = (m, n, k, *arrays, scratch, *numbers)
        kernel = product_kernel(c.dtype, product.beta is not None)
        step: Step = Nest(kernel, handed, product.equations)
        for word, count in zip(reversed(words), reversed(counts), strict=True):
            step = Repeat(word, count, (step,))
        return step

    def _word(self, word: str) -> str:
        self.count += 1
        return f"{word}_of_product_{self.count}"


def _matrix(x: BufferView, axis: int) -> BufferView:
    """Give a vector a second axis, before or after its own."""
    if len(x.shape) > 1:
        return x
    if axis == 0:
        return x._replace(shape=(1, *x.shape), strides=(0, *x.strides))
    return x._replace(shape=(*x.shape, 1), strides=(*x.strides, 0))


def _over(x: BufferView, rank: int) -> tuple[int, ...]:
    """The strides along the axes of a stack, to which an operand is broadcast."""
    pairs = zip(x.shape[:-2], x.strides[:-2], strict=True)
    steps = tuple(0 if length == 1 else step for length, step in pairs)
    return (0,) * (rank - len(steps)) + steps


@cache
def product_kernel(dtype: str, adds: bool) -> Kernel:
    """Return the kernel of a product of matrices that lie anyhow.

    >>> from miniflow.lowering.nest_text import nest_text
    >>> lines = nest_text(product_kernel("f32", adds=False)).splitlines()
    >>> print(lines[6].strip())
    row[j] = fma(a[i * a0 + p * a1], b[p * b0 + j * b1], row[j])
    """
    m, n, k, i, j, p = map(name, "mnkijp")
    arrays = {word: ArrayParameter(word, dtype) for word in "abc"}
    row = ArrayParameter("row", dtype, (n,))
    parameters: list[Parameter] = [SizeParameter(word) for word in "mnk"]
    for word, array in arrays.items():
        parameters += (array, SizeParameter(f"{word}0"), SizeParameter(f"{word}1"))
    places = {
        word: first * name(f"{word}0") + second * name(f"{word}1")
        for word, first, second in (("a", i, p), ("b", p, j), ("c", i, j))
    }
    x, y = (load(arrays[word], places[word]) for word in "ab")
    scaled = name("alpha", dtype) * load(row, j)
    if adds:
        scaled = scaled + name("beta", dtype) * load(arrays["c"], places["c"])
    numbers = [NumberParameter(word, dtype) for word in ("alpha", "beta")[: 2 if adds else 1]]
    rows = (
        Loop("j", n, (Store("row", (j,), constant(0.0, dtype)),)),
        Loop("p", k, (Loop("j", n, (Store("row", (j,), fma(x, y, load(row, j))),)),)),
        Loop("j", n, (Store("c", (places["c"],), scaled),)),
    )
    return Kernel((*parameters, row, *numbers), (Loop("i", m, rows),))
