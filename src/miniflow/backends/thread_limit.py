"""How many threads compiled code may use at once: what somebody has said, or the cores there are.

In this order: `set_threads`, the environment variables MINIFLOW_THREADS and OMP_NUM_THREADS (by
which joblib limits its workers), and the cores that this process may use, by its affinity and by
the limits of the container that it runs in. Looked up at each call, so that what is said later
counts from then on.
"""

import os
from pathlib import Path

from miniflow.options import OptionError, whole

OURS, OPENMP = "MINIFLOW_THREADS", "OMP_NUM_THREADS"
_CONTROL_GROUP = Path("/sys/fs/cgroup")

_said: int | None = None


def set_threads(n: int | None) -> None:
    """Let compiled code use so many threads at once, in this process and from now on.

    Args:
        n: a whole number of at least 1; None takes back what was said, so that MINIFLOW_THREADS,
            OMP_NUM_THREADS or the cores that this process may use decide again.

    Small steps take one thread, whatever is said here: they are faster so. The native backend has
    threads of its own (on Linux; elsewhere it runs on one), and gives the same bits at any number.
    Of the NumPy backend it limits the products of OpenBLAS while a program runs, and puts the
    number back that was there.

    Raises:
        OptionError: it is no such number.

    >>> import miniflow as mf
    >>> mf.set_threads(1)
    >>> mf.set_threads(0)
    Traceback (most recent call last):
        ...
    miniflow.options.OptionError: set_threads: n is a whole number of at least 1, not 0 (int).
    >>> mf.set_threads(None)
    """
    global _said
    _said = None if n is None else whole("set_threads", "n", n, least=1)


def max_threads() -> int:
    """How many threads compiled code may use at once.

    Raises:
        OptionError: an environment variable has no such number.

    >>> max_threads() >= 1
    True
    """
    said = said_threads()
    if said is None and OPENMP in os.environ:
        # Of a list, one for each level of nested loops, the first is that of the outermost.
        said = _number_in(OPENMP, os.environ[OPENMP].split(",")[0])
    return available_cores() if said is None else said


def what_was_said() -> tuple[int | None, str | None, str | None]:
    """All that `max_threads` depends on but the cores; as long as it is equal, they alone count.

    >>> what_was_said() == what_was_said()
    True
    """
    return _said, os.environ.get(OURS), os.environ.get(OPENMP)


def said_threads() -> int | None:
    """The same, if it was said to miniflow and to nobody else; None if it was not.

    Raises:
        OptionError: MINIFLOW_THREADS has no such number.
    """
    if _said is None and OURS in os.environ:
        return _number_in(OURS, os.environ[OURS])
    return _said


def available_cores() -> int:
    """The cores that this process may use: by its affinity, and by its container's limit."""
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    return max(1, int(min(cores, container_limit())))


def container_limit() -> float:
    """How many cores' time the control group of this process has; infinity where it has no limit.

    Of Linux alone, in the second version (`cpu.max`) and the first (`cpu.cfs_quota_us`).
    """
    for quota, period in (
        ("cpu.max", None),
        ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"),
    ):
        try:
            words = (_CONTROL_GROUP / quota).read_text(encoding="ascii").split()
            if period is not None:
                words += (_CONTROL_GROUP / period).read_text(encoding="ascii").split()
            limit = float(words[0]) / float(words[1])
        except (OSError, ValueError, IndexError, ZeroDivisionError):  # there is none, or "max"
            continue
        if limit > 0:
            return max(limit, 1.0)
    return float("inf")


def _number_in(name: str, text: str) -> int:
    if not text.strip().isdecimal() or int(text) < 1:
        raise OptionError(
            f"The environment variable {name} is a number of threads, a whole one of at least 1, "
            f"not {text!r}."
        )
    return int(text)
