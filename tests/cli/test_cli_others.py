"""`miniflow evaluate`, `predict` and `info`, and what all commands share."""

import json
import pathlib
from typing import Any

import pytest
from bars import draw_bar

import miniflow as mf
from miniflow.networks import build, save_network

COMMANDS = ["train", "evaluate", "predict", "info"]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_examples_in_its_help(command: str, miniflow: Any) -> None:
    result = miniflow(command, "--help")
    assert result.exit_code == 0
    assert f"  miniflow {command}" in result.stdout
    assert "Examples:" in result.stdout


def test_the_help_says_what_the_exit_codes_mean(miniflow: Any) -> None:
    result = miniflow("--help")
    assert result.exit_code == 0
    assert "0 done, 1 failed, 2 wrong usage, 130 interrupted" in " ".join(result.stdout.split())


def test_the_version_is_the_packages(miniflow: Any) -> None:
    assert miniflow("--version").stdout == f"miniflow {mf.__version__}\n"


def test_an_unknown_command_is_wrong_usage(miniflow: Any) -> None:
    result = miniflow("trian")
    assert result.exit_code == 2
    assert "No such command 'trian'" in result.stderr


# --- evaluate


def test_evaluate_says_what_training_said(miniflow: Any, trained: pathlib.Path) -> None:
    result = miniflow("evaluate")
    assert result.exit_code == 0
    last = result.stdout.rstrip().split("\n")[-1]
    again = miniflow("train", "--resume", "--data", "bars.npz", "--model", "linear").stdout
    assert last == again.rstrip().split("\n")[-1]
    assert miniflow("evaluate", "--model", trained, "--part", "train").exit_code == 0
    model = trained / "model.safetensors"
    result = miniflow("evaluate", "--model", model, "--data", "bars.npz", "--part", "validation")
    assert "validation accuracy: " in result.stdout


def test_evaluate_on_data_that_do_not_fit_says_so(
    miniflow: Any, trained: pathlib.Path, folder: pathlib.Path
) -> None:
    save_network(build((64, 2)), folder / "small.safetensors")
    result = miniflow("evaluate", "--model", "small.safetensors", "--data", "bars.npz")
    assert result.exit_code == 1
    assert "images of 784 pixels and 2 classes" in result.stderr


@pytest.mark.parametrize("command", [["evaluate"], ["predict", "one.png"]])
def test_without_a_model_it_is_said_how_to_get_one(command: list[str], miniflow: Any) -> None:
    result = miniflow(*command)
    assert result.exit_code == 1
    assert "`miniflow train` makes one" in result.stderr


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("missing.safetensors", "missing.safetensors: No such file"),
        ("bars.npz", "bars.npz: is damaged, or no safetensors file"),
        (".", "is a folder without a model"),
    ],
)
def test_a_model_that_is_none_is_told(model: str, message: str, miniflow: Any) -> None:
    for command in (["evaluate"], ["predict", "one.png"]):
        result = miniflow(*command, "--model", model)
        assert result.exit_code == 1
        assert message in result.stderr
    assert message in miniflow("info", model).stderr


# --- predict


def test_predict_names_the_digit_and_its_probabilities(
    miniflow: Any, trained: pathlib.Path, folder: pathlib.Path
) -> None:
    draw_bar(folder / "lying.png", standing=False)
    draw_bar(folder / "standing.png", standing=True)
    result = miniflow("predict", "lying.png", "standing.png")
    assert result.exit_code == 0
    first, second = result.stdout.splitlines()
    assert first.startswith("lying.png: 0  0:0.")
    assert second.startswith("standing.png: 1  0:0.")


def test_predict_for_programs_is_a_list(
    miniflow: Any, trained: pathlib.Path, folder: pathlib.Path
) -> None:
    from PIL import Image

    draw_bar(folder / "standing.png", standing=True)
    Image.new("L", (50, 50), "white").save(folder / "blank.png")
    (folder / "text.png").write_text("no picture")
    result = miniflow("predict", "--json", "standing.png", "blank.png", "text.png")
    assert result.exit_code == 1
    standing, blank, text = json.loads(result.stdout)
    assert standing["digit"] == 1
    assert sum(standing["probabilities"]) == pytest.approx(1, abs=1e-5)
    assert len(standing["probabilities"]) == 2
    assert "error" not in standing
    assert (blank["digit"], blank["empty"], blank["probabilities"]) == (None, True, None)
    assert "text.png" in text["error"]


def test_an_empty_picture_is_said_to_be_empty(
    miniflow: Any, trained: pathlib.Path, folder: pathlib.Path
) -> None:
    from PIL import Image

    Image.new("L", (50, 50), "white").save(folder / "blank.png")
    result = miniflow("predict", "blank.png")
    assert result.exit_code == 0
    assert result.stdout == "blank.png: empty\n"


def test_a_picture_that_cannot_be_read_does_not_keep_the_others_from_it(
    miniflow: Any, trained: pathlib.Path, folder: pathlib.Path
) -> None:
    draw_bar(folder / "standing.png", standing=True)
    result = miniflow("predict", "missing.png", "standing.png")
    assert result.exit_code == 1
    assert "error: missing.png: " in result.stderr
    assert result.stdout.startswith("standing.png: 1")


def test_predict_refuses_a_network_for_other_pictures(miniflow: Any, folder: pathlib.Path) -> None:
    save_network(build((64, 2)), folder / "small.safetensors")
    result = miniflow("predict", "--model", "small.safetensors", "x.png")
    assert result.exit_code == 1
    assert "network for 64 inputs" in result.stderr


# --- info


def test_info_lists_versions_and_runs(miniflow: Any, trained: pathlib.Path) -> None:
    result = miniflow("info")
    assert result.exit_code == 0
    assert mf.__version__ in result.stdout
    assert "3 of 3 epochs, validation accuracy " in result.stdout


def test_info_on_a_run_says_what_is_in_it(miniflow: Any, trained: pathlib.Path) -> None:
    result = miniflow("info", trained)
    for part in ("784-2: 1,570 parameters", "W1 784 × 2", "sgd, learning rate up to 0.1", "seed 0"):
        assert part in result.stdout
    alone = miniflow("info", trained / "model.safetensors")
    assert "784-2: 1,570 parameters" in alone.stdout
