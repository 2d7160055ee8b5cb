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
    watched = Watch(runner)
    with reading_keys() as key:
        watched.check(runner.current(None))
        while looks is None or looks > 0:
            looks = None if looks is None else looks - 1
            if not watched.step(key):
                return


class Watch:
    """What is watched, and the one exercise that the keys mean: the one that was checked last, or
    that `n` went on to.
    """

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._changes = Changes(runner.folder)
        self.exercise = runner.current(None)

    def step(self, key: Key) -> bool:
        """One look at the keys and the files; False to stop."""
        pressed = key(PAUSE).lower()
        if pressed == "q":
            return False
        if pressed == "c":
            self.check(self.exercise)
        elif pressed in ("h", "l", "n", "s"):
            self._answer(pressed)
        changed = self._changes.next()
        if changed is not None:
            self.check(changed)
        return True

    def check(self, name: str) -> None:
        self.exercise = name
        self._runner.screen.clear()
        self._runner.check(name)
        self._show_keys()

    def _answer(self, pressed: str) -> None:
        runner = self._runner
        runner.screen.clear()
        if pressed == "n":
            self.exercise = runner.current(None)
            runner.next()
        elif pressed == "l":
            runner.list()
        else:
            (runner.hint if pressed == "h" else runner.solution)(self.exercise)
        self._show_keys()

    def _show_keys(self) -> None:
        """Say which keys there are, and for which exercise; without a terminal, how to stop."""
        keys = f"  {self.exercise}: c check · h hint · s solution    n next · l list · q quit"
        told = keys if self._runner.screen.is_terminal else "  waiting for a change; Ctrl-C ends"
        self._runner.screen.show([[], row((told, "dim"))])
