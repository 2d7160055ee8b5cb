"""Stacks of small products, as those of attention's heads: one function for all of a stack.

    for each product of the stack:
        for each tile of a few rows, and all columns:
            for p in 0 ... k: tile[i] = fma(a[i, p], b[p], tile[i])
            c = alpha * tile, or beta * c + alpha * tile

What goes on around micro-kernels (`driver`) takes as long as such a product does. So all distances
and lengths are written into the text, and nothing is packed but a B whose columns lie apart, once
for each product. An entry is the same chain of multiply-adds, in the order of k.
"""

from __future__ import annotations

from functools import cache
from typing import Final, NamedTuple

from miniflow.backends.native.processor import Processor
from miniflow.backends.native.products.blocking import split
from miniflow.backends.native.products.packing import SquareWriter
from miniflow.backends.native.writer import REALS
from miniflow.lowering.matrices import StackAxis

PLACES: Final = ("a", "b", "c", "alpha", "beta")
_MOST_FLOPS: Final = 1 << 17
_MOST_VECTORS: Final = 4  # of a row
_MOST_PACKED: Final = 256  # numbers of B, gathered from where they lie
_MOST_TRANSPOSED: Final = 2048  # of one whose columns lie in one piece each
_AT_ONCE: Final = 4  # of k, in a turn of the loop


class SmallProducts(NamedTuple):
    """A stack of C (m, n) = A (m, k) @ B (k, n); strides and steps count numbers.

    A row of C is so many `vectors` of `lanes` numbers, and `rows` of them are made at a time.
    """

    dtype: str
    shape: tuple[int, int, int]  # m, n, k
    strides: tuple[int, int, int, int, int]  # of A's rows and columns, of B's, of C's rows
    steps: tuple[tuple[int, ...], ...]  # from one product to the next, along each axis
    lanes: int
    vectors: int
    rows: int
    has_fma: bool


def small_products(
    dtype: str,
    shape: tuple[int, int, int],
    strides: tuple[int, int, int, int, int],
    stacks: tuple[StackAxis, ...],
    processor: Processor,
) -> SmallProducts | None:
    """Return how a stack of products is made at once; None if it is none, or they are not small."""
    (m, n, k), b_column = shape, strides[3]
    lanes = processor.nbytes // REALS[dtype][1]
    while lanes > 2 and lanes // 2 >= n:
        lanes //= 2
    vectors = -(-n // lanes)
    if not stacks or not 0 < 2 * m * n * k <= _MOST_FLOPS or vectors > _MOST_VECTORS:
        return None
    is_apart = b_column != 1 and n > 1
    most = _MOST_TRANSPOSED if strides[2] == 1 and k >= lanes else _MOST_PACKED
    if (n % lanes and not processor.has_masks) or (is_apart and n * k > most):
        return None
    registers = processor.registers * 7 // 8 if processor.registers > 16 else 12
    steps = tuple(axis.steps for axis in stacks)
    rows, has_fma = registers // vectors, processor.has_fma
    if rows * vectors + vectors + 1 > processor.registers:
        rows -= 1
    return SmallProducts(dtype, shape, strides, steps, lanes, vectors, rows, has_fma)


@cache
def print_small(products: SmallProducts, adds: bool) -> str:
    """Return LLVM's text of the step `run(places, arguments)`. Its arguments are `PLACES`, an index
    in the table and an offset in bytes each, and how many products there are along each axis.
    """
    return _SmallWriter(products, adds).text()


class _SmallWriter(SquareWriter):
    def __init__(self, products: SmallProducts, adds: bool) -> None:
        super().__init__(products.dtype, products.lanes)
        self.products, self.adds, self.vectors = products, adds, products.vectors
        self.masks = f"<{self.lanes} x i1>"
        self.kind = f"v{self.lanes}{products.dtype}"
        last = products.shape[1] % self.lanes
        there = ", ".join(f"i1 {int(lane < last)}" for lane in range(self.lanes))
        self.mask = f"<{there}>" if last else ""  # of the last vector
        self.alpha = self.beta = ""

    def text(self, *_: str) -> str:
        """Return all of the function."""
        width = self.vectors * self.lanes
        if self._packs:
            self.line(f"%panel = alloca [{self.products.shape[2] * width} x {self.real}], align 64")
        place = {word: self._place(number) for number, word in enumerate(PLACES)}
        self.alpha = self._splat(self.load(self.real, place["alpha"], align=self.size))
        if self.adds:
            self.beta = self._splat(self.load(self.real, place["beta"], align=self.size))
        self._stack(0, [place[word] for word in "abc"])
        self.line("ret i64 0")
        return super().text("define i64 @run(ptr %places, ptr %arguments) nounwind")

    @property
    def _packs(self) -> bool:
        return self.products.strides[3] != 1 and self.products.shape[1] > 1

    def _place(self, number: int) -> str:
        index = self.load("i64", "%arguments", 16 * number)
        base = self.load("ptr", "%places", self.multiply(index, 8))
        return self.at(base, self.load("i64", "%arguments", 16 * number + 8))

    def _splat(self, number: str) -> str:
        one = self.new(f"insertelement {self.vector} poison, {self.real} {number}, i32 0")
        zeros = f"<{self.lanes} x i32> zeroinitializer"
        return self.new(f"shufflevector {self.vector} {one}, {self.vector} poison, {zeros}")

    def _stack(self, axis: int, places: list[str]) -> None:
        if axis == len(self.products.steps):
            self._product(*places)
            return
        count = self.load("i64", "%arguments", 8 * (2 * len(PLACES) + axis))
        with self.loop(0, count) as index:
            moved = (self.multiply(index, step * self.size) for step in self.products.steps[axis])
            inner = [self.at(x, step) for x, step in zip(places, moved, strict=True)]
            self._stack(axis + 1, inner)

    def _product(self, a: str, b: str, c: str) -> None:
        products, first = self.products, 0
        a_row, _, b_step, _, c_row = (stride * self.size for stride in products.strides)
        if self._packs:
            self._pack(b)
            b, b_step = "%panel", self._width
        for height, count in split(products.shape[0], products.rows):
            if count == 1:
                self._tile(self.at(a, first * a_row), b, b_step, self.at(c, first * c_row), height)
            elif count:
                with self.loop(first, first + height * count, height) as row:
                    there = self.at(a, self.multiply(row, a_row))
                    self._tile(there, b, b_step, self.at(c, self.multiply(row, c_row)), height)
            first += height * count

    def _pack(self, b: str) -> None:
        """Copy B to where the numbers of a row lie side by side."""
        _, n, k = self.products.shape
        b_step, b_column = self.products.strides[2:4]
        pointers = f"<{self.lanes} x ptr>"
        gather = f"@llvm.masked.gather.{self.kind}.v{self.lanes}p0"
        self.declarations.add(
            f"declare {self.vector} {gather}({pointers}, i32, {self.masks}, {self.vector})"
        )
        squares = k // self.lanes if b_step == 1 else 0
        if squares:
            self._transpose(b, squares)
        with self.loop(squares * self.lanes, k) as p:
            row = self.at(b, self.multiply(p, b_step * self.size))
            to = self.at("%panel", self.multiply(p, self._width))
            for j in range(self.vectors):
                columns = range(j * self.lanes, (j + 1) * self.lanes)
                offsets = ", ".join(f"i64 {column * b_column}" for column in columns)
                places = f"<{self.lanes} x i64> <{offsets}>"
                where = self.new(f"getelementptr {self.real}, ptr {row}, {places}")
                mask = self.mask if n < columns.stop and self.mask else self._all_lanes
                rest = f"i32 {self.size}, {self.masks} {mask}, {self.vector} zeroinitializer"
                found = self.new(f"call {self.vector} {gather}({pointers} {where}, {rest})")
                place = self.at(to, j * self.lanes * self.size)
                self.line(f"store {self.vector} {found}, ptr {place}, align {self.size}")

    @property
    def _width(self) -> int:
        """How many bytes a row of B has where it is packed."""
        return self.vectors * self.lanes * self.size

    def _transpose(self, b: str, squares: int) -> None:
        """Pack the first rows of a B whose columns lie in one piece each, in squares."""
        n, column_step = self.products.shape[1], self.products.strides[3] * self.size
        for j in range(self.vectors):
            columns = (min(j * self.lanes + lane, n - 1) for lane in range(self.lanes))
            heads = [self.at(b, column * column_step) for column in columns]
            with self.loop(0, squares) as square:
                begin = self.multiply(square, self.lanes * self.size)
                loaded = [
                    self.load(self.vector, self.at(head, begin), align=self.size) for head in heads
                ]
                place = self.at("%panel", self.multiply(square, self.lanes * self._width))
                place = self.at(place, j * self.lanes * self.size)
                for value in self.transposed(loaded):
                    self.line(f"store {self.vector} {value}, ptr {place}, align {self.size}")
                    place = self.at(place, self._width)

    @property
    def _all_lanes(self) -> str:
        return f"<{', '.join(['i1 1'] * self.lanes)}>"

    # A tile.

    def _tile(self, a: str, b: str, b_step: int, c: str, rows: int) -> None:
        k, a_step = self.products.shape[2], self.products.strides[1] * self.size
        places = [(i, j) for i in range(rows) for j in range(self.vectors)]
        totals = dict.fromkeys(places, "zeroinitializer")
        turns, rest = divmod(k, _AT_ONCE)
        if turns < 2:
            rest = k
        else:
            before, inside, after = self.block, self.label(), self.label()
            self.line(f"br label %{inside}")
            self.open(inside)
            sums = {place: self.name() for place in places}
            here, there, left = (self.name() for _ in range(3))
            phis, done = len(self.lines), dict(sums)
            for p in range(_AT_ONCE):
                done = self._step(here, there, p * a_step, p * b_step, done)
            next_a, next_b = self.at(here, _AT_ONCE * a_step), self.at(there, _AT_ONCE * b_step)
            fewer = self.add(left, -1)
            carried = [("ptr", here, a, next_a), ("ptr", there, b, next_b)]
            carried += [("i64", left, str(turns), fewer)]
            carried += [(self.vector, sums[x], totals[x], done[x]) for x in places]
            self.lines[phis:phis] = [
                f"{word} = phi {kind} [{begin}, %{before}], [{following}, %{self.block}]"
                for kind, word, begin, following in carried
            ]
            more = self.new(f"icmp ne i64 {fewer}, 0")
            self.line(f"br i1 {more}, label %{inside}, label %{after}")
            self.open(after)
            totals, a, b = done, next_a, next_b
        for p in range(rest):
            totals = self._step(a, b, p * a_step, p * b_step, totals)
        self._finish(c, totals)

    def _step(
        self, a: str, b: str, to_a: int, to_b: int, totals: dict[tuple[int, int], str]
    ) -> dict[tuple[int, int], str]:
        """Add the products of one k to a tile."""
        a_row, done = self.products.strides[0] * self.size, dict[tuple[int, int], str]()
        row = [
            self._load(self.at(b, to_b + j * self.lanes * self.size), j, self._packs)
            for j in range(self.vectors)
        ]
        factors: dict[int, str] = {}
        for i, j in totals:
            if i not in factors:
                one = self.load(self.real, self.at(a, to_a + i * a_row), align=self.size)
                factors[i] = self._splat(one)
            done[i, j] = self._multiply_add(factors[i], row[j], totals[i, j])
        return done

    def _multiply_add(self, a: str, b: str, total: str) -> str:
        v = self.vector
        if not self.products.has_fma:
            return self.new(f"fadd {v} {self.new(f'fmul {v} {a}, {b}')}, {total}")
        self.declarations.add(f"declare {v} @llvm.fma.{self.kind}({v}, {v}, {v})")
        return self.new(f"call {v} @llvm.fma.{self.kind}({v} {a}, {v} {b}, {v} {total})")

    def _finish(self, c: str, totals: dict[tuple[int, int], str]) -> None:
        c_row = self.products.strides[4] * self.size
        for (i, j), total in totals.items():
            where = self.at(c, i * c_row + j * self.lanes * self.size)
            value = self.new(f"fmul {self.vector} {total}, {self.alpha}")
            if self.adds:
                before = self.new(f"fmul {self.vector} {self._load(where, j)}, {self.beta}")
                value = self.new(f"fadd {self.vector} {before}, {value}")
            self._store(where, value, j)

    def _is_cut(self, j: int) -> bool:
        return bool(self.mask) and j == self.vectors - 1

    def _load(self, where: str, j: int, is_whole: bool = False) -> str:
        if is_whole or not self._is_cut(j):
            return self.new(f"load {self.vector}, ptr {where}, align {self.size}")
        function, v = f"@llvm.masked.load.{self.kind}.p0", self.vector
        self.declarations.add(f"declare {v} {function}(ptr, i32, {self.masks}, {v})")
        rest = f"i32 {self.size}, {self.masks} {self.mask}, {v} zeroinitializer"
        return self.new(f"call {v} {function}(ptr {where}, {rest})")

    def _store(self, where: str, value: str, j: int) -> None:
        if not self._is_cut(j):
            self.line(f"store {self.vector} {value}, ptr {where}, align {self.size}")
            return
        function, v = f"@llvm.masked.store.{self.kind}.p0", self.vector
        self.declarations.add(f"declare void {function}({v}, ptr, i32, {self.masks})")
        rest = f"ptr {where}, i32 {self.size}, {self.masks} {self.mask}"
        self.line(f"call void {function}({v} {value}, {rest})")
