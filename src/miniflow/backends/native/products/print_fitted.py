"""The function of products that are made for their shape (`fitted`), in LLVM's language.

The way through k is unrolled by a few steps, and all distances are numbers in the text.
"""

from __future__ import annotations

from functools import cache
from typing import Final

from miniflow.backends.native.products.epilogue import EpilogueInPlace, EpilogueText
from miniflow.backends.native.products.fitted import PLACES, FittedProducts
from miniflow.backends.native.products.packing import SquareWriter

_A_TURN: Final = 64  # multiply-adds at most, in a turn of the loop, for it to go by four k, not two
_SHORT: Final = 8  # operations of an epilogue, written once for each vector of a tile


@cache
def print_fitted(
    products: FittedProducts, adds: bool, epilogue: EpilogueText | None = None, keeps: bool = False
) -> str:
    """Return LLVM's text of the step `run(places, arguments)`. Its arguments are `PLACES`, an index
    in the table and an offset in bytes each, how many tiles there are of each height, how many
    products along each axis, and what the epilogue is handed, to which the tiles go; to C, too, if
    that `keeps` them. Before that stands how many columns the last vector has, if it is cut.
    """
    return _FittedWriter(products, adds, epilogue, keeps).text()


class _TileWriter(SquareWriter):
    """Writes a tile: its way through k, and what becomes of it."""

    def __init__(
        self, products: FittedProducts, adds: bool, epilogue: EpilogueText | None, keeps: bool
    ) -> None:
        super().__init__(products.dtype, products.lanes)
        self.products, self.adds, self.stores = products, adds, keeps or epilogue is None
        self.masks = f"<{self.lanes} x i1>"
        self.kind = f"v{self.lanes}{products.dtype}"
        last = products.n % self.lanes
        there = ", ".join(f"i1 {int(lane < last)}" for lane in range(self.lanes))
        self.mask = f"<{there}>" if last else ""  # of the last vector of all
        self.place: dict[str, str] = {}
        self.epilogue: EpilogueInPlace | None = None
        if epilogue:
            self.epilogue = EpilogueInPlace(self, epilogue, products.has_fma, self.lanes)
        # Of the panel that is being written: vectors, and whether the last one is cut.
        self.vectors, self.is_cut = 0, False

    @property
    def _packs(self) -> bool:
        return self.products.strides[3] != 1 and self.products.n > 1

    @property
    def _width(self) -> int:
        """How many bytes a row of B has where it is packed."""
        return self.vectors * self.lanes * self.size

    def _splat(self, number: str) -> str:
        one = self.new(f"insertelement {self.vector} poison, {self.real} {number}, i32 0")
        zeros = f"<{self.lanes} x i32> zeroinitializer"
        return self.new(f"shufflevector {self.vector} {one}, {self.vector} poison, {zeros}")

    def tile(self, a: str, b: str, b_step: int, c: str, at: tuple[int, str, str | int]) -> None:
        """Write a tile, of so many rows from a row and a column on."""
        rows, row, column = at
        k, a_step = self.products.k, self.products.strides[1] * self.size
        places = [(i, j) for i in range(rows) for j in range(self.vectors)]
        if self.adds:
            self._fetch(c, places)
        totals = dict.fromkeys(places, "zeroinitializer")
        at_once = 4 if 4 * len(places) <= _A_TURN else 2
        turns, rest = divmod(k, at_once)
        if turns < 2:
            rest = k
        else:
            before, inside, after = self.block, self.label(), self.label()
            self.line(f"br label %{inside}")
            self.open(inside)
            sums = {place: self.name() for place in places}
            here, there, left = (self.name() for _ in range(3))
            phis, done = len(self.lines), dict(sums)
            for p in range(at_once):
                done = self._step(here, there, p * a_step, p * b_step, done)
            next_a, next_b = self.at(here, at_once * a_step), self.at(there, at_once * b_step)
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
        self._finish(c, totals, row, column)

    def _fetch(self, c: str, places: list[tuple[int, int]]) -> None:
        """Let the processor fetch what the tile is added to, while it computes the tile."""
        self.declarations.add("declare void @llvm.prefetch.p0(ptr, i32, i32, i32)")
        c_row = self.products.strides[4] * self.size
        nbytes = {i * c_row + j * self.lanes * self.size for i, j in places}
        for offset in sorted(nbytes):
            where = self.at(c, offset)
            self.line(f"call void @llvm.prefetch.p0(ptr {where}, i32 0, i32 3, i32 1)")

    def _step(
        self, a: str, b: str, to_a: int, to_b: int, totals: dict[tuple[int, int], str]
    ) -> dict[tuple[int, int], str]:
        """Add the products of one k to a tile."""
        a_row, done = self.products.strides[0] * self.size, dict[tuple[int, int], str]()
        row, factors = dict[int, str](), dict[int, str]()
        is_high = max(i for i, _ in totals) >= self.vectors - 1
        # What there is less of is kept in registers; of the other, one at a time.
        for i, j in totals if is_high else sorted(totals, key=lambda place: place[::-1]):
            if j not in row:
                where = self.at(b, to_b + j * self.lanes * self.size)
                row[j] = self._load(where, j, self._packs)
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

    def _finish(
        self, c: str, totals: dict[tuple[int, int], str], row: str, column: str | int
    ) -> None:
        c_row, real = self.products.strides[4] * self.size, self.real
        alpha = self._splat(self.load(real, self.place["alpha"], align=self.size))
        beta = ""
        if self.adds:
            beta = self._splat(self.load(real, self.place["beta"], align=self.size))
        values, tile = dict[str, tuple[str, int]](), dict[int, list[str]]()
        for (i, j), total in totals.items():
            where = self.at(c, i * c_row + j * self.lanes * self.size)
            value = self.new(f"fmul {self.vector} {total}, {alpha}")
            if beta:
                before = self.new(f"fmul {self.vector} {self._load(where, j)}, {beta}")
                value = self.new(f"fadd {self.vector} {before}, {value}")
            values[where] = value, j
            tile.setdefault(i, []).append(value)
        if (
            self.stores
        ):  # all are loaded before: of a part of a vector, a processor waits for stores
            for where, (value, j) in values.items():
                self._store(where, value, j)
        if self.epilogue:
            self._follow(self.epilogue, list(tile.values()), row, column)

    def _follow(
        self, epilogue: EpilogueInPlace, tile: list[list[str]], row: str, column: str | int
    ) -> None:
        """Write the epilogue of a tile."""
        if epilogue.terms <= _SHORT:
            epilogue.write(tile, row, column, self.is_cut)
            return
        for i, values in enumerate(tile):
            for j, value in enumerate(values):
                place = self.at("%tile", i * self._width + j * self.lanes * self.size)
                self.line(f"store {self.vector} {value}, ptr {place}, align {self.size}")
        with self.loop(0, len(tile)) as here:
            begin = self.at("%tile", self.multiply(here, self._width))
            offsets = (j * self.lanes * self.size for j in range(self.vectors))
            entries = [self.load(self.vector, begin, offset, align=self.size) for offset in offsets]
            epilogue.write([entries], self.add(row, here), column, self.is_cut)

    def _is_cut(self, j: int) -> bool:
        return self.is_cut and j == self.vectors - 1

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


class _FittedWriter(_TileWriter):
    """Writes the function: the loops round the tiles, and what packs B."""

    def text(self, *_: str) -> str:
        """Return all of the function."""
        if self._packs:
            numbers = self.products.k * self.products.most * self.lanes
            self.line(f"%panel = alloca [{numbers} x {self.real}], align 64")
        if self.epilogue and self.epilogue.terms > _SHORT:
            numbers = max(self.products.heights) * self.products.most * self.lanes
            self.line(f"%tile = alloca [{numbers} x {self.real}], align 64")
        self.place = {word: self._place(number) for number, word in enumerate(PLACES)}
        first = 2 * len(PLACES)
        axes = len(self.products.steps)
        self.counts = [self.load("i64", "%arguments", 8 * (first + x)) for x in range(2 + axes)]
        if self.epilogue:
            begin = first + 2 + axes
            if self.mask:  # LLVM stores more of integers than a mask says that it knows
                self.epilogue.make_mask(self.load("i64", "%arguments", 8 * begin))
            self.epilogue.begin(self.at("%arguments", 8 * (begin + bool(self.mask))))
        self._stack(0, [self.place[word] for word in "abc"])
        self.line("ret i64 0")
        return super().text("define i64 @run(ptr %places, ptr %arguments) nounwind")

    def _place(self, number: int) -> str:
        index = self.load("i64", "%arguments", 16 * number)
        base = self.load("ptr", "%places", self.multiply(index, 8))
        return self.at(base, self.load("i64", "%arguments", 16 * number + 8))

    def _stack(self, axis: int, places: list[str]) -> None:
        if axis == len(self.products.steps):
            self._product(*places)
            return
        with self.loop(0, self.counts[2 + axis]) as index:
            moved = (self.multiply(index, step * self.size) for step in self.products.steps[axis])
            inner = [self.at(x, step) for x, step in zip(places, moved, strict=True)]
            self._stack(axis + 1, inner)

    def _product(self, a: str, b: str, c: str) -> None:
        for panels in self.products.panels:
            self.vectors, self.is_cut = panels.vectors, panels.is_cut
            first, width = panels.first * self.lanes, panels.vectors * self.lanes
            if panels.times == 1:
                self._panel(a, b, c, first)
            else:
                last = first + width * panels.times
                with self.loop(first, last, width) as column:
                    self._panel(a, b, c, column)

    def _panel(self, a: str, b: str, c: str, column: str | int) -> None:
        a_row, _, b_step, b_column, c_row = (x * self.size for x in self.products.strides)
        b, c = self._moved(b, column, b_column), self._moved(c, column, self.size)
        if self._packs:
            self._pack(b)
            b, b_step = "%panel", self._width
        high, low = self.products.heights
        row: str | int = 0
        for height, count in zip((high, low), self.counts, strict=False):
            if height:
                end = self.add(row, self.multiply(count, height))
                with self.loop(row, end, height) as here:
                    there = self.at(a, self.multiply(here, a_row))
                    to = self.at(c, self.multiply(here, c_row))
                    self.tile(there, b, b_step, to, (height, here, column))
                row = end

    def _moved(self, pointer: str, by: str | int, nbytes: int) -> str:
        if by == 0:
            return pointer
        return self.at(pointer, by * nbytes if isinstance(by, int) else self.multiply(by, nbytes))

    def _pack(self, b: str) -> None:
        """Copy a panel of B to where the numbers of a row lie side by side."""
        k, (_, _, b_step, b_column, _) = self.products.k, self.products.strides
        n = self.vectors * self.lanes
        if self.is_cut:
            n -= self.lanes - self.products.n % self.lanes
        squares = k // self.lanes if b_step == 1 else 0
        if squares:
            self._transpose(b, n, squares)
        if squares * self.lanes == k:
            return
        pointers = f"<{self.lanes} x ptr>"
        gather = f"@llvm.masked.gather.{self.kind}.v{self.lanes}p0"
        self.declarations.add(
            f"declare {self.vector} {gather}({pointers}, i32, {self.masks}, {self.vector})"
        )
        with self.loop(squares * self.lanes, k) as p:
            row = self.at(b, self.multiply(p, b_step * self.size))
            to = self.at("%panel", self.multiply(p, self._width))
            for j in range(self.vectors):
                columns = range(j * self.lanes, (j + 1) * self.lanes)
                offsets = ", ".join(f"i64 {column * b_column}" for column in columns)
                places = f"<{self.lanes} x i64> <{offsets}>"
                where = self.new(f"getelementptr {self.real}, ptr {row}, {places}")
                mask = self.mask if n < columns.stop else self._all_lanes
                rest = f"i32 {self.size}, {self.masks} {mask}, {self.vector} zeroinitializer"
                found = self.new(f"call {self.vector} {gather}({pointers} {where}, {rest})")
                place = self.at(to, j * self.lanes * self.size)
                self.line(f"store {self.vector} {found}, ptr {place}, align {self.size}")

    def _transpose(self, b: str, n: int, squares: int) -> None:
        """Pack the first rows of a panel whose columns lie in one piece each, in squares."""
        whole = n // self.lanes
        if whole:
            with self.loop(0, whole) as j:
                self._transpose_columns(b, j, self.lanes, squares)
        if whole < self.vectors:
            self._transpose_columns(b, whole, n - whole * self.lanes, squares)

    def _transpose_columns(self, b: str, j: str | int, there: int, squares: int) -> None:
        """Pack so many columns, as many as a vector has; what is beyond them is the last one."""
        column_step = self.products.strides[3] * self.size
        b = self.at(b, self.multiply(j, self.lanes * column_step))
        panel = self.at("%panel", self.multiply(j, self.lanes * self.size))
        with self.loop(0, squares) as square:
            head = self.at(b, self.multiply(square, self.lanes * self.size))
            columns = (min(lane, there - 1) * column_step for lane in range(self.lanes))
            loaded = [self.load(self.vector, head, x, align=self.size) for x in columns]
            place = self.at(panel, self.multiply(square, self.lanes * self._width))
            for number, value in enumerate(self.transposed(loaded)):
                to = self.at(place, number * self._width)
                self.line(f"store {self.vector} {value}, ptr {to}, align {self.size}")

    @property
    def _all_lanes(self) -> str:
        return f"<{', '.join(['i1 1'] * self.lanes)}>"
