"""A training that goes on from a checkpoint reaches the bits of one that was never stopped."""

import copy
import pathlib
from typing import Any

import numpy as np
import pytest
from blobs import Problem, problem
from checkpointed import refusal, train, without_seconds
from forked import needs_kill, run_until_killed

from miniflow.optimizers import SGD, Adam, AdamW, Optimizer, RMSprop
from miniflow.schedules import CosineDecay, OneCycle, StepDecay
from miniflow.training import Training, fit
from miniflow.training.callbacks import (
    Callback,
    EarlyStopping,
    KeepBest,
    ModelCheckpoint,
    ReduceLROnPlateau,
    TerminateOnNaN,
)
from miniflow.training.changes import SettingsWarning

OPTIMIZERS = [
    lambda: SGD(0.1),
    lambda: SGD(CosineDecay(0.1, steps=24), momentum=0.9),
    lambda: Adam(0.02),
]


BACKENDS = ["interpreter", "numpy"]


@pytest.mark.breadth("generator", "backend")
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("make", OPTIMIZERS)
@pytest.mark.parametrize("generator", [np.random.PCG64, np.random.MT19937, np.random.SFC64])
def test_two_and_two_epochs_are_four(
    make: Any, generator: Any, backend: str, tmp_path: pathlib.Path
) -> None:
    path = tmp_path / "checkpoint.safetensors"
    straight, parts = problem(), problem()
    options = [
        {"optimizer": make(), "rng": np.random.Generator(generator(8)), "backend": backend}
        for _ in range(3)
    ]
    history = train(straight, tmp_path / "other", 4, **options[0])
    train(parts, path, 2, **options[1])
    parts = problem(seed=99)  # whatever the parameters are, the checkpoint's take their place
    resumed = train(parts, path, 4, **options[2])
    assert parts.bytes() == straight.bytes()
    assert without_seconds(resumed) == without_seconds(history)


EVERYTHING: dict[str, Any] = {
    "step decay": lambda: {"optimizer": SGD(StepDecay(0.2, every=9), momentum=0.9)},
    "cosine with warm-up": lambda: {"optimizer": Adam(CosineDecay(0.05, steps=30, warmup=8))},
    "one cycle": lambda: {"optimizer": SGD(OneCycle(0.3, steps=24), momentum=0.9)},
    "on plateau": lambda: {
        "optimizer": SGD(0.1, momentum=0.9),
        "callbacks": [ReduceLROnPlateau("loss", 0.5, patience=1, min_delta=0.2, cooldown=1)],
    },
    "clipnorm": lambda: {"optimizer": Adam(0.02, clipnorm=0.01)},
    "global_clipnorm": lambda: {"optimizer": RMSprop(0.02, global_clipnorm=0.1)},
    "clipvalue": lambda: {"optimizer": SGD(0.2, momentum=0.9, clipvalue=0.02)},
    "early stopping": lambda: {
        "optimizer": SGD(1.5, momentum=0.9),
        "callbacks": [EarlyStopping("validation_loss", patience=2), TerminateOnNaN()],
    },
}


@pytest.mark.breadth("backend")
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("what", EVERYTHING)
def test_a_training_goes_on_to_the_same_bits_with(
    what: str, backend: str, tmp_path: pathlib.Path
) -> None:
    straight, parts = problem(), problem()
    history = train(straight, tmp_path / "a", 5, backend=backend, **EVERYTHING[what]())
    for epochs in (1, 2, 5):
        parts = problem(seed=epochs - 1)  # what a checkpoint has takes its place
        resumed = train(parts, tmp_path / "b", epochs, backend=backend, **EVERYTHING[what]())
    assert without_seconds(resumed) == without_seconds(history)
    assert parts.bytes() == straight.bytes()


def test_a_model_checkpoint_remembers_the_best_over_a_restart(tmp_path: pathlib.Path) -> None:
    options: dict[str, Any] = {"optimizer": SGD(1.5, momentum=0.9)}
    for name, stops in (("straight", [6]), ("parts", [1, 3, 6])):
        for epochs in stops:
            best = ModelCheckpoint(tmp_path / f"{name}.safetensors", save_best_only=True)
            options = {"optimizer": SGD(1.5, momentum=0.9), "callbacks": [best]}
            train(problem(), tmp_path / f"{name}.checkpoint", epochs, **options)
    models = [(tmp_path / f"{name}.safetensors").read_bytes() for name in ("straight", "parts")]
    assert models[0] == models[1]
    assert best.saved == str(tmp_path / "parts.safetensors")


def test_another_clipping_is_another_training(tmp_path: pathlib.Path) -> None:
    train(problem(), tmp_path / "c", 1, optimizer=SGD(0.1, clipnorm=1.0))
    told = refusal(tmp_path / "c", optimizer=SGD(0.1))
    assert "Its clipping: {'clipnorm': 1.0}; now: {}" in told


def test_data_that_a_function_makes_go_on_to_the_same_bits(tmp_path: pathlib.Path) -> None:
    def run(path: pathlib.Path, *stops: int) -> Problem:
        for epochs in stops:
            p = problem()
            fit(
                p.loss,
                lambda rng, p=p: p.data.batches(16, rng),
                SGD(0.1, momentum=0.9),
                epochs=epochs,
                rng=3,
                checkpoint=path,
                resume=True,
                progress="none",
            )
        return p

    assert run(tmp_path / "a", 4).bytes() == run(tmp_path / "b", 1, 4).bytes()


def test_parameters_come_back_even_if_the_best_ones_were_put_back_at_the_end(
    tmp_path: pathlib.Path,
) -> None:
    straight, parts = problem(), problem()
    fast: dict[str, Any] = {"callbacks": [KeepBest("validation_loss")]}
    train(straight, tmp_path / "a", 6, optimizer=SGD(1.5, momentum=0.9), **fast)
    for epochs in (3, 4, 6):
        fast = {"callbacks": [KeepBest("validation_loss")]}
        train(parts, tmp_path / "b", epochs, optimizer=SGD(1.5, momentum=0.9), **fast)
    assert parts.bytes() == straight.bytes()


SCRIPT = """
import os, signal, sys
from blobs import problem
from miniflow.training.callbacks import Callback, KeepBest
from checkpointed import train

class Kill(Callback):
    def on_batch_end(self, training):
        if training.epoch == 2 and training.rows_done == 48:
            os.kill(os.getpid(), signal.SIGKILL)

callbacks = [KeepBest("validation_loss"), Kill()]
train(problem(), sys.argv[1], 4, callbacks=callbacks, backend=sys.argv[2])
"""


@pytest.mark.breadth("backend")
@needs_kill
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_training_that_was_killed_goes_on_to_the_same_bits(
    backend: str, tmp_path: pathlib.Path
) -> None:
    path = tmp_path / "checkpoint.safetensors"
    run_until_killed(SCRIPT, pathlib.Path(__file__).parent, path, backend)
    straight, resumed = problem(), problem()
    train(straight, tmp_path / "straight", 4, backend=backend)
    train(resumed, path, 4, backend=backend)
    assert resumed.bytes() == straight.bytes()


def test_a_finished_training_is_left_as_it_is(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "c"
    first, again = problem(), problem()
    history = train(first, path, 3)
    written = path.read_bytes()
    assert list(train(again, path, 3)) == list(history)
    assert again.bytes() == first.bytes()
    assert path.read_bytes() == written


def test_early_stopping_remembers_how_long_it_has_waited(tmp_path: pathlib.Path) -> None:
    def stopping() -> dict[str, Any]:
        return {"callbacks": [EarlyStopping("validation_loss", 3)], "optimizer": SGD(4.0, 0.9)}

    straight, parts = problem(), problem()
    history = train(straight, tmp_path / "a", 30, **stopping())
    assert len(history) < 30
    train(parts, tmp_path / "b", len(history) - 2, **stopping())
    assert len(train(parts, tmp_path / "b", 30, **stopping())) == len(history)
    assert parts.bytes() == straight.bytes()
    assert len(train(problem(), tmp_path / "b", 40, **stopping())) == len(history)  # it has stopped


def test_a_learning_rate_that_a_callback_has_lowered_stays_lowered(tmp_path: pathlib.Path) -> None:
    class Halve(Callback):
        def on_epoch_end(self, training: Training) -> None:
            training.optimizer.lr /= 2

    straight, parts = problem(), problem()
    train(straight, tmp_path / "a", 4, optimizer=SGD(0.4), callbacks=[Halve()])
    train(parts, tmp_path / "b", 2, optimizer=SGD(0.4), callbacks=[Halve()])
    history = train(parts, tmp_path / "b", 4, optimizer=SGD(0.4), callbacks=[Halve()])
    assert [row.learning_rate for row in history] == [0.4, 0.2, 0.1, 0.05]
    assert parts.bytes() == straight.bytes()


def test_without_resume_a_training_starts_anew(tmp_path: pathlib.Path) -> None:
    p, path = problem(), tmp_path / "c"
    train(p, path, 2)
    history = fit(p.loss, p.data, SGD(0.1), epochs=1, checkpoint=path, progress="none")
    assert [row.epoch for row in history] == [1]


def test_a_folder_that_is_not_there_is_told_before_the_first_epoch(tmp_path: pathlib.Path) -> None:
    p = problem()
    before = p.bytes()
    with pytest.raises(FileNotFoundError, match="missing"):
        train(p, tmp_path / "missing" / "c", 1)
    assert p.bytes() == before


def test_user_defined_optimizers_are_kept_too(tmp_path: pathlib.Path) -> None:
    class Mine(Optimizer):
        slots = ("trace",)

        def _move(self, value: Any, grad: Any, lr: Any, *kept: Any) -> None:
            (trace,) = kept
            trace *= 0.5
            trace += grad
            value -= lr * trace

    straight, parts = problem(), problem()
    train(straight, tmp_path / "a", 3, optimizer=Mine(0.1))
    train(parts, tmp_path / "b", 1, optimizer=Mine(0.1))
    train(parts, tmp_path / "b", 3, optimizer=Mine(0.1))
    assert parts.bytes() == straight.bytes()


# --- Other settings than the training was begun with

SETTINGS: dict[str, tuple[Optimizer, Optimizer, str]] = {
    "lr": (SGD(0.1), SGD(0.5), "lr was 0.1 and stays so, 0.5 is not used"),
    "momentum": (
        SGD(0.1, momentum=0.9),
        SGD(0.1, momentum=0.5),
        "momentum was 0.9 and is 0.5 from here on",
    ),
    "nesterov": (
        SGD(0.1, momentum=0.9),
        SGD(0.1, momentum=0.9, nesterov=True),
        "nesterov was False and is True from here on",
    ),
    "weight_decay": (
        AdamW(0.1),
        AdamW(0.1, weight_decay=0.5),
        "weight_decay was 0.01 and is 0.5 from here on",
    ),
    "rho": (RMSprop(0.1), RMSprop(0.1, rho=0.5), "rho was 0.9 and is 0.5 from here on"),
    "several": (
        Adam(0.1),
        Adam(0.2, beta_1=0.8, beta_2=0.9, epsilon=1e-3),
        "lr was 0.1 and stays so, 0.2 is not used; beta_1 was 0.9 and is 0.8 from here on; "
        "beta_2 was 0.999 and is 0.9 from here on; epsilon was 1e-08 and is 0.001 from here on",
    ),
}


@pytest.mark.breadth("what")
@pytest.mark.parametrize("what", SETTINGS)
def test_settings_that_differ_are_told_in_one_warning_with_the_one_that_holds(
    what: str, tmp_path: pathlib.Path
) -> None:
    begun, given, told = SETTINGS[what]
    path, p = tmp_path / "c", problem()
    rates = [
        row.learning_rate for row in train(p, path, 1, optimizer=copy.deepcopy(begun), callbacks=[])
    ]
    with pytest.warns(SettingsWarning) as warned:
        history = train(p, path, 3, optimizer=copy.deepcopy(given), callbacks=[])
    name = type(begun).__name__
    assert [str(w.message) for w in warned] == [
        f"{path}: the training was begun with other settings of {name}: {told}."
    ]
    assert [row.learning_rate for row in history] == rates * 3
    again = train(p, path, 4, optimizer=type(given)(**{**_options(given), "lr": 0.1}), callbacks=[])
    assert len(again) == 4  # and it is told once


def _options(optimizer: Optimizer) -> dict[str, Any]:
    hidden = ("state", "slots", "_lr")
    return {name: value for name, value in vars(optimizer).items() if name not in hidden}


def test_a_learning_rate_that_a_callback_has_lowered_is_no_other_setting(
    tmp_path: pathlib.Path,
) -> None:
    path, optimizer = tmp_path / "c", SGD(0.1)
    options: dict[str, Any] = {
        "callbacks": [ReduceLROnPlateau("loss", 0.5, patience=1, min_delta=1e9)]
    }
    train(problem(), path, 3, optimizer=optimizer, **options)
    assert optimizer.lr == 0.025
    train(problem(), path, 4, optimizer=optimizer, **options)  # the very same
    train(problem(), path, 5, optimizer=SGD(0.1), **options)  # as it was begun
    with pytest.warns(SettingsWarning, match=r"lr was 0\.1, 0\.00625 by now, and stays so, 0\.7 "):
        train(problem(), path, 6, optimizer=SGD(0.7), **options)
