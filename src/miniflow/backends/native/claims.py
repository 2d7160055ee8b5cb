"""What a worker and whoever runs a program have in common, in LLVM's language: where each may run,
which piece is whose, how one is done and the other woken, and the time.

Words in capitals are places in the memory that they share, and numbers of `sharing`.
"""

from __future__ import annotations

from typing import Final

NEEDED: Final = """
declare i64 @llvm.umin.i64(i64, i64)
declare i32 @llvm.smax.i32(i32, i32)
declare i64 @llvm.cttz.i64(i64, i1)
declare i64 @llvm.ctlz.i64(i64, i1)
$declare_pause

; Tells the workers where they may run, if this thread is on another processor than it was.
define internal void @keep_apart(ptr %pool) nounwind noinline {
entry:
  %getcpu.at = getelementptr i8, ptr %pool, i64 $GETCPU
  %getcpu = load ptr, ptr %getcpu.at
  %there = icmp ne ptr %getcpu, null
  br i1 %there, label %ask, label %done
ask:
  %cpu = call i32 %getcpu()
  %here.at = getelementptr i8, ptr %pool, i64 $HERE
  %was = load atomic i32, ptr %here.at monotonic, align 4
  %same = icmp eq i32 %cpu, %was
  %known = icmp ult i32 %cpu, 1024
  %moved = xor i1 %same, true
  %to.tell = and i1 %moved, %known
  br i1 %to.tell, label %tell, label %done
tell:
  store atomic i32 %cpu, ptr %here.at monotonic, align 4
  %cpu64 = zext i32 %cpu to i64
  %its.word = lshr i64 %cpu64, 6
  %its.bit = and i64 %cpu64, 63
  %bit = shl i64 1, %its.bit
  %others = xor i64 %bit, -1
  %allowed.at = getelementptr i8, ptr %pool, i64 $ALLOWED
  %elsewhere.at = getelementptr i8, ptr %pool, i64 $ELSEWHERE
  br label %word
word:
  %w = phi i64 [0, %tell], [%w.next, %word]
  %any = phi i64 [0, %tell], [%any.next, %word]
  %from = getelementptr i64, ptr %allowed.at, i64 %w
  %bits = load i64, ptr %from
  %cleared = and i64 %bits, %others
  %is.its = icmp eq i64 %w, %its.word
  %kept = select i1 %is.its, i64 %cleared, i64 %bits
  %to = getelementptr i64, ptr %elsewhere.at, i64 %w
  store i64 %kept, ptr %to
  %any.next = or i64 %any, %kept
  %w.next = add i64 %w, 1
  %w.more = icmp ult i64 %w.next, 16
  br i1 %w.more, label %word, label %some
some:
  %nowhere = icmp eq i64 %any.next, 0
  br i1 %nowhere, label %done, label %thread
thread:
  %t = phi i64 [0, %some], [%t.next, %next]
  %threads.at = getelementptr i8, ptr %pool, i64 $THREADS
  %thread.at = getelementptr i32, ptr %threads.at, i64 %t
  %thread.of = load atomic i32, ptr %thread.at monotonic, align 4
  %exists = icmp ne i32 %thread.of, 0
  br i1 %exists, label %move, label %next
move:
  %syscall.at = getelementptr i8, ptr %pool, i64 $SYSCALL
  %syscall = load ptr, ptr %syscall.at
  %number.at = getelementptr i8, ptr %pool, i64 $SETAFFINITY
  %number = load i64, ptr %number.at
  %thread64 = zext i32 %thread.of to i64
  %r = call i64 (i64, ...) %syscall(i64 %number, i64 %thread64, i64 128, ptr %elsewhere.at)
  br label %next
next:
  %t.next = add i64 %t, 1
  %t.more = icmp ult i64 %t.next, $MOST_PIECES
  br i1 %t.more, label %thread, label %done
done:
  ret void
}

; Which piece is the next of the thread with this number; less than 0: there is none. Of pieces that
; come in order, it is the first that is left.
define internal i64 @claim(ptr %pool, i64 %number) nounwind {
entry:
  %wanted.at = getelementptr i8, ptr %pool, i64 $WANTED
  br label %look
look:
  %now = load atomic i64, ptr %pool seq_cst, align 8
  %left = and i64 %now, 65535
  %any = icmp ne i64 %left, 0
  br i1 %any, label %choose, label %none
choose:
  %shifted = lshr i64 %now, 16
  %counted = and i64 %shifted, 65535
  %pieces = and i64 %counted, $COUNT
  %ordered = icmp ne i64 %counted, %pieces
  %wanted = load atomic i32, ptr %wanted.at monotonic, align 4
  %others = call i32 @llvm.smax.i32(i32 %wanted, i32 0)
  %others64 = zext i32 %others to i64
  %threads = add i64 %others64, 1
  ; A worker who is wanted no more may be here still: his share is that of the last one.
  %which = call i64 @llvm.umin.i64(i64 %number, i64 %others64)
  %following = add i64 %which, 1
  %before = mul i64 %pieces, %which
  %after = mul i64 %pieces, %following
  %first = udiv i64 %before, %threads
  %last = udiv i64 %after, %threads
  %up.to.first = shl nsw i64 -1, %first
  %from.last = shl nsw i64 -1, %last
  %share = xor i64 %up.to.first, %from.last
  %wanted.ones = select i1 %ordered, i64 -1, i64 %share
  %own = and i64 %left, %wanted.ones
  %is.own = icmp ne i64 %own, 0
  %lowest = call i64 @llvm.cttz.i64(i64 %own, i1 false)
  %zeros = call i64 @llvm.ctlz.i64(i64 %left, i1 false)
  %highest = sub i64 63, %zeros
  %piece = select i1 %is.own, i64 %lowest, i64 %highest
  %bit = shl i64 1, %piece
  %fewer = xor i64 %now, %bit
  %tried = cmpxchg ptr %pool, i64 %now, i64 %fewer seq_cst seq_cst, align 8
  %mine = extractvalue {i64, i1} %tried, 1
  br i1 %mine, label %got, label %look
got:
  ret i64 %piece
none:
  ret i64 -1
}

define internal void @call_futex(ptr %pool, ptr %word, i64 %what, i64 %value) nounwind noinline {
  %syscall.at = getelementptr i8, ptr %pool, i64 $SYSCALL
  %syscall = load ptr, ptr %syscall.at
  %number.at = getelementptr i8, ptr %pool, i64 $FUTEX
  %number = load i64, ptr %number.at
  %r = call i64 (i64, ...) %syscall(
    i64 %number, ptr %word, i64 %what, i64 %value, ptr null, ptr null, i64 0)
  ret void
}

define internal void @do_piece(ptr %pool, i64 %piece, i64 %number) nounwind {
entry:
  %places.at = getelementptr i8, ptr %pool, i64 $PLACES
  %places = load ptr, ptr %places.at
  %pieces.at = getelementptr i8, ptr %pool, i64 $PIECES
  %pieces = load ptr, ptr %pieces.at
  %twice = shl i64 %piece, 1
  %field = add i64 %twice, 4
  %function.at = getelementptr i64, ptr %pieces, i64 %field
  %function = load ptr, ptr %function.at
  %offset.at = getelementptr i64, ptr %function.at, i64 1
  %offset = load i64, ptr %offset.at
  %arguments = getelementptr i8, ptr %pieces, i64 %offset
  %status = call i64 %function(ptr %places, ptr %arguments, i64 %number)
  %failed = icmp ne i64 %status, 0
  br i1 %failed, label %tell, label %over
tell:
  %status.at = getelementptr i8, ptr %pool, i64 $STATUS
  %told = atomicrmw umax ptr %status.at, i64 %status seq_cst
  br label %over
over:
  %pending.at = getelementptr i8, ptr %pool, i64 $PENDING
  %before = atomicrmw sub ptr %pending.at, i32 1 seq_cst
  %is_last = icmp eq i32 %before, 1
  br i1 %is_last, label %last, label %done
last:
  %joining.at = getelementptr i8, ptr %pool, i64 $JOINING
  %joining = load atomic i32, ptr %joining.at seq_cst, align 4
  %waits = icmp ne i32 %joining, 0
  br i1 %waits, label %wake, label %done
wake:
  call void @call_futex(ptr %pool, ptr %pending.at, i64 129, i64 1)
  br label %done
done:
  ret void
}

define internal i64 @now(ptr %pool, i32 %which) nounwind noinline {
  %time = alloca [2 x i64]
  %clock.at = getelementptr i8, ptr %pool, i64 $CLOCK
  %clock = load ptr, ptr %clock.at
  %r = call i32 %clock(i32 %which, ptr %time)
  %seconds = load i64, ptr %time
  %rest.at = getelementptr i64, ptr %time, i64 1
  %rest = load i64, ptr %rest.at
  %whole = mul i64 %seconds, 1000000000
  %sum = add i64 %whole, %rest
  ret i64 %sum
}
"""
