"""The workers: threads that do pieces of steps beside the one that runs a program.

There is one pool for the process. It is started by the first run that has something to share out,
and has one worker fewer than `thread_limit` says that there may be threads; a run that finds the
pool taken by another does without. Workers are threads of the system's, which know nothing of
Python and never wait for it. They end before a fork and before the interpreter does; what needs
them next starts them again, in a forked child, too. What they do is written in `sharing`.

They sleep and are woken by Linux's futex. On other systems, and other processors than x86-64 and
64-bit ARM, there are none: programs run in the thread that called them.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable
from functools import cache, partial
from typing import Any, Final

from miniflow.backends import thread_limit
from miniflow.backends.native import machine, sharing
from miniflow.locks import Lock

_OWN: Final = {signal.SIGSEGV, signal.SIGFPE, signal.SIGILL, signal.SIGABRT}  # of each thread
_CLOCK: Final = 1.0  # seconds, after which the number of cores is looked at again


@cache
def can_share() -> bool:
    """Whether there are workers on this system.

    >>> can_share() or not sys.platform.startswith("linux") or platform.machine() != "x86_64"
    True
    """
    return (
        sys.platform.startswith("linux")
        and machine.processor_kind() in sharing.FUTEX_CALLS
        and hasattr(ctypes.CDLL(None), "pthread_create")
    )


class WorkerPool:
    """The workers of this process.

    Attributes:
        address: of the memory that they share with whoever runs a program; it is never freed.
        count: how many there are.
    """

    def __init__(self) -> None:
        library = self._library = ctypes.CDLL(None)
        library.calloc.restype = ctypes.c_void_p
        library.calloc.argtypes = (ctypes.c_size_t, ctypes.c_size_t)
        memory = library.calloc(1, sharing.NBYTES + 64)
        if not memory:
            raise MemoryError("There is no memory for the native backend's workers.")
        self.address = (memory + 63) // 64 * 64
        self.count = 0
        self._asked: Any = None
        self._looked_at = 0.0
        self._threads: list[tuple[Any, Any]] = []
        self._lock = Lock()
        self._clear()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(before=self.end, after_in_child=self._begin_anew)
        self._is_open = True
        atexit.register(self._close)

    def staff(self) -> None:
        """Have as many workers as there may be now.

        Raises:
            OptionError: the environment has no number of threads.
        """
        if not self._is_open:
            return
        asked, now = thread_limit.what_was_said(), time.monotonic()
        if asked == self._asked and now - self._looked_at < _CLOCK:
            return
        wanted = min(thread_limit.max_threads(), sharing.MOST_PIECES) - 1
        with self._lock:
            self._look_at_processors()
            if wanted != self.count:
                self._have(wanted)
            self._asked, self._looked_at = asked, now

    def end(self) -> None:
        """End all workers; the next run that wants them starts others."""
        with self._lock:
            if self.count:
                self._have(0)
            self._asked = None

    def _close(self) -> None:
        """The interpreter ends: who still runs a program, in a daemon thread, does it alone."""
        self._is_open = False
        self.end()

    def _have(self, wanted: int) -> None:
        self._number(sharing.WANTED).value = wanted
        alive = self._number(sharing.ALIVE)
        while alive.value > wanted:  # those who sleep have to see it
            self._futex(self.address + sharing.JOB, 129, sharing.MOST_PIECES)
            time.sleep(20e-6)
        for thread, _ in self._threads[wanted:]:
            self._library.pthread_join(thread, None)
        del self._threads[wanted:]
        try:
            for number in range(len(self._threads), wanted):
                alive.value += 1
                if not self._start(number):
                    break
        finally:  # whether there was no room for one more, or Ctrl-C came between
            self.count = len(self._threads)
            self._number(sharing.WANTED).value = alive.value = self.count

    def _start(self, number: int) -> bool:
        """Start a worker, to whom no signal is sent; say whether there is room for one."""
        handed = (ctypes.c_int64 * 2)(self.address, number)
        thread = ctypes.c_ulong()
        function = ctypes.c_void_p(machine.worker())
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() - _OWN)
        try:
            code = self._library.pthread_create(ctypes.byref(thread), None, function, handed)
            if code == 0:
                self._threads.append((thread, handed))
        finally:  # where a Ctrl-C is noticed that came meanwhile
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return bool(code == 0)

    def _begin_anew(self) -> None:
        """In a forked child: nobody works, and nobody will give back what others had taken."""
        self._threads, self.count, self._asked = [], 0, None
        self._clear()

    def _clear(self) -> None:
        ctypes.memset(self.address, 0, sharing.NBYTES)
        kind = machine.processor_kind()
        for where, value in (
            (sharing.SYSCALL, _address(self._library.syscall)),
            (sharing.CLOCK, _address(self._library.clock_gettime)),
            (sharing.PATIENCE, sharing.SHORT_WAIT),
            (sharing.FUTEX, sharing.FUTEX_CALLS[kind]),
            (sharing.SETAFFINITY, sharing.AFFINITY_CALLS[kind]),
            (sharing.GETTID, sharing.THREAD_CALLS[kind]),
        ):
            ctypes.c_int64.from_address(self.address + where).value = value
        if hasattr(self._library, "sched_getcpu"):
            where = self.address + sharing.GETCPU
            ctypes.c_int64.from_address(where).value = _address(self._library.sched_getcpu)
        self._look_at_processors()

    def _look_at_processors(self) -> None:
        """Say on which processors workers may run."""
        allowed = sum(1 << number for number in os.sched_getaffinity(0) if number < 1024)
        now = allowed.to_bytes(128, sys.byteorder)
        if ctypes.string_at(self.address + sharing.ALLOWED, 128) != now:
            ctypes.memmove(self.address + sharing.ALLOWED, now, 128)
        self._number(sharing.HERE).value = -1

    def _number(self, where: int) -> Any:
        return ctypes.c_int32.from_address(self.address + where)

    def _futex(self, word: int, what: int, value: int) -> None:
        number = ctypes.c_long(sharing.FUTEX_CALLS[machine.processor_kind()])
        others = (ctypes.c_long(value), None, None, ctypes.c_long(0))
        self._library.syscall(number, ctypes.c_void_p(word), ctypes.c_long(what), *others)


def _address(function: Any) -> int:
    return int(ctypes.cast(function, ctypes.c_void_p).value or 0)


_pool: WorkerPool | None = None
_making = Lock()


def pool() -> WorkerPool:
    """Return the workers of this process."""
    global _pool
    with _making:
        if _pool is None:
            _pool = WorkerPool()
        return _pool


def run_shared(runner: Any, segment: int) -> Callable[[], int]:
    """Return what lets a runner run a segment with as many workers as there may be."""
    return partial(_run, pool().staff, partial(runner, segment))


def _run(staff: Callable[[], None], run: Callable[[], int]) -> int:
    staff()
    return run()
