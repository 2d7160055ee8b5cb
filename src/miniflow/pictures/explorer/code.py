"""The code of a node, as its author wrote it: what the explorer shows beside the numbers.

`inspect` finds the source of `forward` and `backward`, or, for a class written the tidy way, of
`compute` and `gradient`. Code that was never in a file (typed into a plain prompt, made by `exec`)
has no source to show; then that is said.
"""

from __future__ import annotations

import inspect
import io
import keyword
import os
import textwrap
import tokenize
from collections.abc import Callable
from typing import Any, NamedTuple

from miniflow.errors import printable
from miniflow.graph import Constant, Input, Node, Op, Parameter

Token = tuple[str, str]  # "keyword", "text", "comment", "number" or "", and the characters


class Code(NamedTuple):
    """The source of one method: `lines` of tokens; where there are none, `why` says why."""

    title: str  # "Mul.forward"
    where: str  # "train.py:12", "" where unknown
    lines: tuple[tuple[Token, ...], ...] = ()
    why: str = ""


def code_of(node: Node) -> tuple[Code, Code] | None:
    """The code of a node's forward and backward pass; None for what is fed or kept, where there is
    nothing to read.
    """
    if type(node) in (Input, Parameter, Constant):
        return None
    kind = type(node)
    tidy = isinstance(node, Op)
    forward = "compute" if tidy and kind.forward is Op.forward else "forward"
    backward = "gradient" if tidy and kind.backward is Op.backward else "backward"
    return _code(kind, forward), _code(kind, backward)


def _code(kind: type, method: str) -> Code:
    function = inspect.unwrap(getattr(kind, method))
    title = printable(f"{kind.__name__}.{method}")
    try:
        lines, first = inspect.getsourcelines(function)
    except (OSError, TypeError, IndentationError, SyntaxError, tokenize.TokenError):
        return Code(title, "", why="Its source is not available: it was not read from a file.")
    source = textwrap.dedent("".join(lines)).rstrip()
    return Code(title, _where(function, first), tuple(highlighted(source)))


def _where(function: Callable[..., Any], line: int) -> str:
    """File and line, without folders; the files that notebooks make of cells have no name."""
    path = inspect.getsourcefile(function) or ""
    name = os.path.basename(path)
    if "ipykernel" in path or name.startswith("<"):
        return f"notebook, line {line} of the cell"
    return printable(f"{name}:{line}")


def highlighted(source: str) -> list[tuple[Token, ...]]:
    """The lines of Python code, cut into tokens.

    >>> highlighted("return x  # half")
    [(('keyword', 'return'), ('', ' x  '), ('comment', '# half'))]
    """
    marks = _marks(source)
    lines = []
    for number, line in enumerate(source.split("\n"), start=1):
        tokens: list[Token] = []
        end = 0
        for start, stop, kind in marks.get(number, []):
            tokens += [("", line[end:start]), (kind, line[start : min(stop, len(line))])]
            end = stop
        tokens.append(("", line[end:]))
        lines.append(tuple(token for token in tokens if token[1]))
    return lines


def _marks(source: str) -> dict[int, list[tuple[int, int, str]]]:
    """For each line what stands out: from which column to which, and as what."""
    marks: dict[int, list[tuple[int, int, str]]] = {}
    try:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            kind = _kind(token)
            for line in range(token.start[0], token.end[0] + 1) if kind else ():
                start = token.start[1] if line == token.start[0] else 0
                stop = token.end[1] if line == token.end[0] else 10**6
                marks.setdefault(line, []).append((start, stop, kind))
    except (tokenize.TokenError, SyntaxError):  # not Python by itself: shown plain from there
        pass
    return marks


def _kind(token: tokenize.TokenInfo) -> str:
    if token.type == tokenize.NAME and keyword.iskeyword(token.string):
        return "keyword"
    if token.type == tokenize.STRING or "FSTRING" in tokenize.tok_name[token.type]:
        return "text"
    kinds = {tokenize.COMMENT: "comment", tokenize.NUMBER: "number"}
    return kinds.get(token.type, "")
