"""`MiniflowRegressor`: one number, or several, for each example."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import RegressorMixin  # type: ignore[import-untyped]
from sklearn.metrics import r2_score  # type: ignore[import-untyped]

from miniflow.estimator.perceptron import Perceptron
from miniflow.options import OptionError


class MiniflowRegressor(RegressorMixin, Perceptron):  # type: ignore[misc]
    """A multilayer perceptron for numbers, fitted by a compiled graph: least squares.

    Targets of a size far from 1 are learned slowly: scale them, for instance with
    `sklearn.compose.TransformedTargetRegressor`.

    Parameters
    ----------
    hidden_layer_sizes, activation, solver, alpha, batch_size, learning_rate, learning_rate_init, \
power_t, max_iter, shuffle, random_state, tol, verbose, warm_start, momentum, nesterovs_momentum, \
validation_fraction, beta_1, beta_2, epsilon, n_iter_no_change, init, frozen, groups, backend
        As for `MiniflowClassifier`.
    early_stopping : bool, default=False
        Set `validation_fraction` of the data aside, stop by the R² on them, and put the best
        weights back.

    Attributes
    ----------
    coefs_, intercepts_ : list of ndarray
        The weights (inputs, outputs) and the biases of each layer, of float32 if the data were.
    loss_, best_loss_ : float
        The last loss (half the mean squared error, and the penalty), and the least (None with early
        stopping).
    loss_curve_ : list of float
        The mean loss of each iteration.
    validation_scores_, best_validation_score_
        The R² on the validation data after each iteration, and the best; None without early
        stopping.
    n_iter_ : int
        Iterations of the last fit.
    t_ : int
        Examples seen.
    backend_, why_backend_ : str
        What ran the steps; the same with the reason, as in "numpy: llvmlite is not installed".
    n_features_in_ : int
        Features.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names; only if X was a table whose columns are all named by strings.
    n_layers_, n_outputs_, out_activation_
        Layers, with the input's; outputs; "identity".

    Raises
    ------
    OptionError
        In `fit`: a parameter does not fit the data or the others.
    NotFiniteError
        In `fit`: the training diverges; the message says what to try.

    See Also
    --------
    MiniflowClassifier : The same for classes.

    Examples
    --------
    >>> import numpy as np, miniflow as mf
    >>> X = np.linspace(-1, 1, 60)[:, None]
    >>> model = mf.MiniflowRegressor((16,), "tanh", learning_rate_init=0.02, random_state=0,
    ...                              max_iter=300, backend="numpy")
    >>> model.fit(X, np.sin(3 * X[:, 0])).score(X, np.sin(3 * X[:, 0])) > 0.95
    True
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> MiniflowRegressor:
        """Fit to examples X, (n, features), and their targets y, (n,) or (n, outputs).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The examples.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their targets.
        sample_weight : array-like of shape (n_samples,), default=None
            How much each example counts; 1 by default.

        Returns
        -------
        self : MiniflowRegressor
            The fitted estimator.
        """
        return self._fit(X, y, sample_weight)

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> MiniflowRegressor:
        """Go once through these examples, on from what has been learned so far.

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`.

        Returns
        -------
        self : MiniflowRegressor
            The estimator.
        """
        return self._partial_fit(X, y, sample_weight)

    def predict(self, X: Any) -> NDArray[Any]:
        """The prediction for each example.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The examples.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            As the targets were.
        """
        output = self._output(X)
        return output[:, 0] if self._is_column else output

    def _targets(self, y: Any, first: bool, classes: Any = None) -> NDArray[Any]:
        if first:
            self._is_column = y.ndim == 1
        targets: NDArray[Any] = y.reshape(len(y), -1)
        if first:
            self._target_count = int(targets.shape[1])
        if not first and targets.shape[1] != self.n_outputs_:
            raise OptionError(
                f"{type(self).__name__}: y has {targets.shape[1]} outputs, and had "
                f"{self.n_outputs_} when it was fitted first."
            )
        return targets

    def _outputs(self) -> int:
        return self._target_count

    def _loss_name(self) -> str:
        return "squared_error"

    def _score_of(self, output: Any, targets: Any, weights: Any) -> float:
        if not np.isfinite(output).all():
            return np.nan
        return float(r2_score(targets, output, sample_weight=weights))

    def _notes(self) -> dict[str, Any]:
        return {"task": "regression", "is_column": self._is_column}

    def _more_tags(self) -> dict[str, Any]:  # before scikit-learn 1.6
        return {"multioutput": True}

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
