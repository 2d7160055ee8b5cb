"""What the runner remembers: which exercises were passed, and how many hints were asked for.

It is one small file in the learner's folder. It may be deleted, damaged or copied from elsewhere at
any time; then it counts as empty, and nothing but what it held is lost.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from miniflow.files.atomic import write_text
from miniflow.lab.exercises import COURSE

FILE = ".miniflow-lab.json"


@dataclass
class LabState:
    """exercise → fingerprint of the file that passed; → hints shown; those whose solution was asked
    for once.
    """

    passed: dict[str, str] = field(default_factory=dict)
    hints: dict[str, int] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def next_exercise(self, folder: Path) -> str | None:
        """The first exercise that was not passed; None if all were.

        One whose file is not in the folder comes last: a later version may have brought it, and
        `miniflow lab start` writes it.
        """
        left = [name for name in COURSE if name not in self.passed]
        here = (name for name in left if (folder / f"{name}.py").is_file())
        return next(here, left[0] if left else None)


def read_state(folder: Path) -> LabState:
    """What is remembered for a folder; nothing if the file is not there or makes no sense."""
    try:
        data = json.loads((folder / FILE).read_text(encoding="utf-8"))
        return LabState(
            {str(n): str(d) for n, d in dict(data["passed"]).items() if n in COURSE},
            {str(n): int(count) for n, count in dict(data["hints"]).items() if n in COURSE},
            [str(name) for name in data["asked"] if name in COURSE],
        )
    except (OSError, ValueError, KeyError, TypeError):
        return LabState()


def write_state(folder: Path, state: LabState) -> None:
    text = json.dumps({"version": 1} | asdict(state), indent=2, sort_keys=True)
    write_text(folder / FILE, text + "\n")
