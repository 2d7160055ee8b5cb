"""A training that is killed at random moments and resumed ends with the undisturbed one's bits."""

import importlib
import os
import random
import signal
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.skipif(
    not hasattr(os, "fork") or not hasattr(signal, "SIGKILL"),
    reason="this system has no fork, or no SIGKILL",
)


@pytest.mark.slow
def test_ten_kills_at_random_moments_change_no_bit() -> None:
    from kill_and_resume import KINDS, kill_and_resume

    seed = random.randrange(2**31)
    print(f"seed {seed}")
    tally = kill_and_resume(10, seed)
    print(tally.text())
    assert len(tally.kills) == 10
    assert {kill.kind for kill in tally.kills} <= set(KINDS)


@pytest.mark.slow
def test_a_resume_that_forgets_something_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    import kill_and_resume as program

    training = importlib.import_module("miniflow.training.fit")
    load = training.load_checkpoint

    def forgetful(path: Any, under_way: Any) -> None:
        load(path, under_way)
        under_way.rng = np.random.default_rng(1)

    monkeypatch.setattr(training, "load_checkpoint", forgetful)
    monkeypatch.setattr(program, "SETTINGS", {"one": next(iter(program.SETTINGS.values()))})
    with pytest.raises(AssertionError, match="other bits; seed 2"):
        program.kill_and_resume(10, 2)
