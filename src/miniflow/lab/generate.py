"""Make all that is handed out from the chapters' sources: `python -m miniflow.lab.generate`.

    course/nodes.py     →  handout/mul.py            the learner's file, with stubs
                           handout/03_nodes.ipynb    reading, pictures, runs and checks
                           solutions/mul.py
    figures/            →  handout/pictures/*.svg
    play/               →  handout/play/*.html       pages to play with, without Python
    course/README.md    →  handout/README.md

It goes one way only, and what is made is committed, so that a reader of the repository sees it;
`--check` compares instead of writing, and ends with 1 if anything is out of date. Naming chapters
(`mul linear 6`) makes those alone, and the pictures.

In the sources, `[[mul]]` is the number of mul's chapter: one can be put between two others.
"""

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from miniflow.files.atomic import write_bytes
from miniflow.lab.exercises import CHAPTERS, SOURCES, Chapter, LabError, exercise, number_of
from miniflow.lab.figures import all_figures
from miniflow.lab.notebooks import notebook
from miniflow.lab.play import TITLES, play
from miniflow.lab.source import BEGIN, Cell, file_text, read_cells

LAB = Path(__file__).parent
COURSE = LAB / "course"
HEADING = re.compile(r"# (.+)")
NO_INLINE_MATHS = re.compile(r"^```.*?^```|`[^`]*`|\$\$.*?\$\$", re.DOTALL | re.MULTILINE)
LIST_ITEM = re.compile(r"([-+*]|\d[.)]) ")
PICTURE = re.compile(r"!\[(?P<alt>[^\]]*)\]\(pictures/(?P<name>[\w-]+)\.svg\)")


def cells_of(chapter: Chapter) -> list[Cell]:
    """The cells of a chapter, from its source."""
    path = COURSE / f"{chapter.source}.py"
    return read_cells(with_numbers(path.read_text(encoding="utf-8")), path.name)


def with_numbers(text: str) -> str:
    """A source with the numbers of chapters in the places of their exercises' names.

    >>> with_numbers("as in chapter [[mul]]; [[1, 2]]")
    'as in chapter 3; [[1, 2]]'
    """

    def number(found: re.Match[str]) -> str:
        return str(number_of(found[1])) if found[1] in SOURCES else found[0]

    return re.sub(r"\[\[(\w+)\]\]", number, text)


def made_from(chapter: Chapter) -> dict[str, str]:
    """What one chapter becomes: path under lab/ → text."""
    cells = cells_of(chapter)
    source = f"{chapter.source}.py"
    refuse_mistakes(chapter, cells, source)
    learners, solution = (file_text(cells, solved, source) for solved in (False, True))
    for text in (learners, solution):
        ast.parse(text, source)
    return {
        f"handout/{chapter.file}": learners,
        f"handout/{chapter.notebook}": notebook(cells, chapter.notebook.removesuffix(".ipynb")),
        f"solutions/{chapter.file}": solution,
    }


def refuse_mistakes(chapter: Chapter, cells: list[Cell], source: str) -> None:
    """See that a chapter has a title, a check worth what its parts are, and pictures that exist."""
    if not cells or not cells[0].markdown or not HEADING.match(cells[0].text):
        raise LabError(f"{source}: the first cell must be markdown with a title, `# # Title`.")
    checks = [(cell.check, cell.points) for cell in cells if cell.check]
    expected = [(chapter.exercise, exercise(chapter.exercise).points)]
    if checks != expected:
        raise LabError(f"{source}: its check cells are {checks} and must be {expected}.")
    figures = all_figures()
    for cell in cells:
        if BEGIN in cell.text and not cell.for_file:
            raise LabError(f"{source}:{cell.line}: a solution outside of the learner's file.")
        for what in misrendered(cell.text) if cell.markdown else ():
            raise LabError(f"{source}:{cell.line}: {what}.")
        for picture in PICTURE.finditer(cell.text):
            if picture["name"] not in figures or not picture["alt"]:
                raise LabError(f"{source}:{cell.line}: no such figure, or no words: {picture[0]}.")


def misrendered(text: str) -> Iterator[str]:
    """What a notebook, an editor or GitHub would not show as it is meant."""
    before = ""
    for line in NO_INLINE_MATHS.sub("", text).splitlines():
        if line.count("$") % 2:
            yield f"a formula runs over the end of a line: {line!r}"
        if LIST_ITEM.match(line) and before and not LIST_ITEM.match(before) and before[0] != " ":
            yield f"a line of a paragraph begins like a list: {line!r}"
        before = line


def made_from_figures() -> dict[str, str]:
    """The pictures: path under lab/ → SVG text."""
    return {
        f"handout/pictures/{name}.svg": svg().rstrip("\n") + "\n"
        for name, svg in all_figures().items()
    }


def made_pages() -> dict[str, str]:
    """The pages to play with: path under lab/ → HTML."""
    return {f"handout/play/{name}.html": play(name).page for name in TITLES}


def made_readme() -> dict[str, str]:
    """The learner's README, with its table of chapters."""
    rows = ["| | reading | your file |", "|---|---|---|"]
    for chapter in CHAPTERS:
        heading = HEADING.match(cells_of(chapter)[0].text)
        title = heading[1].partition(". ")[2] or heading[1] if heading else chapter.exercise
        rows.append(
            f"| {chapter.number} | [{title}]({chapter.notebook}) "
            f"| [{chapter.file}]({chapter.file}) |"
        )
    text = with_numbers((COURSE / "README.md").read_text(encoding="utf-8"))
    return {"handout/README.md": text.replace("<!-- chapters -->", "\n".join(rows))}


def all_made(wanted: Iterable[str] = ()) -> dict[str, bytes]:
    """Everything, or what the chapters in `wanted` become: path under lab/ → bytes."""
    names = set(wanted)
    unknown = names - {name for chapter in CHAPTERS for name in names_of(chapter)}
    if unknown:
        raise LabError(f"There is no chapter {', '.join(sorted(unknown))}.")
    made: dict[str, str] = {}
    for chapter in CHAPTERS:
        if not names or names & names_of(chapter):
            made |= made_from(chapter)
    made |= made_from_figures()
    if not names:
        made |= made_readme() | made_pages()
    return {path: text.encode("utf-8") for path, text in made.items()}


def names_of(chapter: Chapter) -> set[str]:
    """What a chapter is called on the command line."""
    return {chapter.exercise, chapter.source, str(chapter.number)}


def on_disk() -> dict[str, bytes]:
    """What lies in the folders that are made, as it is now."""
    return {
        path.relative_to(LAB).as_posix(): path.read_bytes().replace(b"\r\n", b"\n")
        for folder in ("handout", "solutions")
        for path in sorted((LAB / folder).rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


def out_of_date(made: dict[str, bytes], whole: bool = True) -> list[str]:
    """The paths that are not what they would be made now, and those that nothing makes any more."""
    there = on_disk()
    stale = sorted(there.keys() - made.keys()) if whole else []
    return [path for path, data in made.items() if there.get(path) != data] + stale


def main(arguments: list[str]) -> int:
    check = "--check" in arguments
    names = [argument for argument in arguments if argument != "--check"]
    try:
        made = all_made(names)
    except (LabError, SyntaxError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    changed = out_of_date(made, whole=not names)
    for path in changed:
        print(f"{'out of date' if check else 'written'}  {path}")
        if not check and path in made:
            (LAB / path).parent.mkdir(parents=True, exist_ok=True)
            write_bytes(LAB / path, made[path])
        elif not check:
            (LAB / path).unlink()
    if check and changed:
        print("Run: python -m miniflow.lab.generate", file=sys.stderr)
    return 1 if check and changed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
