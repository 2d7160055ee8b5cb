"""Sharing out a step to workers, in LLVM's language: what they do, and what they are called by.

A step that is shared out has pieces, each a step by itself, that may be done in any order and by
anybody. Whoever runs the program publishes them, takes one after the other as the workers do, and
waits until the last is done. Which pieces are left stands in one number of 64 bits, a bit for each,
together with how many there are and which job it is, so that a worker who comes late cannot take a
piece of the next job for one of his:

    claim = job << 32 | pieces << 16 | left

Each thread has its share of the pieces, as many in a row as anybody, and takes those first: steps
that follow each other are cut alike, so what a thread has written in one is in its own cache in the
next. When these are done, it takes one of the others', the last one first.

Where a step of some pieces has to be done in their order, as each adds to what the one before has
left, the pieces are begun in that order, and who comes to that step waits for the one before. None
waits for a piece that nobody has begun.

A worker who has had nothing to do for a while sleeps, until the number of the job changes (a futex
on the upper half); a longer while, as long as somebody runs a program with him: between its steps
that are shared out there are some that are not.

One who comes late, where the processors are busy with something else, costs more than he helps. So
where a program has waited for a worker longer than it worked itself, or had no processor for more
than an eighth of its time, it goes on alone for 16 times as long as that, and longer each time. It
bears it if it has worked for as long since the last time: something short has come between, as when
a program begins. Who does what changes no bit, since no piece asks.

A worker who is woken may be given the very processor that the program runs on, while another has
nothing to do; where processors share no cache, Linux leaves it at that for many milliseconds. So
workers may run on all of the process's processors but that one, and are told when it is another.

All that is needed to know lies in one block of memory, the places of whose parts are below.
"""

from __future__ import annotations

from string import Template
from typing import Final

from miniflow.backends.native.claims import NEEDED

# Bytes from the beginning; what is written by different threads lies in different cache lines.
NBYTES: Final = 896
CLAIM, JOB, PENDING, JOINING = 0, 4, 64, 68  # `JOB` is the upper half of the claim
SLEEPING, WANTED, ALIVE = 128, 192, 196
OWNED: Final = 256
PLACES, PIECES, STATUS = 320, 328, 336  # of the job
UNTIL, LATE, SINCE, USED, PATIENCE = 384, 392, 400, 408, 416  # going on alone
WELL: Final = 424  # since when, of the time that who runs a program has had a processor
WAITED: Final = 432  # how long he has waited within his pieces
SYSCALL, CLOCK, FUTEX = 448, 456, 464  # addresses of functions, and the number of a call
GETCPU, SETAFFINITY, GETTID = 472, 480, 488  # the same
HERE, THREADS, ALLOWED, ELSEWHERE = 512, 576, 640, 768  # keeping apart

MOST_PIECES: Final = 16
COUNT: Final = 255  # what of a number of pieces is the number
IN_ORDER: Final = 256  # and what says that they come in order
SPINS: Final = 2048  # pauses before a thread that waits sleeps: some 20 to 100 microseconds
_MOST_SPINS: Final = 40 * SPINS  # of a worker while somebody runs a program with him
_JOIN_SPINS: Final = 16 * SPINS  # of who runs one: woken by a worker, he would be where that spins
SHORT_WAIT: Final = 50_000  # nanoseconds, for which nobody is late
LOOK_AGAIN: Final = 100_000  # nanoseconds, after which the time on a processor is looked at
_TIMES_ALONE: Final = 16
_LONGEST_ALONE: Final = 2_000_000_000

# A worker; it is handed the memory of the pool and his number, and ends when fewer are wanted.
_WORKER: Final = """
define i64 @run(ptr %segment) nounwind {
entry:
  %pool = load ptr, ptr %segment
  %number.at = getelementptr i64, ptr %segment, i64 1
  %number = load i64, ptr %number.at
  %wanted.at = getelementptr i8, ptr %pool, i64 $WANTED
  %job.at = getelementptr i8, ptr %pool, i64 $JOB
  %sleeping.at = getelementptr i8, ptr %pool, i64 $SLEEPING
  %alive.at = getelementptr i8, ptr %pool, i64 $ALIVE
  %owned.at = getelementptr i8, ptr %pool, i64 $OWNED
  %until.at = getelementptr i8, ptr %pool, i64 $UNTIL
  %me = add i64 %number, 1
  %syscall.at = getelementptr i8, ptr %pool, i64 $SYSCALL
  %syscall = load ptr, ptr %syscall.at
  %gettid.at = getelementptr i8, ptr %pool, i64 $GETTID
  %gettid = load i64, ptr %gettid.at
  %this = call i64 (i64, ...) %syscall(i64 %gettid)
  %this32 = trunc i64 %this to i32
  %threads.at = getelementptr i8, ptr %pool, i64 $THREADS
  %this.at = getelementptr i32, ptr %threads.at, i64 %number
  store atomic i32 %this32, ptr %this.at seq_cst, align 4
  %here.at = getelementptr i8, ptr %pool, i64 $HERE
  store atomic i32 -1, ptr %here.at seq_cst, align 4
  br label %look
look:
  %seen = phi i32 [0, %entry], [%job, %fresh], [%seen, %again], [%seen, %worked], [%seen, %woken]
  %spins = phi i64 [0, %entry], [0, %fresh], [%more, %again], [0, %worked], [0, %woken]
  %wanted = load atomic i32, ptr %wanted.at monotonic, align 4
  %wanted64 = sext i32 %wanted to i64
  %stays = icmp slt i64 %number, %wanted64
  br i1 %stays, label %take, label %end
take:
  %piece = call i64 @claim(ptr %pool, i64 %me)
  %any = icmp sge i64 %piece, 0
  br i1 %any, label %worked, label %idle
worked:
  call void @do_piece(ptr %pool, i64 %piece, i64 %me)
  br label %look
idle:
  %job = load atomic i32, ptr %job.at seq_cst, align 4
  %same = icmp eq i32 %job, %seen
  br i1 %same, label %old, label %fresh
fresh:
  br label %look
old:
  %more = add i64 %spins, 1
  %round = urem i64 %more, $SPINS
  %tired = icmp eq i64 %round, 0
  br i1 %tired, label %doubt, label %again
doubt:
  %owned = load atomic i32, ptr %owned.at monotonic, align 4
  %runs = icmp ne i32 %owned, 0
  %until = load atomic i64, ptr %until.at monotonic, align 8
  %today = call i64 @now(ptr %pool, i32 1)
  %shares = icmp sge i64 %today, %until
  %few = icmp ult i64 %more, $_MOST_SPINS
  %useful = and i1 %runs, %shares
  %stays.awake = and i1 %useful, %few
  br i1 %stays.awake, label %again, label %sleep
again:
  $pause
  br label %look
sleep:
  %a = atomicrmw add ptr %sleeping.at, i32 1 seq_cst
  %last = load atomic i32, ptr %job.at seq_cst, align 4
  %still = icmp eq i32 %last, %seen
  br i1 %still, label %wait, label %awake
wait:
  %seen64 = zext i32 %seen to i64
  call void @call_futex(ptr %pool, ptr %job.at, i64 128, i64 %seen64)
  br label %awake
awake:
  %b = atomicrmw sub ptr %sleeping.at, i32 1 seq_cst
  br label %woken
woken:
  br label %look
end:
  store atomic i32 0, ptr %this.at seq_cst, align 4
  %c = atomicrmw sub ptr %alive.at, i32 1 seq_cst
  ret i64 0
}
"""

# A step that is shared out, where the program has the pool (its address is in a place) and the
# workers are of use; else the whole is done by the step that was cut. It is handed: the number of
# that place, how many pieces there are, and for the whole and each piece a function and how many
# bytes from here its arguments lie.
_SHARED: Final = """
define i64 @run(ptr %places, ptr %arguments) nounwind {
entry:
  %place = load i64, ptr %arguments
  %pool.at = getelementptr i64, ptr %places, i64 %place
  %pool = load ptr, ptr %pool.at
  %there = icmp ne ptr %pool, null
  br i1 %there, label %staffed, label %alone
staffed:
  %wanted.at = getelementptr i8, ptr %pool, i64 $WANTED
  %wanted = load atomic i32, ptr %wanted.at monotonic, align 4
  %any = icmp sgt i32 %wanted, 0
  br i1 %any, label %rested, label %alone
rested:
  %until.at = getelementptr i8, ptr %pool, i64 $UNTIL
  %until = load i64, ptr %until.at
  %begun = call i64 @now(ptr %pool, i32 1)
  %patience.at = getelementptr i8, ptr %pool, i64 $PATIENCE
  %patience = load i64, ptr %patience.at
  %early = icmp slt i64 %begun, %until
  br i1 %early, label %alone, label %publish
alone:
  %function.at = getelementptr i64, ptr %arguments, i64 2
  %function = load ptr, ptr %function.at
  %offset.at = getelementptr i64, ptr %arguments, i64 3
  %offset = load i64, ptr %offset.at
  %whole = getelementptr i8, ptr %arguments, i64 %offset
  %of_whole = call i64 %function(ptr %places, ptr %whole, i64 0)
  ret i64 %of_whole
publish:
  call void @keep_apart(ptr %pool)
  %count.at = getelementptr i64, ptr %arguments, i64 1
  %counted = load i64, ptr %count.at
  %count = and i64 %counted, $COUNT
  %waited.at = getelementptr i8, ptr %pool, i64 $WAITED
  store i64 0, ptr %waited.at
  %places.at = getelementptr i8, ptr %pool, i64 $PLACES
  store ptr %places, ptr %places.at
  %pieces.at = getelementptr i8, ptr %pool, i64 $PIECES
  store ptr %arguments, ptr %pieces.at
  %status.at = getelementptr i8, ptr %pool, i64 $STATUS
  store atomic i64 0, ptr %status.at monotonic, align 8
  %joining.at = getelementptr i8, ptr %pool, i64 $JOINING
  store atomic i32 0, ptr %joining.at monotonic, align 4
  %pending.at = getelementptr i8, ptr %pool, i64 $PENDING
  %count32 = trunc i64 %count to i32
  store atomic i32 %count32, ptr %pending.at monotonic, align 4
  %job.at = getelementptr i8, ptr %pool, i64 $JOB
  %job = load atomic i32, ptr %job.at monotonic, align 4
  %job64 = zext i32 %job to i64
  %new = add i64 %job64, 1
  %upper = shl i64 %new, 32
  %middle = shl i64 %counted, 16
  %above = shl nsw i64 -1, %count
  %every = xor i64 %above, -1
  %both = or i64 %upper, %middle
  %word = or i64 %both, %every
  store atomic i64 %word, ptr %pool seq_cst, align 8
  %sleeping.at = getelementptr i8, ptr %pool, i64 $SLEEPING
  %sleeping = load atomic i32, ptr %sleeping.at seq_cst, align 4
  %asleep = icmp sgt i32 %sleeping, 0
  br i1 %asleep, label %wake, label %work
wake:
  %others = add i64 %count, -1
  call void @call_futex(ptr %pool, ptr %job.at, i64 129, i64 %others)
  br label %work
work:
  %piece = call i64 @claim(ptr %pool, i64 0)
  %more = icmp sge i64 %piece, 0
  br i1 %more, label %do, label %join
do:
  call void @do_piece(ptr %pool, i64 %piece, i64 0)
  br label %work
join:
  %tries = phi i64 [0, %work], [%tried, %spin]
  %pending = load atomic i32, ptr %pending.at seq_cst, align 4
  %over = icmp eq i32 %pending, 0
  br i1 %over, label %ended, label %spin
ended:
  %within = load i64, ptr %waited.at
  %none.within = icmp eq i64 %within, 0
  br i1 %none.within, label %on_time, label %ended.late
ended.late:
  %ended.at = call i64 @now(ptr %pool, i32 1)
  br label %came
spin:
  $pause
  %tried = add i64 %tries, 1
  %patient = icmp ult i64 %tried, 100
  br i1 %patient, label %join, label %slow
slow:
  %ready = call i64 @now(ptr %pool, i32 1)
  br label %wait
wait:
  %waits = phi i64 [0, %slow], [%waited, %wait.on], [%waits, %slept]
  %pending2 = load atomic i32, ptr %pending.at seq_cst, align 4
  %over2 = icmp eq i32 %pending2, 0
  br i1 %over2, label %came, label %wait.more
wait.more:
  %waited = add i64 %waits, 1
  %tired = icmp ugt i64 %waited, $_JOIN_SPINS
  br i1 %tired, label %doze, label %wait.on
wait.on:
  $pause
  br label %wait
doze:
  store atomic i32 1, ptr %joining.at seq_cst, align 4
  %pending3 = load atomic i32, ptr %pending.at seq_cst, align 4
  %over3 = icmp eq i32 %pending3, 0
  br i1 %over3, label %slept, label %doze.on
doze.on:
  ; What it sleeps here, it does not want a processor for: that is not counted below.
  %pending64 = zext i32 %pending3 to i64
  %doze.from = call i64 @now(ptr %pool, i32 1)
  call void @call_futex(ptr %pool, ptr %pending.at, i64 128, i64 %pending64)
  %doze.to = call i64 @now(ptr %pool, i32 1)
  %dozed = sub i64 %doze.to, %doze.from
  %doze.at = getelementptr i8, ptr %pool, i64 $SINCE
  %doze.since = load i64, ptr %doze.at
  %doze.later = add i64 %doze.since, %dozed
  store i64 %doze.later, ptr %doze.at
  br label %slept
slept:
  br label %wait
came:
  %done.at = phi i64 [%ended.at, %ended.late], [%ready, %wait]
  %end = call i64 @now(ptr %pool, i32 1)
  %waited.in.all = load i64, ptr %waited.at
  %lost.then = sub i64 %end, %done.at
  %lost = add i64 %lost.then, %waited.in.all
  %own.then = sub i64 %done.at, %begun
  %own = sub i64 %own.then, %waited.in.all
  %bearable = add i64 %own, %patience
  %is_late = icmp sgt i64 %lost, %bearable
  br i1 %is_late, label %late, label %on_time
on_time:
  ; Now and then it is looked at how long this thread had no processor.
  %since.at = getelementptr i8, ptr %pool, i64 $SINCE
  %since = load i64, ptr %since.at
  %used.at = getelementptr i8, ptr %pool, i64 $USED
  %passed = sub i64 %begun, %since
  %is_long = icmp sgt i64 %passed, $LOOK_AGAIN
  br i1 %is_long, label %look, label %done
look:
  %used = load i64, ptr %used.at
  %time = call i64 @now(ptr %pool, i32 1)
  %using = call i64 @now(ptr %pool, i32 3)
  store i64 %time, ptr %since.at
  store i64 %using, ptr %used.at
  %span = sub i64 %time, %since
  %on = sub i64 %using, %used
  %off = sub i64 %span, %on
  %eighth = lshr i64 %span, 3
  %bearable2 = add i64 %eighth, %patience
  %is_busy = icmp sgt i64 %off, %bearable2
  br i1 %is_busy, label %late, label %good
good:
  %late.at2 = getelementptr i8, ptr %pool, i64 $LATE
  %times2 = load i64, ptr %late.at2
  %none = icmp eq i64 %times2, 0
  %fewer = add i64 %times2, -1
  %left = select i1 %none, i64 0, i64 %fewer
  store i64 %left, ptr %late.at2
  br label %done
late:
  %loss = phi i64 [%lost, %came], [%off, %look]
  %late.at = getelementptr i8, ptr %pool, i64 $LATE
  %times = load i64, ptr %late.at
  %longer = mul i64 %loss, $_TIMES_ALONE
  %alone.for = shl i64 %longer, %times
  %most = call i64 @llvm.umin.i64(i64 %alone.for, i64 $_LONGEST_ALONE)
  %mine = call i64 @now(ptr %pool, i32 3)
  %well.at = getelementptr i8, ptr %pool, i64 $WELL
  %well = load i64, ptr %well.at
  %together = sub i64 %mine, %well
  %is_seldom = icmp sgt i64 %together, %longer
  br i1 %is_seldom, label %borne, label %leave
borne:
  store i64 %mine, ptr %well.at
  br label %done
leave:
  %then = add i64 %mine, %most
  store i64 %then, ptr %well.at
  %today = call i64 @now(ptr %pool, i32 1)
  %back = add i64 %today, %most
  store i64 %back, ptr %until.at
  %times.new = add i64 %times, 1
  %times.most = call i64 @llvm.umin.i64(i64 %times.new, i64 8)
  store i64 %times.most, ptr %late.at
  br label %done
done:
  %status = load atomic i64, ptr %status.at monotonic, align 8
  ret i64 %status
}
"""

# Runs a program with the pool, if it is free; else without it. What it is handed are the three
# numbers of a run, the address of the pool, and where among the places that is to stand.
_RUN_SHARED: Final = """
define i64 @run(ptr %segment) nounwind {
entry:
  %pool.at = getelementptr i64, ptr %segment, i64 3
  %pool = load ptr, ptr %pool.at
  %slot.at = getelementptr i64, ptr %segment, i64 4
  %slot = load ptr, ptr %slot.at
  %owned.at = getelementptr i8, ptr %pool, i64 $OWNED
  %tried = cmpxchg ptr %owned.at, i32 0, i32 1 seq_cst seq_cst, align 4
  %mine = extractvalue {i32, i1} %tried, 1
  br i1 %mine, label %with, label %without
without:
  store ptr null, ptr %slot
  %alone = call i64 @steps(ptr %segment)
  ret i64 %alone
with:
  store ptr %pool, ptr %slot
  call void @keep_apart(ptr %pool)
  %time0 = call i64 @now(ptr %pool, i32 1)
  %since.at = getelementptr i8, ptr %pool, i64 $SINCE
  store i64 %time0, ptr %since.at
  %using0 = call i64 @now(ptr %pool, i32 3)
  %used.at = getelementptr i8, ptr %pool, i64 $USED
  store i64 %using0, ptr %used.at
  %sleeping.at = getelementptr i8, ptr %pool, i64 $SLEEPING
  %sleeping = load atomic i32, ptr %sleeping.at seq_cst, align 4
  %asleep = icmp sgt i32 %sleeping, 0
  br i1 %asleep, label %rested, label %begin
rested:
  %until.at = getelementptr i8, ptr %pool, i64 $UNTIL
  %until = load i64, ptr %until.at
  %early = icmp slt i64 %time0, %until
  br i1 %early, label %begin, label %wake
wake:
  %job.at = getelementptr i8, ptr %pool, i64 $JOB
  %job = load atomic i32, ptr %job.at monotonic, align 4
  %job64 = zext i32 %job to i64
  %new = add i64 %job64, 1
  %word = shl i64 %new, 32
  store atomic i64 %word, ptr %pool seq_cst, align 8
  call void @call_futex(ptr %pool, ptr %job.at, i64 129, i64 $MOST_PIECES)
  br label %begin
begin:
  %result = call i64 @steps(ptr %segment)
  store atomic i32 0, ptr %owned.at seq_cst, align 4
  ret i64 %result
}
"""

_PAUSES: Final = {
    "x86_64": ("declare void @llvm.x86.sse2.pause()", "call void @llvm.x86.sse2.pause()"),
    "aarch64": ("declare void @llvm.aarch64.hint(i32)", "call void @llvm.aarch64.hint(i32 1)"),
}
FUTEX_CALLS: Final = {"x86_64": 202, "aarch64": 98}  # of Linux
AFFINITY_CALLS: Final = {"x86_64": 203, "aarch64": 122}
THREAD_CALLS: Final = {"x86_64": 186, "aarch64": 178}


def worker_text(processor: str) -> str:
    """Return LLVM's text of a worker, ``i64 run(ptr segment)``: the pool, and his number."""
    return filled(NEEDED + _WORKER, processor)


def shared_step_text(processor: str) -> str:
    """Return that of the step ``i64 run(ptr places, ptr arguments)`` that is done in pieces."""
    return filled(NEEDED + _SHARED, processor)


def shared_run_text(run: str, processor: str) -> str:
    """Return that of ``i64 run(ptr segment)``, which calls the text of the same name `run`."""
    steps = run.replace("define i64 @run(", "define internal i64 @steps(")
    return filled(steps + NEEDED + _RUN_SHARED, processor)


def filled(text: str, processor: str) -> str:
    """Return a text with the numbers of this module in the place of their words."""
    declared, pause = _PAUSES[processor]
    numbers = {name: value for name, value in globals().items() if isinstance(value, int)}
    return Template(text).substitute(numbers, declare_pause=declared, pause=pause)
