"""The epilogue of a product: what is made of its entries before they are stored.

    for each row of a tile:
        for each vector of the row:
            entry = what the micro-kernel has left in the tile
            h[i, j...] = maximum(entry + b[j...], 0)

The micro-kernel leaves a tile in a buffer so small that it stays in the first cache, and so knows
nothing of what follows; where a product is one function (`fitted`), a short epilogue finds the tile
in registers. The statements are those of a nest (`miniflow.lowering.epilogues`), printed once for
each vector of a row, as many numbers at a time as a vector has; at an edge the last vector is cut.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from miniflow.backends.native.llvm import LLVM_TYPES
from miniflow.backends.native.print_terms import TermPrinter
from miniflow.backends.native.writer import LineWriter
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
    def text(self) -> EpilogueText:
        """What its text depends on, with all lengths written into it."""
        sizes = ((p.name, x) for p, x in self.handed if isinstance(x, int))
        return EpilogueText(self.walk, self.parameters, tuple(sizes))

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


class EpilogueText(NamedTuple):
    """An epilogue whose lengths are these `sizes`, whatever it is handed else."""

    walk: EntryWalk
    parameters: tuple[Parameter, ...]
    sizes: tuple[tuple[str, int], ...]

    @property
    def terms(self) -> int:
        """How many operations an entry takes, those of functions among them."""
        return sum(_count(term) for s in self.walk.columns.body for term in _values(s))


def _count(term: Term) -> int:
    own = int(term.op not in ("const", "name", "load"))
    if term.op == "call":
        function = FUNCTIONS[str(term.what)]
        own += _count(function.result)
        own += sum(_count(term) for s in function.body for term in _values(s))
    return own + sum(map(_count, term.operands))


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
    return _EpilogueFunction(epilogue, lanes, vectors, is_edge, has_fma).text()


class _EpilogueWriter(TermPrinter):
    """Writes what becomes of the vectors of a row."""

    def __init__(
        self, walk: EntryWalk, parameters: tuple[Parameter, ...], has_fma: bool, lanes: int
    ) -> None:
        super().__init__(has_fma, lanes)
        self.walk, self.parameters = walk, [p for p in parameters if p is not walk.entries]
        self.arrays = {p.name: p for p in parameters if isinstance(p, ArrayParameter)}
        self.pointers: dict[str, str] = {}  # where arrays begin
        self.here: dict[str, str] = {}  # where their entries for the first column of this row lie
        self.beside: dict[tuple[str, int], str] = {}  # numbers of a row of the result, by column
        self.vectors, self.vector, self.is_edge, self.mask = 0, 0, False, ""
        self.row, self.column = "", "%column"
        body = walk.columns.body
        loads = {term for s in body for value in _values(s) for term in _loads(value)}
        self.loads = sorted(loads, key=lambda term: str(term.what))
        at_place = {str(term.what) for term in loads if term.operands == walk.place}
        self.at_place = sorted(at_place | {s.array for s in body if isinstance(s, Store)})

    def _fetch(self, arguments: str, sizes: Mapping[str, int]) -> None:
        """Look up what it is handed; the lengths are known."""
        offset = 0
        for parameter in self.parameters:
            word = parameter.name
            if not isinstance(parameter, (ArrayParameter, NumberParameter)):
                known = word in sizes
                self.names[word] = (
                    str(sizes[word]) if known else self.load("i64", arguments, 8 * offset)
                )
                offset += 1
                continue
            first = self.load("i64", arguments, 8 * offset)
            base = self.load("ptr", "%places", self.multiply(first, 8))
            place = self.at(base, self.load("i64", arguments, 8 * (offset + 1)))
            offset += 2
            if isinstance(parameter, ArrayParameter):
                self.pointers[word] = place
            else:
                self.names[word] = self._all(parameter.dtype, self._number(parameter.dtype, place))

    def make_mask(self, count: str) -> None:
        """Let the last vector of a row at an edge have so many numbers."""
        numbers = ", ".join(f"i32 {lane}" for lane in range(self.lanes))
        many = self._all("i32", self.new(f"trunc i64 {count} to i32"))
        self.mask = self.new(f"icmp slt <{self.lanes} x i32> <{numbers}>, {many}")

    def _write_vectors(self) -> None:
        """Write the statements for each vector of a row."""
        self._let(self.walk.in_row)
        outside = dict(self.names)
        for vector in range(self.vectors):
            self.vector, self.names = vector, dict(outside)
            for statement in self.walk.columns.body:
                if isinstance(statement, Store):
                    self._store(self.arrays[statement.array], statement.value)
                else:
                    self._let((statement,))

    def _read_beside(self) -> None:
        """Load what belongs to the columns of the tile, in any row."""
        for term in self.loads:
            if self.walk.rows is not None and term.operands == self.walk.place[1:]:
                array = self.arrays[str(term.what)]
                begin = self.multiply(self.column, _itemsize(array.dtype))
                begin = self.at(self.pointers[array.name], begin)
                for vector in range(self.vectors):
                    self.vector = vector
                    self.beside[array.name, vector] = self._vector(array.dtype, begin)

    def _let(self, statements: tuple[Statement, ...]) -> None:
        for statement in statements:
            assert isinstance(statement, Let)
            self.names[statement.name] = self.term(statement.value)

    # Where things lie.

    def _in_this_row(self, array: ArrayParameter) -> str:
        """Return where an array has what belongs to the first column of the tile, in this row."""
        entry = self.add(self.multiply(self.row, self._width(array)), self.column)
        return self.at(self.pointers[array.name], self.multiply(entry, _itemsize(array.dtype)))

    def _width(self, array: ArrayParameter) -> str:
        """Return how many entries there are from row to row."""
        if self.walk.rows is None:
            return str(self.walk.width)
        size = array.shape[1]
        return str(size.what) if size.op == "const" else self.names[str(size.what)]

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


class _EpilogueFunction(_EpilogueWriter):
    """Writes a function of its own, for a tile that lies in memory."""

    def __init__(
        self, epilogue: Epilogue, lanes: int, vectors: int, is_edge: bool, has_fma: bool
    ) -> None:
        super().__init__(epilogue.walk, epilogue.parameters, has_fma, lanes)
        self.vectors, self.is_edge = vectors, is_edge

    def text(self, *_: str) -> str:
        """Return all of the function."""
        self._fetch("%arguments", {})
        self.pointers[self.walk.entries.name] = "%entries"
        if self.is_edge:
            self.make_mask(self.add("%columns", -(self.vectors - 1) * self.lanes))
        self._let(self.walk.before)
        self._read_beside()
        with self.loop("%row", "%last.row") as self.row:
            for word in self.at_place:
                self.here[word] = self._in_this_row(self.arrays[word])
            self._write_vectors()
        self.line("ret void")
        return super().text(_HEAD)

    def _in_this_row(self, array: ArrayParameter) -> str:
        if array is self.walk.entries:
            row = self.new(f"sub i64 {self.row}, %row")
            return self.at("%entries", self.multiply(row, "%entries.row"))
        return super()._in_this_row(array)


class EpilogueInPlace(_EpilogueWriter):
    """Writes into the function of a product, `host`, for a tile that is in registers."""

    def __init__(self, host: LineWriter, text: EpilogueText, has_fma: bool, lanes: int) -> None:
        super().__init__(text.walk, text.parameters, has_fma, lanes)
        self.host, self.lines, self.declarations = host, host.lines, host.declarations
        self.sizes, self.terms = dict(text.sizes), text.terms
        self.entries: Sequence[str] = ()  # of the row that is being written

    def next_number(self) -> int:
        """Return a number that stands in no name of the function yet."""
        return self.host.next_number()

    def begin(self, arguments: str) -> None:
        """Look up what it is handed, at the beginning of the function."""
        self._fetch(arguments, self.sizes)
        self._let(self.walk.before)

    def write(
        self, tile: Sequence[Sequence[str]], row: str, column: str | int, is_edge: bool
    ) -> None:
        """Write what becomes of a tile, given its rows of vectors and where its first entry is; at
        an edge, the last vectors are cut.
        """
        first_row, first_column = self.walk.corner
        self.vectors, self.is_edge = len(tile[0]), is_edge
        self.column = self.add(column, first_column)
        self._read_beside()
        for number, self.entries in enumerate(tile):
            self.row = self.add(row, number + first_row)
            for word in self.at_place:
                if word != self.walk.entries.name:
                    self.here[word] = self._in_this_row(self.arrays[word])
            outside = dict(self.names)
            self._write_vectors()
            self.names = outside

    def read(self, term: Term) -> str:
        """Return a name's value, or the numbers of an array for this vector."""
        is_entry = term.op == "load" and term.what == self.walk.entries.name
        return self.entries[self.vector] if is_entry else super().read(term)


def _itemsize(dtype: str) -> int:
    return 8 if dtype == SIZE else DTYPES[dtype].itemsize


def _loads(term: Term) -> Iterator[Term]:
    if term.op == "load":
        yield term
    for operand in term.operands:
        yield from _loads(operand)
