"""Live, pickled and saved estimators agree, whatever was done to them; and what they refuse."""

import pathlib
import pickle
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import miniflow as mf
from miniflow.errors import FeedError, NotFiniteError

pytest.importorskip("sklearn", reason="the estimators need scikit-learn")

from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from miniflow.estimator import learning
from miniflow.options import OptionError

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X = np.random.default_rng(0).normal(size=(60, 3))
TARGETS = {
    "numbers": X[:, 0] + 10,
    "two numbers": X[:, :2],
    "two classes": np.where(X[:, 0] > 0, "up", "down"),
    "three classes": np.where(X[:, 0] > 0, "up", np.where(X[:, 1] > 0, "left", "right")),
    "one class": np.full(60, "only"),
}


def fitted(task: str, **options: Any) -> Any:
    kind = mf.MiniflowRegressor if task.endswith("numbers") else mf.MiniflowClassifier
    usual = {"hidden_layer_sizes": (4,), "max_iter": 20, "random_state": 0}
    return kind(**usual | options).fit(X, TARGETS[task])


def predictions(estimator: Any, folder: pathlib.Path) -> list[Any]:
    """Of the estimator, its pickle, and its saved file, whose classes are given their labels."""
    estimator.save(folder / "model.safetensors")
    saved = mf.load(folder / "model.safetensors").predict(X)
    if hasattr(estimator, "classes_"):
        saved = estimator.classes_[saved]
    return [estimator.predict(X), pickle.loads(pickle.dumps(estimator)).predict(X), saved]


def assert_agree(estimator: Any, folder: pathlib.Path) -> None:
    live, pickled, saved = predictions(estimator, folder)
    np.testing.assert_array_equal(live, pickled)
    if live.dtype.kind == "f":
        np.testing.assert_allclose(saved, live, rtol=1e-9)
        assert saved.shape == live.shape
    else:
        np.testing.assert_array_equal(saved, live)


@pytest.mark.parametrize("task", TARGETS)
def test_a_fitted_one_its_pickle_and_its_file(task: str, tmp_path: pathlib.Path) -> None:
    assert_agree(fitted(task), tmp_path)


@pytest.mark.parametrize("task", ["one class", "two classes", "three classes"])
def test_probabilities_have_a_column_for_each_class(task: str) -> None:
    estimator = fitted(task)
    probabilities = estimator.predict_proba(X)
    assert probabilities.shape == (60, len(estimator.classes_))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    np.testing.assert_allclose(np.exp(estimator.predict_log_proba(X)), probabilities)


@pytest.mark.parametrize("given", [-1, 2**40, 1.5, "a", np.random.default_rng(0)])
def test_what_is_no_random_state_is_told(given: Any) -> None:
    with pytest.raises(OptionError, match=r"Classifier: random_state is None, a whole number"):
        fitted("two classes", random_state=given)


def test_a_pipeline_is_no_place_where_a_graph_was_built() -> None:
    piped = make_pipeline(StandardScaler(), mf.MiniflowClassifier(max_iter=1, random_state=0))
    output = piped.fit(X, TARGETS["two classes"])[-1].output_node
    assert output.where.startswith("test_arrays_and_files.py:")


CHANGES = {
    "a list of arrays": lambda e: setattr(e, "coefs_", [np.zeros_like(c) for c in e.coefs_]),
    "one array": lambda e: e.coefs_.__setitem__(0, e.coefs_[0] * 2),
    "entries": lambda e: e.intercepts_[-1].__setitem__(slice(None), 3.0),
    "activation": lambda e: e.set_params(activation="tanh"),
    "alpha": lambda e: e.set_params(alpha=5.0),
    "partial_fit": lambda e: e.partial_fit(X[:20], TARGETS["two classes"][:20]),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("task", ["numbers", "two classes"])
def test_changed_after_fit(task: str, change: str, tmp_path: pathlib.Path) -> None:
    if (task, change) == ("numbers", "partial_fit"):
        pytest.skip("the labels are those of classes")
    estimator = fitted(task)
    before = estimator.predict(X)
    CHANGES[change](estimator)
    assert_agree(estimator, tmp_path)
    if change in ("a list of arrays", "entries") and task == "numbers":
        assert not np.array_equal(estimator.predict(X), before)


def test_training_goes_on_from_arrays_that_were_assigned() -> None:
    estimators = [fitted("numbers", warm_start=True, max_iter=1) for _ in range(2)]
    estimators[1].coefs_ = [coef + 1 for coef in estimators[1].coefs_]
    for estimator in estimators:
        estimator.fit(X, TARGETS["numbers"])
    difference = estimators[1].coefs_[0] - estimators[0].coefs_[0]
    assert (difference > 0.9).all()


def test_what_was_fitted_before_changes_no_bit() -> None:
    learning.forget_learners()
    options = {"backend": "numpy", "batch_size": 16}
    first = fitted("numbers", **options)
    fitted("numbers", **options, alpha=2.0, learning_rate_init=0.1)
    again = fitted("numbers", **options)
    for one, other in zip(first.coefs_, again.coefs_, strict=True):
        np.testing.assert_array_equal(one, other)
    assert learning.kept_learners() == 1  # alpha and the rate are no other program


def test_programs_are_kept_for_equal_designs(monkeypatch: pytest.MonkeyPatch) -> None:
    learning.forget_learners()
    made: list[Any] = []
    make = learning.make_step
    monkeypatch.setattr(learning, "make_step", lambda *given: made.append(1) or make(*given))
    for alpha in (0.0, 1.0):
        for rate in (0.01, 0.1):
            fitted("two classes", backend="numpy", alpha=alpha, learning_rate_init=rate)
    assert len(made) == 1
    fitted("two classes", backend="numpy", solver="sgd")
    assert len(made) == 2


def test_many_designs_keep_few_programs() -> None:
    learning.forget_learners()
    for size in range(1, 2 + learning.MOST_LEARNERS):
        fitted("numbers", hidden_layer_sizes=(size,), max_iter=1, backend="interpreter")
    assert learning.kept_learners() == learning.MOST_LEARNERS


def test_threads_fit_side_by_side() -> None:
    learning.forget_learners()

    def fit(seed: int) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return fitted("numbers", backend="numpy", random_state=seed).coefs_[0]

    alone = [fit(seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        for mine, theirs in zip(pool.map(fit, range(4)), alone, strict=True):
            np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize(
    ("rows", "max_iter", "backend"),
    [(60, 5, "interpreter"), (600, 50, "numpy"), (600, 2000, "auto")],
)
def test_what_is_too_little_work_is_not_compiled(
    rows: int, max_iter: int, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    borrowed = learning.borrowed
    from miniflow.estimator import perceptron

    monkeypatch.setattr(perceptron, "borrowed", lambda d: asked.append(d.backend) or borrowed(d))
    many = np.resize(X, (rows, 3))
    mf.MiniflowRegressor((4,), max_iter=max_iter, n_iter_no_change=1, tol=1.0).fit(many, many[:, 0])
    assert asked == [backend]


# --- files


def test_a_file_knows_the_columns_of_its_table(tmp_path: pathlib.Path) -> None:
    pd = pytest.importorskip("pandas", reason="needs pandas")
    table = pd.DataFrame(X, columns=["a", "b", "c"])
    estimator = mf.MiniflowRegressor((4,), max_iter=2, random_state=0).fit(table, X[:, 0])
    estimator.save(tmp_path / "m.safetensors")
    model = mf.load(tmp_path / "m.safetensors")
    np.testing.assert_allclose(model.predict(table), estimator.predict(table), rtol=1e-9)
    np.testing.assert_allclose(model.predict(X), estimator.predict(table), rtol=1e-9)
    for columns, says in (
        (["c", "b", "a"], "a, b, c, in this order; the one that it was given has them as c, b, a"),
        (["a", "b", "x"], "lacks c and has x besides"),
    ):
        with pytest.raises(FeedError, match=says):
            model(table.set_axis(columns, axis=1))


def test_notes_of_a_stranger_are_not_believed(tmp_path: pathlib.Path) -> None:
    w = mf.Parameter(np.ones((3, 1)), "w")
    x = mf.Input("x")
    for notes in (
        {"class_names": 3, "feature_names": 7},
        {"task": ["regression"], "is_column": "yes", "class_names": {"a": 1}},
        {"feature_names": [1, None]},
    ):
        mf.save(x @ w, tmp_path / "m.safetensors", {x: X}, notes=notes)
        model = mf.load(tmp_path / "m.safetensors")
        assert set(model.predict(X).tolist()) == {0, 1}


# --- what is told


def test_a_training_that_diverges_is_told_in_the_estimators_words() -> None:
    for kind, y in ((mf.MiniflowRegressor, X[:, 0]), (mf.MiniflowClassifier, X[:, 0] > 0)):
        with (
            np.errstate(all="ignore"),
            pytest.raises(NotFiniteError, match=f"{kind.__name__}: .* iteration .* diverges"),
        ):
            kind(solver="sgd", learning_rate_init=1e200, random_state=0).fit(X * 1e100, y)


@pytest.mark.parametrize("task", ["numbers", "two classes", "three classes"])
def test_scores_that_are_no_numbers_are_no_answer(task: str) -> None:
    estimator = fitted(task)
    estimator.coefs_[0][0, 0] = np.nan
    for ask in ("predict", "predict_proba", "predict_log_proba"):
        if hasattr(estimator, ask):
            with pytest.raises(NotFiniteError, match=r"is not finite.*coefs_"):
                getattr(estimator, ask)(X)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"learning_rate": 0.1}, "learning_rate is one of constant, invscaling, adaptive, not 0.1"),
        ({"learning_rate": "slow"}, "the rate itself is learning_rate_init"),
        ({"power_t": "a"}, "power_t is a number"),
        ({"power_t": -1}, "power_t is a number of at least 0"),
        ({"init": "he"}, "init is one of scikit-learn, glorot_uniform"),
        ({"init": 3}, "init is one of"),
        ({"class_weight": "even"}, "class_weight is None, 'balanced' or {label: weight}"),
        ({"class_weight": 3}, "class_weight is None, 'balanced' or {label: weight}"),
        ({"solver": "lbfgs"}, "lbfgs is scikit-learn's"),
        (
            {"solver": "sgd", "learning_rate": "adaptive", "learning_rate_init": lambda t: 0.1},
            "learning_rate='adaptive' begins at a number",
        ),
    ],
)
def test_options_that_make_no_sense_are_told(options: dict[str, Any], says: str) -> None:
    with pytest.raises(OptionError, match=f"MiniflowClassifier: .*{says}"):
        mf.MiniflowClassifier(**options).fit(X, TARGETS["two classes"])


def test_balanced_classes_need_all_of_the_data() -> None:
    with pytest.raises(OptionError, match="cannot balance the classes"):
        mf.MiniflowClassifier(class_weight="balanced").partial_fit(X, TARGETS["two classes"])


def test_too_few_to_set_aside_are_told_with_the_label() -> None:
    y = np.array(["fox"] + ["dog"] * 59)
    with pytest.raises(OptionError, match=r"of both classes aside, and of 'fox' there is only one"):
        mf.MiniflowClassifier(early_stopping=True).fit(X, y)
    for fraction, rows in ((0.1, 9), (0.001, 60)):
        with pytest.raises(OptionError, match="needs two for validation"):
            mf.MiniflowClassifier(early_stopping=True, validation_fraction=fraction).fit(
                X[:rows], TARGETS["three classes"][:rows]
            )


def test_other_layers_on_a_warm_start_are_told() -> None:
    estimator = fitted("numbers", warm_start=True)
    with pytest.raises(OptionError, match=r"has learned with layers of \[3, 4, 1\]"):
        estimator.set_params(hidden_layer_sizes=(7,)).fit(X, TARGETS["numbers"])
    clone(estimator).fit(X, TARGETS["numbers"])


@pytest.mark.parametrize("init", ["glorot_uniform", "he_normal", mf.initializers.he_uniform])
def test_other_first_arrays(init: Any) -> None:
    estimators = [fitted("numbers", init=init, max_iter=1) for _ in range(2)]
    np.testing.assert_array_equal(estimators[0].coefs_[0], estimators[1].coefs_[0])
    assert not np.array_equal(estimators[0].coefs_[0], fitted("numbers", max_iter=1).coefs_[0])
