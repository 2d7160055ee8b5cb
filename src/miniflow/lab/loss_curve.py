"""A picture of losses, for a notebook: means of so many steps, on a scale of powers of ten."""

import math
from collections.abc import Sequence

import numpy as np

from miniflow.lab.exercises import LabError
from miniflow.pictures.canvas import Axes, Canvas, tick_labels, ticks


class LossCurve:
    """Losses as a notebook shows them."""

    def __init__(self, svg: str) -> None:
        self._svg = svg

    def _repr_svg_(self) -> str:
        return self._svg


def loss_curve(losses: Sequence[float], every: int = 50) -> LossCurve:
    """The course of a training.

    Args:
        losses: of each step, in order.
        every: how many steps make a point, their mean; 50 by default.

    Raises:
        LabError: there are fewer than two such points, or a loss is not above 0.

    >>> "steps" in loss_curve([2.3, 1.0, 0.5, 0.25], every=1)._repr_svg_()
    True
    """
    count = len(losses) // every
    means = np.reshape(np.asarray(losses, float)[: count * every], (count, every)).mean(axis=1)
    if count < 2 or not np.all((means > 0) & np.isfinite(means)):
        raise LabError(
            f"A curve takes two points or more, of {every} losses each, all of them numbers above "
            f"0; these are {len(losses)} losses."
        )
    powers = np.log10(means)
    low, high = math.floor(2 * powers.min()) / 2, math.ceil(2 * powers.max()) / 2
    canvas = Canvas(
        720,
        300,
        "The loss",
        f"The loss of {len(losses)} steps, the mean of each {every}: {means[0]:.3g} at first, "
        f"{means[-1]:.3g} at last, {means.min():.3g} at least.",
    )
    steps = every * (np.arange(count) + 1)
    across = ticks(0, float(steps[-1]))
    axes = Axes(canvas, (64, 30), (630, 220), (0, across[-1]), (low, high))
    up = [low + 0.5 * k for k in range(round(2 * (high - low)) + 1)]
    axes.frame(
        list(zip(across, tick_labels(across), strict=True)),
        [(y, f"{10**y:.2g}") for y in up],
        "steps",
        "the loss",
    )
    axes.curve(steps, powers, "thin input", 2)
    return LossCurve(canvas.svg())
