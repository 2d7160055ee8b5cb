"""Whether what a model gives are probabilities already, so that no softmax is to be taken of them.

Whoever wrote the nodes may have made them in any way, by a softmax or by dividing through a sum. So
the model is asked: it gives probabilities if the outputs of all rows that are tried, none of them
negative, have the sum 1. Logits that always have it there are none.
"""

from typing import Any

import numpy as np

from miniflow.errors import MiniflowError
from miniflow.models.model import Model


def gives_probabilities(model: Model) -> bool:
    """Whether a model of one array gives, for each row, numbers from 0 on whose sum is 1.

    >>> import pathlib, tempfile, miniflow as mf
    >>> X, W = mf.Input("X"), mf.Parameter(np.eye(2), "W")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "m.safetensors")
    ...     for node in (X @ W, mf.Softmax(X @ W)):
    ...         mf.save(node, path, inputs={X: np.zeros((1, 2))})
    ...         print(gives_probabilities(mf.load(path)))
    False
    True
    """
    shape = tuple(size or 1 for size in model.inputs[0].shape)
    images = np.random.default_rng(0).random((3, *shape))
    images[0] = 0
    try:
        return all(
            are_probabilities(model(image.astype(model.inputs[0].dtype))) for image in images
        )
    except MiniflowError:  # an index out of range: what such a model gives is not known
        return False


def are_probabilities(output: Any) -> bool:
    """Whether each row, (n, classes), has numbers from 0 on whose sum is 1, to rounding."""
    output = np.asarray(output)
    if output.ndim != 2 or output.dtype.kind != "f" or not (output >= 0).all():
        return False
    rounding = 8 * output.shape[1] * float(np.finfo(output.dtype).eps)
    return bool((np.abs(output.sum(axis=1, dtype=np.float64) - 1) <= rounding).all())
