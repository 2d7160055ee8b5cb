"""The course: its chapters in order, each with one exercise; its check is a file in `checks/`."""

import importlib
import os
import runpy
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import NamedTuple

from miniflow.errors import MiniflowError
from miniflow.lab.checking import Exercise


class Chapter(NamedTuple):
    """A chapter: its number, its source in `course/`, and the name of its exercise."""

    number: int
    source: str
    exercise: str

    @property
    def notebook(self) -> str:
        """The name of its notebook: `03_nodes.ipynb`."""
        return f"{self.number:02}_{self.source}.ipynb"

    @property
    def file(self) -> str:
        """The name of the learner's file: `mul.py`."""
        return f"{self.exercise}.py"


SOURCES = {  # name of the exercise → source of its chapter, in their order
    "networks": "networks",
    "chain_rule": "chain_rule",
    "mul": "nodes",
    "engine": "engine",
    "linear": "linear",
    "sigmoid": "sigmoid",
    "gradcheck": "gradcheck",
    "cross_entropy": "cross_entropy",
    "stability": "stability",
    "sgd": "sgd",
    "momentum": "momentum",
    "digits": "digits",
    "beyond": "beyond",
    "attention": "attention",
}
CHAPTERS = tuple(
    Chapter(number, source, name) for number, (name, source) in enumerate(SOURCES.items(), start=1)
)
COURSE = tuple(chapter.exercise for chapter in CHAPTERS)


def number_of(name: str) -> int:
    """The number of an exercise's chapter."""
    return COURSE.index(name) + 1


class LabError(MiniflowError, ValueError):
    """There is no such exercise, folder or file, or it is not what it should be."""


@cache
def exercise(name: str) -> Exercise:
    """An exercise by its name, its file or the number of its chapter; or by the path of a check, a
    teacher's own.

    Raises LabError if there is none.
    """
    if os.path.isabs(name):
        return exercise_in(Path(name))
    found: Exercise = importlib.import_module(f"miniflow.lab.checks.{name_of(name)}").exercise
    return found


def exercise_in(path: Path) -> Exercise:
    """The exercise that a teacher's file defines."""
    try:
        found = runpy.run_path(str(path)).get("exercise")
    except Exception as error:
        raise LabError(f"{path}: cannot be run: {type(error).__name__}: {error}.") from error
    if not isinstance(found, Exercise):
        raise LabError(f"{path}: does not define `exercise = Exercise(...)`.")
    return replace(found, name=found.name if found.name not in COURSE else f"{found.name}-own")


def name_of(name: str) -> str:
    """The name of the exercise that somebody means by a name, a file or a number.

    >>> name_of("mul.py"), name_of("3"), name_of("03_nodes.ipynb")
    ('mul', 'mul', 'mul')
    """
    for chapter in CHAPTERS:
        if name in (chapter.exercise, chapter.file, chapter.notebook, str(chapter.number)):
            return chapter.exercise
    raise LabError(f"There is no exercise {name!r}. There are: {', '.join(COURSE)}.")
