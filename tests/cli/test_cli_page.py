"""`miniflow page`, and the report that `miniflow train` leaves."""

import pathlib
from typing import Any

import numpy as np
import pytest

import miniflow as mf
from miniflow.layers.networks import build


def test_the_page_of_the_latest_run_is_written(
    miniflow: Any, trained: pathlib.Path, folder: pathlib.Path
) -> None:
    result = miniflow("page")
    assert result.exit_code == 0
    assert result.stdout == "Saved digits.html\n"
    assert "<h1>Draw a digit · bars-linear</h1>" in (folder / "digits.html").read_text("utf-8")
    assert miniflow("page", trained / "model.safetensors", "-o", "mine.html").exit_code == 0
    assert (folder / "mine.html").read_bytes() == (folder / "digits.html").read_bytes()


def test_the_page_of_another_shape_is_refused(miniflow: Any, folder: pathlib.Path) -> None:
    network = build((64, 2))
    mf.save(network.logits, folder / "small.safetensors", {network.X: np.zeros((1, 64))})
    result = miniflow("page", "small.safetensors", "-o", "page.html")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: small.safetensors: takes n × 64; the page is for")
    assert not (folder / "page.html").exists()


def test_the_page_needs_a_model_and_a_folder(
    miniflow: Any, folder: pathlib.Path, trained: pathlib.Path
) -> None:
    assert "missing.safetensors: No such file" in miniflow("page", "missing.safetensors").stderr
    result = miniflow("page", trained, "-o", "nowhere/page.html")
    assert result.exit_code == 1
    assert "nowhere/page.html" in result.stderr


@pytest.mark.usefixtures("real_pictures")
def test_training_ends_with_a_report_and_says_where(miniflow: Any, folder: pathlib.Path) -> None:
    result = miniflow("train", "--data", "bars.npz", "--model", "784-8-2", "--epochs", 2)
    assert result.exit_code == 0, result.output
    path = pathlib.Path("runs", "bars-784-8-2", "report.html")
    assert f"\nreport: {path}\n" in result.stdout
    text = path.read_text(encoding="utf-8")
    for heading in ("Learning curve", "Confusion matrix", "Worst mistakes", "The graph"):
        assert f">{heading}</h2>" in text
    assert text.count('src="data:image/png;base64,iVBOR') == 3
    assert 'class="mfx' in text  # the graph, to be stepped through
    assert 'class="mf-digits"' in text  # the page to draw on
    assert "784-8-2" in text


def test_the_report_on_other_images_has_no_page_to_draw_on(
    miniflow: Any, folder: pathlib.Path
) -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (60, 8, 8), np.uint8)
    np.savez(folder / "small.npz", images=images, labels=np.arange(60) % 3)
    result = miniflow("train", "--data", "small.npz", "--model", "linear", "--epochs", 1)
    assert result.exit_code == 0, result.output
    text = (folder / "runs" / "small-linear" / "report.html").read_text(encoding="utf-8")
    assert "mf-digits" not in text
    assert ">Confusion matrix</h2>" in text
