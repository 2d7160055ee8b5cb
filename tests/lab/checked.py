"""A small exercise checked, as the tests of the checks do it."""

from pathlib import Path

from small_exercise import exercise

from miniflow.lab.checking import Exercise
from miniflow.lab.findings import Finding, Report
from miniflow.lab.inside import check_inside


def check(text: str, folder: Path, wanted: Exercise = exercise, seed: int = 1) -> Report:
    (folder / wanted.file).write_text(text, encoding="utf-8")
    return check_inside(wanted, folder, seed)


def first(report: Report) -> Finding:
    finding = report.first_finding
    assert finding is not None
    return finding


def exercise_of(check: object, **options: object) -> Exercise:
    one = Exercise("one", title="One", chapter=1, file="one.py", hints=("a", "b", "c"), **options)  # type: ignore[arg-type]
    one.part("the part", points=1)(check)  # type: ignore[arg-type]
    return one


def run(part: object, folder: Path, text: str = "one = 1\n", **options: object) -> Report:
    return check(text, folder, exercise_of(part, **options))
