"""What a person sees of a training: a table that grows by a line an epoch, and on a terminal a bar
below it with the loss, the accuracy, examples a second and the time left.

Both are callbacks. `ProgressLines` prints the table and nothing else; `ProgressBar` also draws the
bar, with rich, and takes it away at the end.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from miniflow.options import OptionError
from miniflow.training.callbacks import Callback
from miniflow.training.evaluation import Evaluation
from miniflow.training.history import Epoch

if TYPE_CHECKING:
    from miniflow.training.training import Training

Style = Literal["auto", "bar", "lines", "none"]
REFRESH = 0.1  # seconds between two drawings of the bar


def progress_for(style: Style) -> list[Callback]:
    """The callbacks that show progress in a style; "auto": a bar on a terminal, lines elsewhere."""
    if style == "auto":
        style = "bar" if sys.stdout.isatty() and os.environ.get("TERM") != "dumb" else "lines"
    shown: dict[str, list[type[Callback]]] = {
        "bar": [ProgressBar],
        "lines": [ProgressLines],
        "none": [],
    }
    if not isinstance(style, str) or style not in shown:
        raise OptionError(f"fit: progress is one of auto, {', '.join(shown)}, not {style!r}.")
    return [callback() for callback in shown[style]]


def in_short(x: float) -> str:
    """A number for a table: four places, or its size, where these would show nothing or too much.

    >>> in_short(0.5), in_short(3.2e-07), in_short(6.1e29), in_short(0.0)
    ('0.5000', '3.2e-07', '6.1e+29', '0.0000')
    """
    return f"{x:.4f}" if x == 0 or 5e-4 <= abs(x) < 1e6 else f"{x:.1e}"


class Table:
    """The epochs as lines of text, with the columns that this training has.

    >>> table = Table(10, accuracy=True, validation=True)
    >>> print(table.header())
      epoch    loss  accuracy  val. loss  val. accuracy  seconds
    >>> print(table.line(Epoch(1, 0.2936, 0.9136, 0.1662, 0.952, 0.84, 0.1)))
       1/10  0.2936    0.9136     0.1662         0.9520      0.8
    """

    def __init__(
        self, epochs: int, accuracy: bool, validation: bool, metrics: Iterable[str] = ()
    ) -> None:
        self._epochs = epochs
        self._columns = {
            "loss": "  loss",
            **({"accuracy": "accuracy"} if accuracy else {}),
            **({"validation_loss": "val. loss"} if validation else {}),
            **({"validation_accuracy": "val. accuracy"} if accuracy and validation else {}),
            **{name: f"{name.replace('validation_', 'val. '):>6}" for name in metrics},
        }

    def header(self) -> str:
        return "  ".join(["  epoch", *self._columns.values(), "seconds"])

    def line(self, row: Epoch) -> str:
        cells = [f"{f'{row.epoch}/{self._epochs}':>7}"]
        for column, title in self._columns.items():
            value = row.columns().get(column)
            cells.append(f"{'' if value is None else in_short(value):>{len(title)}}")
        return "  ".join([*cells, f"{row.seconds:7.1f}"])


class ProgressLines(Callback):
    """Prints the table: a header, and a line after each epoch."""

    _table: Table | None = None

    def on_epoch_end(self, training: Training) -> None:
        row = training.history[-1]
        if self._table is None:
            self._table = table_for(training)
            self._print(self._table.header())
        self._print(self._table.line(row))

    def _print(self, line: str) -> None:
        print(line, flush=True)


class ProgressBar(ProgressLines):
    """The table, and below it a bar for the whole training."""

    def on_train_begin(self, training: Training) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        self._started, self._drawn, self._examples = time.perf_counter(), 0.0, 0
        self._progress = Progress(
            TextColumn("{task.description}", style="bold"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[numbers]}"),
            console=Console(highlight=False),
            transient=True,
            auto_refresh=False,  # drawn between two batches: no thread beside the training
            expand=True,
        )
        self._task = self._progress.add_task("", total=1.0, numbers="")
        if training.epoch < training.epochs and not training.stop:
            self._update(training)
            self._progress.start()

    def on_batch_end(self, training: Training) -> None:
        self._examples += training.rows
        if time.perf_counter() - self._drawn >= REFRESH:
            self._update(training)
            self._progress.refresh()

    def on_train_end(self, training: Training) -> None:
        self._progress.stop()

    def _print(self, line: str) -> None:
        self._progress.console.print(line, markup=False)

    def _update(self, training: Training) -> None:
        self._drawn = time.perf_counter()
        per_second = self._examples / (self._drawn - self._started)
        size = training.data.examples
        if size is None:  # nobody knows yet how long an epoch is
            share, left = training.epoch / training.epochs, None
        else:
            done, whole = training.epoch * size + training.rows_done, training.epochs * size
            share, left = done / whole, whole - done
        self._progress.update(
            self._task,
            completed=share,
            description=f"epoch {training.epoch + 1}/{training.epochs}",
            numbers=self._numbers(training.so_far(), per_second, left),
        )

    def _numbers(self, running: Evaluation, per_second: float, left: int | None) -> str:
        if not per_second:
            return ""
        numbers = [f"loss {in_short(running.loss)}"]
        if running.accuracy is not None:
            numbers.append(f"accuracy {in_short(running.accuracy)}")
        numbers.append(f"{per_second:,.0f} examples/s")
        if left is not None:
            numbers.append(f"{clock(left / per_second)} left")
        return "  ".join(numbers)


def table_for(training: Training) -> Table:
    """The table with the columns that a training's first row fills."""
    row = training.history[-1]
    return Table(
        training.epochs,
        accuracy=row.accuracy is not None or row.validation_accuracy is not None,
        validation=row.validation_loss is not None,
        metrics=row.metrics,
    )


def clock(seconds: float) -> str:
    """Seconds as minutes and seconds, or hours.

    >>> clock(5), clock(65), clock(4000)
    ('0:05', '1:05', '1:06:40')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
