"""LLVM's text of products that read windows in place: micro-kernels, and the loops round them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Final, NamedTuple, TypeAlias

from miniflow.backends.native.products.epilogue import Epilogue, print_epilogue
from miniflow.backends.native.products.in_place import (
    MOST_AXES,
    InPlacePlan,
    WindowTile,
    axes_of_unit,
    tiles_of,
    unit_of,
)
from miniflow.backends.native.products.micro_kernel import (
    FRAME,
    MicroKernelWriter,
    TileShape,
    frame_offset,
)
from miniflow.backends.native.writer import LineWriter

PLACES: Final = ("a", "b", "c", "alpha", "beta", "partial", "sums")

Loops: TypeAlias = "tuple[tuple[int | None, int], ...]"  # lengths, and steps in bytes


def compile_in_place(
    plan: InPlacePlan,
    routine: Callable[[str], int],
    *,
    adds: bool,
    epilogue: Epilogue | None,
    keeps: bool,
) -> tuple[str, list[int | str]]:
    """Return the text of the step, and its arguments, as `compile_product` does."""
    has_tile = "tile" in plan.scratch(adds=adds, finishes=epilogue is not None and not keeps)
    driver = _InPlaceDriver(plan, adds, epilogue is not None, has_tile)
    whole, rest = divmod(plan.shape[1], plan.vectors * plan.lanes)
    code = [routine(text) if text else 0 for text in driver.kernels(whole, rest)]
    edge = -(-rest // plan.lanes), bool(rest % plan.lanes)
    for is_there, size in ((whole, (plan.vectors, False)), (rest, edge)):
        text = ""
        if epilogue is not None and is_there:
            text = print_epilogue(epilogue, plan.lanes, *size, plan.has_fma)
        code.append(routine(text) if text else 0)
    words = list(PLACES)
    if has_tile:
        words[2] = "tile"
    corner = epilogue.walk.corner if epilogue else (0, 0)
    unit = 1 if plan.is_turned else unit_of(plan)
    numbers = (plan.first // unit, plan.shape[0] // unit, *corner)
    return _print_driver(driver), [*code, *words, *numbers]


class _InPlaceDriver(NamedTuple):
    """What the loops round the micro-kernels depend on."""

    plan: InPlacePlan
    adds: bool
    has_epilogue: bool
    has_tile: bool

    @property
    def kinds(self) -> list[tuple[int | None, ...]]:
        """Where the rows of a tile lie, of each kind of tiles."""
        return list(dict.fromkeys(tile.offsets for tile in tiles_of(self.plan)))

    def kernels(self, whole: int, rest: int) -> Iterator[str]:
        """The text of each kind's micro-kernel, and of that at the edge; "" if there is none."""
        plan = self.plan
        loops: Loops
        if plan.is_turned:
            (_, image), (_, line), (places, step) = plan.k_axes
            loops = ((None, image), (None, line), (places, step))
        else:
            loops = plan.elements
        loops = tuple((length, step * plan.size) for length, step in loops)
        for offsets in self.kinds:
            sizes = (whole, plan.vectors, False), (rest, -(-rest // plan.lanes), rest % plan.lanes)
            for is_there, vectors, is_cut in sizes:
                height = len(offsets)
                shape = TileShape(
                    *(plan.dtype, plan.lanes, height, vectors, bool(is_cut), False, plan.has_fma)
                )
                yield print_kernel_in_place(shape, offsets, loops, plan.b_step) if is_there else ""


@cache
def print_kernel_in_place(
    shape: TileShape, offsets: tuple[int | None, ...], loops: Loops, b: int
) -> str:
    """Return LLVM's text of a micro-kernel, as `print_micro_kernel` does: where the rows of A lie
    (None: ones), the loops of k, and the step of B.
    """
    return _InPlaceKernelWriter(shape, offsets, loops, b).text()


class _InPlaceKernelWriter(MicroKernelWriter):
    """A micro-kernel in which k is several loops, and rows lie anyhow; where the length of a loop
    is None, it stands in the frame. A row of ones is none of A's: its sums lie elsewhere.
    """

    def __init__(
        self,
        shape: TileShape,
        offsets: tuple[int | None, ...],
        loops: Loops,
        b_step: int,
    ) -> None:
        super().__init__(shape)
        self.offsets, self.loops, self.b_step = offsets, loops, b_step * self.size

    def _fetch_next(self) -> None:
        """Where results go is near, or read rarely: to fetch it ahead takes longer than to wait."""

    def _through_k(self, totals: dict[tuple[int, int], str]) -> dict[tuple[int, int], str]:
        return self._turns(0, "%a", "%b", totals)[1]

    def _turns(
        self, level: int, a: str, b: str, totals: dict[tuple[int, int], str]
    ) -> tuple[str, dict[tuple[int, int], str]]:
        """Add up what a loop of k has in all its turns; return where B goes on, and the totals."""
        if level == len(self.loops):
            return self.at(b, self.b_step), self._step(a, b, totals)
        length, step = self.loops[level]
        count = self.field(f"count_{level}") if length is None else str(length)
        before, inside, after = self.block, self.label(), self.label()
        self.go(inside)
        here, there, left = self.name(), self.name(), self.name()
        sums, phis = {place: self.name() for place in self.places}, len(self.lines)
        end, done = self._turns(level + 1, here, there, sums)
        further, fewer = self.at(here, step), self.add(left, -1)
        carried = [("ptr", here, a, further), ("ptr", there, b, end), ("i64", left, count, fewer)]
        carried += [(self.vector, sums[p], totals[p], done[p]) for p in self.places]
        self.lines[phis:phis] = [
            f"{x} = phi {kind} [{begin}, %{before}], [{y}, %{self.block}]"
            for kind, x, begin, y in carried
        ]
        more = self.new(f"icmp ne i64 {fewer}, 0")
        self.line(f"br i1 {more}, label %{inside}, label %{after}")
        self.open(after)
        return end, done

    def _step(
        self, a: str, b: str, totals: dict[tuple[int, int], str]
    ) -> dict[tuple[int, int], str]:
        """Add the products of one k."""
        rows, columns, done = dict[int, str](), dict[int, str](), dict[tuple[int, int], str]()
        by_rows = self.shape.rows >= self.shape.vectors
        for i, j in self.places if by_rows else sorted(self.places, key=lambda place: place[::-1]):
            if j not in columns:
                columns[j] = self._load_b(b, j)
            offset = self.offsets[i]
            if offset is None:
                done[i, j] = self.new(f"fadd {self.vector} {totals[i, j]}, {columns[j]}")
                continue
            if i not in rows:
                number = self.load(self.real, a, offset, self.size)
                rows[i] = self._splat(number, self.real)
            done[i, j] = self._multiply_add(rows[i], columns[j], totals[i, j])
        return done

    def _tile_places(self, pointer: str) -> dict[tuple[int, int], str]:
        places = super()._tile_places(pointer)
        if None in self.offsets:
            row, sums = self.offsets.index(None), self.field("sums", "ptr")
            nbytes = self.shape.lanes * self.size
            places |= {(row, j): self.at(sums, j * nbytes) for j in range(self.shape.vectors)}
        return places


@cache
def _print_driver(driver: _InPlaceDriver) -> str:
    return _InPlaceDriverWriter(driver).text()


class _InPlaceDriverWriter(LineWriter):
    """The loops round the micro-kernels: addresses of code, places and a few numbers are arguments,
    all else is written into them.
    """

    def __init__(self, driver: _InPlaceDriver) -> None:
        super().__init__()
        self.driver, self.plan = driver, driver.plan
        self.kinds = driver.kinds
        self.is_last = "1"
        self.c_row = driver.plan.c_row * driver.plan.size
        if driver.has_tile:
            self.c_row = driver.plan.vectors * driver.plan.lanes * driver.plan.size

    def text(self, *_: str) -> str:
        """Return all of the function."""
        self.frame = self.new(f"alloca [{len(FRAME)} x i64], align 16")
        codes = 2 * len(self.kinds) + 2
        self.code = [self.load("ptr", "%arguments", 8 * k) for k in range(codes)]
        place = dict(zip(PLACES, map(self._place, range(codes, 99, 2)), strict=False))
        after = codes + 2 * len(PLACES)
        words = ("first", "count", "first_row", "first_column")
        self.number = {
            word: self.load("i64", "%arguments", 8 * (after + k)) for k, word in enumerate(words)
        }
        self.given = self.at("%arguments", 8 * (after + len(words)))
        self._fill_frame(place)
        if self.plan.is_turned:
            self._through_blocks(place["a"], place["b"], place["c"], place["sums"])
        else:
            self._through_units(place["a"], place["b"], place["c"])
        self.line("ret i64 0")
        return super().text("define i64 @run(ptr %places, ptr %arguments) nounwind")

    def _place(self, number: int) -> str:
        index = self.load("i64", "%arguments", 8 * number)
        base = self.load("ptr", "%places", self.multiply(index, 8))
        return self.at(base, self.load("i64", "%arguments", 8 * number + 8))

    def _set(self, field: str, value: str | int, kind: str = "i64") -> None:
        where = self.at(self.frame, frame_offset(field))
        self.line(f"store {kind} {value}, ptr {where}, align 8")

    def _fill_frame(self, place: dict[str, str]) -> None:
        partial = "0"
        if "partial" in self.plan.scratch(adds=self.driver.adds):
            ends = (self.new(f"ptrtoint ptr {place[x]} to i64") for x in ("partial", "c"))
            partial = self.new("sub i64 {}, {}".format(*ends))
        rest = self.plan.shape[1] % self.plan.lanes or self.plan.lanes
        self._set("partial", partial)
        fields = {"c_row": self.c_row, "columns": rest, "adds": int(self.driver.adds)}
        for field, value in {**fields, "goes_on": 0, "is_last": 1}.items():
            self._set(field, value)
        for word in ("alpha", "beta"):
            self._set(word, place[word], "ptr")

    def _through_units(self, a: str, b: str, c: str) -> None:
        """All tiles of a panel, unit by unit of places; then those of the next panel."""
        outer, unit = self.plan.places[: -axes_of_unit(self.plan)], unit_of(self.plan)
        for panel, column, is_edge in self._panels(b):
            end = self.add(self.number["first"], self.number["count"])
            with self.loop(self.number["first"], end) as number:
                row = self.multiply(self.new(f"sub i64 {number}, {self.number['first']}"), unit)
                here, left = a, number
                for axis, (length, step) in reversed(list(enumerate(outer))):
                    index = self.new(f"urem i64 {left}, {length}") if axis else left
                    left = self.new(f"udiv i64 {left}, {length}") if axis else left
                    here = self.at(here, self.multiply(index, step * self.plan.size))
                self._tiles(here, panel, c, row, column, is_edge)

    def _through_blocks(self, a: str, b: str, c: str, sums: str) -> None:
        """All tiles of a block of places, then those of the next block."""
        (images, image), (lines, line), (places, _) = self.plan.k_axes
        count, height = self.plan.block or (images, lines)
        outer, far = self.plan.places[0] if len(self.plan.places) == MOST_AXES else (1, 0)
        with (
            self.loop(0, outer) as o,
            self.loop(0, images, count) as n,
            self.loop(0, lines, height) as y,
        ):
            lengths, begins = (outer, images, lines), (o, n, y)
            ends = [
                self.smaller(self.new(f"sub i64 {length}, {begin}"), most)
                for length, begin, most in zip(lengths, begins, (1, count, height), strict=True)
            ]
            self._set("count_0", ends[1])
            self._set("count_1", ends[2])
            before, self.is_last, here = "0", "1", a
            for length, begin, end, step in zip(
                lengths, begins, ends, (far, image, line), strict=True
            ):
                before = self.new(f"or i64 {before}, {begin}")
                is_end = self.new(f"icmp eq i64 {self.add(begin, end)}, {length}")
                self.is_last = self.new(f"and i1 {self.is_last}, {is_end}")
                here = self.at(here, self.multiply(begin, step * self.plan.size))
            goes_on = self.new(f"icmp ne i64 {before}, 0")
            for field, flag in (("goes_on", goes_on), ("is_last", self.is_last)):
                self._set(field, self.new(f"zext i1 {flag} to i64"))
            number = self.add(self.multiply(self.add(self.multiply(o, images), n), lines), y)
            row = places * self.plan.b_step * self.plan.size
            for panel, column, is_edge in self._panels(self.at(b, self.multiply(number, row))):
                self._set("sums", self.at(sums, self.multiply(column, self.plan.size)), "ptr")
                self._tiles(here, panel, c, "0", column, is_edge)

    def _panels(self, b: str) -> Iterator[tuple[str, str, bool]]:
        """Each panel of B, the number of its first column, and whether it is cut."""
        n, width, size = self.plan.shape[1], self.plan.vectors * self.plan.lanes, self.plan.size
        whole = n // width * width
        if whole == width:
            yield b, "0", False
        elif whole:
            with self.loop(0, whole, width) as column:
                yield self.at(b, self.multiply(column, size)), column, False
        if whole < n:
            yield self.at(b, whole * size), str(whole), True

    def _tiles(self, a: str, b: str, c: str, row: str, column: str, is_edge: bool) -> None:
        """Run the micro-kernels of the tiles whose rows begin with `row`."""
        for tile, count, next_begin, next_row in _in_groups(tiles_of(self.plan)):
            if count == 1:
                here = self.at(a, tile.begin)
                self._tile(tile.offsets, here, b, c, self.add(row, tile.row), column, is_edge)
                continue
            with self.loop(0, count) as turn:
                here = self.at(self.at(a, tile.begin), self.multiply(turn, next_begin))
                first = self.add(self.add(row, tile.row), self.multiply(turn, next_row))
                self._tile(tile.offsets, here, b, c, first, column, is_edge)

    def _tile(
        self,
        kind: tuple[int | None, ...],
        a: str,
        b: str,
        c: str,
        row: str,
        column: str,
        is_edge: bool,
    ) -> None:
        kernel = self.code[2 * self.kinds.index(kind) + is_edge]
        if not self.driver.has_tile:
            c = self.at(
                self.at(c, self.multiply(row, self.c_row)), self.multiply(column, self.plan.size)
            )
        self.line(f"call void {kernel}(ptr {a}, ptr {b}, ptr {c}, i64 0, ptr {self.frame})")
        if not self.driver.has_epilogue:
            return
        with self.when(self.is_last):
            first = self.add(row, self.number["first_row"])
            left = self.add(column, self.number["first_column"])
            n, width = self.plan.shape[1], self.plan.vectors * self.plan.lanes
            sizes = (self.c_row, first, self.add(first, len(kind)), left)
            columns = n % width if is_edge else width
            places = ", ".join(f"i64 {x}" for x in (*sizes, columns))
            given = f"ptr %places, ptr {self.given}, ptr {c}, {places}"
            self.line(f"call void {self.code[2 * len(self.kinds) + is_edge]}({given})")


def _in_groups(tiles: Sequence[WindowTile]) -> Iterator[tuple[WindowTile, int, int, int]]:
    """Tiles of one kind at equal distances: the first, how many, and how far apart they are, in
    bytes, and in rows.
    """
    first = 0
    while first < len(tiles):
        tile, count, steps = tiles[first], 1, (0, 0)
        for other, last in zip(tiles[first + 1 :], tiles[first:], strict=False):
            found = other.begin - last.begin, other.row - last.row
            if other.offsets != tile.offsets or (count > 1 and found != steps):
                break
            steps, count = found, count + 1
        yield tile, count, *steps
        first += count
