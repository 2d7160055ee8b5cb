"""Gradients within bounds, so that one bad batch does not throw the parameters far away.

`clip_gradients` is what every optimizer does to the gradients before it uses them. It is plain
NumPy, with no Python `if` on a number that an array holds; so the interpreter runs it and the
compiler records it, and in native code the bounds are a part of the loop that updates.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

import numpy as np

from miniflow.errors import CallError
from miniflow.graph.means import SMALL
from miniflow.graph.values import where
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

    Raises:
        OptionError: two of them are given, or one that is not above 0.

    >>> import numpy as np, miniflow as mf
    >>> W = mf.Parameter([0.0, 0.0], "W")
    >>> mf.SGD(1.0, clipnorm=1.0).update([W], [np.array([30.0, -40.0])])
    >>> W.value
    array([-0.6,  0.8])
    """

    clipnorm: float | None
    global_clipnorm: float | None
    clipvalue: float | None


def clip_gradients(gradients: Sequence[Any], clipping: Mapping[str, float]) -> Sequence[Any]:
    """The gradients within the bounds; those that were given stay as they are.

    >>> clip_gradients([np.array([3.0, 4.0]), np.array([0.5])], {"clipnorm": 1.0})
    [array([0.6, 0.8]), array([0.5])]
    """
    if not clipping:
        return gradients
    ((name, bound),) = clipping.items()
    if name == "clipvalue":
        # g - g is 0, and NaN where g is NaN or infinite: that is not for clipping to hide.
        return [np.minimum(np.maximum(g, -bound), bound) + (g - g) for g in gradients]
    if name == "clipnorm":
        return [g * _like(_scale([g], bound), g) for g in gradients]
    scale = _scale(gradients, bound)
    return [g * _like(scale, g) for g in gradients]


def _scale(gradients: Sequence[Any], bound: float) -> Any:
    """`min(1, bound / norm)`, with the norm of all entries.

    The squares are added up in float64. Those of a float64 may be none, and are added up in small,
    too, in the same walk over the gradient; where the sum is infinite, that one counts.
    """
    with np.errstate(over="ignore"):
        total = sum(np.sum(np.square(g, dtype=np.float64)) for g in gradients)
    wide = [g for g in gradients if getattr(g, "dtype", np.dtype(float)).itemsize >= 8]
    if not wide:
        return bound / np.maximum(np.sqrt(total), bound)
    small = sum(np.sum(np.square(g * SMALL)) for g in wide)
    fits = total < np.inf
    limit = where(fits, bound, bound * SMALL)
    return limit / np.maximum(np.sqrt(where(fits, total, small)), limit)


def checked_clipping(owner: str, clipping: Clipping) -> dict[str, float]:
    """The bound that was given, if any.

    Raises:
        CallError: there is no such option.
        OptionError: it is no number above 0, or there are two.
    """
    names = list(Clipping.__annotations__)
    if unknown := [name for name in clipping if name not in names]:
        raise CallError(f"{owner} has no option {unknown[0]!r}; {_instead(unknown[0], names)}.")
    bounds = {
        name: number(owner, name, bound) for name, bound in clipping.items() if bound is not None
    }
    if 0.0 in bounds.values():
        raise OptionError(f"{owner}: {', '.join(bounds)} is a number above 0; None is no bound.")
    if len(bounds) > 1:
        raise OptionError(f"{owner}: {' and '.join(bounds)} are given: use one of the two.")
    return bounds


def _instead(option: str, names: Sequence[str]) -> str:
    """What to write for an option that there is not: by the name that others give it."""
    ours = {
        "learning_rate": "the learning rate is lr=",
        "weight_decay": "AdamW has one, and SGD",
        "momentum": "SGD has one; Adam's is beta_1=",
        "betas": "they are beta_1= and beta_2=",
        "beta1": "it is beta_1=",
        "beta2": "it is beta_2=",
        "eps": "it is epsilon=",
        "alpha": "of RMSprop it is rho=; the learning rate is lr=",
        "decay": "lr= takes a schedule, ExponentialDecay say; AdamW and SGD have weight_decay=",
    }
    return ours.get(option, f"gradients are bounded by {', '.join(names)}")


def _like(scale: Any, gradient: Any) -> Any:
    """A scale in the dtype of the gradient, so that float32 stays float32."""
    dtype = getattr(gradient, "dtype", None)
    return scale if dtype is None else scale.astype(dtype)
