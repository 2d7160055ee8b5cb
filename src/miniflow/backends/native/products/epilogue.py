"""The epilogue of a product: what is made of its entries before they are stored.

    for each row of a tile:
        for each vector of the row:
            entry = what the micro-kernel has left in the tile
            h[i, j...] = maximum(entry + b[j...], 0)

The micro-kernel leaves a tile in a buffer so small that it stays in the first cache, and so knows
nothing of what follows. The statements are those of a nest (`miniflow.lowering.epilogues`), printed
once for each vector of a row, as many numbers at a time as a vector has; at an edge the last vector
is cut.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final, NamedTuple

from miniflow.backends.native.llvm import LLVM_TYPES
from miniflow.backends.native.print_terms import TermPrinter
from miniflow.ir import DTYPES
from miniflow.lowering.epilogues import EntryWalk, walk_over
from miniflow.lowering.functions import FUNCTIONS
from miniflow.lowering.halves import without_halves
from miniflow.lowering.loop_program import BufferView, FusedProduct, NestArgument
from miniflow.lowering.nests import (
    SIZE,
    ArrayParameter,
    Let,
    NumberParameter,
    Parameter,
    Statement,
    Store,
    Term,
    terms_of,
)

_HEAD: Final = (
    "define void @run(ptr %places, ptr %arguments, ptr %entries, i64 %entries.row, "
    "i64 %row, i64 %last.row, i64 %column, i64 %columns) nounwind"
)


class Epilogue(NamedTuple):
    """The statements of an epilogue, and what its parameters are handed."""

    walk: EntryWalk
    parameters: tuple[Parameter, ...]
    arguments: tuple[NestArgument, ...]

    @property
    def handed(self) -> list[tuple[Parameter, NestArgument]]:
        """The parameters that are handed over, and those arguments."""
        pairs = zip(self.parameters, self.arguments, strict=True)
        return [(p, x) for p, x in pairs if p is not self.walk.entries]

    @property
    def arrays_beside(self) -> int:
        """How many arrays are read at the place of each entry, beside the entries."""
        body = self.walk.columns.body
        loads = {term for s in body for value in _values(s) for term in _loads(value)}
        return len({str(term.what) for term in loads if term.operands == self.walk.place}) - 1

    def array_to_fill(self, c: BufferView) -> BufferView | None:
        """Return where the entries can lie until they are complete, other than in c: in an array of
        their kind that is written, entry by entry, and not read; None if there is none.
        """
        body = self.walk.columns.body
        written = {s.array for s in body if isinstance(s, Store)}
        written -= {str(term.what) for s in body for value in _values(s) for term in _loads(value)}
        sizes = {p.name: x for p, x in self.handed if isinstance(x, int)}
        for parameter, argument in self.handed:
            if parameter.name not in written or not isinstance(argument, BufferView):
                continue
            assert isinstance(parameter, ArrayParameter)
            width = None if self.walk.rows is None else parameter.shape[1]
            is_as_wide = width is None or sizes.get(str(width.what), width.what) == self.walk.width
            if parameter.dtype == c.dtype and is_as_wide:
                row, column = self.walk.corner
                offset = argument.offset + row * self.walk.width + column
                return argument._replace(offset=offset, shape=c.shape, strides=c.strides)
        return None


def plan_epilogue(step: FusedProduct) -> Epilogue | None:
    """Return the epilogue of a product; None if this has no way to print it."""
    nest = replace(step.epilogue, kernel=without_halves(step.epilogue.kernel))
    walk = walk_over(nest, step.product)
    if walk is None:
        return None
    found = Epilogue(walk, nest.kernel.parameters, nest.arguments)
    statements = (*walk.before, *walk.in_row, *walk.columns.body)
    is_known = all(_is_known(term, walk) for s in statements for term in _values(s))
    return found if is_known else None


def _values(statement: Statement) -> tuple[Term, ...]:
    """What a statement computes; where it stores it is the place of the entry."""
    return (statement.value,) if isinstance(statement, Store) else terms_of(statement)


def _is_known(term: Term, walk: EntryWalk) -> bool:
    """Whether vectors can be made of a term: it depends on where it is by what it loads alone."""
    if term.op == "load":
        return term.operands in (walk.place, walk.place[:1], walk.place[1:])
    if term.dtype == SIZE:
        return False
    return all(_is_known(operand, walk) for operand in term.operands)


def print_epilogue(
    epilogue: Epilogue, lanes: int, vectors: int, is_edge: bool, has_fma: bool
) -> str:
    """Return LLVM's text of `run(places, arguments, entries, entries_row, row, last_row, column,
    columns)`, for a tile of so many vectors.

    The entries of a tile begin at `entries`, their rows are `entries_row` bytes apart. `arguments`
    are those of the epilogue, as those of a kernel.
    """
    return _EpilogueWriter(epilogue, lanes, vectors, is_edge, has_fma).text()


class _EpilogueWriter(TermPrinter):
    def __init__(
        self, epilogue: Epilogue, lanes: int, vectors: int, is_edge: bool, has_fma: bool
    ) -> None:
        super().__init__(has_fma, lanes)
        self.walk, self.vectors, self.is_edge = epilogue.walk, vectors, is_edge
        self.epilogue = epilogue
        self.pointers: dict[str, str] = {}  # where arrays begin
        self.here: dict[str, str] = {}  # where their entries for the first column of this row lie
        self.beside: dict[tuple[str, int], str] = {}  # numbers of a row of the result, by column
        self.vector, self.mask, self.row = 0, "", ""

    def text(self, *_: str) -> str:
        """Return all of the function."""
        self._fetch()
        if self.is_edge:
            self._make_mask()
        self._let(self.walk.before)
        body = self.walk.columns.body
        arrays = {p.name: p for p in self.epilogue.parameters if isinstance(p, ArrayParameter)}
        loads = {term for s in body for value in _values(s) for term in _loads(value)}
        for term in sorted(loads, key=lambda term: str(term.what)):
            if self.walk.rows is not None and term.operands == self.walk.place[1:]:
                self._load_beside(arrays[str(term.what)])
        with self.loop("%row", "%last.row") as self.row:
            at_place = {str(t.what) for t in loads if t.operands == self.walk.place}
            at_place |= {s.array for s in body if isinstance(s, Store)}
            for word in sorted(at_place):
                self.here[word] = self._in_this_row(arrays[word])
            self._let(self.walk.in_row)
            outside = dict(self.names)
            for vector in range(self.vectors):
                self.vector, self.names = vector, dict(outside)
                for statement in body:
                    if isinstance(statement, Store):
                        self._store(arrays[statement.array], statement.value)
                    else:
                        self._let((statement,))
        self.line("ret void")
        return super().text(_HEAD)

    def _fetch(self) -> None:
        offset = 0
        for parameter, _ in self.epilogue.handed:
            word = parameter.name
            first = self.load("i64", "%arguments", 8 * offset)
            offset += 1
            if not isinstance(parameter, (ArrayParameter, NumberParameter)):
                self.names[word] = first
                continue
            base = self.load("ptr", "%places", self.multiply(first, 8))
            place = self.at(base, self.load("i64", "%arguments", 8 * offset))
            offset += 1
            if isinstance(parameter, ArrayParameter):
                self.pointers[word] = place
            else:
                self.names[word] = self._all(parameter.dtype, self._number(parameter.dtype, place))
        self.pointers[self.walk.entries.name] = "%entries"

    def _make_mask(self) -> None:
        left = self.add("%columns", -(self.vectors - 1) * self.lanes)
        numbers = ", ".join(f"i32 {lane}" for lane in range(self.lanes))
        many = self._all("i32", self.new(f"trunc i64 {left} to i32"))
        self.mask = self.new(f"icmp slt <{self.lanes} x i32> <{numbers}>, {many}")

    def _let(self, statements: tuple[Statement, ...]) -> None:
        for statement in statements:
            assert isinstance(statement, Let)
            self.names[statement.name] = self.term(statement.value)

    # Where things lie.

    def _in_this_row(self, array: ArrayParameter) -> str:
        """Return where an array has what belongs to the first column of the tile, in this row."""
        if array is self.walk.entries:
            row = self.new(f"sub i64 {self.row}, %row")
            return self.at("%entries", self.multiply(row, "%entries.row"))
        width = str(self.walk.width) if self.walk.rows is None else self._size(array.shape[1])
        entry = self.add(self.multiply(self.row, width), "%column")
        return self.at(self.pointers[array.name], self.multiply(entry, _itemsize(array.dtype)))

    def _size(self, size: Term) -> str:
        return str(size.what) if size.op == "const" else self.names[str(size.what)]

    def _load_beside(self, array: ArrayParameter) -> None:
        """Load what belongs to the columns of the tile, in any row."""
        begin = self.multiply("%column", _itemsize(array.dtype))
        begin = self.at(self.pointers[array.name], begin)
        for vector in range(self.vectors):
            self.vector = vector
            self.beside[array.name, vector] = self._vector(array.dtype, begin)

    def read(self, term: Term) -> str:
        """Return a name's value, or the numbers of an array for this vector."""
        if term.op == "name":
            return super().read(term)
        word, walk = str(term.what), self.walk
        if term.operands == walk.place:
            return self._vector(term.dtype, self.here[word])
        if term.operands == walk.place[1:]:
            return self.beside[word, self.vector]
        nbytes = self.multiply(self.row, _itemsize(term.dtype))
        number = self._number(term.dtype, self.at(self.pointers[word], nbytes))
        return self._all(term.dtype, number)

    # Numbers, one or as many as a vector has; a bool is a byte in memory.

    def _number(self, dtype: str, where: str) -> str:
        if dtype == "bool":
            return self.new(f"icmp ne i8 {self.load('i8', where, align=1)}, 0")
        return self.load(LLVM_TYPES[dtype], where, align=_itemsize(dtype))

    def _all(self, dtype: str, number: str) -> str:
        """Return a vector of one number."""
        kind = f"<{self.lanes} x {LLVM_TYPES[dtype]}>"
        one = self.new(f"insertelement {kind} poison, {LLVM_TYPES[dtype]} {number}, i32 0")
        zeros = f"<{self.lanes} x i32> zeroinitializer"
        return self.new(f"shufflevector {kind} {one}, {kind} poison, {zeros}")

    def _vector(self, dtype: str, begin: str) -> str:
        """Return the numbers of an array for this vector, which begins so many lanes behind."""
        one, size = "i8" if dtype == "bool" else LLVM_TYPES[dtype], _itemsize(dtype)
        kind, where = f"<{self.lanes} x {one}>", self._at_vector(begin, size)
        if not self._is_cut():
            value = self.load(kind, where, align=size)
        else:
            function = f"@llvm.masked.load.{self._suffix(dtype)}.p0"
            masks = f"<{self.lanes} x i1>"
            self.declarations.add(f"declare {kind} {function}(ptr, i32, {masks}, {kind})")
            rest = f"ptr {where}, i32 {size}, {masks} {self.mask}, {kind} zeroinitializer"
            value = self.new(f"call {kind} {function}({rest})")
        return self.new(f"icmp ne {kind} {value}, zeroinitializer") if dtype == "bool" else value

    def _store(self, array: ArrayParameter, term: Term) -> None:
        value, dtype, size = self.term(term), array.dtype, _itemsize(array.dtype)
        kind, where = self.kind(dtype), self._at_vector(self.here[array.name], size)
        if dtype == "bool":
            kind = f"<{self.lanes} x i8>"
            value = self.new(f"zext {self.kind('bool')} {value} to {kind}")
        if not self._is_cut():
            self.line(f"store {kind} {value}, ptr {where}, align {size}")
            return
        function = f"@llvm.masked.store.{self._suffix(dtype)}.p0"
        masks = f"<{self.lanes} x i1>"
        self.declarations.add(f"declare void {function}({kind}, ptr, i32, {masks})")
        self.line(
            f"call void {function}({kind} {value}, ptr {where}, i32 {size}, {masks} {self.mask})"
        )

    def _at_vector(self, begin: str, size: int) -> str:
        nbytes = self.vector * self.lanes * size
        return self.at(begin, nbytes) if nbytes else begin

    def _suffix(self, dtype: str) -> str:
        letter = "f" if dtype[0] == "f" else "i"
        return f"v{self.lanes}{letter}{8 * _itemsize(dtype)}"

    def _is_cut(self) -> bool:
        return self.is_edge and self.vector == self.vectors - 1

    def call(self, called: str, dtype: str, operands: list[str]) -> str:
        """Compute a function in place."""
        function, outside = FUNCTIONS[called], self.names
        self.names = dict(zip(function.parameters, operands, strict=True))
        self._let(function.body)
        result = self.term(function.result)
        self.names = outside
        return result


def _itemsize(dtype: str) -> int:
    return 8 if dtype == SIZE else DTYPES[dtype].itemsize


def _loads(term: Term) -> Iterator[Term]:
    if term.op == "load":
        yield term
    for operand in term.operands:
        yield from _loads(operand)
