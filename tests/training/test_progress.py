"""What a person sees of a training, on a terminal and in a file."""

import io
import sys
from typing import Any

import numpy as np
import pytest
from blobs import problem

import miniflow as mf
from miniflow.optimizers import SGD
from miniflow.training import fit


def test_lines_are_a_header_and_a_line_an_epoch(capsys: pytest.CaptureFixture[str]) -> None:
    p = problem()
    fit(p.loss, p.data, SGD(0.1), epochs=2, validation=p.validation, progress="lines", rng=0)
    header, first, second = capsys.readouterr().out.splitlines()
    assert header.split() == (
        ["epoch", "loss", "accuracy", "val.", "loss", "val.", "accuracy", "seconds"]
    )
    assert first.split()[0] == "1/2"
    assert second.split()[0] == "2/2"
    assert len(header) == len(first) == len(second) <= 80


def test_columns_that_would_be_empty_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    X, w = mf.Input("X"), mf.Parameter([1.0], "w")
    fit(mf.Mean((X * w) ** 2), {X: np.ones(8)}, SGD(0.1), epochs=1, progress="lines")
    assert capsys.readouterr().out.splitlines()[0].split() == ["epoch", "loss", "seconds"]


def test_none_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    p = problem()
    fit(p.loss, p.data, SGD(0.1), epochs=1, progress="none")
    captured = capsys.readouterr()
    assert captured.out + captured.err == ""


def test_where_there_is_no_terminal_there_are_lines(capsys: pytest.CaptureFixture[str]) -> None:
    p = problem()
    fit(p.loss, p.data, SGD(0.1), epochs=1, rng=0)
    assert "\x1b" not in (out := capsys.readouterr().out)
    assert len(out.splitlines()) == 2


class Terminal(io.StringIO):
    """A file that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def on_terminal(monkeypatch: pytest.MonkeyPatch, **options: Any) -> str:
    pytest.importorskip("rich")
    terminal = Terminal()
    monkeypatch.setattr("miniflow.training.progress.REFRESH", 0.0)
    monkeypatch.setattr(sys, "stdout", terminal)
    for name, value in {"TERM": "xterm", "COLUMNS": "100"}.items():
        monkeypatch.setenv(name, value)
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    p = problem()
    fit(p.loss, p.data, SGD(0.1), epochs=2, batch_size=16, rng=0, **options)
    return terminal.getvalue()


def test_on_a_terminal_there_is_a_bar_with_loss_accuracy_speed_and_time_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown = on_terminal(monkeypatch)
    for part in ("epoch 1/2", "epoch 2/2", "loss ", "accuracy ", "examples/s", " left", "━"):
        assert part in shown
    assert "  1/2  " in shown  # the table grows above the bar
    assert shown.rstrip().endswith("\x1b[2K")  # and the bar is gone at the end


def test_on_a_dumb_terminal_there_are_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("miniflow.training.progress.os.environ", {"TERM": "dumb"})
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    p = problem()
    fit(p.loss, p.data, SGD(0.1), epochs=1, rng=0)
    assert "\x1b" not in terminal.getvalue()
    assert "1/1" in terminal.getvalue()
