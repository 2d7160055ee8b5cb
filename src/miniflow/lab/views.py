"""The other screens of the runner: what is next, the list, a hint, the start."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from miniflow.lab.exercises import CHAPTERS, Chapter, exercise
from miniflow.lab.folder import HANDOUT, Started, fingerprint
from miniflow.lab.screen import Row, cut, indent, row, spread, wrap
from miniflow.lab.showing import number
from miniflow.lab.state import LabState


def rows_of_next(folder: Path, state: LabState) -> Iterator[Row]:
    """What to read, what to write, and how to check it."""
    name = state.next_exercise(folder)
    if name is None:
        solved = f"All {len(CHAPTERS)} exercises are solved. "
        yield row(("✓ ", "good"), solved, ("Well done.", "head"))
        yield row("  What you have built is yours: train it, save it, change it, show it.")
        return
    wanted = exercise(name)
    (chapter,) = [chapter for chapter in CHAPTERS if chapter.exercise == name]
    yield row(("→ ", "head"), f"Next is {chapter.number}: ", (wanted.title, "head"))
    yield []
    if not all((folder / file).is_file() for file in (chapter.file, chapter.notebook)):
        yield row(("  first  ", "dim"), " " * 24, ("miniflow lab start", "code"))
    yield row(("  read   ", "dim"), f"{chapter.notebook:<24}", ("miniflow lab notebook", "code"))
    yield row(("  write  ", "dim"), f"{wanted.file:<24}", ("in any editor", "dim"))
    yield row(("  check  ", "dim"), " " * 24, ("miniflow lab check", "code"))
    yield row(("  stuck  ", "dim"), " " * 24, ("miniflow lab hint", "code"))


def rows_of_list(folder: Path, state: LabState, width: int) -> Iterator[Row]:
    """Each exercise: whether it was passed, its file and its points."""
    done = sum(exercise(name).points for name in state.passed)
    possible = sum(exercise(chapter.exercise).points for chapter in CHAPTERS)
    yield spread(
        row(("Build your own TensorFlow", "head")),
        row(
            f"{len(state.passed)} of {len(CHAPTERS)} solved, "
            f"{number(done)} of {number(possible)} points"
        ),
        width,
    )
    yield []
    following = state.next_exercise(folder)
    for chapter in CHAPTERS:
        wanted = exercise(chapter.exercise)
        passed = state.passed.get(chapter.exercise)
        mark = ("✓", "good") if passed is not None else ("→", "head")
        if passed is None and chapter.exercise != following:
            mark = ("·", "dim")
        note = ""
        if not (folder / wanted.file).is_file():
            note = "  (not there)"
        elif passed is not None and passed != fingerprint(folder / wanted.file):
            note = "  (changed since)"
        name = f" {chapter.number}  {wanted.file:<18}"
        title = cut(wanted.title, width - len(name) - len(note) - 9)
        yield spread(
            row("  ", mark, name, title, (note, "dim")),
            row((number(wanted.points), "dim")),
            width,
        )
    yield []
    yield row(("  in ", "dim"), str(folder))


def rows_of_hints(name: str, shown: int, width: int) -> Iterator[Row]:
    """The first `shown` hints of an exercise."""
    hints = exercise(name).hints
    for i, hint in enumerate(hints[:shown], start=1):
        last = i == shown
        yield row((f"Hint {i} of {len(hints)} for {name}", "head" if last else "dim"))
        yield from indent(wrap(hint, width - 2, "" if last else "dim"), "  ")
        yield []
    if shown < len(hints):
        yield row("Another one, that says more: ", (f"miniflow lab hint {name}", "code"))
    else:
        yield row("That was the last. The solution: ", (f"miniflow lab solution {name}", "code"))


def rows_of_start(started: Started, here: Path) -> Iterator[Row]:
    """What was written, what was left alone, and how to go on."""
    where = relative(started.folder, here)
    if started.written:
        yield row(("✓ ", "good"), f"Wrote {len(started.written)} files into ", (where, "head"))
    else:
        yield row(f"Nothing to write: everything is in {where} already.")
    if started.left_alone:
        yield row("  Left alone, because you have changed them:")
        yield from (row(f"    {name}") for name in started.left_alone)
    yield []
    if where != ".":
        quoted = f'"{where}"' if " " in where else where
        yield row("  Go there:  ", (f"cd {quoted}", "code"))
    yield row("  then:      ", ("miniflow lab", "code"), ("   says what is next", "dim"))
    yield row("  or:        ", ("miniflow lab watch", "code"), ("   checks as you write", "dim"))


def relative(folder: Path, here: Path) -> str:
    """A folder as one would type it from here."""
    try:
        return str(folder.absolute().relative_to(here.absolute()))
    except ValueError:
        return str(folder)


def heading_after_check(chapter: Chapter) -> str | None:
    """The first heading of a chapter's notebook after the cell that checks: there the learner's own
    code is put to use, and who checks in a terminal would not know.
    """
    cells = json.loads((HANDOUT / chapter.notebook).read_text(encoding="utf-8"))["cells"]
    texts = ["".join(cell["source"]) for cell in cells]
    place = next(i for i, text in enumerate(texts) if text.startswith("check("))
    headings = (re.match(r"## (.+)", text) for text in texts[place + 1 :])
    return next((heading[1].replace("`", "") for heading in headings if heading), None)


def rows_of_after(name: str, folder: Path, state: LabState, passed: bool) -> Iterator[Row]:
    """What a learner can do after a check."""
    if not passed:
        yield row(
            ("  Change ", "dim"),
            f"{name}.py",
            (" and check again; ", "dim"),
            (f"miniflow lab hint {name}", "code"),
            (" helps.", "dim"),
        )
        return
    (chapter,) = [chapter for chapter in CHAPTERS if chapter.exercise == name]
    rest = heading_after_check(chapter)
    if rest is not None:
        yield row(("  The chapter goes on: ", "dim"), f"{chapter.notebook}, “{rest}”")
    yield row(("  Another way to write it: ", "dim"), (f"miniflow lab solution {name}", "code"))
    yield []
    yield from rows_of_next(folder, state)
