"""A long training does not grow: the short form of `memory.py`.

Each runs in a process of its own: one that has run other tests has memory to spare, in which a leak
would not be seen.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from memory import resident_bytes

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        resident_bytes() is None, reason="the system does not tell how much memory a process has"
    ),
]
SCRIPT = Path(__file__).with_name("memory.py")
STEPS = {"interpreter": 8_000, "numpy": 20_000}
MOST_A_STEP = 40.0  # bytes: a few pages of memory that the system took its time to give


def growth_a_step(backend: str, leak: int = 0) -> tuple[float, str]:
    """Bytes by which a fresh process grows at each step of a small training, and what it says."""
    options = ["--setting", "tiny", "--steps", STEPS[backend], "--backend", backend, "--leak", leak]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, options)], capture_output=True, text=True
    )
    found = re.search(r"([+-][\d.]+) a step", done.stdout)
    assert found, done.stderr
    return float(found[1]), done.stdout


@pytest.mark.parametrize("backend", ["interpreter", "numpy"])
def test_many_steps_leave_the_resident_memory_as_it_is(backend: str) -> None:
    bytes_a_step, told = growth_a_step(backend)
    assert bytes_a_step < MOST_A_STEP, told


@pytest.mark.parametrize("backend", ["interpreter", "numpy"])
def test_a_leak_of_a_hundred_bytes_a_step_would_be_noticed(backend: str) -> None:
    bytes_a_step, told = growth_a_step(backend, leak=100)
    assert bytes_a_step > MOST_A_STEP, told
