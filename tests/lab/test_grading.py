"""Grading: points that depend on the files alone, JSON for a script, a teacher's own checks."""

import json
import os
from pathlib import Path

import pytest
from small_exercise import SOLUTION
from test_runner import command

from miniflow.lab import grading
from miniflow.lab.checks.mul import ACCUMULATE
from miniflow.lab.exercises import COURSE, LabError, exercise
from miniflow.lab.findings import Finding, PartResult, Report
from miniflow.lab.grading import grade, json_pieces, own_checks

ALL = 5 * len(COURSE)  # points of all checks, as `run_check` below has them
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
    assert (graded.points, graded.possible) == (ALL - 3, ALL)
    assert not graded.is_enough(None)
    assert graded.is_enough(ALL - 3)
    assert not graded.is_enough(ALL - 2.5)


def test_json_has_points_and_a_sentence_for_each_part(tmp_path: Path, run_check: list[str]) -> None:
    told = json.loads("".join(json_pieces([grade(tmp_path, seed=7)])))
    (submission,) = told["submissions"]
    assert (submission["points"], submission["possible"], submission["seed"]) == (ALL - 3, ALL, 7)
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
    assert graded.possible == ALL + 5


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
    assert command("grade", folder, "--at-least", f"{ALL - 3}")[0] == 0
    status, shown = command("grade", "--json", folder, folder, "--at-least", f"{ALL - 2}")
    assert status == 1
    assert [s["folder"] for s in json.loads(shown)["submissions"]] == [folder, folder]


TELL = 'open(sys.argv[4], "a").write({} + "\\n"); os._exit(0)'
MY_POINTS = {"part": {"text": "mine", "points": 1e9, "finding": None, "ran": True}}
HOSTILE = {
    "a report of something else": TELL.format("""'{"report": 5}'"""),
    "a part of something else": TELL.format("""'{"part": null}'"""),
    "a part without its fields": TELL.format("""'{"part": {"text": 1}}'"""),
    "JSON without end": TELL.format("'[' * 100_000"),
    "points of its own": TELL.format(repr(json.dumps(MY_POINTS))),
    "no results": "os.unlink(sys.argv[4]); os._exit(0)",
    "a pipe for results": "os.unlink(sys.argv[4]); os.mkfifo(sys.argv[4]); os._exit(0)",
    "300 MB of results": """open(sys.argv[4], "a").truncate(300_000_000); os._exit(0)""",
    "not UTF-8": """open(sys.argv[4], "ab").write(bytes(range(128, 256))); os._exit(0)""",
    "the parent killed": "os.kill(os.getppid(), 15)",
    "the parent killed for good": "os.kill(os.getppid(), 9)",
    "the neighbour's file": """open("../victim/mul.py", "w").write("")""",
    "the process group killed": "os.killpg(0, 9)",
}


@pytest.mark.breadth("deed")
@pytest.mark.skipif(os.name != "posix", reason="needs signals and pipes of this kind")
@pytest.mark.parametrize("deed", HOSTILE)
def test_one_submission_costs_nobody_else_the_grade(
    deed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grading, "COURSE", [str(OWN.resolve())])
    for name in ("hostile", "victim"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mul.py").write_text(SOLUTION, encoding="utf-8")
    text = f"import json, os, sys\n{HOSTILE[deed]}\n{SOLUTION}"
    (tmp_path / "hostile" / "mul.py").write_text(text, encoding="utf-8")
    folders = [str(tmp_path / "hostile"), str(tmp_path / "victim")]
    _, shown = command("grade", "--json", *folders)
    hostile, victim = json.loads(shown)["submissions"]
    assert victim["points"] == victim["possible"] > 0
    assert hostile["folder"] == folders[0]
    (found,) = hostile["exercises"]
    if deed == "the neighbour's file":
        assert (tmp_path / "victim" / "mul.py").read_text(encoding="utf-8") == SOLUTION
    else:
        assert found["trouble"]
        assert hostile["points"] <= hostile["possible"]


def test_a_check_that_fails_itself_costs_its_own_points_alone(
    tmp_path: Path, run_check: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    good = grading.run_check

    def bad_at_mul(name: str, folder: Path, seed: int) -> Report:
        if name == "mul":
            raise RuntimeError("no processes left")
        return good(name, folder, seed)

    monkeypatch.setattr(grading, "run_check", bad_at_mul)
    graded = grade(tmp_path)
    (mul,) = (report for report in graded.reports if report.exercise == "mul")
    assert mul.points == 0
    assert mul.trouble is not None
    assert "the check itself failed (RuntimeError: no processes left)" in mul.trouble.sentence
    assert graded.points == ALL - 5


def test_a_folder_that_is_too_large_is_told_and_not_copied(
    tmp_path: Path, run_check: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grading, "MOST_FILES", 3)
    for i in range(5):
        (tmp_path / f"{i}.txt").touch()
    graded = grade(tmp_path)
    assert graded.points == 0
    assert run_check == []
    trouble = graded.reports[0].trouble
    assert trouble is not None
    assert "the folder cannot be copied: it has more than 3 files" in trouble.sentence


def test_pipes_are_not_copied_and_links_stay_links(tmp_path: Path) -> None:
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab" / "mul.py").symlink_to("/etc/passwd")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "lab" / "sigmoid.py")
    (tmp_path / "lab" / "loop").symlink_to(tmp_path / "lab")
    grading.copy_of(tmp_path / "lab", tmp_path / "copy")
    assert sorted(path.name for path in (tmp_path / "copy").iterdir()) == ["loop", "mul.py"]
    assert (tmp_path / "copy" / "mul.py").is_symlink()


def test_json_comes_folder_by_folder(tmp_path: Path, run_check: list[str]) -> None:
    pieces = grading.json_pieces(grade(tmp_path) for _ in range(3))
    assert '"submissions": [' in next(pieces)
    assert run_check == []
    assert f'"points": {ALL - 3}' in next(pieces)
    assert len(run_check) == len(COURSE)


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
