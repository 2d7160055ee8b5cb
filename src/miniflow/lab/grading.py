"""Grading: every check on a learner's folder, and the points counted, for a teacher or a CI job.

A grade depends on the files alone, never on what the runner remembers. A teacher's own checks are
files of the same form as those in `checks/`, in a folder of theirs, and are run as well.
"""

import json
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from miniflow import __version__
from miniflow.lab.exercises import COURSE, LabError, exercise
from miniflow.lab.findings import Report
from miniflow.lab.running import run_check
from miniflow.lab.screen import Row, cut, row, spread
from miniflow.lab.showing import capital, number

WIDTH = 88


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


def grade(folder: Path, checks: Sequence[str] = (), seed: int | None = None) -> Grade:
    """Check all exercises of a folder, and a teacher's `checks` (paths) as well."""
    if not folder.is_dir():
        raise LabError(f"{folder} is not a folder.")
    seed = secrets.randbits(31) if seed is None else seed
    reports = tuple(run_check(name, folder, seed) for name in (*COURSE, *checks))
    return Grade(str(folder), seed, reports)


def as_json(grades: Sequence[Grade]) -> str:
    """Grades for a program: a stable form, with a sentence for whatever failed."""
    submissions = [
        {
            "folder": grade.folder,
            "seed": grade.seed,
            "points": grade.points,
            "possible": grade.possible,
            "exercises": [exercise_as_json(report) for report in grade.reports],
        }
        for grade in grades
    ]
    return json.dumps({"miniflow": __version__, "submissions": submissions}, indent=2)


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
