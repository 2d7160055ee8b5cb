"""`miniflow lab watch`: a change is checked once it keeps still, and single keys are answered."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import miniflow
from miniflow.lab.keys import no_keys
from miniflow.lab.watching import Changes, Watch


class Told:
    """A runner that writes down what it is asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[str] = []
        self.screen = self
        self.shown = ""

    is_terminal = True

    def clear(self) -> None:
        pass

    def show(self, rows: list[list[tuple[str, str]]]) -> None:
        self.shown = "".join(piece[0] for row in rows for piece in row)

    def next(self) -> bool:
        self.asked.append("next")
        return True

    def current(self, name: str | None) -> str:
        return "networks"

    def check(self, name: str) -> bool:
        self.asked.append(f"check {name}")
        return True

    def hint(self, name: str) -> bool:
        self.asked.append(f"hint {name}")
        return True

    def list(self) -> bool:
        self.asked.append("list")
        return True

    def solution(self, name: str) -> bool:
        self.asked.append(f"solution {name}")
        return True


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("mul.py", "linear.py"):
        (tmp_path / name).write_text("1", encoding="utf-8")
    return tmp_path


def change(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    now = time.time_ns() + 10**9 * len(text)  # whatever the file system's clock can tell apart
    os.utime(path, ns=(now, now))


def test_change_is_reported_once_and_only_when_it_keeps_still(folder: Path) -> None:
    changes = Changes(folder)
    assert changes.next() is None
    change(folder / "mul.py", "22")
    assert changes.next() is None
    change(folder / "mul.py", "333")
    assert changes.next() is None
    assert changes.next() == "mul"
    assert changes.next() is None


def test_file_that_an_editor_removes_and_writes_anew_is_one_change(folder: Path) -> None:
    changes = Changes(folder)
    (folder / "mul.py").unlink()
    assert changes.next() is None
    change(folder / "mul.py", "22")
    assert [changes.next() for _ in range(3)] == [None, "mul", None]


def test_two_files_that_change_are_both_reported(folder: Path) -> None:
    changes = Changes(folder)
    change(folder / "linear.py", "22")
    change(folder / "mul.py", "22")
    changes.next()
    assert [changes.next() for _ in range(3)] == ["mul", "linear", None]


def test_keys_are_answered_and_q_ends(folder: Path) -> None:
    pressed: Iterator[str] = iter("hLsc?nq")
    runner = Told(folder)
    watch = Watch(runner)  # type: ignore[arg-type]
    went_on = [watch.step(lambda seconds: next(pressed)) for _ in range(7)]
    assert went_on == [True] * 6 + [False]
    asked = ["hint networks", "list", "solution networks", "check networks", "next"]
    assert runner.asked == asked


def test_keys_mean_the_exercise_that_is_named_beside_them(folder: Path) -> None:
    runner = Told(folder)
    watch = Watch(runner)  # type: ignore[arg-type]
    watch.check("linear")
    assert "linear: c check · h hint · s solution" in runner.shown
    for key in "shc":
        watch.step(lambda seconds, key=key: key)  # type: ignore[misc]
    assert runner.asked == ["check linear", "solution linear", "hint linear", "check linear"]
    watch.step(lambda seconds: "n")
    assert "networks: c check · h hint · s solution" in runner.shown


def test_changed_file_is_the_one_that_is_checked(folder: Path) -> None:
    runner = Told(folder)
    watch = Watch(runner)  # type: ignore[arg-type]
    change(folder / "linear.py", "22")
    for _ in range(2):
        assert watch.step(lambda seconds: "")
    assert runner.asked == ["check linear"]


def test_without_a_terminal_there_are_no_keys() -> None:
    assert no_keys(0) == ""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal needs POSIX")
def test_watch_on_a_terminal_checks_at_once_answers_a_key_and_ends_with_q(tmp_path: Path) -> None:
    import pty

    from miniflow.lab.folder import handed_out

    for name, data in handed_out().items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "miniflow", "lab", "watch"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=tmp_path,
        env=os.environ
        | {"PYTHONPATH": str(Path(miniflow.__file__).parent.parent), "TERM": "xterm"},
    )
    os.close(theirs)
    try:
        assert "networks.py" in read_until(ours, "q quit")
        os.write(ours, b"h")
        assert "Hint 1 of 3" in read_until(ours, "q quit")
        os.write(ours, b"q")
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def read_until(terminal: int, sign: str) -> str:
    seen = b""
    while sign.encode() not in seen:
        seen += os.read(terminal, 4096)
    return seen.decode("utf-8", "replace")
