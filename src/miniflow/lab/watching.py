"""`miniflow lab watch`: check whenever a file changes, and answer single keys.

Changes are found by looking at the files' times and sizes several times a second, which works on
every system, over ssh and on network drives. A file is checked once it has kept still for one look:
editors write in several steps, and some remove a file before they write it anew.
"""

from pathlib import Path

from miniflow.lab.exercises import CHAPTERS
from miniflow.lab.keys import Key, reading_keys
from miniflow.lab.runner import Runner
from miniflow.lab.screen import row

PAUSE = 0.4  # seconds between two looks
KEYS = row(("  h hint · l list · s solution · c check · q quit", "dim"))

Stamp = tuple[int, int]


class Changes:
    """Which exercises' files have changed since the last look, and keep still now."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._checked = self._seen = self._look()

    def _look(self) -> dict[str, Stamp | None]:
        return {chapter.exercise: stamp(self._folder / chapter.file) for chapter in CHAPTERS}

    def next(self) -> str | None:
        """The first exercise whose file has changed and kept still since the last look."""
        before, self._seen = self._seen, self._look()
        for name, now in self._seen.items():
            if now is not None and now == before[name] and now != self._checked[name]:
                self._checked = self._checked | {name: now}
                return name
        return None


def stamp(path: Path) -> Stamp | None:
    """When a file was changed, and how long it is; None if it is not there."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def watch(runner: Runner, looks: int | None = None) -> None:
    """Check at once, and then after each change, until `q` or Ctrl-C (or so many `looks`)."""
    changes = Changes(runner.folder)
    with reading_keys() as key:
        check(runner, runner.current(None))
        while looks is None or looks > 0:
            looks = None if looks is None else looks - 1
            if not step(runner, changes, key):
                return


def step(runner: Runner, changes: Changes, key: Key) -> bool:
    """One look at the keys and the files; False to stop."""
    pressed = key(PAUSE).lower()
    if pressed == "q":
        return False
    if pressed == "c":
        check(runner, runner.current(None))
    elif pressed in ("h", "l", "s"):
        runner.screen.clear()
        {"h": runner.hint, "l": runner.list, "s": runner.solution}[pressed]()
        show_keys(runner)
    changed = changes.next()
    if changed is not None:
        check(runner, changed)
    return True


def check(runner: Runner, name: str) -> None:
    runner.screen.clear()
    runner.check(name)
    show_keys(runner)


def show_keys(runner: Runner) -> None:
    """Say which keys there are, or, without a terminal, how to stop."""
    waiting = row(("  waiting for a change; Ctrl-C ends", "dim"))
    runner.screen.show([[], KEYS if runner.screen.is_terminal else waiting])
