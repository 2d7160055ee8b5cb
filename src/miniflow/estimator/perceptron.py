"""What the classifier and the regressor share: `fit`, `partial_fit`, and predictions.

The numbers are scikit-learn's own, those of `sklearn.neural_network.MLPClassifier`: first arrays,
order of the examples, validation data, solvers and the rules by which a training ends (`epochs`).
What can be chosen is in `options`. What an estimator has learned is in arrays (`coefs_`,
`intercepts_`, and the solver's), which are the user's to read and to change; graphs and compiled
steps are borrowed (`learning`) or made from them.
"""

from __future__ import annotations

import copy
import math
import os
import warnings
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning  # type: ignore[import-untyped]
from sklearn.model_selection import train_test_split  # type: ignore[import-untyped]
from sklearn.utils import check_random_state  # type: ignore[import-untyped]
from sklearn.utils.validation import (  # type: ignore[import-untyped]
    _check_sample_weight,
    check_is_fitted,
)

from miniflow.errors import DataError, NotFiniteError
from miniflow.estimator.epochs import Epochs
from miniflow.estimator.first_arrays import first_arrays
from miniflow.estimator.learning import (
    LITTLE_WORK,
    Design,
    Examples,
    Graph,
    LayerArrays,
    backend_for,
    borrowed,
)
from miniflow.estimator.options import PerceptronOptions
from miniflow.estimator.solvers import Settings
from miniflow.graph import Node
from miniflow.graph.values import check_unmasked, describe
from miniflow.models import save
from miniflow.options import OptionError
from miniflow.training.callbacks import Callback
from miniflow.training.progress import ProgressLines

try:
    from sklearn.utils.validation import validate_data
except ImportError:  # before scikit-learn 1.6 it was a method

    def validate_data(estimator: Any, X: Any, y: Any = "no_validation", **options: Any) -> Any:
        return estimator._validate_data(X, y, **options)


DTYPES = (np.float64, np.float32)


class Perceptron(PerceptronOptions):
    """The common part of `MiniflowClassifier` and `MiniflowRegressor`, which say what it takes."""

    coefs_: list[NDArray[Any]]
    intercepts_: list[NDArray[Any]]
    loss_curve_: list[float]
    backend_: str
    why_backend_: str
    loss_: float
    best_loss_: float | None
    validation_scores_: list[float] | None
    best_validation_score_: float | None
    n_features_in_: int

    # --- What differs between the two

    _is_classifier = False
    way_to_a_node = "once it is fitted, its node is .output_node"

    def _targets(self, y: Any, first: bool, classes: Any = None) -> NDArray[Any]:
        """`y` as the graph takes it: classes (n,), or numbers (n, outputs)."""
        raise NotImplementedError

    def _weighted(self, y: Any, weights: NDArray[Any], is_whole: bool) -> NDArray[Any]:
        """The weights of examples with the labels y, times those of their classes."""
        return weights

    def _outputs(self) -> int:
        """How many outputs the graph has."""
        raise NotImplementedError

    def _loss_name(self) -> str:
        """Which of `learning.LOSSES` is minimised."""
        raise NotImplementedError

    def _out_activation(self) -> str:
        """What makes predictions of outputs, by scikit-learn's name."""
        return {"squared_error": "identity"}.get(self._loss_name(), self._loss_name())

    def _is_stratified(self) -> bool:
        """Whether validation data have the same shares of the classes as the others."""
        return False

    def _class_name(self, number: int) -> Any:
        """The label of a class."""
        return number

    def _score_of(self, output: Any, targets: Any, weights: Any) -> float:
        """How good an output is, for early stopping; higher is better."""
        raise NotImplementedError

    def _notes(self) -> dict[str, Any]:
        """What to note in a model file."""
        return {}

    # --- Training

    def _fit(self, X: Any, y: Any, sample_weight: Any) -> Self:
        self._check_parameters()
        goes_on = self.warm_start and hasattr(self, "coefs_")
        X, targets, weights = self._check_data(X, y, sample_weight, first=not goes_on)
        self._random_state = self._generator()
        if goes_on:
            self._check_layers(X)
        else:
            self._begin(X)
        self._renew_solver()
        kept = None
        if self.early_stopping:
            X, targets, weights, *kept = self._set_aside(X, targets, weights)
        self.n_iter_ = 0
        has_stopped = self._train(X, targets, weights, self.max_iter, kept)
        if not has_stopped:
            warnings.warn(
                f"{type(self).__name__}: after max_iter={self.max_iter} iterations the training "
                "had not come to rest.",
                ConvergenceWarning,
                stacklevel=3,
            )
        return self

    def _partial_fit(self, X: Any, y: Any, sample_weight: Any, classes: Any = None) -> Self:
        self._check_parameters()
        if self.early_stopping:
            raise OptionError(
                "partial_fit sees the data bit by bit and cannot set some aside: it does not go "
                "together with early_stopping=True."
            )
        first = not hasattr(self, "coefs_")
        X, targets, weights = self._check_data(X, y, sample_weight, first, classes, partial=True)
        self._random_state = self._generator()
        if first:
            self._begin(X)
        else:
            self._check_layers(X)
        if first or not hasattr(self, "_solver_state") or self._has_other_groups():
            self._renew_solver()
        self.n_iter_ = 0
        self._train(X, targets, weights, 1, None)
        return self

    def _generator(self) -> np.random.RandomState:
        """What everything is drawn from."""
        try:
            drawn: np.random.RandomState = check_random_state(self.random_state)
        except (TypeError, ValueError):
            raise OptionError(
                f"{type(self).__name__}: random_state is None, a whole number from 0 to 2**32 - 1, "
                f"or an np.random.RandomState, not {describe(self.random_state)}."
            ) from None
        return drawn

    def _begin(self, X: NDArray[Any]) -> None:
        """Forget what has been learned, and draw the first arrays."""
        self.n_outputs_ = self._outputs()
        sizes = [X.shape[1], *self._hidden_sizes(), self.n_outputs_]
        arrays = first_arrays(sizes, self.activation, self.init, self._random_state, X.dtype)
        self.coefs_, self.intercepts_ = arrays.weights, arrays.biases
        self.n_layers_ = len(sizes)
        self.out_activation_ = self._out_activation()
        self.loss_curve_ = []
        self.t_ = 0
        self._waited = 0
        self.best_loss_ = None if self.early_stopping else np.inf
        self.validation_scores_ = [] if self.early_stopping else None
        self.best_validation_score_ = -np.inf if self.early_stopping else None

    def _renew_solver(self) -> None:
        """Forget the optimizer's memory, and begin with the first learning rate."""
        self._solver_state: dict[str, Any] = {}
        groups = self.solver_groups()
        # A schedule is the user's object; what the optimizer keeps must not be shared with a clone.
        rates = [copy.deepcopy(group.settings.lr) for group in groups]
        self._learning_rate = rates if self.groups is not None else rates[0]
        self._solver_of = self._members(groups)

    def _has_other_groups(self) -> bool:
        """Whether what the solver remembers is that of other groups than there are now."""
        now = self._members(self.solver_groups())
        return bool(getattr(self, "_solver_of", None) != now)

    def _members(self, groups: Any) -> Any:
        """Which arrays are in which group; None where there are none."""
        return None if self.groups is None else [group.names for group in groups]

    def all_settings(self) -> list[Settings]:
        """Those of each solver."""
        return [group.settings for group in self.solver_groups()]

    def _train(self, X: Any, targets: Any, weights: Any, epochs: int, validation: Any) -> bool:
        """Go through the examples `epochs` times at most; whether the training came to rest."""
        used = int(np.count_nonzero(weights))
        batch_size = min(200 if self.batch_size == "auto" else self.batch_size, used)
        sizes = (X.shape[1], *self._hidden_sizes(), self.n_outputs_)
        backend = self.backend
        if backend == "auto":
            backend = backend_for(sizes, used, batch_size, epochs)
        groups, rates = self.solver_groups(), self._learning_rate
        rates = rates if self.groups is not None else [rates]
        design = Design(
            sizes,
            self.activation,
            self._loss_name(),
            tuple(
                group._replace(settings=group.settings._replace(lr=lr if callable(lr) else 0.0))
                for group, lr in zip(groups, rates, strict=True)
            ),
            X.dtype.name,
            backend,
        )
        with borrowed(design) as learner:
            state = self._solver_state
            learner.take(LayerArrays(self.coefs_, self.intercepts_), state, rates)
            shuffle = self._shuffled if self.shuffle else None
            examples = Examples(learner.graph, X, targets, weights, float(self.alpha), shuffle)
            rule = Epochs(self, learner, examples, validation)
            watching: list[Callback] = [rule]
            if self.verbose:
                watching.insert(0, ProgressLines())
            try:
                learner.train(examples, batch_size, epochs, watching)
            except NotFiniteError:
                raise NotFiniteError(
                    f"{type(self).__name__}: the loss, or what moves the weights, is no longer "
                    f"finite in iteration {self.n_iter_ + 1}: the training diverges. Lower "
                    f"learning_rate_init ({self.learning_rate_init!r}), or bring X to a mean of 0 "
                    "and a deviation of 1, with StandardScaler."
                ) from None
            reason = LITTLE_WORK.get(backend) if self.backend == "auto" else None
            self.backend_ = learner.step.backend
            self.why_backend_ = f"{self.backend_}: {reason or learner.step.reason}"
            arrays, self._solver_state, rates = learner.give()
        self._learning_rate = rates if self.groups is not None else rates[0]
        self.coefs_, self.intercepts_ = rule.best_arrays or arrays
        self._predictor()  # now, so that predictions change nothing of the estimator
        return rule.has_stopped

    def _shuffled(self, order: NDArray[Any]) -> NDArray[Any]:
        places = np.arange(len(order))  # as sklearn.utils.shuffle, without its checks
        self._random_state.shuffle(places)
        return order[places]

    def _set_aside(self, X: Any, targets: Any, weights: Any) -> Any:
        """Examples to train on, and to validate with; of both, only those that weigh something."""
        X, targets, weights = (column[weights > 0] for column in (X, targets, weights))
        stratify = targets if self._is_stratified() else None
        self._check_parts(len(X), stratify)
        parts = train_test_split(
            X,
            targets,
            weights,
            test_size=self.validation_fraction,
            stratify=stratify,
            random_state=self._random_state,
        )
        return [*parts[::2], *parts[1::2]]

    def _check_parts(self, rows: int, stratify: Any) -> None:
        """Tell in the estimator's words what scikit-learn would tell in others."""
        owner, aside = type(self).__name__, math.ceil(self.validation_fraction * rows)
        if aside < 2 or aside >= rows:
            raise OptionError(
                f"{owner}: early_stopping with validation_fraction={self.validation_fraction} sets "
                f"{aside} of {rows} examples aside, and needs two for validation and some to train "
                "on."
            )
        if stratify is not None:
            counts = np.bincount(stratify.reshape(-1).astype(int), minlength=2)
            if counts.min() == 1:
                raise OptionError(
                    f"{owner}: early_stopping sets examples of both classes aside, and of "
                    f"{self._class_name(int(counts.argmin()))!r} there is only one."
                )

    # --- Prediction

    def _output(self, X: Any) -> NDArray[Any]:
        check_is_fitted(self)
        check_unmasked(X, type(self).__name__, DataError)
        X = validate_data(self, X, reset=False, dtype=DTYPES)
        with np.errstate(over="ignore", invalid="ignore"):
            output = self._predictor().predict(X.astype(self.coefs_[0].dtype, copy=False))
        if not np.isfinite(output).all():
            raise NotFiniteError(
                f"{type(self).__name__}: what it computes of X is not finite. Either its weights "
                "(coefs_, intercepts_) or these numbers of X are too large."
            )
        return output

    def _predictor(self) -> Graph:
        """A graph with the arrays as they are now: `coefs_` is the user's to change."""
        arrays = LayerArrays(list(self.coefs_), list(self.intercepts_))
        of = (self.activation, [array.shape for array in (*arrays.weights, *arrays.biases)])
        graph, made_of = getattr(self, "_graph", (None, None))
        if graph is None or made_of != of:
            graph = Graph(arrays, self.activation, self._loss_name())
            self._graph = graph, of
        graph.look_at(arrays)
        graph.freeze(self._frozen_names())
        return graph

    @property
    def output_node(self) -> Node:
        """The node of the outputs, in a graph with the arrays as they are now."""
        check_is_fitted(self)
        return self._predictor().output

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a model file: the forward program, from features to outputs, and its arrays.

        `miniflow.load(path)` reads it, without scikit-learn. Its `predict` gives a regressor's
        numbers, and the places in `classes_` of a classifier's labels (`notes["class_names"]` has
        them); called, the model gives the logits of a classifier. If X had names for its columns,
        the model takes tables with just these.

        Raises OSError if the file cannot be written.
        """
        check_is_fitted(self)
        graph = self._predictor()
        example = np.zeros((1, self.n_features_in_), self.coefs_[0].dtype)
        notes = self._notes()
        if hasattr(self, "feature_names_in_"):
            notes["feature_names"] = [str(name) for name in self.feature_names_in_]
        save(graph.output, path, inputs={graph.X: example}, notes=notes)

    # --- Checks

    def _check_data(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        first: bool,
        classes: Any = None,
        partial: bool = False,
    ) -> Any:
        for given in (X, y, sample_weight):
            check_unmasked(given, type(self).__name__, DataError)
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
        weights = self._weighted(y, weights, is_whole=not partial)
        if not (weights >= 0).all() or not weights.any():
            raise OptionError(
                f"{type(self).__name__}: sample_weight holds numbers of at least 0, not all of "
                "them 0."
            )
        return X, targets, weights

    def _check_layers(self, X: Any) -> None:
        """Raise OptionError if what was learned has other layers than are asked for now."""
        asked = [X.shape[1], *self._hidden_sizes(), self.n_outputs_]
        found = [len(self.coefs_[0]), *(coef.shape[1] for coef in self.coefs_)]
        if asked != found:
            raise OptionError(
                f"{type(self).__name__}: it has learned with layers of {found}, and "
                f"hidden_layer_sizes={self.hidden_layer_sizes!r} asks for {asked} now. To begin "
                "anew, clone it, or fit with warm_start=False."
            )

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = dict(super().__getstate__())
        state.pop("_graph", None)
        return state
