"""`miniflow train` in several processes over loopback, with CPU devices: the same as in one; one
that is killed ends the others, and it goes on with fewer.
"""

from __future__ import annotations

import csv
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from backends.jax.child import environment, needs_jax

from miniflow.files.arrays import read_arrays

pytestmark = [needs_jax, pytest.mark.slow]

ENOUGH = 180  # seconds; a training takes five


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (300, 8, 8)).astype(np.uint8)
    labels = (images[:, :4].mean((1, 2)) > images[:, 4:].mean((1, 2))).astype(np.int64)
    path = tmp_path_factory.mktemp("data") / "small.npz"
    np.savez(path, images=images, labels=labels)
    return path


def start(data: Path, out: Path, hosts: int, devices: int, *more: str) -> list[Any]:
    """The processes of a training; the last is number 0."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    options = ["--data", str(data), "--out", str(out), "--model", "64-16-2", "--batch-size", "40"]
    command = [sys.executable, "-m", "miniflow", "train", "--backend", "jax", "--devices", "all"]
    where = [] if hosts == 1 else ["--coordinator", f"127.0.0.1:{port}", "--heartbeat", "10"]
    return [
        subprocess.Popen(
            [*command, *options, *where, "--hosts", str(hosts), "--host", str(host), *more],
            env=environment(devices),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for host in reversed(range(hosts))
    ]


def finish(processes: Sequence[Any]) -> list[tuple[int, str, str]]:
    """Exit code, output and errors of each."""
    found = []
    try:
        for process in processes:
            output, errors = process.communicate(timeout=ENOUGH)
            found.append((process.returncode, output, errors))
    finally:
        for process in processes:
            process.kill()
    return found


def train(data: Path, out: Path, hosts: int, devices: int, *more: str) -> str:
    """Train, see that all went well, and return what process 0 printed."""
    *others, first = finish(start(data, out, hosts, devices, *more))
    assert first[0] == 0, first
    assert others == [(0, "", "")] * (hosts - 1)
    assert first[1].splitlines()[-1].startswith("test accuracy: ")
    return first[1]


def losses(out: Path) -> list[float]:
    with open(out / "history.csv", encoding="utf-8") as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


def weights(out: Path) -> list[np.ndarray]:
    arrays, _ = read_arrays(out / "model.safetensors", "model")
    return [arrays[name] for name in sorted(arrays)]


def assert_same_training(one: Path, other: Path) -> None:
    np.testing.assert_allclose(losses(one), losses(other), rtol=1e-4)
    for ours, theirs in zip(weights(one), weights(other), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-3, atol=2e-4)


def test_two_processes_of_two_devices_are_as_one(data: Path, tmp_path: Path) -> None:
    alone = train(data, tmp_path / "one", 1, 1, "--epochs", "2")
    both = train(data, tmp_path / "both", 2, 2, "--epochs", "2")
    assert_same_training(tmp_path / "one", tmp_path / "both")
    assert alone.splitlines()[0] == both.splitlines()[0]
    assert len(alone.splitlines()) == len(both.splitlines())


@pytest.mark.rare
@pytest.mark.parametrize(("hosts", "devices"), [(1, 4), (4, 1)])
def test_other_divisions_are_as_one(data: Path, tmp_path: Path, hosts: int, devices: int) -> None:
    train(data, tmp_path / "one", 1, 1, "--epochs", "2")
    train(data, tmp_path / "many", hosts, devices, "--epochs", "2")
    assert_same_training(tmp_path / "one", tmp_path / "many")


@pytest.mark.rare
def test_killed_it_ends_the_others_and_goes_on_with_fewer(data: Path, tmp_path: Path) -> None:
    epochs = ("--epochs", "300")
    processes = start(data, tmp_path / "run", 2, 2, *epochs)
    wait_for(tmp_path / "run" / "history.csv", processes)
    processes[0].send_signal(signal.SIGKILL)
    killed = time.monotonic()
    (code, _, errors) = finish(processes)[1]
    assert time.monotonic() - killed < 10
    assert code == 1
    assert "error: process 1 of 2 has ended before its work was done" in errors
    done = len(losses(tmp_path / "run"))
    assert 0 < done < 300
    train(data, tmp_path / "run", 1, 1, "--resume")
    assert len(losses(tmp_path / "run")) == 300
    train(data, tmp_path / "whole", 1, 1, *epochs)
    np.testing.assert_allclose(losses(tmp_path / "run"), losses(tmp_path / "whole"), rtol=5e-3)


@pytest.mark.rare
def test_stopped_it_ends_the_others_within_the_heartbeat(data: Path, tmp_path: Path) -> None:
    processes = start(data, tmp_path / "run", 2, 1, "--epochs", "100000", "--heartbeat", "3")
    wait_for(tmp_path / "run" / "history.csv", processes)
    processes[0].send_signal(signal.SIGSTOP)
    (code, _, errors) = finish(processes[::-1][:1])[0]
    processes[0].kill()
    processes[0].communicate()
    assert code == 1
    assert "process 1 of 2 has said nothing for 3 s" in errors


SCRIPT = """
import sys
import numpy as np, miniflow as mf
mf.distributed.initialize(sys.argv[1], hosts=2, host=int(sys.argv[2]), heartbeat=10)
rng = np.random.default_rng(0)
X, y, s = mf.Input("X"), mf.Input("y"), mf.Seed("s")
W = mf.Parameter(rng.normal(size=(12, 4)).astype(np.float32), "W")
loss = mf.CrossEntropyWithSoftmax(mf.Dropout(X, s, rate=0.25) @ W, y)
data = {X: rng.normal(size=(64, 12)).astype(np.float32), y: rng.integers(0, 4, 64), s: 3}
backend = "numpy" if len(sys.argv) > 3 else "jax"
step = mf.compile(loss, optimizer=mf.Adam(0.05), backend=backend)
losses = step.epoch(data, rng.integers(0, 64, (5, 16)))
print(*losses, *W.value.ravel())
mf.distributed.leave()
"""


@pytest.mark.rare
def test_a_script_joins_and_makes_an_epoch() -> None:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{found.getsockname()[1]}"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT, address, str(host)],
            env=environment(2),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for host in (0, 1)
    ]
    both = finish(processes)
    assert [(code, errors) for code, _, errors in both] == [(0, "")] * 2
    alone = SCRIPT.replace("mf.distributed.initialize(", "(lambda *a, **k: None)(")
    wanted = subprocess.run(
        [sys.executable, "-c", alone, "", "0", "numpy"],
        env=environment(1),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for _, output, _ in both:
        ours, theirs = (np.array(text.split(), float) for text in (output, wanted))
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-5)


def wait_for(path: Path, processes: Sequence[Any]) -> None:
    deadline = time.monotonic() + ENOUGH
    while not path.exists():
        assert time.monotonic() < deadline
        assert all(process.poll() is None for process in processes), finish(processes)
        time.sleep(0.05)


def test_what_does_not_fit_is_one_sentence_and_another_exit_code(
    data: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "miniflow", "train", "--data", str(data)]
    nobody_there = ["--backend", "jax", "--hosts", "2", "--host", "1", "--coordinator"]
    nobody_there.append("127.0.0.1:9")
    for more, told in (
        (["--backend", "jax", "--hosts", "2"], "coordinator and host"),
        (["--hosts", "2", "--host", "0"], "are for --backend jax"),
        (["--backend", "numpy", "--devices", "2"], "is for --backend jax"),
        (["--backend", "jax", "--devices", "7"], "devices=7, and there are 2"),
        (["--backend", "jax", "--devices", "all", "--batch-size", "31"], "batch_size=31"),
        (
            [*nobody_there, "--join-timeout", "0.2"],
            "process 1 cannot reach process 0 at 127.0.0.1:9 within 0.2 s",
        ),
    ):
        done = subprocess.run(
            [*command, *more, "--out", str(tmp_path / "never")],
            env=environment(2),
            capture_output=True,
            text=True,
            timeout=ENOUGH,
        )
        assert done.returncode == 1, done
        assert done.stderr.startswith("error: ")
        assert done.stderr.count("\n") == 1
        assert told in done.stderr.replace("host and coordinator", "coordinator and host")
