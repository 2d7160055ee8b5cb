"""The proof of every check: the hand-out fails helpfully, the solution passes, and of the bank's
solutions (`bank/`) each wrong one fails with the message that is meant for it, and each right one
passes, however unusual it is.
"""

import importlib
import importlib.util
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from bank_kit import Right, Wrong

from miniflow.lab import try_check
from miniflow.lab.checking import Exercise
from miniflow.lab.exercises import CHAPTERS, COURSE, exercise
from miniflow.lab.findings import Report
from miniflow.lab.folder import HANDOUT, SOLUTIONS
from miniflow.lab.inside import check_inside, check_with_needs

BANK = Path(__file__).parent / "bank"
AT_LEAST = 8
RIGHT_ONES = 40
THAT_TRAIN = ("digits", "beyond")


@cache
def bank(name: str) -> tuple[list[Wrong], list[Right]]:
    path = BANK / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"bank_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.WRONG, module.RIGHT


def wrong_solutions(name: str) -> list[Wrong]:
    return bank(name)[0]


def right_solutions(name: str) -> list[Right]:
    return bank(name)[1]


def every_wrong_solution() -> Iterator[pytest.param]:
    for name in COURSE:
        for i, wrong in enumerate(wrong_solutions(name)):
            marks = [pytest.mark.slow] if name in THAT_TRAIN or i % 3 else []
            yield pytest.param(name, wrong, id=f"{name}: {wrong.name}", marks=marks)


def every_right_solution() -> Iterator[pytest.param]:
    for name in COURSE:
        for i, right in enumerate(right_solutions(name)):
            marks = [pytest.mark.slow] if i % 3 else []
            yield pytest.param(name, right, id=f"{name}: {right.name}", marks=marks)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder in which everything is solved."""
    for file, solved in solved_files().items():
        (tmp_path / file).write_bytes(solved)
    return tmp_path


@cache
def solved_files() -> dict[str, bytes]:
    return {chapter.file: (SOLUTIONS / chapter.file).read_bytes() for chapter in CHAPTERS}


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


@pytest.mark.parametrize(
    ("name", "seed"),
    [
        pytest.param(name, seed, marks=[pytest.mark.slow] if name == "digits" else [])
        for name in COURSE
        for seed in ([1] if name in THAT_TRAIN else [1, 2])
    ],
)
def test_solution_passes_with_all_points(name: str, seed: int, folder: Path) -> None:
    report = check(name, folder, seed)
    assert report.passed, str(report)
    assert report.points == exercise(name).points


@pytest.mark.parametrize(("name", "wrong"), list(every_wrong_solution()))
def test_wrong_solution_fails_with_its_own_message(name: str, wrong: Wrong, folder: Path) -> None:
    path = folder / exercise(name).file
    path.write_text(path.read_text(encoding="utf-8") + "\n\n" + wrong.code, encoding="utf-8")
    report = check_inside(exercise(name), folder, 1)
    assert not report.passed
    assert shows_no_traceback(report), str(report)
    assert flat(wrong.says) in flat(str(report)), str(report)
    assert not wrong.never or flat(wrong.never) not in flat(str(report)), str(report)


@pytest.mark.parametrize(("name", "right"), list(every_right_solution()))
def test_right_solution_passes_however_it_is_written(name: str, right: Right, folder: Path) -> None:
    path = folder / exercise(name).file
    path.write_text(path.read_text(encoding="utf-8") + "\n\n" + right.code, encoding="utf-8")
    report = check_inside(without_training(name), folder, 1)
    assert report.passed, str(report)


def without_training(name: str) -> Exercise:
    """An exercise without the parts that train on MNIST: the solution's own does that, once."""
    whole = exercise(name)
    return replace(whole, parts=[part for part in whole.parts if "MNIST" not in part.text])


@pytest.mark.parametrize("name", COURSE)
def test_bank_has_enough_wrong_solutions_under_names_of_their_own(name: str) -> None:
    wrong, right = bank(name)
    assert len(wrong) >= AT_LEAST
    assert len({solution.name for solution in wrong}) == len(wrong)
    assert len({solution.name for solution in right}) == len(right) > 0


def test_bank_has_enough_right_solutions() -> None:
    assert sum(len(right_solutions(name)) for name in COURSE) >= RIGHT_ONES


def questions_of(name: str) -> Exercise:
    """The exercise with the parts that ask alone, which take no time."""
    whole = exercise(name)
    return replace(whole, parts=[part for part in whole.parts if "question" in part.text])


def answers_in(name: str) -> list[str]:
    """The names that the hand-out of an exercise leaves open for an answer."""
    handed_out = (HANDOUT / exercise(name).file).read_text(encoding="utf-8")
    questions = handed_out[handed_out.index("Question 1") :]
    found = re.findall(r"^([a-z]\w*) = \.\.\.$", questions, re.MULTILINE)
    assert found
    return found


@pytest.mark.parametrize("name", COURSE)
def test_right_answers_may_be_in_quotation_marks(name: str, folder: Path) -> None:
    quoted = [answer for answer in answers_in(name) if answer != "state"]
    path = folder / exercise(name).file
    code = "\n".join(f"{answer} = str({answer})" for answer in quoted)
    path.write_text(f"{path.read_text(encoding='utf-8')}\n{code}\n", encoding="utf-8")
    report = check_inside(questions_of(name), folder, 1)
    assert report.passed, str(report)


@pytest.mark.parametrize("name", COURSE)
@pytest.mark.parametrize("odd", ["__import__('numpy').zeros(10)", "object()", "{1: int}"])
def test_whatever_is_given_for_an_answer_is_only_a_wrong_answer(
    name: str, odd: str, folder: Path
) -> None:
    path = folder / exercise(name).file
    solution = path.read_text(encoding="utf-8")
    for answer in answers_in(name):
        path.write_text(f"{solution}\n{answer} = {odd}\n", encoding="utf-8")
        report = check_inside(questions_of(name), folder, 1)
        kinds = {part.finding.kind for part in report.parts if part.finding is not None}
        assert kinds == {"answer"}, str(report)


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
