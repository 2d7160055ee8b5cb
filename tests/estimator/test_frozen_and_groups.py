"""Arrays of an estimator that stay as they are, and groups that another solver moves."""

import pickle
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.preprocessing import StandardScaler

import miniflow as mf
from miniflow.layers.summaries import summarize
from miniflow.options import OptionError

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def iris() -> Any:
    X, y = load_iris(return_X_y=True)
    return StandardScaler().fit_transform(X), y


def arrays(estimator: Any) -> dict[str, bytes]:
    named = {f"W{i}": array for i, array in enumerate(estimator.coefs_, 1)}
    named |= {f"b{i}": array for i, array in enumerate(estimator.intercepts_, 1)}
    return {name: array.tobytes() for name, array in named.items()}


@pytest.mark.parametrize("backend", ["interpreter", "numpy", "native"])
def test_what_is_frozen_stays_and_the_rest_learns(backend: str) -> None:
    X, y = iris()
    clf = mf.MiniflowClassifier((6, 4), max_iter=4, random_state=0, backend=backend, tol=-np.inf)
    before = arrays(clf.fit(X, y))
    clf.set_params(frozen=("W1", "b1"), warm_start=True).fit(X, y)
    after = arrays(clf)
    assert {name for name in after if after[name] == before[name]} == {"W1", "b1"}
    clf.set_params(frozen=["b3"]).partial_fit(X, y)
    assert {name for name, bits in arrays(clf).items() if bits == after[name]} == {"b3"}
    assert summarize(clf).frozen == 3
    assert summarize(clf).parameters == 4 * 6 + 6 + 6 * 4 + 4 + 4 * 3 + 3


def test_a_group_that_says_nothing_otherwise_changes_nothing() -> None:
    X, y = load_diabetes(return_X_y=True)
    options: dict[str, Any] = {"max_iter": 3, "random_state": 0, "tol": -np.inf}
    plain = mf.MiniflowRegressor((5,), **options).fit(X, y)
    grouped = mf.MiniflowRegressor((5,), groups=[({}, ["W2", "b1"])], **options).fit(X, y)
    assert arrays(plain) == arrays(grouped)
    assert plain.loss_curve_ == grouped.loss_curve_


def test_each_group_has_its_solver_and_its_rate() -> None:
    X, y = iris()
    groups = [
        ({"learning_rate_init": 0.0}, ["W1", "b1"]),
        ({"solver": "sgd", "learning_rate_init": 0.5, "momentum": 0.0}, ["b2"]),
    ]
    options: dict[str, Any] = {"random_state": 0, "batch_size": 150, "shuffle": False}
    clf = mf.MiniflowClassifier((6,), groups=groups, max_iter=1, **options).fit(X, y)
    first = mf.MiniflowClassifier((6,), solver="sgd", learning_rate_init=0.0, max_iter=1, **options)
    first.fit(X, y)
    begun = arrays(first)
    assert {name for name, bits in arrays(clf).items() if bits == begun[name]} == {"W1", "b1"}
    output = first._output(X)
    shares = np.exp(output) / np.exp(output).sum(axis=1, keepdims=True)
    db2 = (shares - np.eye(3)[y]).mean(axis=0)
    np.testing.assert_allclose(clf.intercepts_[1], first.intercepts_[1] - 0.5 * db2, rtol=1e-6)


def test_rates_of_groups_go_down_each_from_its_own() -> None:
    X, y = iris()
    clf = mf.MiniflowClassifier(
        (4,), solver="sgd", learning_rate="invscaling", learning_rate_init=0.1, max_iter=2,
        random_state=0,
        groups=[({"learning_rate_init": 0.4}, ["W1"]), ({"solver": "adam"}, ["W2"])],
    ).fit(X, y)  # fmt: skip
    root = (2 * len(X) + 1) ** 0.5
    np.testing.assert_allclose(clf._learning_rate, [0.4 / root, 0.1, 0.1 / root])
    again = pickle.loads(pickle.dumps(clf)).partial_fit(X, y)
    assert arrays(again) == arrays(clf.partial_fit(X, y))
    clone(clf).fit(X, y)
    clf.set_params(groups=None).partial_fit(X, y)  # what was remembered is of no use


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"frozen": ["W9"]}, r"frozen has 'W9' \(str\); the arrays are W1, b1, W2, b2\."),
        ({"frozen": "W1"}, "frozen names arrays"),
        ({"frozen": ["W1", "b1", "W2", "b2"]}, "nothing is left to be trained"),
        ({"groups": [({"solver": "lbfgs"}, ["W1"])]}, "solver is one of adam, adamw"),
        ({"groups": [({}, ["W1"]), ({}, ["W1"])]}, "W1 is in two groups, 1 and 2"),
        ({"groups": [({}, ["W1"])], "frozen": ["W1"]}, "W1 is frozen, and in group 1"),
        ({"groups": [({"lr": 1}, ["W1"])]}, "group 1 has 'lr'; a group has solver, learning"),
        ({"groups": [({}, ["W7"])]}, "group 1 has 'W7'"),
        ({"groups": [({"learning_rate_init": -1}, ["W1"])]}, "lr is a number of at least 0"),
        ({"groups": ({}, ["W1"])}, "is a list of pairs of options and names"),
    ],
)
def test_what_does_not_fit_is_told(options: dict[str, Any], told: str) -> None:
    X, y = iris()
    with pytest.raises(OptionError, match=told):
        mf.MiniflowClassifier((3,), **options).fit(X, y)
