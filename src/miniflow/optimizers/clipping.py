"""Gradients within bounds, so that one bad batch does not throw the parameters far away.

`clipped` is what every optimizer does to the gradients before it uses them. It is plain NumPy, with
no Python `if` on a number that an array holds; so the interpreter runs it and the compiler records
it, and in native code the bounds are a part of the loop that updates.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

import numpy as np

from miniflow.options import OptionError, number


class Clipping(TypedDict, total=False):
    """What every optimizer takes by keyword, to bound the gradients g before they are used.

    At most one of them; each is a number above 0, or None (the default): no bound.

    clipnorm: each parameter's gradient by itself: g ← g · min(1, clipnorm / ‖g‖).
    global_clipnorm: the same for all gradients together: ‖g‖ is the norm of all their entries, so
        the direction of the step stays as it is.
    clipvalue: each entry by itself: g ← min(max(g, -clipvalue), clipvalue).

    A gradient that is NaN or infinite is not made finite by this: training reports it.

    Source: Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks",
    2013.
    """

    clipnorm: float | None
    global_clipnorm: float | None
    clipvalue: float | None


def clipped(gradients: Sequence[Any], clipping: Mapping[str, float]) -> Sequence[Any]:
    """The gradients within the bounds; those that were given stay as they are.

    >>> clipped([np.array([3.0, 4.0]), np.array([0.5])], {"clipnorm": 1.0})
    [array([0.6, 0.8]), array([0.5])]
    """
    if not clipping:
        return gradients
    ((name, bound),) = clipping.items()
    if name == "clipvalue":
        # g - g is 0, and NaN where g is NaN or infinite: that is not for clipping to hide.
        return [np.minimum(np.maximum(g, -bound), bound) + (g - g) for g in gradients]
    squares = [np.sum(g * g) for g in gradients]
    if name == "global_clipnorm":
        squares = [sum(squares)] * len(squares)
    scales = [bound / np.maximum(np.sqrt(square), bound) for square in squares]
    return [g * _like(scale, g) for g, scale in zip(gradients, scales, strict=True)]


def checked_clipping(owner: str, clipping: Clipping) -> dict[str, float]:
    """The bound that was given, if any.

    Raises:
        TypeError: there is no such option.
        OptionError: it is no number above 0, or there are two.
    """
    names = list(Clipping.__annotations__)
    if unknown := [name for name in clipping if name not in names]:
        raise TypeError(
            f"{owner} has no option {unknown[0]!r}; gradients are bounded by {', '.join(names)}."
        )
    bounds = {
        name: number(owner, name, bound) for name, bound in clipping.items() if bound is not None
    }
    if 0.0 in bounds.values():
        raise OptionError(f"{owner}: {', '.join(bounds)} is a number above 0; None is no bound.")
    if len(bounds) > 1:
        raise OptionError(f"{owner}: {' and '.join(bounds)} are given: use one of the two.")
    return bounds


def _like(scale: Any, gradient: Any) -> Any:
    """A scale in the dtype of the gradient, so that float32 stays float32."""
    dtype = getattr(gradient, "dtype", None)
    return scale if dtype is None else scale.astype(dtype)
