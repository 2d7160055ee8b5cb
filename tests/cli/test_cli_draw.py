"""`miniflow draw`: the picture of a model, in the terminal and in every kind of file."""

import pathlib
import xml.etree.ElementTree as ET
from typing import Any

import numpy as np
import pytest

import miniflow as mf
from miniflow.layers.networks import build


@pytest.fixture
def model(folder: pathlib.Path) -> str:
    """A small network's file in the working directory."""
    network = build((6, 4, 2))
    mf.save(network.loss, folder / "small.safetensors", inputs={network.X: np.zeros((1, 6))})
    return "small.safetensors"


def test_the_help_has_examples(miniflow: Any) -> None:
    result = miniflow("draw", "--help")
    assert result.exit_code == 0
    assert "Examples:" in result.stdout
    assert "  miniflow draw runs/" in result.stdout


def test_without_a_file_to_write_it_is_drawn_in_the_terminal(miniflow: Any, model: str) -> None:
    result = miniflow("draw", model)
    assert result.exit_code == 0
    assert result.stderr == ""
    assert "│ Linear 'logits'" in result.stdout
    assert "╔" in result.stdout  # the output's border


def test_without_a_model_the_latest_run_is_drawn(miniflow: Any, trained: pathlib.Path) -> None:
    latest = miniflow("draw")
    assert latest.exit_code == 0
    assert "matmul(" in latest.stdout
    assert miniflow("draw", trained).stdout == latest.stdout


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("net.svg", "<svg "),
        ("net.dot", "digraph {"),
        ("net.mmd", "flowchart TB"),
        ("net.txt", "╭"),
    ],
)
def test_the_name_of_the_file_says_in_which_format(
    name: str, start: str, miniflow: Any, model: str, folder: pathlib.Path
) -> None:
    result = miniflow("draw", model, "--out", name)
    assert result.exit_code == 0
    assert result.stdout == f"Saved {name}\n"
    text = (folder / name).read_text(encoding="utf-8")
    assert text.lstrip().startswith(start)
    assert "logits" in text


def test_the_svg_is_titled_with_the_models_name(
    miniflow: Any, model: str, folder: pathlib.Path
) -> None:
    assert miniflow("draw", model, "-o", "net.svg").exit_code == 0
    root = ET.fromstring((folder / "net.svg").read_text(encoding="utf-8"))
    assert root.findtext("{http://www.w3.org/2000/svg}title") == "small"


def test_a_png_is_written_where_resvg_is_installed(
    miniflow: Any, model: str, folder: pathlib.Path
) -> None:
    pytest.importorskip("resvg_py")
    result = miniflow("draw", model, "-o", "net.png")
    if "none of the usual fonts" in result.stderr:
        pytest.skip("this system has no fonts")
    assert result.exit_code == 0
    assert (folder / "net.png").read_bytes().startswith(b"\x89PNG\r\n")


def test_an_unknown_ending_is_refused_and_nothing_written(
    miniflow: Any, model: str, folder: pathlib.Path
) -> None:
    before = set(folder.iterdir())
    result = miniflow("draw", model, "-o", "net.pdf")
    assert result.exit_code == 1
    assert "ends in .svg, .png, .dot, .mmd or .txt, and this one in '.pdf'" in result.stderr
    result = miniflow("draw", model, "-o", "nowhere/net.svg")
    assert result.exit_code == 1
    assert "nowhere" in result.stderr
    assert set(folder.iterdir()) == before


def test_a_page_of_a_model_is_refused_with_what_would_work(
    miniflow: Any, model: str, folder: pathlib.Path
) -> None:
    before = set(folder.iterdir())
    result = miniflow("draw", model, "-o", "net.html")
    assert result.exit_code == 1
    said = " ".join(result.stderr.split())
    assert "steps through the nodes of a graph" in said
    assert 'mf.draw(loss).save("loss.html") writes the page' in said
    assert "can be saved as .svg, .png, .dot, .mmd or .txt." in said
    assert set(folder.iterdir()) == before


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("missing.safetensors", "missing.safetensors: No such file"),
        ("bars.npz", "bars.npz: is damaged, or no safetensors file"),
        (".", "is a folder without a model"),
    ],
)
def test_what_is_no_model_is_refused(given: str, message: str, miniflow: Any) -> None:
    result = miniflow("draw", given)
    assert result.exit_code == 1
    assert message in result.stderr
    assert result.stdout == ""
