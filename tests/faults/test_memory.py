"""A long training does not grow: the short form of `memory.py`."""

import pytest
from memory import growth, resident_bytes, tiny

pytestmark = pytest.mark.skipif(
    resident_bytes() is None, reason="the system does not tell how much memory a process has"
)
STEPS = {"interpreter": 8_000, "numpy": 20_000}
MOST_A_STEP = 40.0  # bytes: a few pages of memory that the system took its time to give


@pytest.mark.parametrize("backend", ["interpreter", "numpy"])
def test_many_steps_leave_the_resident_memory_as_it_is(backend: str) -> None:
    seen = growth(STEPS[backend], backend, tiny)
    assert seen.a_step < MOST_A_STEP, seen.text()


def test_a_leak_of_a_hundred_bytes_a_step_would_be_noticed() -> None:
    seen = growth(STEPS["numpy"], "numpy", tiny, leak=100)
    assert seen.a_step > MOST_A_STEP, seen.text()
