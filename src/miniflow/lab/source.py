r"""The source of a chapter: a Python file in percent format, read into cells.

    # %% [markdown]                   reading: for the notebook
    # %% [markdown] tags=["file"]     for the notebook, and as comments for the learner's file
    # %%                              code for the notebook
    # %% tags=["file"]                code for the learner's file
    # %% check="mul" points=10        the notebook's cell that checks and grades

What comes before the first cell is a note to maintainers. In code for the learner's file, what
stands between `### BEGIN SOLUTION` and `### END SOLUTION` is the solution; a learner gets, in its
place, the lines that begin with `# stub: `.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from miniflow.lab.exercises import LabError

HEADER = re.compile(r"# %%(?P<kind> \[markdown\])?(?P<options>.*)")
OPTION = re.compile(r'\s*(\w+)=("[^"]*"|\[[^\]]*\]|\d+)')
BEGIN, END, STUB = "### BEGIN SOLUTION", "### END SOLUTION", "# stub:"


@dataclass(frozen=True)
class Cell:
    """One cell: its text without the comment signs of markdown, and the options of its header."""

    markdown: bool
    text: str
    line: int
    tags: tuple[str, ...] = ()
    check: str | None = None
    points: int = 0

    @property
    def for_file(self) -> bool:
        """Whether it belongs into the learner's file."""
        return "file" in self.tags

    @property
    def for_notebook(self) -> bool:
        """Whether it belongs into the notebook."""
        return self.markdown or not self.for_file


def read_cells(source: str, name: str) -> list[Cell]:
    r"""The cells of a chapter's source; `name` is what errors call it.

    >>> [cell] = read_cells("# %% [markdown]\n# # Title\n#\n# Text.\n", "c1.py")
    >>> cell.text
    '# Title\n\nText.'
    """
    cells: list[Cell] = []
    lines = source.splitlines()
    starts = [i for i, line in enumerate(lines) if line.startswith("# %%")]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        header = HEADER.fullmatch(lines[start])
        assert header is not None
        markdown = header["kind"] is not None
        body = "\n".join(lines[start + 1 : end]).strip("\n")
        text = uncomment(body, f"{name}:{start + 2}") if markdown else body
        cells.append(Cell(markdown, text, start + 1, **options_of(header["options"], name, start)))
    return cells


def options_of(text: str, name: str, start: int) -> dict[str, Any]:
    """The options of a header, `check="mul" points=10`."""
    found: dict[str, Any] = {}
    for key, value in OPTION.findall(text):
        if key not in ("tags", "check", "points"):
            raise LabError(f"{name}:{start + 1}: a cell has no option {key!r}.")
        if value.startswith("["):
            found[key] = tuple(re.findall(r'"([^"]*)"', value))
        else:
            found[key] = int(value) if value.isdigit() else value.strip('"')
    if OPTION.sub("", text).strip():
        raise LabError(f"{name}:{start + 1}: cannot read {text.strip()!r}.")
    return found


def uncomment(body: str, where: str) -> str:
    lines = []
    for line in body.splitlines():
        if line and not line.startswith("#"):
            raise LabError(f"{where}: a markdown cell has a line that is no comment: {line!r}.")
        lines.append(line[2:] if line.startswith("# ") else line[1:])
    return "\n".join(lines)


# --- The learner's text and the solution's


def as_handed_out(code: str, where: str = "") -> str:
    r"""A cell's code with the stubs in place of the solutions.

    >>> print(as_handed_out("### BEGIN SOLUTION\n# stub: n = ...\nn = 2\n### END SOLUTION"))
    n = ...
    """
    return "\n".join(
        line for region in regions(code, where) for line in (region.stubs or region.plain)
    )


def as_solved(code: str, where: str = "") -> str:
    r"""A cell's code with the solutions, without the marks.

    >>> print(as_solved("### BEGIN SOLUTION\n# stub: n = ...\nn = 2\n### END SOLUTION"))
    n = 2
    """
    return "\n".join(line for region in regions(code, where) for line in region.plain)


@dataclass(frozen=True)
class CodeRegion:
    """Lines of code; of a solution, also the stubs that stand in for it."""

    plain: list[str]
    stubs: list[str]


def regions(code: str, where: str) -> Iterator[CodeRegion]:
    plain: list[str] = []
    stubs: list[str] = []
    inside = False
    for line in code.splitlines():
        word = line.strip()
        if word in (BEGIN, END):
            if inside == (word == BEGIN):
                raise LabError(f"{where}: {word} where there can be none.")
            if inside and not stubs:
                raise LabError(f"{where}: a solution without a line `{STUB} ...` for the learner.")
            yield CodeRegion(plain, stubs)
            plain, stubs, inside = [], [], word == BEGIN
        elif inside and word.startswith(STUB):
            indent = line[: len(line) - len(line.lstrip())]
            stubs.append((indent + word.removeprefix(STUB).removeprefix(" ")).rstrip())
        else:
            plain.append(line)
    if inside:
        raise LabError(f"{where}: {BEGIN} without {END}.")
    yield CodeRegion(plain, [])


def file_text(cells: list[Cell], solved: bool, name: str) -> str:
    """The learner's file, or its solution, from the cells of a chapter."""
    text = ""
    for cell in cells:
        if not cell.for_file:
            continue
        if cell.markdown:
            piece = "\n".join(f"# {line}".rstrip() for line in cell.text.splitlines())
        else:
            piece = (as_solved if solved else as_handed_out)(cell.text, f"{name}:{cell.line}")
        after_block = text.rstrip("\n").rpartition("\n")[2].startswith(" ")
        apart = "\n\n" if after_block or re.match(r"(@|def |class )", piece) else "\n"
        text += (apart if text else "") + piece.strip("\n") + "\n"
    return text
