"""`miniflow train`."""

import json
import os
import pathlib
import re
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from bars import draw_bar, pictures, write_bars
from runs_of_train import FILES, QUICK, command, interrupt_after, last_line

from miniflow.files.arrays import read_arrays


def test_a_run_ends_with_its_test_accuracy_and_a_folder(
    miniflow: Any, folder: pathlib.Path
) -> None:
    result = miniflow("train", *QUICK, "--epochs", 4)
    assert result.exit_code == 0
    assert re.fullmatch(r"test accuracy: [01]\.\d{4}", last_line(result))
    assert float(last_line(result).split()[-1]) >= 0.9
    assert {path.name for path in (folder / "runs" / "bars-784-8-2").iterdir()} == FILES
    history = (folder / "runs" / "bars-784-8-2" / "history.csv").read_text()
    assert len(history.splitlines()) == 5
    assert result.stderr == ""


@pytest.mark.slow
def test_the_same_seed_gives_the_same_model_and_another_one_another(
    miniflow: Any, folder: pathlib.Path
) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        miniflow("train", *QUICK, "--epochs", 1, "--seed", seed, "--out", name)
    a, b, c = ((folder / name / "model.safetensors").read_bytes() for name in "abc")
    assert a == b != c


def test_a_second_run_leaves_the_first_alone(miniflow: Any, folder: pathlib.Path) -> None:
    for _ in range(3):
        miniflow("train", *QUICK, "--epochs", 1)
    names = sorted(path.name for path in (folder / "runs").iterdir())
    assert names == ["bars-784-8-2", "bars-784-8-2-2", "bars-784-8-2-3"]


def test_a_folder_with_a_run_is_not_written_over(miniflow: Any, folder: pathlib.Path) -> None:
    miniflow("train", *QUICK, "--epochs", 1, "--out", "mine")
    before = {path.name: path.read_bytes() for path in (folder / "mine").iterdir()}
    result = miniflow("train", *QUICK, "--epochs", 2, "--out", "mine")
    assert result.exit_code == 1
    assert "mine has a run already" in result.stderr
    assert "--resume" in result.stderr
    assert "--force" in result.stderr
    assert {path.name: path.read_bytes() for path in (folder / "mine").iterdir()} == before
    assert miniflow("train", *QUICK, "--epochs", 2, "--out", "mine", "--force").exit_code == 0
    assert len((folder / "mine" / "history.csv").read_text().splitlines()) == 3


def test_a_model_that_lies_in_the_folder_is_not_written_over(
    miniflow: Any, folder: pathlib.Path
) -> None:
    (folder / "model.safetensors").write_bytes(b"precious")
    result = miniflow("train", *QUICK, "--epochs", 1, "--out", ".")
    assert result.exit_code == 1
    assert (folder / "model.safetensors").read_bytes() == b"precious"


# --- the convolutional network, and augmentation


def write_small_bars(folder: pathlib.Path) -> None:
    """Bars of 16 × 16 pixels, to be quick."""
    images, labels = pictures(120)
    np.savez(folder / "small.npz", images=images[:, 6:22, 6:22], labels=labels)


@pytest.mark.slow
def test_cnn_is_trained_evaluated_shown_and_asked(miniflow: Any, folder: pathlib.Path) -> None:
    write_small_bars(folder)
    arguments = ["--data", "small.npz", "--model", "cnn", "--batch-size", 16]
    result = miniflow("train", *arguments, "--epochs", 3)
    assert result.exit_code == 0, result.output
    assert "augment  shift 2 pixels, rotate 12°, scale 0.1" in result.stdout
    assert "network  conv 5×5×16, pool, conv 5×5×32, pool, 32-128-2" in result.stdout
    assert float(last_line(result).split()[-1]) >= 0.9
    run = folder / "runs" / "small-cnn"
    assert json.loads((run / "run.json").read_text())["augment"] is True
    told = miniflow("evaluate", "--model", run, "--data", "small.npz")
    assert told.exit_code == 0
    assert last_line(result).split()[-1] == last_line(told).split()[-1]
    about = miniflow("info", run)
    assert about.exit_code == 0
    assert "input      X: n × 256 float32" in about.stdout
    assert "conv1/W 5 × 5 × 1 × 16" in about.stdout
    assert "training   cnn, 3 epochs of sgd, learning rate up to 0.1" in about.stdout


@pytest.mark.slow
def test_cnn_predicts_pictures(miniflow: Any, folder: pathlib.Path) -> None:
    result = miniflow("train", "--data", "bars.npz", "--model", "cnn", "--epochs", 2)
    assert result.exit_code == 0, result.output
    picture = draw_bar(folder / "bar.png", standing=True)
    told = miniflow("predict", picture, "--model", folder / "runs" / "bars-cnn")
    assert told.exit_code == 0, told.output


@pytest.mark.slow
def test_defaults_are_the_models_own_and_can_be_changed(miniflow: Any, folder: Any) -> None:
    write_small_bars(folder)
    for model, augment, options in (
        ("cnn", True, []),
        ("cnn", False, ["--no-augment"]),
        ("linear", False, []),
        ("linear", True, ["--augment"]),
    ):
        arguments = ["--data", "small.npz", "--model", model, "--epochs", 1, *options]
        result = miniflow("train", *arguments, "--out", "run", "--force")
        assert result.exit_code == 0, result.output
        assert ("augment" in result.stdout) is augment
    resumed = miniflow("train", "--resume", "--out", "run", "--no-augment")
    assert resumed.exit_code == 1
    assert "started with --augment and can only be resumed with that" in resumed.stderr


@pytest.mark.slow
def test_an_augmented_run_with_dropout_is_resumed_to_the_same_bits(
    miniflow: Any, folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_small_bars(folder)
    arguments = ["--data", "small.npz", "--model", "cnn", "--batch-size", 16, "--epochs", 3]
    miniflow("train", *arguments, "--out", "straight")
    with monkeypatch.context() as patch:
        interrupt_after(1, patch)
        assert miniflow("train", *arguments, "--out", "stopped").exit_code == 130
    assert miniflow("train", "--resume", "--out", "stopped").exit_code == 0
    model, same = (folder / name / "checkpoint.safetensors" for name in ("stopped", "straight"))
    before, after = (read_arrays(path, "checkpoint")[0] for path in (model, same))
    for name, array in before.items():
        assert array.tobytes() == after[name].tobytes(), name


def test_data_that_are_no_images_are_refused_by_cnn(miniflow: Any, folder: pathlib.Path) -> None:
    images, labels = pictures(60)
    np.savez(folder / "flat.npz", images=images.reshape(60, 784)[:, :30], labels=labels)
    for option in (["--model", "cnn"], ["--model", "linear", "--augment"]):
        result = miniflow("train", "--data", "flat.npz", *option)
        assert result.exit_code == 1
        assert "(30,)" in result.stderr
        assert not (folder / "runs").exists()


# --- what is wrong with what the user gave


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--model", "huge"], 1, "There is no model 'huge'"),
        (["--model", "100-5-2"], 1, "does not fit the data, which have 784 inputs"),
        (["--data", "nowhere"], 1, "no such data"),
        (["--epochs", "0"], 2, "--epochs"),
        (["--batch-size", "-4"], 2, "--batch-size"),
        (["--lr", "-1"], 2, "--lr"),
        (["--lr", "inf"], 2, "'--lr': inf is no finite number"),
        (["--weight-decay", "inf"], 2, "'--weight-decay': inf is no finite number"),
        (["--out", ""], 2, "'--out': it is empty"),
        (["--data", ""], 2, "'--data': it is empty"),
        (["--lr", "fast"], 2, "--lr"),
        (["--optimizer", "magic"], 2, "magic"),
        (["--backend", "gpu"], 2, "gpu"),
        (["--resume", "--force"], 2, "exclude each other"),
        (["--colour"], 2, "--colour"),
        (["--out", "bars.npz"], 1, "bars.npz"),
    ],
)
def test_a_mistake_gives_a_sentence_and_an_exit_code(
    arguments: list[str], code: int, message: str, miniflow: Any, folder: pathlib.Path
) -> None:
    result = miniflow("train", *QUICK, *arguments)
    assert result.exit_code == code
    assert message in result.stderr
    assert "Traceback" not in result.output
    assert not (folder / "runs").exists()


def test_a_training_that_diverges_is_told_and_can_be_looked_at(miniflow: Any) -> None:
    result = miniflow("train", *QUICK, "--lr", 1e30, "--epochs", 2)
    assert result.exit_code == 1
    assert re.search(r"error: Epoch \d+, batch \d+: .* is no longer finite", result.stderr)
    assert "Traceback" not in result.output


@pytest.mark.slow
def test_flat_colour_and_fractional_images_can_be_trained_on(
    miniflow: Any, folder: pathlib.Path, real_pictures: None
) -> None:
    images, labels = pictures(60)
    np.savez(folder / "flat.npz", images=images.reshape(60, 784)[:, :30], labels=labels)
    np.savez(folder / "colour.npz", images=np.repeat(images[..., None], 3, 3), labels=labels)
    np.savez(folder / "wide.npz", images=images.astype("f4") / 64 - 1, labels=labels)
    for name in ("flat", "colour", "wide"):
        result = miniflow("train", "--data", f"{name}.npz", "--model", "linear", "--epochs", 1)
        assert result.exit_code == 0, result.output
        assert last_line(result).startswith("test accuracy: ")


@pytest.mark.breadth("optimizer")
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "rmsprop"])
def test_every_optimizer_can_be_named(optimizer: str, miniflow: Any) -> None:
    result = miniflow("train", *QUICK, "--epochs", 3, "--optimizer", optimizer)
    assert result.exit_code == 0
    assert float(last_line(result).split()[-1]) > 0.8


# --- the process


@pytest.mark.slow
def test_the_linear_network_knows_nine_in_ten_digits_after_one_epoch(tmp_path: Any) -> None:
    result = command("train", "--model", "linear", "--epochs", "1", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    assert "\x1b" not in result.stdout
    assert float(last_line(result).removeprefix("test accuracy: ")) >= 0.90
    run = tmp_path / "runs" / "mnist-linear"
    assert {path.name for path in run.iterdir()} == FILES - {"checkpoint.previous.safetensors"}
    for path in run.glob("*.png"):
        assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="Windows tells of a closed pipe in another way")
def test_a_reader_that_goes_away_is_no_traceback(tmp_path: Any) -> None:
    write_bars(tmp_path / "bars.npz")
    source = str(pathlib.Path(__file__).parents[2] / "src")
    process = subprocess.Popen(
        [sys.executable, "-m", "miniflow", "info"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([source, *sys.path])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(60) == 1
