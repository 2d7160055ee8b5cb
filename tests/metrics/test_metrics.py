"""Metrics are scikit-learn's numbers, over the whole set, whatever the batches; and what they
cannot tell is told.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import miniflow as mf
from miniflow import metrics
from miniflow.errors import DataError
from miniflow.options import OptionError

SEED = 20
RNG = np.random.default_rng(SEED)
N = 120
WEIGHTS = np.round(RNG.random(N), 2) * (RNG.random(N) > 0.25)  # a quarter of them masked

TWO = RNG.normal(size=(N, 2)).round(1), RNG.integers(0, 2, N)  # rounded: there are ties
SEVERAL = RNG.normal(size=(N, 5)).round(1), RNG.integers(0, 5, N)
YES = RNG.normal(size=N).round(1), RNG.integers(0, 2, N)
COLUMNS = RNG.normal(size=(N, 3)), RNG.integers(0, 2, (N, 3))
ONE_TARGET = RNG.normal(size=N) + 100, RNG.normal(size=N) + 100
TARGETS = RNG.normal(size=(N, 3)) * 1e3, RNG.normal(size=(N, 3)) * 1e3


def probabilities(scores: Any) -> Any:
    powers = np.exp(scores)
    return powers / powers.sum(axis=1, keepdims=True)


Case = tuple[metrics.Metric, tuple[Any, Any], Callable[..., Any]]


def cases() -> dict[str, Case]:
    """Name → the metric, what it is given, and scikit-learn's function of (sklearn, s, y, w)."""
    found: dict[str, Case] = {
        "Accuracy": (
            metrics.Accuracy(), SEVERAL,
            lambda sk, s, y, w: sk.accuracy_score(y, s.argmax(1), sample_weight=w),
        ),
        "Accuracy of yes and no": (
            metrics.Accuracy(), YES,
            lambda sk, s, y, w: sk.accuracy_score(y, s > 0, sample_weight=w),
        ),
        "AUC of two": (
            metrics.AUC(), TWO,
            lambda sk, s, y, w: sk.roc_auc_score(y, s[:, 1] - s[:, 0], sample_weight=w),
        ),
        "AUC of yes and no": (
            metrics.AUC(), YES, lambda sk, s, y, w: sk.roc_auc_score(y, s, sample_weight=w),
        ),
        "AUC of several": (
            metrics.AUC(), SEVERAL,
            lambda sk, s, y, w: sk.roc_auc_score(
                y, probabilities(s), multi_class="ovr", sample_weight=w
            ),
        ),
        "AUC of probabilities": (
            metrics.AUC(from_logits=False), (probabilities(SEVERAL[0]), SEVERAL[1]),
            lambda sk, s, y, w: sk.roc_auc_score(y, s, multi_class="ovr", sample_weight=w),
        ),
        "AUC of columns": (
            metrics.AUC(), COLUMNS, lambda sk, s, y, w: sk.roc_auc_score(y, s, sample_weight=w),
        ),
        "MAE": (
            metrics.MAE(), TARGETS,
            lambda sk, s, y, w: sk.mean_absolute_error(y, s, sample_weight=w),
        ),
        "RMSE": (
            metrics.RMSE(), TARGETS,
            lambda sk, s, y, w: sk.root_mean_squared_error(y, s, sample_weight=w),
        ),
        "R2": (metrics.R2(), TARGETS, lambda sk, s, y, w: sk.r2_score(y, s, sample_weight=w)),
        "MAE of one": (
            metrics.MAE(), ONE_TARGET,
            lambda sk, s, y, w: sk.mean_absolute_error(y, s, sample_weight=w),
        ),
        "R2 of one": (
            metrics.R2(), ONE_TARGET, lambda sk, s, y, w: sk.r2_score(y, s, sample_weight=w),
        ),
    }  # fmt: skip
    for k in (1, 2, 4):
        found[f"TopK({k})"] = (
            metrics.TopK(k),
            SEVERAL,
            lambda sk, s, y, w, k=k: sk.top_k_accuracy_score(y, s, k=k, sample_weight=w),
        )
    for cls, name in (
        (metrics.Precision, "precision_score"),
        (metrics.Recall, "recall_score"),
        (metrics.F1, "f1_score"),
    ):
        found[f"{cls.__name__} of two"] = (
            cls(),
            TWO,
            lambda sk, s, y, w, f=name: getattr(sk, f)(y, s.argmax(1), sample_weight=w),
        )
        found[f"{cls.__name__} of yes and no"] = (
            cls(),
            YES,
            lambda sk, s, y, w, f=name: getattr(sk, f)(y, s > 0, sample_weight=w),
        )
        for average in (None, "macro", "micro", "weighted"):
            found[f"{cls.__name__} of several, {average}"] = (
                cls(average),
                SEVERAL,
                lambda sk, s, y, w, f=name, a=average: getattr(sk, f)(
                    y, s.argmax(1), average=a or "macro", sample_weight=w
                ),
            )
            found[f"{cls.__name__} of columns, {average}"] = (
                cls(average),
                COLUMNS,
                lambda sk, s, y, w, f=name, a=average: getattr(sk, f)(
                    y, s > 0, average=a or "macro", sample_weight=w
                ),
            )
    return found


CASES = cases()


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["all alike", "weights"])
@pytest.mark.parametrize("name", sorted(CASES))
def test_metric_is_scikit_learns(name: str, weights: Any) -> None:
    sk = pytest.importorskip("sklearn.metrics")
    metric, (scores, labels), function = CASES[name]
    expected = function(sk, scores, labels, weights)
    assert metric(scores, labels, weights) == pytest.approx(expected, rel=1e-12, abs=1e-12)
    everything = {} if weights is None else {"weights": weights}
    assert metric(scores, labels, **everything) == metric(list(scores), list(labels), weights)


@pytest.mark.parametrize("name", sorted(CASES))
def test_metric_does_not_depend_on_the_batches(name: str) -> None:
    metric, (scores, labels), _ = CASES[name]
    at_once = metric(scores, labels, WEIGHTS)
    count = metric.count()
    for at in np.split(np.arange(N), [1, 2, 50, 50, 119]):
        kind = metric.read(scores, labels).kind  # as a loss says it: a batch may have one class
        count.add(metric.read(scores[at], labels[at], WEIGHTS[at], kind))
    assert count.result() == pytest.approx(at_once, rel=1e-12)


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_mask_leaves_out_even_what_is_not_finite(name: str) -> None:
    metric, (scores, labels), _ = CASES[name]
    mask = np.arange(N) < 90
    spoilt = np.array(scores)
    spoilt[90:] = np.nan
    expected = metric(scores[:90], labels[:90])
    assert metric(spoilt, labels, mask) == pytest.approx(expected, rel=1e-12)


def test_labels_of_pixels_and_one_hot_labels_are_rows_of_their_own() -> None:
    scores, labels = SEVERAL
    pixels = scores.reshape(4, 5, 6, 5), labels.reshape(4, 5, 6)
    one_hot = np.eye(5)[labels]
    for metric in (metrics.Accuracy(), metrics.F1(), metrics.TopK(2), metrics.AUC()):
        expected = metric(scores, labels)
        assert metric(*pixels) == pytest.approx(expected)
        assert metric(scores, one_hot) == pytest.approx(expected)
        masked = metric(*pixels, weights=np.array([1, 1, 0, 0]))
        assert masked == pytest.approx(metric(scores[:60], labels[:60]))


def test_scores_that_are_nan_are_no_answer() -> None:
    scores = np.array([[np.nan, 0.0], [0.0, 1.0]])
    assert metrics.Accuracy()(scores, [0, 1]) == 0.5
    assert np.isnan(metrics.AUC()(scores, [0, 1]))
    assert np.isnan(metrics.MAE()([np.nan, 1.0], [0.5, 1.0]))


# --- What cannot be told

TOLD: dict[str, tuple[Callable[[], Any], str]] = {
    "AUC of one class": (lambda: metrics.AUC()([0.1, 0.2], [1, 1]), r"one class only"),
    "AUC of no positives": (lambda: metrics.AUC()(np.eye(2), [0, 0]), r"no label is of class 1"),
    "AUC without one of several": (
        lambda: metrics.AUC()(np.eye(3), [0, 1, 0]), r"no label is of class 2",
    ),
    "Recall without positives": (lambda: metrics.Recall()([0.1, 0.2], [0, 0]), r"no label is 1"),
    "F1 without positives": (lambda: metrics.F1()(np.eye(2), [0, 0]), r"no label is 1"),
    "TopK of too few": (lambda: metrics.TopK(3)(np.eye(3), [0, 1, 2]), r"there are 3 classes"),
    "R2 of one": (lambda: metrics.R2()([1.5], [2.5]), r"of one target there is no variance"),
    "MAE of classes": (
        lambda: metrics.MAE()(np.eye(3), [0, 1, 2]), r"MAE\(\) is of numbers .*was given classes",
    ),
    "AUC of numbers": (
        lambda: metrics.AUC()([1.5, 2.5], [0.5, 2.5]), r"is of classes or yes or no, and was given",
    ),
    "nothing counts": (
        lambda: metrics.Accuracy()(np.eye(2), [0, 1], [0, 0]), r"no label counts",
    ),
    "no labels": (lambda: metrics.MAE()(np.zeros(0), np.zeros(0)), r"no label counts"),
    "a label that is no class": (
        lambda: metrics.Accuracy()(np.eye(3), [0, 1, 3]), r"labels run from 0 to 3",
    ),
    "shapes": (
        lambda: metrics.MAE()([1.5, 2.5], [0.5]), r"scores of shape \(2,\), and labels of shape",
    ),
    "weights of another length": (
        lambda: metrics.MAE()([1.5, 2.5], [0.5, 1.5], [1, 1, 1]), r"weights of shape \(3,\) for 2",
    ),
    "negative weights": (
        lambda: metrics.MAE()([1.5, 2.5], [0.5, 1.5], [1, -1]), r"finite numbers of at least 0",
    ),
    "weights that differ within a row": (
        lambda: metrics.MAE()(np.eye(2) / 2, np.eye(2), np.eye(2)), r"differ within a row",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", sorted(TOLD))
def test_what_a_metric_cannot_tell_is_told(case: str) -> None:
    call, message = TOLD[case]
    with pytest.raises(DataError, match=message) as error:
        call()
    assert str(error.value).endswith(".")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: metrics.TopK(0), r"TopK: k is a whole number of at least 1"),
        (lambda: metrics.F1("binary"), r"average is one of macro, micro, weighted, or None"),
        (lambda: metrics.AUC(of=mf.Input()), r"of has two nodes, \(scores, labels\)"),
        (lambda: metrics.AUC(weights=np.ones(3)), r"weights is a node"),
        (lambda: metrics.AUC(from_logits=1), r"from_logits is True or False"),
    ],
)
def test_options_that_are_none_are_told(make: Any, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        make()


def test_options_of_other_libraries_say_what_to_write() -> None:
    with pytest.raises(mf.MiniflowError, match=r"AUC has no option multi_class: each class stands"):
        metrics.AUC(multi_class="ovr")  # type: ignore[call-arg]


NO_NUMBERS = {
    "text": ["a", "b"],
    "missing": [None, 1],
    "ragged": [[1, 2], [3]],
    "dates": np.array(["2020", "2021"], "M8[Y]"),
    "complex": np.array([1j, 0]),
    "masked": np.ma.masked_array([1, 0], [False, True]),
    "a word": "abc",
}


@pytest.mark.parametrize("given", NO_NUMBERS.values(), ids=NO_NUMBERS)
@pytest.mark.parametrize("metric", [metrics.Accuracy(), metrics.AUC(), metrics.MAE()])
def test_what_is_no_array_of_numbers_is_told(metric: Any, given: Any) -> None:
    right = {"scores": np.array([0.5, -0.5]), "labels": np.array([1, 0]), "weights": None}
    for name in right:
        with pytest.raises(DataError, match=rf"^{type(metric).__name__}\(.*\), for {name}, was "):
            metric(**right | {name: given})
