"""Operands copied to where, and in the order in which, a micro-kernel reads them.

A panel of B has a few vectors of columns: k rows of as many numbers, one after the other. A strip
of A has the rows of a tile: k columns of as many numbers. `columns` counts those that are there;
what lies beyond them in a panel is never looked at, as its results are never stored.

    by rows      the numbers of a row of B lie side by side: vectors are copied
    by columns   those of a column do: squares are transposed in registers, by shuffles
    any          one by one
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Final

from miniflow.backends.native.writer import REALS, LineWriter

BY_ROWS, BY_COLUMNS, ANY = "by rows", "by columns", "any"
_LANE: Final = 16  # bytes, in which shuffles are cheap
_AHEAD: Final = 64  # bytes, by which what is packed next is fetched


@cache
def print_pack_panels(dtype: str, lanes: int, vectors: int, order: str) -> str:
    """Return LLVM's text of `run(b, panels, k, b_step, b_column, panel_row, columns)`, which packs
    so many columns: `panel_row` bytes of each row, some vectors, go to the first panel, as many to
    the next.

    `b_step` and `b_column` are the distances from row to row, and from column to column, in bytes.
    """
    writer = _PanelWriter(dtype, lanes, vectors)
    if order == BY_ROWS:
        writer.copy_rows()
    else:
        with writer.each_panel():
            if order == BY_COLUMNS:
                writer.transpose()
            else:
                writer.copy_numbers("0", "%k", "0")
    writer.line("ret void")
    return writer.text(
        "define void @run(ptr %b, ptr %panels, i64 %k, i64 %b_step, i64 %b_column, "
        "i64 %panel_row, i64 %columns) nounwind"
    )


@cache
def print_pack_strips(dtype: str, rows: int, order: str) -> str:
    """Return LLVM's text of `run(a, strips, k, a_row, a_step, count)`: so many strips of `rows`
    rows of A, at distances of `a_row` bytes, in which the numbers have distances of `a_step`.

    By columns: the numbers of a column of A lie side by side.
    """
    writer = LineWriter()
    real, size = REALS[dtype]
    nbytes = writer.multiply("%k", rows * size)
    with writer.loop(0, "%count") as strip:
        strip_of_a = writer.at("%a", writer.multiply(strip, writer.multiply("%a_row", rows)))
        packed = writer.at("%strips", writer.multiply(strip, nbytes))
        with writer.loop(0, "%k") as step:
            source = writer.at(strip_of_a, writer.multiply(step, "%a_step"))
            target = writer.at(packed, writer.multiply(step, rows * size))
            if order == BY_COLUMNS:
                # The next strip begins where this one ends.
                ahead = writer.at(source, rows * size + _AHEAD)
                writer.declarations.add("declare void @llvm.prefetch.p0(ptr, i32, i32, i32)")
                writer.line(f"call void @llvm.prefetch.p0(ptr {ahead}, i32 0, i32 3, i32 1)")
                vector = f"<{rows} x {real}>"
                value = writer.load(vector, source, align=size)
                writer.line(f"store {vector} {value}, ptr {target}, align {size}")
            for row in range(0 if order == BY_COLUMNS else rows):
                source = writer.at(source, "%a_row") if row else source
                value = writer.load(real, source, align=size)
                place = writer.at(target, row * size)
                writer.line(f"store {real} {value}, ptr {place}, align {size}")
    writer.line("ret void")
    return writer.text(
        "define void @run(ptr %a, ptr %strips, i64 %k, i64 %a_row, i64 %a_step, i64 %count) "
        "nounwind"
    )


class SquareWriter(LineWriter):
    """Writes what transposes squares of vectors, as many as they have numbers (`lanes`)."""

    def __init__(self, dtype: str, lanes: int) -> None:
        super().__init__()
        self.real, self.size = REALS[dtype]
        self.lanes, self.vector = lanes, f"<{lanes} x {self.real}>"

    def transposed(self, square: list[str]) -> list[str]:
        """Return the columns of a square of vectors.

        First within lanes of 16 bytes, each for itself, then whole lanes change places.
        """
        short = min(_LANE // self.size, self.lanes)  # numbers in a lane
        rows = list(square)
        for first in range(0, self.lanes, short):
            rows[first : first + short] = self._transposed_in_lanes(rows[first : first + short])
        distance = short
        while distance < self.lanes:
            for i in range(self.lanes):
                if i & distance == 0:
                    pair = rows[i], rows[i + distance]
                    rows[i], rows[i + distance] = self._swap(*pair, distance)
            distance *= 2
        return rows

    def _transposed_in_lanes(self, rows: list[str]) -> list[str]:
        if len(rows) == 2:
            return [self._zip(rows[0], rows[1], 1, half) for half in (0, 1)]
        low = [self._zip(rows[i], rows[i + 1], 1, half) for half in (0, 1) for i in (0, 2)]
        return [self._zip(low[pair], low[pair + 1], 2, half) for pair in (0, 2) for half in (0, 1)]

    def _zip(self, a: str, b: str, width: int, half: int) -> str:
        """Within each lane, take turns between halves of two vectors, `width` numbers a turn."""
        short = min(_LANE // self.size, self.lanes)
        order = []
        for lane in range(0, self.lanes, short):
            for turn in range(0, short // 2, width):
                begin = lane + half * (short // 2) + turn
                order += [begin + i for i in range(width)]
                order += [self.lanes + begin + i for i in range(width)]
        return self._shuffle(a, b, order)

    def _swap(self, a: str, b: str, width: int) -> tuple[str, str]:
        """Exchange every second part of the first with every first part of the second."""
        kept, taken = list[int](), list[int]()
        for i in range(self.lanes):
            is_first = i & width == 0
            kept.append(i if is_first else self.lanes + i - width)
            taken.append(i + width if is_first else self.lanes + i)
        return self._shuffle(a, b, kept), self._shuffle(a, b, taken)

    def _shuffle(self, a: str, b: str, order: list[int]) -> str:
        mask = ", ".join(f"i32 {i}" for i in order)
        return self.new(
            f"shufflevector {self.vector} {a}, {self.vector} {b}, <{self.lanes} x i32> <{mask}>"
        )


class _PanelWriter(SquareWriter):
    def __init__(self, dtype: str, lanes: int, vectors: int) -> None:
        super().__init__(dtype, lanes)
        self.vectors = vectors
        self.b = self.panel = self.columns = ""  # of one panel

    @contextmanager
    def each_panel(self) -> Iterator[None]:
        """Do what is written inside for each panel."""
        wide = self.new(f"udiv i64 %panel_row, {self.size}")
        with self.loop(0, "%columns", wide) as first:
            self.b = self.at("%b", self.multiply(first, "%b_column"))
            self.panel = self.at("%panels", self.multiply(self.multiply(first, self.size), "%k"))
            self.columns = self.smaller(self.new(f"sub i64 %columns, {first}"), wide)
            yield

    def copy_rows(self) -> None:
        """Copy rows: of whole panels vector by vector, of the last one what there is of it."""
        panel, width = self.multiply("%panel_row", "%k"), self.vectors * self.lanes
        count = self.new(f"udiv i64 %columns, {width}")
        rest = self.new(f"urem i64 %columns, {width}")
        whole = self.new(f"and i64 {rest}, {-self.lanes}")
        with self.loop(0, "%k") as row:
            source = self.at("%b", self.multiply(row, "%b_step"))
            target = self.at("%panels", self.multiply(row, "%panel_row"))
            with self.loop(0, count) as number:
                here = self.at(source, self.multiply(number, width * self.size))
                there = self.at(target, self.multiply(number, panel))
                for vector in range(self.vectors):
                    self._copy(self.vector, here, there, vector * self.lanes * self.size)
            here = self.at(source, self.multiply(count, width * self.size))
            there = self.at(target, self.multiply(count, panel))
            with self.loop(0, whole, self.lanes) as column:
                self._copy(self.vector, here, there, self.multiply(column, self.size))
            with self.loop(whole, rest) as column:
                self._copy(self.real, here, there, self.multiply(column, self.size))

    def _copy(self, kind: str, source: str, target: str, nbytes: str | int) -> None:
        value = self.load(kind, self.at(source, nbytes), align=self.size)
        self.line(f"store {kind} {value}, ptr {self.at(target, nbytes)}, align {self.size}")

    def copy_numbers(self, first: str, last: str, left: str) -> None:
        """Copy numbers of some rows one by one, from a column on."""
        with self.loop(first, last) as row:
            source = self.at(self.b, self.multiply(row, "%b_step"))
            target = self.at(self.panel, self.multiply(row, "%panel_row"))
            with self.loop(left, self.columns) as column:
                where = self.at(source, self.multiply(column, "%b_column"))
                value = self.load(self.real, where, align=self.size)
                place = self.at(target, self.multiply(column, self.size))
                self.line(f"store {self.real} {value}, ptr {place}, align {self.size}")

    def transpose(self) -> None:
        """Transpose squares, as wide as a vector, in registers."""
        whole = self.new(f"and i64 %k, {-self.lanes}")
        last = self.add(self.columns, -1)
        with self.loop(0, self.columns, self.lanes) as left:
            columns = []
            for lane in range(self.lanes):  # beyond the edge, the last column again
                column = self.smaller(self.add(left, lane), last)
                columns.append(self.at(self.b, self.multiply(column, "%b_column")))
            panel = self.at(self.panel, self.multiply(left, self.size))
            with self.loop(0, whole, self.lanes) as row:
                nbytes = self.multiply(row, self.size)
                square = [
                    self.load(self.vector, self.at(column, nbytes), align=self.size)
                    for column in columns
                ]
                place = self.at(panel, self.multiply(row, "%panel_row"))
                for value in self.transposed(square):
                    self.line(f"store {self.vector} {value}, ptr {place}, align {self.size}")
                    place = self.at(place, "%panel_row")
        self.copy_numbers(whole, "%k", "0")
