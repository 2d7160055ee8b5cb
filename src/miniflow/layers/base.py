"""What all layers share; and the two that are not like the others, the beginning and the row."""

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, TypeVar

import numpy as np
from numpy.typing import DTypeLike

from miniflow import graph
from miniflow.graph import Node, Parameter, State
from miniflow.graph.checks import is_listed
from miniflow.graph.plans import ancestors_in_order
from miniflow.graph.rows import Row
from miniflow.graph.values import describe
from miniflow.layers.example_shapes import declare, known_row
from miniflow.layers.first_values import FirstValue, ShapeOn
from miniflow.layers.named import Initializer, NodeFunction, checked_node, initializer_of
from miniflow.options import OptionError, dtype_of, flag, generator, whole

Rng = np.random.Generator | int | None
AnyParameter = TypeVar("AnyParameter", bound=Parameter)


def Input(
    shape: Sequence[int], *, name: str | None = None, dtype: DTypeLike = np.float32
) -> graph.Input:
    """An `Input` whose shape is known to layers: `mf.Input(name, shape=shape, dtype=dtype)`.

    Args:
        shape: that of one example, without the axis of the rows: (784,), (28, 28, 1).
        name: None by default.
        dtype: what is going to be fed; the layers' parameters get the same. float32 by default.

    Raises:
        OptionError: shape is none.

    >>> from miniflow import layers
    >>> layers.Input((784,), name="X")
    <Input 'X'>
    """
    node = graph.Input(name)
    declare(node, Row(checked_shape("Input", shape), dtype_of("Input", dtype)))
    return node


def checked_shape(owner: str, shape: Sequence[int]) -> tuple[int, ...]:
    """The shape of one example. Raises OptionError if it is none, such as 784 for (784,)."""
    if not is_listed(shape):
        raise OptionError(f"{owner}: the shape of one example is (784,), say, not {shape!r}.")
    return tuple(whole(owner, "each size of the shape", size, least=1) for size in shape)


class Layer:
    """What all layers have. Subclass it and write `build(x, name)`, which returns a node.

    Args:
        name: what the nodes are called by; None, the default, numbers them.
        rng: a generator or a seed; None, the default, differs each time.

    Attributes:
        name: what the nodes are called by; None, the default, numbers them: "dense1", "dense2".
        rng: what first values are drawn from; None differs each time.
        parameters: name → Parameter, in order; empty before the layer is called.
        states: name → `State`, likewise: what passes set, and no optimizer moves.
        trainable: whether the layer's parameters are, those too that it is still to have; True by
            default. A `Sequential` hands it on to its layers.

    Raises:
        OptionError: rng is neither.

    >>> import numpy as np, miniflow as mf
    >>> from miniflow import layers
    >>> class Scale(layers.Layer):
    ...     kind = "scale"
    ...     def build(self, x, name):
    ...         gain = self.parameter_on(x, "gain", lambda row: row.shape, "ones")
    ...         return mf.Mul(x, gain, name=name)
    >>> scale = Scale()
    >>> scale(layers.Input((3,), name="X")), scale.parameters
    (<Mul 'scale1'>, {'gain': <Parameter 'scale1/gain'>})
    """

    kind = "layer"  # what numbered names begin with
    way_to_a_node = 'call it on a node, as in layer(mf.Input("X"))'

    def __init__(self, name: str | None = None, rng: Rng = None) -> None:
        owner = type(self).__name__
        if name is not None and not isinstance(name, str):
            raise OptionError(f"{owner}: name is text, not {describe(name)}.")
        if rng is not None and not isinstance(rng, np.random.Generator):
            generator(owner, rng)  # told here; a seed is drawn from when the layer is called
        self.name = name
        self.rng = rng
        self.parameters: dict[str, Parameter] = {}
        self.states: dict[str, State] = {}
        self._trainable = True

    @property
    def trainable(self) -> bool:
        """Whether optimizers move the layer's parameters."""
        return self._trainable

    @trainable.setter
    def trainable(self, trainable: bool) -> None:
        self._trainable = flag(type(self).__name__, "trainable", trainable)
        for parameter in self.parameters.values():
            parameter.trainable = self._trainable

    def __call__(self, x: Node) -> Node:
        """Build the layer on a node.

        Raises GraphError, or ShapeError, if the node's value is not what the layer takes.
        """
        if not isinstance(x, Node):
            raise OptionError(f"{self!r} is built on a node, not on {describe(x)}.")
        before = self._state()
        try:
            if self.name is None:
                self.name = _numbered(self.kind, x)
            node = checked_node(self, self.build(x, self.name))
            known_row(node)  # what does not fit is told here, and not at the first batch
        except Exception:
            for layer, attributes in before:  # it may be called on another node
                layer.__dict__.update(attributes)
            raise
        return node

    def _state(self) -> list[tuple["Layer", dict[str, Any]]]:
        """What a call changes, of this layer and of those in it."""
        kept = {"parameters": dict(self.parameters), "states": dict(self.states)}
        return [(self, {"name": self.name, "rng": self.rng, **kept})]

    def build(self, x: Node, name: str) -> Node:
        """The node, and what leads from `x` to it."""
        raise NotImplementedError

    def parameter(
        self, key: str, shape: Sequence[int], initializer: Initializer | str, dtype: DTypeLike
    ) -> Parameter:
        """The parameter of that name in this layer: a new one at the first call."""
        drawn_from = self.generator()
        if key not in self.parameters:
            value = initializer_of(initializer)(shape, drawn_from, dtype)
            name = f"{self.name}/{key}"
            self.parameters[key] = Parameter(value, name, self.trainable)
        return self.parameters[key]

    def parameter_on(
        self, x: Node, key: str, shape: ShapeOn, initializer: Initializer | str
    ) -> Parameter:
        """The parameter of that name, in the shape that fits rows of `x` and in their dtype: made
        now, or, where the shape of `x` is not known, when something is fed for the first time.

        Args:
            x: what the layer is built on.
            key: its name in this layer.
            shape: that of the parameter, as a function of `Row(shape, dtype)`, one row of x.
            initializer: a function as in `miniflow.initializers`, or its name.
        """
        kept, name = self.parameters, f"{self.name}/{key}"
        self.generator()
        first = FirstValue(self, shape, initializer_of(initializer))
        if key not in kept:
            kept[key] = Parameter.made_later(first, name, self.trainable)
        return _made_if_known(kept[key], x, first)

    def state_on(self, x: Node, key: str, shape: ShapeOn, initializer: Initializer | str) -> State:
        """The `State` of that name in this layer, as `parameter_on`; of at least 32 bits."""
        first = FirstValue(self, shape, initializer_of(initializer), np.float32)
        if key not in self.states:
            self.states[key] = State.made_later(first, f"{self.name}/{key}", False)
        return _made_if_known(self.states[key], x, first)

    def generator(self) -> np.random.Generator:
        """What first values are drawn from."""
        if not isinstance(self.rng, np.random.Generator):
            self.rng = np.random.default_rng(generator(type(self).__name__, self.rng))
        return self.rng

    def __repr__(self) -> str:
        return f"<{type(self).__name__}{f' {self.name!r}' if self.name else ''}>"


class Sequential(Layer):
    """Layers one after the other.

    Args:
        layers: layers, and anything else that takes a node and returns one: a node class of your
            own, a function.
        rng: what the layers that have none of their own draw from: a generator or a seed; None by
            default: it differs each time.

    Raises:
        OptionError: layers is no list, or has something that takes no node.

    The shape that one layer gives is what the next one takes.

    >>> import miniflow as mf
    >>> from miniflow import layers
    >>> network = layers.Sequential([layers.Dense(3, "tanh"), mf.Exp, layers.Dense(2)], rng=0)
    >>> network(layers.Input((4,)))
    <Linear 'dense2'>
    >>> list(network.parameters)
    ['dense1/W', 'dense1/b', 'dense2/W', 'dense2/b']
    """

    def __init__(self, layers: Iterable[NodeFunction], *, rng: Rng = None) -> None:
        Layer.__init__(self, "sequential", rng)
        if not is_listed(layers):
            raise OptionError(
                f"Sequential takes a list of layers, Sequential([layer, ...]), "
                f"not {describe(layers)}."
            )
        self.layers = list(layers)
        for layer in self.layers:
            if not callable(layer):
                raise OptionError(f"Sequential takes layers, and was given {describe(layer)}.")

    @property
    def trainable(self) -> bool:
        """Whether optimizers move the parameters of its layers."""
        return self._trainable

    @trainable.setter
    def trainable(self, trainable: bool) -> None:
        self._trainable = flag("Sequential", "trainable", trainable)
        for layer in self.layers:
            if isinstance(layer, Layer):
                layer.trainable = self._trainable

    def build(self, x: Node, name: str) -> Node:
        if not isinstance(self.rng, np.random.Generator):
            self.rng = generator(type(self).__name__, self.rng)
        for layer in self.layers:
            if isinstance(layer, Layer) and layer.rng is None:
                layer.rng = self.rng
            x = checked_node(layer, layer(x))
            for parameter in layer.parameters.values() if isinstance(layer, Layer) else ():
                if self.parameters.setdefault(str(parameter.name), parameter) is not parameter:
                    raise OptionError(
                        f"Two layers of a Sequential have a parameter '{parameter.name}': "
                        "give them names of their own."
                    )
            for state in layer.states.values() if isinstance(layer, Layer) else ():
                self.states[str(state.name)] = state
        return x

    def _state(self) -> list[tuple[Layer, dict[str, Any]]]:
        inner = [layer._state() for layer in self.layers if isinstance(layer, Layer)]
        return [*Layer._state(self), *chain.from_iterable(inner)]


def _made_if_known(kept: AnyParameter, x: Node, first: FirstValue) -> AnyParameter:
    """The parameter, made where it is not yet and a row of `x` is known."""
    if kept.value is None:
        row = known_row(x)
        if row is not None:
            kept.value, kept._first_value = first.on(row), None
        else:
            kept._first_value.sources.append(x)
    return kept


def _numbered(kind: str, x: Node) -> str:
    """The kind with a number that no node before `x` has."""
    taken = {(node.name or "").split("/")[0] for node in ancestors_in_order(x)}
    number = 1
    while f"{kind}{number}" in taken:
        number += 1
    return f"{kind}{number}"
