"""miniflow as scikit-learn's estimators: `MiniflowClassifier` and `MiniflowRegressor`.

    clf = mf.MiniflowClassifier(hidden_layer_sizes=(64,), random_state=0)
    make_pipeline(StandardScaler(), clf).fit(X, y)

They take the parameters of scikit-learn's own multilayer perceptrons, and what they fit is an
ordinary graph of nodes, compiled by miniflow. The parts:

    learning.py     the graph, its loss with weights for the examples, and the training of it
    perceptron.py   what both estimators share: parameters, validation, fit and partial_fit
    classifier.py   labels, probabilities        regressor.py   one target or several

scikit-learn is needed here and nowhere else: it is the extra `sklearn`.
"""

try:
    import sklearn as _sklearn  # type: ignore[import-untyped]  # noqa: F401
except ImportError as error:
    raise ImportError(
        "MiniflowClassifier and MiniflowRegressor are estimators for scikit-learn, which is not "
        'installed: pip install "miniflow-graphs[sklearn]".'
    ) from error

from miniflow.estimator.classifier import MiniflowClassifier
from miniflow.estimator.regressor import MiniflowRegressor

__all__ = ["MiniflowClassifier", "MiniflowRegressor"]
