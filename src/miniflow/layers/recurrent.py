"""The layers that go through a sequence and remember: RNN, GRU and LSTM, loops (`mf.scan`) over
time. What they have in common is in `_Recurrent`: directions, levels, masks, and what is returned.

What each item says to the gates does not wait for the state, so it is one product for all items,
before the loop; in the loop there is the product of the state, and no other.
"""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from miniflow import nodes
from miniflow.errors import ShapeError
from miniflow.graph import Node
from miniflow.graph.rows import Row
from miniflow.initializers import glorot_uniform, orthogonal, zeros
from miniflow.layers.base import Layer, Rng
from miniflow.layers.cells import GRUCell, LSTMCell
from miniflow.layers.example_shapes import known_row
from miniflow.layers.masks import MaskWithAxes, checked_mask
from miniflow.layers.named import Initializer, NodeFunction, activation_of, initializer_of
from miniflow.nodes.scan import scan
from miniflow.options import flag, whole


class _Recurrent(Layer):
    """What the recurrent layers share. A subclass says how many gates there are, of how many parts
    a state is put together, and what a step does.
    """

    gates = 1
    parts = 1  # of a state: the first is what the layer returns

    def __init__(
        self,
        units: int,
        *,
        return_sequences: bool = False,
        mask: Any = None,
        bidirectional: bool = False,
        depth: int = 1,
        kernel_initializer: Initializer | str = glorot_uniform,
        recurrent_initializer: Initializer | str = orthogonal,
        bias_initializer: Initializer | str = zeros,
        name: str | None = None,
        rng: Rng = None,
    ) -> None:
        Layer.__init__(self, name, rng)
        owner = type(self).__name__
        self.units = whole(owner, "units", units, least=1)
        self.return_sequences = flag(owner, "return_sequences", return_sequences)
        self.mask = checked_mask(owner, mask)
        self.bidirectional = flag(owner, "bidirectional", bidirectional)
        self.depth = whole(owner, "depth", depth, least=1)
        self.kernel_initializer = initializer_of(kernel_initializer)
        self.recurrent_initializer = initializer_of(recurrent_initializer)
        self.bias_initializer = initializer_of(bias_initializer)

    @property
    def directions(self) -> list[str]:
        return ["", "reverse/"] if self.bidirectional else [""]

    def build(self, x: Node, name: str) -> Node:
        row = known_row(x)
        if row is not None and len(row.shape) != 2:
            raise ShapeError(
                f"{self!r} takes sequences, (n, T, features), and {x.label} has rows of shape "
                f"{row.shape}: T items of some features each, layers.Input((T, features))."
            )
        mask = None
        if self.mask is not None:
            mask = nodes.Transpose(MaskWithAxes(repr(self), self.mask, (2,)), (1, 0, 2))
        for level in range(self.depth):
            ends = [self._go(x, f"{name}/", level, way, mask) for way in self.directions]
            if level == self.depth - 1 and not self.return_sequences:
                last = [
                    states[0 if way else -1]
                    for states, way in zip(ends, self.directions, strict=True)
                ]
                return _joined([self._shown(state) for state in last], name)
            x = nodes.Transpose(_joined([self._shown(states) for states in ends]), (1, 0, 2))
        x.name = name
        return x

    def _go(self, x: Node, name: str, level: int, way: str, mask: Node | None) -> Node:
        """The states of one level in one direction: shape (T, n, parts · units)."""
        key = self.key(level, way)
        said = nodes.Transpose(self.project(x, key), (1, 0, 2))
        first = nothing_like(said[0], self.parts * self.units, self.gates * self.units)
        if mask is None:
            return scan(
                lambda state, item: self.step(state, item, key),
                first,
                said,
                bool(way),
                name=f"{name}{key}states",
            )
        return scan(
            lambda state, item, there: nodes.Where(there, self.step(state, item, key), state),
            first,
            [said, mask],
            bool(way),
            name=f"{name}{key}states",
        )

    def key(self, level: int, way: str = "") -> str:
        """How the names of a level's parameters begin: "", "2/reverse/"."""
        return f"{level + 1}/{way}" if level else way

    def project(self, x: Node, key: str) -> Node:
        """What items say to the gates."""
        W = self.parameter_on(x, f"{key}W", self._shape_of_kernel, self.kernel_initializer)
        b = self.parameter_on(x, f"{key}b", self._shape_of_bias, self._first_bias)
        return nodes.Linear(x, W, b, name=f"{self.name}/{key}items")

    def step(self, state: Node, item: Node, key: str) -> Node:
        """The state after an item, from what that says to the gates."""
        raise NotImplementedError

    def of_state(self, state: Node, key: str) -> Node:
        """U, the weights of what the state says to the gates."""
        shape = self.units, self.gates * self.units
        return self.parameter_on(state, f"{key}U", lambda _: shape, self.recurrent_initializer)

    def _shown(self, states: Node) -> Node:
        return states if self.parts == 1 else states[..., : self.units]

    def _shape_of_kernel(self, row: Row) -> tuple[int, ...]:
        return row.shape[-1], self.gates * self.units

    def _shape_of_bias(self, row: Row) -> tuple[int, ...]:
        return (self.gates * self.units,)

    def _first_bias(self, shape: Any, rng: Any, dtype: DTypeLike) -> NDArray[Any]:
        return self.bias_initializer(shape, rng, dtype)


class RNN(_Recurrent):
    """A recurrent layer: h_t = activation(x_t W + h_{t-1} U + b), from h_0 = 0.

    Args:
        units: how many numbers a state has.
        activation: "tanh" by default; a name, a node class or any function of a node, as for
            `Dense`.
        return_sequences: whether the value is the state after each item, (n, T, units), or the last
            alone, (n, units); False by default.
        mask: True where there is an item and False where there is padding, a node of shape (n, T):
            padding leaves the state as it is. None by default.
        bidirectional: whether the sequence is gone through from its end, too, with parameters of
            their own ("reverse/W", ...): the value has both, 2 · units numbers, of the last alone
            the state after the first item. False by default.
        depth: how many such layers, each of which reads the states of the one before; 1 by default.
            The parameters of the second are "2/W", ...
        kernel_initializer: of W, (features, units): "glorot_uniform" by default.
        recurrent_initializer: of U, (units, units): "orthogonal" by default.
        bias_initializer: of b: "zeros" by default.
        name: "rnn1", ... by default.
        rng: as for `Dense`.

    Raises:
        OptionError: a number, an activation or an initializer does not fit.
        ShapeError: when it is called: the examples are no sequences, (n, T, features).

    Source: J. L. Elman, "Finding structure in time", 1990.

    >>> import miniflow as mf
    >>> xs = mf.layers.Input((12, 3), name="xs")  # 12 items of 3 numbers
    >>> layer = mf.layers.RNN(8, return_sequences=True)
    >>> layer(xs), {key: W.value.shape for key, W in layer.parameters.items()}
    (<Transpose 'rnn1'>, {'W': (3, 8), 'b': (8,), 'U': (8, 8)})
    """

    kind = "rnn"

    def __init__(
        self,
        units: int,
        activation: str | NodeFunction | None = "tanh",
        *,
        return_sequences: bool = False,
        mask: Any = None,
        bidirectional: bool = False,
        depth: int = 1,
        kernel_initializer: Initializer | str = glorot_uniform,
        recurrent_initializer: Initializer | str = orthogonal,
        bias_initializer: Initializer | str = zeros,
        name: str | None = None,
        rng: Rng = None,
    ) -> None:
        _Recurrent.__init__(
            self,
            units,
            return_sequences=return_sequences,
            mask=mask,
            bidirectional=bidirectional,
            depth=depth,
            kernel_initializer=kernel_initializer,
            recurrent_initializer=recurrent_initializer,
            bias_initializer=bias_initializer,
            name=name,
            rng=rng,
        )
        self.activation = activation_of(activation)

    def step(self, state: Node, item: Node, key: str) -> Node:
        said = item + nodes.MatMul(state, self.of_state(state, key))
        return said if self.activation is None else self.activation(said)


class GRU(_Recurrent):
    """A recurrent layer whose gates say what is kept of a state: the gated recurrent unit.

        r = σ(x_t W_r + h U_r + b_r),    z = σ(x_t W_z + h U_z + b_z)
        c = tanh(x_t W_c + b_c + r · (h U_c + u)),    h_t = (1 - z) · c + z · h

    Args:
        units, return_sequences, mask, bidirectional, depth: as for `RNN`.
        kernel_initializer, recurrent_initializer, bias_initializer, rng: as for `RNN`.
        name: "gru1", ... by default.

    Raises:
        OptionError: a number, an activation or an initializer does not fit.
        ShapeError: when it is called: the examples are no sequences, (n, T, features).

    W (features, 3 · units), U (units, 3 · units) and b (3 · units,) have r, z and c side by side, u
    is "recurrent_b", (units,). PyTorch's are the same, transposed, with two biases of r and z each,
    which add up.

    Source: K. Cho et al., "Learning phrase representations using RNN encoder-decoder", 2014.

    >>> import miniflow as mf
    >>> xs, mask = mf.layers.Input((12, 3), name="xs"), mf.Input("mask", shape=(12,), dtype=bool)
    >>> layer = mf.layers.GRU(8, mask=mask, bidirectional=True)
    >>> layer(xs)
    <Concat 'gru1'>
    """

    kind = "gru"
    gates = 3

    def step(self, state: Node, item: Node, key: str) -> Node:
        u = self.parameter_on(
            state, f"{key}recurrent_b", lambda _: (self.units,), self.bias_initializer
        )
        return GRUCell(state, item, self.of_state(state, key), u)


class LSTM(_Recurrent):
    """A recurrent layer with a cell beside its output, which gates write and forget: long
    short-term memory.

        i, f, o = σ(x_t W + h U + b) each,    g = tanh(x_t W_g + h U_g + b_g)
        c_t = f · c_{t-1} + i · g,    h_t = o · tanh(c_t)

    Args:
        units, return_sequences, mask, bidirectional, depth: as for `RNN`.
        kernel_initializer, recurrent_initializer, bias_initializer, rng: as for `RNN`; the biases
            of f begin one higher: at first nothing is forgotten.
        name: "lstm1", ... by default.

    Raises:
        OptionError: a number, an activation or an initializer does not fit.
        ShapeError: when it is called: the examples are no sequences, (n, T, features).

    W (features, 4 · units), U (units, 4 · units) and b (4 · units,) have i, f, g and o side by
    side. PyTorch's are the same, transposed, with two biases each, which add up.

    Source: S. Hochreiter, J. Schmidhuber, "Long short-term memory", 1997; with the gate f of F.
    Gers, J. Schmidhuber, F. Cummins, "Learning to forget", 2000.

    >>> import miniflow as mf
    >>> layer = mf.layers.LSTM(8, depth=2)
    >>> layer(mf.layers.Input((12, 3), name="xs"))
    <GetItem 'lstm1'>
    """

    kind = "lstm"
    gates = 4
    parts = 2

    def step(self, state: Node, item: Node, key: str) -> Node:
        return LSTMCell(state, item, self.of_state(state, key))

    def _first_bias(self, shape: Any, rng: Any, dtype: DTypeLike) -> NDArray[Any]:
        first = np.array(self.bias_initializer(shape, rng, dtype))
        first[self.units : 2 * self.units] += 1
        return first


def nothing_like(x: Node, width: int, of: int) -> Node:
    """Zeros of shape (n, width) for as many rows as x has, (n, of), which need not be numbers."""
    part = nodes.StopGradient(x[..., : min(width, of)])
    zeros = nodes.Where(part > np.inf, part, 0.0)
    return zeros if width <= of else nodes.Concat(*[zeros] * (width // of), axis=-1)


def _joined(parts: list[Node], name: str | None = None) -> Node:
    if len(parts) > 1:
        return nodes.Concat(*parts, axis=-1, name=name)
    if name is not None:
        parts[0].name = name
    return parts[0]
