"""What the tests of `miniflow train` share: a quick run, what it leaves, says, and what ends it."""

import os
import pathlib
import signal
import subprocess
import sys
from typing import Any

import pytest

from miniflow.cli.train_callbacks import Notes

QUICK = ["--data", "bars.npz", "--model", "784-8-2", "--batch-size", 16]


FILES = {
    "run.json",
    "model.safetensors",
    "checkpoint.safetensors",
    "checkpoint.previous.safetensors",
    "history.csv",
    "learning_curve.png",
    "confusion_matrix.png",
    "mistakes.png",
    "report.html",
}


def last_line(result: Any) -> str:
    return str(result.stdout.rstrip("\n").split("\n")[-1])


def interrupt_after(epochs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Press Ctrl-C in the epoch after so many."""
    original = Notes.on_batch_end

    def pressing(self: Notes, training: Any) -> None:
        if training.epoch == epochs and training.rows_done == 32:
            signal.raise_signal(signal.SIGINT)
        original(self, training)

    monkeypatch.setattr(Notes, "on_batch_end", pressing)


def command(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    source = str(pathlib.Path(__file__).parents[2] / "src")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([source, *sys.path])}
    return subprocess.run(
        [sys.executable, "-m", "miniflow", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        **options,
    )
