"""The page on which one draws a digit and sees what a network makes of it: one file, no network.

- `facts` says what can be known of the values of a forward program, whoever wrote the nodes;
- `layers` finds with that what there is to be shown: layers, their weights, feature maps;
- `programs` records what the page computes, from the NumPy that defines it;
- `document` puts programs, arrays and the static parts together, `static/` has these: a template, a
  style sheet, and scripts that draw and show, and compute nothing that Python defines.
"""

import math
import os
from pathlib import Path

from miniflow.digit_page.document import digit_document, digit_fragment
from miniflow.errors import DataError, printable
from miniflow.files.atomic import write_text
from miniflow.models import Model, load

__all__ = ["check_reads_digits", "digit_fragment", "page"]


def page(
    model: Model | str | os.PathLike[str],
    path: str | os.PathLike[str],
    title: str | None = None,
) -> None:
    """Write a page on which one draws a digit and sees what a network makes of it.

    It shows the answer live, what the network sees, its hidden layers, and which pixels speak for
    the answer and which against it. The file holds the network, the program that computes it in
    JavaScript, and all else that it needs: it works from disk, and on a phone without network.

    Args:
        model: a model of 28 × 28 pixels, or a file that `save` wrote; anybody's nodes.
        path: the file, replaced in one step; `.html` is the usual ending.
        title: the page's heading; by default "Draw a digit" and the model file's name.

    Raises:
        DataError: the model takes something else than 28 × 28 numbers, or gives no classes.
        ModelFileError: the file is damaged or no model file.
        OSError: a file cannot be opened or written.

    >>> import pathlib, tempfile, numpy as np, miniflow as mf
    >>> from miniflow.layers.networks import build
    >>> network = build((784, 10))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder, "digits.safetensors")
    ...     mf.save(network.logits, file, inputs={network.X: np.zeros((1, 784), np.float32)})
    ...     page(file, pathlib.Path(folder, "digits.html"))
    ...     pathlib.Path(folder, "digits.html").read_text(encoding="utf-8")[:15]
    '<!doctype html>'
    """
    if isinstance(model, Model):
        name = "The model"
    else:
        name = os.fspath(model)
        stem = printable(Path(name).stem)
        title = title if title is not None else f"Draw a digit · {stem}"
        model = load(name)
    check_reads_digits(model, name)
    write_text(path, digit_document(model, title if title is not None else "Draw a digit"))


def check_reads_digits(model: Model, name: str) -> None:
    """Raise DataError, with the model's name, unless it takes 28 × 28 numbers and gives classes."""
    output = model.program.outputs[0].operand
    if model.output_names is not None:
        raise DataError(
            f"{name}: gives {len(model.output_names)} outputs; the page is for a model of one."
        )
    shapes = [entry.shape for entry in model.inputs]
    if len(shapes) != 1 or not _is_frame(shapes[0][1:]) or shapes[0][:1] not in ((None,), (1,)):
        taken = " and ".join(_words(shape) for shape in shapes)
        raise DataError(
            f"{name}: takes {taken}; the page is for a model that takes one array, n × 784 or "
            "n × 28 × 28."
        )
    if model.inputs[0].dtype.kind != "f":
        raise DataError(
            f"{name}: takes {model.inputs[0].dtype}; the page's pixels are fractions from 0 to 1."
        )
    if len(output.shape) != 2 or output.shape[0] != 1 or output.shape[1] < 2:
        raise DataError(
            f"{name}: gives {_words(output.shape)} for an image; the page is for a model that "
            "gives a number for each class, n × 10."
        )


def _is_frame(shape: tuple[int | None, ...]) -> bool:
    """Whether one image is of 28 × 28 pixels: 784, or 28 × 28, perhaps with one channel."""
    sides = tuple(size for size in shape if size != 1)
    return sides in ((784,), (28, 28)) and math.prod(size or 0 for size in shape) == 784


def _words(shape: tuple[int | None, ...]) -> str:
    return " × ".join("n" if size is None else str(size) for size in shape) or "one number"
