"""A network writes: letter after letter, each drawn from the scores that it gives those before.

What is asked for the scores is a `Reader`, of which there are three. `_StepReader` and
`_FileReader` read a letter at a time and keep what the network needs of those before, in `State`s
of a graph or in arrays beside a model file, so that a letter costs a letter; `_WholeReader` reads
the whole line anew for each, which any network can, and by which the other two are tested.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from miniflow.compiler import compile as compile_
from miniflow.errors import GraphError, NotFiniteError, ShapeError, shown
from miniflow.files.arrays import Path
from miniflow.graph import Input, Node
from miniflow.graph.plans import ancestors_in_order
from miniflow.graph.values import describe
from miniflow.interpreter.feeding import is_input
from miniflow.models.model import Model
from miniflow.models.saving import save
from miniflow.options import OptionError, flag, generator, number, whole

MOST_LETTERS = 200  # of a line, where the network sets no limit
NEXT = " next"  # what the name of a memory's output ends in, in a model file


class Steps(NamedTuple):
    """A graph that reads a letter of each of n lines.

    letter: its input, (n,) whole numbers. place: the input for the place of that in the line, (n,),
    or None, if the network does not ask for it. scores: (n, letters + 1). memory: name → what it
    reads of the letters before, a `State` or an input, and the node of what is kept for the next.
    """

    letter: Input
    place: Input | None
    scores: Node
    memory: dict[str, tuple[Node, Node]]


class Writer(Protocol):
    """A network that can be read with a letter at a time: `layers.GPT`, `layers.CharRNN`."""

    @property
    def letters(self) -> str:
        """What it knows; number 0 stands at the ends of a line, 1 is the first of these."""

    @property
    def context(self) -> int | None:
        """How many letters it looks back at; None: at all."""

    def steps(self, rows: int | None) -> Steps:
        """For so many lines, with `State`s; for any number, with inputs for the memory, if None."""

    def scores(self, letters: Node) -> Node:
        """The scores after each letter of whole lines, (n, T, letters + 1)."""


class Reader(Protocol):
    """Reads lines, and scores what may come next."""

    def read(self, lines: NDArray[Any], place: int) -> Any:
        """The scores after the letter at that place of each line; those before have been read."""


def generate(
    model: Any,
    prompt: str = "",
    n: int = 1,
    temperature: float = 1.0,
    top_k: int | None = None,
    rng: np.random.Generator | int | None = None,
    *,
    letters: str | None = None,
    length: int | None = None,
    cache: bool = True,
    backend: str = "auto",
) -> list[str]:
    """Lines that a network writes.

    Args:
        model: `layers.GPT` or `layers.CharRNN`, a model file that `miniflow train --model gpt`
            wrote, loaded; or any node of scores, (n, T, letters + 1), whose one input is fed the
            numbers of letters, (n, T): 0 at the beginning of a line, i for the i-th of `letters`.
        prompt: what each line begins with; "" by default.
        n: how many lines are written; 1 by default.
        temperature: what scores are divided by before a letter is drawn from their softmax: near 0
            always the likeliest is written, above 1 letters are more evenly likely. 1.0 by default.
        top_k: draw from the k likeliest letters alone; None by default: from all.
        rng: a generator or a seed; None by default: it differs each time. The first lines do not
            depend on how many are written.
        letters: of a node, what its numbers stand for; None by default.
        length: the most letters of a line, the prompt's among them; by default as many as the
            network can look back to, or 200.
        cache: whether what the network has found for the letters before is kept (keys and values,
            or the state), so that a letter costs a letter; True by default. The lines are the same
            without it. A node reads the whole line for each.
        backend: as for `mf.compile`.

    Returns:
        n lines, without their ends.

    Raises:
        OptionError: the prompt has a letter that the network does not know, or is too long; the
            model writes nothing; an option does not make sense.
        GraphError: a node has more than one input, or none.
        ShapeError: a node gives no scores for each letter.
        NotFiniteError: the likeliest letter's score is NaN or infinite.

    >>> import numpy as np, miniflow as mf
    >>> ids = mf.Input("ids", shape=(4,), dtype=np.int64)
    >>> follows = 50 * np.eye(4)[[1, 2, 3, 0]]  # a after the beginning, then b, c and the end
    >>> mf.generate(mf.Embedding(ids, follows), "a", 2, letters="abc", rng=0)
    ['abc', 'abc']
    """
    known, context, make = _find_reader(model, letters, flag("generate", "cache", cache), backend)
    n = whole("generate", "n", n, least=1)
    temperature = number("generate", "temperature", temperature)
    if top_k is not None:
        top_k = min(whole("generate", "top_k", top_k, least=1), len(known) + 1)
    draw = generator("generate", rng)
    begin = numbers_of(prompt, known)
    most = (
        (context if context is not None else max(MOST_LETTERS, len(begin)))
        if length is None
        else (whole("generate", "length", length, least=1))
    )
    if context is not None and most > context:
        raise OptionError(
            f"generate: length is {most}, and the network looks back at {context} letters at most."
        )
    if len(begin) > most:
        raise OptionError(
            f"generate: the prompt has {len(begin)} letters, and a line has {most} at most."
        )
    lines = np.zeros((n, most + 1), np.int64)
    lines[:, 1 : len(begin) + 1] = begin
    chances = draw.random((n, most))
    reader = make(n)
    for place in range(most):
        scores = np.asarray(reader.read(lines, place), np.float64)
        if place >= len(begin):
            goes_on = (lines[:, place] != 0) | (place == 0)
            drawn = _drawn(scores[goes_on], chances[goes_on, place], temperature, top_k)
            lines[goes_on, place + 1] = drawn
            if not lines[:, place + 1].any():
                break
    return ["".join(known[i - 1] for i in line[1 : _end_of(line)]) for line in lines]


def save_writer(model: Writer, path: Path, notes: Mapping[str, Any] | None = None) -> None:
    """Write a network that writes to a model file, which `generate` takes when it is loaded: the
    program that reads a letter at a time. Its outputs are "scores" and what it keeps for the next
    letter, which it takes as inputs.

    Args:
        model: `layers.GPT` or `layers.CharRNN`.
        path: the file.
        notes: what else to keep in it; None by default.

    Raises what `mf.save` does.
    """
    steps = model.steps(None)
    outputs = [steps.scores]
    for kept, new in steps.memory.values():
        new.name = f"{kept.name}{NEXT}"
        outputs.append(new)
    inputs = [steps.letter, *([steps.place] if steps.place is not None else [])]
    inputs += [kept for kept, _ in steps.memory.values()]  # type: ignore[misc]
    examples: dict[Node, Any] = {}
    for node in inputs:
        row = node._row
        assert row is not None, "steps say what they are fed"
        examples[node] = np.zeros((1, *row.shape), row.dtype)
    about = {"letters": model.letters, "context": model.context}
    save(outputs, path, inputs=examples, notes={**(notes or {}), "writer": about})


def numbers_of(text: Any, letters: str) -> list[int]:
    """The numbers of the letters of a text, from 1 on.

    Raises OptionError where it has others.

    >>> numbers_of("cab", "abc")
    [3, 1, 2]
    """
    if not isinstance(text, str):
        raise OptionError(f"generate: the prompt is text, not {describe(text)}.")
    unknown = sorted(set(text) - set(letters))
    if unknown:
        raise OptionError(
            f"generate: the prompt {shown(text, 40)!r} has {shown(unknown[0])!r}, which the "
            f"network never saw in training: it knows {shown(letters, 100)}."
        )
    return [letters.index(letter) + 1 for letter in text]


def _end_of(line: NDArray[Any]) -> int:
    ends = np.flatnonzero(line[1:] == 0)
    return 1 + int(ends[0]) if len(ends) else len(line)


def _drawn(
    scores: NDArray[Any], chances: NDArray[Any], temperature: float, top_k: int | None
) -> NDArray[Any]:
    """A number for each row of scores, drawn by a number in [0, 1) each."""
    largest = scores.max(axis=1, keepdims=True)
    if not np.isfinite(largest).all():
        raise NotFiniteError(
            f"generate: the network scores a letter {largest[~np.isfinite(largest)][0]}: a letter "
            "is drawn by numbers that are finite; look at its parameters."
        )
    if temperature == 0:
        likeliest: NDArray[Any] = scores.argmax(axis=1)
        return likeliest
    with np.errstate(over="ignore"):
        powers = np.exp((scores - largest) / temperature)
    if top_k is not None:
        order = np.argsort(-scores, axis=1, kind="stable")[:, top_k:]
        np.put_along_axis(powers, order, 0.0, axis=1)
    reached = np.cumsum(powers, axis=1)
    drawn = np.sum(reached <= chances[:, None] * reached[:, -1:], axis=1)
    last = scores.shape[1] - 1 - np.argmax(powers[:, ::-1] > 0, axis=1)  # rounding goes no further
    found: NDArray[Any] = np.minimum(drawn, last)
    return found


def _find_reader(
    model: Any, letters: Any, cache: bool, backend: str
) -> tuple[str, int | None, Any]:
    """What a model's numbers stand for, how far it looks back, and how it is read."""
    if isinstance(model, Model):
        kept = model.notes.get("writer")
        if not isinstance(kept, Mapping) or not isinstance(kept.get("letters"), str):
            raise OptionError("generate: this model writes nothing: it was not trained on letters.")
        context = kept.get("context")
        context = context if type(context) is int and context > 0 else None
        return kept["letters"], context, lambda n: _FileReader(model, n)
    if isinstance(model, Node):
        if not isinstance(letters, str) or not letters:
            raise OptionError(
                "generate: say what the numbers that a node reads stand for, letters='abc...': 0 "
                "is the beginning and the end, 1 the first of them."
            )
        source = _input_of(model)
        row = source._row
        context = row.shape[0] if row is not None and row.shape else None
        return letters, context, lambda n: _WholeReader(model, source, context, backend)
    if not callable(getattr(model, "steps", None)):
        raise OptionError(
            "generate: model is layers.GPT, layers.CharRNN, a loaded model file of one, or a node "
            f"of scores, not {describe(model)}."
        )
    if cache:
        return model.letters, model.context, lambda n: _StepReader(model, n, backend)
    source = Input("letters", shape=(model.context or MOST_LETTERS,), dtype=np.int64)
    whole_lines = model.scores(source)
    return (
        model.letters,
        model.context,
        lambda n: _WholeReader(whole_lines, source, model.context, backend),
    )


def _input_of(node: Node) -> Node:
    inputs = [one for one in ancestors_in_order(node) if is_input(one)]
    inputs = [one for one in inputs if not one.wants_a_seed]
    if len(inputs) != 1:
        raise GraphError(
            f"generate: {node} has {len(inputs)} inputs ({', '.join(map(str, inputs))}); what "
            "writes has one, for the numbers of letters."
        )
    return inputs[0]


class _StepReader:
    """Reads a letter at a time; what is kept of those before is in `State`s."""

    def __init__(self, model: Any, rows: int, backend: str) -> None:
        kept = model.__dict__.setdefault("_readers", {})
        if (rows, backend) not in kept:
            kept.clear()  # one at a time: the memory of many lines is large
            steps = model.steps(rows)
            kept[rows, backend] = steps, compile_(steps.scores, backend=backend)
        self._steps, self._run = kept[rows, backend]
        for state, _ in self._steps.memory.values():
            state.value = np.zeros_like(state.value)

    def read(self, lines: NDArray[Any], place: int) -> Any:
        feed = {self._steps.letter: lines[:, place]}
        if self._steps.place is not None:
            feed[self._steps.place] = np.full(len(lines), place)
        return self._run(feed)


class _FileReader:
    """Reads a letter at a time with a model file: what is kept are its other outputs."""

    def __init__(self, model: Model, rows: int) -> None:
        self._model = model
        names = [entry.name for entry in model.inputs]
        outputs = set(model.output_names or ())
        if "letter" not in names or not {name + NEXT for name in names} - outputs <= {
            "letter" + NEXT,
            "place" + NEXT,
        }:
            raise OptionError("generate: this model's file does not read a letter at a time.")
        self._kept = {
            entry.name: np.zeros([size or rows for size in entry.shape], entry.dtype)
            for entry in model.inputs
            if entry.name not in ("letter", "place")
        }

    def read(self, lines: NDArray[Any], place: int) -> Any:
        at = {"letter": lines[:, place], "place": np.full(len(lines), place)}
        given = [at.get(e.name, self._kept.get(e.name)) for e in self._model.inputs]
        found = self._model(*given)
        self._kept = {name: found[name + NEXT] for name in self._kept}
        return found["scores"]


class _WholeReader:
    """Reads the whole line for each letter."""

    def __init__(self, scores: Node, source: Node, context: int | None, backend: str) -> None:
        self._source, self._context = source, context
        self._run = compile_(scores, backend=backend)

    def read(self, lines: NDArray[Any], place: int) -> Any:
        length = lines.shape[1] - 1 if self._context is None else self._context
        padded = np.zeros((len(lines), length), np.int64)
        padded[:, : place + 1] = lines[:, : place + 1]
        found = np.asarray(self._run({self._source: padded}))
        if found.ndim != 3 or found.shape[:2] != padded.shape:
            raise ShapeError(
                f"generate: of letters of shape {padded.shape} come scores of shape {found.shape}; "
                "for each letter there is a row of scores, (n, T, letters + 1)."
            )
        return found[:, place]
