"""The picture of a training's losses."""

import re

import pytest

from miniflow.lab.exercises import LabError
from miniflow.lab.loss_curve import loss_curve


def test_curve_falls_where_the_loss_falls_and_says_its_numbers() -> None:
    svg = loss_curve([2.0] * 10 + [0.2] * 10 + [0.02] * 5, every=10)._repr_svg_()
    assert "2 at first, 0.2 at last" in svg  # five steps make no point
    heights = [float(y) for y in re.findall(r"L?[\d.]+ ([\d.]+)", svg) if y]
    assert heights
    assert "25 steps" in svg


def test_what_is_no_curve_is_told() -> None:
    with pytest.raises(LabError, match="two points or more, of 50 losses each"):
        loss_curve([1.0] * 99)
    with pytest.raises(LabError, match="numbers above 0"):
        loss_curve([1.0, float("nan")] * 50, every=10)
