"""A bar on a terminal, for what takes a while: how many rows are done."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, Literal

from miniflow.graph.checks import is_one_of
from miniflow.options import OptionError

BarStyle = Literal["auto", "bar", "none"]
BEFORE = 0.5  # seconds in which nothing is shown: what is quick needs no bar
BETWEEN = 0.1  # seconds between two drawings


@contextmanager
def rows_bar(owner: str, total: int | None, style: BarStyle) -> Iterator[Callable[[int], None]]:
    """Inside the block, a function that is told how many more rows are done.

    Args:
        owner: whose option the style is, for messages.
        total: how many rows there are; None if that is not known.
        style: "bar", "none", or "auto": a bar on a terminal, where rich is installed.

    Raises OptionError if there is no such style.

    >>> with rows_bar("predict", 10, "none") as advance:
    ...     advance(10)
    """
    if not is_one_of(style, ("auto", "bar", "none")):
        raise OptionError(f"{owner}: progress is one of auto, bar, none, not {style!r}.")
    is_shown = style == "bar" or (style == "auto" and _is_a_terminal() and find_spec("rich"))
    if not is_shown:
        yield lambda rows: None
        return
    bar = _Bar(total)
    try:
        yield bar.advance
    finally:
        bar.stop()


def _is_a_terminal() -> bool:
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


class _Bar:
    def __init__(self, total: int | None) -> None:
        self._total, self._done = total, 0
        self._next = time.perf_counter() + BEFORE
        self._progress: Any = None

    def advance(self, rows: int) -> None:
        self._done += rows
        if (now := time.perf_counter()) < self._next:
            return
        self._next = now + BETWEEN
        if self._progress is None:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn

            columns = BarColumn(bar_width=None), TextColumn("{task.completed:,} rows")
            self._progress = Progress(
                *columns, console=Console(), transient=True, auto_refresh=False, expand=True
            )
            self._progress.add_task("", total=self._total)
            self._progress.start()
        self._progress.update(0, completed=self._done, refresh=True)

    def stop(self) -> None:
        if self._progress is not None:
            self._progress.stop()
