"""A check, run in this very process: what the worker of `running.py` does, and what tests use.

Each part gets a generator of its own, from the seed and its own number, so that a part draws the
same numbers whatever the others did.
"""

import contextlib
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np

from miniflow.graph.deriving import nothing_is_derived
from miniflow.lab.checking import Exercise, ExercisePart, Failed, Work
from miniflow.lab.exercises import exercise as find
from miniflow.lab.findings import Report
from miniflow.lab.loading import importing_from, load
from miniflow.lab.results import Finding, PartResult
from miniflow.lab.trouble import finding_of


def check_inside(
    exercise: Exercise,
    folder: Path,
    seed: int,
    tell: Callable[[PartResult], None] = lambda result: None,
) -> Report:
    """Check the learner's file in `folder`; `tell` hears of each part as soon as it is done. The
    gradients are to be theirs: of a class without a `backward`, none is derived.
    """
    trouble = None
    results: list[PartResult] = []
    with importing_from(folder), nothing_is_derived(), contextlib.ExitStack() as quiet:
        quiet.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        try:
            module = load(folder, exercise.file)
        except Failed as failed:
            trouble = failed.finding
        except BaseException as error:
            trouble = finding_of(error, folder)
        else:
            for number, part in enumerate(exercise.parts):
                results.append(check_part(part, module, folder, [seed, number]))
                tell(results[-1])
    not_run = [PartResult(p.text, p.points, ran=False) for p in exercise.parts[len(results) :]]
    return Report(
        exercise.name,
        exercise.title,
        exercise.file,
        (*results, *not_run),
        seed,
        trouble,
        folder=str(folder),
    )


def check_with_needs(
    exercise: Exercise,
    folder: Path,
    seed: int,
    tell: Callable[[PartResult], None] = lambda result: None,
) -> Report:
    """Check as `check_inside` does; if it fails, find out which exercise has to be solved first."""
    report = check_inside(exercise, folder, seed, tell)
    if not report.passed:
        for name in exercise.needs:
            if not has_working_code(check_inside(find(name), folder, seed)):
                return replace(report, needed_first=(name,))
    return report


def has_working_code(report: Report) -> bool:
    """Whether others can build on an exercise: its questions may still be open."""
    findings = [report.trouble, *(part.finding for part in report.parts)]
    return all(finding is None or finding.kind == "answer" for finding in findings)


def check_part(part: ExercisePart, module: ModuleType, folder: Path, seed: list[int]) -> PartResult:
    work = Work(module, folder, np.random.default_rng(seed))
    finding: Finding | None = None
    try:
        part.check(work)
    except Failed as failed:
        finding = failed.finding
    except BaseException as error:  # a learner's sys.exit() too
        finding = finding_of(error, folder, *(work.ran_when_raised or work.now))
    return PartResult(part.text, part.points, finding)
