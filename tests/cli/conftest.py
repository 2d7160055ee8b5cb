"""A folder to run the command in, with data to train on, and the command itself."""

import pathlib
from collections.abc import Callable
from typing import Any

import pytest
from bars import write_bars

pytest.importorskip("typer")

Run = Callable[..., Any]


@pytest.fixture
def real_pictures() -> None:
    """Asked for by a test that wants the run's pictures drawn; the others go without."""


@pytest.fixture(autouse=True)
def pictures_are_quick(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes longer than these trainings: write an empty file for each picture, and a report
    without the graph.
    """
    if "real_pictures" not in request.fixturenames:
        for name, place in (("learning_curve", 1), ("confusion_matrix", 2), ("worst_mistakes", 3)):
            monkeypatch.setattr(
                f"miniflow.reports.{name}",
                lambda *given, place=place, **options: given[place].write_bytes(b""),
            )
        monkeypatch.setattr("miniflow.cli.report.graph_of", lambda *given: "")


@pytest.fixture
def folder(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """The working directory, with bars.npz in it."""
    monkeypatch.chdir(tmp_path)
    write_bars(tmp_path / "bars.npz")
    return tmp_path


@pytest.fixture
def miniflow(folder: pathlib.Path) -> Run:
    """Runs the command: `miniflow("train", "--epochs", 2)` gives its exit code and output."""
    from typer.testing import CliRunner

    from miniflow.cli import app

    try:
        runner = CliRunner(mix_stderr=False)  # type: ignore[call-arg]
    except TypeError:  # newer ones keep stdout and stderr apart without being asked
        runner = CliRunner()

    def run(*arguments: object) -> Any:
        result = runner.invoke(app, [str(argument) for argument in arguments])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.output
        return result

    return run


@pytest.fixture
def trained(miniflow: Run, folder: pathlib.Path) -> pathlib.Path:
    """A run on the bars: runs/bars-linear."""
    result = miniflow("train", "--data", "bars.npz", "--model", "linear", "--epochs", 3)
    assert result.exit_code == 0, result.output
    return folder / "runs" / "bars-linear"
