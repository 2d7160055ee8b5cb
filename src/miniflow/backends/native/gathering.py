"""Rows of the data copied to where a program looks for a batch, in LLVM's language.

    for i in first ... last:
        batch[i] = whole[order[i]], and the processor is told of whole[order[i + 1]]

Rows lie anywhere: without being told, the processor would wait for the beginning of each, and some
rows more until it notices that it goes on. Twice as fast so.
"""

from __future__ import annotations

from functools import cache
from typing import Final, NamedTuple

from miniflow.backends.native import machine
from miniflow.backends.native.compiled import CompiledStep
from miniflow.backends.native.writer import LineWriter
from miniflow.lowering.loop_program import BufferView
from miniflow.lowering.pieces import bounds, piece_count

_BYTES: Final = 16.0  # of rows that lie anywhere, in a nanosecond
_LINE: Final = 64  # bytes


class RowGather(NamedTuple):
    """The step ``batch = whole[order]``, of so many rows of so many bytes."""

    batch: BufferView
    whole: BufferView
    order: BufferView
    rows: int
    row_bytes: int

    @property
    def nanoseconds(self) -> float:
        """How long it takes, about."""
        return self.rows * self.row_bytes / _BYTES

    def compiled(self, first: int, last: int) -> CompiledStep:
        """Return the step for some of the rows."""
        places = self.batch, self.whole, self.order
        return CompiledStep(
            machine.final_routine(print_gather()), (*places, first, last, self.row_bytes)
        )

    def pieces(self) -> list[CompiledStep]:
        """Return the steps into which it is cut; none, if it is better left whole."""
        count = piece_count(self.nanoseconds)
        cut = bounds(self.rows, count) if count else []
        return [self.compiled(*part) for part in cut] if len(cut) > 1 else []


@cache
def print_gather() -> str:
    """Return LLVM's text of the step; `order` has numbers of 64 bits."""
    w = LineWriter()
    w.declarations.add("declare void @llvm.prefetch.p0(ptr, i32, i32, i32)")
    numbers = [w.load("i64", "%arguments", 8 * field) for field in range(9)]
    bases = [
        w.at(w.load("ptr", "%places", w.multiply(number, 8)), offset)
        for number, offset in zip(numbers[0:6:2], numbers[1:6:2], strict=True)
    ]
    batch, whole, order = bases
    first, last, nbytes = numbers[6:]
    in_lines = w.new(f"and i64 {nbytes}, {-_LINE}")
    in_words = w.new(f"and i64 {nbytes}, -8")
    final = w.add(last, -1)

    def row(number: str) -> str:
        index = w.load("i64", order, w.multiply(number, 8))
        return w.at(whole, w.multiply(index, nbytes))

    with w.loop(first, last) as number:
        source, following = row(number), row(w.smaller(w.add(number, 1), final))
        target = w.at(batch, w.multiply(number, nbytes))
        for kind, begin, end, step in (
            ("<16 x i32>", "0", in_lines, _LINE),
            ("i64", in_lines, in_words, 8),
            ("i8", in_words, nbytes, 1),
        ):
            with w.loop(begin, end, step) as here:
                if step == _LINE:
                    ahead = w.at(following, here)
                    w.line(f"call void @llvm.prefetch.p0(ptr {ahead}, i32 0, i32 3, i32 1)")
                value = w.load(kind, source, here, align=1)
                w.line(f"store {kind} {value}, ptr {w.at(target, here)}, align 1")
    w.line("ret i64 0")
    return w.text("define i64 @run(ptr %places, ptr %arguments) nounwind")
