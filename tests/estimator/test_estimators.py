"""`MiniflowClassifier` and `MiniflowRegressor`: what they do beyond scikit-learn's own checks."""

import importlib.util
import pathlib
import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import miniflow as mf

pytest.importorskip("sklearn", reason="the estimators need scikit-learn")

import joblib
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_diabetes, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from miniflow.options import OptionError
from miniflow.schedules import CosineDecay

NAMES = np.array(["setosa", "versicolor", "virginica"])

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def classifier(**options: Any) -> Any:
    quick = {
        "hidden_layer_sizes": (8,),
        "learning_rate_init": 0.03,
        "max_iter": 40,
        "random_state": 0,
        "backend": "numpy",
    }
    return mf.MiniflowClassifier(**{**quick, **options})


def regressor(**options: Any) -> Any:
    quick = classifier().get_params()
    del quick["class_weight"]
    return mf.MiniflowRegressor(**{**quick, **options})


@pytest.fixture(scope="module")
def iris() -> Any:
    X, y = load_iris(return_X_y=True)
    return StandardScaler().fit_transform(X), NAMES[y]


def numbers(estimator: Any) -> bytes:
    return b"".join(array.tobytes() for array in estimator.coefs_ + estimator.intercepts_)


# --- what it learns


def test_string_labels_come_back_with_their_probabilities(iris: Any) -> None:
    X, y = iris
    clf = classifier().fit(X, y)
    assert clf.classes_.tolist() == NAMES.tolist()
    assert clf.score(X, y) > 0.95
    p = clf.predict_proba(X)
    assert p.shape == (150, 3)
    assert p.sum(axis=1) == pytest.approx(1.0)
    assert (clf.predict(X) == NAMES[p.argmax(axis=1)]).all()
    np.testing.assert_allclose(np.exp(clf.predict_log_proba(X)), p)


def test_it_is_as_good_as_scikit_learns_own(iris: Any) -> None:
    X, y = iris
    options = {"hidden_layer_sizes": (8,), "learning_rate_init": 0.03, "max_iter": 40}
    theirs = MLPClassifier(**options, random_state=0).fit(X, y).score(X, y)
    assert classifier().fit(X, y).score(X, y) >= theirs - 0.03


def test_the_regressor_learns_one_target_or_several() -> None:
    X = np.linspace(-1, 1, 80)[:, None]
    both = np.hstack([np.sin(3 * X), X**2])
    model = regressor(
        hidden_layer_sizes=(16,), activation="tanh", max_iter=300, n_iter_no_change=300
    )
    assert model.fit(X, both).score(X, both) > 0.9
    assert model.predict(X).shape == (80, 2)
    assert model.fit(X, both[:, 0]).predict(X).shape == (80,)


def test_the_loss_is_its_formula(iris: Any) -> None:
    X, y = iris
    options = {"hidden_layer_sizes": (), "batch_size": len(X), "max_iter": 1, "solver": "sgd"}
    weights, alpha, lr = np.linspace(0.5, 2.0, len(X)), 3.0, 1e-12  # next to nothing is learned
    clf = classifier(alpha=alpha, learning_rate_init=lr, **options).fit(X, y, weights)
    logs = clf.predict_log_proba(X)[np.arange(len(X)), np.searchsorted(NAMES, y)]
    penalty = alpha * 0.5 * np.sum(clf.coefs_[0] ** 2)
    assert clf.loss_ == pytest.approx((-weights @ logs + penalty) / weights.sum())
    model = regressor(alpha=alpha, learning_rate_init=lr, **options).fit(X, X[:, 0], weights)
    errors = 0.5 * (model.predict(X) - X[:, 0]) ** 2
    penalty = alpha * 0.5 * np.sum(model.coefs_[0] ** 2)
    assert model.loss_ == pytest.approx((weights @ errors + penalty) / weights.sum())


def test_the_penalty_keeps_weights_small(iris: Any) -> None:
    sizes = [np.linalg.norm(classifier(alpha=alpha).fit(*iris).coefs_[0]) for alpha in (0.0, 30.0)]
    assert sizes[1] < 0.5 * sizes[0]


@pytest.mark.parametrize("solver", ["adam", "adamw", "rmsprop", "sgd"])
@pytest.mark.parametrize("activation", ["identity", "logistic", "relu", "tanh"])
def test_every_solver_and_activation_lowers_the_loss(
    solver: str, activation: str, iris: Any
) -> None:
    clf = classifier(solver=solver, activation=activation, max_iter=20).fit(*iris)
    assert clf.loss_curve_[-1] < 0.85 * clf.loss_curve_[0]


def test_the_steps_are_compiled_and_equal_the_interpreters(iris: Any) -> None:
    X, y = iris
    fits = [classifier(backend=b, batch_size=32, max_iter=5).fit(X, y) for b in BACKENDS]
    for fitted in fits[1:]:
        np.testing.assert_allclose(fitted.predict_proba(X), fits[0].predict_proba(X), rtol=1e-6)


BACKENDS = ["interpreter", "numpy"]
if importlib.util.find_spec("llvmlite") is not None:
    BACKENDS.append("native")


def test_float32_stays_float32(iris: Any) -> None:
    X, y = iris
    clf = classifier(max_iter=2).fit(X.astype(np.float32), y)
    assert {array.dtype for array in clf.coefs_ + clf.intercepts_} == {np.dtype(np.float32)}
    assert clf.predict_proba(X).dtype == np.float32


# --- tables, pipelines, searches


def test_a_table_gives_its_column_names(iris: Any) -> None:
    pd = pytest.importorskip("pandas")
    table, y = load_iris(return_X_y=True, as_frame=True)
    clf = classifier().fit(table, pd.Series(NAMES[y]))
    assert clf.feature_names_in_.tolist() == table.columns.tolist()
    assert clf.score(table, pd.Series(NAMES[y])) > 0.9
    with pytest.raises(ValueError, match="feature names should match"):
        clf.predict(table[table.columns[::-1]])


def test_it_works_in_a_pipeline_under_a_grid_search(iris: Any) -> None:
    X, y = load_iris(return_X_y=True)
    search = GridSearchCV(
        make_pipeline(StandardScaler(), classifier()),
        {
            "miniflowclassifier__hidden_layer_sizes": [(), (8,)],
            "miniflowclassifier__alpha": [1e-4, 100.0],
        },
        cv=3,
    ).fit(X, NAMES[y])
    assert search.best_params_["miniflowclassifier__alpha"] == 1e-4
    assert search.best_score_ > 0.9
    X, y = load_diabetes(return_X_y=True)
    model = TransformedTargetRegressor(
        make_pipeline(StandardScaler(), regressor(alpha=1.0)), transformer=StandardScaler()
    )
    assert model.fit(X, y).score(X, y) > 0.4


# --- weights of examples


def test_a_weight_of_two_is_the_example_twice_and_of_zero_is_none(iris: Any) -> None:
    X, y = iris
    weights = np.arange(150) % 3
    weighted = classifier(tol=0).fit(X, y, sample_weight=weights)
    repeated = classifier(tol=0, batch_size=1000).fit(np.repeat(X, weights, 0), y.repeat(weights))
    np.testing.assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), rtol=1e-6)
    some = weights > 0
    without = classifier(batch_size=16).fit(X[some], y[some], sample_weight=weights[some])
    assert numbers(classifier(batch_size=16).fit(X, y, sample_weight=weights)) == numbers(without)


def test_weights_count_in_the_regressors_loss_too() -> None:
    X, y = np.zeros((40, 1)), np.repeat([0.0, 1.0], 20)
    weights = np.repeat([3.0, 1.0], 20)
    model = regressor(alpha=0.0, max_iter=300, n_iter_no_change=300).fit(
        X, y, sample_weight=weights
    )
    assert model.predict([[0.0]]) == pytest.approx(0.25, abs=1e-3)


@pytest.mark.parametrize("weights", [np.zeros(150), -np.ones(150)])
def test_weights_that_make_no_sense_are_refused(weights: Any, iris: Any) -> None:
    with pytest.raises(
        ValueError, match=r"sample_weight holds numbers of at least 0|Sample weights"
    ):
        classifier().fit(*iris, sample_weight=weights)


# --- when it stops


def test_early_stopping_puts_the_best_weights_back(iris: Any) -> None:
    X, y = iris
    options = {"early_stopping": True, "validation_fraction": 0.3, "solver": "sgd"}
    clf = classifier(**options, learning_rate_init=2.0, max_iter=60, n_iter_no_change=5)
    clf.fit(X, y)
    scores = clf.validation_scores_
    assert clf.n_iter_ == len(scores) == len(clf.loss_curve_) < 60
    assert clf.best_validation_score_ == max(scores)
    best = 1 + int(np.argmax(scores))
    again = clone(clf).set_params(max_iter=best).fit(X, y)
    assert again.validation_scores_ == scores[:best]
    assert numbers(again) == numbers(clf)


def test_examples_that_weigh_nothing_are_not_set_aside_for_validation(iris: Any) -> None:
    X, y = iris
    weights = np.isin(np.arange(len(y)), [0, 1, 60, 61, 120, 121]).astype(float)
    options = {"early_stopping": True, "validation_fraction": 0.5}
    weighted = classifier(**options).fit(X, y, sample_weight=weights)
    alone = classifier(**options).fit(X[weights > 0], y[weights > 0])
    assert weighted.validation_scores_ == alone.validation_scores_
    assert set(weighted.validation_scores_) <= {0.0, 1 / 3, 2 / 3, 1.0}


def test_one_number_is_too_little_for_a_regressor_to_stop_by() -> None:
    x = np.linspace(-1, 1, 9)[:, None]
    with pytest.raises(ValueError, match=r"sets 1 of 9 examples aside, and needs two"):
        mf.MiniflowRegressor(early_stopping=True).fit(x, x[:, 0])


def test_a_loss_that_no_longer_falls_ends_the_training(iris: Any) -> None:
    clf = classifier(tol=0.05, n_iter_no_change=3, max_iter=200).fit(*iris)
    assert clf.n_iter_ < 60
    last = clf.loss_curve_[-5:]
    assert all(last[0] - 0.05 * 4 < loss for loss in last)
    assert (clf.loss_, clf.best_loss_) == (clf.loss_curve_[-1], min(clf.loss_curve_))


@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_training_that_learns_nothing_ends_when_scikit_learns_own_does(
    early_stopping: bool, iris: Any
) -> None:
    options = {"learning_rate_init": 1e-30, "n_iter_no_change": 3, "max_iter": 50}
    options["early_stopping"] = early_stopping
    mine, theirs = classifier(**options), MLPClassifier(**options)
    assert mine.fit(*iris).n_iter_ == theirs.fit(*iris).n_iter_ == 5


def test_a_training_that_was_cut_short_is_warned_about(iris: Any) -> None:
    with pytest.warns(ConvergenceWarning, match="after max_iter=2 iterations"):
        classifier(max_iter=2).fit(*iris)


def test_verbose_prints_a_line_an_iteration(iris: Any, capsys: pytest.CaptureFixture[str]) -> None:
    classifier(max_iter=3, verbose=True).fit(*iris)
    assert "3/3" in capsys.readouterr().out
    classifier(max_iter=3).fit(*iris)
    assert capsys.readouterr().out == ""


# --- random numbers, and going on


def test_the_same_random_state_gives_the_same_bits(iris: Any) -> None:
    def fitted(state: Any) -> bytes:
        return numbers(classifier(random_state=state, batch_size=32, max_iter=3).fit(*iris))

    assert fitted(1) == fitted(1) == fitted(np.random.RandomState(1)) != fitted(2)
    assert fitted(None) != fitted(None)


def test_without_shuffling_the_order_is_that_of_the_data(iris: Any) -> None:
    X, y = iris
    order = np.random.default_rng(0).permutation(150)
    options = {"batch_size": 32, "max_iter": 3, "shuffle": False}
    first, again, other = (
        classifier(**options).fit(X[rows], y[rows]) for rows in (order, order, order[::-1])
    )
    assert numbers(first) == numbers(again) != numbers(other)


def test_partial_fit_goes_on_from_what_was_learned(iris: Any) -> None:
    X, y = iris
    parts = classifier(batch_size=32)
    with pytest.raises(ValueError, match="labels \\['virginica'\\], which are not among"):
        classifier().partial_fit(X[:100], y[:100]).partial_fit(X[100:], y[100:])
    for _ in range(30):
        parts.partial_fit(X[::2], y[::2], classes=NAMES)
        parts.partial_fit(X[1::2], y[1::2])
    assert parts.score(X, y) > 0.95
    assert (parts.n_iter_, len(parts.loss_curve_)) == (1, 60)
    assert parts.t_ == 30 * 150
    with pytest.raises(ValueError, match=r"classes is .*'a'.* and was .*'setosa'"):
        parts.partial_fit(X, y, classes=["a", "b"])
    with pytest.raises(ValueError, match="does not go together with early_stopping"):
        classifier(early_stopping=True).partial_fit(X, y)


def test_a_pickle_in_between_changes_no_bit(iris: Any, tmp_path: pathlib.Path) -> None:
    X, y = iris
    straight, parts = classifier(batch_size=32), classifier(batch_size=32)
    for i in range(4):
        straight.partial_fit(X, y)
        parts.partial_fit(X, y)
        if i == 1:
            before = parts.predict_proba(X)
            parts = pickle.loads(pickle.dumps(parts))
            joblib.dump(parts, tmp_path / "model.joblib")
            parts = joblib.load(tmp_path / "model.joblib")
            assert (parts.predict_proba(X) == before).all()
    assert numbers(parts) == numbers(straight)


def test_warm_start_goes_on_and_a_fresh_fit_forgets(iris: Any) -> None:
    X, y = iris
    warm = classifier(warm_start=True, max_iter=5).fit(X, y)
    loss = warm.loss_
    assert len(warm.fit(X, y).loss_curve_) == 10
    assert warm.loss_ < loss
    cold = classifier(max_iter=5)
    assert numbers(cold.fit(X, y)) == numbers(cold.fit(X, y))
    assert len(cold.loss_curve_) == 5


def test_a_schedule_can_be_the_learning_rate_and_is_cloned(iris: Any) -> None:
    clf = classifier(learning_rate_init=CosineDecay(0.05, steps=40), tol=0.0)
    fitted = clone(clf).fit(*iris)
    assert fitted.score(*iris) > 0.95
    assert fitted._learning_rate(fitted._solver_state["step"]) < 0.001


# --- files, and what is refused


def test_a_saved_estimator_is_a_model_without_scikit_learn(
    iris: Any, tmp_path: pathlib.Path
) -> None:
    X, y = iris
    clf = classifier().fit(X, y)
    clf.save(tmp_path / "iris.safetensors")
    model = mf.load(tmp_path / "iris.safetensors")
    assert model.notes["class_names"] == NAMES.tolist()
    assert (NAMES[model.predict(X)] == clf.predict(X)).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"solver": "lbfgs"}, r"MiniflowClassifier: solver is one of adam, .*lbfgs is scikit-le"),
        ({"activation": "gelu"}, "activation is one of identity, logistic, relu, tanh, not 'gelu'"),
        ({"hidden_layer_sizes": (8, 0)}, "an entry of hidden_layer_sizes is a whole number of at"),
        ({"hidden_layer_sizes": "8"}, "hidden_layer_sizes is a number or several"),
        ({"batch_size": 0}, "batch_size is a whole number of at least 1"),
        ({"max_iter": 0}, "max_iter is a whole number of at least 1"),
        ({"alpha": -1.0}, "alpha is a number of at least 0"),
        ({"learning_rate_init": "fast"}, "lr is a number, or a schedule"),
        ({"validation_fraction": 0.0, "early_stopping": True}, "validation_fraction is above 0"),
        ({"backend": "gpu"}, "backend is one of auto, interpreter"),
    ],
)
def test_parameters_that_make_no_sense_are_refused_when_fitted(
    options: dict[str, Any], message: str, iris: Any
) -> None:
    estimator = classifier(**options)  # not yet: scikit-learn asks for that
    with pytest.raises(OptionError, match=message):
        estimator.fit(*iris)


def test_without_scikit_learn_the_command_to_install_it_is_told() -> None:
    script = (
        "import sys; sys.modules['sklearn'] = None\n"
        "import miniflow as mf\n"
        "try: mf.MiniflowClassifier\n"
        "except ImportError as error: print(error)\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert 'pip install "miniflow-graphs[sklearn]"' in told.stdout
