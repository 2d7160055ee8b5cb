"""What the classifier and the regressor share: parameters, checks, `fit` and `partial_fit`.

The parameters are scikit-learn's own, those of `sklearn.neural_network.MLPClassifier`, and so are
the rules by which a training ends. An estimator keeps what it has learned in arrays (`coefs_`,
`intercepts_`), the optimizer and the random numbers; the graph and its compiled step are made from
these, are left out of a pickle, and are made again where they are missing.
"""

from __future__ import annotations

import copy
import numbers
import os
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator  # type: ignore[import-untyped]
from sklearn.exceptions import ConvergenceWarning  # type: ignore[import-untyped]
from sklearn.model_selection import train_test_split  # type: ignore[import-untyped]
from sklearn.utils import check_random_state  # type: ignore[import-untyped]
from sklearn.utils.validation import (  # type: ignore[import-untyped]
    _check_sample_weight,
    check_is_fitted,
)

from miniflow.estimator.learning import (
    ACTIVATIONS,
    Arrays,
    Examples,
    Graph,
    Learner,
    first_arrays,
)
from miniflow.graph.values import describe
from miniflow.models import save
from miniflow.optimizers import SGD, Adam, AdamW, Optimizer, RMSprop
from miniflow.options import OptionError, number, whole
from miniflow.training import Training
from miniflow.training.callbacks import Callback
from miniflow.training.progress import ProgressLines

try:
    from sklearn.utils.validation import validate_data
except ImportError:  # before scikit-learn 1.6 it was a method

    def validate_data(estimator: Any, X: Any, y: Any = "no_validation", **options: Any) -> Any:
        return estimator._validate_data(X, y, **options)


SOLVERS = ("adam", "adamw", "rmsprop", "sgd")
DTYPES = (np.float64, np.float32)


class Perceptron(BaseEstimator):  # type: ignore[misc]
    """The common part of `MiniflowClassifier` and `MiniflowRegressor`, which say what it takes."""

    coefs_: list[NDArray[Any]]
    intercepts_: list[NDArray[Any]]
    loss_curve_: list[float]
    loss_: float
    best_loss_: float | None
    validation_scores_: list[float] | None
    best_validation_score_: float | None
    n_features_in_: int
    _learner: Learner | None

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: str = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate_init: Any = 0.001,
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
        backend: str = "auto",
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.backend = backend

    # --- What differs between the two

    _is_classifier = False

    def _targets(self, y: Any, first: bool, classes: Any = None) -> NDArray[Any]:
        """`y` as the graph takes it: classes (n,), or numbers (n, outputs)."""
        raise NotImplementedError

    def _outputs(self, targets: NDArray[Any]) -> int:
        """How many outputs the graph has."""
        raise NotImplementedError

    def _score_of(self, output: Any, targets: Any, weights: Any) -> float:
        """How good an output is, for early stopping; higher is better."""
        raise NotImplementedError

    def _notes(self) -> dict[str, Any]:
        """What to note in a model file."""
        return {}

    # --- Training

    def _fit(self, X: Any, y: Any, sample_weight: Any) -> Any:
        self._check_parameters()
        goes_on = self.warm_start and hasattr(self, "coefs_")
        X, targets, weights = self._checked(X, y, sample_weight, first=not goes_on)
        if not goes_on:
            self._begin(X, self._outputs(targets))
        self._renew_optimizer()
        kept = None
        if self.early_stopping:
            X, targets, weights, *kept = self._set_aside(X, targets, weights)
        rule = StopRule(self, kept)
        losses = self._train(X, targets, weights, self.max_iter, [rule])
        rule.finish()
        if self.early_stopping:
            self.validation_scores_ = rule.scores
            self.best_validation_score_ = rule.best
            self.best_loss_ = None
        if not rule.has_stopped and losses:
            warnings.warn(
                f"{type(self).__name__}: after max_iter={self.max_iter} iterations the training "
                "had not come to rest.",
                ConvergenceWarning,
                stacklevel=3,
            )
        return self

    def _partial_fit(self, X: Any, y: Any, sample_weight: Any, classes: Any = None) -> Any:
        self._check_parameters()
        if self.early_stopping:
            raise OptionError(
                "partial_fit sees the data bit by bit and cannot set some aside: it does not go "
                "together with early_stopping=True."
            )
        first = not hasattr(self, "coefs_")
        X, targets, weights = self._checked(X, y, sample_weight, first=first, classes=classes)
        if first:
            self._begin(X, self._outputs(targets))
            self._renew_optimizer()
        self._train(X, targets, weights, 1, [])
        return self

    def _begin(self, X: NDArray[Any], outputs: int) -> None:
        """Forget what has been learned, and draw the first weights."""
        seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        self._rng = np.random.default_rng(seed)
        sizes = [X.shape[1], *self._hidden_sizes(), outputs]
        arrays = first_arrays(sizes, self.activation, self._rng, X.dtype)
        self.coefs_, self.intercepts_ = arrays.weights, arrays.biases
        self.n_layers_ = len(sizes)
        self.n_outputs_ = outputs
        self.out_activation_ = "softmax" if self._is_classifier else "identity"
        self.loss_curve_ = []
        self.best_loss_ = np.inf
        self.n_iter_ = 0
        self.t_ = 0
        self.validation_scores_ = None
        self.best_validation_score_ = None
        self._learner = None

    def _renew_optimizer(self) -> None:
        self._optimizer = self._new_optimizer()
        self._learner = None

    def _train(
        self, X: Any, targets: Any, weights: Any, epochs: int, callbacks: list[Callback]
    ) -> list[float]:
        learner = self._learning()
        examples = Examples(learner.graph, X, targets, weights, self.shuffle)
        rows = examples.examples
        size = min(200, rows) if self.batch_size == "auto" else min(self.batch_size, rows)
        watching: list[Callback] = [Bookkeeping(self)]
        if self.verbose:
            watching.append(ProgressLines())
        return learner.train(examples, size, epochs, [*watching, *callbacks])

    def _learning(self) -> Learner:
        """The graph and its compiled step, made where there is none (after unpickling)."""
        learner: Learner | None = getattr(self, "_learner", None)
        if learner is None:
            graph = self._graph()
            learner = self._learner = Learner(graph, self._optimizer, self._rng, self.backend)
            self.coefs_, self.intercepts_ = graph.arrays()
        return learner

    def _graph(self) -> Graph:
        arrays = Arrays(self.coefs_, self.intercepts_)
        return Graph(arrays, self.activation, float(self.alpha), self._is_classifier)

    def _set_aside(self, X: Any, targets: Any, weights: Any) -> Any:
        """Examples to train on, and to validate with; of both, only those that weigh something."""
        X, targets, weights = (column[weights > 0] for column in (X, targets, weights))
        parts = train_test_split(
            X,
            targets,
            weights,
            test_size=self.validation_fraction,
            stratify=targets if self._is_classifier else None,
            random_state=int(self._rng.integers(2**31)),
        )
        rows = len(parts[1])
        if rows < 2 and not self._is_classifier:  # of one number no R² can be told
            raise OptionError(
                f"{type(self).__name__}: early stopping needs two examples for validation, and "
                f"validation_fraction={self.validation_fraction} sets {rows} of {len(X)} aside."
            )
        return [*parts[::2], *parts[1::2]]

    # --- Prediction

    def _output(self, X: Any) -> NDArray[Any]:
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=DTYPES)
        learner = getattr(self, "_learner", None)
        graph = self._graph() if learner is None else learner.graph
        return graph.predict(X.astype(self.coefs_[0].dtype, copy=False))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a model file: the forward program, from features to outputs, and its arrays.

        `miniflow.load(path)` reads it, without scikit-learn. A classifier's model gives the logits
        of the classes in the order of `classes_`.

        Raises OSError if the file cannot be written.
        """
        check_is_fitted(self)
        graph = self._graph()
        example = np.zeros((1, self.n_features_in_), self.coefs_[0].dtype)
        save(graph.output, path, inputs={graph.X: example}, notes=self._notes())

    # --- Checks

    def _checked(self, X: Any, y: Any, sample_weight: Any, first: bool, classes: Any = None) -> Any:
        X, y = validate_data(
            self,
            X,
            y,
            reset=first,
            dtype=DTYPES,
            multi_output=True,
            y_numeric=not self._is_classifier,
        )
        if not first:
            X = X.astype(self.coefs_[0].dtype, copy=False)
        targets = self._targets(y, first, classes)
        if not self._is_classifier:
            targets = targets.astype(X.dtype, copy=False)
        weights = _check_sample_weight(sample_weight, X, dtype=X.dtype)
        if not (weights >= 0).all() or not weights.any():
            raise OptionError(
                f"{type(self).__name__}: sample_weight holds numbers of at least 0, not all of "
                "them 0."
            )
        return X, targets, weights

    def _hidden_sizes(self) -> list[int]:
        owner, given = type(self).__name__, self.hidden_layer_sizes
        sizes = [given] if isinstance(given, numbers.Integral) else given
        if not isinstance(sizes, (Sequence, np.ndarray)) or isinstance(sizes, str):
            raise OptionError(
                f"{owner}: hidden_layer_sizes is a number or several, as (100,), not "
                f"{describe(given)}."
            )
        return [whole(owner, "an entry of hidden_layer_sizes", size, least=1) for size in sizes]

    def _check_parameters(self) -> None:
        owner = type(self).__name__
        self._hidden_sizes()
        for name, known in (("activation", ACTIVATIONS), ("solver", SOLVERS)):
            if getattr(self, name) not in known:
                hint = " (lbfgs is scikit-learn's)" * (getattr(self, name) == "lbfgs")
                raise OptionError(
                    f"{owner}: {name} is one of {', '.join(known)}, not "
                    f"{getattr(self, name)!r}{hint}."
                )
        if self.batch_size != "auto":
            whole(owner, "batch_size", self.batch_size, least=1)
        for name in ("max_iter", "n_iter_no_change"):
            whole(owner, name, getattr(self, name), least=1)
        number(owner, "alpha", self.alpha)
        if self.tol != -np.inf:  # never content
            number(owner, "tol", self.tol)
        if (
            self.early_stopping
            and not number(owner, "validation_fraction", self.validation_fraction, below=1.0) > 0
        ):
            raise OptionError(f"{owner}: validation_fraction is above 0 and below 1.")
        self._new_optimizer()

    def _new_optimizer(self) -> Optimizer:
        # A schedule is the user's object; what the optimizer keeps must not be shared with a clone.
        lr = copy.deepcopy(self.learning_rate_init)
        if self.solver == "sgd":
            nesterov = bool(self.nesterovs_momentum and self.momentum > 0)
            return SGD(lr, momentum=self.momentum, nesterov=nesterov)
        if self.solver == "rmsprop":
            return RMSprop(lr)
        kind = AdamW if self.solver == "adamw" else Adam
        return kind(lr, self.beta_1, self.beta_2, self.epsilon)

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = dict(super().__getstate__())
        state.pop("_learner", None)
        return state


class Bookkeeping(Callback):
    """Keeps an estimator's public attributes up to date while it is trained."""

    def __init__(self, estimator: Perceptron) -> None:
        self._estimator = estimator

    def on_epoch_end(self, training: Training) -> None:
        estimator, loss = self._estimator, training.history[-1].loss
        estimator.loss_curve_.append(loss)
        estimator.loss_ = loss
        if estimator.best_loss_ is not None:
            estimator.best_loss_ = min(estimator.best_loss_, loss)
        estimator.n_iter_ += 1
        estimator.t_ += training.rows_done


class StopRule(Callback):
    """Ends a training when it has not got better, by `tol`, for `n_iter_no_change` iterations.

    Without validation data "better" is a lower loss; with them it is a higher score, and in the end
    the parameters of the best score are put back.

    Attributes:
        has_stopped: whether it did. best: the best loss or score. scores: the scores.
    """

    def __init__(self, estimator: Perceptron, validation: Any) -> None:
        self._estimator, self._validation = estimator, validation
        self._sign = 1.0 if validation is not None else -1.0
        self._waited = 0
        self._arrays: list[NDArray[Any]] = []
        self.has_stopped = False
        self.best = -self._sign * np.inf
        self.scores: list[float] = []

    def on_epoch_end(self, training: Training) -> None:
        latest = training.history[-1].loss if self._validation is None else self._score()
        estimator = self._estimator
        gain = self._sign * (latest - self.best)
        self._waited = 0 if gain >= estimator.tol else self._waited + 1
        if gain > 0:
            self.best = latest
            if self._validation is not None:
                self._arrays = [parameter.value.copy() for parameter in training.parameters]
        if self._waited > estimator.n_iter_no_change:
            self.has_stopped = training.stop = True

    def finish(self) -> None:
        """Put the best parameters back."""
        for parameter, array in zip(
            self._estimator._learning().graph.parameters if self._arrays else (),
            self._arrays,
            strict=True,
        ):
            parameter.value[...] = array

    def _score(self) -> float:
        X, targets, weights = self._validation
        output = self._estimator._learning().graph.predict(X)
        self.scores.append(self._estimator._score_of(output, targets, weights))
        return self.scores[-1]
