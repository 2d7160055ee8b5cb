"""Optimizers: how parameters move, given their gradients.

    optimizer = Adam(lr=0.001)
    value, gradients = value_and_grad(loss, feed, wrt=parameters)
    optimizer.update(parameters, gradients)          # in place

An optimizer adds one formula to `Optimizer`, in `_move`. The same method serves the interpreter,
with arrays, and the compiler, with tracer arrays that record what NumPy was asked to do. So it is
plain NumPy, changes arrays in place, and has no Python `if` on a number that an array holds.

Gradients may be clipped before they are used: `SGD(0.1, clipnorm=1.0)`. That, too, is NumPy that
`update` runs, and becomes a part of a compiled step (`clipping`).
"""

from miniflow.optimizers.adam import Adam, AdamW
from miniflow.optimizers.clipping import Clipping
from miniflow.optimizers.optimizer import Optimizer
from miniflow.optimizers.rmsprop import RMSprop
from miniflow.optimizers.sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Clipping", "Optimizer", "RMSprop"]
