"""A learner's file as a module, whatever is in it.

The file is read and compiled afresh each time: Python's cache of compiled files goes by the second
of the last change and by length, and `x + y` turned into `x * y` within a second looks unchanged.
Modules of the learner's folder are forgotten afterwards.
"""

import contextlib
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import CodeType, ModuleType

from miniflow.lab.checking import Failed
from miniflow.lab.exercises import COURSE
from miniflow.lab.lines import line_of
from miniflow.lab.results import CodeLine, Finding


class Fresh(importlib.machinery.SourceFileLoader):
    """Compiles the source, whatever lies in __pycache__."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


class Folder(importlib.abc.MetaPathFinder):
    """Finds the modules of one folder before Python looks anywhere else."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        file = self.folder / f"{fullname}.py"
        if path is not None or not file.is_file():
            return None
        return importlib.util.spec_from_file_location(
            fullname, file, loader=Fresh(fullname, str(file))
        )


@contextlib.contextmanager
def importing_from(folder: Path) -> Iterator[None]:
    """Within this, `import mul` imports `mul.py` of the folder; afterwards it is forgotten.

    What is imported already stays what it is: a learner's `numpy.py` is not NumPy.
    """
    finder = Folder(folder.resolve())
    names = {path.stem for path in folder.glob("*.py")}
    names -= {name for name in names & sys.modules.keys() if name not in COURSE}
    before = {name: sys.modules.pop(name) for name in names & sys.modules.keys()}
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in names:
            sys.modules.pop(name, None)
        sys.modules.update(before)


def load(folder: Path, file: str) -> ModuleType:
    """Import a learner's file (within `importing_from`).

    Raises `Failed` if the file is missing, empty, not UTF-8 or not Python; whatever the file itself
    raises when it is run goes through.
    """
    path = folder / file
    refuse_unreadable(path)
    refuse_shadows(folder, file)
    try:
        return importlib.import_module(path.stem)
    except SyntaxError as error:
        raise Failed(syntax_error(error, path)) from None


def refuse_shadows(folder: Path, file: str) -> None:
    """A numpy.py in the folder is not taken for NumPy here, but `python mul.py` takes it."""
    for name in ("numpy.py", "miniflow.py"):
        if (folder / name).is_file():
            raise Failed(
                Finding(
                    "other",
                    f"{name} in your folder takes the place of {name[:-3]} when you run `python "
                    f"{file}`: give it another name.",
                    line=CodeLine(name, 1),
                )
            )


def refuse_unreadable(path: Path) -> None:
    if not path.is_file():
        raise Failed(
            Finding(
                "missing",
                f"{path.name} is not in {path.parent}: `miniflow lab start` writes the files that "
                "are missing, and leaves the others alone.",
            )
        )
    data = path.read_bytes()
    if not data.strip():
        raise Failed(
            Finding(
                "missing",
                f"{path.name} is empty: `miniflow lab reset {path.stem}` writes it anew.",
            )
        )
    try:
        data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = data.count(b"\n", 0, error.start) + 1
        raise Failed(
            Finding(
                "exception",
                f"{path.name} is not UTF-8 text: save it as UTF-8 in your editor.",
                line=CodeLine(path.name, number),
            )
        ) from None


def syntax_error(error: SyntaxError, path: Path) -> Finding:
    """A syntax error with its line and its column, in this file or in one that it imports."""
    where = Path(error.filename) if error.filename and error.filename[0] != "<" else path
    number = error.lineno or 1
    line = line_of(str(where), number)
    text = (error.text or line.text).rstrip("\n")
    caret = (error.offset or 1) - (len(text) - len(text.lstrip()))
    return Finding(
        "exception",
        f"{where.name} is not Python yet: {error.msg}.",
        line=CodeLine(where.name, number, text.strip(), max(caret, 1)),
    )
