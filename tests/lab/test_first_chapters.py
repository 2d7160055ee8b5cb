"""What the first chapters say about code, numbers and pictures is so."""

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

import miniflow.lab
from miniflow.lab.figures import all_figures, sigmoid

LAB = Path(miniflow.lab.__file__).parent
COURSE, SOLUTIONS = LAB / "course", LAB / "solutions"
FIGURES = all_figures()


def reading(name: str) -> str:
    return (COURSE / f"{name}.py").read_text(encoding="utf-8")


def test_classes_printed_in_chapter_3_stand_in_the_learners_file() -> None:
    blocks = re.findall(r"# ```python\n(.*?)# ```", reading("nodes"), re.S)
    assert len(blocks) == 2
    for block in blocks:
        printed = "\n".join(line[2:] for line in block.rstrip().split("\n"))
        for file in (LAB / "handout/mul.py", SOLUTIONS / "mul.py"):
            assert printed in file.read_text(encoding="utf-8")


def test_errors_said_of_the_sums_of_sigmoids_are_those_of_the_picture() -> None:
    errors = [
        sigmoid.worst_error(sigmoid.target, sigmoid.sum_of_sigmoids(sigmoid.target, n))
        for n in sigmoid.SIZES
    ]
    first, second, third = (f"{error:.2f}" for error in errors)
    assert f"off by at most {first}, {second} and {third}" in reading("sigmoid")


def test_slopes_said_in_chapter_1_are_those_of_the_stall() -> None:
    def loss(w1: float, w3: float, b: float) -> float:
        return (max(0.0, 3 * w1) * w3 + b - 12) ** 2

    weights = np.array([2, 1.5, 1])
    slopes = [
        (loss(*(weights + 1e-6 * one)) - loss(*(weights - 1e-6 * one))) / 2e-6 for one in np.eye(3)
    ]
    np.testing.assert_allclose(slopes, [-18, -24, -4], rtol=1e-6)
    assert loss(*(weights - 0.01 * np.array(slopes))) == pytest.approx(0.17, abs=0.01)
    assert "From 4 to 0.17" in reading("networks")


@pytest.mark.parametrize("name", FIGURES)
def test_figure_is_drawn_the_same_twice_has_words_and_reads_by_day_and_by_night(name: str) -> None:
    picture = FIGURES[name]()
    assert picture == FIGURES[name]()
    root = ElementTree.fromstring(picture)
    described = {child.tag.rpartition("}")[2]: child.text for child in root}
    assert described["title"]
    assert described["desc"]
    assert "prefers-color-scheme:dark" in picture
