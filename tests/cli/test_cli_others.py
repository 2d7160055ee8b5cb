"""`miniflow evaluate`, `predict` and `info`, and what all commands share."""

import json
import pathlib
from typing import Any

import numpy as np
import pytest
from bars import draw_bar

import miniflow as mf
from miniflow.layers.networks import build

COMMANDS = ["train", "evaluate", "predict", "info", "draw", "page"]


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
    network = build((64, 2))
    example = np.zeros((1, 64), np.float32)
    mf.save(network.loss, folder / "small.safetensors", inputs={network.X: example})
    result = miniflow("evaluate", "--model", "small.safetensors", "--data", "bars.npz")
    assert result.exit_code == 1
    assert "images of 784 pixels and 2 classes" in result.stderr


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
    network = build((64, 2))
    example = np.zeros((1, 64), np.float32)
    mf.save(network.loss, folder / "small.safetensors", inputs={network.X: example})
    result = miniflow("predict", "--model", "small.safetensors", "x.png")
    assert result.exit_code == 1
    assert "model for 64 pixels" in result.stderr


# --- info


def test_info_lists_versions_and_runs(miniflow: Any, trained: pathlib.Path) -> None:
    result = miniflow("info")
    assert result.exit_code == 0
    assert mf.__version__ in result.stdout
    assert "3 of 3 epochs, validation accuracy " in result.stdout


def test_info_on_a_run_says_what_is_in_it(miniflow: Any, trained: pathlib.Path) -> None:
    result = miniflow("info", trained)
    what = ["input      X: n × 784 float32", "outputs    2", "parameters 1,570", "W1 784 × 2"]
    for part in (*what, "sgd, learning rate up to 0.1", "seed 0", "backend auto"):
        assert part in result.stdout
    alone = miniflow("info", trained / "model.safetensors")
    for part in (*what, "program(X: f32[1,784]):", "Linear 'logits'"):
        assert part in alone.stdout


def test_info_on_a_model_file_alone_says_how_it_was_trained(
    miniflow: Any, trained: pathlib.Path, folder: pathlib.Path
) -> None:
    (trained / "model.safetensors").rename(folder / "alone.safetensors")
    told = miniflow("info", "alone.safetensors").stdout
    assert "data       bars.npz\n" in told  # and not the folder in which it lay
    assert "training   linear, 3 epochs of sgd, learning rate up to 0.1, batches of 128," in told
    assert "augment" not in told
    assert str(folder).encode() not in (folder / "alone.safetensors").read_bytes()


def test_info_says_whether_there_was_augmentation(miniflow: Any, folder: pathlib.Path) -> None:
    arguments = ("--data", "bars.npz", "--model", "linear", "--epochs", 1, "--augment")
    assert miniflow("train", *arguments, "--out", "run").exit_code == 0
    for given in ("run", "run/model.safetensors"):
        told = miniflow("info", given).stdout
        assert "augment    shift 2 pixels, rotate 12°, scale 0.1\n" in told


def test_info_shows_a_long_program_if_asked_to(miniflow: Any, folder: pathlib.Path) -> None:
    X = mf.Input("X")
    node = X
    for _ in range(20):
        node = mf.Tanh(node * 2.0)
    mf.save(node, folder / "deep.safetensors", inputs={X: np.zeros((1, 3))})
    short = miniflow("info", "deep.safetensors").stdout
    assert "40 equations; --program shows them" in short
    assert "tanh" not in short
    assert "tanh" in miniflow("info", "deep.safetensors", "--program").stdout


# --- models of the learner's own


class Undecided(mf.Node):
    """Written as in the lab; the model's file knows nothing of it."""

    def __init__(self, x: mf.Node) -> None:
        mf.Node.__init__(self, [x])

    def forward(self) -> None:
        self.value = np.dot(self.inbound_nodes[0].value, np.zeros((784, 2)))

    def backward(self) -> None:
        raise NotImplementedError


def test_a_model_of_a_learners_own_node_classes_is_used_as_any_other(
    miniflow: Any, folder: pathlib.Path
) -> None:
    X = mf.Input("X")
    mf.save(Undecided(X), folder / "own.safetensors", inputs={X: np.zeros((1, 784), np.float32)})
    draw_bar(folder / "lying.png", standing=False)
    result = miniflow("predict", "--model", "own.safetensors", "lying.png")
    assert result.stdout == "lying.png: 0  0:0.5000 1:0.5000\n"
    result = miniflow("evaluate", "--model", "own.safetensors", "--data", "bars.npz")
    assert f"test loss: {np.log(2):.4f}" in result.stdout
    assert "Undecided" in miniflow("info", "own.safetensors").stdout


def test_a_model_that_is_no_classifier_is_told(miniflow: Any, folder: pathlib.Path) -> None:
    X = mf.Input("X")
    mf.save(mf.Sum(X), folder / "sum.safetensors", inputs={X: np.zeros((2, 784))})
    for command in (["evaluate", "--data", "bars.npz"], ["predict", "one.png"]):
        result = miniflow(*command, "--model", "sum.safetensors")
        assert result.exit_code == 1
        assert "is no classifier of images" in result.stderr


# --- what is damaged, or meant to do damage


@pytest.mark.parametrize(
    "text",
    [
        b"\xff\xfe",
        b"epoch,loss\n1,0.5\n",
        b"a,b,c,d,e,f,g\n1,x,,,,1,1\n",
        b"a\n" + b'"' * 200_000,
    ],
)
def test_a_damaged_history_is_told(text: bytes, miniflow: Any, trained: pathlib.Path) -> None:
    (trained / "history.csv").write_bytes(text)
    for arguments in (["info"], ["info", trained]):
        result = miniflow(*arguments)
        assert result.exit_code == 1
        assert "history.csv: is damaged" in result.stderr


def test_a_message_that_quotes_a_name_cannot_command_a_terminal(
    miniflow: Any, trained: pathlib.Path
) -> None:
    for arguments in (["info", "a\x1b[31m"], ["predict", "--model", trained, "a\x1b[31m"]):
        result = miniflow(*arguments)
        assert result.exit_code == 1
        assert r"a\x1b[31m" in result.stderr
        assert "\x1b" not in result.stderr


# --- Scores that are NaN


@pytest.fixture
def diverged(folder: pathlib.Path) -> str:
    """A model of digits whose weights are NaN, as a training leaves them that diverged."""
    network = build((784, 2))
    for parameter in network.parameters.values():
        parameter.value[...] = np.nan
    example = np.zeros((1, 784), np.float32)
    mf.save(network.loss, folder / "diverged.safetensors", inputs={network.X: example})
    return "diverged.safetensors"


def test_predict_tells_that_nan_is_no_answer(
    miniflow: Any, folder: pathlib.Path, diverged: str
) -> None:
    draw_bar(folder / "standing.png", standing=True)
    result = miniflow("predict", "--model", diverged, "standing.png")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "error: standing.png: what the model computes is NaN: no answer\n"


def test_predict_for_programs_writes_json_whatever_the_scores_are(
    miniflow: Any, folder: pathlib.Path, diverged: str
) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    draw_bar(folder / "standing.png", standing=True)
    result = miniflow("predict", "--json", "--model", diverged, "standing.png")
    assert result.exit_code == 1
    (told,) = json.loads(result.stdout, parse_constant=refuse)
    assert (told["digit"], told["probabilities"]) == (None, None)
    assert "NaN" in told["error"]


def test_evaluate_tells_that_nan_is_no_answer(miniflow: Any, diverged: str) -> None:
    result = miniflow("evaluate", "--model", diverged, "--data", "bars.npz")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "what it computes is NaN for" in result.stderr
    assert "no answer" in result.stderr
