"""`miniflow train --init`, and `--resume` for more epochs than there were to be."""

import json
import pathlib
from typing import Any

import numpy as np
import pytest

import miniflow as mf

QUICK = ["--data", "bars.npz", "--model", "784-8-2", "--batch-size", 16]


def arrays(path: pathlib.Path) -> list[np.ndarray]:
    return [constant.value for constant in mf.load(path).program.constants]


@pytest.fixture
def trained(miniflow: Any, folder: pathlib.Path) -> pathlib.Path:
    assert miniflow("train", *QUICK, "--epochs", 2, "--out", "first").exit_code == 0
    return folder / "first"


@pytest.mark.parametrize("given", ["first", "first/model.safetensors"])
def test_training_begins_with_a_models_weights(
    given: str, trained: pathlib.Path, miniflow: Any
) -> None:
    begun = ["--lr", 0, "--seed", 5, "--epochs", 1, "--init", given, "--out", "second"]
    result = miniflow("train", *QUICK, *begun)
    assert result.exit_code == 0
    assert "taken: W1, b1, W2, b2" in result.stdout
    second = trained.parent / "second" / "model.safetensors"
    for a, b in zip(arrays(trained / "model.safetensors"), arrays(second), strict=True):
        assert np.array_equal(a, b)
    kept = json.loads((trained.parent / "second" / "run.json").read_text())
    assert pathlib.Path(kept["init"]).is_absolute()
    notes = mf.load(second).notes["training"]
    assert notes["init"] == pathlib.Path(given).name
    assert miniflow("train", "--resume", "--init", given, "--out", "second").exit_code == 0


def test_what_does_not_fit_is_told_and_the_rest_is_taken(
    trained: pathlib.Path, miniflow: Any
) -> None:
    wider = ["--data", "bars.npz", "--model", "784-8-3", "--epochs", 1, "--out", "wider"]
    result = miniflow("train", *wider, "--init", "first")
    assert result.exit_code == 0
    assert "taken: W1, b1\n" in result.stdout
    assert "does not fit: W2: it has shape (8, 3), and (8, 2) in the file" in result.stdout
    other = ["--data", "bars.npz", "--model", "784-9-3", "--epochs", 1, "--out", "other"]
    refused = miniflow("train", *other, "--init", "first")
    assert refused.exit_code == 1
    assert "has nothing that fits the graph" in refused.stderr
    assert "Parameter 'W1': it has shape" in refused.stderr  # the command's own line is no place
    assert not (trained.parent / "other").exists()


def test_an_older_run_stays_where_the_new_one_cannot_begin(
    trained: pathlib.Path, miniflow: Any
) -> None:
    before = (trained / "model.safetensors").read_bytes()
    anew = [*QUICK, "--epochs", 1, "--out", "first", "--force"]
    for mistake in (["--init", "nowhere"], ["--log", "nowhere/log.jsonl"]):
        assert miniflow("train", *anew, *mistake).exit_code == 1
        assert (trained / "model.safetensors").read_bytes() == before


def test_no_model_is_told(miniflow: Any) -> None:
    result = miniflow("train", *QUICK, "--epochs", 1, "--init", "nowhere")
    assert result.exit_code == 1
    assert "nowhere: No such file" in result.stderr


def test_a_finished_run_goes_on_for_more_epochs(trained: pathlib.Path, miniflow: Any) -> None:
    result = miniflow("train", "--resume", "--epochs", 4, "--out", "first")
    assert result.exit_code == 0
    assert result.stderr == ""
    assert "first was to have 2 epochs, and goes on to 4." in result.stdout
    assert "Going on after epoch 2." in result.stdout
    rates = [float(row.split(",")[-1]) for row in (trained / "history.csv").read_text().split()[1:]]
    assert len(rates) == 4
    assert rates[2] > rates[1]
    assert rates[3] == min(rates)
    assert json.loads((trained / "run.json").read_text())["epochs"] == 4
    again = miniflow("train", "--resume", "--out", "first")
    assert "first is finished: 4 epochs are done." in again.stdout
    fewer = miniflow("train", "--resume", "--epochs", 3, "--out", "first")
    assert fewer.exit_code == 1
    assert "started with --epochs 4 and can only be resumed with that or more" in fewer.stderr


def test_a_run_of_an_earlier_version_is_resumed(trained: pathlib.Path, miniflow: Any) -> None:
    kept = json.loads((trained / "run.json").read_text())
    del kept["init"]
    (trained / "run.json").write_text(json.dumps(kept))
    assert miniflow("train", "--resume", "--epochs", 3, "--out", "first").exit_code == 0
