"""`miniflow` on pictures in colour and in sizes that are asked for."""

import json
import pathlib
from typing import Any

import numpy as np
import pytest

import miniflow as mf
from miniflow.datasets.picture_form import PictureForm, picture_form_in
from miniflow.errors import DataError, MiniflowError

Image = pytest.importorskip("PIL.Image", reason="pictures need Pillow")


@pytest.fixture
def paints(folder: pathlib.Path) -> pathlib.Path:
    """Red pictures and blue ones, of the same brightness, in several sizes."""
    rng = np.random.default_rng(1)
    for name, levels in (("blue", (20, 20, 180)), ("red", (77, 20, 20))):
        (folder / "paints" / name).mkdir(parents=True)
        for i in range(20):
            pixels = np.clip(np.array(levels) + rng.integers(-15, 15, (20 + i % 3, 30, 3)), 0, 255)
            Image.fromarray(pixels.astype(np.uint8)).save(folder / "paints" / name / f"{i}.png")
    return folder / "paints"


def test_colours_are_kept_in_training_prediction_and_evaluation(
    miniflow: Any, paints: pathlib.Path
) -> None:
    size = ["--color", "--image-size", "12x18", "--lr", 0.02]
    options = ["--model", "linear", "--epochs", 6, "--batch-size", 8, "--out", "run", *size]
    trained = miniflow("train", "--data", "paints", *options)
    assert trained.exit_code == 0, trained.output
    assert trained.stdout.rstrip().endswith("test accuracy: 1.0000")
    model = mf.load("run/model.safetensors")
    assert model.notes["picture"] == {"height": 12, "width": 18, "color": True}
    assert model.inputs[0].shape == (None, 12 * 18 * 3)
    red, blue = paints / "red" / "0.png", paints / "blue" / "1.png"
    found = json.loads(miniflow("predict", "--model", "run", "--json", red, blue).stdout)
    assert [one["name"] for one in found] == ["red", "blue"]
    evaluated = miniflow("evaluate", "--model", "run", "--part", "train")
    assert "train accuracy: 1.0000" in evaluated.stdout
    assert miniflow("train", "--resume", "--out", "run").exit_code == 0


@pytest.mark.slow
def test_a_convolution_takes_colours(miniflow: Any, paints: pathlib.Path) -> None:
    options = ["--model", "cnn", "--epochs", 1, "--image-size", 16, "--color", "--out", "run"]
    result = miniflow("train", "--data", "paints", "--batch-size", 16, *options)
    assert result.exit_code == 0, result.output
    assert mf.load("run/model.safetensors").inputs[0].shape == (None, 16 * 16 * 3)


def test_what_does_not_go_together_is_told(miniflow: Any, paints: pathlib.Path) -> None:
    for options, message in (
        (["--data", "bars.npz", "--color"], "are for a folder with a subfolder of pictures"),
        (
            ["--data", "bars.npz", "--image-size", 9],
            "are for a folder with a subfolder of pictures",
        ),
        (["--data", "paints", "--image-size", "9x9x9"], "--image-size is 48, or 48x64"),
        (["--data", "paints", "--image-size", "0"], "of 1 to 512 pixels, not '0'"),
    ):
        result = miniflow("train", "--out", "other", *options)
        assert result.exit_code == 1
        assert message in result.stderr
    with pytest.raises(MiniflowError, match=r"image_size is \(height, width\)"):
        mf.datasets.load(paints, image_size=9)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"are for a folder"):
        mf.datasets.load("mnist", color=True)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1", "CMYK", "I;16", "F", "LAB"])
@pytest.mark.parametrize("color", [False, True])
def test_pictures_of_every_mode_are_read(mode: str, color: bool, tmp_path: pathlib.Path) -> None:
    ending = "tif" if mode in ("CMYK", "I;16", "F", "LAB") else "png"
    rgb = Image.new("RGB", (10, 6), (200, 40, 40))
    if mode == "I;16":
        image = Image.fromarray(np.full((6, 10), 30000, np.uint16))
    elif mode == "LAB":
        image = Image.new("LAB", (10, 6), (120, 30, 30))
    else:
        image = rgb.convert(mode)
    image.save(tmp_path / f"p.{ending}")
    form = PictureForm(8, 8, color)
    pixels = form.read(tmp_path / f"p.{ending}")
    assert pixels.shape == form.shape
    assert pixels.dtype == np.uint8
    if color and mode in ("RGB", "RGBA", "CMYK"):
        assert tuple(pixels[4, 4]) == pytest.approx((200, 40, 40), abs=2)
    if color and mode in ("L", "F", "I;16", "LAB"):
        assert (pixels == pixels[..., :1]).all()


@pytest.mark.parametrize("notes", [{}, {"picture": 3}, {"picture": {"height": 0, "width": 3}}])
def test_notes_that_say_nothing_are_none(notes: Any) -> None:
    assert picture_form_in(notes) is None
    form = PictureForm(3, 4, True)
    assert picture_form_in({"picture": form.as_notes()}) == form
    assert PictureForm(3, 4).as_notes() == {"height": 3, "width": 4}
