"""What is done after each epoch of `miniflow train`: the history is written, the best one kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from miniflow.cli.runs import Options, Run
from miniflow.cli.saying import as_json_number, say
from miniflow.distributed.meeting import is_first
from miniflow.files.atomic import write_text
from miniflow.training import Training
from miniflow.training.callbacks import Callback, EarlyStopping, KeepBest
from miniflow.training.history import Epoch


def keep_best(options: Options, monitor: str, on_best: Callable[[Training], None]) -> KeepBest:
    """The callback that keeps the best epoch's parameters, and ends a training that has one's
    patience.
    """
    if not options.patience:
        return KeepBest(monitor, on_best=on_best)
    stopping = EarlyStopping(monitor, patience=options.patience)
    stopping.on_best = on_best
    return stopping


class Notes(Callback):
    """Writes the history after each epoch, and says where a resumed run begins."""

    def __init__(self, run: Run, log: str | None = None) -> None:
        self._run, self._log = run, log

    def on_train_begin(self, training: Training) -> None:
        if self._log is not None and is_first():
            write_text(self._log, log_lines(training.history))  # told now, if it cannot be written
        if training.epoch >= training.epochs:
            say(f"{self._run.folder} is finished: {training.epochs} epochs are done.")
        elif training.stop:
            say(f"{self._run.folder} is finished: no epoch was better for as many as it waits.")
        elif training.epoch:
            say(f"Going on after epoch {training.epoch}.")

    def on_epoch_end(self, training: Training) -> None:
        if not is_first():
            return
        training.history.to_csv(self._run.history)
        if self._log is not None:
            write_text(self._log, log_lines(training.history))


def log_lines(history: Sequence[Epoch]) -> str:
    """The epochs as JSON, one a line; what is not known, or no number, is null.

    >>> print(log_lines([Epoch(1, 0.5, 0.9, None, None, 1.25, 0.1)]), end="")
    {"epoch": 1, "loss": 0.5, "accuracy": 0.9, "validation_loss": null, "validation_accuracy": null, "seconds": 1.25, "learning_rate": 0.1}
    """  # noqa: E501 (a line is one line)
    rows = ({n: as_json_number(x) for n, x in row.columns().items()} for row in history)
    return "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows)
