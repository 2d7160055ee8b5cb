"""What can be done while a training runs: a `Callback`, and the ones that are asked for most.

    KeepBest            puts the parameters of the best epoch back at the end
    EarlyStopping       KeepBest, and ends the training when it has not got better for some epochs
    ReduceLROnPlateau   lowers the learning rate when it has not got better for some epochs
    ModelCheckpoint     writes model files: of every epoch, of every n-th, or of the best
    CSVLogger           writes the history as a table, after each epoch
    TensorBoard         writes it for TensorBoard, as scalars
    TerminateOnNaN      ends a training whose loss is NaN or infinite with a warning, not an error

`fit` calls every callback at the beginning, after each batch, after each epoch and at the end
(`callback.Callback`). What compares epochs shares `monitors.Monitor`; what writes files is in
`writing`. Other learning rates over time than on a plateau are functions of the step: they are in
`miniflow.schedules`, and become a part of the compiled step.
"""

from miniflow.training.callbacks.callback import Callback
from miniflow.training.callbacks.monitors import EarlyStopping, KeepBest, Monitor, ReduceLROnPlateau
from miniflow.training.callbacks.not_finite import NotFiniteWarning, TerminateOnNaN
from miniflow.training.callbacks.tensorboard import TensorBoard
from miniflow.training.callbacks.writing import CSVLogger, ModelCheckpoint

__all__ = [
    "CSVLogger",
    "Callback",
    "EarlyStopping",
    "KeepBest",
    "ModelCheckpoint",
    "Monitor",
    "NotFiniteWarning",
    "ReduceLROnPlateau",
    "TensorBoard",
    "TerminateOnNaN",
]
