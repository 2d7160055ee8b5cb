"""How large miniflow is: lines of code of each room, `python benchmarks/size.py`.

A line of code is one that is neither blank nor comment nor docstring. A room is a file of
`src/miniflow` or a folder in it, with all it contains. `--files` lists every file.
"""

from __future__ import annotations

import argparse
import ast
import io
import tokenize
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

SOURCE = Path(__file__).resolve().parent.parent / "src" / "miniflow"
OTHER_CODE = {
    ".js": "//",
    ".mjs": "//",
    ".css": "",
}  # the comment that fills a line, if there is one
NOT_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
}


class Size(NamedTuple):
    """Lines of code, and lines in all."""

    code: int
    total: int

    def plus(self, other: Size) -> Size:
        return Size(self.code + other.code, self.total + other.total)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", action="store_true", help="a line a file, not a line a room")
    by_file = parser.parse_args().files
    rooms: dict[str, Size] = defaultdict(lambda: Size(0, 0))
    for path in sorted(SOURCE.rglob("*")):
        if path.is_file() and path.suffix in (".py", *OTHER_CODE):
            inside = path.relative_to(SOURCE)
            room = inside.as_posix() if by_file or len(inside.parts) == 1 else f"{inside.parts[0]}/"
            rooms[room] = rooms[room].plus(measure(path))
    width = max(map(len, rooms), default=4)
    print(f"{'room':{width}}  {'code':>6}  {'lines':>6}")
    for room in sorted(rooms, key=lambda room: (not room.endswith("/"), -rooms[room].code)):
        print(f"{room:{width}}  {rooms[room].code:6,}  {rooms[room].total:6,}")
    everything = Size(sum(s.code for s in rooms.values()), sum(s.total for s in rooms.values()))
    print(f"{'in all':{width}}  {everything.code:6,}  {everything.total:6,}")


def measure(path: Path) -> Size:
    """The size of one file."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    if path.suffix == ".py":
        return Size(len(lines_of_code(text)), len(lines))
    comment = OTHER_CODE[path.suffix]
    stripped = (line.strip() for line in lines)
    code = [line for line in stripped if line and not (comment and line.startswith(comment))]
    return Size(len(code), len(lines))


def lines_of_code(text: str) -> set[int]:
    """The numbers of the lines that hold code: all lines that a token lies on, less docstrings."""
    found: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in NOT_CODE:
            found.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                found.difference_update(range(first.lineno, (first.end_lineno or first.lineno) + 1))
    return found


if __name__ == "__main__":
    main()
