"""Ctrl-C, held back while an update is under way.

Python raises KeyboardInterrupt wherever the program happens to be: between the first parameter's
update and the second's, or half-way through writing down a best epoch. Inside
`interrupts_held_back` Ctrl-C is only noted, and raised where the program says that all is in order.
Pressed a second time it is raised at once, for whoever waits in vain.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupts:
    """Whether Ctrl-C has been pressed."""

    pressed = False

    def raise_if_pressed(self) -> None:
        """Raise the KeyboardInterrupt that has been held back, if there is one."""
        if self.pressed:
            self.pressed = False
            raise KeyboardInterrupt

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.pressed:
            signal.default_int_handler(number, frame)
        self.pressed = True


@contextmanager
def interrupts_held_back() -> Iterator[Interrupts]:
    """Note Ctrl-C in place of raising it; what is still noted at the end is raised there.

    In another thread than the main one, and where the program has a handler of its own, it does
    nothing: there Ctrl-C is not ours.

    >>> try:
    ...     with interrupts_held_back() as interrupts:
    ...         signal.raise_signal(signal.SIGINT)
    ...         print("all in order")
    ...         interrupts.raise_if_pressed()
    ... except KeyboardInterrupt:
    ...     print("raised")
    all in order
    raised
    """
    interrupts = Interrupts()
    ours = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
    if not ours:
        yield interrupts
        return
    signal.signal(signal.SIGINT, interrupts._note)
    try:
        yield interrupts
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    interrupts.raise_if_pressed()
