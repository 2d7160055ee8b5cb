"""Ctrl-C ends a training at once, whatever takes its time: real signals, in processes of their
own. What is run there is in `ctrl_c.py`.
"""

import os
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

HERE = Path(__file__).resolve().parent


def run(*names: str) -> "subprocess.CompletedProcess[str]":
    source = Path(sys.modules["miniflow"].__file__ or "").parent.parent
    environment = {**os.environ, "PYTHONPATH": str(source), "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, str(HERE / "ctrl_c.py"), *names]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100)


def check(*names: str) -> None:
    done = run(*names)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    assert done.stdout.split() == list(names)


def test_it_never_waits_for_who_makes_the_data() -> None:
    check(
        "beside_a_slow_function:native",
        "beside_a_slow_function:numpy",
        "beside_a_slow_function:interpreter",
        "in_a_function_on_the_main_thread",
        "in_a_validation",
        "two_trainings_of_one_generator",
        "in_another_thread",
        "pressed_twice",
    )


@pytest.mark.skipif(find_spec("jax") is None, reason="the extra jax is not installed")
def test_nor_does_it_with_jax() -> None:
    check("beside_a_slow_function:jax")


def test_nor_does_what_goes_wrong() -> None:
    check("what_goes_wrong_is_told_at_once", "generators_are_closed_while_an_error_is_kept")


def test_the_program_ends_with_what_is_left_behind() -> None:
    begun = time.monotonic()
    done = run("and_the_program_ends")
    assert time.monotonic() - begun < 25, "it waits for nobody"
    assert done.returncode == -2, done
    assert done.stderr.splitlines()[-1] == "KeyboardInterrupt"
    assert done.stderr.count("Traceback") == 1
    assert "Exception ignored" not in done.stderr
