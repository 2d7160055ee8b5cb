"""The graph: nodes, the edges between them, and the order in which a pass visits them.

A **node** computes one value from the values of its *inbound* nodes. Node after node, from the
inputs to an output, that is the forward pass. The backward pass walks the same nodes the other way
round: each node asks its *outbound* nodes, its consumers, for the gradient of the output with
respect to its own value (the *upstream gradient*), multiplies it with its local derivatives, and
leaves one gradient for each inbound node in its dictionary `gradients`. That dictionary is the
whole protocol:

    class Mul(Node):
        def __init__(self, x, y):
            Node.__init__(self, [x, y])

        def forward(self):
            self.value = self.inbound_nodes[0].value * self.inbound_nodes[1].value

        def backward(self):
            x, y = self.inbound_nodes
            self.gradients = {n: 0 for n in self.inbound_nodes}
            for consumer in self.outbound_nodes:
                grad = consumer.gradients[self]
                self.gradients[x] += y.value * grad
                self.gradients[y] += x.value * grad

This file has `Node`; `inputs.py` has those that are fed or keep an array, `op.py` the tidy way to
write one that computes. `plans.py` finds the nodes that lead to an output; `interpreter/`
runs the two passes.
"""

import sys
import weakref
from collections.abc import Callable, Iterable, Sequence
from types import CodeType
from typing import Any

import numpy as np

from miniflow.errors import GraphError
from miniflow.graph.copying import Copied
from miniflow.graph.deriving import derived_gradients
from miniflow.graph.equations import register
from miniflow.graph.hits import Hits, largest_at_label
from miniflow.graph.no_number import NoDtypeError, NoNumber, wants_a_dtype
from miniflow.graph.operators import Operators
from miniflow.graph.places import building_code, is_ours, line_of, named_place
from miniflow.graph.plans import Plan, passes_under_way
from miniflow.graph.typed import overridable
from miniflow.graph.values import (
    describe,
    ones_like,
    zeros_like,
)


def see_to_shapes(backward: Callable[[Any], None]) -> Callable[[Any], None]:
    backward.sees_to_shapes = True  # type: ignore[attr-defined]
    return backward


_UNKNOWN = "unknown"


class Node(Operators, NoNumber, Copied):
    """A value computed from the values of other nodes: subclass it, write `forward` and `backward`.

    Args:
        inbound_nodes: the nodes whose values this one uses, in the order of its arguments; none by
            default.
        name: what pictures, programs and error messages call it; None by default.

    Attributes:
        value: what `forward` set; None before the first pass.
        gradients: what `backward` set: inbound node → gradient of the output with respect to it; {}
            before.
        cache: a dictionary for whatever `forward` wants to hand to `backward`.

    Raises:
        GraphError: an inbound node is none, or name is no text.

    `+ - * / @ ** -x`, `< <= > >=` and `x[...]` on nodes build nodes; numbers and arrays become
    `Constant`s. Between nodes `==` is identity; with a number or an array it is refused (the
    condition is `mf.Equal`), and so is a function of NumPy's on a node.

    >>> import miniflow as mf
    >>> x, y = mf.Input("x"), mf.Input("y")
    >>> x.outbound_nodes
    []
    >>> z = x * y
    >>> x.outbound_nodes == [z], z.inbound_nodes == [x, y]
    (True, True)
    """

    # The type of what was last fed, for model files: if that was to a compiled step; else None.
    _fed_type: Any = None
    _row: Any = None  # what its value is for one example, where layers know it
    # Of an input within a loop: the node that its values are like, and whether that is a sequence.
    _stands_for: tuple["Node", bool] | None = None

    def __init__(self, inbound_nodes: Iterable["Node"] = (), name: str | None = None) -> None:
        if isinstance(inbound_nodes, Node) or not isinstance(inbound_nodes, Iterable):
            raise GraphError(
                f"{type(self).__name__}: Node.__init__ takes a list of inbound nodes: "
                "Node.__init__(self, [x])."
            )
        if name is not None and not isinstance(name, str):
            raise GraphError(f"{type(self).__name__}: name is text, not {describe(name)}.")
        self.inbound_nodes: Sequence[Node] = list(inbound_nodes)
        self.name = name
        self.value: Any = None
        self.gradients: dict[Node, Any] = {}
        self.cache: dict[Any, Any] = {}
        self._built_at: tuple[CodeType | None, int] | str = building_code()
        self._consumers: dict[weakref.ref[Node], None] = {}
        self._consumers_limit = 16
        self._plan: Plan | None = None
        me = weakref.ref(self)
        for node in self.inbound_nodes:
            if not isinstance(node, Node):
                raise GraphError(
                    f"{self} takes nodes, and was given {describe(node)}: "
                    "wrap it in Constant(...), or make it an Input and feed it."
                )
            node._consumers[me] = None
            if len(node._consumers) > node._consumers_limit:
                node._forget_dead_consumers()

    # What is asked of every node, in place of its class.
    keeps_a_value = False  # whether forward() without a value falls back on one of its own
    is_trained = False  # whether it is a parameter
    gathers = False  # whether it is the end of a pass over a list of outputs, and no consumer
    stops_gradient = False  # whether it hands no gradient back, and nothing flows through it
    _is_fed_pixels = False  # whether `fit` has fed it from a data set of bytes, as fractions
    wants_a_seed = False  # whether `fit` feeds it a whole number of its own at each step
    answers: str | None = None  # what a loss is about: "classes", "yes or no" or "numbers"
    draws_numbers = False  # whether its value has random numbers in it, of `random_numbers`
    chooses = False  # whether entries of some of its inputs may be left out, as `Where` does
    upstream_is_fed = False  # whether it hands on the gradient that it is fed, whatever comes back
    # How the loss of a data set follows from those of its batches: see `divisor`.
    adds_up = False  # whether the values of batches add up to that of all
    is_linear_reduction = False  # whether its value is sums, or means, of entries of its only input
    keeps_rows = False  # whether, though it adds up or divides, its value has a row for each row
    linear_in: str | None = None  # of one number each: "all" inbound nodes together, or any "one"
    divisor_reads: tuple[int, ...] = ()  # which inbound nodes' numbers `divisor` asks for
    parts: Sequence["Node"] = ()  # the nodes that it runs itself: the body of a loop
    _sees_to_shapes = False  # whether the gradients of `backward` fit, of one of miniflow's own
    _is_foreign = False  # whether the class is not miniflow's own: what it computes is looked at
    primitive: str | None = None  # of a class of miniflow's own: which equation of programs it is

    def __init_subclass__(cls) -> None:
        cls._sees_to_shapes = getattr(cls.backward, "sees_to_shapes", False)
        cls._is_foreign = not is_ours(cls)
        if not cls._is_foreign:
            register(cls)

    @overridable
    def forward(self, *value: Any) -> None:
        """Compute `self.value` from the values of the inbound nodes (an `Input` is handed it)."""
        raise GraphError(f"{self} has no forward method: its class must define forward(self).")

    @see_to_shapes
    def backward(self) -> None:
        """Fill `self.gradients` from the gradients of the outbound nodes.

        A class need not define it: the gradients of what its `forward` does are derived then, from
        a recording of that.

        >>> import miniflow as mf
        >>> class Cube(mf.Node):
        ...     def forward(self):
        ...         self.value = self.inbound_nodes[0].value ** 3
        >>> x = mf.Input("x")
        >>> mf.value_and_grad(Cube([x]), {x: 2.0}, wrt=[x])
        (8.0, [12.0])
        >>> Cube([x])
        <Cube, gradient derived>
        """
        self._derive_gradients("backward method: its class must define backward(self).")

    def _derive_gradients(self, missing: str) -> None:
        inbound = list(dict.fromkeys(self.inbound_nodes))
        if passes_under_way:
            inbound = [node for node in inbound if node in passes_under_way[-1].needed]
        missing = f"{self} has no {missing}"
        found, _ = derived_gradients(self, self.upstream_gradient(), inbound, missing)
        self.gradients = {
            node: zeros_like(node.value) if gradient is None else gradient
            for node, gradient in zip(inbound, found, strict=True)
        }

    @property
    def derives_gradient(self) -> bool:
        """Whether the class has no gradient of its own, so that it is derived: see `deriving`."""
        return type(self).backward is Node.backward

    def upstream_gradient(self) -> Any:
        """Gradient of the output with respect to this node: the sum of what its consumers hand
        back.
        """
        total: Any = None
        for consumer in self.outbound_nodes:
            grad = consumer.gradients[self]
            total = grad if total is None else total + grad
        return ones_like(self.value) if total is None else total

    def count_correct(self, logits: Any, labels: Any) -> Hits | None:
        """How many labels there are for a loss of (logits, labels), and how many were met: the
        largest logit is at the label. None where there is no accuracy.

        Args:
            logits: (..., classes); of one column, the logits of yes and no.
            labels: class numbers (...), or one-hot (..., classes); of yes and no, ones and zeros.
        """
        return None if self.linear_in else largest_at_label(logits, labels)

    def graph_inside(self) -> "tuple[dict[Node, Node], Node] | None":
        """The graph by which it has computed its value, for pictures: its inputs, each with the
        inbound node that it stands for, and its output. None of nearly all nodes.
        """
        return None

    def type_hangs_on_numbers(self) -> str:
        """What of the numbers of the last pass decided the dtype of the value, so that a program,
        which has one, could not know it; "" of nearly all nodes.
        """
        return ""

    def channel_scale(self) -> "tuple[Node, Any, Any] | None":
        """Of a node that, in inference, scales and shifts the last axis of another one's value and
        does nothing else: that one, by what (as it is now), and what is added. None of nearly all.
        """
        return None

    def with_channels_scaled(self, scale: Any, shift: Any) -> "Node | None":
        """A node of the same kind whose value is this one's, its last axis scaled and shifted: a
        layer with other weights. None of nearly all.
        """
        return None

    def divisor(self, shapes: Sequence[tuple[int, ...]], values: dict[int, Any]) -> float | None:
        """By what the mean that a loss is divides, for a batch: rows, entries, a sum of weights. So
        the mean over a data set is known, whatever the size of its batches.

        Args:
            shapes: those of the values of the inbound nodes.
            values: inbound node, by its place → value, of those in `divisor_reads`.

        Returns None for the number of rows that were fed, which holds for a loss that says nothing.
        """
        return None

    @property
    def outbound_nodes(self) -> list["Node"]:
        """The consumers: during a pass those that lead to its output, at rest all that are
        alive.
        """
        if passes_under_way:
            during = passes_under_way[-1].consumers.get(self)
            if during is not None:
                return during
        alive = (me() for me in list(self._consumers))
        consumers = (node for node in alive if node is not None and not node.gathers)
        return [node for node in consumers if self in node.inbound_nodes]

    def _forget_dead_consumers(self) -> None:
        # Amortised: the next sweep comes after as many new consumers as have survived this one.
        for me in list(self._consumers):
            if me() is None:
                self._consumers.pop(me, None)
        self._consumers_limit = 2 * len(self._consumers) + 16

    @property
    def label(self) -> str:
        """Class and name, as messages and pictures show it: `Linear 'logits'`."""
        return type(self).__name__ + (f" '{self.name}'" if self.name is not None else "")

    @property
    def where(self) -> str:
        """File and line of the user's code that built the node: `train.py:12`; "unknown" of what
        the command line has built.
        """
        if isinstance(self._built_at, str):
            return self._built_at  # of a copy: that of the original
        code, instruction = self._built_at
        if code is None:
            return _UNKNOWN
        return named_place(code, line_of(code, instruction))

    def __str__(self) -> str:
        place = self.where
        return self.label if place == _UNKNOWN else f"{self.label} ({place})"

    def __repr__(self) -> str:
        return f"<{self.label}{', gradient derived' if self.derives_gradient else ''}>"

    def __getattr__(self, attribute: str) -> Any:
        if attribute in _SET_BY_INIT:
            lacks = "is no whole node yet" if attribute[0] == "_" else f"has no `{attribute}`"
            raise GraphError(
                f"A {type(self).__name__} {lacks}: its __init__ must call "
                "Node.__init__(self, [its inbound nodes])."
            )
        if attribute == "dtype" and wants_a_dtype(sys._getframe(1)):
            raise NoDtypeError(self._lacks(attribute))
        if not attribute.startswith("_") and hasattr(np.ndarray, attribute):
            raise AttributeError(self._lacks(attribute))
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {attribute!r}")


_SET_BY_INIT = (
    *("inbound_nodes", "name", "value", "gradients", "cache"),
    *("_plan", "_consumers", "_built_at"),
)
