"""What `mf.TensorBoard` writes, TensorBoard's own reader reads."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import miniflow as mf
from miniflow.options import OptionError

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(40, 3)).astype("f4")
LABELS = (ROWS[:, 0] > 0).astype(int)


def train(folder: Path, epochs: int, **options: Any) -> mf.History:
    X, y = mf.Input("X"), mf.Input("y")
    W = mf.Parameter(np.zeros((3, 2), "f4"), "W")
    loss = mf.CrossEntropyWithSoftmax(X @ W, y)
    return mf.fit(
        loss, {X: ROWS[:30], y: LABELS[:30]}, mf.SGD(0.5), epochs=epochs, rng=0, progress="none",
        validation={X: ROWS[30:], y: LABELS[30:]}, metrics={"auc": mf.metrics.AUC()},
        callbacks=[mf.TensorBoard(folder)], **options,
    )  # fmt: skip


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    reading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    found = reading.EventAccumulator(str(folder))
    found.Reload()
    tags = found.Tags()["scalars"]
    return {tag: [(event.step, event.value) for event in found.Scalars(tag)] for tag in tags}


def assert_shows(folder: Path, history: mf.History) -> None:
    found = scalars(folder)
    columns = {"loss", "accuracy", "validation_loss", "validation_accuracy", "learning_rate"}
    assert found.keys() == columns | {"auc", "validation_auc"}
    for name, events in found.items():
        assert [step for step, _ in events] == [row.epoch for row in history]
        values = [row.columns()[name] for row in history]
        np.testing.assert_allclose([value for _, value in events], values, rtol=1e-6)


def test_columns_and_metrics_are_scalars_with_a_step_an_epoch(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    history = train(tmp_path / "new" / "folder", 3)
    assert_shows(tmp_path / "new" / "folder", history)


def test_a_resumed_training_goes_on_in_the_same_folder(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    checkpoint = tmp_path / "checkpoint.safetensors"
    train(tmp_path / "run", 2, checkpoint=checkpoint)
    whole = train(tmp_path / "run", 4, checkpoint=checkpoint, resume=True)
    assert len(whole) == 4
    assert_shows(tmp_path / "run", whole)


def test_without_the_package_the_way_to_it_is_told_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(OptionError, match=r"pip install 'miniflow-graphs\[tensorboard\]'"):
        train(tmp_path, 1)
    with pytest.raises(OptionError, match=r"TensorBoard: folder is the name of a file"):
        mf.TensorBoard(3)  # type: ignore[arg-type]
