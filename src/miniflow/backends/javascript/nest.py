"""Loops within loops: over all indices of a space, with as few loops as will do.

A writer asks a `NestText` for the place of an element (`index`) and adds lines to its body. Only
when all are known are the loops written: neighbouring axes over which every array that is read or
written runs on without a gap become one loop, and axes of length one none.

    for (let i = 0; i < 32; i++) {
      for (let j = 0; j < 10; j++) {
        logits[10*i + j] = product[10*i + j] + b[j];
      }
    }
"""

from __future__ import annotations

import re
from math import prod
from typing import NamedTuple

from miniflow.lowering.views import Shape

INDENT = "  "
INDICES = ("i", "j", "k", "l", *(f"i{n}" for n in range(4, 64)))

_PLACE = re.compile(r"\x00([#@])(\d+)\x00")


class _Loop(NamedTuple):
    first: int  # the axes of the space that it runs over: from first to last
    last: int
    length: int


class NestText:
    """The loops over a space, as they are put together."""

    def __init__(self, space: Shape) -> None:
        self.space = space
        self._places: list[tuple[int, Shape]] = []
        self._body: list[str] = []
        self._before: list[tuple[int, str]] = []
        self._after: list[tuple[int, str]] = []

    def index(self, offset: int, strides: Shape) -> str:
        """The text of `offset + Σ index · stride`, to stand in brackets or among arguments."""
        return self._placeholder("@", offset, strides)

    def counter(self, offset: int, strides: Shape) -> str:
        """The same, to be used as a number."""
        return self._placeholder("#", offset, strides)

    def _placeholder(self, sign: str, offset: int, strides: Shape) -> str:
        self._places.append((offset, strides))
        return f"\x00{sign}{len(self._places) - 1}\x00"

    def add(self, line: str) -> None:
        """Add a line to the body of the innermost loop."""
        self._body.append(line)

    def around(self, axis: int, before: str, after: str) -> None:
        """Add lines before and after the loops over `axis` and the axes that follow."""
        self._before.append((axis, before))
        if after:
            self._after.append((axis, after))

    def lines(self) -> list[str]:
        """The text of the loops."""
        if 0 in self.space and not self._before:
            return []
        loops = self._loops()
        text: list[str] = []
        for depth in range(len(loops) + 1):
            text += self._lines_at(self._before, loops, depth)
            if depth < len(loops):
                i, n = INDICES[depth], loops[depth].length
                text.append(f"{INDENT * depth}for (let {i} = 0; {i} < {n}; {i}++) {{")
        text += [INDENT * len(loops) + line for line in self._body]
        for depth in reversed(range(len(loops) + 1)):
            if depth < len(loops):
                text.append(f"{INDENT * depth}}}")
            text += self._lines_at(self._after, loops, depth)
        return [_PLACE.sub(lambda found: self._text(found, loops), line) for line in text]

    def _loops(self) -> list[_Loop]:
        loops: list[_Loop] = []
        for axis, length in enumerate(self.space):
            if length == 1:
                continue
            if loops and self._runs_on(loops[-1].last, axis):
                loops[-1] = _Loop(loops[-1].first, axis, loops[-1].length * length)
            else:
                loops.append(_Loop(axis, axis, length))
        return loops

    def _runs_on(self, outer: int, inner: int) -> bool:
        length = self.space[inner]
        is_split = any(outer < axis <= inner for axis, _ in self._before)
        return not is_split and all(s[outer] == s[inner] * length for _, s in self._places)

    def _lines_at(self, around: list[tuple[int, str]], loops: list[_Loop], depth: int) -> list[str]:
        return [
            INDENT * depth + line
            for axis, line in around
            if sum(loop.first < axis for loop in loops) == depth
        ]

    def _text(self, found: re.Match[str], loops: list[_Loop]) -> str:
        offset, strides = self._places[int(found[2])]
        text = affine(offset, [strides[loop.last] for loop in loops])
        is_word = text.isalnum()
        return text if found[1] == "@" or is_word else f"({text})"

    @property
    def size(self) -> int:
        """How many elements the space has."""
        return prod(self.space)


def affine(offset: int, strides: list[int]) -> str:
    """Write `offset + Σ index · stride`.

    >>> affine(5, [10, -1, 0]), affine(0, [])
    ('10*i - j + 5', '0')
    """
    text = ""
    for index, stride in zip(INDICES, strides, strict=False):
        if stride:
            factor = "" if abs(stride) == 1 else f"{abs(stride)}*"
            text += f" {'-' if stride < 0 else '+'} {factor}{index}"
    if offset or not text:
        text += f" {'-' if offset < 0 else '+'} {abs(offset)}"
    return text[3:] if text.startswith(" + ") else f"-{text[3:]}"
