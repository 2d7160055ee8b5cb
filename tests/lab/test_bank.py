"""The proof of every check: the hand-out fails helpfully, the solution passes, and each wrong
solution of the bank (`bank/`) fails with the message that is meant for it.
"""

import importlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest
from bank_kit import Wrong

from miniflow.lab import try_check
from miniflow.lab.exercises import CHAPTERS, COURSE, exercise
from miniflow.lab.findings import Report
from miniflow.lab.folder import HANDOUT, SOLUTIONS
from miniflow.lab.inside import check_with_needs

BANK = Path(__file__).parent / "bank"
CODED = ("chain_rule", "mul", "linear", "sigmoid", "cross_entropy", "sgd", "digits", "beyond")
AT_LEAST = 8


def wrong_solutions(name: str) -> list[Wrong]:
    path = BANK / f"{name}.py"
    if not path.is_file():
        return []
    spec = importlib.util.spec_from_file_location(f"bank_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: list[Wrong] = module.WRONG
    return found


def every_wrong_solution() -> Iterator[pytest.param]:
    for name in COURSE:
        for wrong in wrong_solutions(name):
            yield pytest.param(name, wrong, id=f"{name}: {wrong.name}")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder in which everything is solved."""
    for chapter in CHAPTERS:
        if not (SOLUTIONS / chapter.file).is_file():
            continue
        text = (SOLUTIONS / chapter.file).read_text(encoding="utf-8")
        (tmp_path / chapter.file).write_text(text, encoding="utf-8")
    return tmp_path


def check(name: str, folder: Path, seed: int = 1) -> Report:
    return check_with_needs(exercise(name), folder, seed)


def shows_no_traceback(report: Report) -> bool:
    return "Traceback" not in str(report) and not any(
        part.finding is not None and part.finding.kind == "defect" for part in report.parts
    )


@pytest.mark.parametrize("name", COURSE)
def test_unsolved_handout_fails_and_says_what_is_to_be_done(name: str, folder: Path) -> None:
    file = exercise(name).file
    (folder / file).write_bytes((HANDOUT / file).read_bytes())
    report = check(name, folder)
    assert not report.passed
    assert report.points == 0
    assert report.trouble is None, "a hand-out can be imported"
    assert shows_no_traceback(report)
    finding = report.first_finding
    assert finding is not None
    assert finding.kind in ("answer", "unsolved"), finding
    assert finding.line is not None
    assert finding.line.file == file


@pytest.mark.parametrize("name", COURSE)
@pytest.mark.parametrize("seed", [1, 2])
def test_solution_passes_with_all_points(name: str, seed: int, folder: Path) -> None:
    if name in ("digits", "beyond") and seed != 1:
        pytest.skip("it trains; once is enough")
    report = check(name, folder, seed)
    assert report.passed, str(report)
    assert report.points == exercise(name).points


@pytest.mark.parametrize(("name", "wrong"), list(every_wrong_solution()))
def test_wrong_solution_fails_with_its_own_message(name: str, wrong: Wrong, folder: Path) -> None:
    path = folder / exercise(name).file
    path.write_text(path.read_text(encoding="utf-8") + "\n\n" + wrong.code, encoding="utf-8")
    report = check(name, folder)
    assert not report.passed
    assert shows_no_traceback(report), str(report)
    assert flat(wrong.says) in flat(str(report)), str(report)


@pytest.mark.parametrize("name", CODED)
def test_bank_has_enough_wrong_solutions_each_with_another_message(name: str) -> None:
    bank = wrong_solutions(name)
    assert len(bank) >= AT_LEAST
    assert len({wrong.name for wrong in bank}) == len(bank)


@pytest.mark.parametrize("name", COURSE)
def test_exercise_has_three_hints_that_say_more_and_more(name: str) -> None:
    hints = exercise(name).hints
    assert len(hints) == len(set(hints)) == 3
    assert all(len(hint) > 30 for hint in hints)


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.exercise)
def test_exercise_knows_its_chapter_and_its_file(chapter: object) -> None:
    assert isinstance(chapter, type(CHAPTERS[0]))
    wanted = exercise(chapter.exercise)
    assert (wanted.name, wanted.file, wanted.chapter) == (
        chapter.exercise,
        chapter.file,
        chapter.number,
    )
    assert set(wanted.needs) <= set(COURSE[: chapter.number - 1])
    assert all(part.points > 0 for part in wanted.parts)


@pytest.mark.parametrize("name", COURSE)
def test_text_of_each_part_fits_into_a_terminal_of_eighty_columns(name: str) -> None:
    assert [part.text for part in exercise(name).parts if len(part.text) > 64] == []


def test_check_can_be_tried_on_any_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert try_check.main(["mul", str(SOLUTIONS / "mul.py"), "5"]) == 0
    assert try_check.main(["mul", str(HANDOUT / "mul.py")]) == 1
    assert "0 of" in capsys.readouterr().out


def flat(text: str) -> str:
    """Text as one line: without the screen's bars and line ends, whatever its first letter."""
    return " ".join(text.replace("│", " ").split()).lower()
