"""First values for parameters: random enough that the rows differ, of a size that neither grows
nor dies on its way through the layers.

Each is a function `(shape, rng, dtype=np.float32) -> array`. `rng` is a `np.random.Generator`, from
which the numbers are drawn, or a seed. The numbers are drawn in float64 and then rounded, so that
float32 and float64 start at the same point.

A shape is (inputs, outputs), as `Linear` takes it. Leading axes, as in a convolution's
(height, width, inputs, outputs), multiply both. A vector's length stands for both.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from miniflow.graph.checks import is_listed
from miniflow.graph.values import describe
from miniflow.options import OptionError, dtype_of, generator, whole

__all__ = [
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "ones",
    "orthogonal",
    "zeros",
]

Rng = np.random.Generator | int | None
Shape = Sequence[int]


def zeros(shape: Shape, rng: Rng = None, dtype: DTypeLike = np.float32) -> NDArray[Any]:
    """All zero: what biases begin with, and a network without hidden layers may.

    Args:
        shape: any.
        rng: not used; None by default.
        dtype: of the array; float32 by default.

    Raises:
        OptionError: shape or dtype is none.

    >>> zeros((2,))
    array([0., 0.], dtype=float32)
    """
    return np.zeros(_checked(shape), dtype_of("zeros", dtype))


def ones(shape: Shape, rng: Rng = None, dtype: DTypeLike = np.float32) -> NDArray[Any]:
    """All one: what scales begin with.

    Args:
        shape: any.
        rng: not used; None by default.
        dtype: of the array; float32 by default.

    Raises:
        OptionError: shape or dtype is none.

    >>> ones((2,))
    array([1., 1.], dtype=float32)
    """
    return np.ones(_checked(shape), dtype_of("ones", dtype))


def glorot_uniform(shape: Shape, rng: Rng = None, dtype: DTypeLike = np.float32) -> NDArray[Any]:
    """Uniform in ±√(6 / (inputs + outputs)): variance 2 / (inputs + outputs), for tanh and sigmoid.

    Args:
        shape: (inputs, outputs), with any leading axes, or (n,).
        rng: a generator or a seed; None by default: it differs each time.
        dtype: of the array; float32 by default.

    Raises:
        OptionError: shape, rng or dtype is none.

    Source: Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural
    networks", 2010.

    >>> W = glorot_uniform((784, 10), rng=0)
    >>> W.shape, W.dtype.name, bool(abs(W).max() <= (6 / 794) ** 0.5)
    ((784, 10), 'float32', True)
    """
    inputs, outputs = fans(shape)
    return _uniform(shape, math.sqrt(6 / max(inputs + outputs, 1)), rng, dtype)


def glorot_normal(shape: Shape, rng: Rng = None, dtype: DTypeLike = np.float32) -> NDArray[Any]:
    """Normal with variance 2 / (inputs + outputs). Source: as `glorot_uniform`.

    Args:
        shape: (inputs, outputs), with any leading axes, or (n,).
        rng: a generator or a seed; None by default: it differs each time.
        dtype: of the array; float32 by default.

    Raises:
        OptionError: shape, rng or dtype is none.

    >>> round(float(glorot_normal((784, 10), rng=0).var() * 794 / 2), 1)
    1.0
    """
    inputs, outputs = fans(shape)
    return _normal(shape, math.sqrt(2 / max(inputs + outputs, 1)), rng, dtype)


def he_uniform(shape: Shape, rng: Rng = None, dtype: DTypeLike = np.float32) -> NDArray[Any]:
    """Uniform in ±√(6 / inputs): variance 2 / inputs, for ReLU, which loses half of it.

    Args:
        shape: (inputs, outputs), with any leading axes, or (n,).
        rng: a generator or a seed; None by default: it differs each time.
        dtype: of the array; float32 by default.

    Raises:
        OptionError: shape, rng or dtype is none.

    Source: He et al., "Delving Deep into Rectifiers", 2015.

    >>> bool(abs(he_uniform((784, 128), rng=0)).max() <= (6 / 784) ** 0.5)
    True
    """
    return _uniform(shape, math.sqrt(6 / max(fans(shape)[0], 1)), rng, dtype)


def he_normal(shape: Shape, rng: Rng = None, dtype: DTypeLike = np.float32) -> NDArray[Any]:
    """Normal with variance 2 / inputs. Source: as `he_uniform`.

    Args:
        shape: (inputs, outputs), with any leading axes, or (n,).
        rng: a generator or a seed; None by default: it differs each time.
        dtype: of the array; float32 by default.

    Raises:
        OptionError: shape, rng or dtype is none.

    >>> round(float(he_normal((784, 128), rng=0).var() * 784 / 2), 1)
    1.0
    """
    return _normal(shape, math.sqrt(2 / max(fans(shape)[0], 1)), rng, dtype)


def orthogonal(shape: Shape, rng: Rng = None, dtype: DTypeLike = np.float32) -> NDArray[Any]:
    """Columns (or rows, if there are fewer of them) of length 1 at right angles: multiplied by it
    again and again, as the state of a recurrent layer is, a vector neither grows nor dies. A matrix
    that is several times as wide as high is several square ones, side by side.

    Args:
        shape: (inputs, outputs), with any leading axes.
        rng: a generator or a seed; None by default: it differs each time.
        dtype: of the array; float32 by default.

    Raises:
        OptionError: shape, rng or dtype is none.

    Source: A. Saxe, J. McClelland, S. Ganguli, "Exact solutions to the nonlinear dynamics of
    learning in deep linear neural networks", 2013.

    >>> U = orthogonal((4, 8), rng=0, dtype=np.float64)
    >>> np.allclose(U[:, :4].T @ U[:, :4], np.eye(4)), np.allclose(U[:, 4:].T @ U[:, 4:], np.eye(4))
    (True, True)
    """
    shape = _checked(shape)
    drawn = generator("orthogonal", rng)
    rows, columns = math.prod(shape[:-1]), shape[-1] if shape else 1
    whole_matrix = np.empty((rows, columns))
    for start in range(0, columns, max(rows, 1)):
        part = whole_matrix[:, start : start + rows]
        normal = drawn.normal(size=(max(part.shape), min(part.shape)))
        q, r = np.linalg.qr(normal)
        q = q * np.where(np.diagonal(r) < 0, -1.0, 1.0)  # each orthogonal matrix as likely
        part[...] = q if part.shape == q.shape else q.T
    return whole_matrix.reshape(shape).astype(dtype_of("orthogonal", dtype))


def fans(shape: Shape) -> tuple[int, int]:
    """How many inputs an output of such a weight has, and how many outputs an input.

    >>> fans((784, 10)), fans((3, 3, 16, 32)), fans((5,))
    ((784, 10), (144, 288), (5, 5))
    """
    shape = _checked(shape)
    if len(shape) == 0:
        raise OptionError("A shape of () has no inputs and outputs to size a random value by.")
    if len(shape) == 1:
        return shape[0], shape[0]
    window = math.prod(shape[:-2])
    return window * shape[-2], window * shape[-1]


def _uniform(shape: Shape, limit: float, rng: Rng, dtype: DTypeLike) -> NDArray[Any]:
    drawn = generator("An initializer", rng).uniform(-limit, limit, shape)
    return drawn.astype(dtype_of("An initializer", dtype))  # type: ignore[no-any-return]


def _normal(shape: Shape, deviation: float, rng: Rng, dtype: DTypeLike) -> NDArray[Any]:
    drawn = generator("An initializer", rng).normal(0.0, deviation, shape)
    return drawn.astype(dtype_of("An initializer", dtype))  # type: ignore[no-any-return]


def _checked(shape: Any) -> Shape:
    if not is_listed(shape):
        raise OptionError(
            f"An initializer's shape is (inputs, outputs), (784, 10) say, not {describe(shape)}."
        )
    return tuple(whole("An initializer", "each size of the shape", n, least=0) for n in shape)
