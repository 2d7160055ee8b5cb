"""The history for TensorBoard: an event file, which its pages show while a training runs.

It is written through tensorboardX, a small package that needs no framework: the extra
`miniflow-graphs[tensorboard]`. To look at it, `pip install tensorboard` and
`tensorboard --logdir FOLDER`.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from miniflow.distributed.meeting import is_first
from miniflow.options import OptionError, file_path
from miniflow.training.callbacks.callback import Callback

if TYPE_CHECKING:
    from miniflow.training.training import Training

NOT_SHOWN = ("epoch", "seconds")


class TensorBoard(Callback):
    """Writes the columns of the history, and the metrics, as scalars: one step an epoch.

    Args:
        folder: where the event file goes; it is made if it is not there. Each training has a file
            of its own: runs that are to be compared have folders of their own, beside one another.

    A training that is resumed goes on in the same folder; what was written there of later epochs,
    before it was killed, is hidden.

    Raises OptionError if tensorboardX is not installed, OSError if the folder cannot be made.

    >>> TensorBoard("runs/first").folder
    'runs/first'
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = file_path("TensorBoard", folder, "folder")
        self._writer: Any = None

    def see(self, training: Training) -> None:
        try:
            import_module("tensorboardX")
        except ImportError as error:
            raise OptionError(
                "TensorBoard: tensorboardX is not installed: "
                "pip install 'miniflow-graphs[tensorboard]'."
            ) from error

    def on_train_begin(self, training: Training) -> None:
        if not is_first():
            return
        os.makedirs(self.folder, exist_ok=True)
        purge = training.epoch + 1 if training.epoch else None
        suffix = f".from-{training.epoch + 1}"  # files of one second would have one name
        self._writer = import_module("tensorboardX").SummaryWriter(
            self.folder, purge_step=purge, filename_suffix=suffix
        )

    def on_epoch_end(self, training: Training) -> None:
        if self._writer is None:
            return
        row = training.history[-1]
        for name, value in row.columns().items():
            if value is not None and name not in NOT_SHOWN:
                self._writer.add_scalar(name, value, row.epoch)
        self._writer.flush()

    def on_train_end(self, training: Training) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
