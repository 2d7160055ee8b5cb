"""Try a check on any file: `python -m miniflow.lab.try_check mul path/to/mul.py [SEED]`.

For those who write exercises. The file is copied into an empty folder under the exercise's own
name, beside the solutions of all the others, and checked in this very process.
"""

import secrets
import shutil
import sys
import tempfile
from pathlib import Path

from miniflow.lab.exercises import COURSE, exercise
from miniflow.lab.inside import check_inside

SOLUTIONS = Path(__file__).parent / "solutions"


def main(arguments: list[str]) -> int:
    name, path, *rest = arguments
    seed = int(rest[0]) if rest else secrets.randbits(32)
    wanted = exercise(name)
    with tempfile.TemporaryDirectory() as folder:
        for other in COURSE:
            solution = SOLUTIONS / f"{other}.py"
            if solution.is_file():
                shutil.copy(solution, folder)
        shutil.copy(path, Path(folder, wanted.file))
        report = check_inside(wanted, Path(folder), seed)
    print(report)
    return 0 if report.passed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
