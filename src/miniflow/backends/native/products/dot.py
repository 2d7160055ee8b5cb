"""The product of two vectors: a sum of products, in the order in which sums are added up.

Up to 32 products are one chain of multiply-adds. Of more, 16 chains are made, the first of products
0, 16, 32 ..., the second of 1, 17, 33 ..., and these are added up by halves: the first eight to the
last eight, then four to four. That order is the same for every processor; a single chain would have
each multiply-add wait for the one before.

So does each of sixteen that fit into one vector. Of what is only measured, where no bit of the sum
is seen, several times as many chains are made first.
"""

from __future__ import annotations

from functools import cache
from typing import Final

from miniflow.backends.native.writer import REALS, LineWriter
from miniflow.lowering.sums import LANES

PLACES: Final = ("a", "b", "c", "alpha", "beta")
_MEASURED: Final = {"f32": 4, "f64": 2}  # times as many chains: registers of AVX2 hold these
_AHEAD: Final = 1024  # bytes, by which what is measured is fetched
FIELDS: Final = (
    *(f"{x}{part}" for x in PLACES for part in (".at", ".nbytes")),
    *("k", "a_step", "b_step", "adds"),
)


@cache
def print_dot(dtype: str, is_contiguous: bool, has_fma: bool, is_measured: bool = False) -> str:
    """Return LLVM's text of the step c = alpha · (a · b), plus beta · c if it `adds`; if a · a is
    only measured, in another order, which is the same for every processor, too.

    Its arguments are `FIELDS`; steps count bytes. Vectors that are contiguous are loaded as such.
    """
    return _DotWriter(dtype, is_contiguous, has_fma, is_measured).text()


class _DotWriter(LineWriter):
    def __init__(self, dtype: str, is_contiguous: bool, has_fma: bool, is_measured: bool) -> None:
        super().__init__()
        self.times = _MEASURED[dtype] if is_measured else 1
        self.real, self.size = REALS[dtype]
        self.dtype, self.is_contiguous, self.has_fma = dtype, is_contiguous, has_fma
        self.vector = f"<{LANES} x {self.real}>"
        self.sums = ""

    def text(self, *_: str) -> str:
        """Return all of the function."""
        place = {word: self._place(word) for word in PLACES}
        k, self.a_step, self.b_step, adds = (
            self._argument(word) for word in ("k", "a_step", "b_step", "adds")
        )
        self.sums = self.new(f"alloca {self.vector}, align 64")
        self.line(f"store {self.vector} zeroinitializer, ptr {self.sums}, align 64")
        whole, first = self.new(f"and i64 {k}, {-LANES}"), "0"
        if self.times > 1:
            first = self.new(f"and i64 {k}, {-LANES * self.times}")
            self._add_vectors(place["a"], place["b"], "0", first, self.times)
        self._add_vectors(place["a"], place["b"], first, whole)
        self._add_rest(place["a"], place["b"], whole, k)
        alpha = self.load(self.real, place["alpha"], align=self.size)
        scaled = self.new(f"fmul {self.real} {self._halved()}, {alpha}")
        self.line(f"store {self.real} {scaled}, ptr {self.sums}, align 64")
        with self.when(self.new(f"icmp ne i64 {adds}, 0")):
            beta = self.load(self.real, place["beta"], align=self.size)
            old = self.load(self.real, place["c"], align=self.size)
            term = self.new(f"fmul {self.real} {old}, {beta}")
            both = self.new(f"fadd {self.real} {term}, {scaled}")
            self.line(f"store {self.real} {both}, ptr {self.sums}, align 64")
        result = self.load(self.real, self.sums, align=64)
        self.line(f"store {self.real} {result}, ptr {place['c']}, align {self.size}")
        self.line("ret i64 0")
        return super().text("define i64 @run(ptr %places, ptr %arguments) nounwind")

    def _argument(self, field: str) -> str:
        return self.load("i64", "%arguments", 8 * FIELDS.index(field))

    def _place(self, word: str) -> str:
        index = self._argument(f"{word}.at")
        base = self.load("ptr", "%places", self.multiply(index, 8))
        return self.at(base, self._argument(f"{word}.nbytes"))

    def _add_vectors(self, a: str, b: str, first: str, last: str, times: int = 1) -> None:
        """Add sixteen products at a time, or so many times as many, each to its own chain, kept in
        registers; what there is for sixteen is what these begin with, and end as. If they are
        more, both factors are the first.
        """
        before, inside, after = self.block, self.label(), self.label()
        begin = [self.load(self.vector, self.sums, align=64), *["zeroinitializer"] * (times - 1)]
        any_k = self.new(f"icmp slt i64 {first}, {last}")
        self.line(f"br i1 {any_k}, label %{inside}, label %{after}")
        self.open(inside)
        index, totals, phis = self.name(), [self.name() for _ in begin], len(self.lines)
        done = list[str]()
        for number, total in enumerate(totals):
            here = self.add(index, LANES * number) if number else index
            place = self.at(a, self.multiply(here, self.a_step))
            vectors = [self._load_vector(place, self.a_step)]
            if times > 1:
                self._fetch(self.at(place, _AHEAD))
                vectors *= 2
            else:
                place = self.at(b, self.multiply(here, self.b_step))
                vectors.append(self._load_vector(place, self.b_step))
            done.append(self._multiply_add(self.vector, f"v{LANES}{self.dtype}", vectors, total))
        following = self.add(index, LANES * times)
        self.lines[phis:phis] = [
            f"{index} = phi i64 [{first}, %{before}], [{following}, %{inside}]",
            *(
                f"{total} = phi {self.vector} [{start}, %{before}], [{end}, %{inside}]"
                for total, start, end in zip(totals, begin, done, strict=True)
            ),
        ]
        more, ended = self.new(f"icmp slt i64 {following}, {last}"), self.label()
        self.line(f"br i1 {more}, label %{inside}, label %{ended}")
        self.open(ended)
        while len(done) > 1:
            half = len(done) // 2
            pairs = zip(done[:half], done[half:], strict=True)
            done = [self.new(f"fadd {self.vector} {x}, {y}") for x, y in pairs]
        self.line(f"store {self.vector} {done[0]}, ptr {self.sums}, align 64")
        self.go(after)

    def _fetch(self, place: str) -> None:
        """Let the processor fetch the numbers of a vector."""
        self.declarations.add("declare void @llvm.prefetch.p0(ptr, i32, i32, i32)")
        for nbytes in range(0, LANES * self.size, 64) if self.is_contiguous else ():
            where = self.at(place, nbytes) if nbytes else place
            self.line(f"call void @llvm.prefetch.p0(ptr {where}, i32 0, i32 3, i32 1)")

    def _load_vector(self, pointer: str, step: str) -> str:
        if self.is_contiguous:
            return self.load(self.vector, pointer, align=self.size)
        vector = "poison"
        for lane in range(LANES):
            pointer = self.at(pointer, step) if lane else pointer
            value = self.load(self.real, pointer, align=self.size)
            vector = self.new(
                f"insertelement {self.vector} {vector}, {self.real} {value}, i32 {lane}"
            )
        return vector

    def _add_rest(self, a: str, b: str, whole: str, k: str) -> None:
        with self.loop(whole, k) as index:
            factors = [
                self.load(self.real, self.at(x, self.multiply(index, step)), align=self.size)
                for x, step in ((a, self.a_step), (b, self.b_step))
            ]
            chain = self.new(f"sub i64 {index}, {whole}")
            place = self.at(self.sums, self.multiply(chain, self.size))
            total = self.load(self.real, place, align=self.size)
            done = self._multiply_add(self.real, self.dtype, factors, total)
            self.line(f"store {self.real} {done}, ptr {place}, align {self.size}")

    def _halved(self) -> str:
        total, width = self.load(self.vector, self.sums, align=64), LANES
        while width > 1:
            width //= 2
            kind = f"<{2 * width} x {self.real}>"
            halves = [
                self.new(
                    f"shufflevector {kind} {total}, {kind} poison, <{width} x i32> "
                    f"<{', '.join(f'i32 {first + lane}' for lane in range(width))}>"
                )
                for first in (0, width)
            ]
            total = self.new(f"fadd <{width} x {self.real}> {halves[0]}, {halves[1]}")
        return self.new(f"extractelement <1 x {self.real}> {total}, i32 0")

    def _multiply_add(self, kind: str, suffix: str, factors: list[str], total: str) -> str:
        a, b = factors
        if not self.has_fma:
            return self.new(f"fadd {kind} {self.new(f'fmul {kind} {a}, {b}')}, {total}")
        self.declarations.add(f"declare {kind} @llvm.fma.{suffix}({kind}, {kind}, {kind})")
        return self.new(f"call {kind} @llvm.fma.{suffix}({kind} {a}, {kind} {b}, {kind} {total})")
