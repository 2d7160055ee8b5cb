"""The commands of `miniflow lab`, as methods: what each does, and what it shows.

A `Runner` has a learner's folder, what is remembered of it, and a screen. The methods return
whether it went well, which the command line turns into its exit code.
"""

from datetime import datetime
from pathlib import Path

from miniflow.lab.exercises import CHAPTERS, COURSE, LabError, exercise, name_of
from miniflow.lab.findings import Report
from miniflow.lab.folder import HANDOUT, SOLUTIONS, fingerprint, reset_file
from miniflow.lab.running import run_check
from miniflow.lab.screen import Screen, row
from miniflow.lab.showing import rows_of
from miniflow.lab.state import read_state, write_state
from miniflow.lab.views import rows_of_after, rows_of_hints, rows_of_list, rows_of_next

LONG = 15.0  # seconds that a check may take before somebody wonders


class Runner:
    """The runner at work in one learner's folder."""

    def __init__(self, folder: Path, screen: Screen) -> None:
        self.folder = folder
        self.screen = screen
        self.state = read_state(folder)

    def current(self, name: str | None) -> str:
        """The exercise that is meant: the one named, or the next (the last, if all are done)."""
        return name_of(name) if name else self.state.next_exercise(self.folder) or COURSE[-1]

    def next(self) -> bool:
        """Say what is next."""
        self.screen.show(rows_of_next(self.folder, self.state))
        return True

    def list(self) -> bool:
        """Show all exercises."""
        self.screen.show(rows_of_list(self.folder, self.state, self.screen.width))
        return True

    def check(
        self, name: str | None = None, seed: int | None = None, verbose: bool = False
    ) -> bool:
        """Check one exercise, show what was found, and remember it if it passed."""
        name = self.current(name)
        report = self.run_check(name, seed)
        self.remember(report)
        self.screen.show(rows_of(report, self.screen.width, verbose))
        if not report.needed_first:
            self.screen.show([[], *rows_of_after(name, self.folder, self.state, report.passed)])
        return report.passed

    def check_all(self) -> bool:
        """Check every exercise; show the list, and the first that is not passed."""
        reports = [self.run_check(name) for name in COURSE]
        for report in reports:
            self.remember(report)
            if not report.passed:
                self.state.passed.pop(report.exercise, None)
        write_state(self.folder, self.state)
        self.list()
        self.screen.show([[]])
        failed = next((report for report in reports if not report.passed), None)
        if failed is None:
            return self.next()
        self.screen.show(rows_of(failed, self.screen.width))
        return False

    def run_check(self, name: str, seed: int | None = None) -> Report:
        """The check itself; where somebody watches and it trains a network, say so."""
        wanted = exercise(name)
        if self.screen.is_terminal and wanted.seconds > LONG:
            self.screen.show(
                [row((f"  checking {wanted.file}: it trains, have patience ...", "dim"))]
            )
        return run_check(name, self.folder, seed)

    def remember(self, report: Report) -> None:
        """Note what was passed, for good; a later failure does not take it away."""
        if report.passed:
            self.state.passed[report.exercise] = fingerprint(self.folder / report.file)
            write_state(self.folder, self.state)

    def hint(self, name: str | None = None) -> bool:
        """Show one hint more than the last time."""
        name = self.current(name)
        shown = min(self.state.hints.get(name, 0) + 1, len(exercise(name).hints))
        self.state.hints[name] = shown
        write_state(self.folder, self.state)
        self.screen.show(rows_of_hints(name, shown, self.screen.width))
        return True

    def solution(self, name: str | None = None) -> bool:
        """Show the solution of what is passed; of anything else when asked for the second time."""
        name = self.current(name) if name else self.last_passed()
        if name not in self.state.passed and name not in self.state.asked:
            self.state.asked.append(name)
            write_state(self.folder, self.state)
            left = len(exercise(name).hints) - self.state.hints.get(name, 0)
            hints = f"There are {left} more hints. " if left > 1 else ""
            hints = "There is one more hint. " if left == 1 else hints
            self.screen.show(
                [
                    row(f"{name} is not solved yet. {hints}To see the solution now, ask again:"),
                    row("  ", (f"miniflow lab solution {name}", "code")),
                ]
            )
            return False
        self.screen.code((SOLUTIONS / exercise(name).file).read_text(encoding="utf-8"))
        return True

    def last_passed(self) -> str:
        """Whose solution is meant where none is named: the last chapter's that is solved, or the
        next one's.
        """
        passed = [name for name in COURSE if name in self.state.passed]
        return passed[-1] if passed else self.current(None)

    def reset(self, name: str) -> bool:
        """Write an exercise's file (or its notebook, if that is named) as it was handed out."""
        chapter = next(chapter for chapter in CHAPTERS if chapter.exercise == name_of(name))
        file = chapter.notebook if name == chapter.notebook else chapter.file
        if not (HANDOUT / file).is_file():
            raise LabError(f"{file} is not part of the lab.")
        kept = reset_file(self.folder, file, datetime.now())
        if file == chapter.file and self.state.passed.pop(chapter.exercise, None) is not None:
            write_state(self.folder, self.state)
        self.screen.show([row(("✓ ", "good"), (file, "head"), " is as it was handed out.")])
        if kept is not None:
            self.screen.show([row("  What you had is in ", (kept, "code"), ".")])
        return True

    def notebook_of(self, name: str | None) -> Path:
        """The notebook of an exercise in this folder."""
        wanted = self.current(name)
        chapter = next(chapter for chapter in CHAPTERS if chapter.exercise == wanted)
        return self.folder / chapter.notebook
