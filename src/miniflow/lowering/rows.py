"""Short rows: which kernels a printer may compute many rows of at a time.

    for i in range(m):                          the rows 0 to 15, then 16 to 31, ...:
        max1 = -inf
        for j in range(n): max1 = ...               their maxima
        sum2 = 0.0
        for j in range(n): ... sum2 += ...          their sums
        t1 = log(sum2)                              their logarithms
        for j in range(n): out[i, j] = ...          what is stored of them

Where a row has sixteen numbers, the chain of their sum takes longer than all else; sixteen such
chains take no longer than one. `walk_by_rows` finds out whether the statements of a row can be run
so, each of them for all rows of a block before the next one is begun. Nothing is added up in
another order than `sums` says, and no bit changes: rows know nothing of each other, but for what is
added up over them, where each of them waits for its turn.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from miniflow.lowering.nests import (
    Accumulate,
    Begin,
    Fail,
    If,
    Kernel,
    Let,
    Loop,
    Statement,
    Store,
    Term,
    constant,
    loaded_arrays,
    loads_within,
    name,
    terms_of,
)
from miniflow.lowering.sums import sums_of

LONGEST_ROW: Final = 256  # numbers: sixteen rows of them fit into the first cache

_OVER_COLUMNS: Final = ("add", "maximum", "minimum")


class RowWalk(NamedTuple):
    """How a kernel goes over rows.

    `loop` is the loop over them, one of the kernel's statements; `stop`, in each of the loops in
    it, how many columns there are. `totals` are those of a row, with their dtypes; `scratch`, the
    arrays of a number for each column that a row uses for itself.
    """

    loop: Loop
    stop: Term
    totals: dict[str, str]
    scratch: frozenset[str]


def walk_by_rows(kernel: Kernel) -> RowWalk | None:
    """Return how the kernel can go over many rows at a time; None if it cannot."""
    rows = [s for s in kernel.body if isinstance(s, Loop) and any(map(_is_loop, s.body))]
    if len(rows) != 1 or rows[0].step != 1:
        return None
    (loop,) = rows
    columns = [s for s in loop.body if isinstance(s, Loop)]
    stops, indices = {s.stop for s in columns}, {s.index for s in columns}
    if len(stops) != 1 or len(indices) != 1:
        return None
    reader = _RowReader(loop, indices.pop())
    return RowWalk(loop, stops.pop(), reader.totals, reader.scratch) if reader.fits() else None


def _is_loop(statement: Statement) -> bool:
    return isinstance(statement, Loop)


class _RowReader:
    """Reads the statements of a row."""

    def __init__(self, loop: Loop, column: str) -> None:
        self.loop, self.i, self.j = loop, name(loop.index), name(column)
        self.totals = {s.name: s.value.dtype for s in loop.body if isinstance(s, Begin)}
        self.values = {s.name for s in loop.body if isinstance(s, (Let, Begin))}
        self.scratch = frozenset(self._scratch())

    def fits(self) -> bool:
        """Whether all of the statements are such as can be run for many rows at a time."""
        statuses = {
            inner.status
            for s in self.loop.body
            if isinstance(s, If)
            for inner in s.body
            if isinstance(inner, Fail)
        }
        is_known = all(
            self._is_pass(s) if isinstance(s, Loop) else self._is_of_row(s) for s in self.loop.body
        )
        return is_known and len(statuses) < 2 and self._rows_are_apart()

    def _scratch(self) -> Iterator[str]:
        """The arrays of columns that a row stores to before it reads them."""
        seen: set[str] = set()
        inner = [s for loop in self.loop.body if isinstance(loop, Loop) for s in loop.body]
        for statement in inner:
            seen |= loaded_arrays(statement)
            match statement:
                case Store(array, index, adds=False) if index == (self.j,) and array not in seen:
                    yield array

    def _is_pass(self, loop: Loop) -> bool:
        """Whether a loop over columns is one of statements that vectors can be computed of."""
        if loop.step != 1 or loop.start != constant(0, "size"):
            return False
        sums = {by: sums_of(loop, by) for by in _OVER_COLUMNS}
        begins = {s.name: s.value for s in self.loop.body if isinstance(s, Begin)}
        for statement in loop.body:
            if isinstance(statement, Accumulate):
                begin, by = begins.get(statement.name), statement.by
                if begin is None or statement.name not in sums.get(by, ()):
                    return False
                if by == "add" and begin.what != 0:
                    return False
            elif isinstance(statement, Store):
                if not self._is_along(statement.index):
                    return False
            elif not isinstance(statement, Let):
                return False
            if not all(map(self._is_vector, terms_of(statement)[-1:])):
                return False
        return True

    def _is_of_row(self, statement: Statement) -> bool:
        match statement:
            case Begin(value=value):
                return value.op == "const"
            case If(body=body):
                return all(isinstance(inner, Fail) for inner in body)
            case Store(index=index, adds=adds):
                return index == (self.i,) and not adds
            case Accumulate(word):
                return word not in self.values
        return isinstance(statement, Let)

    def _is_along(self, index: tuple[Term, ...]) -> bool:
        """Whether entries of an array follow each other as the columns do."""
        *first, last = index
        return last == self.j and not any(_names(term, self.j) for term in first)

    def _is_vector(self, term: Term) -> bool:
        if term.op == "load":
            is_there = not any(_names(index, self.j) for index in term.operands)
            return is_there or self._is_along(term.operands)
        return all(map(self._is_vector, term.operands))

    def _rows_are_apart(self) -> bool:
        """Whether no row reads, or writes, what another one writes."""
        statements = [s for row in self.loop.body for s in (row, *getattr(row, "body", ()))]
        stores = [s for s in statements if isinstance(s, Store) and s.array not in self.scratch]
        own = {s.array for s in stores if s.index[0] == self.i}
        over_rows = {s.array for s in stores} - own
        for statement in statements:
            found = [(str(t.what), t.operands) for t in loads_within(terms_of(statement))]
            if isinstance(statement, Store):
                if statement.array in own and statement.index[0] != self.i:
                    return False
                found = [f for f in found if f != (statement.array, statement.index)]
            for array, index in found:
                if array in over_rows or (array in own and index[0] != self.i):
                    return False
        return True


def _names(term: Term, word: Term) -> bool:
    return term == word or any(_names(operand, word) for operand in term.operands)
