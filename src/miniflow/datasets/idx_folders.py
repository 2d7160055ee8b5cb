"""A folder of IDX files: which of them are the four of a set, whatever they are called.

MNIST's makers call them `train-images-idx3-ubyte.gz`. On people's disks they are also
`train-images.idx3-ubyte`, `TRAIN-IMAGES-IDX3-UBYTE`, `train-images-idx3-ubyte (1).gz`,
`emnist-letters-test-labels-idx1-ubyte`, or a folder of that name with the file in it. All these are
found; the name that has the fewest additions comes first, and the plain file before the packed one.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from miniflow.errors import DataError, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

MNIST_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)

_COPY = (
    r"(?P<copy>(?:[ _.-]*\(\d+\)|[ _.-]*copy(?: \d+)?)*)"  # as browsers and desktops number them
)
_NAME = re.compile(
    r"(?P<set>.*?)[ _.-]?(?P<part>train|t10k|test)[ _.-]?(?P<kind>images|labels)"
    rf"[ _.-]?idx[13][ _.-]?ubyte{_COPY}(?P<packed>\.gz)?{_COPY.replace('copy>', 'copy2>')}",
    re.IGNORECASE | re.DOTALL,
)


def find_idx_files(folder: str | os.PathLike[str]) -> dict[str, str]:
    """The paths of those of a set's four files that `folder` holds, by MNIST's names for them.

    Raises `DataError` if there are files of several sets: nobody can know which is meant.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("train-images.idx3-ubyte", "Train-Labels-IDX1-ubyte (1).gz"):
    ...         pathlib.Path(folder, name).touch()
    ...     [os.path.basename(path) for path in find_idx_files(folder).values()]
    ['train-images.idx3-ubyte', 'Train-Labels-IDX1-ubyte (1).gz']
    """
    found: dict[str, list[tuple[tuple[object, ...], str, str]]] = {}
    for name, path in _files_in(folder):
        match = _NAME.fullmatch(name)
        if match is None:
            continue
        part = "train" if match["part"].lower() == "train" else "t10k"
        kind = match["kind"].lower()
        usual = f"{part}-{kind}-idx{3 if kind == 'images' else 1}-ubyte"
        plain = name.removesuffix(match["packed"] or "")
        added = bool(match["copy"] or match["copy2"])
        rank = (added, plain != usual, bool(match["packed"]), name)
        found.setdefault(usual, []).append((rank, match["set"].lower(), path))
    sets = sorted({of for files in found.values() for _, of, _ in files})
    if "" in sets:  # files without a prefix are the folder's own
        sets = [""]
    if len(sets) > 1:
        named = " and ".join(shown(of) for of in sets)
        raise DataError(f"{folder}: holds the files of several sets, {named}; give each a folder.")
    return {
        usual: min(entry for entry in found[usual] if entry[1] == sets[0])[2]
        for usual in MNIST_FILES
        if any(of == sets[0] for _, of, _ in found.get(usual, ()))
    }


def _files_in(folder: str | os.PathLike[str]) -> Iterator[tuple[str, str]]:
    """The names and the paths of files; a folder with one file of its own name counts as that."""
    with os.scandir(folder) as entries:
        for entry in entries:
            inner = os.path.join(entry.path, entry.name)
            if entry.is_file():
                yield entry.name, entry.path
            elif entry.is_dir() and os.path.isfile(inner):
                yield entry.name, inner


def lies_on_its_side(folder: str | os.PathLike[str], paths: dict[str, str]) -> bool:
    """Whether these are EMNIST's files, whose images are stored transposed: their names say so, or
    the folder's.
    """
    names = [os.path.basename(path) for path in paths.values()]
    names.append(os.path.basename(os.path.abspath(os.fspath(folder))))
    return any(name.lower().startswith("emnist") for name in names)
