"""The arrays that a perceptron begins with."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import DTypeLike, NDArray

from miniflow import initializers
from miniflow.estimator.learning import LayerArrays

SCIKIT_LEARN: Final = "scikit-learn"
OTHERS: Final = ("glorot_uniform", "glorot_normal", "he_uniform", "he_normal")


def initial_arrays_names() -> tuple[str, ...]:
    """What `init` may be called.

    >>> initial_arrays_names()[:2]
    ('scikit-learn', 'glorot_uniform')
    """
    return (SCIKIT_LEARN, *OTHERS)


def first_arrays(
    sizes: Sequence[int],
    activation: str,
    init: Any,
    random_state: np.random.RandomState,
    dtype: DTypeLike,
) -> LayerArrays:
    """Weights and biases of layers of these sizes.

    Args:
        sizes: with the input's.
        activation: of the hidden layers.
        init: "scikit-learn" draws both from Glorot's uniform distribution, ±√(6 / (in + out)), with
            2 in place of 6 for "logistic", in scikit-learn's order; the name of one of
            `miniflow.initializers`, or a function like them, draws the weights, and biases are 0.
        random_state: what is drawn from.
        dtype: of the arrays.

    >>> arrays = first_arrays([4, 8, 3], "relu", "he_normal", np.random.RandomState(0), "f4")
    >>> [W.shape for W in arrays.weights], arrays.biases[1]
    ([(4, 8), (8, 3)], array([0., 0., 0.], dtype=float32))
    """
    weights: list[NDArray[Any]] = []
    biases: list[NDArray[Any]] = []
    if init == SCIKIT_LEARN:
        for shape in pairwise(sizes):
            bound = np.sqrt((2.0 if activation == "logistic" else 6.0) / sum(shape))
            weights.append(random_state.uniform(-bound, bound, shape).astype(dtype))
            biases.append(random_state.uniform(-bound, bound, shape[1]).astype(dtype))
        return LayerArrays(weights, biases)
    draw = init if callable(init) else getattr(initializers, init)
    rng = np.random.default_rng(random_state.randint(np.iinfo(np.int32).max))
    weights = [np.asarray(draw(shape, rng, dtype)) for shape in pairwise(sizes)]
    return LayerArrays(weights, [np.zeros(size, dtype) for size in sizes[1:]])
