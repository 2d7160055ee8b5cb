"""The checks in a notebook: `check("mul")` shows what the command would, in the notebook's colours.

The learner's file is checked as it is on the disk, in a process of its own, as always; what lives
in the notebook's memory is not looked at. A cell that grades ends in `.grade()`.
"""

import sys
from pathlib import Path

from miniflow.lab.findings import Report

# Python's cache of compiled files goes by the second and the length: `x + y` turned into `x * y`
# within one second would look unchanged to autoreload.
sys.dont_write_bytecode = True


def check(exercise: str, folder: str | Path = ".", seed: int | None = None) -> Report:
    """Check an exercise of the lab.

    Args:
        exercise: its name, `"mul"`.
        folder: where the learner's files are: the notebook's own folder.
        seed: that of an earlier report, to draw the same numbers again.

    Returns:
        A report, which a notebook shows; `print` shows it as text.
    """
    from miniflow.lab.exercises import name_of
    from miniflow.lab.folder import find_folder, is_lab
    from miniflow.lab.running import run_check

    here = Path(folder)
    return run_check(name_of(exercise), here if is_lab(here) else find_folder(here), seed)
