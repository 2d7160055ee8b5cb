"""Grading: points that depend on the files alone, JSON for a script, a teacher's own checks."""

import json
from pathlib import Path

import pytest
from test_runner import command

from miniflow.lab import grading
from miniflow.lab.checks.mul import ACCUMULATE
from miniflow.lab.exercises import COURSE, LabError, exercise
from miniflow.lab.findings import Finding, PartResult, Report
from miniflow.lab.grading import as_json, grade, own_checks

OWN = Path(__file__).with_name("small_exercise.py")


@pytest.fixture
def run_check(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Checks that pass but for mul, whose second part fails; the list says which were run."""
    asked: list[str] = []

    def run(name: str, folder: Path, seed: int) -> Report:
        asked.append(name)
        wanted = exercise(name)
        finding = Finding("numbers", "you added.") if wanted.name == "mul" else None
        parts = (PartResult("one", 2), PartResult("two", 3, finding))
        return Report(wanted.name, wanted.title, wanted.file, parts, seed)

    monkeypatch.setattr(grading, "run_check", run)
    return asked


def test_points_are_counted_over_all_exercises(tmp_path: Path, run_check: list[str]) -> None:
    graded = grade(tmp_path)
    assert run_check == list(COURSE)
    assert (graded.points, graded.possible) == (5 * 9 - 3, 5 * 9)
    assert not graded.is_enough(None)
    assert graded.is_enough(42)
    assert not graded.is_enough(42.5)


def test_json_has_points_and_a_sentence_for_each_part(tmp_path: Path, run_check: list[str]) -> None:
    told = json.loads(as_json([grade(tmp_path, seed=7)]))
    (submission,) = told["submissions"]
    assert (submission["points"], submission["possible"], submission["seed"]) == (42, 45, 7)
    mul = next(found for found in submission["exercises"] if found["name"] == "mul")
    assert mul["passed"] is False
    assert mul["parts"][1] == {
        "text": "two",
        "points": 0,
        "possible": 3,
        "message": "you added.",
    }


def test_example_on_the_teachers_page_has_the_points_and_the_words_of_the_checks() -> None:
    page = (Path(__file__).parents[2] / "docs" / "teaching.md").read_text(encoding="utf-8")
    (submission,) = json.loads(page.split("```json")[1].split("```")[0])["submissions"]
    assert submission["possible"] == sum(exercise(name).points for name in COURSE)
    (mul,) = submission["exercises"]
    assert mul["possible"] == exercise("mul").points
    (part,) = mul["parts"]
    assert (part["text"], part["possible"]) in [(p.text, p.points) for p in exercise("mul").parts]
    assert part["message"] == ACCUMULATE
    for told in (submission, mul):
        assert told["possible"] - told["points"] == part["possible"]


def test_teachers_own_checks_are_run_as_well(tmp_path: Path, run_check: list[str]) -> None:
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "more_of_mul.py").write_bytes(OWN.read_bytes())
    graded = grade(tmp_path, own_checks(tmp_path / "hidden"))
    assert graded.reports[-1].exercise == "mul-small"
    assert graded.possible == 50


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "there is no check in it"),
        ("x = 1\n", "does not define `exercise = Exercise"),
        ("1 / 0\n", "cannot be run: ZeroDivisionError"),
    ],
)
def test_mistake_in_a_teachers_check_is_said_before_anything_is_graded(
    tmp_path: Path, text: str | None, says: str
) -> None:
    if text is not None:
        (tmp_path / "own.py").write_text(text, encoding="utf-8")
    with pytest.raises(LabError, match=says):
        own_checks(tmp_path)


def test_exit_code_says_whether_it_is_enough(tmp_path: Path, run_check: list[str]) -> None:
    folder = str(tmp_path)
    assert command("grade", folder)[0] == 1
    assert command("grade", folder, "--at-least", "42")[0] == 0
    status, shown = command("grade", "--json", folder, folder, "--at-least", "43")
    assert status == 1
    assert [s["folder"] for s in json.loads(shown)["submissions"]] == [folder, folder]


def test_table_names_the_first_thing_wrong(tmp_path: Path, run_check: list[str]) -> None:
    _, shown = command("grade", str(tmp_path), "--seed", "7")
    (line,) = [line for line in shown.splitlines() if "✗" in line]
    assert "mul" in line
    assert "You added." in line
    assert line.endswith("2/5")
    assert "seed 7" in shown


def test_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    status, shown = command("grade", str(tmp_path / "nobody"))
    assert status == 1
    assert "nobody is not a folder" in shown
