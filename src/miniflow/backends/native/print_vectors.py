"""Sixteen numbers at a time in LLVM's language: vectors, of which not all lanes may count."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from miniflow.backends.native.llvm import LLVM_TYPES
from miniflow.backends.native.print_llvm import FunctionPrinter
from miniflow.ir import DTYPES
from miniflow.lowering.functions import FUNCTIONS
from miniflow.lowering.nests import SIZE, Term

LANES: Final = 16


class VectorPrinter(FunctionPrinter):
    """Prints a function some of whose numbers are vectors.

    Attributes:
        vectors: by name; a number that has none is the same in all lanes.
        mask: which lanes count, where not all do.
    """

    def __init__(self, has_fma: bool) -> None:
        super().__init__(has_fma)
        self.vectors: dict[str, str] = {}
        self.mask = ""

    @contextmanager
    def some_lanes(self, lanes: int) -> Iterator[None]:
        """Inside the block, terms are of so many numbers at a time."""
        before, self.lanes = self.lanes, lanes
        yield
        self.lanes = before

    def all_lanes(self, dtype: str, number: str) -> str:
        """Return a vector of one number."""
        one, kind = LLVM_TYPES[dtype], f"<{LANES} x {LLVM_TYPES[dtype]}>"
        first = self.new(f"insertelement {kind} poison, {one} {number}, i32 0")
        zeros = f"<{LANES} x i32> zeroinitializer"
        return self.new(f"shufflevector {kind} {first}, {kind} poison, {zeros}")

    def numbers_from(self, first: str) -> str:
        """Return the whole numbers from one on."""
        numbers = ", ".join(f"i64 {lane}" for lane in range(LANES))
        return self.new(f"add <{LANES} x i64> {self.all_lanes(SIZE, first)}, <{numbers}>")

    def lanes_before(self, count: str) -> str:
        """Return which lanes count, if so many do."""
        numbers = ", ".join(f"i64 {lane}" for lane in range(LANES))
        return self.new(f"icmp sgt <{LANES} x i64> {self.all_lanes(SIZE, count)}, <{numbers}>")

    def single(self, term: Term) -> str:
        """Return a term that is the same in all lanes, as one number."""
        with self.some_lanes(1):
            return self.term(term)

    def where_counted(self, value: str, dtype: str, other: str) -> str:
        """Return a vector with another value in the lanes that do not count."""
        if not self.mask:
            return value
        kind = self.kind(dtype)
        return self.new(f"select <{LANES} x i1> {self.mask}, {kind} {value}, {kind} {other}")

    def call(self, called: str, dtype: str, operands: list[str]) -> str:
        """Call a function; of vectors, it is computed in place."""
        if self.lanes == 1:
            return super().call(called, dtype, operands)
        function, outside = FUNCTIONS[called], self.vectors
        self.vectors = dict(zip(function.parameters, operands, strict=True))
        for statement in function.body:
            self.vectors[statement.name] = self.term(statement.value)
        result = self.term(function.result)
        self.vectors = outside
        return result

    # Memory.

    def slot(self, word: str, dtype: str, count: int = LANES) -> str:
        """Return a place on the stack for so many numbers."""
        self.slots[word] = f"%{word} = alloca [{count} x {_in_memory(dtype)[0]}], align 64"
        return f"%{word}"

    def entry(self, pointer: str, dtype: str, index: str) -> str:
        """Return where a number lies that is so many after the first."""
        one, _ = _in_memory(dtype)
        return self.new(f"getelementptr inbounds {one}, ptr {pointer}, i64 {index}")

    def load_vector(self, where: str, dtype: str, mask: str) -> str:
        """Return what lies side by side, all of it or in the lanes that a mask lets through."""
        one, size = _in_memory(dtype)
        kind, masks = f"<{LANES} x {one}>", f"<{LANES} x i1>"
        if not mask:
            return self._as_number(self.new(f"load {kind}, ptr {where}, align {size}"), dtype)
        called = f"@llvm.masked.load.{_suffix(dtype)}.p0"
        self.declarations.add(f"declare {kind} {called}(ptr, i32, {masks}, {kind})")
        rest = f"ptr {where}, i32 {size}, {masks} {mask}, {kind} zeroinitializer"
        return self._as_number(self.new(f"call {kind} {called}({rest})"), dtype)

    def _as_number(self, value: str, dtype: str) -> str:
        kind = f"<{LANES} x i8>"
        return self.new(f"icmp ne {kind} {value}, zeroinitializer") if dtype == "bool" else value

    def store_vector(self, where: str, dtype: str, value: str, mask: str) -> None:
        """Store a vector side by side, all of it or what a mask lets through."""
        one, size = _in_memory(dtype)
        kind, masks = f"<{LANES} x {one}>", f"<{LANES} x i1>"
        if dtype == "bool":
            value = self.new(f"zext {masks} {value} to {kind}")
        if not mask:
            self.line(f"store {kind} {value}, ptr {where}, align {size}")
            return
        called = f"@llvm.masked.store.{_suffix(dtype)}.p0"
        self.declarations.add(f"declare void {called}({kind}, ptr, i32, {masks})")
        self.line(f"call void {called}({kind} {value}, ptr {where}, i32 {size}, {masks} {mask})")

    def load_anywhere(self, base: str, dtype: str, offset: str) -> str:
        """Return entries that lie so many numbers after the beginning each."""
        one, size = _in_memory(dtype)
        where = self.new(f"getelementptr inbounds {one}, ptr {base}, <{LANES} x i64> {offset}")
        of, called = f"<{LANES} x {one}>", f"@llvm.masked.gather.{_suffix(dtype)}.v{LANES}p0"
        masks, pointers = f"<{LANES} x i1>", f"<{LANES} x ptr>"
        self.declarations.add(f"declare {of} {called}({pointers}, i32, {masks}, {of})")
        mask = self.mask or "splat (i1 true)"
        rest = f"{pointers} {where}, i32 {size}, {masks} {mask}, {of} zeroinitializer"
        return self._as_number(self.new(f"call {of} {called}({rest})"), dtype)


def _in_memory(dtype: str) -> tuple[str, int]:
    """Return LLVM's type of a number in memory, and its bytes."""
    if dtype == "bool":
        return "i8", 1
    return LLVM_TYPES[dtype], 8 if dtype == SIZE else DTYPES[dtype].itemsize


def _suffix(dtype: str) -> str:
    return f"v{LANES}{'f' if dtype[0] == 'f' else 'i'}{8 * _in_memory(dtype)[1]}"
