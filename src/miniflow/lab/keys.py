"""Single keys from a terminal, without waiting for Enter: on POSIX systems, and on Windows."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

Key = Callable[[float], str]


def no_keys(seconds: float) -> str:
    """Where there is no terminal: only wait."""
    time.sleep(seconds)
    return ""


@contextlib.contextmanager
def reading_keys() -> Iterator[Key]:
    """A function that waits at most so many seconds for a key, and returns it, or ""."""
    if not sys.stdin.isatty():
        yield no_keys
    elif sys.platform == "win32":
        yield _windows_key
    else:
        import termios
        import tty

        terminal = sys.stdin.fileno()
        before = termios.tcgetattr(terminal)
        tty.setcbreak(terminal)  # keys come at once and unseen; Ctrl-C still interrupts
        try:
            yield _posix_key
        finally:
            termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def _posix_key(seconds: float) -> str:
    import os
    import select

    ready, _, _ = select.select([sys.stdin], [], [], seconds)
    if not ready:
        return ""
    pressed = os.read(sys.stdin.fileno(), 1)
    return pressed.decode("ascii", "replace") or "q"  # nothing to read: the terminal is gone


def _windows_key(seconds: float) -> str:
    if sys.platform == "win32":
        import msvcrt

        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if msvcrt.kbhit():
                return msvcrt.getwch()
            time.sleep(0.05)
    return ""
