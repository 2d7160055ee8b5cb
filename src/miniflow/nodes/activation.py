"""Activations: the non-linear functions between the layers, each written so that no input
overflows. Those that choose between two values choose between two gradients as well: where a mask
would be multiplied by, an infinite gradient of a branch that was not taken would make 0 · ∞ of it.
"""

import math
from typing import Any

import numpy as np

from miniflow.graph import Op
from miniflow.graph.checks import number
from miniflow.graph.operators import WAYS
from miniflow.graph.values import promote, where
from miniflow.nodes.options import one_axis


def sigmoid(x: Any) -> Any:
    """`1 / (1 + e^-x)`, without ever raising e to a positive power.

    >>> sigmoid(np.array([-1e4, 0.0, 1e4]))
    array([0. , 0.5, 1. ])
    """
    x = promote(x)
    return np.exp(np.minimum(x, 0)) / (1 + np.exp(-np.abs(x)))


def softmax(x: Any, axis: int = -1) -> Any:
    """`e^x_i / Σ_j e^x_j` along an axis, shifted by the maximum, which cancels out.

    >>> softmax(np.array([0.2, 1.0, 0.3])).round(4)
    array([0.2309, 0.5139, 0.2552])
    """
    x = promote(x)  # unsigned integers would wrap round below 0
    powers = np.exp(below_largest(x, axis))
    return powers / np.sum(powers, axis=axis, keepdims=True)


def below_largest(x: Any, axis: int) -> Any:
    """How far each entry is from the largest along an axis; -inf where that is no number of the
    dtype: an exponential makes 0 of either.
    """
    with np.errstate(over="ignore"):
        return x - np.max(x, axis=axis, keepdims=True)


class Sigmoid(Op):
    """`1 / (1 + e^-x)`, entry by entry; its derivative is s (1 - s).

    Args:
        x: any shape.
        name: None by default.

    Raises:
        GraphError: an operand is neither a node nor numbers.

    >>> import numpy as np, miniflow as mf
    >>> mf.value(mf.Sigmoid(np.array([0.0, 1e4])))
    array([0.5, 1. ])
    """

    def __init__(self, x: Any, *, name: str | None = None) -> None:
        Op.__init__(self, x, name=name)

    def compute(self, x: Any) -> Any:
        return sigmoid(x)

    def gradient(self, grad: Any, x: Any) -> Any:
        return (grad * self.value * (1 - self.value),)


class Tanh(Op):
    """The hyperbolic tangent; its derivative is 1 - tanh².

    Args:
        x: any shape.
        name: None by default.

    Raises:
        GraphError: an operand is neither a node nor numbers.

    >>> import miniflow as mf
    >>> mf.value(mf.Tanh(0.0))
    np.float64(0.0)
    """

    primitive = "tanh"

    def __init__(self, x: Any, *, name: str | None = None) -> None:
        Op.__init__(self, x, name=name)

    def compute(self, x: Any) -> Any:
        return np.tanh(promote(x))

    def gradient(self, grad: Any, x: Any) -> Any:
        return (grad * (1 - self.value * self.value),)


class ReLU(Op):
    """`max(x, 0)`; its derivative at 0 is taken to be 0.

    Args:
        x: any shape.
        name: None by default.

    Raises:
        GraphError: an operand is neither a node nor numbers.

    >>> import numpy as np, miniflow as mf
    >>> mf.value(mf.ReLU(np.array([-1.0, 2.0])))
    array([0., 2.])
    """

    def __init__(self, x: Any, *, name: str | None = None) -> None:
        Op.__init__(self, x, name=name)

    def compute(self, x: Any) -> Any:
        return np.maximum(x, 0)

    def gradient(self, grad: Any, x: Any) -> Any:
        return (where(x > 0, grad, 0.0),)


class LeakyReLU(Op):
    """`x` where it is positive, `slope · x` elsewhere; with a slope of 0 it is `ReLU`.

    Args:
        x: any shape.
        slope: 0.01 by default.
        name: None by default.

    Raises:
        GraphError: slope is not a finite number, or x is neither a node nor numbers.

    Its derivative is 1 where x is positive, and slope elsewhere.

    >>> import numpy as np, miniflow as mf
    >>> mf.value(mf.LeakyReLU(np.array([-1.0, 2.0]), slope=0.1))
    array([-0.1,  2. ])
    """

    def __init__(self, x: Any, *, slope: float = 0.01, name: str | None = None) -> None:
        Op.__init__(self, x, name=name)
        # As Python's number: NumPy's would widen float32.
        self.slope = number(self, "slope", slope, least=-math.inf)

    def compute(self, x: Any) -> Any:
        return where(x > 0, x, self._scaled(x))

    def gradient(self, grad: Any, x: Any) -> Any:
        return (where(x > 0, grad, self._scaled(grad)),)

    def _scaled(self, x: Any) -> Any:
        return self.slope * x if self.slope else 0.0  # and not 0 · ∞


class GELU(Op):
    """The Gaussian error linear unit, in its tanh form: x/2 · (1 + tanh(√(2/π) (x + 0.044715 x³))).

    Args:
        x: any shape.
        name: None by default.

    Raises:
        GraphError: an operand is neither a node nor numbers.

    Source: Hendrycks and Gimpel, "Gaussian Error Linear Units", 2016. The form with the error
    function differs from it by at most 0.0005; NumPy has no error function.

    With t the hyperbolic tangent in it, its derivative is (1 + t)/2 + x/2 · (1 - t²) · √(2/π) (1 +
    0.134145 x²).

    >>> import miniflow as mf
    >>> round(float(mf.value(mf.GELU(1.0))), 4)
    0.8412
    """

    def __init__(self, x: Any, *, name: str | None = None) -> None:
        Op.__init__(self, x, name=name)

    def compute(self, x: Any) -> Any:
        x = np.maximum(promote(x), -_GELU_END)
        return 0.5 * x * (1 + self._tanh(np.minimum(x, _GELU_END)))

    def gradient(self, grad: Any, x: Any) -> Any:
        x = np.minimum(np.maximum(promote(x), -_GELU_END), _GELU_END)
        t = self._tanh(x)
        inner = _GELU_SCALE * (1 + 3 * 0.044715 * x * x)
        return (grad * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * inner),)

    def _tanh(self, x: Any) -> Any:
        return np.tanh(_GELU_SCALE * (x + 0.044715 * x * x * x))


_GELU_SCALE = math.sqrt(2 / math.pi)
_GELU_END = 10.0  # beyond it the hyperbolic tangent is ±1, and the cube need not be taken


class Softplus(Op):
    """`log(1 + e^x)`, entry by entry: a smooth ReLU. Its derivative is the sigmoid.

    Args:
        x: any shape.
        name: None by default.

    Raises:
        GraphError: an operand is neither a node nor numbers.

    Computed as max(x, 0) + log(1 + e^-|x|), which cannot overflow.

    >>> import numpy as np, miniflow as mf
    >>> mf.value(mf.Softplus(np.array([-1e4, 0.0, 1e4]))).round(4)
    array([0.000e+00, 6.931e-01, 1.000e+04])
    """

    def __init__(self, x: Any, *, name: str | None = None) -> None:
        Op.__init__(self, x, name=name)

    def compute(self, x: Any) -> Any:
        x = promote(x)
        return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))

    def gradient(self, grad: Any, x: Any) -> Any:
        return (grad * sigmoid(x),)


class SiLU(Op):
    """The sigmoid linear unit, `x · sigmoid(x)`, also called swish; of -∞ it is 0.

    Args:
        x: any shape.
        name: None by default.

    Raises:
        GraphError: an operand is neither a node nor numbers.

    With s the sigmoid of x, its derivative is s (1 + x (1 - s)).

    Source: Hendrycks and Gimpel, "Gaussian Error Linear Units", 2016.

    >>> import numpy as np, miniflow as mf
    >>> mf.value(mf.SiLU(np.array([-1.0, 0.0, 1.0]))).round(4)
    array([-0.2689,  0.    ,  0.7311])
    """

    def __init__(self, x: Any, *, name: str | None = None) -> None:
        Op.__init__(self, x, name=name)

    def compute(self, x: Any) -> Any:
        x = np.maximum(promote(x), -_SIGMOID_END)
        return x * sigmoid(x)

    def gradient(self, grad: Any, x: Any) -> Any:
        x = np.minimum(np.maximum(promote(x), -_SIGMOID_END), _SIGMOID_END)
        return (grad * (sigmoid(x) * (1 + x * sigmoid(-x))),)


_SIGMOID_END = 1000.0  # from there on the sigmoid is 0 or 1 in every dtype


class ELU(Op):
    """The exponential linear unit: `x` where it is positive, `alpha · (e^x - 1)` elsewhere.

    Args:
        x: any shape.
        alpha: what it tends to, negative, far below 0; 1.0 by default.
        name: None by default.

    Raises:
        GraphError: alpha is not a number of at least 0, or x is neither a node nor numbers.

    Its derivative is 1 where x is positive, and alpha · e^x elsewhere: alpha at 0.

    Source: Clevert, Unterthiner and Hochreiter, "Fast and accurate deep network learning by
    exponential linear units", 2015.

    >>> import numpy as np, miniflow as mf
    >>> mf.value(mf.ELU(np.array([-1e4, 0.0, 2.0])))
    array([-1.,  0.,  2.])
    """

    def __init__(self, x: Any, *, alpha: float = 1.0, name: str | None = None) -> None:
        Op.__init__(self, x, name=name)
        self.alpha = number(self, "alpha", alpha)

    def compute(self, x: Any) -> Any:
        x = promote(x)
        return where(x > 0, x, self.alpha * np.expm1(np.minimum(x, 0)))

    def gradient(self, grad: Any, x: Any) -> Any:
        slope = self.alpha * np.exp(np.minimum(promote(x), 0))
        return (where(x > 0, grad, grad * slope),)


class HardSigmoid(Op):
    """`x / 6 + 1/2`, held between 0 and 1: a sigmoid of three straight lines.

    Args:
        x: any shape.
        name: None by default.

    Raises:
        GraphError: an operand is neither a node nor numbers.

    Its derivative is 1/6 between -3 and 3, and 0 elsewhere, at ±3 too.

    >>> import numpy as np, miniflow as mf
    >>> mf.value(mf.HardSigmoid(np.array([-4.0, 0.0, 1.5, 3.0])))
    array([0.  , 0.5 , 0.75, 1.  ])
    """

    def __init__(self, x: Any, *, name: str | None = None) -> None:
        Op.__init__(self, x, name=name)

    def compute(self, x: Any) -> Any:
        return np.minimum(np.maximum(promote(x) / 6 + 0.5, 0), 1)

    def gradient(self, grad: Any, x: Any) -> Any:
        return (where(np.abs(promote(x)) < 3, grad / 6, 0.0),)


class Softmax(Op):
    """`e^x_i / Σ_j e^x_j` along an axis: positive numbers that add up to 1.

    Args:
        x: any shape with at least one axis.
        axis: the axis whose entries add up to 1; the last by default.
        name: None by default.

    Raises:
        GraphError: axis is not a whole number, or x is neither a node nor numbers.
        ShapeError: in the pass: x has no such axis, or nothing along it.

    With s the value and g the upstream gradient, dx = s (g - Σ g s).

    >>> import numpy as np, miniflow as mf
    >>> mf.value(mf.Softmax(np.array([[1e4, 1e4], [0.0, np.log(3.0)]])))
    array([[0.5 , 0.5 ],
           [0.25, 0.75]])
    """

    expects = "an array with at least one entry along its axis"

    def __init__(self, x: Any, axis: int = -1, *, name: str | None = None) -> None:
        Op.__init__(self, x, name=name)
        self.axis = one_axis(self, axis)

    def compute(self, x: Any) -> Any:
        return softmax(x, self.axis)

    def gradient(self, grad: Any, x: Any) -> Any:
        total = np.sum(grad * self.value, axis=self.axis, keepdims=True)
        return (self.value * (grad - total),)


class LogSoftmax(Op):
    """The logarithm of the softmax, `x_i - log Σ_j e^x_j`, without its overflow and underflow.

    Args:
        x: any shape with at least one axis.
        axis: the axis along which the softmax adds up to 1; the last by default.
        name: None by default.

    Raises:
        GraphError: axis is not a whole number, or x is neither a node nor numbers.
        ShapeError: in the pass: x has no such axis, or nothing along it.

    With s the softmax and G the upstream gradient, dx = G - s Σ G.

    >>> import numpy as np, miniflow as mf
    >>> mf.value(mf.LogSoftmax(np.array([0.0, 1e4])))
    array([-10000.,      0.])
    """

    expects = "an array with at least one entry along its axis"

    def __init__(self, x: Any, axis: int = -1, *, name: str | None = None) -> None:
        Op.__init__(self, x, name=name)
        self.axis = one_axis(self, axis)

    def compute(self, x: Any) -> Any:
        shifted = below_largest(promote(x), self.axis)
        return shifted - np.log(np.sum(np.exp(shifted), axis=self.axis, keepdims=True))

    def gradient(self, grad: Any, x: Any) -> Any:
        total = np.sum(grad, axis=self.axis, keepdims=True)
        return (grad - np.exp(self.value) * total,)


WAYS.update(tanh="mf.Tanh(x)")
