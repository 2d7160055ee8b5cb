"""The rules by which the training of an estimator ends: scikit-learn's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from miniflow.estimator.learning import Examples, LayerArrays, Learner
from miniflow.estimator.solvers import Rate
from miniflow.interpreter.selection import parts_of
from miniflow.training import Training
from miniflow.training.callbacks import Callback

if TYPE_CHECKING:
    from miniflow.estimator.perceptron import Perceptron


class Epochs(Callback):
    """What happens after each epoch: the public attributes are brought up to date, and it is seen
    whether the training has got better, by `tol`, within `n_iter_no_change` epochs.

    Without validation data "better" is a lower loss; with them it is a higher score, and the best
    arrays are kept.

    Attributes:
        has_stopped: whether the training came to rest. best_arrays: those of the best score.
    """

    def __init__(
        self, estimator: Perceptron, learner: Learner, examples: Examples, validation: Any
    ) -> None:
        self._estimator, self._learner = estimator, learner
        self._examples, self._validation = examples, validation
        self._rates = [
            Rate(
                estimator.learning_rate if settings.solver == "sgd" else "constant",
                settings.lr,
                estimator.power_t,
            )
            for settings in estimator.all_settings()
        ]
        self.has_stopped = False
        self.best_arrays: LayerArrays | None = None

    def on_epoch_end(self, training: Training) -> None:
        estimator, loss = self._estimator, training.history[-1].loss
        estimator.loss_curve_.append(loss)
        estimator.loss_ = loss
        estimator.n_iter_ += 1
        estimator.t_ += training.rows_done
        is_better = self._compare_loss(loss) if self._validation is None else self._compare_score()
        estimator._waited = 0 if is_better else estimator._waited + 1
        parts = [part for _, part in parts_of(training.optimizer)]
        for rate, part in zip(self._rates, parts, strict=True):
            rate.end_epoch(part, estimator.t_)
        if estimator._waited > estimator.n_iter_no_change:
            lowered = [rate.go_on(part) for rate, part in zip(self._rates, parts, strict=True)]
            if any(lowered):
                estimator._waited = 0
            else:
                self.has_stopped = training.stop = True
        self._examples.end_epoch()

    def _compare_loss(self, loss: float) -> bool:
        estimator = self._estimator
        best = np.inf if estimator.best_loss_ is None else estimator.best_loss_
        estimator.best_loss_ = min(best, loss)
        return not loss > best - estimator.tol

    def _compare_score(self) -> bool:
        estimator, (X, targets, weights) = self._estimator, self._validation
        score = estimator._score_of(self._learner.graph.predict(X), targets, weights)
        best = estimator.best_validation_score_
        if estimator.validation_scores_ is None or best is None:  # a warm start turned it on
            estimator.validation_scores_, best = [], -np.inf
        estimator.validation_scores_.append(score)
        if score > best:
            self.best_arrays = self._learner.give()[0]
        estimator.best_validation_score_ = max(best, score)
        return not score < best + estimator.tol
