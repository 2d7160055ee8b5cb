"""The checks in a notebook: `check("mul")` shows what the command would, in the notebook's colours.

The learner's file is checked as it is on the disk, in a process of its own, as always; what lives
in the notebook's memory is not looked at. A cell that grades ends in `.grade()`.

A notebook that is run before its exercise is solved meets code that is not written yet. That is no
accident, so it is said in one sentence, without a traceback; the cell has failed all the same.
"""

import sys
from pathlib import Path
from types import TracebackType
from typing import Any

from miniflow.errors import NodeError
from miniflow.lab.findings import Report
from miniflow.lab.lines import line_of_exception

# Python's cache of compiled files goes by the second and the length: `x + y` turned into `x * y`
# within one second would look unchanged to autoreload.
sys.dont_write_bytecode = True


def say_what_is_unwritten() -> None:
    """Let this notebook (if it is one) say in one sentence that something is not written yet."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is not None:
        shell.set_custom_exc((NotImplementedError, NodeError), show_error)


def show_error(
    shell: Any,
    kind: type[BaseException],
    error: BaseException,
    traceback: TracebackType | None,
    tb_offset: int | None = None,
) -> None:
    """What IPython calls for an error that may come from a learner's unwritten code."""
    sentence = unwritten_in(error, Path.cwd())
    if sentence is not None:
        error._render_traceback_ = lambda: [sentence]  # type: ignore[attr-defined]
    shell.showtraceback((kind, error, traceback), tb_offset=tb_offset)


def unwritten_in(error: BaseException, folder: Path) -> str | None:
    """The sentence for an error that a file in `folder` raised because it is not finished."""
    cause = error.__cause__ if isinstance(error, NodeError) else error
    line = line_of_exception(cause, folder) if isinstance(cause, NotImplementedError) else None
    if line is None:
        return None
    said = str(cause).rstrip(".") or "This is not written yet"
    return (
        f"{said}: {line.file}, line {line.number}.\n"
        "This cell needs it: write it, save the file, and run this cell again."
    )


say_what_is_unwritten()


def check(exercise: str, folder: str | Path = ".", seed: int | None = None) -> Report:
    """Check an exercise of the lab.

    Args:
        exercise: its name, `"mul"`.
        folder: where the learner's files are: the notebook's own folder.
        seed: that of an earlier report, to draw the same numbers again; None by default: others.

    Returns:
        A report, which a notebook shows; `print` shows it as text.

    Raises:
        LabError: there is no such exercise, or no lab in that folder.

    >>> check("mul", "/no/such/folder")
    Traceback (most recent call last):
        ...
    miniflow.lab.exercises.LabError: There is no lab here: `miniflow lab start` makes one, in a folder of its own.
    """  # noqa: E501 (the message is one line)
    from miniflow.lab.exercises import name_of
    from miniflow.lab.folder import find_folder, is_lab
    from miniflow.lab.running import run_check

    here = Path(folder)
    return run_check(name_of(exercise), here if is_lab(here) else find_folder(here), seed)
