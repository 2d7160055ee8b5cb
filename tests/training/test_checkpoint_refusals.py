"""Checkpoints that no training goes on from: another training's, another backend's, forged ones."""

import json
import pathlib
from typing import Any

import numpy as np
import pytest
from blobs import problem
from checkpointed import refusal, train

from miniflow.errors import ModelFileError
from miniflow.files.arrays import read_arrays, sealed, write_arrays
from miniflow.optimizers import SGD, Adam
from miniflow.schedules import CosineDecay, StepDecay
from miniflow.training.callbacks import KeepBest
from miniflow.training.changes import BitsWarning, SettingsWarning, ThreadsWarning


def test_another_trainings_checkpoint_is_refused_and_says_what_differs(
    tmp_path: pathlib.Path,
) -> None:
    path = tmp_path / "c"
    train(problem(), path, 1)
    assert "belongs to another training. Its batch size: 16; now: 8" in refusal(path, batch_size=8)
    assert "Its optimizer: Adam; now: SGD" in refusal(path, optimizer=SGD(0.1))
    assert "Its schedule: CosineDecay" in refusal(path, optimizer=Adam(0.1))
    decay = Adam(StepDecay(0.1, every=3))
    assert "Its schedule: CosineDecay; now: StepDecay" in refusal(path, optimizer=decay)
    assert "Its callbacks: ['KeepBest']; now: []" in refusal(path, callbacks=[])
    assert "Its examples: 90; now: 60" in refusal(path, problem(count=60))
    generator = np.random.Generator(np.random.MT19937(0))
    assert "Its generator: PCG64; now: MT19937" in refusal(path, rng=generator)


def test_a_schedule_of_another_length_is_told_and_followed(tmp_path: pathlib.Path) -> None:
    path, p = tmp_path / "c", problem()
    train(problem(), path, 1, optimizer=Adam(CosineDecay(0.05, steps=6)))
    with pytest.warns(
        SettingsWarning, match=r"the schedule was CosineDecay.*steps=6.*is Cosine.*12"
    ):
        history = train(p, path, 2, optimizer=Adam(CosineDecay(0.05, steps=12)))
    assert history[1].learning_rate == pytest.approx(float(CosineDecay(0.05, steps=12)(11)))


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
    monkeypatch.setattr("miniflow.training.checkpoints.thread_count", lambda: 2)
    train(problem(), path, 1, backend="numpy")
    monkeypatch.setattr("miniflow.training.changes.thread_count", lambda: 64)
    with pytest.warns(ThreadsWarning, match="with 2 threads, and now there are 64"):
        history = train(p, path, 2, backend="numpy")
    assert len(history) == 2


def test_threads_count_for_nothing_where_bits_do_not_depend_on_them(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("llvmlite", reason="needs llvmlite (the extra `native`)")
    train(problem(), tmp_path / "c", 1, backend="native")
    assert "threads" not in read_arrays(tmp_path / "c", "checkpoint")[1]
    monkeypatch.setattr("miniflow.training.changes.thread_count", lambda: 64)
    assert len(train(problem(), tmp_path / "c", 2, backend="native")) == 2


def test_a_processor_on_which_the_bits_are_others_is_warned_about(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("llvmlite", reason="needs llvmlite (the extra `native`)")
    from miniflow.backends.native import processor

    path = tmp_path / "c"
    train(problem(), path, 1, backend="native")
    assert read_arrays(path, "checkpoint")[1]["same_bits_on"] == processor.same_bits_on()
    others = {processor.WITH_FMA: processor.WITHOUT_FMA, processor.WITHOUT_FMA: processor.WITH_FMA}
    other = others[processor.same_bits_on()]
    monkeypatch.setattr(processor, "same_bits_on", lambda: other)
    with pytest.warns(BitsWarning, match=f"now they are the same on {other}"):
        assert len(train(problem(), path, 2, backend="native")) == 2


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
