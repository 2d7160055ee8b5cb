"""Training that is stopped, or killed, and goes on to the same bits."""

import builtins
import errno
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from blobs import Problem, problem

from miniflow.atomic import _temporary
from miniflow.callbacks import (
    Callback,
    EarlyStopping,
    KeepBest,
    ModelCheckpoint,
    ReduceLROnPlateau,
    TerminateOnNaN,
)
from miniflow.checkpoints import CheckpointWarning, ThreadsWarning, previous_path
from miniflow.errors import ModelFileError
from miniflow.files import read_arrays, sealed, write_arrays
from miniflow.history import History
from miniflow.optimizers import SGD, Adam, Optimizer, RMSprop
from miniflow.schedules import CosineDecay, OneCycle, StepDecay
from miniflow.training import Training, fit


def train(p: Problem, path: Any, epochs: int, **options: Any) -> History:
    """Some epochs, with a checkpoint at `path`, on from there if it exists."""
    settings: dict[str, Any] = {
        "optimizer": Adam(CosineDecay(0.05, steps=30)),
        "batch_size": 16,
        "validation": p.validation,
        "callbacks": [KeepBest("validation_loss")],
        "rng": 3,
        "progress": "none",
    }
    settings.update(options)
    return fit(p.loss, p.data, epochs=epochs, checkpoint=path, resume=True, **settings)


def without_seconds(history: History) -> list[Any]:
    return [row._replace(seconds=0.0) for row in history]


OPTIMIZERS = [
    lambda: SGD(0.1),
    lambda: SGD(CosineDecay(0.1, steps=24), momentum=0.9),
    lambda: Adam(0.02),
]


BACKENDS = ["interpreter", "numpy"]


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
from miniflow.callbacks import Callback, KeepBest
from test_checkpoints import train

class Kill(Callback):
    def on_batch_end(self, training):
        if training.epoch == 2 and training.rows_done == 48:
            os.kill(os.getpid(), signal.SIGKILL)

callbacks = [KeepBest("validation_loss"), Kill()]
train(problem(), sys.argv[1], 4, callbacks=callbacks, backend=sys.argv[2])
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_training_that_was_killed_goes_on_to_the_same_bits(
    backend: str, tmp_path: pathlib.Path
) -> None:
    path, here = tmp_path / "checkpoint.safetensors", pathlib.Path(__file__).parent
    source = os.pathsep.join([str(here), str(here.parent / "src"), *sys.path])
    killed = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(path), backend],
        env={**os.environ, "PYTHONPATH": source},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
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


def test_the_checkpoint_before_is_kept_and_serves_if_the_last_is_damaged(
    tmp_path: pathlib.Path,
) -> None:
    path = tmp_path / "checkpoint.safetensors"
    straight, parts = problem(), problem()
    train(straight, tmp_path / "straight", 4)
    train(parts, path, 3)
    whole = path.read_bytes()
    for damaged in (whole[:-100], b"", whole[:-1] + b"\x7f", bytes(len(whole))):
        path.write_bytes(damaged)
        told = r"checkpoint\.safetensors: is damaged.* The checkpoint before it, .* of epoch 2, is"
        with pytest.warns(CheckpointWarning, match=told):
            history = train(parts, path, 3)
        assert len(history) == 3
    path.write_bytes(whole)
    train(parts, path, 4)
    assert parts.bytes() == straight.bytes()
    path.unlink()  # as if killed between moving the last one aside and writing the next
    again = problem()
    with pytest.warns(CheckpointWarning, match="is not there. The checkpoint before it.*epoch 3"):
        train(again, path, 4)
    assert again.bytes() == straight.bytes()


def test_a_damaged_checkpoint_never_takes_the_place_of_a_whole_one(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    train(problem(), path, 3)
    kept = previous_path(path).read_bytes()
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.warns(CheckpointWarning):
        train(problem(), path, 3)
    assert previous_path(path).read_bytes() == kept
    for _ in range(2):  # the one written now is whole, and so is the one before
        path.unlink()
        with pytest.warns(CheckpointWarning, match="of epoch 2, is used"):
            train(problem(), path, 3)


def test_two_damaged_checkpoints_are_both_told_and_change_nothing(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    train(problem(), path, 2)
    for place in (path, previous_path(path)):
        place.write_bytes(place.read_bytes()[:-9])
    told = refusal(path)
    assert told.count("is damaged") == 2
    assert f"And the checkpoint before it: {previous_path(path)}" in told


def test_a_flipped_bit_anywhere_in_a_checkpoint_is_told(tmp_path: pathlib.Path) -> None:
    path, p = tmp_path / "c", problem()
    train(p, path, 1)
    whole, draw = path.read_bytes(), random.Random(7)
    for _ in range(40):
        place = draw.randrange(8 * len(whole))
        flipped = bytearray(whole)
        flipped[place // 8] ^= 1 << place % 8
        path.write_bytes(flipped)
        assert "is " in refusal(path, p)


def no_space_left(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("step", ["open", "fsync", "replace"])
def test_a_full_disk_costs_no_checkpoint_and_says_so(
    step: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "checkpoint.safetensors"
    straight, parts = problem(), problem()
    train(straight, tmp_path / "straight", 4)
    train(parts, path, 3)
    before = {place: place.read_bytes() for place in (path, previous_path(path))}
    if step == "open":
        opening = builtins.open
        full = lambda name, mode="r", *rest: (  # noqa: E731
            no_space_left() if "x" in mode else opening(name, mode, *rest)
        )
        monkeypatch.setattr("miniflow.atomic.open", full, raising=False)
    else:
        monkeypatch.setattr(os, step, no_space_left)
    with pytest.raises(OSError, match="No space left") as caught:
        train(parts, path, 4)
    monkeypatch.undo()
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(path))
    assert caught.value.strerror.endswith("; the checkpoint of epoch 3 is as it was")
    assert {place: place.read_bytes() for place in tmp_path.glob("checkpoint*")} == before
    assert not list(tmp_path.glob(".*"))
    resumed = problem()
    train(resumed, path, 4)
    assert resumed.bytes() == straight.bytes()


def test_a_full_disk_between_the_two_renames_puts_the_last_one_back(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, replace, calls = tmp_path / "c", os.replace, []

    def second_fails(source: Any, target: Any) -> None:
        calls.append(target)
        if len(calls) == 2:
            no_space_left()
        replace(source, target)

    train(problem(), path, 2)
    kept = path.read_bytes()
    monkeypatch.setattr(os, "replace", second_fails)
    with pytest.raises(OSError, match="the checkpoint of epoch 2 is as it was"):
        train(problem(), path, 3)
    monkeypatch.undo()
    assert path.read_bytes() == kept


def test_a_full_disk_at_the_first_checkpoint_says_that_there_is_none(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", no_space_left)
    with pytest.raises(OSError, match="No space left on device; there is no checkpoint"):
        train(problem(), tmp_path / "c", 1)


def test_a_callback_that_cannot_write_says_what_is_left_too(tmp_path: pathlib.Path) -> None:
    class Diary(Callback):
        def on_epoch_end(self, training: Training) -> None:
            if training.epoch == 3:
                raise OSError(errno.EIO, "Input/output error", "diary.txt")

    with pytest.raises(OSError, match=r"error; the checkpoint of epoch 2 is as it was"):
        train(problem(), tmp_path / "c", 4, callbacks=[Diary()])


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX permissions")
def test_an_unwritable_folder_costs_no_checkpoint_and_says_so(tmp_path: pathlib.Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    path = tmp_path / "c"
    train(problem(), path, 2)
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(PermissionError, match="the checkpoint of epoch 2 is as it was"):
            train(problem(), path, 3)
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.skipif(find_spec("resource") is None, reason="this system has no limit on file sizes")
def test_a_limit_on_file_sizes_costs_no_checkpoint(tmp_path: pathlib.Path) -> None:
    import resource

    path = tmp_path / "c"
    train(problem(), path, 2)
    kept, limits = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(kept) // 2, limits[1]))
    try:
        with pytest.raises(OSError, match="the checkpoint of epoch 2 is as it was"):
            train(problem(), path, 3)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == kept
    assert not list(tmp_path.glob(".*"))


def test_what_a_killed_training_left_half_written_is_removed(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "c"
    train(problem(), path, 1)
    names = [_temporary(str(place)) + "0123.part" for place in (path, tmp_path / "other")]
    for name in names:
        pathlib.Path(name).write_bytes(b"half")
    train(problem(), path, 2)
    assert [os.path.exists(name) for name in names] == [False, True]


@pytest.mark.skipif(not hasattr(os, "symlink") or os.name == "nt", reason="needs symbolic links")
def test_a_checkpoint_may_be_a_link_to_another_disk(tmp_path: pathlib.Path) -> None:
    (tmp_path / "disk").mkdir()
    link = tmp_path / "c"
    link.symlink_to(tmp_path / "disk" / "c")
    train(problem(), link, 2)
    assert link.is_symlink()
    assert sorted(p.name for p in (tmp_path / "disk").iterdir()) == ["c", "c.previous"]
    (tmp_path / "disk" / "c").unlink()
    with pytest.warns(CheckpointWarning, match="of epoch 1"):
        assert len(train(problem(), link, 2)) == 2


def test_the_same_training_gives_the_same_checkpoint(tmp_path: pathlib.Path) -> None:
    written = []
    for name in "ab":
        train(problem(), tmp_path / name, 2)
        arrays, about = read_arrays(tmp_path / name, "checkpoint")
        for row in about["history"]:
            row[5] = 0.0  # the seconds
        written.append(sealed(arrays, about))
    assert written[0] == written[1]


def test_without_resume_a_training_starts_anew(tmp_path: pathlib.Path) -> None:
    p, path = problem(), tmp_path / "c"
    train(p, path, 2)
    history = fit(p.loss, p.data, SGD(0.1), epochs=1, checkpoint=path, progress="none")
    assert [row.epoch for row in history] == [1]


def refusal(path: pathlib.Path, p: Problem | None = None, **options: Any) -> str:
    p = p or problem()
    before = p.bytes()
    with pytest.raises(ModelFileError) as caught:
        train(p, path, 4, **options)
    assert p.bytes() == before
    return str(caught.value)


def test_another_trainings_checkpoint_is_refused_and_says_what_differs(
    tmp_path: pathlib.Path,
) -> None:
    path = tmp_path / "c"
    train(problem(), path, 1)
    assert "belongs to another training. Its batch size: 16; now: 8" in refusal(path, batch_size=8)
    assert "Its optimizer: Adam; now: SGD" in refusal(path, optimizer=SGD(0.1))
    assert "Its schedule: CosineDecay" in refusal(path, optimizer=Adam(0.1))
    assert "Its callbacks: ['KeepBest']; now: []" in refusal(path, callbacks=[])
    assert "Its examples: 90; now: 60" in refusal(path, problem(count=60))
    generator = np.random.Generator(np.random.MT19937(0))
    assert "Its generator: PCG64; now: MT19937" in refusal(path, rng=generator)


def test_another_backend_is_refused_and_auto_takes_the_same(tmp_path: pathlib.Path) -> None:
    path, straight, resumed = tmp_path / "c", problem(), problem()
    train(straight, tmp_path / "straight", 2, backend="interpreter")
    train(problem(), path, 1, backend="interpreter")
    assert "Its backend: interpreter; now: numpy" in refusal(path, backend="numpy")
    train(resumed, path, 2, backend="auto")
    assert resumed.bytes() == straight.bytes()


def test_another_number_of_threads_is_warned_about(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, p = tmp_path / "c", problem()
    monkeypatch.setattr("miniflow.checkpoints.thread_count", lambda: 2)
    train(problem(), path, 1)
    monkeypatch.setattr("miniflow.checkpoints.thread_count", lambda: 64)
    with pytest.warns(ThreadsWarning, match="with 2 threads, and now there are 64"):
        history = train(p, path, 2)
    assert len(history) == 2


def test_momentum_and_none_are_not_taken_for_each_other(tmp_path: pathlib.Path) -> None:
    train(problem(), tmp_path / "c", 1, optimizer=SGD(0.1, momentum=0.9))
    assert "Its arrays" in refusal(tmp_path / "c", optimizer=SGD(0.1))


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: pathlib.Path) -> None:
    from safetensors.numpy import save_file

    path = tmp_path / "c"
    path.write_bytes(b"")
    assert "damaged" in refusal(path)
    path.write_bytes(b"not a checkpoint at all")
    assert "damaged" in refusal(path)
    save_file({"a": np.zeros(3)}, path)
    assert "was not written by miniflow" in refusal(path)
    save_file({"a": np.zeros(3)}, path, {"miniflow": json.dumps({"kind": "model"})})
    assert "is a model and not a checkpoint" in refusal(path)
    save_file({"a": np.zeros(3)}, path, {"miniflow": json.dumps({"kind": "checkpoint"})})
    assert "its checksum is not" in refusal(path)
    path.write_bytes(sealed({"a": np.zeros(3)}, {"kind": "checkpoint"}))
    assert "belongs to another training" in refusal(path)


FORGED: dict[str, Any] = {
    **{f"no {key}": {key: ...} for key in ("epoch", "history", "rng", "states", "lr", "stop")},
    "an epoch below zero": {"epoch": -1},
    "an epoch that is text": {"epoch": "3"},
    "a history of text": {"history": [["1", "2", "3", "4", "5", "6", "7"]]},
    "a row too short": {"history": [[1, 0.5]]},
    "a row without a loss": {"history": [[1, None, None, None, None, 0.1, 0.1]]},
    "a number too large": {"history": [[1, 10**400, None, None, None, 0.1, 0.1]]},
    "no history at all": {"history": 7},
    "a learning rate that is text": {"lr": "0.1"},
    "a learning rate below zero": {"lr": -1.0},
    "random numbers without a state": {"rng": {"state": {}}},
    "random numbers of a state too large": {"rng": {"state": {"state": 2**200, "inc": 1}}},
    "random numbers that are a list": {"rng": [1, 2]},
    "states of nobody": {"states": []},
    "states that are none": {"states": [7]},
    "a best value that is text": {"states": [{"best": "high", "epoch": 1}]},
    "a best value too large": {"states": [{"best": 10**400, "epoch": 1}]},
    "a best epoch that is text": {"states": [{"best": 0.5, "epoch": "one"}]},
    "best parameters that are none": {"states": [{"best": 0.5, "epoch": 1, "9": 3}]},
}


@pytest.mark.parametrize("what", FORGED)
def test_a_forged_checkpoint_with_a_right_checksum_changes_nothing(
    what: str, tmp_path: pathlib.Path
) -> None:
    path, p, best = tmp_path / "c", problem(), KeepBest("validation_loss")
    train(p, path, 1)
    arrays, about = read_arrays(path, "checkpoint")
    del about["kind"]
    for key, value in FORGED[what].items():
        about[key] = about[key] | value if isinstance(value, dict) and key == "rng" else value
        if value is ...:
            del about[key]
    write_arrays(path, "checkpoint", arrays, about)
    rng = np.random.default_rng(3)
    state = rng.bit_generator.state
    assert "is damaged" in refusal(path, rng=rng, callbacks=[best])
    assert rng.bit_generator.state == state
    assert best.state() == {"best": None, "epoch": 0}


@pytest.mark.parametrize(
    ("generator", "place", "beyond"),
    [(np.random.MT19937, ("state", "pos"), 700), (np.random.Philox, ("buffer_pos",), -8)],
)
def test_random_numbers_are_never_taken_from_foreign_memory(
    generator: Any, place: tuple[str, ...], beyond: int, tmp_path: pathlib.Path
) -> None:
    path = tmp_path / "c"
    train(problem(), path, 1, rng=np.random.Generator(generator(1)))
    arrays, about = read_arrays(path, "checkpoint")
    del about["kind"]
    state = about["rng"]
    for key in place[:-1]:
        state = state[key]
    state[place[-1]] = beyond
    write_arrays(path, "checkpoint", arrays, about)
    told = refusal(path, rng=np.random.Generator(generator(1)))
    assert f"{place[-1]} {beyond}" in told


def test_best_parameters_of_another_network_are_refused(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "c"
    train(problem(), path, 1)
    arrays, about = read_arrays(path, "checkpoint")
    del about["kind"]
    arrays["callback.0.0"] = np.zeros((9, 9), np.float32)
    write_arrays(path, "checkpoint", arrays, about)
    with pytest.raises(ModelFileError, match="of the best epoch are not those of this training"):
        train(problem(), path, 2)


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
