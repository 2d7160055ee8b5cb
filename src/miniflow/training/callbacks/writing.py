"""Callbacks that write files while a training runs: models, and the history as a table.

Every file is written in one step (to another name, and then renamed), so a reader never sees half
of it. Going on with a training after it was killed needs more than the model: that is what
`fit(..., checkpoint=path, resume=True)` is for.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from miniflow.distributed.meeting import is_first
from miniflow.graph import Node
from miniflow.graph.values import describe
from miniflow.interpreter.feeding import checked_output
from miniflow.models import save
from miniflow.models.saving import model_path
from miniflow.options import OptionError, file_path, flag, whole
from miniflow.training.callbacks.callback import Callback
from miniflow.training.callbacks.monitors import Monitor
from miniflow.training.history import Epoch

if TYPE_CHECKING:
    from miniflow.training.training import Training

_SAMPLE = Epoch(1, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5)


class _AnyColumn(dict[str, Any]):
    """The columns of a sample; any other name may be that of a metric."""

    def __missing__(self, name: str) -> float:
        if not name.isidentifier():
            raise KeyError(name)
        return 0.5


class ModelCheckpoint(Monitor):
    """Writes a model file, for `miniflow.load`, after an epoch.

    Args:
        path: the file. `{epoch}` and the other columns of the history may stand in it, with a
            format: "model-{epoch:03}-{validation_loss:.4f}.safetensors". A path without is written
            over, so that it has the latest model that was saved.
        monitor: what the best is told by, as for `KeepBest`; "validation_loss" by default.
        save_best_only: write only after an epoch that is the best so far; False by default.
        every: write after each so many epochs; 1 by default. Together with `save_best_only`: the
            epochs between are not compared.
        min_delta: better is better by more than this; 0 by default.
        node: the node to save; by default the logits of the loss, as `miniflow.save` finds them.

    Attributes:
        best: the best value so far; None before the first. epoch: the epoch that it belongs to.
        saved: the path that was written last; None before the first.

    Raises:
        OptionError: `path` names a column that there is not, or (in training) one with nothing in
            it.
        OSError: the folder does not exist, or the file cannot be written.

    >>> best = ModelCheckpoint("best.safetensors", save_best_only=True)
    >>> each_tenth = ModelCheckpoint("model-{epoch:03}.safetensors", every=10)
    >>> last = ModelCheckpoint("last.safetensors")
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        monitor: str = "validation_loss",
        *,
        save_best_only: bool = False,
        every: int = 1,
        min_delta: float = 0.0,
        node: Node | None = None,
    ) -> None:
        Monitor.__init__(self, monitor, min_delta=min_delta)
        self.path = model_path("ModelCheckpoint", path)
        self.save_best_only = flag("ModelCheckpoint", "save_best_only", save_best_only)
        self.every = whole("ModelCheckpoint", "every", every, least=1)
        self.node = None if node is None else checked_output(node)
        self.saved: str | None = None
        self._filled_in(_AnyColumn(_SAMPLE.columns()))  # tell now, not after the first epoch

    def see(self, training: Training) -> None:
        Monitor.see(self, training)
        measured = dict.fromkeys(training.directions(), 0.5)
        os.stat(os.path.dirname(self._path_after(_SAMPLE._replace(metrics=measured))) or ".")

    def on_epoch_end(self, training: Training) -> None:
        row = training.history[-1]
        if row.epoch % self.every or (self.save_best_only and not self.improves(row)):
            return
        path = self._path_after(row)
        if is_first():
            save(training.loss if self.node is None else self.node, path)
        self.saved = path

    def state(self) -> dict[str, Any]:
        return {**Monitor.state(self), "saved": self.saved}

    def restore(self, state: dict[str, Any]) -> None:
        Monitor.restore(self, state)
        saved = state["saved"]
        if saved is not None and not isinstance(saved, str):
            raise OptionError(f"ModelCheckpoint: what was saved last is {describe(saved)}.")
        self.saved = saved

    def _path_after(self, row: Epoch) -> str:
        return self._filled_in(row.columns())

    def _filled_in(self, columns: dict[str, Any]) -> str:
        try:
            return self.path.format_map(columns)
        except (KeyError, ValueError, TypeError, AttributeError, IndexError) as error:
            raise OptionError(
                f"ModelCheckpoint: {self.path!r} cannot be filled in ({type(error).__name__}: "
                f"{error}): in braces stand {', '.join(columns)}, and what this training has "
                "no value for cannot be formatted."
            ) from error


class CSVLogger(Callback):
    """Writes the history to a file after each epoch, as `History.to_csv` does.

    The file always has all epochs: those before a restart from a checkpoint, too.

    Args:
        path: the file; what it held before is replaced.

    Raises OSError if its folder does not exist, or it cannot be written.

    >>> CSVLogger("history.csv").path
    'history.csv'
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = file_path("CSVLogger", path)

    def on_train_begin(self, training: Training) -> None:
        os.stat(os.path.dirname(self.path) or ".")

    def on_epoch_end(self, training: Training) -> None:
        if is_first():
            training.history.to_csv(self.path)
