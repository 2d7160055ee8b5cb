"""The layers of a transformer: RMSNorm, MultiHeadAttention, and TransformerBlock, which puts them
together; and TiedDense, which scores by the rows of an embedding.

Attention has a second form, `step`, for text that is written a token at a time: it takes one place
of each sequence, and keys and values of the places before, which it hands on with its own among
them. What that costs does not grow with what was written before, but for the look back itself.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from miniflow import nodes
from miniflow.errors import ShapeError
from miniflow.graph import Node, Op
from miniflow.graph.rows import Row
from miniflow.graph.values import describe
from miniflow.initializers import glorot_uniform, ones, zeros
from miniflow.layers.base import Layer, Rng
from miniflow.layers.example_shapes import known_row
from miniflow.layers.masks import MaskWithAxes, checked_mask
from miniflow.layers.named import (
    Initializer,
    NodeFunction,
    activated,
    activation_of,
    initializer_before,
    initializer_of,
)
from miniflow.layers.weighted import Embedding
from miniflow.options import OptionError, flag, number, whole


class RMSNorm(Layer):
    """Each row divided by its root mean square, times a gain; see `mf.RMSNorm`.

    Args:
        epsilon: what is added to the mean of the squares; 1e-5 by default.
        gain: whether there is one, a parameter; True by default.
        name: "norm1", ... by default.

    Raises:
        OptionError: an option does not make sense.

    >>> import miniflow as mf
    >>> mf.layers.RMSNorm()(mf.layers.Input((12, 64)))
    <RMSNorm 'norm1'>
    """

    kind = "norm"

    def __init__(
        self, *, epsilon: float = 1e-5, gain: bool = True, name: str | None = None
    ) -> None:
        Layer.__init__(self, name)
        self.epsilon = number("RMSNorm", "epsilon", epsilon)
        self.gain = flag("RMSNorm", "gain", gain)

    def build(self, x: Node, name: str) -> Node:
        shape = _last_axis
        gain = self.parameter_on(x, "gain", shape, ones) if self.gain else None
        return nodes.RMSNorm(x, gain, epsilon=self.epsilon, name=name)


class MultiHeadAttention(Layer):
    """Attention of a sequence to itself, by several heads, each with a part of the numbers:
    concat(head_1, ..., head_h) O, where head_i is `mf.ScaledDotProductAttention` of the i-th parts
    of X Q, X K and X V.

    Args:
        heads: how many; they share the features evenly.
        causal: whether each place sees itself and those before it alone; False by default.
        mask: True where there is an item and False where there is padding, which nobody looks at: a
            node of shape (n, T). None by default.
        bias: whether each product has a bias ("Q_b", ...); True by default.
        kernel_initializer: a function as in `miniflow.initializers`, or its name, of Q, K, V and O,
            (features, features) each; "glorot_uniform" by default.
        output_initializer: that of O, if it is another; None by default.
        name: "attention1", ... by default.
        rng: as for `Dense`.

    It takes sequences (n, T, features), and its value has their shape.

    Raises:
        OptionError: an option does not make sense.
        ShapeError: when it is called: the examples are no sequences, or their features cannot be
            shared evenly.

    Source: A. Vaswani et al., "Attention is all you need", 2017.

    >>> import miniflow as mf
    >>> layer = mf.layers.MultiHeadAttention(4, causal=True, bias=False)
    >>> layer(mf.layers.Input((12, 64))), {key: W.value.shape for key, W in layer.parameters.items()}
    (<MatMul 'attention1'>, {'Q': (64, 64), 'K': (64, 64), 'V': (64, 64), 'O': (64, 64)})
    """  # noqa: E501 (one line of an example)

    kind = "attention"

    def __init__(
        self,
        heads: int,
        *,
        causal: bool = False,
        mask: Any = None,
        bias: bool = True,
        kernel_initializer: Initializer | str = glorot_uniform,
        output_initializer: Initializer | str | None = None,
        name: str | None = None,
        rng: Rng = None,
    ) -> None:
        Layer.__init__(self, name, rng)
        self.heads = whole("MultiHeadAttention", "heads", heads, least=1)
        self.causal = flag("MultiHeadAttention", "causal", causal)
        self.mask = checked_mask("MultiHeadAttention", mask)
        self.bias = flag("MultiHeadAttention", "bias", bias)
        self.kernel_initializer = initializer_of(kernel_initializer)
        self.output_initializer = (
            self.kernel_initializer
            if output_initializer is None
            else initializer_of(output_initializer)
        )

    def build(self, x: Node, name: str) -> Node:
        row = known_row(x)
        if row is not None and (len(row.shape) != 2 or row.shape[-1] % self.heads):
            raise ShapeError(
                f"{self!r} takes sequences, (n, T, features), of features that {self.heads} heads "
                f"share evenly, and {x.label} has rows of shape {row.shape}."
            )
        q, k, v = self._split(x, name)
        mask = None if self.mask is None else MaskWithAxes(repr(self), self.mask, (1, 2))
        seen = nodes.ScaledDotProductAttention(
            q, k, v, mask, causal=self.causal, name=f"{name}/heads"
        )
        return self._product(JoinHeads(seen), x, "O", name)

    def step(self, x: Node, name: str, memory: "Memory") -> tuple[Node, Node, Node]:
        """The value for one place of each sequence, x of shape (n, 1, features), and the keys and
        the values with those of this place among them.
        """
        q, k, v = self._split(x, name)
        keys = nodes.Where(memory.here, k, memory.keys)
        values = nodes.Where(memory.here, v, memory.values)
        seen = nodes.ScaledDotProductAttention(q, keys, values, memory.seen, name=f"{name}/heads")
        return self._product(JoinHeads(seen), x, "O", name), keys, values

    def _split(self, x: Node, name: str) -> list[Node]:
        return [SplitHeads(self._product(x, x, key, f"{name}/{key}"), self.heads) for key in "QKV"]

    def _product(self, of: Node, x: Node, key: str, name: str) -> Node:
        first = self.output_initializer if key == "O" else self.kernel_initializer
        W = self.parameter_on(x, key, _square, first)
        if not self.bias:
            return nodes.MatMul(of, W, name=name)
        return nodes.Linear(of, W, self.parameter_on(x, f"{key}_b", _last_axis, zeros), name=name)


class Memory(NamedTuple):
    """What a step of attention is given of the places before: keys and values, (n, heads, T, d);
    where its own go, (n, 1, T, 1); and which it may look at, (n, 1, 1, T).
    """

    keys: Node
    values: Node
    here: Node
    seen: Node


class TransformerBlock(Layer):
    """Attention, and then two fully connected layers at each place, each added to what it was
    given, which it sees normalised: x + attention(norm(x)), then x + mlp(norm(x)).

    Args:
        heads: as for `MultiHeadAttention`.
        causal: as for `MultiHeadAttention`.
        mask: as for `MultiHeadAttention`.
        bias: as for `MultiHeadAttention`; without one, norms have no gain either.
        expansion: how many times as wide as the features the hidden layer is; 4 by default.
        activation: after the hidden layer, as for `Dense`; "gelu" by default.
        norm: "rms" (`RMSNorm`), the default, or "layer" (`LayerNorm`).
        dropout: the share of either sum's new part that a training step leaves out; 0 by default.
        seed: the `Seed` that says which; needed where dropout is not 0. None by default.
        depth: how many blocks the network has: what each adds begins smaller, the more there are. 1
            by default.
        name: "block1", ... by default.
        rng: as for `Dense`.

    Raises:
        OptionError: an option does not make sense.
        ShapeError: when it is called: the examples are no sequences, or their features cannot be
            shared evenly.

    Source: A. Vaswani et al., "Attention is all you need", 2017; normalised before each part, as in
    A. Radford et al., "Language models are unsupervised multitask learners", 2019.

    Shapes stay as they are, (n, T, features).

    >>> import miniflow as mf
    >>> block = mf.layers.TransformerBlock(4, causal=True, bias=False)
    >>> block(mf.layers.Input((12, 64))), list(block.parameters)
    (<Add 'block1'>, ['attention/Q', 'attention/K', 'attention/V', 'attention/O', 'W1', 'W2'])
    """

    kind = "block"

    def __init__(
        self,
        heads: int,
        *,
        causal: bool = False,
        mask: Any = None,
        bias: bool = True,
        expansion: int = 4,
        activation: str | NodeFunction = "gelu",
        norm: str = "rms",
        dropout: float = 0.0,
        seed: Node | None = None,
        depth: int = 1,
        name: str | None = None,
        rng: Rng = None,
    ) -> None:
        Layer.__init__(self, name, rng)
        owner = "TransformerBlock"
        self.expansion = whole(owner, "expansion", expansion, least=1)
        self.activation = activation_of(activation)
        self.first_values = initializer_of(initializer_before(activation))
        if not isinstance(norm, str) or norm not in ("rms", "layer"):
            raise OptionError(f"{owner}: norm is 'rms' or 'layer', not {describe(norm)}.")
        self.norm = norm
        self.dropout = number(owner, "dropout", dropout, below=1.0)
        if self.dropout and not isinstance(seed, Node):
            raise OptionError(f"{owner}: dropout={dropout} needs a seed=mf.Seed().")
        self.seed = seed
        self.share = 1 / math.sqrt(2 * whole(owner, "depth", depth, least=1))
        self.attention = MultiHeadAttention(
            heads, causal=causal, mask=mask, bias=bias, output_initializer=self._smaller
        )

    @property
    def trainable(self) -> bool:
        """Whether optimizers move the block's parameters."""
        return self._trainable

    @trainable.setter
    def trainable(self, trainable: bool) -> None:
        self._trainable = flag("TransformerBlock", "trainable", trainable)
        self.attention.trainable = trainable
        for parameter in self.parameters.values():
            parameter.trainable = self._trainable

    def build(self, x: Node, name: str) -> Node:
        attention = self._attention_in(name)
        new = attention.build(self._norm(x, "norm1", name), f"{name}/attention")
        self._take(attention)
        return self._through_mlp(nodes.Add(x, self._dropped(new), name=f"{name}/seen"), name)

    def step(self, x: Node, name: str, memory: Memory) -> tuple[Node, Node, Node]:
        """As `MultiHeadAttention.step`, of the whole block."""
        normed = self._norm(x, "norm1", name)
        new, keys, values = self._attention_in(name).step(normed, f"{name}/attention", memory)
        return self._through_mlp(x + new, name), keys, values

    def _through_mlp(self, x: Node, name: str) -> Node:
        hidden = self._product(self._norm(x, "norm2", name), "1", self._wide, f"{name}/hidden")
        new = self._product(activated(hidden, self.activation), "2", self._narrow, f"{name}/mlp")
        return nodes.Add(x, self._dropped(new), name=name)

    def _attention_in(self, name: str) -> MultiHeadAttention:
        self.attention.name, self.attention.rng = f"{name}/attention", self.generator()
        return self.attention

    def _take(self, attention: MultiHeadAttention) -> None:
        for key, parameter in attention.parameters.items():
            self.parameters.setdefault(f"attention/{key}", parameter)

    def _norm(self, x: Node, key: str, name: str) -> Node:
        gain = (
            self.parameter_on(x, f"{key}/gain", _last_axis, ones) if self.attention.bias else None
        )
        if self.norm == "rms":
            return nodes.RMSNorm(x, gain, name=f"{name}/{key}")
        shift = self.parameter_on(x, f"{key}/shift", _last_axis, zeros)
        if gain is None:
            gain = self.parameter_on(x, f"{key}/gain", _last_axis, ones)
        return nodes.LayerNorm(x, gain, shift, name=f"{name}/{key}")

    def _product(self, x: Node, number: str, shape: Any, name: str) -> Node:
        first = self.first_values if number == "1" else self._smaller
        W = self.parameter_on(x, f"W{number}", shape, first)
        if not self.attention.bias:
            return nodes.MatMul(x, W, name=name)
        b = self.parameter_on(x, f"b{number}", lambda row: shape(row)[-1:], zeros)
        return nodes.Linear(x, W, b, name=name)

    def _wide(self, row: Row) -> tuple[int, ...]:
        return row.shape[-1], self.expansion * row.shape[-1]

    def _narrow(self, row: Row) -> tuple[int, ...]:
        return row.shape[-1], row.shape[-1] // self.expansion

    def _smaller(self, shape: Sequence[int], rng: Any, dtype: Any) -> Any:
        return (self.share * glorot_uniform(shape, rng, dtype)).astype(dtype)

    def _dropped(self, new: Node) -> Node:
        return nodes.Dropout(new, self.seed, self.dropout) if self.dropout else new

    def _state(self) -> list[Any]:
        return [*Layer._state(self), *self.attention._state()]


class TiedDense(Layer):
    """A score for each row of an embedding: X Wᵀ, with the embedding's own W ("weight tying").

    Args:
        embedding: the layer, which has been called before.
        name: "scores1", ... by default.

    Raises:
        OptionError: it is no embedding, or one that has not been called.

    Source: O. Press, L. Wolf, "Using the output embedding to improve language models", 2017.

    >>> import numpy as np, miniflow as mf
    >>> words = mf.layers.Input((12,), name="words", dtype=np.int64)
    >>> embedding = mf.layers.Embedding(1000, 64)
    >>> mf.layers.TiedDense(embedding)(embedding(words))
    <MatMul 'scores1'>
    """

    kind = "scores"

    def __init__(self, embedding: Embedding, *, name: str | None = None) -> None:
        Layer.__init__(self, name)
        if not isinstance(embedding, Embedding):
            raise OptionError(f"TiedDense takes an Embedding, not {embedding!r}.")
        self.embedding = embedding

    def build(self, x: Node, name: str) -> Node:
        W = self.embedding.parameters.get("W")
        if W is None:
            raise OptionError(
                f"{self!r} scores by the rows of {self.embedding!r}, which has none yet: call that "
                "first, embedding(words)."
            )
        return nodes.MatMul(x, nodes.Transpose(W), name=name)


class SplitHeads(Op):
    """(n, T, heads · d) as (n, heads, T, d)."""

    def __init__(self, x: Node, heads: int, *, name: str | None = None) -> None:
        Op.__init__(self, x, name=name)
        self.heads = heads

    def compute(self, x: Any) -> Any:
        n, t, features = x.shape
        return np.transpose(np.reshape(x, (n, t, self.heads, features // self.heads)), (0, 2, 1, 3))

    def gradient(self, grad: Any, x: Any) -> Any:
        return (np.reshape(np.transpose(grad, (0, 2, 1, 3)), x.shape),)


class JoinHeads(Op):
    """(n, heads, T, d) as (n, T, heads · d)."""

    def __init__(self, x: Node, *, name: str | None = None) -> None:
        Op.__init__(self, x, name=name)

    def compute(self, x: Any) -> Any:
        n, heads, t, d = x.shape
        return np.reshape(np.transpose(x, (0, 2, 1, 3)), (n, t, heads * d))

    def gradient(self, grad: Any, x: Any) -> Any:
        n, heads, t, d = x.shape
        return (np.transpose(np.reshape(grad, (n, t, heads, d)), (0, 2, 1, 3)),)


def _last_axis(row: Row) -> tuple[int, ...]:
    return row.shape[-1:]


def _square(row: Row) -> tuple[int, ...]:
    return row.shape[-1], row.shape[-1]
