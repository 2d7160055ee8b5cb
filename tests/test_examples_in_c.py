"""The examples in C are built by their Makefile, recognise digits, and learn one more class."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from backends.c.judge import COMPILERS

EXAMPLES = Path(__file__).resolve().parent.parent / "examples" / "c"
needs_tools = pytest.mark.skipif(
    not COMPILERS or shutil.which("make") is None, reason="needs make, and gcc or clang"
)


def test_the_makefile_has_ten_lines_and_the_page_names_every_file() -> None:
    assert len((EXAMPLES / "Makefile").read_text("utf-8").splitlines()) == 10
    page = (EXAMPLES / "README.md").read_text("utf-8")
    for path in EXAMPLES.iterdir():
        assert path.suffix not in (".c", ".py") or f"`{path.name}`" in page


@needs_tools
@pytest.mark.slow
def test_digits_are_recognised_and_one_more_class_is_learned(tmp_path: Path) -> None:
    folder = tmp_path / "c"
    shutil.copytree(EXAMPLES, folder)
    for compiler in COMPILERS:
        made = ["make", "-s", f"CC={compiler}", f"PYTHON={sys.executable}"]
        subprocess.run(made, check=True, cwd=folder, timeout=300)
        images = sorted(str(path) for path in (folder / "images" / "recognise").iterdir())
        told = run(folder, "recognise", *images)
        assert [line[-1] for line in told.splitlines()] == [*"0123456789"]
        taught, asked = (
            sorted(str(path) for path in (folder / "images" / name).iterdir())
            for name in ("teach", "test")
        )
        counts = re.findall(r"(\d+) of \d+", run(folder, "teach", *taught, "--", *asked))
        before, others, after, others_after = map(int, counts)
        assert before == 0
        assert after >= 45
        assert min(others, others_after) >= 150
        for name in ("recognise", "teach"):
            (folder / name).unlink()
    (folder / "not.pgm").write_bytes(b"P5 28 28 255\n")
    refused = subprocess.run([COMPILERS[0], *MAIN], cwd=folder, capture_output=True, text=True)
    assert refused.returncode == 0, refused.stderr
    ended = subprocess.run(["./recognise", "not.pgm"], cwd=folder, capture_output=True, text=True)
    assert ended.returncode == 1
    assert "is no PGM file" in ended.stderr


MAIN = ("-std=c99", "-O1", "recognise.c", "digits.c", "-o", "recognise", "-lm")


def run(folder: Path, program: str, *arguments: str) -> str:
    """What a program prints."""
    command = [str(folder / program), *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout
