"""What calls steps, in LLVM's language: one after the other, in loops, and a program many times."""

from __future__ import annotations

from typing import Final


def _call_each(count: str, places: str, before: str, after: str, me: str = "0") -> str:
    """Return blocks that call as many functions, listed from `%first.step` on, until one fails.

    The list has of each its address, and how many bytes from `%arguments` its own lie; it is told
    which thread calls it, `me`. The blocks follow the one called `before`, and go to `after`, or
    where one failed to `over`.
    """
    return f"""\
step:
  %number = phi i64 [0, %{before}], [%next, %good]
  %twice = shl i64 %number, 1
  %function.at = getelementptr i64, ptr %first.step, i64 %twice
  %function = load ptr, ptr %function.at
  %offset.at = getelementptr i64, ptr %function.at, i64 1
  %offset = load i64, ptr %offset.at
  %its = getelementptr i8, ptr %arguments, i64 %offset
  %status = call i64 %function(ptr {places}, ptr %its, i64 {me})
  %failed = icmp ne i64 %status, 0
  br i1 %failed, label %over, label %good
good:
  %next = add i64 %number, 1
  %more = icmp ult i64 %next, {count}
  br i1 %more, label %step, label %{after}
"""


def _move_each(goes_on: str, before: str, after: str) -> str:
    """Return a block that moves the `%moving` numbers listed from `%first.moving` on.

    The list has of each where it lies (in bytes, from `%arguments`), by how much it moves while the
    loop `goes_on`, and by how much after its last turn.
    """
    return f"""\
shift:
  %m = phi i64 [0, %{before}], [%m.next, %shift]
  %m.fields = mul i64 %m, 3
  %where.at = getelementptr i64, ptr %first.moving, i64 %m.fields
  %where = load i64, ptr %where.at
  %by.at = getelementptr i64, ptr %where.at, i64 1
  %by = load i64, ptr %by.at
  %whole.at = getelementptr i64, ptr %where.at, i64 2
  %whole = load i64, ptr %whole.at
  %change = select i1 {goes_on}, i64 %by, i64 %whole
  %what.at = getelementptr i8, ptr %arguments, i64 %where
  %what = load i64, ptr %what.at
  %new = add i64 %what, %change
  store i64 %new, ptr %what.at
  %m.next = add i64 %m, 1
  %m.more = icmp ult i64 %m.next, %moving
  br i1 %m.more, label %shift, label %{after}
"""


# Calls steps one after the other. One that returns 0 is followed by the next; less than 0, by the
# one so many before that; more than 0, by none: then the run gives 4 times the number of that step,
# counted from 1, plus what it returned, and else 0. What it is handed are three numbers: where the
# table of memory lies, where the steps lie (each a function and its arguments), and how many there
# are.
RUN: Final = """
define i64 @run(ptr %segment) nounwind {
entry:
  %places = load ptr, ptr %segment
  %second = getelementptr inbounds i64, ptr %segment, i64 1
  %steps = load ptr, ptr %second
  %third = getelementptr inbounds i64, ptr %segment, i64 2
  %count = load i64, ptr %third
  br label %step
step:
  %number = phi i64 [0, %entry], [%moved, %good]
  %where = getelementptr inbounds {ptr, ptr}, ptr %steps, i64 %number
  %function = load ptr, ptr %where
  %where.arguments = getelementptr inbounds {ptr, ptr}, ptr %where, i64 0, i32 1
  %arguments = load ptr, ptr %where.arguments
  %status = call i64 %function(ptr %places, ptr %arguments)
  %next = add i64 %number, 1
  %bad = icmp sgt i64 %status, 0
  br i1 %bad, label %failed, label %good
good:
  %moved = add i64 %next, %status
  %more = icmp ult i64 %moved, %count
  br i1 %more, label %step, label %done
failed:
  %shifted = shl i64 %next, 2
  %both = or i64 %shifted, %status
  ret i64 %both
done:
  ret i64 0
}
"""

# Ends a turn of a loop: what moves in it moves on, and the run goes back; after the last turn all
# is as it was before the first, and the run goes on. It is handed: how many turns are over, how
# many there are, how far to go back, how many numbers move, and for each of these where it lies
# (in bytes, from here), by how much it moves, and by how much in all.
TURN: Final = f"""
define i64 @run(ptr %places, ptr %arguments) nounwind {{
entry:
  %over = load i64, ptr %arguments
  %count.at = getelementptr inbounds i64, ptr %arguments, i64 1
  %count = load i64, ptr %count.at
  %back.at = getelementptr inbounds i64, ptr %arguments, i64 2
  %back = load i64, ptr %back.at
  %moving.at = getelementptr inbounds i64, ptr %arguments, i64 3
  %moving = load i64, ptr %moving.at
  %first.moving = getelementptr inbounds i64, ptr %arguments, i64 4
  %now = add i64 %over, 1
  %more = icmp slt i64 %now, %count
  %left = select i1 %more, i64 %now, i64 0
  store i64 %left, ptr %arguments
  %jump = select i1 %more, i64 %back, i64 0
  %any = icmp sgt i64 %moving, 0
  br i1 %any, label %shift, label %done
{_move_each("%more", "entry", "done")}\
done:
  ret i64 %jump
}}
"""

# A piece of several steps, one after the other. It is handed how many there are, and for each a
# function and how many bytes from here its arguments lie. If one fails, the number of those before
# it is the upper half of what is returned.
SEQUENCE: Final = f"""
define i64 @run(ptr %places, ptr %arguments) nounwind {{
entry:
  %count = load i64, ptr %arguments
  %first.step = getelementptr i64, ptr %arguments, i64 1
  br label %step
{_call_each("%count", "%places", "entry", "done")}\
over:
  %upper = shl i64 %number, 32
  %both = or i64 %upper, %status
  ret i64 %both
done:
  ret i64 0
}}
"""

# A piece of a loop of steps: some of its turns. The thread with this number has places of its own
# for what is a turn's own. It is handed how many turns, how many places there are (0: those of the
# program are used), how many of them are replaced, how many steps there are, and how many numbers
# move; then for each place that is replaced its number, that of the place where all copies lie, and
# how many bytes each has; for each step a function, and how many bytes from here its arguments lie;
# for each number where it lies (from here), by how much it moves in a turn, and by how much in all.
TURNS: Final = f"""
define i64 @run(ptr %places, ptr %arguments, i64 %me) nounwind {{
entry:
  %turns = load i64, ptr %arguments
  %all.at = getelementptr i64, ptr %arguments, i64 1
  %all = load i64, ptr %all.at
  %own.at = getelementptr i64, ptr %arguments, i64 2
  %own = load i64, ptr %own.at
  %steps.at = getelementptr i64, ptr %arguments, i64 3
  %steps = load i64, ptr %steps.at
  %moving.at = getelementptr i64, ptr %arguments, i64 4
  %moving = load i64, ptr %moving.at
  %first.own = getelementptr i64, ptr %arguments, i64 5
  %own.fields = mul i64 %own, 3
  %first.step = getelementptr i64, ptr %first.own, i64 %own.fields
  %step.fields = mul i64 %steps, 2
  %first.moving = getelementptr i64, ptr %first.step, i64 %step.fields
  %copied = alloca i64, i64 %all
  %any = icmp ne i64 %all, 0
  br i1 %any, label %copy, label %begin
copy:
  %n = phi i64 [0, %entry], [%n.next, %copy]
  %from = getelementptr i64, ptr %places, i64 %n
  %to = getelementptr i64, ptr %copied, i64 %n
  %address = load i64, ptr %from
  store i64 %address, ptr %to
  %n.next = add i64 %n, 1
  %n.more = icmp ult i64 %n.next, %all
  br i1 %n.more, label %copy, label %copied.all
copied.all:
  %any.own = icmp ne i64 %own, 0
  br i1 %any.own, label %replace, label %begin
replace:
  %o = phi i64 [0, %copied.all], [%o.next, %replace]
  %o.fields = mul i64 %o, 3
  %which.at = getelementptr i64, ptr %first.own, i64 %o.fields
  %which = load i64, ptr %which.at
  %copies.at = getelementptr i64, ptr %which.at, i64 1
  %copies = load i64, ptr %copies.at
  %bytes.at = getelementptr i64, ptr %which.at, i64 2
  %bytes = load i64, ptr %bytes.at
  %room.at = getelementptr i64, ptr %places, i64 %copies
  %room = load i64, ptr %room.at
  %far = mul i64 %bytes, %me
  %mine = add i64 %room, %far
  %place = getelementptr i64, ptr %copied, i64 %which
  store i64 %mine, ptr %place
  %o.next = add i64 %o, 1
  %o.more = icmp ult i64 %o.next, %own
  br i1 %o.more, label %replace, label %begin
begin:
  %used = phi ptr [%places, %entry], [%copied, %copied.all], [%copied, %replace]
  br label %turn
turn:
  %turn.number = phi i64 [0, %begin], [%turn.next, %moved]
  br label %step
{_call_each("%steps", "%used", "turn", "move", "%me")}\
move:
  %turn.next = add i64 %turn.number, 1
  %goes.on = icmp ult i64 %turn.next, %turns
  %any.moving = icmp ne i64 %moving, 0
  br i1 %any.moving, label %shift, label %moved
{_move_each("%goes.on", "move", "moved")}\
moved:
  br i1 %goes.on, label %turn, label %over
over:
  %result = phi i64 [%status, %step], [0, %moved]
  ret i64 %result
}}
"""

# Runs a program many times. It is handed where the three numbers of a run lie, how many times, and,
# from the sixth number on, room for how many runs went well, how many numbers are copied before
# each run, where they are listed, and the same for those after it. The list has of each where it
# goes, how far that moves from run to run, where it comes from, the same, and how many bytes.
_SERIES: Final = """
define internal void @copy_all(i64 %count, ptr %list, i64 %run) nounwind {
entry:
  %any = icmp sgt i64 %count, 0
  br i1 %any, label %each, label %over
each:
  %number = phi i64 [0, %entry], [%next, %copied]
  %fields = mul i64 %number, 5
  %entry.at = getelementptr i64, ptr %list, i64 %fields
  %to = load ptr, ptr %entry.at
  %to.step.at = getelementptr i64, ptr %entry.at, i64 1
  %to.step = load i64, ptr %to.step.at
  %from.at = getelementptr i64, ptr %entry.at, i64 2
  %from = load ptr, ptr %from.at
  %from.step.at = getelementptr i64, ptr %entry.at, i64 3
  %from.step = load i64, ptr %from.step.at
  %nbytes.at = getelementptr i64, ptr %entry.at, i64 4
  %nbytes = load i64, ptr %nbytes.at
  %to.far = mul i64 %to.step, %run
  %from.far = mul i64 %from.step, %run
  %target = getelementptr i8, ptr %to, i64 %to.far
  %source = getelementptr i8, ptr %from, i64 %from.far
  br label %byte
byte:
  %b = phi i64 [0, %each], [%b.next, %byte]
  %source.b = getelementptr i8, ptr %source, i64 %b
  %value = load i8, ptr %source.b
  %target.b = getelementptr i8, ptr %target, i64 %b
  store i8 %value, ptr %target.b
  %b.next = add i64 %b, 1
  %b.more = icmp ult i64 %b.next, %nbytes
  br i1 %b.more, label %byte, label %copied
copied:
  %next = add i64 %number, 1
  %more = icmp slt i64 %next, %count
  br i1 %more, label %each, label %over
over:
  ret void
}

define i64 @run(ptr %segment) nounwind {
entry:
  %inner = load ptr, ptr %segment
  %count.at = getelementptr i64, ptr %segment, i64 1
  %count = load i64, ptr %count.at
  %made.at = getelementptr i64, ptr %segment, i64 5
  %before.at = getelementptr i64, ptr %segment, i64 6
  %before = load i64, ptr %before.at
  %first.at = getelementptr i64, ptr %segment, i64 7
  %first = load ptr, ptr %first.at
  %after.at = getelementptr i64, ptr %segment, i64 8
  %after = load i64, ptr %after.at
  %last.at = getelementptr i64, ptr %segment, i64 9
  %last = load ptr, ptr %last.at
  br label %each
each:
  %run = phi i64 [0, %entry], [%next, %good]
  store i64 %run, ptr %made.at
  call void @copy_all(i64 %before, ptr %first, i64 %run)
  %status = call i64 @one(ptr %inner)
  %failed = icmp ne i64 %status, 0
  br i1 %failed, label %over, label %good
good:
  call void @copy_all(i64 %after, ptr %last, i64 %run)
  %next = add i64 %run, 1
  %more = icmp slt i64 %next, %count
  br i1 %more, label %each, label %complete
complete:
  store i64 %count, ptr %made.at
  ret i64 0
over:
  ret i64 %status
}
"""


def series_text() -> str:
    """Return LLVM's text of ``i64 run(ptr segment)`` that runs a program many times."""
    return RUN.replace("define i64 @run(", "define internal i64 @one(") + _SERIES
