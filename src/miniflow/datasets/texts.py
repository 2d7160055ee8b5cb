"""Text to learn from: given names, which come with the package, and any file with an example a
line. Both are set apart into the three sets that training needs, always in the same way.
"""

from __future__ import annotations

import gzip
import os
from functools import cache
from typing import NamedTuple

import numpy as np

from miniflow.errors import DataError
from miniflow.options import file_path

NAMES_FILE = os.path.join(os.path.dirname(__file__), "data", "names.txt.gz")
LEAST_LINES = 10  # of which one is set aside for the test, and one for validation
MOST_BYTES = 100_000_000


class Lines(NamedTuple):
    """Examples of text, one a line: those to learn from, to choose by, and to report on.

    >>> train, validation, test = names()
    >>> type(train), type(train[0])
    (<class 'list'>, <class 'str'>)
    """

    train: list[str]
    validation: list[str]
    test: list[str]


def names() -> Lines:
    """32,000 given names in lower case: 25,920 to train on, 2,880 for
    validation and 3,200 for the test, the same ones each time, each a list of words.

    (U.S. Social Security Administration, births of 1880 to 2017; public domain, see
    `data/names.md`.)

    >>> given = names()
    >>> len(given.train), len(given.validation), len(given.test)
    (25920, 2880, 3200)
    >>> "emma" in given.train + given.validation + given.test, max(map(len, given.train))
    (True, 14)
    """
    return Lines(*map(list, _read_names()))  # lists of their own: whoever shuffles one, shuffles it


@cache
def _read_names() -> Lines:
    with gzip.open(NAMES_FILE, "rt", encoding="ascii") as file:
        return _set_apart(file.read().split())


def lines(path: str | os.PathLike[str]) -> Lines:
    """Any text file (UTF-8), a line an example. Empty lines, and spaces at either end of one, are
    left out. A tenth of the lines is set aside for the test, and a tenth of the rest for
    validation, the same ones each time; each set has its lines in the order of the file.

    Args:
        path: the file; one that ends in .gz is unpacked.

    Raises:
        DataError: it is no such text, or has fewer than ten lines.
        OSError: it cannot be opened.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "cities.txt")
    ...     _ = path.write_text(os.linesep.join(f"city {i}" for i in range(20)))
    ...     tuple(map(len, lines(path)))
    (16, 2, 2)
    """
    path = file_path("datasets.lines", path)
    try:
        with (gzip.open if path.endswith(".gz") else open)(path, "rb") as file:
            content = file.read(MOST_BYTES + 1)
        text = content.decode("utf-8-sig")
    except (UnicodeDecodeError, EOFError, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: is no text in UTF-8 ({error}).") from error
    if len(content) > MOST_BYTES:
        raise DataError(f"{path}: is larger than {MOST_BYTES:,} bytes; train on a part of it.")
    if "\0" in text:
        raise DataError(f"{path}: is no text: it has bytes that are 0.")
    found = [line for line in map(str.strip, text.splitlines()) if line]
    if len(found) < LEAST_LINES:
        raise DataError(
            f"{path}: has {len(found)} lines that are not empty; it takes {LEAST_LINES} or more, "
            "each an example."
        )
    return _set_apart(found)


def _set_apart(found: list[str]) -> Lines:
    """A tenth for the test, a tenth of the rest for validation."""
    order = np.random.default_rng(0).permutation(len(found))
    test = -(-len(found) // 10)
    validation = test + -(-(len(found) - test) // 10)
    parts = order[validation:], order[test:validation], order[:test]
    return Lines(*([found[i] for i in np.sort(part)] for part in parts))
