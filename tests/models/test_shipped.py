"""The model that comes with miniflow: what it is, what it says of itself, and how good it is."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import miniflow as mf
from miniflow.cli.classifiers import augmentation_of, load_classifier, logits_of, training_of
from miniflow.datasets import Dataset
from miniflow.datasets.augmentation import Limits
from miniflow.ir.program import Program
from miniflow.layers.networks import build_cnn
from miniflow.shipped import DIGITS, DIGITS_FILE

ROOT = Path(__file__).parents[2]
MARGIN = {1_000: 0.01, 10_000: 0.005}  # of few digits, chance has a larger share


@pytest.fixture(scope="module")
def model() -> mf.Model:
    return load_classifier(DIGITS_FILE)


@pytest.fixture(scope="module", params=[1_000, pytest.param(10_000, marks=pytest.mark.slow)])
def digits(request: pytest.FixtureRequest) -> Dataset:
    """The first of MNIST's test digits."""
    test = mf.datasets.mnist().test
    return Dataset(test.images[: request.param], test.labels[: request.param])


@pytest.fixture(scope="module")
def plain_accuracy(model: mf.Model, digits: Dataset) -> float:
    """How many of them are recognised as they are."""
    return accuracy(model, digits)


def accuracy(model: mf.Model, data: Dataset) -> float:
    return float(np.mean(logits_of(model, data.images).argmax(axis=1) == data.labels))


def graph_of(program: Program) -> list[Any]:
    """A program but for the numbers in its arrays."""
    arrays = [(c.variable.name, c.variable.type) for c in program.constants]
    return arrays + [
        (e.primitive, e.params, [o.type for o in e.operands], e.result.name)
        for e in program.equations
    ]


def test_its_graph_is_that_of_the_cnn(model: mf.Model, tmp_path: Path) -> None:
    cnn = build_cnn((28, 28, 1), 10)
    mf.save(cnn.logits, tmp_path / "cnn", inputs={cnn.X: np.zeros((1, 784), np.float32)})
    untrained = mf.load(tmp_path / "cnn")
    assert graph_of(model.program) == graph_of(untrained.program)
    assert model.backward_program is not None
    assert untrained.backward_program is not None
    assert graph_of(model.backward_program) == graph_of(untrained.backward_program)


def test_the_file_is_small_and_names_no_folder(model: mf.Model) -> None:
    contents = Path(DIGITS_FILE).read_bytes()
    assert Path(DIGITS_FILE).stem == DIGITS
    assert len(contents) < 4 * model.parameter_count + 100_000
    assert not re.search(rb'"/|[A-Z]:\\|\.py\b', contents[: -4 * model.parameter_count])


def test_it_says_that_it_was_trained_with_augmentation(model: mf.Model) -> None:
    options = training_of(model)
    assert options is not None
    assert (options.model, options.data, options.augment) == ("cnn", "mnist", True)
    assert augmentation_of(model) == Limits()


@pytest.mark.skipif(not (ROOT / "Makefile").exists(), reason="there is no Makefile: no clone")
def test_the_command_in_the_makefile_has_the_options_of_its_training(model: mf.Model) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    command = makefile.split("\npage-model:")[1].split("\n\n")[0]
    options = training_of(model)
    assert options is not None
    assert "--augment " in command
    for name in ("model", "epochs", "seed", "backend"):
        assert f"--{name} {getattr(options, name)} " in command
    assert f"src/miniflow/shipped/{DIGITS}.safetensors" in command


def test_it_knows_the_test_digits(plain_accuracy: float) -> None:
    assert plain_accuracy >= 0.992


def test_it_bears_with_digits_that_are_shifted_turned_and_scaled(
    model: mf.Model, digits: Dataset, plain_accuracy: float
) -> None:
    [(images, labels)] = mf.augmented(digits).batches(len(digits), rng=0)
    assert accuracy(model, Dataset(images, labels)) >= plain_accuracy - MARGIN[len(digits)]
