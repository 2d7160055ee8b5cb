"""Pages to play with: what is asked for is there, and what is no such network is told."""

from pathlib import Path

import numpy as np
import pytest

import miniflow as mf
from miniflow.lab.exercises import LabError
from miniflow.lab.play import TITLES, play


def network(outputs: int = 2) -> tuple[mf.Node, mf.Parameter]:
    X, y = mf.Input("X"), mf.Input("y")
    W = mf.Parameter(np.random.default_rng(0).normal(size=(2, outputs)), "W")
    return mf.CrossEntropyWithSoftmax(mf.Tanh(X) @ W, y), W


@pytest.mark.parametrize("name", TITLES)
def test_page_needs_no_other_file_and_stands_in_a_notebook(name: str, tmp_path: Path) -> None:
    page = play(name)
    page.save(tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text("utf-8")
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")
    shown = page._repr_html_()
    assert shown.startswith("<iframe")
    assert "<script" not in shown  # it is all in an attribute
    assert f"save('{name}.html')" in repr(page)


def test_a_network_of_ones_own_stays_as_it_is() -> None:
    loss, W = network()
    before = W.value.copy()
    text = play("xor", loss).page
    assert np.array_equal(W.value, before)
    assert "Tanh" in text  # its nodes stand in the programs


def test_what_is_no_page_and_no_such_network_is_told() -> None:
    with pytest.raises(LabError, match="no page 'hill' to play with; there are valley, xor"):
        play("hill")
    with pytest.raises(LabError, match="'valley' has no network"):
        play("valley", network()[0])
    with pytest.raises(
        LabError, match="is a loss of two inputs, points and labels; this one has 1"
    ):
        play("xor", mf.Sum(mf.Input("x")))
    with pytest.raises(LabError, match=r"gives two logits for each point: \(n, 2\), and not"):
        play("xor", network(outputs=3)[0])
