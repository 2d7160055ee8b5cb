"""Metrics of numbers: MAE, RMSE and R2. Of targets with several columns, the mean over them."""

from typing import Any

import numpy as np

from miniflow.errors import DataError
from miniflow.metrics.base import NUMBERS, YES_OR_NO, Answers, Count, Metric, nothing_counts


class _OfNumbers(Metric):
    kinds = (NUMBERS, YES_OR_NO)  # targets may all happen to be 0 and 1

    def count(self) -> Count:
        return _Moments(self)

    def of_moments(self, moments: "_Moments") -> Any:
        """The metric of each column."""
        raise NotImplementedError


class MAE(_OfNumbers):
    """The mean absolute error, mean(|prediction - target|).

    Args:
        of, weights: as for every `Metric`.

    Raises:
        OptionError: an option does not fit.
        DataError: when it is asked: there is nothing that counts.

    Predictions and targets have one shape, (n,) or (n, columns).

    >>> MAE()([1.0, 4.0], [2.0, 2.0])
    1.5
    """

    highest_is_best = False

    def of_moments(self, moments: "_Moments") -> Any:
        return moments.absolute / moments.weight


class RMSE(_OfNumbers):
    """The root of the mean squared error, √mean((prediction - target)²).

    Args:
        of, weights: as for every `Metric`.

    Raises:
        OptionError: an option does not fit.
        DataError: when it is asked: there is nothing that counts.

    Predictions and targets have one shape, (n,) or (n, columns).

    >>> RMSE()([1.0, 5.0], [1.0, 2.0]) == (9 / 2) ** 0.5
    True
    """

    highest_is_best = False

    def of_moments(self, moments: "_Moments") -> Any:
        return np.sqrt(moments.squared / moments.weight)


class R2(_OfNumbers):
    """The coefficient of determination: 1 - Σ (target - prediction)² / Σ (target - mean)².

    Args:
        of, weights: as for every `Metric`.

    1 is perfect; 0 is what the mean of the targets would do. Where all targets are equal, it is 1
    if all are met, else 0. Raises DataError for less than two of them.

    Predictions and targets have one shape, (n,) or (n, columns).

    >>> R2()([2.5, 0.0, 2.0, 8.0], [3.0, -0.5, 2.0, 7.0]).__round__(4)
    0.9486
    """

    def of_moments(self, moments: "_Moments") -> Any:
        if moments.rows < 2:
            raise DataError(f"{self!r}: of one target there is no variance to explain.")
        left, whole = moments.squared, moments.spread
        share = np.divide(left, whole, out=np.zeros(whole.shape), where=whole > 0)
        return np.where(whole > 0, 1 - share, np.where(left > 0, 0.0, 1.0))


class _Moments:
    """Sums over rows, for each column: of errors, and of how far targets are from their mean."""

    def __init__(self, metric: _OfNumbers) -> None:
        self.metric = metric
        self.rows, self.weight = 0, 0.0
        self.absolute = self.squared = self.mean = self.spread = np.zeros(1)

    def add(self, answers: Answers) -> None:
        weights = answers.weights
        added = float(weights.sum())
        if added == 0:
            return
        targets = np.asarray(answers.labels, np.float64)
        errors = answers.scores - targets
        mean = weights @ targets / added
        spread = weights @ (targets - mean) ** 2
        # Two sets of rows, each with its own mean, as one: Chan et al., 1979.
        whole = self.weight + added
        apart = mean - self.mean
        self.spread = self.spread + spread + apart**2 * (self.weight * added / whole)
        self.mean = self.mean + apart * (added / whole)
        self.absolute = self.absolute + weights @ np.abs(errors)
        self.squared = self.squared + weights @ errors**2
        self.rows, self.weight = self.rows + len(weights), whole

    def result(self) -> float:
        if self.weight == 0:
            raise nothing_counts(self.metric)
        return float(np.mean(self.metric.of_moments(self)))
