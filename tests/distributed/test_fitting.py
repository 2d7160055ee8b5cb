"""`fit` in several processes over loopback: each reads its own rows, they make as many steps in a
call, and stop after the same one. What is run there is in `fitting.py`.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import fitting
import numpy as np
import pytest
from backends.jax.child import environment, needs_jax

pytestmark = [needs_jax, pytest.mark.slow]

SCRIPT = Path(__file__).with_name("fitting.py")


def run(hosts: int, devices: int, *kinds: str) -> list[list[Any]]:
    """What each process says of each kind of training."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{found.getsockname()[1]}"
    processes = [
        subprocess.Popen(
            [sys.executable, str(SCRIPT), address, str(hosts), str(host), *kinds],
            env=environment(devices),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for host in range(hosts)
    ]
    said = []
    try:
        for process in processes:
            output, errors = process.communicate(timeout=240)
            assert (process.returncode, errors) == (0, ""), errors
            said.append([json.loads(line) for line in output.splitlines()])
    finally:
        for process in processes:
            process.kill()
    return said


def assert_as_one(said: Any, kind: str) -> None:
    losses, weights = fitting.trained(kind, 0, "numpy")
    np.testing.assert_allclose(said[0], losses, rtol=1e-4)
    np.testing.assert_allclose(said[1], weights, rtol=2e-3, atol=2e-4)


def test_two_processes_read_their_own_rows_and_stop_together() -> None:
    first, second = run(2, 1, "arrays", "both")
    assert [said[:2] for said in first] == [said[:2] for said in second]
    arrays, both = first
    assert_as_one(arrays, "arrays")
    assert arrays[2] >= 8  # steps in a call
    seen = fitting.EPOCHS * fitting.ROWS
    # The first step is looked at as a whole, and of each call the first row.
    assert seen / 2 <= arrays[3] < 0.6 * seen + fitting.BATCH
    assert both[0] is None


def test_all_stop_at_once_beside_one_that_takes_its_time_to_make_a_batch() -> None:
    first, second = run(2, 1, *fitting.SLOW, "batches")
    assert [said[:2] for said in first] == [said[:2] for said in second]
    *pressed, batches = first
    assert [said[0] for said in pressed] == [None] * 2
    assert_as_one(batches, "batches")


@pytest.mark.rare
def test_they_stop_together_whoever_says_so_and_take_batches_at_one_pace() -> None:
    first, second = run(2, 1, "batches", "limit", "first", "second", "alone")
    assert [said[:2] for said in first] == [said[:2] for said in second]
    batches, limit, *pressed = first
    assert_as_one(batches, "batches")
    assert batches[2] >= 8
    assert_as_one(limit, "arrays")
    assert [said[0] for said in pressed] == [None] * 3


@pytest.mark.rare
@pytest.mark.parametrize(("hosts", "devices"), [(1, 4), (2, 2), (4, 1)])
def test_other_divisions_are_as_one(hosts: int, devices: int) -> None:
    kinds = "arrays", "batches"
    for of_process in run(hosts, devices, *kinds):
        for said, kind in zip(of_process, kinds, strict=True):
            assert_as_one(said, kind)
