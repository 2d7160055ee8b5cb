"""Nodes without inbound nodes: an `Input` is fed; a `Constant` and a `Parameter` keep a value.

A `Parameter` owns its array, which optimizers change in place: what is given to it, or fed, is
never that array.
"""

from collections.abc import Callable, Sequence
from threading import get_ident
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import DTypeLike

from miniflow.errors import GraphError
from miniflow.graph.checks import flag
from miniflow.graph.lines import aligned_copy
from miniflow.graph.node import Node, see_to_shapes
from miniflow.graph.rows import checked_row
from miniflow.graph.values import END_OF_FLOAT64, as_value, read_only
from miniflow.residence import look_at, residents


class Input(Node):
    """A value that is fed: `feed_dict[x] = value`. Its gradient is the sum of what its consumers
    hand back.

    Args:
        name: None by default.
        shape: that of one example, without the axis of the rows, (784,) say: for layers, which make
            their parameters in the shapes that fit. None by default: they are made when something
            is fed for the first time. What is fed later on may have any shape.
        dtype: what is going to be fed, where a shape is given; float32 by default.

    Raises GraphError where the shape or the dtype is none.

    >>> import miniflow as mf
    >>> x = mf.Input("x")
    >>> mf.value(x * x, {x: 3})
    9
    """

    _gradient: Any = None
    _gradients: dict[Node, Any] | None = None  # what a backward of a subclass has set

    def __init__(
        self,
        name: str | None = None,
        *,
        shape: Sequence[int] | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        Node.__init__(self, (), name)
        if shape is not None:
            self._row = checked_row(self, shape, np.float32 if dtype is None else dtype)
        elif dtype is not None:
            raise GraphError(
                f"{self}: dtype={dtype!r} is said of a shape: shape=(784,), dtype=np.float32. "
                "Without one, an Input has the dtype of what is fed."
            )

    def forward(self, value: Any) -> None:
        self.value = value

    @see_to_shapes
    def backward(self) -> None:
        self._gradient, self._gradients = self.upstream_gradient(), None

    # A dictionary that a node keeps of itself would be a reference cycle: made when asked for.
    @property
    def gradients(self) -> dict[Node, Any]:
        """`{self: gradient}` after a backward pass."""
        if self._gradients is not None:
            return self._gradients
        return {} if self._gradient is None else {self: self._gradient}

    @gradients.setter
    def gradients(self, gradients: dict[Node, Any]) -> None:
        self._gradient, self._gradients = None, gradients or None


class Constant(Input):
    """A node with a fixed value: what a number or an array in an expression becomes.

    Args:
        value: a number or an array (kept as it is, not copied).
        name: None by default.

    Raises:
        GraphError: value holds no real numbers, or an integer that float64 does not hold.

    >>> import miniflow as mf
    >>> x = mf.Input("x")
    >>> mf.value(2 * x + mf.Constant(1, "one"), {x: 3})
    7
    """

    keeps_a_value = True

    def __init__(self, value: Any, name: str | None = None) -> None:
        Input.__init__(self, name)
        self._kept = as_value(value, "a Constant", END_OF_FLOAT64)
        self.value = self._kept

    def forward(self, value: Any = None) -> None:
        self.value = self._kept if value is None else value


class ReadOnlyInPass(NamedTuple):
    """What the nodes of a pass read of a parameter's array, in the thread of the pass alone: others
    may move it meanwhile.
    """

    thread: int
    view: Any


class Parameter(Input):
    """An input that keeps its own array, which optimizers update in place: a weight or a bias.

    Args:
        value: its first value; copied; integers become float64, since a step of an optimizer is not
            a whole number.
        name: None by default.
        trainable: whether optimizers move it; True by default. It can be set later on, too: a
            frozen parameter, `W.trainable = False`, stays as it is in `fit`, in a compiled step and
            in `optimizer.update`, and its gradient is not computed there.

    Raises:
        GraphError: value holds no real numbers, or an integer that float64 does not hold.

    It need not be fed; a feed stands in for it during that pass. Assigning `W.value = array`
    replaces the array.

    >>> import miniflow as mf
    >>> W = mf.Parameter([[1, 2], [3, 4]], "W")
    >>> x = mf.Input("x")
    >>> mf.value(x @ W, {x: [1.0, 1.0]})
    array([4., 6.])
    """

    keeps_a_value = True
    is_trained = True
    _array: Any = None
    _fed: Any = None
    _first_value: Any = None  # makes the array in the first pass, of one whose shape is not known
    _trainable = True

    def __init__(self, value: Any, name: str | None = None, trainable: bool = True) -> None:
        Input.__init__(self, name)
        self._keep(value)
        self.trainable = trainable

    @classmethod
    def made_later(cls, first_value: Callable[[], Any], name: str, trainable: bool) -> Self:
        """A parameter whose shape is not known yet: `first_value()` makes its array in the first
        forward pass that comes to it. Before that its value is None.
        """
        parameter = cls(0.0, name)
        parameter.trainable = trainable
        parameter._array, parameter._first_value = None, first_value
        return parameter

    @property
    def trainable(self) -> bool:
        """Whether optimizers move it."""
        return self._trainable

    @trainable.setter
    def trainable(self, trainable: Any) -> None:
        self._trainable = flag(self, "trainable", trainable)

    @property
    def value(self) -> Any:
        """The parameter's own array (during a pass that feeds it, what was fed)."""
        fed = self._fed
        if fed is not None:
            if type(fed) is not ReadOnlyInPass:
                return fed
            if fed.thread == get_ident():
                return fed.view
        return look_at(self._array) if residents else self._array

    @value.setter
    def value(self, value: Any) -> None:
        if self._array is not None and value is self._array:  # `W.value -= step` ends in this
            return
        self._fed = None
        if value is not None:  # Node.__init__ says "no value yet"
            self._keep(value)

    def _keep(self, value: Any) -> None:
        # What programs and optimizers write to: in C order, and in the machine's order of bytes.
        array = np.asarray(
            as_value(
                value, f"Parameter '{self.name}'" if self.name else "a Parameter", END_OF_FLOAT64
            )
        )
        dtype = array.dtype.newbyteorder("=") if array.dtype.kind == "f" else np.float64
        self._array = aligned_copy(array, dtype)

    def check_writable(self) -> None:
        """See that an optimizer can write to the array.

        Raises GraphError if it is read-only: somebody has said `W.value.flags.writeable = False`.
        """
        if not self._array.flags.writeable:
            raise GraphError(
                f"{self} has an array that is read-only, and an optimizer would write to it: give "
                "it one of its own, W.value = W.value.copy(), or keep it fixed as a Constant."
            )

    def guard(self) -> None:
        """Be read-only, until `end_guard`: for the pass of this thread."""
        if self._array is not None:  # else its first value is made in this pass
            self._fed = ReadOnlyInPass(get_ident(), read_only(self.value))

    def end_guard(self) -> None:
        if type(self._fed) is ReadOnlyInPass:
            self._fed = None

    def forward(self, value: Any = None) -> None:
        if self._array is None and self._first_value is not None and value is None:
            self._keep(self._first_value())
            just_made.append(self)
        if value is not None or type(self._fed) is not ReadOnlyInPass:
            self._fed = value


just_made: list[Parameter] = []
"""The parameters whose first value the pass under way has made."""


def end_of_first_values(is_kept: bool) -> None:
    """At the end of a pass that has made first values: they stay, or they are made anew by the
    next one, since this one failed and what it was fed may have had any shape.
    """
    for parameter in just_made:
        if is_kept:
            parameter._first_value = None
        else:
            parameter._array = None
    just_made.clear()
