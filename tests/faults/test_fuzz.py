"""Nearly right files and command lines: the bounded, seeded part of the fuzzing, and its guard."""

import json
import os
import pathlib
import pickle
import random
import subprocess
import sys
from typing import Any

import pytest
from guard import peak_is_known

PROGRAM = pathlib.Path(__file__).with_name("fuzz.py")
INPUTS, SEED = 600, 0


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(PROGRAM), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


@pytest.mark.slow
def test_nearly_right_inputs_end_with_success_or_a_declared_error() -> None:
    pytest.importorskip("PIL")
    pytest.importorskip("typer")
    ended = run("--inputs", INPUTS, "--seed", SEED)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert f"{INPUTS} inputs" in ended.stdout
    assert "0 findings" in ended.stdout
    for target in ("model", "checkpoint", "idx", "npz", "picture", "command"):
        (line,) = (line for line in ended.stdout.splitlines() if line.split()[:1] == [target])
        assert "refused" in line
        assert "taken" in line


def test_the_same_seed_makes_the_same_inputs() -> None:
    from mutations import mutated, mutated_json, mutated_words

    def made() -> list[Any]:
        draw = random.Random("seed")
        tree = {"a": [1, 2, {"b": "text"}], "c": None}
        return [
            *(mutated(draw, bytes(range(100)), [b"other" * 9]) for _ in range(50)),
            *(repr(mutated_json(draw, tree, ["x", "y"])) for _ in range(50)),
            *(mutated_words(draw, ["train", "--out", "run"], ["0", "-1"]) for _ in range(50)),
        ]

    assert made() == made()
    assert len(set(map(str, made()))) > 100


# --- The guard: what it must notice. It stays in its process, so it is tried in another.

REFUSED = [
    "os.system('true')",
    "subprocess.run(['true'])",
    "socket.socket().connect(('127.0.0.1', 9))",
    "open(folder / '..' / 'outside', 'w')",
    "os.open(folder / '..' / 'outside', os.O_RDWR | os.O_CREAT)",
    "os.remove(folder / '..' / 'outside')",
    "os.rename(folder / 'inside', folder / '..' / 'outside')",
    "exec('x = 1')",
    "eval('1 + 1')",
    "exec(compile('import os', '<miniflow program 1>', 'exec'))",
    "exec(compile('().__class__', '<miniflow program 1>', 'exec'))",
    "exec(compile('open(1)', '<miniflow program 1>', 'exec'))",
    "exec(compile('import os', '<arguments of a program>', 'exec'))",
    "exec(compile('def f(feed): return open(1)', '<arguments of a program>', 'exec'))",
    "exec(compile('def f(feed): return feed.__class__', '<arguments of a program>', 'exec'))",
    f"pickle.loads({pickle.dumps(os.getcwd)!r})",
]
ALLOWED = [
    "open(folder / 'inside', 'w').close()",
    "open(sys.executable, 'rb').close()",
    "importlib.import_module('json.tool')",
    "exec(compile('from numpy import add\\nx = add(1, 2)', '<miniflow program 2>', 'exec'))",
    "train()",
    "exec(compile('def f(feed): return [feed.get(node_0)]', '<arguments of a program>', 'exec'))",
    "exec(compile('def f(feed): return run([feed[node_0]])', '<call of a program>', 'exec'))",
    "predict()",
]
HANGING = ["time.sleep(20)"] if hasattr(os, "fork") else []

GUARDED = """
import importlib, json, os, pathlib, pickle, socket, subprocess, sys, time
path, folder, codes = json.loads(sys.argv[1])
sys.path[:0] = path
from guard import *
import miniflow as mf

def train():
    x, w = mf.Input("x"), mf.Parameter([1.0, 2.0], name="w")
    step = mf.compile(mf.Sum(x * w), optimizer=mf.SGD(0.1), backend="numpy")
    assert step({x: [3.0, 4.0]}) == 11.0

def predict():
    x, w = mf.Input("x"), mf.Parameter([1.0, 2.0], name="w")
    assert mf.compile(mf.Sum(x * w), backend="numpy")({x: [3.0, 4.0]}) == 11.0

train(), predict()  # what they import has been imported, as by the command before it reads a file
folder = pathlib.Path(folder)
guard = Guard(folder, seconds=0.5)
ended = []
for code in codes:
    code = compile(code, json.__file__, "exec")  # as if it came from Python's own files
    guard.begin()
    try:
        eval(code)
        ended.append("done")
    except (ForbiddenError, HangError) as error:
        ended.append(type(error).__name__)
    finally:
        guard.end()
print(json.dumps(ended))
"""


def test_the_guard_refuses_what_must_not_happen_and_nothing_else(tmp_path: pathlib.Path) -> None:
    here = pathlib.Path(__file__).parent
    path = [str(here), str(here.parents[1] / "src")]
    told = json.dumps([path, str(tmp_path), [*REFUSED, *ALLOWED, *HANGING]])
    ended = subprocess.run(
        [sys.executable, "-c", GUARDED, told], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    seen = dict(zip([*REFUSED, *ALLOWED, *HANGING], json.loads(ended.stdout), strict=True))
    assert seen == {
        **dict.fromkeys(REFUSED, "ForbiddenError"),
        **dict.fromkeys(ALLOWED, "done"),
        **dict.fromkeys(HANGING, "HangError"),
    }


@pytest.mark.slow
def test_a_large_picture_of_few_bytes_takes_at_most_twelve_bytes_a_pixel(
    tmp_path: pathlib.Path,
) -> None:
    image = pytest.importorskip("PIL.Image")
    if not peak_is_known():
        pytest.skip("this system does not tell the most memory that was taken")
    image.new("RGBA", (4000, 3000)).save(tmp_path / "large.png")
    assert (tmp_path / "large.png").stat().st_size < 100_000
    image.new("RGBA", (40, 30)).save(tmp_path / "small.png")
    path = [str(PROGRAM.parent), str(PROGRAM.parents[2] / "src")]
    told = json.dumps([path, str(tmp_path)])  # in a process whose memory was never larger
    ended = subprocess.run(
        [sys.executable, "-c", READING, told], capture_output=True, text=True, check=True
    )
    assert 4 * 4000 * 3000 < int(ended.stdout) < 12 * 4000 * 3000


READING = """
import json, pathlib, sys
path, folder = json.loads(sys.argv[1])
sys.path[:0] = path
from guard import peak_bytes, resident_bytes
from miniflow.digit_images import read_digit
read_digit(pathlib.Path(folder, "small.png"))
before = resident_bytes()
read_digit(pathlib.Path(folder, "large.png"))
print(peak_bytes() - before)
"""
