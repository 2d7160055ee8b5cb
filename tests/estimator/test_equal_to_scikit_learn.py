"""The estimators compute what scikit-learn's own do: arrays, losses, predictions, when they end."""

import itertools
from typing import Any

import numpy as np
import pytest

import miniflow as mf

pytest.importorskip("sklearn", reason="the estimators need scikit-learn")

from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_sample_weight

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:Got `batch_size`:UserWarning"),
]


def table(load: Any) -> tuple[Any, Any]:
    X, y = load(return_X_y=True)
    return StandardScaler().fit_transform(X), y


def classes() -> tuple[Any, Any]:
    return table(load_iris)


def two_classes() -> tuple[Any, Any]:
    X, y = table(load_breast_cancer)
    return X, np.array(["malignant", "benign"])[y]


def numbers() -> tuple[Any, Any]:
    X, y = table(load_diabetes)
    return X, y / 100


def two_numbers() -> tuple[Any, Any]:
    X, y = numbers()
    return X, np.column_stack([y, X[:, 0] - 1])


PAIRS = {
    "classes": (mf.MiniflowClassifier, MLPClassifier, classes),
    "two classes": (mf.MiniflowClassifier, MLPClassifier, two_classes),
    "numbers": (mf.MiniflowRegressor, MLPRegressor, numbers),
    "two numbers": (mf.MiniflowRegressor, MLPRegressor, two_numbers),
}
USUAL = {"hidden_layer_sizes": (9, 5), "max_iter": 5, "random_state": 3, "learning_rate_init": 0.01}


def fitted(task: str, backend: str = "interpreter", **options: Any) -> tuple[Any, Any, Any]:
    """Ours and theirs, fitted to the same, and what they were fitted to."""
    ours, theirs, data = PAIRS[task]
    X, y = data()
    options = USUAL | options
    return ours(**options, backend=backend).fit(X, y), theirs(**options).fit(X, y), X


def assert_equal(ours: Any, theirs: Any, X: Any) -> None:
    for mine, other in zip(ours.coefs_, theirs.coefs_, strict=True):
        np.testing.assert_allclose(mine, other, atol=1e-9)
    for mine, other in zip(ours.intercepts_, theirs.intercepts_, strict=True):
        np.testing.assert_allclose(mine, other, atol=1e-9)
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, atol=1e-9)
    for name in ("n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_"):
        assert getattr(ours, name) == getattr(theirs, name), name
    for name in ("loss_", "best_loss_", "best_validation_score_"):
        if getattr(theirs, name) is None:
            assert getattr(ours, name) is None
        else:
            assert getattr(ours, name) == pytest.approx(getattr(theirs, name), abs=1e-9)
    if hasattr(theirs, "predict_proba"):
        np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-9)
        assert (ours.predict(X) == theirs.predict(X)).all()
    else:
        np.testing.assert_allclose(ours.predict(X), theirs.predict(X), atol=1e-9)


@pytest.mark.breadth("task")
@pytest.mark.parametrize("task", PAIRS)
@pytest.mark.parametrize("solver", ["sgd", "adam"])
@pytest.mark.parametrize("activation", ["identity", "logistic", "relu", "tanh"])
def test_five_epochs_of_any_solver_and_activation(task: str, solver: str, activation: str) -> None:
    assert_equal(*fitted(task, solver=solver, activation=activation, batch_size=37))


@pytest.mark.breadth("backend")
@pytest.mark.parametrize("backend", ["numpy", "native"])
@pytest.mark.parametrize("task", PAIRS)
def test_compiled_as_well(task: str, backend: str) -> None:
    if backend == "native":
        pytest.importorskip("llvmlite", reason="needs llvmlite (the extra `native`)")
    assert_equal(*fitted(task, backend, batch_size=37, early_stopping=True))


@pytest.mark.breadth("task")
@pytest.mark.parametrize("task", PAIRS)
@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 37, "early_stopping": True, "validation_fraction": 0.23},
        {"solver": "sgd", "early_stopping": True, "n_iter_no_change": 1, "max_iter": 40},
        {"shuffle": False, "batch_size": 50},
        {"batch_size": 10_000},
        {"alpha": 3.0},
        {"alpha": 0.0, "hidden_layer_sizes": ()},
        {"solver": "sgd", "momentum": 0.0},
        {"solver": "sgd", "nesterovs_momentum": False, "momentum": 0.5},
        {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3},
        {"solver": "sgd", "learning_rate": "invscaling", "power_t": 0.3, "batch_size": 37},
        {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.02, "n_iter_no_change": 1,
         "max_iter": 60},
        {"tol": 0.05, "n_iter_no_change": 2, "max_iter": 100},
        {"hidden_layer_sizes": 4, "random_state": np.random.RandomState(7).randint(99)},
    ],
    ids=lambda options: ", ".join(options),
)  # fmt: skip
def test_every_setting(task: str, options: dict[str, Any]) -> None:
    assert_equal(*fitted(task, **options))


@pytest.mark.parametrize("task", PAIRS)
def test_a_random_state_that_goes_on(task: str) -> None:
    ours, theirs, data = PAIRS[task]
    X, y = data()
    pairs = [kind(**USUAL | {"random_state": np.random.RandomState(5)}) for kind in (ours, theirs)]
    for _ in range(2):
        assert_equal(*(estimator.fit(X, y) for estimator in pairs), X)


@pytest.mark.parametrize("task", PAIRS)
@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_a_warm_start_and_partial_fits(task: str, solver: str) -> None:
    ours, theirs, data = PAIRS[task]
    X, y = data()
    pair = [kind(**USUAL, solver=solver, warm_start=True) for kind in (ours, theirs)]
    for options in ({}, {"max_iter": 3}, {"alpha": 0.5, "learning_rate_init": 0.02}):
        assert_equal(*(estimator.set_params(**options).fit(X, y) for estimator in pair), X)
    assert ours(**USUAL, solver=solver).fit(X, y).n_iter_ == 5
    pair = [kind(**USUAL, solver=solver, batch_size=37) for kind in (ours, theirs)]
    known = {"classes": np.unique(y)} if task.endswith("classes") else {}
    for part in (slice(0, 90), slice(0, 150, 2), slice(0, 140)):
        assert_equal(*(estimator.partial_fit(X[part], y[part], **known) for estimator in pair), X)
        known = {}


@pytest.mark.parametrize("task", ["classes", "two classes", "numbers"])
def test_weights_of_examples_and_of_classes(task: str) -> None:
    ours, theirs, data = PAIRS[task]
    X, y = data()
    weights = 0.25 + np.random.default_rng(0).random(len(X))
    mine = ours(**USUAL).fit(X, y, sample_weight=weights)
    try:
        other = theirs(**USUAL).fit(X, y, sample_weight=weights)
    except TypeError:
        pytest.skip("this scikit-learn has no weights in its own perceptrons")
    assert_equal(mine, other, X)
    if task == "numbers":
        return
    for of_classes in ("balanced", {label: i + 1.0 for i, label in enumerate(np.unique(y))}):
        mine = ours(**USUAL, class_weight=of_classes).fit(X, y, sample_weight=weights)
        both = weights * compute_sample_weight(of_classes, y)
        assert_equal(mine, theirs(**USUAL).fit(X, y, sample_weight=both), X)


def test_classes_as_they_come() -> None:
    X, y = classes()
    rare = y.copy()
    rare[rare == 2] = np.r_[2, np.zeros((rare == 2).sum() - 1, int)]  # one example of class 2
    for labels in (rare, np.zeros(len(y), int), y.astype(str)):
        pair = [
            kind(**USUAL, early_stopping=True).fit(X, labels)
            for kind in (mf.MiniflowClassifier, MLPClassifier)
        ]
        assert_equal(*pair, X) if len(set(labels)) > 1 else None
        assert (pair[0].predict(X) == pair[1].predict(X)).all()


def test_float32_is_trained_in_float32() -> None:
    X, y = classes()
    for kind, dtype in itertools.product((mf.MiniflowClassifier, MLPClassifier), ("f4", "f8")):
        assert kind(**USUAL).fit(X.astype(dtype), y).coefs_[0].dtype == dtype
