"""State: an array that a pass hands on to the next one, a count, a running mean, a cache.

A parameter is moved by an optimizer, after a pass; a state is set by a node, in one. What a node's
`forward` gives to `State.set` is kept until the pass has ended well, and is the state's value then.
So a pass reads one value of it from beginning to end, and one that fails leaves it as it was. A
program, which changes nothing on the way, has the new value among its outputs.
"""

from typing import Any

import numpy as np

from miniflow.errors import GraphError
from miniflow.graph.checks import flag
from miniflow.graph.inputs import Parameter
from miniflow.graph.node import Node
from miniflow.graph.plans import passes_under_way
from miniflow.graph.values import as_value, describe, shape_of


class State(Parameter):
    """A value that passes hand on: a node sets what the next pass finds.

    Args:
        value: its first value, a number or an array of any shape; copied. It keeps shape and dtype;
            whole numbers are int64, as nodes compute with them, unless the array says otherwise.
        name: None by default; saved weights need one.

    What sets it is a node that leads to the output, a `SetState` or a `BatchNorm`, say, or one of
    your own whose `forward` calls `set`, with the state among its inbound nodes. The pass goes on
    with the value from before; the new one is there when it ends. So do `mf.value`,
    `mf.value_and_grad`, a compiled step and the steps of `mf.fit`, which set it after each batch.
    `mf.evaluate`, `mf.predict`, `fit`'s validation and a model file compute the same and set
    nothing.

    In a pass it is constant: a gradient with respect to it is that of the value that it has there,
    and none flows from pass to pass. It is no weight: optimizers leave it alone, and
    `mf.parameters` does not list it (`mf.states` does). It is saved, loaded, copied and resumed
    with the parameters.

    Raises GraphError, in a pass: it is set twice, to another shape, to numbers that its dtype does
    not have (a fraction, an int64 for an int32; floats are rounded), by a node in the step of a
    `scan`, or while it is fed; NotFiniteError: it would become NaN or infinite where it was finite.
    It stays as it was.

    >>> import miniflow as mf
    >>> x, total = mf.Input("x"), mf.State(0.0, "total")
    >>> running = mf.SetState(total, total + x)
    >>> [float(mf.value(running, {x: number})) for number in (1.0, 2.0, 3.0)], total.value
    ([1.0, 3.0, 6.0], array(6.))
    """

    is_trained = False
    _trainable = False

    def __init__(self, value: Any, name: str | None = None) -> None:
        Parameter.__init__(self, value, name, trainable=False)

    @property
    def trainable(self) -> bool:
        """False: optimizers leave it alone."""
        return False

    @trainable.setter
    def trainable(self, trainable: Any) -> None:
        if flag(self, "trainable", trainable):
            raise GraphError(f"{self} is no weight: what is to be trained is a Parameter.")

    def _keep(self, value: Any) -> None:
        array = np.asarray(as_value(value, f"State '{self.name}'" if self.name else "a State"))
        self._array = np.array(array, array.dtype.newbyteorder("="), order="C")

    def set(self, value: Any, by: Node | None = None) -> None:
        """Have this value when the pass under way has ended: for the `forward` of a node that has
        the state among its inbound nodes.

        Args:
            value: in the shape of the state; the dtype becomes the state's.
            by: the node, for messages; None by default.

        Outside of a pass, assign: `state.value = value`.
        """
        who = f"{by}" if by is not None else "a node"
        if not passes_under_way:
            raise GraphError(
                f"{self}: set(value) is for the forward of a node, in a pass: outside of one, "
                "state.value = value."
            )
        this_pass = passes_under_way[-1]
        if this_pass.repeats:
            raise GraphError(
                f"{self} is set by {who} in the step of a scan, which runs many times in a pass: "
                "let the step return it as its state, and set it to the last, SetState(state, "
                "states[-1])."
            )
        self._check_fits(value, who)
        if this_pass.sets is None:  # a look at one node alone
            return
        if self not in this_pass.consumers:
            raise GraphError(
                f"{self} is set by {who}, and does not lead to the output: it is one of the "
                "inbound nodes of what sets it."
            )
        if self in this_pass.sets:
            other = this_pass.sets[self][1]
            whom = f"{other} and by {who}" if other is not None else "several nodes"
            raise GraphError(
                f"{self} is set twice in one pass, by {whom}: it can have one new value."
            )
        this_pass.sets[self] = value, by

    def _check_fits(self, value: Any, who: str) -> None:
        shape, own = shape_of(value), shape_of(self.value)
        if shape != own:
            raise GraphError(
                f"{who} sets {self} to a value of shape {shape}, and it has the shape {own}, "
                "which it keeps."
            )
        dtype, kept = getattr(value, "dtype", None), self._array.dtype
        if dtype is None:
            fits = _number_fits(value, kept)
        else:  # floats may be rounded; whole numbers would wrap round
            fits = kept.kind == "f" or np.can_cast(dtype, kept, "safe")
        if not fits:
            shown = dtype if dtype is not None else describe(value)
            raise GraphError(
                f"{who} sets {self}, which has the dtype {kept}, to {shown}: cast it, or begin "
                "with a state of that dtype."
            )

    def check_writable(self) -> None:
        """See that a pass can set the array.

        Raises GraphError if it is read-only.
        """
        if not self._array.flags.writeable:
            raise GraphError(
                f"{self} has an array that is read-only, and a pass would set it: give it one of "
                "its own, state.value = state.value.copy()."
            )


def _number_fits(number: Any, dtype: Any) -> bool:
    """Whether a state of that dtype can have a Python number, or one that is traced."""
    if dtype.kind == "f" or isinstance(number, bool):
        return True
    if not isinstance(number, int) or dtype.kind == "b":
        return False
    if type(number) is not int:  # it is traced: any of 64 bits
        return bool(dtype == np.int64)
    return bool(np.iinfo(dtype).min <= number <= np.iinfo(dtype).max)
