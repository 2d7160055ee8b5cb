"""`miniflow lab`: build your own TensorFlow, exercise by exercise; the logic is in miniflow.lab."""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from miniflow.cli.arguments import Command
from miniflow.lab.exercises import LabError
from miniflow.lab.folder import USUAL_NAME, find_folder, is_lab, start_lab
from miniflow.lab.runner import Runner
from miniflow.lab.screen import Screen

FAILED = 1

lab = typer.Typer(
    name="lab",
    rich_markup_mode=None,
    epilog="EXERCISE is a name (mul), a file (mul.py) or the number of a chapter (3).",
)

Name = Annotated[str | None, typer.Argument(metavar="EXERCISE", show_default=False)]


@lab.callback(invoke_without_command=True)
def _lab(
    context: typer.Context,
    folder: Annotated[
        str | None, typer.Option(metavar="DIR", help="Your lab folder.  [default: here]")
    ] = None,
) -> None:
    """Build your own TensorFlow: short chapters, in which you write the nodes.

    \b
    Examples:
      miniflow lab start
      miniflow lab            (what is next)
      miniflow lab check      (is it right?)
      miniflow lab watch      (checks as you write)
    """  # noqa: D301 (\b keeps the lines apart)
    context.obj = folder
    if context.invoked_subcommand is None:
        _runner(context).next()


def _runner(context: typer.Context) -> Runner:
    folder = context.obj
    if folder is not None and not is_lab(Path(folder)):
        raise LabError(f"{folder} is not a lab: `miniflow lab start` makes one.")
    return Runner(find_folder(Path(folder or ".")), Screen())


def _end(well: bool) -> None:
    if not well:
        raise typer.Exit(FAILED)


@lab.command(cls=Command)
def start(
    context: typer.Context,
    folder: Annotated[str | None, typer.Argument(metavar="DIR", show_default=False)] = None,
) -> None:
    """Write the exercises into a folder (`miniflow-lab`, if none is named), over no file."""
    from miniflow.lab.views import rows_of_start

    here = Path()
    named = folder or context.obj or ("." if is_lab(here) else USUAL_NAME)
    Screen().show(rows_of_start(start_lab(Path(named)), here))


@lab.command("next", cls=Command)
def next_(context: typer.Context) -> None:
    """Say what to read, write and check next."""
    _runner(context).next()


@lab.command(cls=Command)
def check(
    context: typer.Context,
    exercise: Name = None,
    everything: Annotated[bool, typer.Option("--all", help="Check all exercises.")] = False,
    seed: Annotated[
        int | None, typer.Option(help="Draw the numbers of an earlier check again.")
    ] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show the seed of the random numbers.")
    ] = False,
) -> None:
    """Check an exercise: the next one, or the one that is named."""
    runner = _runner(context)
    _end(runner.check_all() if everything else runner.check(exercise, seed, verbose))


@lab.command(cls=Command)
def watch(context: typer.Context) -> None:
    """Check whenever a file of yours changes, until Ctrl-C."""
    from miniflow.lab.watching import watch as watch_with

    watch_with(_runner(context))


@lab.command(cls=Command)
def hint(context: typer.Context, exercise: Name = None) -> None:
    """Give a hint; each time one that says more."""
    _runner(context).hint(exercise)


@lab.command("list", cls=Command)
def list_(context: typer.Context) -> None:
    """Show all exercises, and which are solved."""
    _runner(context).list()


@lab.command(cls=Command)
def reset(
    context: typer.Context,
    exercise: Annotated[str, typer.Argument(metavar="EXERCISE", show_default=False)],
) -> None:
    """Write an exercise's file anew; what you had is kept in `kept`."""
    _runner(context).reset(exercise)


@lab.command(cls=Command)
def solution(context: typer.Context, exercise: Name = None) -> None:
    """Show a solution: once yours passes, or when asked twice."""
    _end(_runner(context).solution(exercise))


@lab.command(cls=Command)
def notebook(context: typer.Context, exercise: Name = None) -> None:
    """Open the chapter's notebook in JupyterLab."""
    path = _runner(context).notebook_of(exercise)
    if importlib.util.find_spec("jupyterlab") is None:
        typer.echo(
            f"{path}\n\n"
            "JupyterLab is not installed here. Either open that file in an editor that knows\n"
            "notebooks (VS Code, PyCharm), or install JupyterLab and ask again:\n\n"
            '  pip install "miniflow-graphs[lab]"'
        )
        raise typer.Exit(FAILED)
    as_root = ["--allow-root"] if is_root() else []  # in a container there is nobody else
    command = [sys.executable, "-m", "jupyterlab", *as_root, path.name]
    subprocess.run(command, cwd=path.parent, check=False)


def is_root() -> bool:
    """Whether it is root who asks, whom Jupyter refuses unless it is told that this is meant."""
    return hasattr(os, "geteuid") and os.geteuid() == 0


@lab.command(cls=Command)
def grade(
    context: typer.Context,
    folders: Annotated[list[str] | None, typer.Argument(metavar="DIR", show_default=False)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    checks: Annotated[
        str | None, typer.Option(metavar="DIR", help="A teacher's own checks, added to ours.")
    ] = None,
    at_least: Annotated[
        float | None,
        typer.Option(metavar="POINTS", help="What is enough for exit code 0.  [default: all]"),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="The same numbers for everybody.")] = None,
) -> None:
    """Check everything in one or more lab folders, and count the points.

    \b
    Examples:
      miniflow lab grade
      miniflow lab grade --json submissions/*
      miniflow lab grade --at-least 60 --checks hidden
    """  # noqa: D301 (\b keeps the lines apart)
    from miniflow.lab import grading

    named = folders or [context.obj or str(find_folder(Path()))]
    for folder in named:  # before the first is graded
        grading.see_that_it_is_there(Path(folder))
    own_checks = grading.own_checks(Path(checks)) if checks is not None else []
    grades = []

    def grades_as_they_come() -> Iterator[grading.Grade]:
        for folder in named:
            grades.append(grading.grade(Path(folder), own_checks, seed))
            yield grades[-1]

    if as_json:
        for piece in grading.json_pieces(grades_as_they_come()):
            typer.echo(piece, nl=False)
    else:
        for grade in grades_as_they_come():
            Screen().show(grading.rows_of(grade))
    _end(all(grade.is_enough(at_least) for grade in grades))
