"""Training that survives being killed: everything that its next epoch depends on, in one file.

That is the parameters, the optimizer's arrays and learning rate, the state of the random numbers
that shuffle, the history, and what the callbacks remember. A training that goes on from a
checkpoint reaches the same bits as one that was never stopped, on the same machine and with as many
threads, if it is given the same data, optimizer and callbacks again; code is not in the file.

The file says which backend the training runs on, and how many threads. Another backend, asked for
by name, is refused: whoever wants it can start a training with it. Another number of threads is
only warned about: it is a matter of the machine that a training moved to, where there may be no way
back, and what is learned there is as good, though not the same to the last bit.

A new checkpoint does not replace the last one but moves it aside, from `checkpoint.safetensors` to
`checkpoint.previous.safetensors`: should a disk fail, an epoch is lost and not the training.
"""

from __future__ import annotations

import os
import pathlib
import warnings
from textwrap import shorten
from typing import TYPE_CHECKING, Any

import numpy as np

from miniflow.errors import ModelFileError
from miniflow.files import Arrays, Path, read_arrays, write_arrays
from miniflow.history import Epoch, History
from miniflow.stepping import BACKENDS
from miniflow.threads import thread_count

if TYPE_CHECKING:
    from miniflow.callbacks import Callback
    from miniflow.training import Training


class ThreadsWarning(UserWarning):
    """A training goes on with another number of threads: its last bits may come out differently."""


def previous_path(path: Path) -> pathlib.Path:
    """Where the checkpoint before the one at `path` is kept.

    >>> previous_path("checkpoint.safetensors").name
    'checkpoint.previous.safetensors'
    """
    path = pathlib.Path(path)
    return path.with_name(f"{path.stem}.previous{path.suffix}")


def checkpoint_exists(path: Path) -> bool:
    """Whether there is a checkpoint at `path`, or one moved aside by a training that was killed
    before it wrote the next.
    """
    return os.path.exists(path) or previous_path(path).exists()


def save_checkpoint(path: Path, training: Training) -> None:
    """Write all that a training's next epoch depends on. Raises OSError if it cannot be written."""
    arrays = _live_arrays(training)
    states = []
    for i, callback in enumerate(_remembering(training)):
        state = callback.state()
        for key in [key for key, value in state.items() if isinstance(value, np.ndarray)]:
            arrays[f"callback.{i}.{key}"] = state.pop(key)
        states.append(state)
    about = {
        **_belongs_to(training),
        "threads": thread_count(),
        "epoch": training.epoch,
        "stop": training.stop,
        "history": [list(row) for row in training.history],
        "lr": None if callable(training.optimizer.lr) else training.optimizer.lr,
        "rng": _as_json(training.rng.bit_generator.state),
        "states": states,
    }
    if os.path.exists(path):
        os.replace(path, previous_path(path))
    write_arrays(path, "checkpoint", arrays, about)


def load_checkpoint(path: Path, training: Training) -> None:
    """Put a training in the state that `save_checkpoint` found it in.

    If the file is missing or damaged, the previous one is read.

    Raises:
        ModelFileError: both are damaged, or belong to another training.
        OSError: neither can be opened.
    """
    try:
        arrays, about = read_arrays(path, "checkpoint")
    except (ModelFileError, FileNotFoundError):
        if not previous_path(path).exists():
            raise
        path = previous_path(path)
        arrays, about = read_arrays(path, "checkpoint")
    training.optimizer.prepare(training.parameters)
    if training.step.backend == "auto" and about.get("backend") in BACKENDS:
        training.step.settle(about["backend"])
    _check_belonging(path, about, training)
    try:
        _restore(arrays, about, training)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelFileError(f"{path}: is damaged: {type(error).__name__}: {error}.") from error
    if (now := thread_count()) != (then := about.get("threads")):
        warnings.warn(
            f"{path}: was written by a training with {then or 'an unknown number of'} threads, and "
            f"now there are {now or 'an unknown number'}: the result may differ in its last bits.",
            ThreadsWarning,
            stacklevel=3,
        )


def _live_arrays(training: Training) -> Arrays:
    """The arrays of parameters and optimizer, by the names that they have in a checkpoint."""
    arrays = {f"parameter.{i}": p.value for i, p in enumerate(training.parameters)}
    state = training.optimizer.state
    return arrays | {f"optimizer.{name}": state[name] for name in state}


def _remembering(training: Training) -> list[Callback]:
    return [callback for callback in training.callbacks if callback.state()]


def _belongs_to(training: Training) -> dict[str, Any]:
    """What has to be the same when a training goes on."""
    lr = training.optimizer.lr
    return {
        "optimizer": type(training.optimizer).__name__,
        "schedule": repr(lr) if callable(lr) else None,
        "clipping": training.optimizer.clipping,
        "parameters": [parameter.name for parameter in training.parameters],
        "arrays": {
            name: f"{array.dtype}{list(array.shape)}"
            for name, array in _live_arrays(training).items()
        },
        "callbacks": [type(callback).__name__ for callback in _remembering(training)],
        "backend": training.step.backend,
        "batch_size": training.batch_size,
        "examples": training.data.examples,
        "generator": type(training.rng.bit_generator).__name__,
    }


def _check_belonging(path: Path, about: dict[str, Any], training: Training) -> None:
    for what, now in _belongs_to(training).items():
        then = about.get(what)
        if then != now:
            raise ModelFileError(
                f"{path}: belongs to another training. Its {what.replace('_', ' ')}: "
                f"{shorten(str(then), 200)}; now: {shorten(str(now), 200)}."
            )


def _restore(arrays: Arrays, about: dict[str, Any], training: Training) -> None:
    """Change the training, after everything that could be wrong has been looked at."""
    live = _live_arrays(training)
    rows = [Epoch(*row) for row in about["history"]]
    random = _from_json(about["rng"], training.rng.bit_generator.state)
    epoch, stop, lr = int(about["epoch"]), bool(about["stop"]), about["lr"]
    states = []
    for i, state in enumerate(about["states"]):
        prefix = f"callback.{i}."
        kept = {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}
        states.append({**state, **kept})
    for name, array in live.items():
        if arrays[name].shape != array.shape or arrays[name].dtype != array.dtype:
            raise ValueError(f"the array {name} has another shape or dtype than the file says")

    training.rng.bit_generator.state = random
    for callback, state in zip(_remembering(training), states, strict=True):
        callback.restore(state)
    for name, array in live.items():
        array[...] = arrays[name]
    if lr is not None:
        training.optimizer.lr = lr
    training.epoch, training.stop, training.history = epoch, stop, History(rows)


def _as_json(state: Any) -> Any:
    """The state of random numbers, whose arrays become lists."""
    if isinstance(state, dict):
        return {key: _as_json(value) for key, value in state.items()}
    return state.tolist() if isinstance(state, np.ndarray) else state


def _from_json(state: Any, like: Any) -> Any:
    """The same back again; `like`, a state of the same kind, says where there are arrays."""
    if isinstance(like, dict):
        return {key: _from_json(state[key], like[key]) for key in like}
    return np.array(state, like.dtype) if isinstance(like, np.ndarray) else type(like)(state)
