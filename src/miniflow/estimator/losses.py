"""What a perceptron is wrong by, as scikit-learn counts it, each a node; and its penalty.

An example counts as much as its weight w says, and a weight of 2 is the same as having the example
twice. With n examples, z the network's outputs and W = Σ w:

    SquaredError       Σ_i w_i · ½ mean_j (z_ij - t_ij)² / W
    LogisticLoss       Σ_i w_i · (log(1 + e^z_i) - t_i z_i) / W           for two classes, t 0 or 1
    SoftmaxLoss        Σ_i w_i · -log softmax(z_i)[t_i] / W

Of several outputs, `SquaredError` is their mean, while its gradient is that of their sum: the
learning rate then means the same for any number of outputs, as in scikit-learn.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from miniflow.graph import Op
from miniflow.nodes.activation import softmax


class SquaredError(Op):
    """Half the squared error of (n, k) outputs and targets, with (n,) weights."""

    def compute(self, z: Any, targets: Any, weights: Any) -> Any:
        error = z - targets
        return weights @ np.mean(error * error, axis=1) * 0.5 / np.sum(weights)

    def gradient(self, grad: Any, z: Any, targets: Any, weights: Any) -> Any:
        error = z - targets
        return (lambda: error * (grad * weights / np.sum(weights))[:, None], None, None)


class LogisticLoss(Op):
    """The log loss of (n, 1) outputs and targets of 0 and 1, with (n,) weights."""

    def compute(self, z: Any, targets: Any, weights: Any) -> Any:
        each = np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z))) - z * targets
        return weights @ np.sum(each, axis=1) / np.sum(weights)

    def gradient(self, grad: Any, z: Any, targets: Any, weights: Any) -> Any:
        e = np.exp(-np.abs(z))
        p = np.where(z >= 0, 1 / (1 + e), e / (1 + e))
        return (lambda: (p - targets) * (grad * weights / np.sum(weights))[:, None], None, None)


class SoftmaxLoss(Op):
    """The log loss of (n, k) outputs and (n,) numbers of classes, with (n,) weights."""

    def compute(self, z: Any, targets: Any, weights: Any) -> Any:
        rows = np.arange(len(targets))
        shifted = z - np.max(z, axis=1, keepdims=True)
        logs = shifted[rows, targets] - np.log(np.sum(np.exp(shifted), axis=1))
        return -(weights @ logs) / np.sum(weights)

    def gradient(self, grad: Any, z: Any, targets: Any, weights: Any) -> Any:
        def of_outputs() -> Any:
            error = softmax(z)
            error[np.arange(len(targets)), targets] -= 1
            return error * (grad * weights / np.sum(weights))[:, None]

        return (of_outputs, None, None)


class Penalty(Op):
    """strength · ½ Σ ‖W‖² of some matrices; the strength comes first, and has no gradient."""

    def compute(self, strength: Any, *matrices: Any) -> Any:
        squares = [np.sum(matrix * matrix) for matrix in matrices]
        return strength * 0.5 * sum(squares[1:], squares[0])

    def gradient(self, grad: Any, strength: Any, *matrices: Any) -> Any:
        scale = grad * strength
        return (None, *(scale * matrix for matrix in matrices))
