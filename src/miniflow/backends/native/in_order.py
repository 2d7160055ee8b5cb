"""Steps of pieces that are done in the order of the pieces, in LLVM's language.

Each piece adds to what the one before has left, as to the gradient of a weight. So the pieces are
begun in order (`claims`), and at that step each waits for the same step of the one before: which is
the next one stands in a number for each such step, in memory that begins as zeros, and is 0 again
after the last piece. How long whoever runs the program has waited is added up, as it tells that a
worker is late (`sharing`).
"""

from __future__ import annotations

from typing import Final

from miniflow.backends.native import sharing
from miniflow.backends.native.claims import NEEDED

# A step of a piece that is done in the order of the pieces. It is handed: the number of the place
# of the pool, that of the place where it is counted which piece is next, and how many bytes from
# there; the number of its piece, how many there are, and, for the step, a function and how many
# bytes from here its arguments lie.
_STEP: Final = """
define i64 @run(ptr %places, ptr %arguments, i64 %me) nounwind {
entry:
  %pool.place = load i64, ptr %arguments
  %pool.at = getelementptr i64, ptr %places, i64 %pool.place
  %pool = load ptr, ptr %pool.at
  %next.place.at = getelementptr i64, ptr %arguments, i64 1
  %next.place = load i64, ptr %next.place.at
  %all.at = getelementptr i64, ptr %places, i64 %next.place
  %all = load ptr, ptr %all.at
  %far.at = getelementptr i64, ptr %arguments, i64 2
  %far = load i64, ptr %far.at
  %next.at = getelementptr i8, ptr %all, i64 %far
  %number.at = getelementptr i64, ptr %arguments, i64 3
  %number = load i64, ptr %number.at
  br label %look
look:
  %tries = phi i64 [0, %entry], [%tried, %again]
  %next = load atomic i64, ptr %next.at acquire, align 8
  %is.next = icmp eq i64 %next, %number
  br i1 %is.next, label %go, label %again
again:
  $pause
  %tried = add i64 %tries, 1
  %patient = icmp ult i64 %tried, 100
  br i1 %patient, label %look, label %slow
slow:
  %from = call i64 @now(ptr %pool, i32 1)
  br label %wait
wait:
  %then = load atomic i64, ptr %next.at acquire, align 8
  %is.then = icmp eq i64 %then, %number
  br i1 %is.then, label %came, label %wait.on
wait.on:
  $pause
  br label %wait
came:
  %runs = icmp eq i64 %me, 0
  br i1 %runs, label %count, label %go
count:
  %to = call i64 @now(ptr %pool, i32 1)
  %lost = sub i64 %to, %from
  %waited.at = getelementptr i8, ptr %pool, i64 $WAITED
  %waited = load i64, ptr %waited.at
  %more = add i64 %waited, %lost
  store i64 %more, ptr %waited.at
  br label %go
go:
  %function.at = getelementptr i64, ptr %arguments, i64 5
  %function = load ptr, ptr %function.at
  %offset.at = getelementptr i64, ptr %arguments, i64 6
  %offset = load i64, ptr %offset.at
  %its = getelementptr i8, ptr %arguments, i64 %offset
  %status = call i64 %function(ptr %places, ptr %its, i64 %me)
  %count.at = getelementptr i64, ptr %arguments, i64 4
  %count.all = load i64, ptr %count.at
  %following = add i64 %number, 1
  %is.last = icmp eq i64 %following, %count.all
  %left = select i1 %is.last, i64 0, i64 %following
  store atomic i64 %left, ptr %next.at release, align 8
  ret i64 %status
}
"""


def in_order_text(processor: str) -> str:
    """Return that of the step ``i64 run(ptr places, ptr arguments, i64 me)`` of a piece that waits
    for the same step of the one before.
    """
    return sharing.filled(NEEDED + _STEP, processor)
