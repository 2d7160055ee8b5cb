"""The learning curve: loss above, accuracy below, over the same epochs.

The two panels share their horizontal axis, so that one line through both can mark the best epoch.
Each curve is named at its end, in its own colour, with its last value; there is no legend to look
up. Where a value is missing or not finite the curve has a gap, and the panel says where.
"""

import math
import os
from collections.abc import Sequence
from typing import NamedTuple

from miniflow.pictures.canvas import Canvas, Point, Scale, tick_labels, ticks
from miniflow.pictures.pixels import text_width
from miniflow.pictures.style import Colour
from miniflow.reports.paper import (
    BLUE,
    BODY,
    GREY,
    HAIRLINE,
    INK,
    MARGIN,
    SMALL,
    VERMILION,
    WHITE,
    headed_canvas,
    save_png,
)
from miniflow.training.history import Epoch

WIDTH = 760.0
LEFT, RIGHT = MARGIN + 46.0, WIDTH - MARGIN - 128.0  # sides of the panels; curves' names are beside
PANEL = 196.0  # height of a panel
GAP = 62.0  # above each panel, for its name and the mark of the best epoch


class _Curve(NamedTuple):
    """A named line through (epoch, value) points; values may be NaN or infinite."""

    name: str
    colour: Colour
    points: list[tuple[int, float]]

    @property
    def finite(self) -> list[tuple[int, float]]:
        return [(epoch, value) for epoch, value in self.points if math.isfinite(value)]

    @property
    def lost(self) -> list[int]:
        return [epoch for epoch, value in self.points if not math.isfinite(value)]


class _Panel(NamedTuple):
    """A name, the unit of its values, and its curves."""

    name: str
    unit: str
    curves: list[_Curve]


def learning_curve(
    history: Sequence[Epoch], path: str | os.PathLike[str], best: int | None = None
) -> None:
    """Draw how a training went, epoch by epoch, as a PNG file.

    Args:
        history: one row an epoch, as `fit` returns them. The panel of accuracies is left out if
            there are none, and so are the validation curves if there was no validation.
        path: the file, replaced in one step.
        best: the epoch to mark; by default the first with the highest validation accuracy, else
            with the lowest validation loss, else none.

    Raises:
        OSError: the file cannot be written.

    >>> import pathlib, tempfile
    >>> row = Epoch(1, 0.41, 0.88, 0.25, 0.93, seconds=1.5, learning_rate=0.1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     learning_curve([row], pathlib.Path(folder, "curve.png"))
    ...     [file.name for file in pathlib.Path(folder).iterdir()]
    ['curve.png']
    """
    panels = [_Panel("Loss", "", _curves(history, "loss", "validation_loss", 1.0))]
    accuracies = _curves(history, "accuracy", "validation_accuracy", 100.0)
    if accuracies:
        panels.append(_Panel("Accuracy", "%", accuracies))
    if best is None:
        best = _best(history)

    height = MARGIN + 45 + len(panels) * (GAP + PANEL) + 38 + MARGIN
    summary = _summary(history, best)
    canvas, top = headed_canvas(WIDTH, height, "Learning curve", summary, WIDTH - 2 * MARGIN)
    first, last = (history[0].epoch, history[-1].epoch) if history else (1, 1)
    padding = 0.5 if first == last else 0.0  # a single epoch stands in the middle
    epochs = Scale(first - padding, last + padding, LEFT, RIGHT)
    for panel in panels:
        top += GAP
        _draw_panel(canvas, top, panel, epochs, best)
        top += PANEL
    _draw_epochs(canvas, top, epochs, first, last)
    save_png(canvas, path)


def _curves(history: Sequence[Epoch], training: str, validation: str, scale: float) -> list[_Curve]:
    """Return the curves of two columns of the history, those that have anything in them."""
    curves = []
    for name, column, colour in [
        ("training", training, BLUE),
        ("validation", validation, VERMILION),
    ]:
        values = [getattr(row, column) for row in history]
        if any(value is not None for value in values):
            numbers = [math.nan if value is None else value * scale for value in values]
            epochs = [row.epoch for row in history]
            curves.append(_Curve(name, colour, list(zip(epochs, numbers, strict=True))))
    return curves


def _best(history: Sequence[Epoch]) -> int | None:
    for column, sign in (("validation_accuracy", 1.0), ("validation_loss", -1.0)):
        scores = [
            (sign * getattr(row, column), -row.epoch)
            for row in history
            if getattr(row, column) is not None and math.isfinite(getattr(row, column))
        ]
        if scores:
            return -max(scores)[1]
    return None


def _summary(history: Sequence[Epoch], best: int | None) -> str:
    count = f"{len(history):,} epoch{'' if len(history) == 1 else 's'}"
    row = next((row for row in history if row.epoch == best), None)
    if row is None:
        return count
    if row.validation_accuracy is not None:
        return f"{count} · best: epoch {best}, validation accuracy {row.validation_accuracy:.2%}"
    if row.validation_loss is not None:
        return f"{count} · best: epoch {best}, validation loss {row.validation_loss:.4g}"
    return f"{count} · best: epoch {best}"


# --- a panel -------------------------------------------------------------------------------------


def _draw_panel(canvas: Canvas, top: float, panel: _Panel, epochs: Scale, best: int | None) -> None:
    canvas.text((MARGIN, top - 28), panel.name, INK, "start", BODY)
    _say_what_is_lost(canvas, (MARGIN + text_width(panel.name, BODY) + 12, top - 28), panel.curves)
    values = [value for curve in panel.curves for _, value in curve.finite]
    if not values:
        message = "no finite value" if panel.curves else "no epoch yet"
        canvas.text(((LEFT + RIGHT) / 2, top + PANEL / 2), message, GREY, "middle", BODY)
        return
    scale = _draw_grid(canvas, top, panel.unit, values)
    if best is not None:
        x = epochs.at(best)
        canvas.line([(x, top - 6), (x, top + PANEL)], GREY.mix(WHITE, 0.35), 1.0)
        canvas.text((x, top - 10), f"best: {best}", GREY, "middle", SMALL)
    for curve in panel.curves:
        _draw_curve(canvas, curve, epochs, scale)
    for curve in panel.curves:
        for epoch, value in curve.finite:
            if epoch == best:
                canvas.circle((epochs.at(epoch), scale.at(value)), 5.0, WHITE)
                canvas.circle((epochs.at(epoch), scale.at(value)), 3.8, curve.colour)
    _name_curves(canvas, panel, scale)


def _say_what_is_lost(canvas: Canvas, place: Point, curves: Sequence[_Curve]) -> None:
    notes = []
    for curve in curves:
        if curve.lost:
            first, count = curve.lost[0], len(curve.lost)
            where = f"epoch {first}" if count == 1 else f"{count:,} epochs, the first is {first}"
            notes.append(f"{curve.name} not finite in {where}")
    canvas.text(place, " · ".join(notes), GREY, "start", SMALL)


def _draw_grid(canvas: Canvas, top: float, unit: str, values: Sequence[float]) -> Scale:
    """Draw the horizontal lines with their numbers; return the vertical scale."""
    low, high = min(values), max(values)
    if not unit:  # a loss is measured from zero
        low, high = min(0.0, low), max(0.0, high)
    numbers = ticks(low, high)
    if unit and high <= 100.0:
        numbers = [number for number in numbers if number <= 100.0]
    scale = Scale(numbers[0], max(numbers[-1], high), top + PANEL, top)
    for number, label in zip(numbers, tick_labels(numbers, unit), strict=True):
        y = scale.at(number)
        canvas.line([(LEFT, y), (RIGHT, y)], HAIRLINE, 1.0)
        canvas.text((LEFT - 10, y + SMALL * 0.36), label, GREY, "end", SMALL)
    return scale


def _draw_curve(canvas: Canvas, curve: _Curve, epochs: Scale, scale: Scale) -> None:
    """Draw runs of finite values as lines, with dots where they are few or one stands alone."""
    runs: list[list[Point]] = [[]]
    for epoch, value in curve.points:
        if math.isfinite(value):
            runs[-1].append((epochs.at(epoch), scale.at(value)))
        elif runs[-1]:
            runs.append([])
    few = len(curve.points) <= 20
    for run in runs:
        if len(run) > 1:
            canvas.line(run, curve.colour, 2.0)
        if few or len(run) == 1:
            for place in run:
                canvas.circle(place, 2.6, curve.colour)


def _name_curves(canvas: Canvas, panel: _Panel, scale: Scale) -> None:
    """Write each curve's name and last value beside the panel, at the height of its end."""
    ends = sorted(
        (scale.at(value), value, epoch, curve)
        for curve in panel.curves
        for epoch, value in curve.finite[-1:]
    )
    heights = [y for y, *_ in ends]
    leading = BODY * 1.25
    if len(ends) == 2 and heights[1] - heights[0] < leading:
        middle = min(sum(heights) / 2, scale.start - leading / 2)
        heights = [middle - leading / 2, middle + leading / 2]
    for y, (_, value, epoch, curve) in zip(heights, ends, strict=True):
        last = f"{value:.2f}%" if panel.unit else f"{value:.3g}"
        if epoch < curve.points[-1][0]:
            last = f"ends at {epoch:,}"
        place = RIGHT + 12, y + BODY * 0.36
        canvas.text(place, f"{curve.name} {last}", curve.colour, "start", BODY)


def _draw_epochs(canvas: Canvas, y: float, epochs: Scale, first: int, last: int) -> None:
    """Draw the horizontal axis: round numbers of epochs, and the first."""
    canvas.line([(LEFT, y), (RIGHT, y)], GREY, 1.0)
    rounded = ticks(first, last, most=13, least_step=1.0)
    near = first + 0.5 * (rounded[1] - rounded[0])  # where a number would meet the first's
    numbers = [float(first), *(n for n in rounded if near <= n <= last)]
    for number in numbers:
        x = epochs.at(number)
        canvas.line([(x, y), (x, y + 5)], GREY, 1.0)
        canvas.text((x, y + 18), f"{number:,.0f}", GREY, "middle", SMALL)
    canvas.text(((LEFT + RIGHT) / 2, y + 38), "epoch", GREY, "middle", SMALL)
