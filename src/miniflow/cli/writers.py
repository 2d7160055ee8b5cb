"""Networks that write, as the commands see them: what of the options says which, what they read,
and what is said of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from miniflow.cli.runs import NAMES, Options
from miniflow.datasets.alphabet import Alphabet, next_letters
from miniflow.datasets.padding import count_batches, padded
from miniflow.datasets.texts import lines, names
from miniflow.errors import DataError
from miniflow.graph import Input, Node
from miniflow.layers import GPT, CharRNN
from miniflow.nodes import CrossEntropyWithSoftmax
from miniflow.options import OptionError

if TYPE_CHECKING:
    from numpy.typing import NDArray

GPT_NAME = "gpt"
SHAPES = 3  # lengths among the batches
LEAST_CONTEXT, MOST_CONTEXT = 16, 128  # letters that are looked back at
NOT_FOR_TEXT = ("target", "color", "image_size", "augment", "dropout", "init")


class EncodedText(NamedTuple):
    """Lines to learn from: the letters of those for training, how many letters are looked back at,
    and the encoded lines of each set.
    """

    alphabet: Alphabet
    context: int
    train: list[list[int]]
    validation: list[list[int]]
    test: list[list[int]]
    left_out: int  # lines of the other two sets with letters that training has not

    def steps(self, batch_size: int) -> int:
        """Batches of an epoch."""
        return count_batches(np.array([len(line) for line in self.train]), batch_size, SHAPES)


class WritingNetwork(NamedTuple):
    """A network that writes, and its graph: the inputs for letters and for those that come next,
    the scores, and the loss.
    """

    writer: GPT | CharRNN
    letters: Input
    following: Input
    scores: Node
    loss: Node

    def parameter_count(self) -> int:
        return sum(parameter.value.size for parameter in self.writer.parameters.values())

    def __str__(self) -> str:
        writer = self.writer
        if isinstance(writer, GPT):
            return (
                f"{writer.depth} blocks of {writer.heads} heads, {writer.units} wide, "
                f"{writer.context} letters back"
            )
        return f"GRU of {writer.units} units"

    def feed(self, lines: Sequence[Any], rows: int, rng: Any = None) -> Iterator[dict[Node, Any]]:
        """Encoded lines as batches."""
        for values, mask, _ in padded(lines, rows, shapes=SHAPES, rng=rng):
            read, following = next_letters(values, mask)
            yield {self.letters: read, self.following: following}


def read_text(options: Options) -> EncodedText:
    """What the options name as data. Raises DataError where it is no text."""
    for name in NOT_FOR_TEXT:
        if getattr(options, name):
            raise OptionError(
                f"--{name.replace('_', '-')} is not for {options.model}, which learns from text."
            )
    found = names() if options.data == NAMES else lines(options.data)
    alphabet = Alphabet(found.train)
    longest = max(map(len, found.train)) + 1
    context = min(max(longest, LEAST_CONTEXT), MOST_CONTEXT)
    kept = [[line for line in part if alphabet.knows(line)] for part in found]
    if not all(kept):
        raise DataError(
            f"{options.data}: each line has letters of its own; there is nothing to learn from the "
            "others."
        )
    train, validation, test = ([alphabet.encode(line, context) for line in part] for part in kept)
    left_out = sum(map(len, found)) - sum(map(len, kept))
    return EncodedText(alphabet, context, train, validation, test, left_out)


def build_writer(options: Options, text: EncodedText, rng: np.random.Generator) -> WritingNetwork:
    """The network that the options name, for these letters."""
    letters = text.alphabet.letters
    is_gpt = options.model == GPT_NAME
    writer = make_gpt(letters, text.context, rng) if is_gpt else make_rnn(letters, rng)
    read = Input("letters", shape=(text.context,), dtype=np.int64)
    following = Input("following", shape=(text.context,), dtype=np.int64)
    scores = writer(read)
    loss = CrossEntropyWithSoftmax(scores, following, ignore=-1, name="loss")
    return WritingNetwork(writer, read, following, scores, loss)


def make_gpt(letters: str, context: int, rng: np.random.Generator) -> GPT:
    """The transformer that is trained."""
    return GPT(letters, context=context, rng=rng)


def make_rnn(letters: str, rng: np.random.Generator) -> CharRNN:
    """The recurrent network that is trained."""
    return CharRNN(letters, rng=rng)


def in_words(loss: float) -> str:
    """What a loss means.

    >>> in_words(2.0)
    'like guessing among 7.4 letters'
    """
    return f"like guessing among {math.exp(min(loss, 50.0)):.1f} letters"


def attention_of(network: WritingNetwork, line: str) -> list[NDArray[Any]]:
    """How much each letter of a line (0, its beginning, first) looks at each: of every block, an
    array (heads, T, T).
    """
    from miniflow import interpreter
    from miniflow.graph.plans import ancestors_in_order
    from miniflow.nodes import ScaledDotProductAttention

    alphabet = Alphabet(network.writer.letters)
    read = np.array([alphabet.encode(line)[:-1]])
    found = [
        node
        for node in ancestors_in_order(network.scores)
        if isinstance(node, ScaledDotProductAttention)
    ]
    if not found:
        return []
    sources = [source for node in found for source in node.inbound_nodes[:2]]
    values = interpreter.value(sources, {network.letters: read})
    pairs = zip(found, values[::2], values[1::2], strict=True)
    return [node.weights(q, k)[0] for node, q, k in pairs]
