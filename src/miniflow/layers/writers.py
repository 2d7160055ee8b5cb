"""Networks that write: given the letters of a line so far, a score for each that may come next.

`GPT` looks back at all of them, `CharRNN` remembers what it has read. Both are layers: called on
the numbers of letters, (n, T), they give scores, (n, T, letters + 1). Number 0 stands at the
beginning and at the end of each line, number i for the i-th of the letters.

Both have a second form, `steps`, which `mf.generate` runs: the same parameters in a graph of one
letter of each line, which finds what it needs of those before in `State`s, or is fed it.
"""

from typing import Any

import numpy as np

from miniflow import nodes
from miniflow.errors import ShapeError
from miniflow.graph import Constant, Input, Node, Op, Parameter, State
from miniflow.graph.values import describe
from miniflow.initializers import glorot_uniform
from miniflow.layers.attending import Memory, TiedDense, TransformerBlock
from miniflow.layers.base import Layer, Rng
from miniflow.layers.named import NodeFunction
from miniflow.layers.recurrent import GRU
from miniflow.layers.weighted import Embedding
from miniflow.models.generating import Steps
from miniflow.options import OptionError, flag, whole


class _Writer(Layer):
    """What the two share: letters, an embedding of them, and scores."""

    context: int | None = None

    def __init__(self, letters: str, units: int, tied: bool, name: str | None, rng: Rng) -> None:
        Layer.__init__(self, name, rng)
        owner = type(self).__name__
        if not isinstance(letters, str) or not letters or len(set(letters)) < len(letters):
            raise OptionError(
                f"{owner}: letters is a text with each letter once, 'abc...', not "
                f"{describe(letters)}."
            )
        self.letters = letters
        self.units = whole(owner, "units", units, least=1)
        self.tied = flag(owner, "tied", tied)
        self.embedding = Embedding(len(letters) + 1, self.units)

    @property
    def inner(self) -> dict[str, Layer]:
        """The layers that it is made of, by the names of their parts."""
        return {"letters": self.embedding}

    @property
    def trainable(self) -> bool:
        """Whether optimizers move the network's parameters."""
        return self._trainable

    @trainable.setter
    def trainable(self, trainable: bool) -> None:
        self._trainable = flag(type(self).__name__, "trainable", trainable)
        for layer in self.inner.values():
            layer.trainable = self._trainable
        for parameter in self.parameters.values():
            parameter.trainable = self._trainable

    def build(self, x: Node, name: str) -> Node:
        for part, layer in self.inner.items():
            layer.name, layer.rng = part, self.generator()
        scores = self._scores(self._read(self._through(self.embedding, x)))
        for part, layer in self.inner.items():
            for key, parameter in layer.parameters.items():
                self.parameters.setdefault(f"{part}/{key}", parameter)
        return scores

    def scores(self, letters: Node) -> Node:
        """The scores after each letter of whole lines."""
        return self(letters)

    def _through(self, layer: Layer, x: Node) -> Node:
        return layer.build(x, str(layer.name))

    def _read(self, x: Node) -> Node:
        """What is found at each place, from what its letter is."""
        raise NotImplementedError

    def _scores(self, x: Node) -> Node:
        if self.tied:
            return TiedDense(self.embedding).build(x, "scores")
        W = self.parameter_on(x, "scores", self._shape_of_scores, glorot_uniform)
        W.name = "scores/W"
        return nodes.MatMul(x, W, name="scores")

    def _shape_of_scores(self, row: Any) -> tuple[int, ...]:
        return row.shape[-1], len(self.letters) + 1

    def _built(self) -> None:
        """See that there are parameters."""
        if not self.parameters:
            self(Input("letters", shape=(self.context or 2,), dtype=np.int64))

    def _state(self) -> list[Any]:
        inner = [entry for layer in self.inner.values() for entry in layer._state()]
        return [*Layer._state(self), *inner]


class GPT(_Writer):
    """A transformer that writes, in the manner of GPT: the letters and their places as rows of
    numbers, blocks of causal attention and full connections, and scores for the next letter.

    Args:
        letters: the letters that it knows, each once.
        context: how many letters it looks back at, the beginning among them; 16 by default.
        units: numbers at each place; 64 by default.
        heads: of the attention, which share them evenly; 4 by default.
        depth: how many blocks; 4 by default.
        activation: in the blocks, as for `Dense`; "relu" by default.
        tied: whether the scores are by the rows of the embedding; False by default.
        name: "gpt1", ... by default.
        rng: as for `Dense`.

    Products have no bias and norms no gain. It is called on whole numbers of shape (n, T), T at
    most `context`.

    Raises:
        OptionError: an option does not make sense.

    Source: A. Radford et al., "Improving language understanding by generative pre-training", 2018;
    smaller and plainer, as A. Karpathy's microgpt, 2026.

    >>> import numpy as np, miniflow as mf
    >>> gpt = mf.layers.GPT("abcdefghijklmnopqrstuvwxyz", rng=0)
    >>> scores = gpt(mf.Input("letters", shape=(16,), dtype=np.int64))
    >>> scores, sum(W.value.size for W in gpt.parameters.values())
    (<MatMul 'scores'>, 201088)
    """

    kind = "gpt"

    def __init__(
        self,
        letters: str,
        *,
        context: int = 16,
        units: int = 64,
        heads: int = 4,
        depth: int = 4,
        activation: str | NodeFunction = "relu",
        tied: bool = False,
        name: str | None = None,
        rng: Rng = None,
    ) -> None:
        _Writer.__init__(self, letters, units, tied, name, rng)
        self.context: int = whole("GPT", "context", context, least=1)
        self.depth = whole("GPT", "depth", depth, least=1)
        self.heads = whole("GPT", "heads", heads, least=1)
        if self.units % self.heads:
            raise OptionError(
                f"GPT: {self.heads} heads cannot share {self.units} units evenly: take a multiple."
            )
        self.blocks = [
            TransformerBlock(
                heads, causal=True, bias=False, activation=activation, depth=self.depth
            )
            for _ in range(self.depth)
        ]

    @property
    def inner(self) -> dict[str, Layer]:
        return {
            "letters": self.embedding,
            **{f"block{i}": block for i, block in enumerate(self.blocks, 1)},
        }

    def _read(self, x: Node) -> Node:
        x = nodes.Add(x, FirstRows(self._places(), x), name="read")
        for block in self.blocks:
            x = self._through(block, x)
        return nodes.RMSNorm(x, name="norm")

    def _places(self) -> Parameter:
        places = self.parameter("places/W", (self.context, self.units), _small_rows, np.float32)
        places.name = "places/W"
        return places

    def steps(self, rows: int | None) -> Steps:
        """The same network, reading one letter of each line: of so many, with `State`s for keys and
        values; of any number, with inputs for them, if None.
        """
        self._built()
        letter, place = (Input(name, shape=(), dtype=np.int64) for name in ("letter", "place"))
        every = Constant(np.arange(self.context), "every place")
        now = nodes.Reshape(place, (-1, 1))
        here = nodes.Reshape(nodes.Equal(every, now), (-1, 1, self.context, 1))
        seen = nodes.Reshape(nodes.LessEqual(every, now), (-1, 1, 1, self.context))
        x: Node = nodes.Embedding(letter, self.embedding.parameters["W"])
        x = nodes.Reshape(x + nodes.Embedding(place, self._places()), (-1, 1, self.units))
        shape = self.heads, self.context, self.units // self.heads
        memory: dict[str, tuple[Node, Node]] = {}
        for i, block in enumerate(self.blocks, 1):
            kept = [_memory(f"block{i}/{what}", shape, rows) for what in ("keys", "values")]
            x, *new = block.step(x, f"block{i}", Memory(kept[0], kept[1], here, seen))
            memory |= {str(a.name): (a, b) for a, b in zip(kept, new, strict=True)}
        x = nodes.Reshape(nodes.RMSNorm(x), (-1, self.units))
        return Steps(letter, place, _setting(self._scores(x), memory), memory)


class CharRNN(_Writer):
    """A recurrent network that writes: the letters as rows of numbers, a `GRU`, and scores for the
    next letter.

    Args:
        letters: the letters that it knows, each once.
        units: numbers in a state, and in the row of a letter; 128 by default.
        depth: how many levels the GRU has; 1 by default.
        tied: whether the scores are by the rows of the embedding; False by default.
        name: "char-rnn1", ... by default.
        rng: as for `Dense`.

    It is called on whole numbers of shape (n, T), however long.

    Raises:
        OptionError: an option does not make sense.

    Source: A. Karpathy, "The unreasonable effectiveness of recurrent neural networks", 2015.

    >>> import numpy as np, miniflow as mf
    >>> rnn = mf.layers.CharRNN("abc", units=8)
    >>> rnn(mf.Input("letters", shape=(16,), dtype=np.int64)), list(rnn.parameters)
    (<MatMul 'scores'>, ['scores', 'letters/W', 'gru/W', 'gru/b', 'gru/recurrent_b', 'gru/U'])
    """

    kind = "char-rnn"

    def __init__(
        self,
        letters: str,
        *,
        units: int = 128,
        depth: int = 1,
        tied: bool = False,
        name: str | None = None,
        rng: Rng = None,
    ) -> None:
        _Writer.__init__(self, letters, units, tied, name, rng)
        self.depth = whole("CharRNN", "depth", depth, least=1)
        self.gru = GRU(units, return_sequences=True, depth=self.depth)

    @property
    def inner(self) -> dict[str, Layer]:
        return {"letters": self.embedding, "gru": self.gru}

    def _read(self, x: Node) -> Node:
        return self._through(self.gru, x)

    def steps(self, rows: int | None) -> Steps:
        """The same network, reading one letter of each line, as `GPT.steps`: the memory are the
        states of the GRU.
        """
        self._built()
        letter = Input("letter", shape=(), dtype=np.int64)
        x: Node = nodes.Embedding(letter, self.embedding.parameters["W"])
        memory: dict[str, tuple[Node, Node]] = {}
        for level in range(self.depth):
            kept = _memory(f"state{level + 1}", (self.units,), rows)
            key = self.gru.key(level)
            x = self.gru.step(kept, self.gru.project(x, key), key)
            memory[str(kept.name)] = kept, x
        return Steps(letter, None, _setting(self._scores(x), memory), memory)


def _memory(name: str, shape: tuple[int, ...], rows: int | None) -> Node:
    if rows is None:
        return Input(name, shape=shape, dtype=np.float32)
    return State(np.zeros((rows, *shape), np.float32), name)


def _setting(scores: Node, memory: dict[str, tuple[Node, Node]]) -> Node:
    """The scores, by way of what sets the states, if these are any."""
    for kept, new in memory.values():
        if isinstance(kept, State):
            scores = nodes.SetState(kept, new, then=scores)
    return scores


class FirstRows(Op):
    """The first rows of a table, (k, d): as many as x, (n, T, d), has places."""

    def __init__(self, table: Node, x: Node, *, name: str | None = None) -> None:
        Op.__init__(self, table, x, name=name)

    def compute(self, table: Any, x: Any) -> Any:
        if x.shape[1] > table.shape[0]:
            raise ShapeError(
                f"{self}: lines of {x.shape[1]} letters were fed, and the network looks back at "
                f"{table.shape[0]}: cut them, or build it with context={x.shape[1]}."
            )
        return table[: x.shape[1]]

    def gradient(self, grad: Any, table: Any, x: Any) -> Any:
        dtable = np.zeros(table.shape, table.dtype)
        dtable[: x.shape[1]] = grad
        return dtable, None


def _small_rows(shape: Any, rng: np.random.Generator, dtype: Any) -> Any:
    return rng.normal(0.0, 0.02, shape).astype(dtype)
