"""`miniflow` with tables, and with rows in files."""

import json
import pathlib
from typing import Any

import numpy as np
import pytest
from bars import pictures

import miniflow as mf


@pytest.fixture
def pets(folder: pathlib.Path) -> pathlib.Path:
    rng = np.random.default_rng(0)
    lines = ["weight,fur,kind"]
    for _ in range(120):
        kind = rng.choice(["cat", "dog"])
        weight = rng.normal(4 if kind == "cat" else 20, 1)
        lines.append(f"{weight:.2f},{rng.choice(['long', 'short'])},{kind}")
    (folder / "pets.csv").write_text("\n".join(lines))
    return folder / "pets.csv"


@pytest.fixture
def trained(pets: pathlib.Path, miniflow: Any) -> Any:
    options = ["--target", "kind", "--epochs", 4, "--batch-size", 16, "--out", "run"]
    result = miniflow("train", "--data", "pets.csv", *options)
    assert result.exit_code == 0, result.output
    return result


def test_a_table_is_trained_on_and_rows_are_named(
    trained: Any, folder: pathlib.Path, miniflow: Any
) -> None:
    assert "rows to train on" in trained.stdout
    assert float(trained.stdout.split()[-1]) == 1.0
    (folder / "new.csv").write_text("fur,weight\nlong,3.5\nshort,22\n")
    result = miniflow("predict", "--model", "run", "--json", "new.csv")
    found = json.loads(result.stdout)
    assert [one["name"] for one in found] == ["cat", "dog"]
    assert [one["image"] for one in found] == ["new.csv:1", "new.csv:2"]
    lines = miniflow("predict", "--model", "run", "new.csv").stdout.splitlines()
    assert lines[1].startswith("new.csv:2: dog  cat:")
    evaluated = miniflow("evaluate", "--model", "run")
    assert evaluated.exit_code == 0
    assert "12 test rows" in evaluated.stdout
    assert "test accuracy: 1.0000" in evaluated.stdout
    assert miniflow("train", "--resume", "--out", "run").exit_code == 0
    notes = mf.load(folder / "run" / "model.safetensors").notes
    assert notes["class_names"] == ["cat", "dog"]
    assert notes["training"]["data"] == "pets.csv"


def test_what_does_not_fit_is_told(trained: Any, folder: pathlib.Path, miniflow: Any) -> None:
    (folder / "new.csv").write_text("fur,weight\ncurly,3.5\n")
    result = miniflow("predict", "--model", "run", "new.csv")
    assert result.exit_code == 1
    assert "row 1 has 'curly' for 'fur'" in result.stderr
    refused = miniflow("predict", "--model", "run", "bars.png")
    assert "is a model for a table" in refused.stderr
    for options, message in (
        (["--data", "pets.csv"], "say which column is to be predicted: --target COLUMN"),
        (["--data", "pets.csv", "--target", "age"], "has no column 'age'"),
        (["--data", "bars.npz", "--target", "kind"], "--target is a column of a .csv file"),
    ):
        failed = miniflow("train", "--out", "other", *options)
        assert failed.exit_code == 1
        assert message in failed.stderr
        assert not (folder / "other").exists()


def test_rows_of_an_npz_file_are_looked_at(folder: pathlib.Path, miniflow: Any) -> None:
    options = ["--model", "784-8-2", "--batch-size", 16, "--epochs", 3, "--out", "run"]
    assert miniflow("train", "--data", "bars.npz", *options).exit_code == 0
    images, labels = pictures(5, seed=3)
    np.savez(folder / "new.npz", images=images)
    found = json.loads(miniflow("predict", "--model", "run", "--json", "new.npz").stdout)
    assert [one["digit"] for one in found] == labels.tolist()
    model = mf.load(folder / "run" / "model.safetensors")
    scores = model(images.reshape(5, 784))
    shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    np.testing.assert_allclose([one["probabilities"] for one in found], shares, rtol=1e-4)
    np.savez(folder / "small.npz", images=np.zeros((2, 5)))
    np.savez(folder / "flat.npz", images=np.zeros(5))
    np.savez(folder / "other.npz", pictures=images)
    result = miniflow("predict", "--model", "run", "small.npz", "flat.npz", "other.npz", "t.csv")
    assert result.exit_code == 1
    for message in (
        "has rows of 5 numbers; the model takes 784",
        "where numbers (n, ...) are needed",
        "other.npz: lacks images",
        "t.csv: is a table, and the model was trained on none",
    ):
        assert message in result.stderr
