"""The learner's folder: where it is, what is handed out into it, and how nothing of theirs is lost.

A folder is a lab by its files, not by a mark that could be deleted. Whatever is in it belongs to
the learner: a file is written only where there is none, and `reset` first puts what was there into
`kept/`, with the date in its name.
"""

import hashlib
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from miniflow.files.atomic import write_bytes
from miniflow.lab.exercises import CHAPTERS, LabError

HANDOUT = Path(__file__).parent / "handout"
SOLUTIONS = Path(__file__).parent / "solutions"
USUAL_NAME = "miniflow-lab"
KEPT = "kept"
ENOUGH = 3  # that many of the course's files make a folder a lab


class Started(NamedTuple):
    """What `start` did: the files that it wrote, and those it left alone because they differ."""

    folder: Path
    written: list[str]
    left_alone: list[str]


def handed_out() -> dict[str, bytes]:
    """Everything that a learner gets: path in their folder → contents."""
    return {
        path.relative_to(HANDOUT).as_posix(): path.read_bytes()
        for path in sorted(HANDOUT.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


def is_lab(folder: Path) -> bool:
    """Whether a folder has at least three of the course's files."""
    return sum((folder / chapter.file).is_file() for chapter in CHAPTERS) >= ENOUGH


def find_folder(start: Path) -> Path:
    """The lab that somebody means who is in the folder `start`: this one, one above, or `start` /
    miniflow-lab.

    Raises LabError if there is none.
    """
    start = start.absolute()
    for folder in (start, *start.parents, start / USUAL_NAME):
        if is_lab(folder):
            return folder
    raise LabError("There is no lab here: `miniflow lab start` makes one, in a folder of its own.")


def start_lab(folder: Path) -> Started:
    """Write the course's files into a folder, each only where there is none."""
    if folder.exists() and not folder.is_dir():
        raise LabError(f"{folder} is a file; the lab needs a folder: miniflow lab start FOLDER.")
    written, left_alone = [], []
    for name, data in handed_out().items():
        path = folder / name
        if path.exists() or path.is_symlink():
            if not path.is_file() or path.read_bytes() != data:
                left_alone.append(name)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, data)
        written.append(name)
    return Started(folder, written, left_alone)


def reset_file(folder: Path, name: str, now: datetime) -> str | None:
    """Write a file anew as it was handed out; return where what was there is kept.

    None if there was nothing to keep: no file, or one as it was handed out.
    """
    data = (HANDOUT / name).read_bytes()
    path = folder / name
    kept = None
    if path.exists() and path.read_bytes() != data:
        kept = keep(folder, path, now)
    write_bytes(path, data)
    return kept


def keep(folder: Path, path: Path, now: datetime) -> str:
    """Copy a file into `kept/`, under a name that no file has."""
    (folder / KEPT).mkdir(exist_ok=True)
    stem = f"{path.stem}-{now:%Y-%m-%d-%H%M%S}"
    names = (f"{stem}{again}{path.suffix}" for again in ("", *(f"-{n}" for n in range(2, 10_000))))
    name = next(name for name in names if not (folder / KEPT / name).exists())
    write_bytes(folder / KEPT / name, path.read_bytes())
    return f"{KEPT}/{name}"


def fingerprint(path: Path) -> str:
    """A short digest of a file, "" if it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    except OSError:
        return ""
