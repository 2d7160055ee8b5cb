"""Frozen parameters and groups of them in `fit`: the same bits after a resume, and what is told."""

import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from blobs import Problem, problem
from checkpointed import refusal, train, without_seconds

import miniflow as mf
from miniflow import layers
from miniflow.layers.summaries import summarize
from miniflow.training import Training
from miniflow.training.callbacks import Callback, ReduceLROnPlateau
from miniflow.training.changes import SettingsWarning


class Thaw(Callback):
    """Thaws the first layer, and freezes it again."""

    def on_train_begin(self, training: Training) -> None:
        if training.epoch == 0:
            training.parameters[0].trainable = False

    def on_epoch_end(self, training: Training) -> None:
        if training.epoch in (1, 3):
            training.parameters[0].trainable = training.epoch == 1


def groups(p: Problem) -> list[Any]:
    W1, b1, W2, b2 = p.parameters
    return [(mf.AdamW(0.02), [W2, W1]), (mf.SGD(0.1, momentum=0.5), [b1, b2])]


PARTS: dict[str, Callable[[Problem], dict[str, Any]]] = {
    "groups": lambda p: {"optimizer": groups(p)},
    "groups that are lowered": lambda p: {
        "optimizer": groups(p),
        "callbacks": [ReduceLROnPlateau("loss", 0.5, patience=1, min_delta=0.5)],
    },
    "some": lambda p: {"optimizer": mf.Adam(0.02), "parameters": p.parameters[2:]},
    "frozen": lambda p: (
        p.parameters[0].__setattr__("trainable", False) or {"optimizer": mf.Adam(0.02)}
    ),
    "thawed": lambda p: {"optimizer": mf.Adam(0.02), "callbacks": [Thaw()]},
}


@pytest.mark.breadth("epochs", "backend")
@pytest.mark.parametrize("backend", ["interpreter", "numpy"])
@pytest.mark.parametrize("epochs", [2, 4])
@pytest.mark.parametrize("what", PARTS)
def test_two_epochs_and_the_others_are_six(
    what: str, epochs: int, backend: str, tmp_path: pathlib.Path
) -> None:
    path = tmp_path / "checkpoint.safetensors"
    straight, parts = problem(), problem()
    history = train(straight, tmp_path / "other", 6, backend=backend, **PARTS[what](straight))
    train(parts, path, epochs, backend=backend, **PARTS[what](parts))
    parts = problem(seed=99)  # frozen ones, too, are those of the checkpoint
    resumed = train(parts, path, 6, backend=backend, **PARTS[what](parts))
    assert parts.bytes() == straight.bytes()
    assert without_seconds(resumed) == without_seconds(history)


def test_what_is_not_trained_stays_as_it_is() -> None:
    p = problem()
    before = [q.value.copy() for q in p.parameters]
    mf.fit(p.loss, p.data, mf.Adam(), parameters=p.parameters[2:], epochs=1, progress="none")
    same = [np.array_equal(q.value, old) for q, old in zip(p.parameters, before, strict=True)]
    assert same == [True, True, False, False]


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (lambda p: {"parameters": p.parameters[:1]}, "trained parameters"),
        (lambda p: {"optimizer": [(mf.Adam(0.02), p.parameters)]}, "optimizer"),
    ],
)
def test_a_checkpoint_of_other_parts_is_refused(
    options: Any, what: str, tmp_path: pathlib.Path
) -> None:
    path, p = tmp_path / "checkpoint.safetensors", problem()
    train(p, path, 2, optimizer=mf.Adam(0.02))
    p = problem()
    given = {"optimizer": mf.Adam(0.02)} | options(p)
    assert what in refusal(path, p, **given)


def test_a_checkpoint_of_other_groups_is_refused_and_flags_stay(tmp_path: pathlib.Path) -> None:
    path, p = tmp_path / "checkpoint.safetensors", problem()
    train(p, path, 2, optimizer=groups(p))
    p = problem()
    W1, b1, W2, b2 = p.parameters
    optimizers = mf.AdamW(0.02), mf.SGD(0.1, momentum=0.5)
    other = [(optimizers[0], [W2, b1]), (optimizers[1], [W1, b2])]
    assert "Its trained parameters" in refusal(path, p, optimizer=other)
    p, q = problem(), problem()
    train(p, path := tmp_path / "frozen", 2, **PARTS["frozen"](p))
    assert "frozen at first" in refusal(path, q, optimizer=mf.Adam(0.02))
    assert all(parameter.trainable for parameter in q.parameters)


def test_settings_of_a_group_that_change_are_told(tmp_path: pathlib.Path) -> None:
    path, p = tmp_path / "checkpoint.safetensors", problem()
    train(p, path, 1, optimizer=groups(p))
    given = groups(p)
    given[1][0].momentum, given[0][0].lr = 0.25, 0.5
    with pytest.warns(SettingsWarning, match=r"0\.lr was 0\.02.*1\.momentum was 0\.5 and is 0\.25"):
        train(p, path, 2, optimizer=given)
    assert given[0][0].lr == 0.02


def test_history_has_the_rate_of_the_first_group_and_each_is_lowered() -> None:
    p = problem()
    given = groups(p)
    lower = ReduceLROnPlateau("loss", 0.5, patience=1, min_delta=9.0)
    history = mf.fit(p.loss, p.data, given, epochs=3, callbacks=[lower], progress="none")
    assert [row.learning_rate for row in history] == [0.02, 0.02, 0.01]
    assert [optimizer.lr for optimizer, _ in given] == [0.005, 0.025]


def test_a_layer_is_frozen_before_it_is_built_and_after() -> None:
    X, y = layers.Input((4,)), mf.Input("y")
    body = layers.Sequential([layers.Dense(8, "relu"), layers.Dense(5)], rng=0)
    body.trainable = False
    head = layers.Dense(3, rng=1)
    logits = head(body(X))
    loss = mf.CrossEntropyWithSoftmax(logits, y)
    before = [p.value.copy() for p in body.parameters.values()]
    rng = np.random.default_rng(0)
    data = {X: rng.normal(size=(20, 4)).astype("f4"), y: rng.integers(0, 3, 20)}
    mf.fit(loss, data, mf.Adam(), epochs=1, progress="none")
    for old, now in zip(before, body.parameters.values(), strict=True):
        assert np.array_equal(old, now.value)
    assert summarize(logits).frozen == 4 * 8 + 8 + 8 * 5 + 5
    body.trainable = True
    assert summarize(logits).frozen == 0


def test_summary_says_what_is_frozen(capsys: pytest.CaptureFixture[str]) -> None:
    X = layers.Input((4,), name="X")
    hidden = layers.Dense(8)
    logits = layers.Dense(3)(hidden(X))
    hidden.trainable = False
    mf.summary(logits)
    header, _, first, second, total = capsys.readouterr().out.splitlines()
    assert "frozen" in header
    assert first.split()[-3:-1] == ["40", "40"]
    assert second.split()[-2:] == ["27", "51"]
    assert total.split()[1:3] == ["67", "40"]
