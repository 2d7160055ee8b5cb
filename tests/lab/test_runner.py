"""The runner: it starts, says what is next, checks, hints, and never loses a learner's work."""

import io
import json
import os
import shutil
import stat
import sys
from datetime import datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from miniflow.cli import app
from miniflow.lab import runner as runner_module
from miniflow.lab.exercises import CHAPTERS, COURSE, LabError, exercise
from miniflow.lab.findings import Finding, PartResult, Report
from miniflow.lab.folder import (
    HANDOUT,
    SOLUTIONS,
    find_folder,
    handed_out,
    is_lab,
    reset_file,
    start_lab,
)
from miniflow.lab.runner import Runner
from miniflow.lab.screen import Screen
from miniflow.lab.state import FILE, LabState, read_state, write_state

NOW = datetime(2026, 5, 4, 3, 2, 1)


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return start_lab(tmp_path_factory.mktemp("once") / "lab").folder


@pytest.fixture
def folder(tmp_path: Path, started: Path) -> Path:
    """A started lab, in a folder with a space and letters beyond ASCII."""
    return Path(shutil.copytree(started, tmp_path / "mein Lab ✎"))


class Lab:
    """A runner whose screen is a text, and whose checks are decided by the test."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.stream = io.StringIO()
        self.right: set[str] = set()
        self.checked: list[str] = []
        self.runner = Runner(folder, Screen(self.stream))
        monkeypatch.setattr(runner_module, "run_check", self.run_check)

    def run_check(self, name: str, folder: Path, seed: int | None = None) -> Report:
        self.checked.append(name)
        finding = None if name in self.right else Finding("numbers", "this is X·G.")
        part = PartResult("the part", 5, finding)
        wanted = exercise(name)
        return Report(name, wanted.title, wanted.file, (part,), seed or 0)

    def shown(self) -> str:
        text = self.stream.getvalue()
        self.stream.seek(0)
        self.stream.truncate()
        return text


@pytest.fixture
def lab(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    return Lab(folder, monkeypatch)


# --- start


def test_start_writes_everything_that_is_handed_out(tmp_path: Path) -> None:
    started = start_lab(tmp_path / "lab")
    assert set(started.written) == set(handed_out())
    assert {chapter.file for chapter in CHAPTERS} <= set(started.written)
    assert {chapter.notebook for chapter in CHAPTERS} <= set(started.written)
    assert is_lab(started.folder)


def test_starting_twice_writes_nothing_and_leaves_what_was_changed_alone(folder: Path) -> None:
    (folder / "mul.py").write_text("mine", encoding="utf-8")
    (folder / "sgd.py").unlink()
    again = start_lab(folder)
    assert again.written == ["sgd.py"]
    assert again.left_alone == ["mul.py"]
    assert (folder / "mul.py").read_text(encoding="utf-8") == "mine"


def test_start_does_not_write_through_a_link_or_into_a_folder_of_that_name(tmp_path: Path) -> None:
    (tmp_path / "mul.py").mkdir()
    started = start_lab(tmp_path)
    assert "mul.py" in started.left_alone
    with pytest.raises(LabError, match="is a file; the lab needs a folder"):
        start_lab(tmp_path / "sgd.py")


def test_files_that_are_handed_out_can_be_written_to(folder: Path) -> None:
    assert os.access(folder / "mul.py", os.W_OK)
    assert stat.S_IMODE((folder / "mul.py").stat().st_mode) & stat.S_IWUSR


# --- Where the lab is


def test_lab_is_found_from_inside_from_above_and_without_its_state(folder: Path) -> None:
    (folder / "kept").mkdir()
    assert find_folder(folder) == folder
    assert find_folder(folder / "kept") == folder
    assert find_folder(folder / "pictures") == folder
    usual = start_lab(folder.parent / "other" / "miniflow-lab").folder
    assert find_folder(folder.parent / "other") == usual


def test_where_there_is_no_lab_it_is_said_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="`miniflow lab start` makes one"):
        find_folder(tmp_path)


# --- next, check, list


def test_next_is_the_first_exercise_that_was_not_passed(lab: Lab) -> None:
    lab.runner.next()
    assert "Next is 1" in lab.shown()
    lab.right = set(COURSE)
    for name in ("networks", "chain_rule", "linear"):
        assert lab.runner.check(name)
    lab.shown()
    lab.runner.next()
    shown = lab.shown()
    assert "Next is 3" in shown
    assert "03_nodes.ipynb" in shown
    assert "mul.py" in shown


def test_check_without_a_name_checks_what_is_next_and_moves_on(lab: Lab) -> None:
    lab.right = {"networks"}
    assert lab.runner.check()
    shown = lab.shown()
    assert "✓ networks.py" in shown
    assert "Next is 2" in shown
    assert not lab.runner.check()
    shown = lab.shown()
    assert "This is X·G." in shown
    assert "miniflow lab hint chain_rule" in shown
    assert lab.checked == ["networks", "chain_rule"]


def test_what_was_passed_stays_passed_and_a_later_change_is_said(lab: Lab, folder: Path) -> None:
    lab.right = {"mul"}
    lab.runner.check("mul")
    (folder / "mul.py").write_text("changed", encoding="utf-8")
    lab.right = set()
    assert not lab.runner.check("3")
    lab.shown()
    lab.runner.list()
    shown = lab.shown()
    assert f"1 of {len(COURSE)} solved" in shown
    (line,) = [line for line in shown.splitlines() if "mul.py" in line]
    assert "✓ 3" in line
    assert "(changed since)" in line


def test_check_of_everything_finds_out_again_what_is_passed(lab: Lab, folder: Path) -> None:
    write_state(folder, LabState(passed={"mul": "x"}))
    lab.runner.state = read_state(folder)
    lab.right = {"networks", "sgd"}
    assert not lab.runner.check_all()
    assert set(read_state(folder).passed) == {"networks", "sgd"}
    lab.right = set(COURSE)
    assert lab.runner.check_all()
    lab.runner.next()
    assert f"All {len(COURSE)} exercises are solved" in lab.shown()


def test_missing_file_is_marked_in_the_list(lab: Lab, folder: Path) -> None:
    (folder / "mul.py").unlink()
    lab.runner.list()
    assert "(not there)" in lab.shown()


# --- A folder of an earlier version

# What version 0.1.0 handed out, in nine chapters.
OLD_NOTEBOOKS = {
    "networks": "01_networks.ipynb",
    "chain_rule": "02_chain_rule.ipynb",
    "mul": "03_nodes.ipynb",
    "linear": "04_linear.ipynb",
    "sigmoid": "05_sigmoid.ipynb",
    "cross_entropy": "06_cross_entropy.ipynb",
    "sgd": "07_sgd.ipynb",
    "digits": "08_digits.ipynb",
    "beyond": "09_beyond.ipynb",
}


@pytest.fixture
def old_folder(tmp_path: Path) -> Path:
    """A folder of 0.1.0 in which the first three exercises are solved."""
    for name, notebook in OLD_NOTEBOOKS.items():
        shutil.copy((SOLUTIONS if name == "mul" else HANDOUT) / f"{name}.py", tmp_path)
        (tmp_path / notebook).write_text("{}", encoding="utf-8")
    passed = dict.fromkeys(("networks", "chain_rule", "mul"), "0123456789abcdef")
    write_state(tmp_path, LabState(passed, {"linear": 1}, ["linear"]))
    return tmp_path


def test_folder_of_an_earlier_version_goes_on(
    old_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = Lab(old_folder, monkeypatch)
    lab.runner.next()
    assert f"Next is {exercise('linear').chapter}: " in lab.shown(), (
        "what the folder has not is later"
    )
    lab.runner.list()
    shown = lab.shown()
    assert "3 of" in shown
    assert "(not there)" in next(line for line in shown.splitlines() if "engine.py" in line)
    lab.runner.hint()
    assert "Hint 2 of 3 for linear" in lab.shown()
    lab.right = set(OLD_NOTEBOOKS)
    for name in OLD_NOTEBOOKS:
        lab.runner.check(name)
    lab.shown()
    lab.runner.next()
    shown = lab.shown()
    assert "Next is 4: The engine" in shown
    assert "miniflow lab start" in shown
    started = start_lab(old_folder)
    assert {"engine.py", "04_engine.ipynb"} <= set(started.written)
    assert (old_folder / "mul.py").read_bytes() == (SOLUTIONS / "mul.py").read_bytes()
    lab.runner.next()
    assert "miniflow lab start" not in lab.shown()


# --- State


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"passed": 3}', "\x00", '{"version": 1}'])
def test_state_may_be_deleted_or_damaged(folder: Path, damage: str) -> None:
    write_state(folder, LabState({"mul": "x"}, {"mul": 2}, ["mul"]))
    assert read_state(folder) == LabState({"mul": "x"}, {"mul": 2}, ["mul"])
    (folder / FILE).write_text(damage, encoding="utf-8")
    assert read_state(folder) == LabState()
    (folder / FILE).unlink()
    assert read_state(folder) == LabState()


def test_state_is_one_small_file_in_the_learners_folder(lab: Lab, folder: Path) -> None:
    before = {path.name for path in folder.iterdir()}
    lab.right = {"networks"}
    lab.runner.check()
    lab.runner.hint()
    assert {path.name for path in folder.iterdir()} - before == {FILE}
    assert set(json.loads((folder / FILE).read_text(encoding="utf-8"))) == {
        "version",
        "passed",
        "hints",
        "asked",
    }


# --- hint, solution


def test_each_hint_says_more_and_the_earlier_ones_stay(lab: Lab) -> None:
    hints = [" ".join(hint.split()) for hint in exercise("mul").hints]
    for count in (1, 2, 3, 3):
        lab.runner.hint("mul")
        shown = " ".join(lab.shown().split())
        assert [hint in shown for hint in hints] == [i < count for i in range(3)]
    assert "miniflow lab solution mul" in shown


def test_after_passing_it_is_said_where_the_chapter_goes_on(lab: Lab) -> None:
    lab.right = {"mul", "digits"}
    lab.runner.check("mul")
    assert "The chapter goes on: 03_nodes.ipynb, “f on your own nodes”" in lab.shown()
    lab.runner.check("digits")
    assert "The chapter goes on" not in lab.shown()


def test_solution_is_shown_after_passing(lab: Lab) -> None:
    lab.right = {"mul"}
    lab.runner.check("mul")
    lab.shown()
    assert lab.runner.solution("mul")
    assert lab.shown() == (SOLUTIONS / "mul.py").read_text(encoding="utf-8")


def test_solution_of_what_is_not_passed_is_shown_when_asked_twice(lab: Lab, folder: Path) -> None:
    assert not lab.runner.solution("mul")
    shown = lab.shown()
    assert "class Mul" not in shown
    assert "ask again" in shown
    again = Runner(folder, Screen(lab.stream))  # in another process, later
    assert again.solution("mul")
    assert "class Mul" in lab.shown()


# --- reset


def test_reset_keeps_a_dated_copy_each_time(folder: Path) -> None:
    for text in ("first", "second"):
        (folder / "mul.py").write_text(text, encoding="utf-8")
        kept = reset_file(folder, "mul.py", NOW)
        assert kept is not None
        assert (folder / kept).read_text(encoding="utf-8") == text
        assert (folder / "mul.py").read_bytes() == (HANDOUT / "mul.py").read_bytes()
    names = sorted(path.name for path in (folder / "kept").iterdir())
    assert names == ["mul-2026-05-04-030201-2.py", "mul-2026-05-04-030201.py"]


def test_reset_of_what_is_untouched_or_missing_keeps_nothing(folder: Path) -> None:
    assert reset_file(folder, "mul.py", NOW) is None
    (folder / "mul.py").unlink()
    assert reset_file(folder, "mul.py", NOW) is None
    assert (folder / "mul.py").is_file()
    assert not (folder / "kept").exists()


def test_what_is_reset_is_not_solved_any_more(lab: Lab, folder: Path) -> None:
    lab.right = {"networks", "mul"}
    for name in ("networks", "mul"):
        lab.runner.check(name)
    lab.runner.reset("03_nodes.ipynb")
    assert set(read_state(folder).passed) == {"networks", "mul"}
    lab.runner.reset("mul")
    assert set(read_state(folder).passed) == {"networks"}
    lab.shown()
    lab.runner.list()
    assert "1 of" in lab.shown().splitlines()[0]


def test_reset_of_a_notebook_is_asked_for_by_its_name(lab: Lab, folder: Path) -> None:
    (folder / "mul.py").write_text("mine", encoding="utf-8")
    (folder / "03_nodes.ipynb").write_text("notes", encoding="utf-8")
    lab.runner.reset("03_nodes.ipynb")
    assert (folder / "mul.py").read_text(encoding="utf-8") == "mine"
    assert "kept/03_nodes-" in lab.shown()


# --- The screen


def test_pipe_gets_plain_text_and_a_terminal_without_the_signs_gets_ascii(lab: Lab) -> None:
    lab.runner.check()
    assert "\x1b" not in lab.shown()
    narrow = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    Runner(lab.runner.folder, Screen(narrow)).check()
    narrow.flush()
    text = narrow.buffer.getvalue().decode("cp1252")  # type: ignore[attr-defined]
    assert "X networks.py" in text
    assert "?" not in text


# --- The command line


def command(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["lab", *words])
    return result.exit_code, result.output


def test_command_from_start_to_a_passed_exercise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    status, shown = command()
    assert (status, shown) == (
        1,
        "error: There is no lab here: `miniflow lab start` makes one, in a folder of its own.\n",
    )
    assert command("start")[0] == 0
    assert "Next is 1" in command()[1]  # from above the folder
    monkeypatch.chdir("miniflow-lab")
    status, shown = command("check")
    assert status == 1
    assert "has no answer yet" in shown
    Path("networks.py").write_bytes((SOLUTIONS / "networks.py").read_bytes())
    status, shown = command("check", "networks.py")
    assert status == 0, shown
    assert "Next is 2" in shown
    Path(FILE).unlink()
    assert "Next is 1" in command("next")[1]


def test_folder_can_be_named_for_every_command(folder: Path) -> None:
    assert f"0 of {len(COURSE)} solved" in command("--folder", str(folder), "list")[1]
    status, shown = command("--folder", str(folder.parent), "list")
    assert status == 1
    assert "is not a lab" in shown


def test_unknown_exercise_is_refused_with_the_names_that_there_are(folder: Path) -> None:
    status, shown = command("--folder", str(folder), "check", "relu")
    assert status == 1
    assert "There is no exercise 'relu'. There are: networks, chain_rule, mul" in shown


def test_negative_seed_is_refused(folder: Path) -> None:
    for words in (("check", "mul"), ("grade",)):
        status, shown = command("--folder", str(folder), *words, "--seed", "-4")
        assert (status, shown) == (1, "error: A seed is a number from 0 on; this one is -4.\n")


@pytest.mark.parametrize("is_root", [True, False])
def test_notebook_opens_for_root_too(
    is_root: bool, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []
    monkeypatch.setattr(sys.modules["miniflow.cli.lab"], "is_root", lambda: is_root)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    monkeypatch.setattr("subprocess.run", lambda words, **options: asked.append(words))
    assert command("--folder", str(folder), "notebook", "mul")[0] == 0
    root = ["--allow-root"] if is_root else []
    assert asked[0][1:] == ["-m", "jupyterlab", *root, "03_nodes.ipynb"]


def test_seed_is_shown_only_where_it_is_asked_for(lab: Lab) -> None:
    lab.runner.check("mul", seed=77)
    assert "seed" not in lab.shown()
    lab.runner.check("mul", seed=77, verbose=True)
    assert "seed 77" in lab.shown()


def test_notebook_says_how_where_there_is_no_jupyterlab(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    status, shown = command("--folder", str(folder), "notebook", "mul")
    assert status == 1
    assert "03_nodes.ipynb" in shown
    assert 'pip install "miniflow-graphs[lab]"' in shown
