"""A model with its weights in 8 bits, to ask how good it is before it is written so."""

from miniflow.ir.program import Program
from miniflow.models import Model
from miniflow.passes.int8_weights import int8_weights


class Int8Model(Model):
    """A model whose products with its weights are of whole numbers: what a file of C computes that
    is written with ``weights="int8"``, to rounding.
    """

    def program_for(self, rows: int) -> Program:
        """The forward program for so many rows, with its weights in 8 bits."""
        return int8_weights(super().program_for(rows), sums="f64")


def with_int8_weights(model: Model) -> Model:
    """The same model with its weights in 8 bits.

    >>> import pathlib, tempfile, numpy as np, miniflow as mf
    >>> X, W = mf.Input("X"), mf.Parameter(np.array([[1.0], [0.3]]), "W")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "model.safetensors")
    ...     mf.save(X @ W, path, inputs={X: np.zeros((1, 2))})
    ...     with_int8_weights(mf.load(path))(np.ones((1, 2))).round(4)
    array([[1.2992]])
    """
    kept = model.__reduce__()[1]
    return Int8Model(*kept)
