"""Nests that follow a product and change each of its entries by itself become the product's own
epilogue: they are computed where an entry is stored.

    z = X @ W                                  kernel_1(a1=X @ W, a2=b, a3=h, ...)
    kernel_1(a1=z, a2=b, a3=h, ...)

So ``relu(X @ W + b)`` is one pass over the result, and ``z`` is never written. That is possible if
the nest reads each entry of ``z`` at its own place, where it stores what it makes of it; if nobody
else reads ``z``; and if the product may be computed as late as the nest: no step between the two
writes what it reads. A nest that writes to what the product reads is none: other entries are still
to be made of that. A product that is added to something, a momentum say, is left where it is, and
others may read it. The numbers are computed as before, in the same order: no bit changes.

A printer says whether it has products with an epilogue (`Target.can_finish`); for others there are
none. `without_epilogues` has the two steps again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Final, NamedTuple

from miniflow.ir.dtypes import DTYPES
from miniflow.lowering.loop_program import (
    KEPT,
    SCRATCH,
    BufferView,
    FusedProduct,
    LoopProgram,
    Nest,
    Product,
    Repeat,
    Step,
    accesses,
    steps_of,
)
from miniflow.lowering.nests import (
    ArrayParameter,
    Kernel,
    Let,
    Loop,
    SizeParameter,
    Statement,
    Store,
    Term,
    loads_within,
    name,
    terms_of,
)

SHORT: Final = 16  # factors of an entry at most, for a product to take as long as its memory does
_NEAR: Final = 2 << 20  # bytes, which are in a cache of a core, or on their way there
_STAYS: Final = 128 << 10  # bytes of a second factor that stay there while rows are made


class EntryWalk(NamedTuple):
    """How a nest goes through the entries of a product: the parameter that has them, the loops, and
    what stands before each; which row and column the first entry of the product has, and how many
    columns there are in all: the nest may be for a part of the entries alone.
    """

    entries: ArrayParameter
    before: tuple[Statement, ...]
    rows: Loop | None  # None: one loop over all entries
    in_row: tuple[Statement, ...]
    columns: Loop
    corner: tuple[int, int] = (0, 0)
    width: int = 0

    @property
    def place(self) -> tuple[Term, ...]:
        """The index of an entry, in a turn of the loops."""
        loops = (self.columns,) if self.rows is None else (self.rows, self.columns)
        return tuple(name(loop.index) for loop in loops)


def finishes(nest: Nest, product: Product) -> bool:
    """Whether a nest can be the epilogue of a product, as far as the two are concerned."""
    return walk_over(nest, product) is not None


def fuse_products(program: LoopProgram, can_finish: Callable[[FusedProduct], bool]) -> LoopProgram:
    """Return the program with a `FusedProduct` for each product and nest that can be one."""
    found = _Finder(program, can_finish)
    steps = found.fuse(program.steps)
    if not found.pairs:
        return program
    buffers = {
        word: replace(buffer, role=SCRATCH) if word in found.entries else buffer
        for word, buffer in program.buffers.items()
    }
    return replace(program, buffers=buffers, steps=steps)


def without_epilogues(steps: Sequence[Step]) -> tuple[Step, ...]:
    """Return steps that do the same, the nests after the products."""
    found: list[Step] = []
    for step in steps:
        if isinstance(step, FusedProduct):
            found += (step.product, step.epilogue)
        elif isinstance(step, Repeat):
            found.append(replace(step, steps=without_epilogues(step.steps)))
        else:
            found.append(step)
    return tuple(found)


def _is_worth_waiting(product: Product) -> bool:
    """Whether the result is so large that it counts, beside factors that are in no cache later."""
    return 2 * product.c.size >= product.a.size + product.b.size


def _reads_much(nest: Nest, product: Product) -> bool:
    """Whether a nest reads so much besides the entries that it had better go through memory alone,
    from end to end: a tile reads a few numbers here and there, and waits for them. Not so if the
    product is short: then its rows are made from end to end, too.
    """
    if _is_short(product) and not any(x.reads and x.writes for x in accesses(nest)):
        return False
    views = {x for x in nest.arguments if isinstance(x, BufferView)}
    others = [x for x in views if x.buffer != product.c.buffer and x.size >= product.c.size]
    others += [] if product.beta is None else [product.c]
    nbytes = sum(x.size * DTYPES[x.dtype].itemsize for x in others)
    return len(others) > 1 and nbytes > _NEAR


def _is_short(product: Product) -> bool:
    a, b = product.a, product.b
    nbytes = b.size * DTYPES[b.dtype].itemsize
    is_plain = isinstance(a, BufferView) and product.beta is None
    return is_plain and a.shape[-1] <= SHORT and nbytes <= _STAYS


class _Finder:
    """Finds products and their nests; `entries` has the buffers of those that were fused."""

    def __init__(self, program: LoopProgram, can_finish: Callable[[FusedProduct], bool]) -> None:
        self.program, self.can_finish = program, can_finish
        self.entries: set[str] = set()
        self.touched: dict[str, list[Step]] = {}
        for step in steps_of(program.steps):
            for access in accesses(step):
                self.touched.setdefault(access.view.buffer, []).append(step)
        self.handed_out = {o.buffer for o in program.outputs if isinstance(o, BufferView)}
        self.pairs = dict(self._all_pairs(program.steps))  # by the identity of the product
        self.pairs = {
            key: pair
            for key, pair in self.pairs.items()
            if pair.keeps or self._is_only_in_pairs(pair.product.c.buffer)
        }

    def _all_pairs(self, steps: Sequence[Step]) -> Iterator[tuple[int, FusedProduct]]:
        for at, step in enumerate(steps):
            if isinstance(step, Repeat):
                yield from self._all_pairs(step.steps)
            elif isinstance(step, Product):
                pair = self._pair(step, steps[at + 1 :])
                if pair is not None:
                    yield id(step), pair

    def _pair(self, product: Product, later: Sequence[Step]) -> FusedProduct | None:
        """The product with the nest that reads it next, if it can wait for that."""
        entries = product.c.buffer
        read = {x.view.buffer for x in accesses(product) if x.reads}
        for step in later:
            found = [x for inner in steps_of((step,)) for x in accesses(inner)]
            writes = {x.view.buffer for x in found if x.writes}
            if any(x.view.buffer == entries for x in found):
                if not isinstance(step, Nest) or writes & {*read, entries}:
                    return None
                pair = FusedProduct(product, step, keeps=product.beta is not None)
                if not finishes(step, product) or _reads_much(step, product):
                    return None
                return pair if self.can_finish(pair) else None
            if writes & read or not _is_worth_waiting(product):
                return None
        return None

    def _is_only_in_pairs(self, entries: str) -> bool:
        """Whether all that happens to a buffer are products, each read by its nest."""
        buffer, steps = self.program.buffers[entries], self.touched[entries]
        if buffer.role != KEPT or entries in self.handed_out or len(steps) % 2:
            return False
        pairs = [self.pairs.get(id(step)) for step in steps[::2]]
        return all(
            pair is not None and pair.epilogue is nest and pair.product.c.buffer == entries
            for pair, nest in zip(pairs, steps[1::2], strict=True)
        )

    def fuse(self, steps: Sequence[Step]) -> tuple[Step, ...]:
        """Return steps with the pairs in the places of their nests."""
        found: list[Step] = []
        ready: dict[int, FusedProduct] = {}  # by the identity of the nest
        for step in steps:
            pair = self.pairs.get(id(step))
            if isinstance(step, Repeat):
                found.append(replace(step, steps=self.fuse(step.steps)))
            elif pair is not None and id(pair.epilogue) not in ready:  # which has no product yet
                nest = in_rows(pair.epilogue, pair.product)
                ready[id(pair.epilogue)] = replace(pair, epilogue=nest)
                if not pair.keeps:
                    self.entries.add(pair.product.c.buffer)
            else:
                found.append(ready.get(id(step), step))
        return tuple(found)


# One nest.


def in_rows(nest: Nest, product: Product) -> Nest:
    """Return the nest with a loop over rows and one over columns, if it has one over all entries of
    a product: then some of the columns can be computed apart from the others.
    """
    walk = walk_over(nest, product)
    if walk is None or walk.rows is not None or len(product.c.shape) != 2:
        return nest
    made, (rows, columns) = _in_rows(nest.kernel), product.c.shape
    if made is None:
        return nest
    arguments = (
        columns if name(parameter.name) == walk.columns.stop else argument
        for parameter, argument in zip(nest.kernel.parameters, nest.arguments, strict=True)
    )
    return replace(nest, kernel=made, arguments=(*arguments, rows))


@cache
def _in_rows(kernel: Kernel) -> Kernel | None:
    """A kernel with one loop over n entries, for m rows of them; None if they are not all read and
    written one by one.
    """
    *before, loop = kernel.body
    assert isinstance(loop, Loop)
    arrays = {p.name: p for p in kernel.parameters if isinstance(p, ArrayParameter)}
    entries = {word for word, p in arrays.items() if p.shape == (loop.stop,)}
    m, i, j = SizeParameter("m"), name("i"), name(loop.index)

    def is_by_entry(term: Term) -> bool:
        if term.op == "load" and term.what in entries:
            return term.operands == (j,)
        return term not in (j, loop.stop) and all(map(is_by_entry, term.operands))

    def in_row(term: Term) -> Term:
        if term.op == "load" and term.what in entries:
            return replace(term, operands=(i, j))
        return replace(term, operands=tuple(map(in_row, term.operands)))

    inner: list[Statement] = []
    for statement in loop.body:
        assert isinstance(statement, (Let, Store))
        if not is_by_entry(statement.value):
            return None
        if isinstance(statement, Store):
            if statement.array not in entries:
                return None
            statement = replace(statement, index=(i, j))
        inner.append(replace(statement, value=in_row(statement.value)))
    words = {p.name for p in kernel.parameters} | {s.name for s in before if isinstance(s, Let)}
    words |= {s.name for s in inner if isinstance(s, Let)} | {loop.index}
    shapes = (p.shape for word, p in arrays.items() if word not in entries)
    is_used = any(loop.stop in shape for shape in shapes) or not words.isdisjoint(("m", "i"))
    if (
        is_used
        or loop.stop.op != "name"
        or not all(is_by_entry(t) for s in before for t in terms_of(s))
    ):
        return None
    parameters = (
        replace(p, shape=(name(m.name), loop.stop))
        if isinstance(p, ArrayParameter) and p.name in entries
        else p
        for p in kernel.parameters
    )
    outer = replace(loop, index="i", stop=name(m.name), body=(replace(loop, body=tuple(inner)),))
    return Kernel((*parameters, m), (*before, outer))


def walk_over(nest: Nest, product: Product) -> EntryWalk | None:
    """How a nest goes through the entries of a product; None if it does something else."""
    c, handed = product.c, dict(zip(nest.kernel.parameters, nest.arguments, strict=True))
    views = {p: x for p, x in handed.items() if isinstance(x, BufferView)}
    found = [p for p, x in views.items() if x.buffer == c.buffer]
    if len(found) != 1 or not c.size:
        return None
    (entries,) = found
    begin = views[entries]
    if not isinstance(entries, ArrayParameter) or begin.moves != c.moves:
        return None
    walk = _walk_of(nest.kernel, entries)
    if walk is None or not _stays_at_its_place(nest.kernel, walk):
        return None
    sizes = {p.name: x for p, x in handed.items() if isinstance(x, int)}
    columns = _turns(walk.columns, sizes)
    if walk.rows is None:
        is_all = c.is_contiguous and begin.offset == c.offset and columns == (0, c.size)
        return walk._replace(width=c.shape[-1] if c.shape else 1) if is_all else None
    rows, width = _turns(walk.rows, sizes), _number(entries.shape[1], sizes)
    if rows is None or columns is None or width is None:
        return None
    (first_row, last_row), (first, last) = rows, columns
    is_all = c.is_contiguous and c.shape[-1] == width == last - first
    is_part = c.strides == (width, 1) and c.shape == (last_row - first_row, last - first)
    has_all = (last_row - first_row) * (last - first) == c.size and (is_all or is_part)
    if not has_all or c.offset != begin.offset + first_row * width + first:
        return None
    return walk._replace(corner=(first_row, first), width=width)


def _walk_of(kernel: Kernel, entries: ArrayParameter) -> EntryWalk | None:
    """The loops of a kernel, if it has no others, and all stands in the innermost one but for what
    is given a name before.
    """
    *before, outer = kernel.body
    if not isinstance(outer, Loop):
        return None
    is_flat, in_row = len(entries.shape) < 2, list[Statement]()
    columns: Statement = outer
    if not is_flat:
        *in_row, columns = outer.body
    if not isinstance(columns, Loop):
        return None
    if not all(isinstance(s, Let) for s in (*before, *in_row)):
        return None
    if not all(isinstance(s, Let) or (isinstance(s, Store) and not s.adds) for s in columns.body):
        return None
    return EntryWalk(entries, tuple(before), None if is_flat else outer, tuple(in_row), columns)


def _stays_at_its_place(kernel: Kernel, walk: EntryWalk) -> bool:
    """Whether what is stored, and what is read of that and of the entries, is all at one place."""
    stored = {s.array for s in walk.columns.body if isinstance(s, Store)}
    if walk.entries.name in stored or not stored:
        return False
    if any(isinstance(s, Store) and s.index != walk.place for s in walk.columns.body):
        return False
    there, elsewhere = list[Term](), list[Term]()
    for statement in kernel.statements():
        is_inner = any(statement is s for s in walk.columns.body)
        for term in loads_within(terms_of(statement)):
            (there if is_inner and term.operands == walk.place else elsewhere).append(term)
    if any(term.what in {*stored, walk.entries.name} for term in elsewhere):
        return False
    return any(term.what == walk.entries.name for term in there)


def _turns(loop: Loop, sizes: Mapping[str, int]) -> tuple[int, int] | None:
    """From which number to before which one a loop counts, one by one."""
    start, stop = _number(loop.start, sizes), _number(loop.stop, sizes)
    return None if start is None or stop is None or loop.step != 1 else (start, stop)


def _number(term: Term, sizes: Mapping[str, int]) -> int | None:
    if term.op == "const":
        return int(term.what)
    return sizes.get(str(term.what)) if term.op == "name" else None
