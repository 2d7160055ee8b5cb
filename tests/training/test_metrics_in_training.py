"""Metrics in `fit` and `evaluate`: in the history and its file, the progress, monitors and
checkpoints, over the whole set.
"""

import copy
import csv
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import miniflow as mf
from miniflow import metrics
from miniflow.backends import COMPARE, RUN, names
from miniflow.errors import DataError
from miniflow.options import OptionError

RNG = np.random.default_rng(3)
X_ = RNG.normal(size=(90, 4)).astype("f4")
Y_ = (X_ @ [1.0, -1.0, 0.5, 0.0] + RNG.normal(size=90) > 0).astype(int)
SHARE = RNG.random(90).round(2)
EVERY = {
    "top": metrics.TopK(1),
    "auc": metrics.AUC(),
    "f1": metrics.F1(),
    "precision": metrics.Precision(),
    "recall": metrics.Recall(),
    "share": metrics.Accuracy(),
}


class Problem:
    def __init__(self) -> None:
        self.X, self.y = mf.Input("X"), mf.Input("y")
        rng = np.random.default_rng(0)
        self.W = mf.Parameter(rng.normal(size=(4, 2)).astype("f4"), "W")
        self.logits = mf.Linear(self.X, self.W, mf.Parameter(np.zeros(2, "f4"), "b"))
        self.loss = mf.CrossEntropyWithSoftmax(self.logits, self.y)
        self.data = {self.X: X_[:60], self.y: Y_[:60]}
        self.rest = {self.X: X_[60:], self.y: Y_[60:]}

    def fit(self, **options: Any) -> mf.History:
        defaults = {"epochs": 3, "batch_size": 16, "rng": 1, "progress": "none"}
        return mf.fit(self.loss, self.data, mf.SGD(0.1), **{**defaults, **options})

    def scores(self) -> Any:
        return mf.value(self.logits, {self.X: X_[60:]})


@pytest.mark.parametrize("backend", ["interpreter", *sorted(names(RUN))])
def test_metrics_of_the_validation_are_those_of_the_whole_set(backend: str) -> None:
    p = Problem()
    history = p.fit(metrics=EVERY, validation=p.rest, backend=backend)
    assert list(history[-1].metrics) == [*EVERY, *(f"validation_{name}" for name in EVERY)]
    for name, metric in EVERY.items():
        expected = metric(p.scores(), Y_[60:])
        assert getattr(history[-1], f"validation_{name}") == pytest.approx(expected, rel=1e-6)
    assert history[-1].share == history[-1].accuracy == history[-1].metrics["top"]
    assert history[-1].validation_share == history[-1].validation_accuracy


@pytest.mark.parametrize("backend", ["interpreter", *sorted(names(RUN, COMPARE))])
@pytest.mark.parametrize("batch_size", [7, 1000])
def test_evaluate_has_metrics_by_name_and_not_by_the_batch(batch_size: int, backend: str) -> None:
    if backend not in ("interpreter", *names(RUN)):
        pytest.skip("it runs no evaluation")
    p = Problem()
    result = mf.evaluate(p.loss, p.rest, metrics=EVERY, batch_size=batch_size, backend=backend)
    loss, accuracy = result
    assert (loss, accuracy) == (result.loss, result.accuracy)
    for name, metric in EVERY.items():
        assert result.metrics[name] == pytest.approx(metric(p.scores(), Y_[60:]), rel=1e-6)
    assert mf.evaluate(p.loss, p.rest).metrics == {}
    assert pickle.loads(pickle.dumps(result)).metrics == result.metrics
    assert copy.deepcopy(result).metrics == result.metrics
    assert "auc" in repr(result)


def test_metrics_of_an_epoch_are_of_what_the_steps_saw() -> None:
    p = Problem()
    seen: list[Any] = []

    class Watch(mf.Callback):
        def on_batch_end(self, training: Any) -> None:
            seen.append(training.rows)

    history = mf.fit(
        p.loss, p.data, mf.SGD(0.0), metrics=EVERY, epochs=1, batch_size=7, rng=0,
        progress="none", callbacks=[Watch()],
    )  # fmt: skip
    scores = mf.value(p.logits, {p.X: X_[:60]})
    assert len(seen) == 9
    for name, metric in EVERY.items():
        assert history[0].metrics[name] == pytest.approx(metric(scores, Y_[:60]), rel=1e-6)


def test_history_csv_and_progress_have_a_column_for_each(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    p = Problem()
    path = tmp_path / "history.csv"
    history = p.fit(
        metrics={"auc": metrics.AUC()}, validation=p.rest, callbacks=[mf.CSVLogger(path)],
        progress="lines",
    )  # fmt: skip
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert list(rows[0])[-2:] == ["auc", "validation_auc"]
    assert [float(row["validation_auc"]) for row in rows] == [e.validation_auc for e in history]
    shown = capsys.readouterr().out.splitlines()
    assert "val. auc" in shown[0]
    assert f"{history[-1].validation_auc:.4f}" in shown[-1]
    assert history[-1].columns()["auc"] == history[-1].auc
    with pytest.raises(AttributeError, match=r"no column 'f1'; it has epoch, .*, auc, validation"):
        history[-1].f1  # noqa: B018


def test_monitors_go_by_a_metric_and_by_what_is_best_of_it() -> None:
    p, t = Problem(), mf.Input("t")
    targets = np.sin(X_[:, :2] * 3)
    loss = mf.MSE(p.logits, t)
    highest, lowest = mf.KeepBest("validation_r2"), mf.KeepBest("validation_mae")
    history = mf.fit(
        loss, {p.X: X_[:60], t: targets[:60]}, mf.SGD(0.9), epochs=6, rng=0, progress="none",
        metrics={"r2": metrics.R2(), "mae": metrics.MAE()},
        validation={p.X: X_[60:], t: targets[60:]}, callbacks=[highest, lowest],
    )  # fmt: skip
    assert highest.best == max(row.validation_r2 for row in history)
    assert lowest.best == min(row.validation_mae for row in history)


def test_checkpoints_and_early_stopping_and_plateaus_go_by_a_metric(tmp_path: Path) -> None:
    p = Problem()
    path = tmp_path / "{epoch}-{validation_auc:.3f}.safetensors"
    saving = mf.ModelCheckpoint(path, "validation_auc", save_best_only=True)
    stopping = mf.EarlyStopping("auc", patience=2)
    plateau = mf.ReduceLROnPlateau("validation_auc", patience=1)
    history = p.fit(
        metrics={"auc": metrics.AUC()}, validation=p.rest, epochs=9,
        callbacks=[saving, stopping, plateau],
    )  # fmt: skip
    assert saving.saved is not None
    assert f"{saving.best:.3f}" in saving.saved
    assert len(history) <= stopping.epoch + 2
    with pytest.raises(OptionError, match=r"cannot be filled in \(KeyError: 'validation_f1'\)"):
        p.fit(callbacks=[mf.ModelCheckpoint(tmp_path / "{validation_f1}")])


def test_a_monitor_of_what_was_not_asked_for_is_told_before_the_first_step() -> None:
    p = Problem()
    before = p.W.value.copy()
    for callback in (mf.EarlyStopping("validation_auc"), mf.KeepBest("f1")):
        with pytest.raises(OptionError, match=r"monitor is one of loss, .*, share, validation_sha"):
            p.fit(metrics={"share": metrics.Accuracy()}, callbacks=[callback])
    assert (p.W.value == before).all()
    with pytest.raises(OptionError, match=r"monitors validation_share: for that, fit needs valid"):
        p.fit(metrics={"share": metrics.Accuracy()}, callbacks=[mf.KeepBest("validation_share")],
              epochs=1)  # fmt: skip
    with pytest.raises(OptionError, match="monitor is one of loss, accuracy"):
        mf.KeepBest("val_loss")


def test_a_training_that_is_resumed_keeps_its_metrics(tmp_path: Path) -> None:
    def train(epochs: int, name: str, resume: bool = False) -> tuple[mf.History, Any]:
        p = Problem()
        keep = mf.KeepBest("validation_auc")
        history = p.fit(
            metrics=EVERY, validation=p.rest, epochs=epochs, callbacks=[keep],
            checkpoint=tmp_path / name, resume=resume,
        )  # fmt: skip
        return history, keep

    whole, kept = train(5, "whole.safetensors")
    train(2, "parts.safetensors")
    parts, kept_too = train(5, "parts.safetensors", resume=True)
    assert [row.metrics for row in whole] == [row.metrics for row in parts]
    assert (kept.best, kept.epoch) == (kept_too.best, kept_too.epoch)


def test_weights_and_masks_are_nodes_that_need_not_lead_to_the_loss() -> None:
    p = Problem()
    share = mf.Input("share")
    weighted = {name: type(m)(weights=share) for name, m in EVERY.items() if name != "top"}
    for kept in (SHARE[60:], (SHARE[60:] > 0.5).astype(int), SHARE[60:] > 0.5):
        result = mf.evaluate(p.loss, p.rest | {share: kept}, metrics=weighted, batch_size=7)
        for name in weighted:
            expected = EVERY[name](p.scores(), Y_[60:], kept)
            assert result.metrics[name] == pytest.approx(expected, rel=1e-6)
    history = mf.fit(
        p.loss, p.data | {share: SHARE[:60]}, mf.SGD(0.1), metrics=weighted,
        validation=p.rest | {share: SHARE[60:]}, epochs=2, rng=0, progress="none",
    )  # fmt: skip
    expected = metrics.AUC()(p.scores(), Y_[60:], SHARE[60:])
    assert history[-1].validation_auc == pytest.approx(expected, rel=1e-6)
    with pytest.raises(DataError, match=r"The metric 'auc': AUC.* reads Input 'share'.* not fed"):
        mf.evaluate(p.loss, p.rest, metrics=weighted)

    def batches() -> Any:
        for start in range(60, 90, 10):
            at = slice(start, start + 10)
            yield {p.X: X_[at], p.y: Y_[at], share: SHARE[at]}

    result = mf.evaluate(p.loss, batches, metrics={"auc": metrics.AUC(weights=share)})
    assert result.metrics["auc"] == pytest.approx(expected, rel=1e-6)


def test_a_loss_that_is_put_together_is_looked_into() -> None:
    p = Problem()
    loss = p.loss * 0.5 + 0.01 * mf.Sum(p.W * p.W)
    result = mf.evaluate(loss, p.rest, metrics={"auc": metrics.AUC()})
    assert result.accuracy is None
    assert result.metrics["auc"] == pytest.approx(metrics.AUC()(p.scores(), Y_[60:]), rel=1e-6)


def test_metrics_of_numbers_and_of_yes_and_no() -> None:
    X, t = mf.Input("X"), mf.Input("t")
    W = mf.Parameter(RNG.normal(size=(4, 2)).astype("f4"), "W")
    targets = RNG.normal(size=(30, 2))
    three = {"mae": metrics.MAE(), "rmse": metrics.RMSE(), "r2": metrics.R2()}
    predicted = X_[60:] @ W.value
    for loss in (mf.MSE(X @ W, t), mf.L1(X @ W, t), mf.Huber(X @ W, t)):
        result = mf.evaluate(loss, {X: X_[60:], t: targets}, metrics=three, batch_size=4)
        for name, metric in three.items():
            assert result.metrics[name] == pytest.approx(metric(predicted, targets), rel=1e-5)
    answers = (targets > 0).astype(int)
    loss = mf.BinaryCrossEntropy(X @ W, t)
    result = mf.evaluate(loss, {X: X_[60:], t: answers}, metrics={"auc": metrics.AUC()})
    assert result.metrics["auc"] == pytest.approx(metrics.AUC()(predicted, answers), rel=1e-6)


def test_a_metric_of_ones_own_is_one() -> None:
    class Worst(metrics.Metric):
        highest_is_best = False

        def count(self) -> Any:
            return WorstCount()

    class WorstCount:
        worst = 0.0

        def add(self, answers: metrics.base.Answers) -> None:
            own = answers.scores[np.arange(len(answers.labels)), answers.labels]
            self.worst = max(self.worst, float((answers.scores.max(axis=1) - own).max()))

        def result(self) -> float:
            return self.worst

    p = Problem()
    history = p.fit(metrics={"worst": Worst()}, callbacks=[mf.KeepBest("worst")])
    assert history[-1].worst > 0


class Loss(mf.Op):
    """One of a learner's own, which says nothing of what it is about."""

    def compute(self, x: Any, y: Any) -> Any:
        return np.mean((x - y) ** 2)

    def gradient(self, grad: Any, x: Any, y: Any) -> Any:
        return 2 * (x - y) * grad / x.size, None


def test_a_loss_of_ones_own_has_what_its_labels_tell() -> None:
    x, t = mf.Input("x"), mf.Input("t")
    scores, targets = RNG.normal(size=(20, 3)), np.eye(3)[RNG.integers(0, 3, 20)]
    result = mf.evaluate(Loss(x, t), {x: scores, t: targets}, metrics={"f1": metrics.F1()})
    assert result.metrics["f1"] == metrics.F1()(scores, targets.argmax(axis=1))
    with pytest.raises(DataError, match=r"The metric 'f1': F1\(\) is of classes or yes or no, and"):
        mf.evaluate(Loss(x, t), {x: scores, t: targets + 0.5}, metrics={"f1": metrics.F1()})


REFUSED: dict[str, tuple[Any, type[Exception], str]] = {
    "a list": (["auc"], OptionError, r"metrics is a dictionary from names of your own"),
    "a class": ({"auc": metrics.AUC}, OptionError, r"none of mf\.metrics\. Make one: AUC\(\)\."),
    "a function": ({"auc": lambda s, y: 0.0}, OptionError, r"none of mf\.metrics"),
    "a name that is taken": ({"loss": metrics.AUC()}, OptionError, r"column of the name 'loss'"),
    "a name of a validation": ({"validation_auc": metrics.AUC()}, OptionError, r"of the name"),
    "a name of two words": ({"my auc": metrics.AUC()}, OptionError, r"name is one word"),
    "a metric of numbers": (
        {"mae": metrics.MAE()},
        OptionError,
        r"the metric 'mae', MAE\(\), is of numbers or yes or no, and CrossEntropyWithSoftmax "
        r".*is a loss of classes",
    ),
    "a metric of another graph": (
        {"auc": metrics.AUC(of=(mf.Input("other") * 2.0, mf.Input("labels")))},
        OptionError,
        r"reads Mul .* does not depend on",
    ),
    "too many to choose from": (
        {"top": metrics.TopK(2)},
        DataError,
        r"The metric 'top': TopK\(k=2\): there are 2 classes",
    ),
}


@pytest.mark.parametrize("case", sorted(REFUSED))
def test_what_does_not_fit_is_told_by_fit_and_by_evaluate(case: str) -> None:
    given, error, message = REFUSED[case]
    p = Problem()
    before = p.W.value.copy()
    with pytest.raises(error, match=message):
        mf.evaluate(p.loss, p.rest, metrics=given)
    with pytest.raises(error, match=message):
        p.fit(metrics=given)
    if error is OptionError:
        assert (p.W.value == before).all()


def test_one_class_only_is_told_with_the_name_of_the_metric() -> None:
    p = Problem()
    with pytest.raises(DataError, match=r"The metric 'auc': AUC.*: no label is of class 1"):
        mf.evaluate(p.loss, {p.X: X_[:5], p.y: np.zeros(5, int)}, metrics={"auc": metrics.AUC()})
    loss = mf.MSE(p.logits, p.logits * 1.0)
    with pytest.raises(OptionError, match=r"is of classes or yes or no, and MSE .* of numbers"):
        mf.evaluate(loss, {p.X: X_}, metrics={"auc": metrics.AUC()})
    with pytest.raises(OptionError, match=r"does not say which nodes these are: AUC\(of="):
        mf.evaluate(mf.Mean(p.logits), {p.X: X_}, metrics={"auc": metrics.AUC()})
