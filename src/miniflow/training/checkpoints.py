"""Training that survives being killed: everything that its next epoch depends on, in one file.

That is the parameters, the optimizer's arrays and learning rate, the state of the random numbers
that shuffle, the history, and what the callbacks remember. A training that goes on from a
checkpoint reaches the same bits as one that was never stopped, on the same machine and with as many
threads, if it is given the same data, optimizer and callbacks again; code is not in the file.

The file says which backend the training runs on, and how many threads where bits depend on that.
Another backend, asked for by name, is refused: whoever wants it can start a training with it.
Another number of threads is only warned about: it is a matter of the machine that a training moved
to, where there may be no way back, and what is learned there is as good, though not the same to the
last bit. So are random numbers that another version of miniflow drew otherwise, if the training
draws any.

A new checkpoint does not replace the last one but moves it aside, from `checkpoint.safetensors` to
`checkpoint.previous.safetensors`, and not before the new one is on the disk. So a full disk or a
folder that cannot be written to costs no checkpoint; and should the last one be damaged, which its
checksum tells, the one before is read, with a `CheckpointWarning`: an epoch is lost and not the
training. A damaged one is never moved aside: it would take the place of a whole one.
"""

from __future__ import annotations

import copy
import os
import pathlib
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from miniflow.backends.backend import THIS_MACHINE
from miniflow.compiler.threads import thread_count
from miniflow.errors import MiniflowError, ModelFileError, shown
from miniflow.files.arrays import Arrays, Path, read_arrays, write_arrays
from miniflow.graph import random_numbers
from miniflow.graph.places import users_level
from miniflow.interpreter.selection import parts_of, prepare
from miniflow.optimizers.optimizer import OptimizerState
from miniflow.options import number, whole
from miniflow.training.changes import (
    clipping_of,
    kind_of,
    kinds_of_schedules,
    rates_of,
    same_bits_on,
    schedules_of,
    tell_bits,
    tell_random_numbers,
    tell_settings,
)
from miniflow.training.history import COLUMNS, Epoch, History
from miniflow.training.stepping import backend_names

if TYPE_CHECKING:
    from miniflow.training.callbacks import Callback
    from miniflow.training.training import Training


class CheckpointWarning(UserWarning):
    """The last checkpoint is damaged or missing, and a training goes on from the one before."""


def previous_path(path: Path) -> pathlib.Path:
    """Where the checkpoint before the one at `path` is kept: beside it, links being followed.

    >>> previous_path("checkpoint.safetensors").name
    'checkpoint.previous.safetensors'
    """
    path = pathlib.Path(os.path.realpath(path) if os.path.islink(path) else path)
    return path.with_name(f"{path.stem}.previous{path.suffix}")


def checkpoint_exists(path: Path) -> bool:
    """Whether there is a checkpoint at `path`, or one moved aside by a training that was killed
    before it wrote the next.
    """
    return os.path.exists(path) or previous_path(path).exists()


def save_checkpoint(path: Path, training: Training) -> None:
    """Write all that a training's next epoch depends on.

    Raises OSError if it cannot be written; then the checkpoints are as they were.
    """
    arrays = _live_arrays(training)
    states = []
    for i, callback in enumerate(_callbacks_with_memory(training)):
        state = callback.state()
        for key in [key for key, value in state.items() if isinstance(value, np.ndarray)]:
            arrays[f"callback.{i}.{key}"] = state.pop(key)
        states.append(state)
    same_bits = same_bits_on(training.step.backend)
    about = {
        **_belongs_to(training),
        "same_bits_on": same_bits,
        **({"threads": thread_count()} if same_bits == THIS_MACHINE else {}),
        "epoch": training.epoch,
        "stop": training.stop,
        "history": [_as_list(row) for row in training.history],
        "lr": rates_of(training.optimizer),
        "frozen": [not parameter.trainable for parameter in training.trained],
        "settings": training.settings,
        "rng": _as_json(training.rng.bit_generator.state),
        "random_numbers": random_numbers.VERSION,
        "states": states,
    }
    is_whole = _epoch_of(path) is not None
    old_to = previous_path(path) if is_whole else None
    write_arrays(path, "checkpoint", arrays, about, old_to=old_to)


def with_what_is_left(error: OSError, path: Path) -> OSError:
    """The error that ended a training, saying as well what there is to go on from.

    Args:
        error: what the system said.
        path: the checkpoint's.
    """
    if error.errno is None or error.strerror is None:
        return error
    epochs = (_epoch_of(place) for place in (path, previous_path(path)))
    epoch = next((epoch for epoch in epochs if epoch is not None), None)
    left = (
        "there is no checkpoint"
        if epoch is None
        else f"the checkpoint of epoch {epoch} is as it was"
    )
    return OSError(error.errno, f"{error.strerror}; {left}", error.filename)


def _epoch_of(path: Path) -> int | None:
    """How far the checkpoint at `path` is; None if there is none, or it is damaged."""
    try:
        epoch = read_arrays(path, "checkpoint")[1].get("epoch")
    except (ModelFileError, OSError):
        return None
    return epoch if type(epoch) is int else None


def load_checkpoint(path: Path, training: Training) -> None:
    """Put a training in the state that `save_checkpoint` found it in.

    If the file is missing or damaged, the previous one is read, with a `CheckpointWarning`.

    Raises:
        ModelFileError: both are damaged, or belong to another training, which is left as it was.
        OSError: neither can be opened.
    """
    path, arrays, about = _last_whole(path)
    given, flags = training.settings, [parameter.trainable for parameter in training.trained]
    parts = [part for _, part in parts_of(training.optimizer)]
    states = [part.state for part in parts if isinstance(part.state, OptimizerState)]
    owners = [state.owners for state in states]
    try:
        for state in states:  # its numbers are replaced: whose they were does not matter
            state.owners = {}
        _freeze_as_then(arrays, about, training)
        if training.step.backend == "auto" and about.get("backend") in backend_names():
            training.step.pin_backend(about["backend"], "the training was begun with it")
        arrays, about = _as_kept_today(arrays, about, training)
        _check_belonging(path, about, training)
        try:
            _restore(arrays, about, training)
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            raise ModelFileError(
                f"{path}: is damaged: {type(error).__name__}: {shown(error)}."
            ) from error
    except MiniflowError:
        for parameter, flag in zip(training.trained, flags, strict=True):
            parameter.trainable = flag
        for state, owned in zip(states, owners, strict=True):
            state.owners = owned
        raise
    tell_settings(path, given, training, about)
    tell_random_numbers(path, about, training)
    tell_bits(path, about, training.step.backend)


def _freeze_as_then(arrays: Arrays, about: dict[str, Any], training: Training) -> None:
    """Freeze and thaw parameters as they were, and have the optimizer's arrays there: those of one
    that was thawed for a while as well.
    """
    frozen, parameters = about.get("frozen"), training.trained
    if isinstance(frozen, list) and len(frozen) == len(parameters):
        for parameter, is_frozen in zip(parameters, frozen, strict=True):
            parameter.trainable = not is_frozen
    moved = {name.rpartition(".")[2] for name in arrays if name.startswith("optimizer.")}
    again = [p for i, p in enumerate(parameters) if not p.trainable and str(i) in moved]
    for parameter in again:
        parameter.trainable = True
    prepare(training.optimizer, parameters)
    for parameter in again:
        parameter.trainable = False


def _as_kept_today(
    arrays: Arrays, about: dict[str, Any], training: Training
) -> tuple[Arrays, dict[str, Any]]:
    """What an earlier version's optimizer kept, in the form in which this one keeps it."""
    older, live = getattr(training.optimizer, "older_slots", {}), _live_arrays(training)
    kinds = about.get("arrays")
    if not isinstance(kinds, dict):  # the file is damaged, and will be told to be
        return arrays, about
    arrays, kinds = dict(arrays), dict(kinds)
    for name in [name for name in arrays if name.startswith("optimizer.")]:
        slot, _, number = name.removeprefix("optimizer.").partition(".")
        now, array = name, arrays[name]
        if slot in older and name not in live:
            slot, convert = older[slot]
            now = f"optimizer.{slot}.{number}"
            with np.errstate(all="ignore"):
                array = convert(array)
        if now in live and (array.dtype, live[now].dtype) == (np.float16, np.float32):
            array = array.astype(np.float32)
        if array is not arrays[name]:
            del arrays[name]
            kinds.pop(name, None)
            arrays[now], kinds[now] = array, _kind(array)
    return arrays, {**about, "arrays": kinds}


def _kind(array: np.ndarray) -> str:
    return f"{array.dtype}{list(array.shape)}"


def _last_whole(path: Path) -> tuple[Path, Arrays, dict[str, Any]]:
    """The last checkpoint, or, if it is damaged or missing, the one before, with a warning."""
    before = previous_path(path)
    try:
        return path, *read_arrays(path, "checkpoint")
    except (ModelFileError, FileNotFoundError) as error:
        if not before.exists():
            raise
        trouble = str(error) if isinstance(error, ModelFileError) else f"{path}: is not there."
    try:
        arrays, about = read_arrays(before, "checkpoint")
    except ModelFileError as error:
        raise ModelFileError(f"{trouble} And the checkpoint before it: {error}") from error
    epoch = shown(about.get("epoch"), 40)
    warnings.warn(
        f"{trouble} The checkpoint before it, {before}, of epoch {epoch}, is used.",
        CheckpointWarning,
        stacklevel=users_level(),
    )
    return before, arrays, about


def _live_arrays(training: Training) -> Arrays:
    """The arrays of parameters and optimizer, by the names that they have in a checkpoint."""
    arrays = {f"parameter.{i}": p.value for i, p in enumerate(training.parameters)}
    state = training.optimizer.state
    return arrays | {f"optimizer.{name}": state[name] for name in state}


def _callbacks_with_memory(training: Training) -> list[Callback]:
    return [callback for callback in training.callbacks if callback.state()]


def _belongs_to(training: Training) -> dict[str, Any]:
    """What has to be the same when a training goes on."""
    places = {parameter: i for i, parameter in enumerate(training.parameters)}
    groups = getattr(training.optimizer, "members", [])
    return {
        "optimizer": kind_of(training.optimizer),
        "schedule": schedules_of(training.optimizer),
        "clipping": clipping_of(training.optimizer),
        "parameters": [parameter.name for parameter in training.parameters],
        "trained_parameters": [places[parameter] for parameter in training.trained],
        "frozen_at_first": training.frozen_at_first,
        "groups": [[places[parameter] for parameter in members] for members in groups],
        "arrays": {name: _kind(array) for name, array in _live_arrays(training).items()},
        "callbacks": [type(callback).__name__ for callback in _callbacks_with_memory(training)],
        "backend": training.step.backend,
        "batch_size": training.batch_size,
        "accumulate": training.accumulate,
        "loss_weights": training.loss_weights,
        "examples": training.data.examples,
        "generator": type(training.rng.bit_generator).__name__,
    }


def _check_belonging(path: Path, about: dict[str, Any], training: Training) -> None:
    everything = list(range(len(training.parameters)))
    before = {  # what earlier versions did not say
        "trained_parameters": everything,
        "frozen_at_first": [False] * len(everything),
        "groups": [],
        "accumulate": 1,
        "loss_weights": {},
    }
    for what, now in _belongs_to(training).items():
        then = about.get(what, before.get(what))
        if what == "schedule":  # a longer one of the same kind is told, and goes on
            then, now = kinds_of_schedules(then), kinds_of_schedules(now)
        if then != now:
            raise ModelFileError(
                f"{path}: belongs to another training. Its {what.replace('_', ' ')}: "
                f"{shown(then)}; now: {shown(now)}."
            )


def _restore(arrays: Arrays, about: dict[str, Any], training: Training) -> None:
    """Change the training, after everything that could be wrong has been looked at."""
    live, remembering = _live_arrays(training), _callbacks_with_memory(training)
    history = History(map(_checked_row, about["history"]))
    history.backend, history.reason = training.step.backend, training.step.reason
    random = _checked_random(about["rng"], training.rng.bit_generator)
    epoch = whole("The checkpoint", "epoch", about["epoch"], least=0)
    parts = [part for _, part in parts_of(training.optimizer)]
    rates = about["lr"] if isinstance(about["lr"], list) else [about["lr"]]
    rates = [None if lr is None else number("The checkpoint", "lr", lr) for lr in rates]
    if [lr is None for lr in rates] != [callable(part.lr) for part in parts]:
        raise ValueError("there are other learning rates than optimizers")
    stop = bool(about["stop"])
    settings = dict(about.get("settings", training.settings))
    if not all(isinstance(text, str) for text in settings.values()):
        raise ValueError("the settings of the optimizer are no text")
    states = []
    for i, state in enumerate(about["states"]):
        prefix = f"callback.{i}."
        kept = {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}
        states.append({**state, **kept})
    for name, array in live.items():
        if arrays[name].shape != array.shape or arrays[name].dtype != array.dtype:
            raise ValueError(f"the array {name} has another shape or dtype than the file says")
    before = [callback.state() for callback in remembering]
    try:
        for callback, state in zip(remembering, states, strict=True):
            callback.restore(state)
    except Exception:
        for callback, state in zip(remembering, before, strict=True):
            callback.restore(state)
        raise

    training.rng.bit_generator.state = random
    for name, array in live.items():
        array[...] = arrays[name]
    for part, lr in zip(parts, rates, strict=True):
        if lr is not None:
            part.lr = lr
    training.epoch, training.stop, training.history = epoch, stop, history
    training.settings = settings


def _as_list(row: Epoch) -> list[Any]:
    """A row for JSON: what has no name of its own as earlier versions wrote it."""
    return [*row[: len(COLUMNS)], *([dict(row.metrics)] if row.metrics else [])]


def _checked_row(row: Any) -> Epoch:
    """A row of the history, which others will compute with and print."""
    found = Epoch(*row)
    optional = ("accuracy", "validation_loss", "validation_accuracy")
    metrics = dict(found.metrics)
    for name, value in found.columns().items():
        if type(value) not in (int, float) and not (value is None and name in optional):
            raise ValueError(f"{name} in the history is {shown(value, 40)}")
    columns = found.columns()
    numbers = [None if columns[n] is None else float(columns[n]) for n in COLUMNS[1:]]  # type: ignore[arg-type]
    epoch = whole("The history", "epoch", found.epoch, least=1)
    measured = {str(name): float(value) for name, value in metrics.items()}
    return Epoch(epoch, *numbers, metrics=measured)  # type: ignore[arg-type, misc]


POSITIONS = {
    "pos": 624,
    "buffer_pos": 4,
}  # the most in MT19937 and Philox; beyond is foreign memory


def _checked_random(kept: Any, generator: Any) -> Any:
    """The state for a generator of random numbers, if it is one; NumPy does not check all of it."""
    state = _from_json(kept, generator.state)
    for place in (state, state.get("state")):
        for name, most in POSITIONS.items():
            if isinstance(place, dict) and not 0 <= place.get(name, 0) <= most:
                raise ValueError(f"the state of the random numbers has {name} {place[name]}")
    trial = copy.deepcopy(generator)
    trial.state = state
    if _as_json(trial.state) != _as_json(state):
        raise ValueError("the state of the random numbers is none")
    return state


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
