"""What an exported file says of itself: inputs, outputs, what their numbers mean, who wrote it."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from miniflow import __version__
from miniflow.compiler.compiled import Compiled
from miniflow.errors import printable
from miniflow.ir.dtypes import DTYPES
from miniflow.ir.program import Input
from miniflow.models import Model
from miniflow.models.notes import class_names_in

PIXELS = "pixels from 0 to 1"


class Told(NamedTuple):
    """An input or an output: its name, its shape (None for the number of rows), its dtype, and what
    its numbers mean.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: str
    about: str

    def __str__(self) -> str:
        """In words.

        >>> print(Told("X", (None, 784), "float32", PIXELS))
        X: float32 (n, 784), pixels from 0 to 1
        """
        shape = ", ".join("n" if size is None else str(size) for size in self.shape)
        comma = "," if len(self.shape) == 1 else ""
        text = f"{self.name}: {self.dtype} ({shape}{comma})"
        return f"{text}, {self.about}" if self.about else text


class ModelFacts(NamedTuple):
    """What is said of a model."""

    inputs: list[Told]
    outputs: list[Told]
    class_names: list[str] | None

    def called(self, inputs: Sequence[str], outputs: Sequence[str]) -> "ModelFacts":
        """The same, of a file in which inputs and outputs have these names."""
        renamed = [
            [entry._replace(name=name) for entry, name in zip(entries, names, strict=True)]
            for entries, names in ((self.inputs, inputs), (self.outputs, outputs))
        ]
        return ModelFacts(renamed[0], renamed[1], self.class_names)

    def text(self) -> str:
        """All of it, a line each."""
        names = [f"classes: {', '.join(self.class_names)}"] if self.class_names else []
        return "\n".join([_text("A model", self.inputs, self.outputs), *names])

    def metadata(self) -> dict[str, str]:
        """All of it as texts by name; of what is not text, JSON."""
        told: dict[str, Any] = {"inputs": list_of(self.inputs), "outputs": list_of(self.outputs)}
        if self.class_names:
            told["class_names"] = self.class_names
        texts = {key: json.dumps(value, ensure_ascii=False) for key, value in told.items()}
        return {"miniflow": __version__, "kind": "model", **texts}


def list_of(entries: Sequence[Told]) -> list[dict[str, Any]]:
    """Entries as JSON has them."""
    return [entry._asdict() for entry in entries]


def facts_of(model: Model, batch: int | None = None) -> ModelFacts:
    """What is said of a model, written for that many rows; for None, for any number."""
    notes = model.notes
    pixels = notes.get("pixels")
    inputs = [
        Told(
            printable(entry.name),
            tuple(batch if size is None else size for size in entry.shape),
            str(entry.dtype),
            PIXELS if isinstance(pixels, list) and entry.name in pixels else "",
        )
        for entry in model.inputs
    ]
    return ModelFacts(inputs, [_output_of(model, batch)], class_names_in(notes, model.outputs))


def _output_of(model: Model, batch: int | None) -> Told:
    one, two = (model.program_for(batch or n).outputs[0] for n in (1, 2))
    pairs = zip(one.operand.shape, two.operand.shape, strict=True)
    shape = tuple(a if a == b else None for a, b in pairs)
    is_regression = model.notes.get("task") == "regression"
    about = "the prediction" if is_regression else ""
    if not is_regression and class_names_in(model.notes, model.outputs):
        about = "a score for each class; the largest is the answer"
    return Told(printable(one.name or "output"), shape, str(DTYPES[one.operand.dtype]), about)


def about_input(step: Compiled, entry: Input, roles: Mapping[str, str]) -> str:
    """What is said of an input of a step: its role, or, of pixels that are fed, that it is that."""
    owner = step._order[entry.origin.index] if entry.origin is not None else None
    if entry.role == "fed" and owner is not None and owner._is_fed_pixels:
        return PIXELS
    return roles[entry.role]


def _text(what: str, inputs: Sequence[Told], outputs: Sequence[Told]) -> str:
    return "\n".join(
        [
            f"{what}, written by miniflow {__version__}.",
            *(f"input {entry}" for entry in inputs),
            *(f"output {entry}" for entry in outputs),
        ]
    )


def text_of_step(inputs: Sequence[Told], outputs: Sequence[Told]) -> str:
    """What is said of a training step, a line each."""
    return _text("A training step", inputs, outputs)


def metadata_of_step(
    inputs: Sequence[Told], outputs: Sequence[Told], state: Mapping[str, str]
) -> dict[str, str]:
    """What is said of a training step; `state` says which output is the next value of an input."""
    return {
        "miniflow": __version__,
        "kind": "training step",
        "inputs": json.dumps(list_of(inputs), ensure_ascii=False),
        "outputs": json.dumps(list_of(outputs), ensure_ascii=False),
        "state": json.dumps(dict(state), ensure_ascii=False),
    }
