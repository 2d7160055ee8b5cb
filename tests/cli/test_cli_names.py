"""Whatever files and folders are called, and whatever letters the terminal has, commands work."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest
from bars import write_bars

import miniflow as mf

ASCII = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
QUICK = ["--model", "linear", "--epochs", "1", "--batch-size", "64", "--backend", "interpreter"]

pytestmark = pytest.mark.skipif(os.name != "posix", reason="file names are text on this system")


@pytest.fixture
def place(tmp_path: pathlib.Path, request: pytest.FixtureRequest) -> bytes:
    folder = os.path.join(os.fsencode(tmp_path), request.param)
    try:
        os.mkdir(folder)
    except OSError:
        pytest.skip("this file system has no such names")
    write_bars(pathlib.Path(os.fsdecode(folder), "bars.npz"))
    return folder


def run(place: bytes, environment: dict[str, str], *arguments: object) -> str:
    """Run the command; what it says has no code for a terminal, and no traceback."""
    source = str(pathlib.Path(mf.__file__).parents[1])
    words = [a if isinstance(a, bytes) else str(a).encode() for a in arguments]
    done = subprocess.run(
        [sys.executable.encode(), b"-m", b"miniflow", *words],
        cwd=os.path.dirname(place),
        env={**os.environ, "PYTHONPATH": source, **environment},
        capture_output=True,
        timeout=120,
        check=False,
    )
    told = (done.stdout + done.stderr).decode()
    assert done.returncode == 0, told
    assert "Traceback" not in told
    assert all(c.isprintable() or c in "\n" for c in told), told
    return told


@pytest.mark.slow
@pytest.mark.parametrize(
    ("place", "environment"),
    [
        (b"Z\xfcrich", ASCII),
        pytest.param("a✎\x1b]0;pwned\x07\x1b[31m\nb\r".encode(), {}, marks=pytest.mark.rare),
    ],
    ids=["not UTF-8 on a terminal of ASCII", "letters beyond ASCII, codes of a terminal, lines"],
    indirect=["place"],
)
def test_any_name_goes_through_every_command(place: bytes, environment: dict[str, str]) -> None:
    pytest.importorskip("PIL")
    out, data = os.path.join(place, b"run"), os.path.join(place, b"bars.npz")
    assert "test accuracy" in run(place, environment, "train", "--data", data, "--out", out, *QUICK)
    assert sorted(os.listdir(out)).count(b"report.html") == 1
    run(place, environment, "train", "--resume", "--out", out)
    run(place, environment, "evaluate", "--model", out)
    assert "linear" in run(place, environment, "info", out)
    model = os.path.join(out, b"model.safetensors")
    run(place, environment, "draw", model)
    run(place, environment, "draw", model, "--out", os.path.join(place, b"picture.svg"))
    picture = shutil.copy(os.path.join(out, b"confusion_matrix.png"), os.path.join(place, b"p.png"))
    run(place, environment, "predict", "--model", "digits", picture)
    run(place, environment, "predict", "--model", "digits", "--json", picture)
    run(place, environment, "page", "digits", "--out", os.path.join(place, b"p.html"))
    run(place, environment, "lab", "start", os.path.join(place, b"lab"))
    run(place, environment, "lab", "--folder", os.path.join(place, b"lab"), "list")


@pytest.mark.breadth("arguments")
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["train", "--help"],
        ["info"],
        ["lab", "--help"],
        ["info", "digits"],
    ],
)
def test_output_that_cannot_be_written_is_told_in_a_sentence(arguments: list[str]) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "miniflow", *arguments],
            env={**os.environ, "PYTHONPATH": str(pathlib.Path(mf.__file__).parents[1])},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "No space left on device" in done.stderr
    assert len(done.stderr.splitlines()) == 1
