"""Options of `train` that people reach for, and output for programs: patience, dropout, weight
decay, a log in JSON; `evaluate --json`, `info --json`.
"""

import json
import pathlib
from typing import Any

import numpy as np
import pytest

from miniflow.cli.runs import Options, options_from
from miniflow.models import load

QUICK = ["train", "--data", "bars.npz", "--model", "784-8-2", "--batch-size", 16]


def lines(path: pathlib.Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_log_has_a_json_object_for_each_epoch(miniflow: Any, folder: pathlib.Path) -> None:
    result = miniflow(*QUICK, "--epochs", 2, "--out", "run", "--log", "log.jsonl")
    assert result.exit_code == 0
    rows = lines(folder / "log.jsonl")
    assert [row["epoch"] for row in rows] == [1, 2]
    history = (folder / "run" / "history.csv").read_text().splitlines()
    assert list(rows[0]) == history[0].split(",")
    assert repr(rows[1]["validation_loss"]) == history[2].split(",")[3]
    assert "log" not in json.loads((folder / "run" / "run.json").read_text())
    result = miniflow(*QUICK, "--epochs", 1, "--out", "other", "--log", "nowhere/log.jsonl")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: nowhere")


def test_patience_ends_a_training_and_keeps_the_best(miniflow: Any, folder: pathlib.Path) -> None:
    options = [*QUICK, "--epochs", 40, "--patience", 2, "--out", "run"]
    assert miniflow(*options).exit_code == 0
    rows = (folder / "run" / "history.csv").read_text().splitlines()[1:]
    assert 3 <= len(rows) < 40
    accuracies = [float(row.split(",")[4]) for row in rows]
    assert int(np.argmax(accuracies)) == len(rows) - 3
    again = miniflow("train", "--out", "run", "--resume")
    assert again.exit_code == 0
    assert "run is finished: no epoch was better for as many as it waits." in again.stdout
    assert len((folder / "run" / "history.csv").read_text().splitlines()) == len(rows) + 1


def test_dropout_and_weight_decay_change_the_training_and_are_kept(
    miniflow: Any, folder: pathlib.Path
) -> None:
    given = {"plain": [], "dropout": ["--dropout", 0.4], "decay": ["--weight-decay", 0.05]}
    arrays = {}
    for name, options in given.items():
        assert miniflow(*QUICK, "--epochs", 1, "--out", name, *options).exit_code == 0
        model = load(folder / name / "model.safetensors")
        arrays[name] = np.concatenate([c.value.ravel() for c in model.program.constants])
    assert not np.array_equal(arrays["plain"], arrays["dropout"])
    assert np.abs(arrays["decay"]).sum() < np.abs(arrays["plain"]).sum()
    kept = options_from(json.loads((folder / "dropout" / "run.json").read_text()))
    assert (kept.dropout, kept.weight_decay, kept.patience) == (0.4, 0.0, 0)
    told = miniflow("info", "dropout").stdout
    assert "dropout 0.4" in told
    other = miniflow("train", "--out", "dropout", "--resume", "--dropout", 0.2)
    assert other.exit_code == 1
    assert "started with --dropout 0.4" in other.stderr


def test_a_resumed_run_with_dropout_ends_with_the_same_model(
    miniflow: Any, folder: pathlib.Path
) -> None:
    options = [*QUICK, "--epochs", 2, "--dropout", 0.3, "--optimizer", "adamw"]
    for name in ("whole", "again"):
        assert miniflow(*options, "--out", name).exit_code == 0
    whole, again = ((folder / n / "model.safetensors").read_bytes() for n in ("whole", "again"))
    assert whole == again


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--dropout", 1.0], "below 1"),
        (["--model", "784-2", "--dropout", 0.5], "of 0 of them"),
        (["--optimizer", "adam", "--weight-decay", 0.1], "adam has none, and adamw is adam"),
        (["--patience", 0], "patience"),
    ],
)
def test_what_does_not_fit_is_told(
    options: list[Any], message: str, miniflow: Any, folder: pathlib.Path
) -> None:
    result = miniflow(*QUICK, "--epochs", 1, *options)
    assert result.exit_code != 0
    assert message in result.stderr


def test_runs_from_before_there_were_these_options_are_read() -> None:
    old = {"model": "cnn", "data": "mnist", "epochs": 12, "batch_size": 128, "optimizer": "adamw"}
    old |= {"lr": 0.002, "seed": 0, "backend": "auto", "augment": True}
    found = options_from(old)
    assert (found.dropout, found.weight_decay, found.patience) == (0.5, 0.01, 0)
    found = options_from(old | {"model": "mlp", "optimizer": "sgd"})
    assert (found.dropout, found.weight_decay) == (0.0, 0.0)
    assert options_from(vars(Options())) == Options()


def test_evaluate_and_info_speak_json(miniflow: Any, folder: pathlib.Path) -> None:
    miniflow(*QUICK, "--epochs", 2, "--out", "runs/one")
    told = json.loads(miniflow("evaluate", "--json").stdout)
    said = miniflow("evaluate").stdout
    assert f"test loss: {told['loss']:.4f}" in said
    assert f"test accuracy: {told['accuracy']:.4f}" in said
    assert sum(entry["images"] for entry in told["classes"]) == told["images"]
    share = sum(entry["images"] * (entry["accuracy"] or 0) for entry in told["classes"])
    assert share / told["images"] == pytest.approx(told["accuracy"])
    model = json.loads(miniflow("info", "runs/one", "--json").stdout)
    assert model["parameters"] == told["parameters"] == 784 * 8 + 8 + 8 * 2 + 2
    assert model["inputs"][0]["shape"] == [None, 784]
    assert model["training"]["model"] == "784-8-2"
    assert model["run"]["epochs_done"] == 2
    assert "program" not in model
    assert (
        "program("
        in json.loads(miniflow("info", "digits", "--json", "--program").stdout)["program"]
    )
    everything = json.loads(miniflow("info", "--json").stdout)
    assert [run["folder"] for run in everything["runs"]] == ["runs/one"]
    assert everything["runs"][0]["options"]["data"].endswith("bars.npz")
