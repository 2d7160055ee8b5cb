"""Grading: every check on a learner's folder, and the points counted, for a teacher or a CI job.

A grade depends on the files alone, never on what the runner remembers. A teacher's own checks are
files of the same form as those in `checks/`, in a folder of theirs, and are run as well.

Each folder is graded as a copy: what its code does to files beside it, it does to the copy's
neighbours, of which there are none. Whatever happens while a folder is graded costs that folder its
points, and no other; and a grade is given out as soon as it is there.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from miniflow import __version__
from miniflow.lab.exercises import COURSE, LabError, exercise
from miniflow.lab.findings import Report
from miniflow.lab.results import Finding
from miniflow.lab.running import choose_seed, run_check, unfinished_report
from miniflow.lab.screen import Row, cut, row, spread
from miniflow.lab.showing import capital, number

WIDTH = 88
MOST_FILES = 10_000  # in a folder that is graded, and copied for that
MOST_BYTES = 1_000_000_000
NOT_COPIED = {".git", ".ipynb_checkpoints", ".venv", "__pycache__", "node_modules"}


@dataclass(frozen=True)
class Grade:
    """What a folder is worth."""

    folder: str
    seed: int
    reports: tuple[Report, ...]

    @property
    def points(self) -> float:
        return sum(report.points for report in self.reports)

    @property
    def possible(self) -> float:
        return sum(report.possible for report in self.reports)

    def is_enough(self, at_least: float | None) -> bool:
        """Whether it is worth so many points; all of them, if None."""
        return self.points >= (self.possible if at_least is None else at_least)


def own_checks(folder: Path) -> list[str]:
    """The paths of a teacher's checks; raises LabError if there are none, or one cannot be read."""
    paths = [str(path.resolve()) for path in sorted(folder.glob("*.py"))]
    if not paths:
        raise LabError(f"{folder}: there is no check in it (a .py file with an `exercise`).")
    for path in paths:
        exercise(path)
    return paths


def see_that_it_is_there(folder: Path) -> None:
    """Raise LabError unless there is such a folder."""
    if not folder.is_dir():
        raise LabError(f"{folder} is not a folder.")


def grade(folder: Path, checks: Sequence[str] = (), seed: int | None = None) -> Grade:
    """Check all exercises of a folder, and a teacher's `checks` (paths) as well, on a copy of it.

    A folder that cannot be graded has no points, and each of its exercises says why.

    Raises LabError if there is no such folder, or if the seed is negative.
    """
    see_that_it_is_there(folder)
    seed = choose_seed(seed)
    names = (*COURSE, *checks)
    with tempfile.TemporaryDirectory(prefix="miniflow-grade-", ignore_cleanup_errors=True) as place:
        copy = Path(place, "submission")
        try:
            copy_of(folder, copy)
        except (LabError, OSError, shutil.Error) as error:
            trouble = Finding("stopped", f"the folder cannot be copied: {error}")
            return Grade(
                str(folder),
                seed,
                tuple(_no_points(n, folder, seed, trouble) for n in names),
            )
        reports = tuple(_grade_exercise(name, folder, copy, seed) for name in names)
    return Grade(str(folder), seed, reports)


def _grade_exercise(name: str, folder: Path, copy: Path, seed: int) -> Report:
    try:
        return replace(run_check(name, copy, seed), folder=str(folder))
    except Exception as error:  # of whatever kind: the others want their grades
        trouble = Finding("stopped", f"the check itself failed ({type(error).__name__}: {error})")
        return _no_points(name, folder, seed, trouble)


def _no_points(name: str, folder: Path, seed: int, trouble: Finding) -> Report:
    return unfinished_report(exercise(name), folder, seed, [], trouble, "")


def copy_of(folder: Path, copy: Path) -> None:
    """Copy a submission's files; pipes, devices and what tools leave behind stay where they are.

    Raises LabError if there is too much of it.
    """
    files = total = 0

    def left_out(place: str, names: list[str]) -> set[str]:
        nonlocal files, total
        left = set(NOT_COPIED & set(names))
        for name in set(names) - left:
            path = Path(place, name)
            if path.is_symlink() or path.is_dir():
                continue
            if not path.is_file():
                left.add(name)
                continue
            files, total = files + 1, total + os.lstat(path).st_size
            if files > MOST_FILES or total > MOST_BYTES:
                raise LabError(
                    f"it has more than {MOST_FILES:,} files or {MOST_BYTES / 1e9:g} GB: no lab has."
                )
        return left

    shutil.copytree(folder, copy, symlinks=True, ignore=left_out)


def json_pieces(grades: Iterable[Grade]) -> Iterator[str]:
    """Grades for a program, a piece of JSON each, to be printed as they come: a stable form, with a
    sentence for whatever failed.
    """
    yield f'{{\n  "miniflow": {json.dumps(__version__)},\n  "submissions": ['
    separator = "\n"
    for graded in grades:
        text = json.dumps(_submission(graded), indent=2)
        yield separator + "\n".join(f"    {line}" for line in text.splitlines())
        separator = ",\n"
    yield "\n  ]\n}\n"


def _submission(graded: Grade) -> dict[str, Any]:
    return {
        "folder": graded.folder,
        "seed": graded.seed,
        "points": graded.points,
        "possible": graded.possible,
        "exercises": [exercise_as_json(report) for report in graded.reports],
    }


def exercise_as_json(report: Report) -> dict[str, Any]:
    return {
        "name": report.exercise,
        "file": report.file,
        "points": report.points,
        "possible": report.possible,
        "passed": report.passed,
        "trouble": report.trouble.sentence if report.trouble else None,
        "parts": [
            {
                "text": part.text,
                "points": part.points if part.passed else 0,
                "possible": part.points,
                "message": part.finding.sentence if part.finding else None,
            }
            for part in report.parts
        ],
    }


def rows_of(grade: Grade) -> Iterator[Row]:
    """A grade as a table, with the first thing wrong of each exercise."""
    total = f"{number(grade.points)} of {number(grade.possible)} points"
    yield spread(row((grade.folder, "head")), row((total, "head")), WIDTH)
    for report in grade.reports:
        mark = ("✓", "good") if report.passed else ("✗", "bad")
        score = f"{number(report.points)}/{number(report.possible)}"
        finding = report.first_finding
        said = capital(finding.sentence) if finding else ""
        said = cut(said, WIDTH - 32)
        yield spread(row("  ", mark, f" {report.exercise:<16}", (said, "dim")), row(score), WIDTH)
    yield row(("  seed ", "dim"), (str(grade.seed), "dim"))
