"""Ctrl-C, held back while an update is under way.

Python raises KeyboardInterrupt wherever the program happens to be: between the first parameter's
update and the second's, or half-way through writing down a best epoch. Inside
`interrupts_held_back` Ctrl-C is only noted, and raised where the program says that all is in order
(`Interrupts.raise_if_pressed`), or at once, where nothing can be half-done: while the next batch is
made, or waited for (`at_once`). Pressed a second time it is raised at once in any case, for whoever
waits in vain.
"""

import contextlib
import signal
import threading
from _thread import interrupt_main
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Interrupts:
    """Whether Ctrl-C has been pressed."""

    pressed = False
    is_held = False
    ask: Callable[[], None] | None = None
    """What to do in place of raising it, where others have to stop at the same place."""
    _times = 0
    _is_open = False  # whether it is raised at once
    _is_pressed_elsewhere = False

    def raise_if_pressed(self) -> None:
        """Raise the KeyboardInterrupt that has been held back, if there is one."""
        if self.pressed:
            self.pressed = False
            raise KeyboardInterrupt

    def press(self) -> None:
        """Do as if it had been pressed, as it was elsewhere; in any thread."""
        if self.is_held and (self._times == 0 or self.ask is not None):
            self._is_pressed_elsewhere = True
            if hasattr(signal, "pthread_kill"):  # which ends a wait, too
                with contextlib.suppress(ProcessLookupError):
                    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            else:
                interrupt_main()

    def _note(self, number: int, frame: FrameType | None) -> None:
        is_elsewhere, self._is_pressed_elsewhere = self._is_pressed_elsewhere, False
        if not is_elsewhere:
            self._times += 1
        if self._times > 1 and not is_elsewhere:
            signal.default_int_handler(number, frame)
        if self.ask is not None and not is_elsewhere:
            self.ask()
        elif self._is_open:
            signal.default_int_handler(number, frame)
        else:
            self.pressed = True

    def _call(self, function: Callable[[], T]) -> T:
        was_open, self._is_open = self._is_open, True
        try:
            self.raise_if_pressed()
            return function()
        finally:
            self._is_open = was_open


_held: list[Interrupts] = []  # the innermost last; all of them the main thread's


def at_once(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function that may be left anywhere: Ctrl-C is raised in it as soon as it is pressed.

    >>> try:
    ...     with interrupts_held_back():
    ...         at_once(signal.raise_signal, signal.SIGINT)
    ...         print("not reached")
    ... except KeyboardInterrupt:
    ...     print("raised")
    raised
    """
    if not _held or threading.current_thread() is not threading.main_thread():
        return function(*args, **kwargs)
    return _held[-1]._call(lambda: function(*args, **kwargs))


def _held_back_within(outer: Interrupts) -> Iterator[Interrupts]:
    was_open, outer._is_open = outer._is_open, False
    try:
        yield outer
    finally:
        outer._is_open = was_open
    outer.raise_if_pressed()


@contextmanager
def interrupts_held_back() -> Iterator[Interrupts]:
    """Note Ctrl-C in place of raising it; what is still noted at the end is raised there.

    In another thread than the main one, and where the program has a handler of its own, it does
    nothing: there Ctrl-C is not ours. Within another such block, of a training that a callback or a
    function of data makes, say, it is the outer one's that is noted.

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
    is_main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT)
    if is_main and _held and handler == _held[-1]._note:
        yield from _held_back_within(_held[-1])
        return
    if not is_main or handler is not signal.default_int_handler:
        yield interrupts
        return
    signal.signal(signal.SIGINT, interrupts._note)
    _held.append(interrupts)
    interrupts.is_held = True
    try:
        yield interrupts
    finally:
        interrupts.is_held = False
        _held.remove(interrupts)
        signal.signal(signal.SIGINT, signal.default_int_handler)
    interrupts.raise_if_pressed()
