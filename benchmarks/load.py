"""How much of the machine others use while a race is run: processor time that is neither the
harness's nor a contender's.

An average of the load, as `uptime` tells it, counts what the races themselves did a minute ago.
This looks at the processors' own clocks instead (Linux's /proc), of those that this process may
use, and takes away what its own processes had. Time that another virtual machine has taken counts
as others', too.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path

BUSY = 0.1  # of a core: above it, times are indicative


def processor_time() -> float | None:
    """Seconds that the cores this process may use were busy so far; None where none can tell."""
    try:
        lines = Path("/proc/stat").read_text(encoding="ascii").splitlines()
        cores = {f"cpu{number}" for number in os.sched_getaffinity(0)}
    except (OSError, AttributeError):
        return None
    ticks = 0
    for line in lines:
        word, *fields = line.split()
        if word in cores:
            user, nice, system, _idle, _waiting, irq, softirq, steal = map(int, fields[:8])
            ticks += user + nice + system + irq + softirq + steal
    return ticks / os.sysconf("SC_CLK_TCK")


def time_of(processes: Iterable[int]) -> float:
    """Seconds of processor time that this process, the children that have ended, and these
    processes have had.
    """
    times = os.times()
    seconds = times.user + times.system + times.children_user + times.children_system
    for number in processes:
        try:
            text = Path(f"/proc/{number}/stat").read_text(encoding="ascii", errors="replace")
        except OSError:
            continue
        fields = text.rpartition(")")[2].split()
        seconds += sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    return seconds


class Watch:
    """What others use from now on; `processes` are the contenders that are alive."""

    def __init__(self, processes: Iterable[int] = ()) -> None:
        self._begin = self._look(processes)

    def _look(self, processes: Iterable[int]) -> tuple[float, float | None]:
        busy = processor_time()
        return time.monotonic(), None if busy is None else busy - time_of(processes)

    def cores(self, processes: Iterable[int] = ()) -> float | None:
        """How many cores others have used since then, on average; None where none can tell."""
        then, before = self._begin
        now, others = self._look(processes)
        if before is None or others is None or now <= then:
            return None
        return max(others - before, 0.0) / (now - then)


def cores_used_by_others(seconds: float = 1.0) -> float | None:
    """How many cores others use just now."""
    watch = Watch()
    time.sleep(seconds)
    return watch.cores()


def sentence(cores: float | None) -> str:
    """What is to be said of it; empty where nobody can tell."""
    if cores is None:
        return ""
    said = f"Others used {cores:.2f} of {os.cpu_count()} cores meanwhile"
    return f"{said}: these times are indicative." if cores > BUSY else f"{said}."
