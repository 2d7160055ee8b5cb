"""The innermost part of a product: a tile of the result, a few rows of a few vectors, kept in
registers while it goes through k.

    for p in 0 ... k:
        b = the vectors of row p of B
        for each row i of the tile:
            tile[i] = fma(a[i, p], b, tile[i])
    c = alpha * tile, or beta * c + alpha * tile

So each entry is one chain of multiply-adds in the order of k, however large tiles, vectors and
blocks of k are, and whatever has been packed: which of these was chosen leaves no trace in any bit.
Where the processor has no fused multiply-add, the chain multiplies and adds.

The distances in A and B are arguments, so one kernel serves every product that has tiles of its
size. What does not change from tile to tile it finds in a frame, whose fields are `FRAME`.
"""

from __future__ import annotations

from functools import cache
from typing import Final, NamedTuple

from miniflow.backends.native.writer import REALS, LineWriter

# Distances in bytes; `columns`: how many of the last vector of a tile at the edge are there;
# `goes_on`: the tile begins with what lies at c + `partial`, where the block of k before left it,
# `is_last`: it is scaled and goes to c, not there; `adds`: c counts, `beta` times; `ahead`: what is
# fetched to the second cache meanwhile, so many bytes further with each k (`ahead_step`), from
# where the next tile goes on.
ROWS_OF_A_POINTER: Final = 6
# How many rows of B, and columns of a far A, are fetched ahead: where they have been written by
# another thread, or lie far apart, the processor would begin to fetch them too late by itself.
_ROWS_AHEAD: Final = 48
_COLUMNS_AHEAD: Final = 8
_LINE: Final = 64  # bytes
_MANY: Final = 16  # vectors of a tile, so that there is time to fetch something
_FIRST, _SECOND = 3, 2  # the caches that something is fetched to, as LLVM numbers them
FRAME: Final = (
    *(f"a_row_{row}" for row in range(1, ROWS_OF_A_POINTER + 1)),  # once, twice ... the distance
    *("a_step", "b_step", "c_row", "columns", "ahead", "ahead_step"),
    *("goes_on", "is_last", "adds", "partial", "alpha", "beta"),
    *("count_0", "count_1", "sums"),  # see `print_in_place`
)


class TileShape(NamedTuple):
    """The kind of a micro-kernel: `rows` times `vectors` of `lanes` numbers of a dtype.

    At an edge, the last vector is cut; then `is_padded` says that B can be read beyond it. A is far
    (`is_far`) if the numbers of its columns lie side by side, and the columns far apart. One that
    `fetches` has so many lines of the cache to fetch ahead with each k.
    """

    dtype: str
    lanes: int
    rows: int
    vectors: int
    is_edge: bool
    is_padded: bool
    has_fma: bool
    is_far: bool = False
    fetches: int = 0


def frame_offset(field: str) -> int:
    """Return how many bytes after its beginning a field of the frame lies."""
    return 8 * FRAME.index(field)


@cache
def print_micro_kernel(shape: TileShape) -> str:
    """Return LLVM's text of `run(a, b, c, k, frame)`."""
    return MicroKernelWriter(shape).text()


class MicroKernelWriter(LineWriter):
    """Writes a micro-kernel; whose way through A is another overrides `_through_k`."""

    def __init__(self, shape: TileShape) -> None:
        super().__init__()
        self.shape = shape
        self.real, self.size = REALS[shape.dtype]
        self.vector = f"<{shape.lanes} x {self.real}>"
        self.kind = f"v{shape.lanes}{shape.dtype}"
        self.places = [(i, j) for i in range(shape.rows) for j in range(shape.vectors)]
        self.mask = ""

    def field(self, field: str, kind: str = "i64") -> str:
        """Return a field of the frame."""
        return self.load(kind, "%frame", frame_offset(field))

    def flag(self, field: str) -> str:
        """Return whether a field is not 0."""
        return self.new(f"icmp ne i64 {self.field(field)}, 0")

    def text(self, *_: str) -> str:
        """Return all of the kernel."""
        if self.shape.is_edge:
            self.mask = self._mask()
        self.c_row = self.field("c_row")
        self.goes_on, self.is_last = self.flag("goes_on"), self.flag("is_last")
        self._fetch_next()
        totals = self._through_k(self._beginning())
        scaled, kept = self.label(), self.label()
        self.line(f"br i1 {self.is_last}, label %{scaled}, label %{kept}")
        self.open(kept)
        self._store(totals, self.at("%c", self.field("partial")))
        self.line("ret void")
        self.open(scaled)
        self._finish(totals)
        return super().text("define void @run(ptr %a, ptr %b, ptr %c, i64 %k, ptr %frame) nounwind")

    def _mask(self) -> str:
        lanes = self.shape.lanes
        integer = f"i{8 * self.size}"
        count = self.field("columns")
        if integer != "i64":
            count = self.new(f"trunc i64 {count} to {integer}")
        all_counts = self._splat(count, integer)
        numbers = ", ".join(f"{integer} {lane}" for lane in range(lanes))
        return self.new(f"icmp slt <{lanes} x {integer}> <{numbers}>, {all_counts}")

    def _splat(self, number: str, kind: str) -> str:
        vector = f"<{self.shape.lanes} x {kind}>"
        one = self.new(f"insertelement {vector} poison, {kind} {number}, i32 0")
        zeros = f"<{self.shape.lanes} x i32> zeroinitializer"
        return self.new(f"shufflevector {vector} {one}, {vector} poison, {zeros}")

    def _fetch_next(self) -> None:
        """Let the processor fetch where the next tile's results go, while it computes this one's.

        It would else wait for them, when it begins that tile in the midst of k.
        """
        self.declarations.add("declare void @llvm.prefetch.p0(ptr, i32, i32, i32)")
        place = self.at(
            self.at("%c", self.field("partial")), self.multiply(self.c_row, self.shape.rows)
        )
        last = self.shape.vectors * self.shape.lanes * self.size - 1
        for row in range(self.shape.rows):
            place = self.at(place, self.c_row) if row else place
            for nbytes in dict.fromkeys((0, last)):
                where = self.at(place, nbytes) if nbytes else place
                self.line(f"call void @llvm.prefetch.p0(ptr {where}, i32 0, i32 3, i32 1)")

    # The chain.

    def _beginning(self) -> dict[tuple[int, int], str]:
        """Return what the chains begin with: 0, or where the block of k before has ended."""
        fresh, resumed, start = self.block, self.label(), self.label()
        self.line(f"br i1 {self.goes_on}, label %{resumed}, label %{start}")
        self.open(resumed)
        loaded = self._load_tile(self.at("%c", self.field("partial")))
        ready = self.block
        self.go(start)
        return {
            place: self.new(
                f"phi {self.vector} [zeroinitializer, %{fresh}], [{loaded[place]}, %{ready}]"
            )
            for place in self.places
        }

    def _through_k(self, totals: dict[tuple[int, int], str]) -> dict[tuple[int, int], str]:
        """Add the products of all k to the tile."""
        a_step, b_step = self.field("a_step"), self.field("b_step")
        rows = min(ROWS_OF_A_POINTER, self.shape.rows)
        offsets = ["0", *(self.field(f"a_row_{row}") for row in range(1, rows))]
        pointers = ["%a"]
        for _ in range(ROWS_OF_A_POINTER, self.shape.rows, ROWS_OF_A_POINTER):
            pointers.append(self.at(pointers[-1], self.field(f"a_row_{ROWS_OF_A_POINTER}")))
        moving, steps = [*pointers, "%b"], [a_step] * len(pointers) + [b_step]
        b_ahead = ""
        if self.shape.fetches:
            moving.append(self.field("ahead", "ptr"))
            steps.append(self.field("ahead_step"))
        if len(self.places) >= _MANY:
            is_long = self.new(f"icmp sgt i64 %k, {2 * _ROWS_AHEAD}")
            b_ahead = self.choose(is_long, self.multiply(b_step, _ROWS_AHEAD), 0)
        a_ahead = self.multiply(a_step, _COLUMNS_AHEAD) if self.shape.is_far else ""
        before, inside, after = self.block, self.label(), self.label()
        any_k = self.new("icmp sgt i64 %k, 0")
        self.line(f"br i1 {any_k}, label %{inside}, label %{after}")
        self.open(inside)
        here = [self.name() for _ in moving]
        b_here = here[len(pointers)]
        left, sums = self.name(), {place: self.name() for place in self.places}
        phis = len(self.lines)
        if b_ahead:
            self._fetch(self.at(b_here, b_ahead), self.shape.vectors * self.shape.lanes)
        if self.shape.fetches:
            self._fetch(here[-1], self.shape.fetches * _LINE // self.size, _SECOND)
        if a_ahead:
            self._fetch(self.at(here[0], a_ahead), self.shape.rows + _LINE // self.size)
        a, b, done = dict[int, str](), dict[int, str](), dict[tuple[int, int], str]()
        # What there is less of is kept in registers; of the other, one at a time.
        places, by_rows = self.places, self.shape.rows >= self.shape.vectors
        for i, j in places if by_rows else sorted(places, key=lambda place: place[::-1]):
            if j not in b:
                b[j] = self._load_b(b_here, j)
            if i not in a:
                group, offset = divmod(i, ROWS_OF_A_POINTER)
                where = offsets[offset] if offset else 0
                a[i] = self._splat(self.load(self.real, here[group], where, self.size), self.real)
            done[i, j] = self._multiply_add(a[i], b[j], sums[i, j])
        there = [self.at(x, step) for x, step in zip(here, steps, strict=True)]
        fewer = self.add(left, -1)
        carried = [
            *(("ptr", x, begin, y) for x, begin, y in zip(here, moving, there, strict=True)),
            ("i64", left, "%k", fewer),
            *((self.vector, sums[p], totals[p], done[p]) for p in self.places),
        ]
        self.lines[phis:phis] = [
            f"{x} = phi {kind} [{begin}, %{before}], [{y}, %{inside}]"
            for kind, x, begin, y in carried
        ]
        more = self.new(f"icmp ne i64 {fewer}, 0")
        self.line(f"br i1 {more}, label %{inside}, label %{after}")
        self.open(after)
        found = {
            p: self.new(f"phi {self.vector} [{totals[p]}, %{before}], [{done[p]}, %{inside}]")
            for p in self.places
        }
        if self.shape.fetches:
            end = self.new(f"phi ptr [{moving[-1]}, %{before}], [{there[-1]}, %{inside}]")
            where = self.at("%frame", frame_offset("ahead"))
            self.line(f"store ptr {end}, ptr {where}, align 8")
        return found

    def _fetch(self, place: str, numbers: int, cache: int = _FIRST) -> None:
        """Let the processor fetch so many numbers that lie side by side to one of its caches."""
        self.declarations.add("declare void @llvm.prefetch.p0(ptr, i32, i32, i32)")
        for nbytes in range(0, numbers * self.size, _LINE):
            where = self.at(place, nbytes) if nbytes else place
            self.line(f"call void @llvm.prefetch.p0(ptr {where}, i32 0, i32 {cache}, i32 1)")

    def _load_b(self, pointer: str, j: int) -> str:
        where = self.at(pointer, j * self.shape.lanes * self.size) if j else pointer
        return self._load(where, self._is_cut(j) and not self.shape.is_padded)

    def _multiply_add(self, a: str, b: str, total: str) -> str:
        if not self.shape.has_fma:
            product = self.new(f"fmul {self.vector} {a}, {b}")
            return self.new(f"fadd {self.vector} {product}, {total}")
        v = self.vector
        self.declarations.add(f"declare {v} @llvm.fma.{self.kind}({v}, {v}, {v})")
        return self.new(f"call {v} @llvm.fma.{self.kind}({v} {a}, {v} {b}, {v} {total})")

    # The result.

    def _finish(self, totals: dict[tuple[int, int], str]) -> None:
        alpha = self._splat(self.load(self.real, self.field("alpha", "ptr")), self.real)
        scaled = {p: self.new(f"fmul {self.vector} {totals[p]}, {alpha}") for p in self.places}
        added, alone = self.label(), self.label()
        self.line(f"br i1 {self.flag('adds')}, label %{added}, label %{alone}")
        self.open(alone)
        self._store(scaled, "%c")
        self.line("ret void")
        self.open(added)
        beta = self._splat(self.load(self.real, self.field("beta", "ptr")), self.real)
        old = self._load_tile("%c")
        for p in self.places:
            term = self.new(f"fmul {self.vector} {old[p]}, {beta}")
            scaled[p] = self.new(f"fadd {self.vector} {term}, {scaled[p]}")
        self._store(scaled, "%c")
        self.line("ret void")

    def _tile_places(self, pointer: str) -> dict[tuple[int, int], str]:
        """Return where the vectors of the tile lie in the result, or in the partial sums."""
        places = {}
        for i in range(self.shape.rows):
            if i:
                pointer = self.at(pointer, self.c_row)
            for j in range(self.shape.vectors):
                nbytes = j * self.shape.lanes * self.size
                places[i, j] = self.at(pointer, nbytes) if j else pointer
        return places

    def _load_tile(self, pointer: str) -> dict[tuple[int, int], str]:
        places = self._tile_places(pointer)
        return {(i, j): self._load(where, self._is_cut(j)) for (i, j), where in places.items()}

    def _store(self, tile: dict[tuple[int, int], str], pointer: str) -> None:
        for (i, j), where in self._tile_places(pointer).items():
            value = f"{self.vector} {tile[i, j]}"
            if not self._is_cut(j):
                self.line(f"store {value}, ptr {where}, align {self.size}")
                continue
            masks = f"<{self.shape.lanes} x i1>"
            function = f"@llvm.masked.store.{self.kind}.p0"
            self.declarations.add(f"declare void {function}({self.vector}, ptr, i32, {masks})")
            rest = f"ptr {where}, i32 {self.size}, {masks} {self.mask}"
            self.line(f"call void {function}({value}, {rest})")

    def _is_cut(self, j: int) -> bool:
        return self.shape.is_edge and j == self.shape.vectors - 1

    def _load(self, where: str, is_cut: bool) -> str:
        if not is_cut:
            return self.new(f"load {self.vector}, ptr {where}, align {self.size}")
        masks = f"<{self.shape.lanes} x i1>"
        function = f"@llvm.masked.load.{self.kind}.p0"
        v = self.vector
        self.declarations.add(f"declare {v} {function}(ptr, i32, {masks}, {v})")
        rest = f"i32 {self.size}, {masks} {self.mask}, {v} zeroinitializer"
        return self.new(f"call {v} {function}(ptr {where}, {rest})")
