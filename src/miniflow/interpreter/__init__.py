"""The interpreter: the two walks over the nodes, what is fed to them, and gradients checked."""

from miniflow.interpreter.accuracy import accuracy
from miniflow.interpreter.checking import check_gradients
from miniflow.interpreter.not_finite import find_not_finite
from miniflow.interpreter.passes import one_pass_at_a_time, value, value_and_grad

__all__ = [
    "accuracy",
    "check_gradients",
    "find_not_finite",
    "one_pass_at_a_time",
    "value",
    "value_and_grad",
]
