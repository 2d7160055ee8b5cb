"""Whatever a learner's file does, the check ends and says in a sentence what has happened."""

import sys
import time
from pathlib import Path

import pytest
from small_exercise import SOLUTION

from miniflow.lab.findings import Report
from miniflow.lab.running import KEPT, run_check

CHECK = str(Path(__file__).with_name("small_exercise.py").resolve())
LOOP = "        while True:\n            pass\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a space and letters beyond ASCII in its name."""
    made = tmp_path / "mein Übungsordner ✎"
    made.mkdir()
    return made


def check(text: str, folder: Path, seconds: float = 10) -> Report:
    (folder / "mul.py").write_text(text, encoding="utf-8")
    return run_check(CHECK, folder, seed=1, seconds=seconds)


def test_solution_passes_and_leaves_nothing_behind(folder: Path) -> None:
    report = check(SOLUTION, folder)
    assert report.passed, str(report)
    assert [path.name for path in folder.iterdir()] == ["mul.py"]


def test_endless_loop_is_stopped_and_its_line_shown(folder: Path) -> None:
    text = SOLUTION.replace("        self.gradients = {n", LOOP + "        self.gradients = {n")
    started = time.monotonic()
    report = check(text, folder, seconds=1)
    assert time.monotonic() - started < 20
    assert report.trouble is not None
    assert report.trouble.sentence.startswith("stopped after 1 seconds")
    assert report.trouble.line is not None
    assert report.trouble.line.file == "mul.py"
    assert report.trouble.line.text in ("while True:", "pass")
    assert [part.passed for part in report.parts] == [True, False, False]  # the first part counts


@pytest.mark.slow
def test_endless_printing_is_stopped(folder: Path) -> None:
    report = check("while True:\n    print('still here')\n", folder)
    assert report.trouble is not None
    assert "prints more than 1,000,000 letters" in report.trouble.sentence
    assert len(report.printed) <= KEPT + 10


@pytest.mark.breadth("text", "says")
@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("import os\nos._exit(0)\n", "your code ended Python (os._exit, status 0)"),
        ("import ctypes\nctypes.string_at(0)\n", "Python itself crashed"),
        ("input('your name? ')\n", "your code waits for input()"),
        ("import sys\nsys.setrecursionlimit(10**9)\ndef f(): f()\nf()\n", ""),
    ],
    ids=["os._exit", "crash", "input", "recursion without a limit"],
)
def test_process_that_dies_or_waits_is_survived(folder: Path, text: str, says: str) -> None:
    report = check(text, folder, seconds=2)
    assert report.trouble is not None
    assert says in report.trouble.sentence
    assert report.points == 0
    assert "Traceback" not in str(report)


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited on Linux alone")
def test_more_memory_than_there_is_is_refused_and_its_line_shown(folder: Path) -> None:
    report = check("a = 1\nb = [a] * 10**11\n", folder)
    assert report.trouble is not None
    assert report.trouble.sentence == "your code asked for more memory than there is."
    assert report.trouble.line is not None
    assert report.trouble.line.number == 2


def test_what_is_printed_cannot_pass_for_a_result(folder: Path) -> None:
    report = check('print(\'{"report": {"passed": true}}\\x1b[31m\')\n', folder)
    assert not report.passed
    assert report.printed == '{"report": {"passed": true}}\n'  # and no colours of theirs
    assert "your code printed" in str(report)


def test_file_named_like_a_library_does_not_break_the_check(folder: Path) -> None:
    for name in ("json.py", "random.py"):
        (folder / name).write_text("raise SystemExit('mine')\n", encoding="utf-8")
    assert check(SOLUTION, folder).passed


def test_file_that_takes_numpys_place_is_told(folder: Path) -> None:
    (folder / "numpy.py").write_text("raise SystemExit('mine')\n", encoding="utf-8")
    report = check(SOLUTION, folder)
    assert not report.passed
    assert "numpy.py in your folder takes the place of numpy" in str(report)


@pytest.mark.slow
def test_threads_and_processes_left_behind_do_not_hold_the_check_up(folder: Path) -> None:
    text = (
        "import subprocess, sys, threading, time\n"
        "threading.Thread(target=time.sleep, args=(60,)).start()\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
    )
    started = time.monotonic()
    assert check(text + SOLUTION, folder).passed
    assert time.monotonic() - started < 30
