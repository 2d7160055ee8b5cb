"""`MiniflowClassifier`: labels of any kind, probabilities of the classes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin  # type: ignore[import-untyped]
from sklearn.utils.class_weight import compute_sample_weight  # type: ignore[import-untyped]
from sklearn.utils.multiclass import check_classification_targets  # type: ignore[import-untyped]
from sklearn.utils.validation import column_or_1d  # type: ignore[import-untyped]

from miniflow.estimator.perceptron import Perceptron
from miniflow.nodes.activation import softmax
from miniflow.options import OptionError


class MiniflowClassifier(ClassifierMixin, Perceptron):  # type: ignore[misc]
    """A multilayer perceptron that tells classes apart, fitted by a compiled graph.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default=(100,)
        How many units each hidden layer has; () is a linear model.
    activation : {"identity", "logistic", "relu", "tanh"}, default="relu"
        What follows a hidden layer.
    solver : {"adam", "adamw", "rmsprop", "sgd"}, default="adam"
        The optimizer.
    alpha : float, default=0.0001
        The strength of the penalty ½ Σ ‖W‖², which is divided by the weights of a batch.
    batch_size : int or "auto", default="auto"
        Examples in a batch; "auto" is 200, or all if there are fewer.
    learning_rate : {"constant", "invscaling", "adaptive"}, default="constant"
        Of "sgd": as it is; divided by (t + 1)^power_t after each iteration, t the examples seen; or
        divided by 5 whenever the training would otherwise end.
    learning_rate_init : float or schedule, default=0.001
        The learning rate, or a function of the step: see `miniflow.schedules`.
    power_t : float, default=0.5
        Of "invscaling".
    max_iter : int, default=200
        How often to go through the data at most.
    shuffle : bool, default=True
        Whether each iteration goes through the data in another order.
    random_state : int, RandomState instance or None, default=None
        What the first weights, the order and the validation data are drawn with: the same int gives
        the same bits, on the same machine.
    tol : float, default=1e-4
        An iteration is better if the loss falls, or the validation score rises, by at least this.
    verbose : bool, default=False
        Print a line for each iteration.
    warm_start : bool, default=False
        `fit` goes on from what the last `fit` has learned.
    momentum : float, default=0.9
        Of "sgd", in [0, 1).
    nesterovs_momentum : bool, default=True
        Of "sgd".
    early_stopping : bool, default=False
        Set `validation_fraction` of the data aside, of two classes with the same shares; stop by
        the accuracy on them, and put the best weights back.
    validation_fraction : float, default=0.1
        In (0, 1).
    beta_1, beta_2, epsilon : float, default=0.9, 0.999, 1e-8
        Of "adam" and "adamw".
    n_iter_no_change : int, default=10
        More iterations than this in a row that are not better end the training.
    init : str or callable, default="scikit-learn"
        What the first weights and biases are drawn from: scikit-learn's own; or "glorot_uniform",
        "glorot_normal", "he_uniform", "he_normal", or a function of (shape, rng, dtype) such as
        these, and biases of 0.
    class_weight : dict or "balanced", default=None
        How much an example of each class counts, {label: weight}, times its `sample_weight`;
        "balanced" is n / (classes · n of the class).
    frozen : list of str, default=()
        Arrays that stay as they are, by their names: "W1" and "b1" are `coefs_[0]` and
        `intercepts_[0]`. With `warm_start` or `partial_fit`, those of an earlier fit.
    groups : list of (dict, list of str), default=None
        Arrays for which another solver is chosen, or another rate: [({"learning_rate_init": 1e-4},
        ["W1", "b1"])]. A group says `solver`, `learning_rate_init`, `momentum`,
        `nesterovs_momentum`, `beta_1`, `beta_2` and `epsilon` otherwise than the estimator, which
        moves the arrays that are in none.
    backend : {"auto", "interpreter", "numpy", "native"}, default="auto"
        What runs the steps, as for `miniflow.fit`; "auto" leaves small tables to the interpreter.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels.
    coefs_, intercepts_ : list of ndarray
        The weights (inputs, outputs) and the biases of each layer, of float32 if the data were.
    loss_, best_loss_ : float
        The last loss, and the least (None with early stopping).
    loss_curve_ : list of float
        The mean loss of each iteration.
    validation_scores_, best_validation_score_
        The accuracy on the validation data after each iteration, and the best; None without early
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
        Layers, with the input's; outputs, 1 for two classes; "logistic" or "softmax".

    Raises
    ------
    OptionError
        In `fit`: a parameter does not fit the data or the others.
    NotFiniteError
        In `fit`: the training diverges; the message says what to try.

    See Also
    --------
    MiniflowRegressor : The same for numbers.

    Notes
    -----
    Examples with the weight 0 are left out, and a weight of 2 is the same as the example twice as
    long as all examples are in one batch; in smaller batches they fall out differently.

    Examples
    --------
    >>> import numpy as np, miniflow as mf
    >>> X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]] * 10)
    >>> y = np.where(X[:, 0] == X[:, 1], "same", "different")
    >>> clf = mf.MiniflowClassifier((8,), learning_rate_init=0.05, random_state=0, backend="numpy")
    >>> clf.fit(X, y).predict([[1.0, 1.0], [1.0, 0.0]])
    array(['same', 'different'], dtype='<U9')
    """

    _is_classifier = True

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: str = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate: str = "constant",
        learning_rate_init: Any = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: int = 10,
        init: Any = "scikit-learn",
        frozen: Any = (),
        groups: Any = None,
        class_weight: Any = None,
        backend: str = "auto",
    ) -> None:
        Perceptron.__init__(
            self,
            hidden_layer_sizes,
            activation,
            solver=solver,
            alpha=alpha,
            batch_size=batch_size,
            learning_rate=learning_rate,
            learning_rate_init=learning_rate_init,
            power_t=power_t,
            max_iter=max_iter,
            shuffle=shuffle,
            random_state=random_state,
            tol=tol,
            verbose=verbose,
            warm_start=warm_start,
            momentum=momentum,
            nesterovs_momentum=nesterovs_momentum,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
            n_iter_no_change=n_iter_no_change,
            init=init,
            frozen=frozen,
            groups=groups,
            backend=backend,
        )
        self.class_weight = class_weight

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> MiniflowClassifier:
        """Fit to examples X, (n, features), and their labels y, (n,).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The examples.
        y : array-like of shape (n_samples,)
            Their labels: numbers, strings, anything that can be sorted.
        sample_weight : array-like of shape (n_samples,), default=None
            How much each example counts; 1 by default.

        Returns
        -------
        self : MiniflowClassifier
            The fitted estimator.
        """
        return self._fit(X, y, sample_weight)

    def partial_fit(
        self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None
    ) -> MiniflowClassifier:
        """Go once through these examples, on from what has been learned so far.

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`.
        classes : array-like of shape (n_classes,), default=None
            All labels that will ever come; needed in the first call, unless y has them all.

        Returns
        -------
        self : MiniflowClassifier
            The estimator.
        """
        return self._partial_fit(X, y, sample_weight, classes)

    def predict(self, X: Any) -> NDArray[Any]:
        """The most probable label of each example.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The examples.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Labels out of `classes_`.
        """
        output = self._output(X)
        labels: NDArray[Any] = self.classes_[self._places(output)]
        return labels

    def predict_proba(self, X: Any) -> NDArray[Any]:
        """The probability of each class for each example.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The examples.

        Returns
        -------
        p : ndarray of shape (n_samples, n_classes)
            In the order of `classes_`.
        """
        output = self._output(X)
        if output.shape[1] > 1:
            probabilities: NDArray[Any] = softmax(output)
            return probabilities
        if len(self.classes_) == 1:
            return np.ones_like(output)
        e = np.exp(-np.abs(output))
        p = np.where(output >= 0, 1 / (1 + e), e / (1 + e))
        return np.hstack([1 - p, p])

    def predict_log_proba(self, X: Any) -> NDArray[Any]:
        """The logarithm of `predict_proba`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The examples.

        Returns
        -------
        p : ndarray of shape (n_samples, n_classes)
            In the order of `classes_`.
        """
        output = self._output(X)
        if len(self.classes_) == 1:
            return np.zeros_like(output)
        if output.shape[1] == 1:  # log σ(-z) and log σ(z)
            output = np.hstack([-output, output])
            logs: NDArray[Any] = np.minimum(output, 0) - np.log1p(np.exp(-np.abs(output)))
            return logs
        shifted = output - output.max(axis=1, keepdims=True)
        return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))

    def _targets(self, y: Any, first: bool, classes: Any = None) -> NDArray[Any]:
        y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        if first:
            self.classes_ = np.unique(y if classes is None else classes)
        elif classes is not None and not np.array_equal(np.unique(classes), self.classes_):
            raise OptionError(
                f"partial_fit: classes is {np.unique(classes).tolist()}, and was "
                f"{self.classes_.tolist()} in the first call."
            )
        unknown = np.setdiff1d(y, self.classes_)
        if len(unknown):
            raise OptionError(
                f"{type(self).__name__}: y has the labels {unknown.tolist()}, which are not among "
                f"its classes, {self.classes_.tolist()}."
            )
        targets: NDArray[Any] = np.searchsorted(self.classes_, y)
        return targets if len(self.classes_) > 2 else targets[:, None]

    def _weighted(self, y: Any, weights: NDArray[Any], is_whole: bool) -> NDArray[Any]:
        if self.class_weight is None:
            return weights
        if not is_whole and self.class_weight == "balanced":
            raise OptionError(
                "partial_fit sees the data bit by bit and cannot balance the classes: give "
                "class_weight as {label: weight}."
            )
        try:
            of_classes = compute_sample_weight(self.class_weight, y)
        except (ValueError, TypeError) as error:
            raise OptionError(
                f"{type(self).__name__}: class_weight is None, 'balanced' or {{label: weight}}, "
                f"not {self.class_weight!r} ({error})."
            ) from None
        weighted: NDArray[Any] = weights * of_classes.astype(weights.dtype)
        return weighted

    def _outputs(self) -> int:
        return len(self.classes_) if len(self.classes_) > 2 else 1

    def _loss_name(self) -> str:
        return "softmax" if len(self.classes_) > 2 else "logistic"

    def _is_stratified(self) -> bool:
        return len(self.classes_) == 2

    def _class_name(self, number: int) -> Any:
        return self.classes_[number].item()

    def _places(self, output: NDArray[Any]) -> NDArray[Any]:
        """The place in `classes_` of each row of outputs."""
        if output.shape[1] > 1:
            return np.asarray(np.argmax(output, axis=1))
        places: NDArray[Any] = (output[:, 0] > 0).astype(int) * (len(self.classes_) == 2)
        return places

    def _score_of(self, output: Any, targets: Any, weights: Any) -> float:
        if not np.isfinite(output).all():
            return np.nan
        hits = self._places(output) == targets.reshape(-1)
        return float(np.average(hits, weights=weights))

    def _notes(self) -> dict[str, Any]:
        names = [str(label) for label in self.classes_.tolist()]
        return {"class_names": names, "task": "classification"}
