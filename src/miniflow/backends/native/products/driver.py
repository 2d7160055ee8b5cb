"""The loops round the micro-kernels: one function, which serves every product there is.

    for each product of a stack:
        for each block of k:
            pack its windows, if A's columns are some
            for each block of rows of A:
                pack its strips, if that pays, or windows
                for each group of panels of B:
                    pack them, if that pays, and no block of rows has done so
                    for each strip, and for each panel: run the micro-kernel on the tile, and after
                        the last k the epilogue

So a strip of A stays in the first cache while it meets all panels of a group, which stay in the
second one, and A is read once a group. The next strip comes to the second cache meanwhile, where
its rows lie one behind the other: each tile fetches its part of it. A processor would begin to
fetch them when they are read, row by row, and wait.

An epilogue gets a tile in a buffer that the next one overwrites; where k comes in blocks, in the
memory of the result, which has the partial sums meanwhile.

All that it needs to know are numbers and addresses, `FIELDS`, among them those of the micro-kernels
and of what packs.
"""

from __future__ import annotations

from functools import cache
from typing import Final, NamedTuple

from miniflow.backends.native.products.gather_windows import GEOMETRY
from miniflow.backends.native.products.micro_kernel import (
    FRAME,
    ROWS_OF_A_POINTER,
    frame_offset,
)
from miniflow.backends.native.writer import LineWriter

STACKED: Final = 3  # axes of a stack of products, at most
# Addresses of code: a high tile has one row more than a low one, and high tiles come first.
CODE: Final = (
    *("high", "low", "high_at_edge", "low_at_edge", "pack_high", "pack_low", "pack_panels"),
    *("epilogue", "epilogue_at_edge", "gather_windows"),
)
# Places in memory: an index in the table, and an offset in bytes.
PLACES: Final = ("a", "b", "c", "alpha", "beta", "strips", "panel", "partial")
# Whether the rows of A are windows, or its columns; which is the first one, and the first element,
# in bytes; where they lie.
WINDOW_NUMBERS: Final = (
    *("rows_are_windows", "columns_are_windows", "first_window", "first_element"),
    *GEOMETRY,
)
NUMBERS: Final = (
    *("tiles", "high_tiles", "rows", "tiles_a_block"),  # `rows` of a low tile
    *("n", "panel_columns", "group_columns", "k", "k_block", "size"),
    *("lanes", "packs_a", "packs_b", "packs_edge", "panels_kept"),
    *("adds", "continues", "has_partial"),
    *("a_row", "a_step", "b_step", "b_column", "c_row", "ahead"),
    *WINDOW_NUMBERS,
    *("c_to_row", "c_to_column", "first_row", "first_column", "entries_row", "has_epilogue"),
    *(f"{x}{axis}" for axis in range(STACKED) for x in ("count", "a_to", "b_to", "c_to")),
)
FIELDS: Final = (*CODE, *(f"{x}{part}" for x in PLACES for part in (".at", ".nbytes")), *NUMBERS)


@cache
def print_driver() -> str:
    """Return LLVM's text of the step `run(places, arguments)`."""
    return _DriverWriter().text()


class _StripOfA(NamedTuple):
    """A strip of A: where it lies, whether it is high, its first row, and how many it has."""

    place: str
    is_high: str
    row: str
    rows: str


class _PanelOfB(NamedTuple):
    """A panel of B: where it lies, and its columns of C; its first column, counted as the epilogue
    counts, and how many it has; the code for its tiles.
    """

    place: str
    c: str
    column: str
    columns: str
    high: str
    low: str
    epilogue: str


class _DriverWriter(LineWriter):
    def __init__(self) -> None:
        super().__init__()
        self.number: dict[str, str] = {}
        self.code: dict[str, str] = {}
        self.place: dict[str, str] = {}
        self.has_epilogue = self.given = ""

    def text(self, *_: str) -> str:
        """Return all of the function."""
        self.frame = self.new(f"alloca [{len(FRAME)} x i64], align 16")
        self._fetch()
        self.given = self.at("%arguments", 8 * len(FIELDS))  # to the epilogue
        self._fill_frame()
        self._stack(0, self.place["a"], self.place["b"], self.place["c"])
        self.line("ret i64 0")
        return super().text("define i64 @run(ptr %places, ptr %arguments) nounwind")

    def _fetch(self) -> None:
        for word in CODE:
            self.code[word] = self._argument(word, "ptr")
        for word in NUMBERS:
            self.number[word] = self._argument(word)
        for word in PLACES:
            index, nbytes = self._argument(f"{word}.at"), self._argument(f"{word}.nbytes")
            base = self.load("ptr", "%places", self.multiply(index, 8))
            self.place[word] = self.at(base, nbytes)

    def _argument(self, field: str, kind: str = "i64") -> str:
        return self.load(kind, "%arguments", 8 * FIELDS.index(field))

    def _set(self, field: str, value: str | int, kind: str = "i64") -> None:
        where = self.at(self.frame, frame_offset(field))
        self.line(f"store {kind} {value}, ptr {where}, align 8")

    def _fill_frame(self) -> None:
        number = self.number
        a_row = self.choose(
            self._is("packs_a"), number["size"], number["a_row"]
        )  # in a strip, rows lie side by side
        for row in range(1, ROWS_OF_A_POINTER + 1):
            self._set(f"a_row_{row}", self.multiply(a_row, row))
        self._set("c_row", number["c_row"])
        self._set("adds", number["adds"])
        for word in ("alpha", "beta"):
            self._set(word, self.place[word], "ptr")

    def _is(self, field: str) -> str:
        return self.new(f"icmp ne i64 {self.number[field]}, 0")

    def _stack(self, axis: int, a: str, b: str, c: str) -> None:
        if axis == STACKED:
            self._product(a, b, c)
            return
        with self.loop(0, self.number[f"count{axis}"]) as index:
            steps = (self.number[f"{x}_to{axis}"] for x in "abc")
            moved = [self.multiply(index, step) for step in steps]
            self._stack(axis + 1, self.at(a, moved[0]), self.at(b, moved[1]), self.at(c, moved[2]))

    def _product(self, a: str, b: str, c: str) -> None:
        number = self.number
        ends = self.new(f"sub i64 {self._address(self.place['partial'])}, {self._address(c)}")
        self._set("partial", self.choose(self._is("has_partial"), ends, 0))
        # Once even where k is 0: then the result is 0.
        k_end = self.new(f"call i64 @llvm.umax.i64(i64 {number['k']}, i64 1)")
        self.declarations.add("declare i64 @llvm.umax.i64(i64, i64)")
        with self.loop(0, k_end, number["k_block"]) as p:
            left = self.new(f"sub i64 {number['k']}, {p}")
            k = self.smaller(left, number["k_block"])
            is_later = self.new(f"icmp ne i64 {p}, 0")
            goes_on = self.new(f"or i1 {is_later}, {self._is('continues')}")
            is_last = self.new(f"icmp eq i64 {k}, {left}")
            for field, flag in (("goes_on", goes_on), ("is_last", is_last)):
                self._set(field, self.new(f"zext i1 {flag} to i64"))
            self.has_epilogue = self.new(f"and i1 {is_last}, {self._is('has_epilogue')}")
            a_here = self.at(a, self.multiply(p, number["a_step"]))
            are_columns = self._is("columns_are_windows")
            with self.when(are_columns):
                self._gather(a, p, k)
            a_here = self.choose(are_columns, self._elements(), a_here, "ptr")
            b_here = self.at(b, self.multiply(p, number["b_step"]))
            with self.loop(0, number["tiles"], number["tiles_a_block"]) as first:
                last = self.smaller(self.add(first, number["tiles_a_block"]), number["tiles"])
                with self.when(self._is("packs_a")):
                    self._pack_strips(a_here, k, first, last)
                are_rows = self._is("rows_are_windows")
                with self.when(are_rows):
                    rows = self.new(f"sub i64 {self._row(last)}, {self._row(first)}")
                    self._gather(a, self._row(first), rows)
                before = self.new(f"sub i64 0, {self.multiply(self._row(first), number['a_row'])}")
                gathered = self.at(self._elements(), before)
                a_now = self.choose(are_rows, gathered, a_here, "ptr")
                self._panels(a_now, b_here, c, k, first, last)

    def _address(self, pointer: str) -> str:
        return self.new(f"ptrtoint ptr {pointer} to i64")

    def _row(self, tile: str) -> str:
        """Return the first row of a tile."""
        higher = self.smaller(tile, self.number["high_tiles"])
        return self.add(self.multiply(tile, self.number["rows"]), higher)

    def _is_high(self, tile: str) -> str:
        return self.new(f"icmp ult i64 {tile}, {self.number['high_tiles']}")

    def _strip(self, tile: str, first: str, k: str) -> str:
        rows = self.new(f"sub i64 {self._row(tile)}, {self._row(first)}")
        nbytes = self.multiply(self.multiply(rows, k), self.number["size"])
        return self.at(self.place["strips"], nbytes)

    def _gather(self, images: str, first: str, count: str) -> None:
        """Copy windows to where strips else are."""
        window = self.add(first, self.number["first_window"])
        geometry = self.at("%arguments", 8 * FIELDS.index(GEOMETRY[0]))
        given = f"ptr {images}, ptr {self.place['strips']}, i64 {window}, i64 {count}"
        self.line(f"call void {self.code['gather_windows']}({given}, ptr {geometry})")

    def _elements(self) -> str:
        """Return where the elements of the windows lie that are looked at."""
        return self.at(self.place["strips"], self.number["first_element"])

    def _pack_strips(self, a: str, k: str, first: str, last: str) -> None:
        """Pack the strips from one to before another: the high ones, then the low ones."""
        high = self.number["high_tiles"]
        middle = self.smaller(self.new(f"call i64 @llvm.umax.i64(i64 {first}, i64 {high})"), last)
        for word, begin, end in (("pack_high", first, middle), ("pack_low", middle, last)):
            with self.when(self.new(f"icmp ult i64 {begin}, {end}")):
                source = self.at(a, self.multiply(self._row(begin), self.number["a_row"]))
                where = f"ptr {source}, ptr {self._strip(begin, first, k)}"
                count = self.new(f"sub i64 {end}, {begin}")
                how = f"i64 {k}, i64 {self.number['a_row']}, i64 {self.number['a_step']}"
                self.line(f"call void {self.code[word]}({where}, {how}, i64 {count})")

    def _panels(self, a: str, b: str, c: str, k: str, first: str, last: str) -> None:
        number = self.number
        row = self.multiply(number["panel_columns"], number["size"])
        is_kept = self.new(f"icmp ne i64 {number['panels_kept']}, 0")
        is_there = self.new(f"and i1 {is_kept}, {self.new(f'icmp ne i64 {first}, 0')}")
        may_pack = self.new(f"xor i1 {is_there}, true")
        with self.loop(0, number["n"], number["group_columns"]) as begin:
            end = self.smaller(self.add(begin, number["group_columns"]), number["n"])
            # Which column is the first in the memory for packed panels.
            alone = self.choose(is_kept, 0, begin)
            packs, packed = self._packed(begin, alone, k)
            with self.when(self.new(f"and i1 {may_pack}, {packs}")):
                how = f"i64 {number['b_step']}, i64 {number['b_column']}, i64 {row}"
                b_here = self.at(b, self.multiply(begin, number["b_column"]))
                columns = self.new(f"sub i64 {end}, {begin}")
                what = f"ptr {b_here}, ptr {packed}, i64 {k}"
                self.line(f"call void {self.code['pack_panels']}({what}, {how}, i64 {columns})")
            sizes = number["group_columns"], number["panel_columns"]
            is_one = self.new(f"icmp eq i64 {sizes[0]}, {sizes[1]}")
            with self.when(is_one):
                panel = self._panel(b, c, begin, alone, k)
                with self.loop(first, last) as tile:
                    strip = self._strip_of(tile, first, k, a)
                    self._fetch_after(strip, self.new(f"sub i64 {last}, {tile}"), k, ("1", "1"))
                    self._tile(strip, panel, k)
            with (
                self.when(self.new(f"xor i1 {is_one}, true")),
                self.loop(first, last) as tile,
            ):
                strip = self._strip_of(tile, first, k, a)
                columns = self.new(f"sub i64 {end}, {begin}")
                parts = columns, self.smaller(columns, number["panel_columns"])
                self._fetch_after(strip, self.new(f"sub i64 {last}, {tile}"), k, parts)
                with self.loop(begin, end, number["panel_columns"]) as column:
                    self._tile(strip, self._panel(b, c, column, alone, k), k)

    def _panel(self, b: str, c: str, column: str, alone: str, k: str) -> _PanelOfB:
        """Get ready for the panel that begins with a column."""
        number, code = self.number, self.code
        is_edge = self._is_edge(column)
        packs, packed = self._packed(column, alone, k)
        b_here = self.at(b, self.multiply(column, number["b_column"]))
        row = self.multiply(number["panel_columns"], number["size"])
        self._set("b_step", self.choose(packs, row, number["b_step"]))
        left = self.new(f"sub i64 {number['n']}, {column}")
        columns = self.smaller(left, number["panel_columns"])
        mask = self.add(number["lanes"], -1)  # lanes are a power of two
        self._set("columns", self.add(self.new(f"and i64 {self.add(columns, -1)}, {mask}"), 1))
        return _PanelOfB(
            place=self.choose(packs, packed, b_here, "ptr"),
            c=self.at(c, self.multiply(column, number["c_to_column"])),
            column=self.add(column, number["first_column"]),
            columns=columns,
            high=self.choose(is_edge, code["high_at_edge"], code["high"], "ptr"),
            low=self.choose(is_edge, code["low_at_edge"], code["low"], "ptr"),
            epilogue=self.choose(is_edge, code["epilogue_at_edge"], code["epilogue"], "ptr"),
        )

    def _is_edge(self, column: str) -> str:
        left = self.new(f"sub i64 {self.number['n']}, {column}")
        return self.new(f"icmp ult i64 {left}, {self.number['panel_columns']}")

    def _packed(self, column: str, alone: str, k: str) -> tuple[str, str]:
        """Return whether a panel is packed, and where. If only the last one is, it lies first."""
        number = self.number
        packs = self.choose(self._is_edge(column), number["packs_edge"], number["packs_b"])
        before = self.choose(self._is("packs_b"), self.new(f"sub i64 {column}, {alone}"), 0)
        nbytes = self.multiply(self.multiply(before, number["size"]), k)
        return self.new(f"icmp ne i64 {packs}, 0"), self.at(self.place["panel"], nbytes)

    def _strip_of(self, tile: str, first: str, k: str, a: str) -> _StripOfA:
        """Get ready for a strip of A."""
        number, is_high, row = self.number, self._is_high(tile), self._row(tile)
        packed = self._is("packs_a")
        rows = self.add(number["rows"], self.new(f"zext i1 {is_high} to i64"))
        step = self.choose(packed, self.multiply(rows, number["size"]), number["a_step"])
        self._set("a_step", step)
        in_place = self.at(a, self.multiply(row, number["a_row"]))
        place = self.choose(packed, self._strip(tile, first, k), in_place, "ptr")
        return _StripOfA(place, is_high, row, rows)

    def _fetch_after(self, strip: _StripOfA, left: str, k: str, columns: tuple[str, str]) -> None:
        """Let the tiles of a strip fetch the next one, if it is not the last that is `left`: of all
        `columns`, so many a tile.
        """
        number, (all_columns, some) = self.number, columns
        with self.when(self._is("ahead")):
            is_last = self.new(f"icmp ule i64 {left}, 1")
            of_a_step = self.multiply(self.multiply(strip.rows, number["ahead"]), some)
            rounded = self.add(self.add(of_a_step, all_columns), -1)
            step = self.choose(is_last, 0, self.new(f"udiv i64 {rounded}, {all_columns}"))
            packed = self.multiply(k, number["size"])
            row = self.choose(self._is("packs_a"), packed, number["a_row"])
            following = self.at(strip.place, self.multiply(strip.rows, row))
            self._set("ahead_step", step)
            self._set("ahead", self.choose(is_last, strip.place, following, "ptr"), "ptr")

    def _tile(self, strip: _StripOfA, panel: _PanelOfB, k: str) -> None:
        number = self.number
        kernel = self.choose(strip.is_high, panel.high, panel.low, "ptr")
        to_c = self.at(panel.c, self.multiply(strip.row, number["c_to_row"]))
        where = f"ptr {strip.place}, ptr {panel.place}, ptr {to_c}, i64 {k}, ptr {self.frame}"
        self.line(f"call void {kernel}({where})")
        with self.when(self.has_epilogue):
            first = self.add(strip.row, number["first_row"])
            last = self.add(first, strip.rows)
            sizes = (number["entries_row"], first, last, panel.column, panel.columns)
            places = ", ".join(f"i64 {size}" for size in sizes)
            given = f"ptr %places, ptr {self.given}, ptr {to_c}, {places}"
            self.line(f"call void {panel.epilogue}({given})")
