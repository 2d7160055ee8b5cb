"""Which model a command means: the one that comes with miniflow, or one's own."""

import json
import pathlib
from typing import Any

import pytest
from bars import draw_bar

from miniflow.datasets import Dataset, mnist
from miniflow.shipped import DIGITS_FILE

USES = [
    ["page", "-o", "page.html"],
    ["predict", "standing.png"],
    ["evaluate"],
    ["draw", "-o", "program.txt"],
]
SAID = "this is 'digits', the one that comes with miniflow.\n"


def with_model(arguments: list[str], model: object) -> list[object]:
    """The command line, with a model."""
    named = ["--model"] if arguments[0] in ("predict", "evaluate") else []
    return [arguments[0], *named, model, *arguments[1:]]


@pytest.fixture(autouse=True)
def picture(folder: pathlib.Path) -> None:
    draw_bar(folder / "standing.png", standing=True)


@pytest.fixture
def few_test_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    """MNIST with two hundred test images: what a command says of them says nothing of how many."""
    digits = mnist()
    few = digits._replace(test=Dataset(digits.test.images[:200], digits.test.labels[:200]))
    monkeypatch.setattr("miniflow.datasets.digits.mnist", lambda: few)


@pytest.mark.breadth("arguments")
@pytest.mark.usefixtures("few_test_digits")
@pytest.mark.parametrize("arguments", USES, ids=lambda arguments: arguments[0])
def test_without_a_run_the_model_that_comes_with_miniflow_is_used_and_said_to_be(
    arguments: list[str], miniflow: Any
) -> None:
    result = miniflow(*arguments)
    assert result.exit_code == 0
    (line,) = result.stderr.splitlines(keepends=True)
    assert line.startswith("There is no trained model under runs")
    assert "; `miniflow train` makes one: this is" in line
    assert line.endswith(SAID)
    named = miniflow(*with_model(arguments, "digits"))
    assert (named.exit_code, named.stdout, named.stderr) == (0, result.stdout, "")


@pytest.mark.breadth("arguments")
@pytest.mark.usefixtures("trained")
@pytest.mark.parametrize("arguments", USES, ids=lambda arguments: arguments[0])
def test_a_run_goes_first_and_digits_still_means_the_other(
    arguments: list[str], miniflow: Any, folder: pathlib.Path
) -> None:
    def result_of(arguments: list[Any]) -> str:
        result = miniflow(*arguments, *(["--data", "bars.npz"] * (arguments[0] == "evaluate")))
        assert (result.exit_code, result.stderr) == (0, "")
        written = [folder / name for name in ("page.html", "program.txt")]
        return result.stdout + "".join(p.read_text("utf-8") for p in written if p.exists())

    latest, named = result_of(arguments), result_of(with_model(arguments, "digits"))
    assert latest == result_of(with_model(arguments, "runs/bars-linear"))
    assert named == result_of(with_model(arguments, DIGITS_FILE)).replace(
        "<title>Draw a digit · digits<", "<title>Draw a digit<"
    ).replace("<h1>Draw a digit · digits<", "<h1>Draw a digit<")
    assert named != latest


def test_info_shows_it_and_says_that_it_is_there(miniflow: Any) -> None:
    assert "digits, which comes with miniflow" in miniflow("info").stdout
    told = miniflow("info", "digits").stdout
    for part in (
        "conv1/W 5 × 5 × 1 × 16",
        "data       mnist",
        "cnn, 30 epochs",
        "augment    shift",
    ):
        assert part in told


def test_what_is_for_programs_stays_for_programs(miniflow: Any) -> None:
    result = miniflow("predict", "--json", "standing.png")
    assert result.stderr.endswith(SAID)
    (prediction,) = json.loads(result.stdout)
    assert prediction["digit"] == 1  # an upright bar
    assert len(prediction["probabilities"]) == 10


def test_the_page_of_the_model_that_comes_with_miniflow_is_small_and_has_a_plain_title(
    miniflow: Any, folder: pathlib.Path
) -> None:
    assert miniflow("page").exit_code == 0
    text = (folder / "digits.html").read_text("utf-8")
    assert "<h1>Draw a digit</h1>" in text
    assert len(text.encode()) < 3_000_000


@pytest.mark.parametrize("kind", ["file", "run"])
def test_ones_own_model_of_that_name_goes_first(
    kind: str, miniflow: Any, trained: pathlib.Path, folder: pathlib.Path
) -> None:
    own = trained if kind == "run" else trained / "model.safetensors"
    own.rename(folder / "digits")
    result = miniflow("predict", "--model", "digits", "standing.png")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("standing.png: 1  0:0.")
    assert len(result.stdout.split()) == 2 + 2  # two classes


def test_a_folder_of_that_name_without_a_model_is_passed_over_and_that_is_said(
    miniflow: Any, folder: pathlib.Path
) -> None:
    (folder / "digits").mkdir()
    result = miniflow("predict", "--model", "digits", "standing.png")
    assert result.exit_code == 0
    assert result.stderr == f"The folder digits has no model: {SAID}"
    told = miniflow("predict", "--model", "./digits", "standing.png")
    assert told.exit_code == 1
    assert "digits is a folder without a model" in told.stderr


def test_a_run_of_that_name_that_has_no_model_yet_is_not_passed_over(
    miniflow: Any, trained: pathlib.Path, folder: pathlib.Path
) -> None:
    (trained / "model.safetensors").unlink()
    trained.rename(folder / "digits")
    result = miniflow("evaluate", "--model", "digits")
    assert result.exit_code == 1
    assert "digits is a folder without a model" in result.stderr
