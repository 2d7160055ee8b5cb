"""Short rows in LLVM's language: sixteen of them at a time (`lowering.rows`).

What there is one number of for each row is computed for sixteen rows at once, a vector. A loop over
columns becomes a loop over these rows, each in vectors along its columns, the last one of which is
cut (`print_vectors`). What a row adds up waits in a buffer until the loop is over; then
`block_sums` has the totals of all sixteen rows at once, in the order of `lowering.sums`.

How many columns there are is written into the text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from miniflow.backends.native.block_sums import ROWS, print_chains, print_halves
from miniflow.backends.native.llvm import LLVM_TYPES, number_text
from miniflow.backends.native.print_llvm import print_kernel
from miniflow.backends.native.print_vectors import LANES, VectorPrinter
from miniflow.backends.native.processor import Processor
from miniflow.backends.native.sums import dtypes_of_terms
from miniflow.lowering.halves import without_halves
from miniflow.lowering.nest_evaluate import evaluate_term
from miniflow.lowering.nests import (
    Accumulate,
    ArrayParameter,
    Kernel,
    Loop,
    Term,
    name,
    terms_of,
)
from miniflow.lowering.rows import LONGEST_ROW, RowWalk, walk_by_rows
from miniflow.lowering.sums import LONGEST_CHAIN, sums_of

FEWEST_ROWS: Final = 4


def print_by_rows(kernel: Kernel, sizes: Mapping[str, int], processor: Processor) -> str | None:
    """Return LLVM's text of a kernel whose sizes are these; None where it has no rows, few, or long
    ones, where one has to wait for another, or where the processor cannot cut the last vector.
    """
    kernel = without_halves(kernel)
    walk = walk_by_rows(kernel)
    if walk is None:
        return None
    first, last, columns = (
        int(evaluate_term(size, sizes)) for size in (walk.loop.start, walk.loop.stop, walk.stop)
    )
    if last - first < FEWEST_ROWS or not 1 < columns <= LONGEST_ROW:
        return None
    if columns % LANES and not processor.has_masks:
        return None
    has_fma = processor.has_fma
    return print_kernel(kernel, has_fma, _RowPrinter(has_fma, walk, columns))


class _RowPrinter(VectorPrinter):
    """Prints a kernel. Numbers are single ones (`names`) or vectors (`vectors`), along the rows of
    a block or the columns of a row.
    """

    def __init__(self, has_fma: bool, walk: RowWalk, columns: int) -> None:
        super().__init__(has_fma)
        self.walk, self.columns = walk, columns
        self.width = -(-columns // LANES) * LANES  # of a row in a buffer
        self.i, self.j = name(walk.loop.index), name("")
        self.dtypes: dict[str, str] = {}  # of what there is one number of for each row
        self.neutral: dict[str, bool | int | float] = {}  # what totals of rows begin with
        self.first, self.row, self.column = "", "", ""  # of a block, in a block, in a row
        self.filled = ""  # how many rows of the block there are
        self.terms: dict[str, tuple[str, str]] = {}  # where totals of a pass are, and as what
        self.chains: set[tuple[str, str]] = set()
        self.halves: set[tuple[str, str]] = set()

    def helpers(self) -> list[str]:
        """What adds up, for sixteen rows at once."""
        printed = [print_chains(*key) for key in sorted(self.chains)]
        printed += [print_halves(*key, self.has_fma) for key in sorted(self.halves)]
        self.declarations.update(*(declared for _, declared in printed))
        return [text for text, _ in printed]

    def parameter(self, word: str, dtype: str) -> str:
        """Let a number be known by its name; that of columns is known itself."""
        declared = super().parameter(word, dtype)
        if word == self.walk.stop.what:
            self.names[word] = str(self.columns)
        return declared

    # Rows, and columns.

    def loop_of(self, loop: Loop) -> None:
        """Statements run again and again."""
        if loop is not self.walk.loop:
            super().loop_of(loop)
            return
        start, stop = self.term(loop.start), self.term(loop.stop)
        self.declarations.add("declare i64 @llvm.smin.i64(i64, i64)")
        with self.counting("block", start, stop, ROWS) as self.first:
            rest = self.new(f"sub nuw nsw i64 {stop}, {self.first}")
            self.filled = self.new(f"call i64 @llvm.smin.i64(i64 {rest}, i64 {ROWS})")
            self.mask = is_there = self.lanes_before(self.filled)
            self.vectors = {loop.index: self.numbers_from(self.first)}
            for statement in loop.body:
                self.names[loop.index], self.mask = self.first, is_there
                if isinstance(statement, Loop):
                    self._pass(statement)
                    continue
                with self.some_lanes(ROWS):
                    self.statement(statement)
        self.mask = ""

    def _pass(self, loop: Loop) -> None:
        """Go over the columns of each row of a block."""
        read = {word for s in loop.body for term in terms_of(s) for word in _names(term)}
        of_rows = [word for word in self.vectors if word in read and word != self.i.what]
        kinds = {word: self._kept(word, self.vectors[word]) for word in of_rows}
        totals = [s for s in loop.body if isinstance(s, Accumulate)]
        self._begin_totals(loop, totals)
        outside, self.j = self.vectors, name(loop.index)
        with self.counting("row", "0", self.filled, 1) as self.row:
            self.names[str(self.i.what)] = self.new(f"add nuw nsw i64 {self.first}, {self.row}")
            for word in of_rows:
                self.names[word] = self._number_of_row(word, kinds[word])
            for s in totals:
                self._clear_lanes(s)
            whole = self.columns // LANES * LANES
            if whole == LANES:
                self._vector(loop, "0", "")
            elif whole:
                with self.counting("column", "0", str(whole), LANES) as column:
                    self._vector(loop, column, "")
            if whole < self.columns:
                self._vector(loop, str(whole), self.lanes_before(self._rest(whole)))
        self.vectors, self.column = outside, ""
        for word in of_rows:
            del self.names[word]
        for s in totals:
            self._finish_total(s)

    def _rest(self, whole: int) -> str:
        """Return how many columns the last vector has. LLVM 20 stores two bytes too many where it
        sees that one number of two bytes is all that a mask lets through: it does not see it here.
        """
        if self.columns - whole > 1 or self.walk.stop.op == "const":
            return str(self.columns - whole)
        return self.new(f"sub nuw nsw i64 %{self.walk.stop.what}, {whole}")

    def _vector(self, loop: Loop, column: str, mask: str) -> None:
        self.column, self.mask = column, mask
        self.names[loop.index] = column
        self.vectors = {loop.index: self.numbers_from(column)}
        with self.some_lanes(LANES):
            self.statements(loop.body)
        del self.names[loop.index]

    # What there is for each row waits in memory while the rows are gone over.

    def _kept(self, word: str, vector: str) -> str:
        dtype = self.dtypes[word]
        self.store_vector(self.slot(f"{word}.rows", dtype), dtype, vector, "")
        return dtype

    def _number_of_row(self, word: str, dtype: str) -> str:
        return self._load(self.entry(f"%{word}.rows", dtype, self.row), dtype)

    def _in_buffer(self, pointer: str, dtype: str) -> str:
        """Return where a buffer of rows has this one's vector."""
        row = self.new(f"mul nuw nsw i64 {self.row}, {self.width}")
        return self.entry(pointer, dtype, self.new(f"add nuw nsw i64 {row}, {self.column}"))

    # Totals of a row.

    def _begin_totals(self, loop: Loop, totals: Sequence[Accumulate]) -> None:
        sums = dtypes_of_terms(loop, sums_of(loop))
        for s in totals:
            dtype, is_chain = s.value.dtype, self._is_chain(s.by)
            kept = sums[s.name] if is_chain else dtype
            width = self.width if is_chain else LANES
            self.terms[s.name] = self.slot(f"{s.name}.terms", kept, ROWS * width), kept

    def _is_chain(self, by: str) -> bool:
        """Whether totals are one term after the other, not partial sums added up by halves."""
        return by == "add" and self.columns <= LONGEST_CHAIN

    def _clear_lanes(self, s: Accumulate) -> None:
        if not self._is_chain(s.by):
            dtype = s.value.dtype
            kind = f"<{LANES} x {LLVM_TYPES[dtype]}>"
            where = self._lanes_of(s.name)
            self.line(f"store {kind} {self._neutral(s.name)}, ptr {where}, align 4")

    def _neutral(self, word: str) -> str:
        begin, dtype = self.neutral[word], self.totals[word]
        return f"splat ({LLVM_TYPES[dtype]} {number_text(begin, dtype)})"

    def _lanes_of(self, word: str) -> str:
        where, kept = self.terms[word]
        return self.entry(where, kept, self.new(f"mul nuw nsw i64 {self.row}, {LANES}"))

    def _finish_total(self, s: Accumulate) -> None:
        dtype = s.value.dtype
        where, kept = self.terms[s.name]
        to = self.slot(f"{s.name}.rows", dtype)
        if self._is_chain(s.by):
            self.chains.add((dtype, kept))
            rest = f"i64 {self.width}, i64 {self.columns}"
            self.line(f"call void @chains.{dtype}.{kept}(ptr {where}, {rest}, ptr {to})")
        else:
            self.halves.add((s.by, dtype))
            self.line(f"call void @halves.{s.by}.{dtype}(ptr {where}, ptr {to})")
        kind = f"<{ROWS} x {LLVM_TYPES[dtype]}>"
        # Rows that there are not have any total.
        total = self.new(f"load {kind}, ptr {to}, align 64")
        self.vectors[s.name] = self.new(f"freeze {kind} {total}")

    # Statements.

    def let(self, word: str, value: Term) -> None:
        """A value gets a name."""
        if self.lanes == 1:
            super().let(word, value)
            return
        self.vectors[word], self.dtypes[word] = self.term(value), value.dtype

    def holds(self, condition: Term) -> str:
        """Return whether a condition holds, for any row of a block."""
        if self.lanes == 1:
            return super().holds(condition)
        which = self.new(f"and <{LANES} x i1> {self.mask}, {self.term(condition)}")
        return self.new(f"icmp ne i16 {self.new(f'bitcast <{LANES} x i1> {which} to i16')}, 0")

    def begin(self, word: str, value: Term) -> None:
        """A total begins."""
        if self.lanes == 1:
            super().begin(word, value)
        else:
            assert not isinstance(value.what, str)
            self.neutral[word], self.dtypes[word] = value.what, value.dtype

    def accumulate(self, word: str, value: Term, by: str) -> None:
        """A total goes on."""
        if self.lanes == 1:
            super().accumulate(word, value, by)
        elif not self.column:
            self._accumulate_rows(word, value, by)
        elif self._is_chain(by):
            where, kept = self.terms[word]
            term = self.term(value if value.dtype == kept else value.operands[0])
            term = self.where_counted(term, kept, "zeroinitializer")
            self.store_vector(self._in_buffer(where, kept), kept, term, "")
        else:
            where, dtype = self._lanes_of(word), value.dtype
            term = self.where_counted(self.term(value), dtype, self._neutral(word))
            before = self.load_vector(where, dtype, "")
            after = self.operation(by, dtype, dtype, [before, term])
            self.store_vector(where, dtype, after, "")

    def _accumulate_rows(self, word: str, value: Term, by: str) -> None:
        """Add up over the rows, one after the other."""
        vector, dtype = self.term(value), value.dtype
        where = self.slot(f"{word}.added", dtype)
        self.store_vector(where, dtype, vector, "")
        with self.some_lanes(1), self.counting("row", "0", self.filled, 1) as row:
            self.names[f"{word}.added"] = self._load(self.entry(where, dtype, row), dtype)
            super().accumulate(word, name(f"{word}.added", dtype), by)

    def store(self, array: str, index: Sequence[Term], value: Term, adds: bool) -> None:
        """A value is put into an array, or added to what is there."""
        if self.lanes == 1:
            super().store(array, index, value, adds)
            return
        dtype, mask = self.arrays[array].dtype, self.mask
        where = self._place(self.arrays[array], index)
        new = self.term(value)
        if adds:
            new = self.operation("add", dtype, dtype, [self.load_vector(where, dtype, mask), new])
        self.store_vector(where, dtype, new, "" if array in self.walk.scratch else mask)

    # Terms.

    def read(self, term: Term) -> str:
        """Return a name's value, or an entry of an array; one for each lane, if there are any."""
        word = str(term.what)
        if self.lanes == 1:
            if term.op == "name" and word in self.walk.totals:
                return self.names[word]
            return super().read(term)
        if term.op == "name":
            return self.vectors.get(word) or self.all_lanes(term.dtype, self.single(term))
        array = self.arrays[word]
        lane = self.j if self.column else self.i
        if term.operands[-1] == lane and not self._differs(term.operands[:-1]):
            return self.load_vector(self._place(array, term.operands), term.dtype, self.mask)
        if not self._differs(term.operands):
            return self.all_lanes(term.dtype, self.single(term))
        return self._gathered(array, term)

    def _differs(self, terms: Sequence[Term]) -> bool:
        """Whether terms may differ from lane to lane."""
        return any(word in self.vectors for term in terms for word in _names(term))

    def _place(self, array: ArrayParameter, index: Sequence[Term]) -> str:
        """Return where the entry of the first lane is, and those of the others behind it."""
        with self.some_lanes(1):
            if array.name not in self.walk.scratch or not self.column:
                return self.address(array, index)
            return self._in_buffer(self._scratch(array), array.dtype)

    def _scratch(self, array: ArrayParameter) -> str:
        return self.slot(f"{array.name}.kept", array.dtype, ROWS * self.width)

    def _gathered(self, array: ArrayParameter, term: Term) -> str:
        """Return entries that lie anywhere."""
        first, *others = term.operands
        offset, kind = self.term(first), f"<{LANES} x i64>"
        for entry, length in zip(others, array.shape[1:], strict=True):
            row = self.new(f"mul nsw {kind} {offset}, {self.term(length)}")
            offset = self.new(f"add nsw {kind} {row}, {self.term(entry)}")
        base = f"%{array.name}"
        if array.name in self.walk.scratch:
            base = self._scratch(array)
            rows = ", ".join(f"i64 {row * self.width}" for row in range(ROWS))
            offset = self.new(f"add nsw {kind} {offset}, <{rows}>")
        return self.load_anywhere(base, array.dtype, offset)


def _names(term: Term) -> Iterator[str]:
    if term.op == "name":
        yield str(term.what)
    for operand in term.operands:
        yield from _names(operand)
