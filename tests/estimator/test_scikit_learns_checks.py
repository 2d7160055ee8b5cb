"""scikit-learn's own checks of an estimator, all of them: none is expected to fail.

The networks are small and the trainings short, so that the two hundred fits take seconds; that
a training stopped by `max_iter` is warned about is what scikit-learn asks for.
"""

from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("sklearn", reason="the estimators need scikit-learn")

from sklearn.utils.estimator_checks import parametrize_with_checks

from miniflow.estimator import MiniflowClassifier, MiniflowRegressor

QUICK: dict[str, Any] = {
    "hidden_layer_sizes": (10,),
    "learning_rate_init": 0.05,
    "max_iter": 20,
    "backend": "numpy",
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks([MiniflowClassifier(**QUICK), MiniflowRegressor(**QUICK)])
def test_scikit_learn_has_no_complaint_about(estimator: Any, check: Callable[[Any], None]) -> None:
    check(estimator)
