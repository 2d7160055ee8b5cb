"""Letters as numbers: what a network that writes is fed, and what it is to say."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from miniflow.errors import DataError


class Alphabet:
    """The letters of some lines, numbered from 1 on; 0 stands at both ends of a line.

    Attributes:
        letters: all of them, sorted, in one text.

    >>> alphabet = Alphabet(["cab", "bad"])
    >>> alphabet.letters, alphabet.encode("bad")
    ('abcd', [0, 2, 1, 4, 0])
    """

    def __init__(self, lines: Iterable[str]) -> None:
        self.letters = "".join(sorted(set().union(*lines)))
        self._numbers = {letter: i for i, letter in enumerate(self.letters, 1)}
        if not self.letters:
            raise DataError("There are no letters in these lines.")

    def knows(self, line: str) -> bool:
        """Whether it has all letters of a line."""
        return self._numbers.keys() >= set(line)

    def encode(self, line: str, most: int | None = None) -> list[int]:
        """The numbers of a line's letters, with a 0 at either end; of a line of more letters than
        `most`, those at its beginning, without an end.

        Raises DataError where it has a letter that is none of these.
        """
        if not self.knows(line):
            unknown = min(set(line) - self._numbers.keys())
            raise DataError(f"{line!r} has {unknown!r}, which is none of {self.letters}.")
        numbers = [0, *(self._numbers[letter] for letter in line), 0]
        return numbers if most is None else numbers[: most + 1]


def next_letters(
    values: NDArray[np.int64], mask: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """From encoded lines, padded: what is read, (n, T - 1), and what comes next, -1 for padding.

    >>> next_letters(np.array([[0, 2, 1, 0], [0, 3, 0, 0]]), np.array([[1, 1, 1, 1], [1, 1, 1, 0]]))
    (array([[0, 2, 1],
           [0, 3, 0]]), array([[ 2,  1,  0],
           [ 3,  0, -1]]))
    """
    return values[:, :-1], np.where(mask, values, -1)[:, 1:]


def triples(lines: Sequence[str]) -> set[str]:
    """All letters with the two before them, where the ends of a line count as letters.

    >>> sorted(triples(["ab"]))
    ['.ab', 'ab.']
    """
    ended = [f".{line}." for line in lines]
    return {line[i : i + 3] for line in ended for i in range(len(line) - 2)}
