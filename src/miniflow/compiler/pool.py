"""Executables of one program, each with memory of its own, for several threads at once.

A program that updates nothing may run in any number of threads; the memory that it computes in is
what two of them cannot share. So a pool keeps several executables, and each call has one for
itself. It begins with one, and makes another when a thread finds all of them busy: machine code is
shared, so that is quick. It never keeps more than `most`; beyond that a thread waits for its turn.
An error belongs to the call that ran into it, and leaves the executable as good as before.

In a forked child, what other threads of the parent are in the middle of is forgotten: they are not
there, and will not end it.
"""

import contextvars
import itertools
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from miniflow.backends import Choice, Executable, find
from miniflow.backends.thread_limit import available_cores
from miniflow.compiler.threads import Run, on_one_thread_if_small
from miniflow.ir.program import Program
from miniflow.locks import Lock, renew_after_fork

LOOK_AGAIN = 0.1  # seconds that a thread waits for one executable before it looks at the others


def most_at_once() -> int:
    """How many executables a program may have: as many as there are cores, and two at least.

    >>> most_at_once() >= 2
    True
    """
    return max(2, available_cores())


def run_silently(program: Program, executable: Executable) -> Run:
    """An executable's `run`: NumPy warns of nothing, and small products of BLAS take one thread.

    To enter `np.errstate` at each call would take longer than a small program. So it runs in a
    context of its own, in which NumPy's warnings are switched off once and for all.
    """
    run: Run = executable.run
    if find(executable.backend).has_blas:
        run = on_one_thread_if_small(program, run)
    context = contextvars.copy_context()
    context.run(np.seterr, all="ignore")
    enter: Any = context.run
    return partial(enter, run)


def make_run(choice: Choice) -> Run:
    """The same of an executable that is made for it."""
    return run_silently(choice.program, choice.backend.lower(choice.program))


class _Kept:
    """A way to run the program, in memory of its own, and whose turn it is."""

    __slots__ = ("is_running", "release", "run", "take")

    def __init__(self, run: Run) -> None:
        self.run, self.is_running = run, False
        turn = threading.RLock()  # of a thread: one that is interrupted as it takes it, has it
        self.take, self.release = turn.acquire, turn.release


class ExecutablePool:
    """Executables of one program.

    Args:
        make: makes what runs the program, in memory of its own.
        first: one that is there already; None by default.
        most: how many there may be; by default as `most_at_once` has it.

    >>> pool = ExecutablePool(lambda: list)
    >>> pool.run([1, 2]), len(pool)
    ([1, 2], 1)
    """

    def __init__(
        self, make: Callable[[], Run], first: Run | None = None, most: int | None = None
    ) -> None:
        self._make = make
        self.most = most_at_once() if most is None else most
        self._kept: tuple[_Kept, ...] = () if first is None else (_Kept(first),)
        self._making = Lock()
        self._waited = itertools.count()
        renew_after_fork(self, ExecutablePool._renew)

    def __len__(self) -> int:
        return len(self._kept)

    def run(self, arguments: Sequence[Any]) -> list[Any]:
        """Run the program in an executable that is free, or made for this call, or waited for."""
        mine = None
        while mine is None:
            for one in self._kept:
                if one.take(False):
                    mine = one
                    break
            else:
                mine = self._made_or_waited_for()
        try:
            if mine.is_running:  # in this very thread, which was interrupted, or forked, meanwhile
                return self._make()(arguments)
            try:
                mine.is_running = True
                return mine.run(arguments)
            finally:
                mine.is_running = False
        finally:
            mine.release()

    def _made_or_waited_for(self) -> _Kept | None:
        """One whose turn is this thread's; None if it had better look once more."""
        kept = self._kept
        if len(kept) < self.most and self._making.acquire(blocking=not kept):
            try:
                if self._kept is not kept:
                    return None
                one = _Kept(self._make())
                one.take()
                self._kept = (*kept, one)
                return one
            finally:
                self._making.release()
        one = kept[next(self._waited) % len(kept)]
        return one if one.take(timeout=LOOK_AGAIN) else None

    def _renew(self) -> None:
        """In a forked child: what other threads are in the middle of, nobody will end."""
        self._kept = tuple(one for one in self._kept if one.take(blocking=False))
        for one in self._kept:
            one.release()
