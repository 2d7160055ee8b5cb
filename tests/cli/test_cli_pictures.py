"""`miniflow` on a folder of pictures with one subfolder a class, and on sets by name."""

import json
import pathlib
from typing import Any

import numpy as np
import pytest

Image = pytest.importorskip("PIL.Image", reason="pictures need Pillow")

QUICK = ["--model", "linear", "--epochs", 6, "--batch-size", 8]


@pytest.fixture
def shades(folder: pathlib.Path) -> pathlib.Path:
    """Pictures of shades, in many sizes: a class for dark ones and one for light ones."""
    rng = np.random.default_rng(1)
    for name, level in (("dark", 40), ("light", 210)):
        (folder / "shades" / name).mkdir(parents=True)
        for i in range(20):
            pixels = rng.integers(level - 30, level + 30, (20 + i % 3, 30), np.uint8)
            Image.fromarray(pixels).save(folder / "shades" / name / f"{i}.png")
    return folder / "shades"


def test_a_folder_of_pictures_is_trained_on_and_its_class_names_are_shown(
    miniflow: Any, shades: pathlib.Path
) -> None:
    trained = miniflow("train", "--data", "shades", *QUICK, "--lr", 0.02)
    assert trained.exit_code == 0, trained.output
    assert trained.stdout.rstrip().endswith("test accuracy: 1.0000")
    run = "runs/shades-linear"

    evaluated = miniflow("evaluate", "--model", run, "--part", "train")
    assert "train accuracy: 1.0000\n\nclass  images  accuracy\ndark " in evaluated.stdout

    light = shades / "light" / "0.png"
    predicted = miniflow("predict", "--model", run, light)
    assert f"{light}: light  dark:0." in predicted.stdout
    (as_json,) = json.loads(miniflow("predict", "--model", run, "--json", light).stdout)
    assert (as_json["name"], as_json["names"], as_json["digit"]) == ("light", ["dark", "light"], 1)

    assert "classes    dark, light" in miniflow("info", run).stdout


def test_prediction_reads_a_picture_as_training_did(miniflow: Any, shades: pathlib.Path) -> None:
    """A model moved away from its run still knows; what fits no digit needs no ink."""
    miniflow("train", "--data", "shades", *QUICK, "--lr", 0.02, "--out", "run")
    pathlib.Path("run/model.safetensors").rename("elsewhere.safetensors")
    Image.fromarray(np.full((200, 400), 200, np.uint8)).save("blank.png")  # no ink on it
    predicted = miniflow("predict", "--model", "elsewhere.safetensors", "blank.png")
    assert predicted.stdout.startswith("blank.png: light ")


def test_other_classes_than_the_models_are_refused(miniflow: Any, shades: pathlib.Path) -> None:
    miniflow("train", "--data", "shades", *QUICK, "--out", "run")
    (shades / "light").rename(shades / "pale")
    told = miniflow("evaluate", "--model", "run")
    assert told.exit_code == 1
    assert "has the classes dark, pale; run" in told.stderr
    assert "is a model for dark, light." in told.stderr


@pytest.mark.usefixtures("real_pictures")
def test_a_network_with_more_outputs_than_classes_ends_in_order(
    miniflow: Any, shades: pathlib.Path
) -> None:
    sizes = ["--model", "784-4", "--epochs", 1, "--lr", 0.001]
    result = miniflow("train", "--data", "shades", *sizes, "--out", "run")
    assert result.exit_code == 0, result.output
    assert pathlib.Path("run/confusion_matrix.png").stat().st_size > 0


def test_a_file_that_is_no_picture_is_named(miniflow: Any, shades: pathlib.Path) -> None:
    (shades / "dark" / "list.txt").write_text("x")
    told = miniflow("train", "--data", "shades", *QUICK)
    assert told.exit_code == 1
    assert "list.txt: is a text file, and not a PNG" in told.stderr
    assert not pathlib.Path("runs").exists()


def test_a_set_by_name_that_cannot_be_fetched_is_one_sentence(
    miniflow: Any, folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pooch", reason="fetching needs pooch")
    import dataclasses

    from miniflow.datasets import fetched

    nobody = dataclasses.replace(fetched.FASHION, url="http://127.0.0.1:9/")
    monkeypatch.setattr(fetched, "FASHION", nobody)
    monkeypatch.setenv("MINIFLOW_CACHE", str(folder / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    told = miniflow("train", "--data", "fashion-mnist")
    assert told.exit_code == 1
    assert "error: Fashion-MNIST could not be fetched: http://127.0.0.1:9/train-im" in told.stderr
    assert "without a network, put train-images-idx3-ubyte.gz, train-labels" in told.stderr


def test_notes_of_a_strangers_model_are_not_believed(miniflow: Any, folder: pathlib.Path) -> None:
    import miniflow as mf
    from miniflow.cli.classifiers import (
        augmentation_of,
        class_names_of,
        picture_form_of,
        training_of,
    )
    from miniflow.cli.runs import Options

    X, W = mf.Input("X"), mf.Parameter(np.zeros((784, 2), np.float32), "W")
    options = vars(Options())
    for names, size, training, augmentation in (
        (["a", 1], {"height": 28, "width": 29}, {}, {}),
        (["a"], {"height": -28, "width": -28}, options | {"data": "a\x1b[31m"}, {"shift": 1}),
        ("ab", [28, 28], options | {"epochs": "many"}, [2, 12, 0.1]),
        ([1, 2], {"height": 28.0, "width": 28}, options | {"seed": -1}, "shift 2 pixels"),
        (None, None, list(options), {"shift": "far", "rotate": 12, "scale": 0.1}),
    ):
        notes = {
            "class_names": names,
            "picture": size,
            "training": training,
            "augmentation": augmentation,
        }
        mf.save(X @ W, "m.safetensors", inputs={X: np.zeros((1, 784), "f4")}, notes=notes)
        model = mf.load("m.safetensors")
        assert model.notes == notes
        assert class_names_of(model) is None
        assert picture_form_of(model) is None
        assert training_of(model) is None
        assert augmentation_of(model) is None
        assert miniflow("info", "m.safetensors").exit_code == 0


def test_names_and_probabilities_of_a_model_are_said_as_they_are(
    miniflow: Any, folder: pathlib.Path
) -> None:
    """What cannot be printed is escaped, and of what a softmax gave no second one is taken."""
    import miniflow as mf

    Image.new("L", (28, 28), 255).save("white.png")
    X, b = mf.Input("X"), mf.Parameter(np.log(np.array([0.9, 0.1], "f4")), "b")
    logits = mf.Linear(X, mf.Parameter(np.zeros((784, 2), np.float32), "W"), b)
    notes = {"class_names": ["triangle", "b\x1b[31m"], "picture": {"height": 28, "width": 28}}
    for node in (logits, mf.Softmax(logits)):
        mf.save(node, "m.safetensors", inputs={X: np.zeros((1, 784), "f4")}, notes=notes)
        told = miniflow("predict", "--model", "m.safetensors", "white.png").stdout
        assert told == "white.png: triangle  triangle:0.9000 b\\x1b[31m:0.1000\n"
        said = miniflow("predict", "--model", "m.safetensors", "--json", "white.png").stdout
        (found,) = json.loads(said)
        assert (found["digit"], found["name"]) == (0, "triangle")
        assert found["names"] == ["triangle", "b\\x1b[31m"]
        np.testing.assert_allclose(found["probabilities"], [0.9, 0.1], rtol=1e-5)
        assert "classes    triangle, b\\x1b[31m" in miniflow("info", "m.safetensors").stdout
