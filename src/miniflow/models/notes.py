"""What a model file's notes say of its numbers, for whoever knows to ask; they may be anybody's.

task            "regression": the outputs are the predictions; else they are scores of classes
is_column       true: of (n, 1) outputs, (n,) predictions are made
class_names     a name for each class
feature_names   the columns of a table that the model was fitted to
pixels          the names of the inputs that hold pixels from 0 to 1: bytes become such
"""

import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from miniflow.errors import FeedError, NotFiniteError, printable, shown
from miniflow.graph import Node
from miniflow.graph.pixels import PixelWarning, as_fractions
from miniflow.graph.places import users_level


def predictions_of(output: Any, notes: Mapping[str, Any]) -> Any:
    """What a model predicts, given what it computed: classes, or the numbers themselves.

    >>> predictions_of(np.array([[0.25], [-1.0]]), {})
    array([1, 0])
    >>> predictions_of(np.array([[0.25], [-1.0]]), {"task": "regression", "is_column": True})
    array([ 0.25, -1.  ])
    """
    output = np.asarray(output)
    _check_is_an_answer(output)
    if notes.get("task") == "regression":
        is_column = notes.get("is_column") is True and output.ndim == 2 and output.shape[1] == 1
        return output[:, 0] if is_column else output
    if output.ndim > 1 and output.shape[-1] != 1:
        return output.argmax(axis=-1)
    positive = output > 0 if output.ndim < 2 else output[..., 0] > 0
    names = notes.get("class_names")
    if isinstance(names, list) and len(names) == 1:  # of one class there is nothing to tell
        positive = np.zeros_like(positive)
    return positive.astype(int) if output.ndim else int(positive)


def _check_is_an_answer(output: Any) -> None:
    """Raise NotFiniteError if a score is NaN: the largest of such scores is no class."""
    nan = np.isnan(output)
    if not nan.any():
        return
    where = ""
    if output.ndim:
        rows = np.flatnonzero(nan.reshape(len(nan), -1).any(axis=1))
        where = f" in {len(rows):,} of {len(output):,} rows, the first is row {rows[0]}"
    raise NotFiniteError(
        f"What the model computes is NaN{where}. That is no answer: what it is given has a NaN, or "
        "the training of the model diverged."
    )


def names_of_pixels(inputs: Iterable[Node]) -> list[str]:
    """The names, in a model, of those of its inputs that `fit` has fed from a data set of bytes."""
    return [node.name or "input" for node in inputs if node._is_fed_pixels]


def in_unit(array: Any, name: str, notes: Mapping[str, Any]) -> Any:
    """An array for an input that holds fractions: bytes as pixels, where the notes say so.

    Warns of bytes where they do not, and of numbers beyond 1 where they do.
    """
    pixels, is_bytes = notes.get("pixels"), array.dtype == np.uint8
    if isinstance(pixels, list) and name in pixels:
        if is_bytes:
            return as_fractions(array)
        if array.size and np.max(array) > BRIGHTEST:
            warnings.warn(
                f"Input '{name}' of the model holds pixels from 0 to 1, and was given numbers up "
                f"to {np.max(array):g}: give it bytes (uint8), or divide them by 255.",
                PixelWarning,
                stacklevel=users_level(),
            )
    elif is_bytes:
        warnings.warn(
            f"Input '{name}' of the model was given bytes (uint8), and its file does not say that "
            "they are pixels: they count as numbers from 0 to 255. If they are pixels, divide them "
            "by 255; if not, cast them: x.astype(np.float32).",
            PixelWarning,
            stacklevel=users_level(),
        )
    return array


BRIGHTEST = 2.0  # a pixel that is sharpened or varied may go a little beyond 1


def check_columns(given: Any, notes: Mapping[str, Any]) -> None:
    """Raise FeedError if this is a table with other columns than the model was fitted to, or in
    another order; arrays have no names, and are taken as they are.
    """
    names, columns = notes.get("feature_names"), getattr(given, "columns", None)
    if not isinstance(names, list) or columns is None:
        return
    found = [str(column) for column in columns]
    if found == names:
        return
    missing = [name for name in names if name not in found]
    unknown = [name for name in found if name not in names]
    if missing or unknown:
        told = [f"lacks {shown(', '.join(missing))}"] * bool(missing)
        told += [f"has {shown(', '.join(unknown))} besides"] * bool(unknown)
        what = " and ".join(told)
    else:
        what = f"has them as {shown(', '.join(found))}"
    raise FeedError(
        f"The model was fitted to a table with the columns {shown(', '.join(map(str, names)))}, in "
        f"this order; the one that it was given {what}."
    )


def class_names_in(notes: Mapping[str, Any], classes: int) -> list[str] | None:
    r"""The names of the classes, if the notes have one for each; as `printable` writes them.

    >>> class_names_in({"class_names": ["cat", "dog" + chr(27)]}, 2), class_names_in({}, 2)
    (['cat', 'dog\\x1b'], None)
    """
    names = notes.get("class_names")
    if not isinstance(names, list) or len(names) != classes:
        return None
    if not all(isinstance(name, str) for name in names):
        return None
    return [printable(name) for name in names]
