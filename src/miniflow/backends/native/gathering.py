"""Rows of the data copied to where a program looks for a batch, in LLVM's language.

    for i in first ... last:
        batch[i] = whole[order[i]], and the processor is told of whole[order[i + 1]]

Rows lie anywhere: without being told, the processor would wait for the beginning of each, and some
rows more until it notices that it goes on. Twice as fast so.

Where a thread has nothing to do for a while in each run, the batch of the next one is gathered
meanwhile, to another place: runs take turns with two. Whoever has done that writes down which rows
they were, and the next run does not gather them again. A run that did all of its steps alone has
not done it, so that the next one does.
"""

from __future__ import annotations

from functools import cache
from typing import Final, NamedTuple

from miniflow.backends.native import machine
from miniflow.backends.native.compiled import CompiledStep
from miniflow.backends.native.writer import LineWriter
from miniflow.lowering.loop_program import BufferView
from miniflow.lowering.pieces import MOST, bounds, piece_count

_BYTES: Final = 16.0  # of rows that lie anywhere, in a nanosecond
_A_PIECE: Final = 3_000  # nanoseconds, beside other steps
_LINE: Final = 64  # bytes


class RowGather(NamedTuple):
    """The step ``batch = whole[order]``, of so many rows of so many bytes; nothing if there is no
    `order`, or if it is the one whose address stands in `done`.
    """

    batch: BufferView
    whole: BufferView
    order: BufferView
    rows: int
    row_bytes: int
    done: BufferView | None = None

    @property
    def nanoseconds(self) -> float:
        """How long it takes, about."""
        return self.rows * self.row_bytes / _BYTES

    def compiled(self, first: int, last: int) -> CompiledStep:
        """Return the step for some of the rows."""
        places = self.batch, self.whole, self.order, self.done or self.order
        numbers = first, last, self.row_bytes, int(self.done is not None)
        return CompiledStep(machine.final_routine(print_gather()), (*places, *numbers))

    def pieces(self) -> list[CompiledStep]:
        """Return the steps into which it is cut; none, if it is better left whole."""
        count = piece_count(self.nanoseconds)
        cut = bounds(self.rows, count) if count else []
        return [self.compiled(*part) for part in cut] if len(cut) > 1 else []


class Gathers(NamedTuple):
    """The steps that gather the batches of a run, of the next one, and where it is written down
    that this is done.
    """

    each: tuple[RowGather, ...]
    following: tuple[RowGather, ...]
    done: BufferView

    @property
    def nanoseconds(self) -> float:
        """How long they take, about."""
        return sum(gather.nanoseconds for gather in self.each)

    @property
    def nbytes(self) -> int:
        """How many bytes the batches have."""
        return sum(gather.rows * gather.row_bytes for gather in self.each)

    def pieces_of_the_next(self) -> list[list[CompiledStep]]:
        """Return the pieces in which those of the next run are gathered."""
        found = list[list[CompiledStep]]()
        for gather in self.following:
            count = max(min(MOST, int(gather.nanoseconds / _A_PIECE)), 1)
            for number, part in enumerate(bounds(gather.rows, count)):
                if number == len(found):
                    found.append([])
                found[number].append(gather.compiled(*part))
        order = self.following[0].order
        found[0].append(CompiledStep(machine.final_routine(_TELL), (order, self.done)))
        return found


# Writes down of which rows the batch is there.
_TELL: Final = """
define i64 @run(ptr %places, ptr %arguments) nounwind {
  %order.number = load i64, ptr %arguments
  %order.at = getelementptr i64, ptr %places, i64 %order.number
  %order = load i64, ptr %order.at
  %done.field = getelementptr i64, ptr %arguments, i64 2
  %done.number = load i64, ptr %done.field
  %done.at = getelementptr i64, ptr %places, i64 %done.number
  %done = load ptr, ptr %done.at
  store i64 %order, ptr %done
  ret i64 0
}
"""


@cache
def print_gather() -> str:
    """Return LLVM's text of the step; `order` has numbers of 64 bits."""
    w = LineWriter()
    w.declarations.add("declare void @llvm.prefetch.p0(ptr, i32, i32, i32)")
    numbers = [w.load("i64", "%arguments", 8 * field) for field in range(12)]
    bases = [
        w.at(w.load("ptr", "%places", w.multiply(number, 8)), offset)
        for number, offset in zip(numbers[0:8:2], numbers[1:8:2], strict=True)
    ]
    batch, whole, order, done = bases
    first, end, nbytes, looks = numbers[8:]
    is_none = w.new(f"icmp eq ptr {order}, null")
    last, at = w.choose(is_none, first, end), w.choose(is_none, "%places", done, "ptr")
    same = w.new(f"icmp eq i64 {w.load('i64', at)}, {w.new(f'ptrtoint ptr {order} to i64')}")
    is_done = w.new(f"and i1 {same}, {w.new(f'icmp ne i64 {looks}, 0')}")
    last = w.choose(is_done, first, last)
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
