"""Model files: the forward program of a graph and its arrays, in one safetensors file.

    mf.save(loss, "digits.safetensors")              # of a loss, the logits are what is saved

A file holds no code and names none: a program over some sixty primitives and the arrays that it
reads, and, where the nodes' `backward` can be recorded, the program of the way back, from a
gradient of the output to those of the inputs. So it serves node classes that the reader has never
seen.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from miniflow.files.arrays import Path, write_arrays
from miniflow.graph import Node
from miniflow.graph.pixels import bytes_are_told_elsewhere
from miniflow.graph.typed import FedNode
from miniflow.graph.values import describe
from miniflow.interpreter.feeding import checked_outputs
from miniflow.interpreter.passes import one_pass_at_a_time
from miniflow.models.backward_program import backward_program
from miniflow.models.folding import fold_channels
from miniflow.models.forward_program import (
    Stored,
    checked_inputs,
    examples_of,
    forward_program,
    names_of_outputs,
    without_loss,
)
from miniflow.models.notes import names_of_pixels
from miniflow.options import OptionError, file_path

BACKWARD = "backward."  # how the names of arrays begin that only the backward program reads


def save(
    node: Node | Sequence[Node],
    path: Path,
    inputs: Sequence[Node] | Mapping[FedNode, Any] | None = None,
    *,
    notes: Mapping[str, Any] | None = None,
) -> None:
    """Write the forward program of `node` and its arrays to a file, in one step.

    Args:
        node: the output; of a loss of (logits, labels), the logits are saved. (What gives one
            number from rows and an input that nothing else needs, counts as a loss, unless `inputs`
            has that input.) Or a list of outputs, each with a name of its own, as they are: then
            the model gives a dictionary, name → value.
        path: the file; `.safetensors` is the usual ending.
        inputs: the inputs of the model in the order in which it takes them, or input → an example
            of what is fed, which says shape and dtype. By default all inputs that must be fed, as
            they were fed last.
        notes: what else to keep in the file, for `Model.notes`: names → what JSON can hold. None by
            default. `miniflow train` notes the names of the classes. `pixels` lists the names of
            the inputs for which the model is to take bytes (uint8) for pixels, as numbers from 0 to
            1; that of a graph which `fit` has last trained on a data set of bytes is noted anyway.

    A `BatchNorm` that follows a layer directly becomes part of its weights, since a model file is
    for inference; to go on training elsewhere there is `save_weights`.

    The same model gives the same bytes. The first axis of the first input is taken to be that of
    the rows, and of every input that has as many; a model whose program grows evenly with their
    number works for any number of rows.

    Raises:
        GraphError: an input was never fed, so that its shape is not known, or is missing in
            `inputs`; of a list of outputs, it is empty, or one has no name, or that of another.
        CompileError: a node does what cannot be recorded.
        OptionError: JSON cannot hold the notes; `path` is no path, or ends as another format's.
        OSError: the file cannot be written.

    >>> import pathlib, tempfile, numpy as np, miniflow as mf
    >>> X, W = mf.Input("X"), mf.Parameter([[1.0], [2.0]], "W")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "model.safetensors")
    ...     mf.save(X @ W, path, inputs={X: np.zeros((1, 2))})
    ...     model = mf.load(path)
    >>> model([[1.0, 1.0], [0.0, 3.0]])
    array([[3.],
           [6.]])
    """
    path = model_path("save", path)
    inputs = checked_inputs(inputs)
    with one_pass_at_a_time, bytes_are_told_elsewhere():
        output = checked_outputs(node)
        names = names_of_outputs(output)
        output = without_loss(output, inputs) if names is None else output
        examples = examples_of(output, inputs)
        with fold_channels(output) as (output, folded):
            forward = forward_program(output, examples)
            backward = None if names is not None else backward_program(output, examples, forward)
    arrays = {f"{i:06d}.{name}": array for i, (name, array) in enumerate(forward.arrays)}
    about = {"format": 1, "program": forward.description, "parameters": forward.parameters}
    if names is not None:
        about["outputs"] = names
    if folded:
        about["folded"] = folded
    if backward is not None:
        about["backward"] = {
            "program": backward.description,
            "arrays": _add_arrays(arrays, backward),
        }
    fed_pixels = names_of_pixels(examples)
    pixels = {"pixels": fed_pixels} if fed_pixels else {}
    if kept := pixels | _checked_notes({} if notes is None else notes):
        about["notes"] = kept
    write_arrays(path, "model", arrays, about)


OTHER_FORMATS = {
    **dict.fromkeys((".pt", ".pth", ".ckpt"), "PyTorch"),
    **dict.fromkeys((".h5", ".hdf5", ".keras", ".pb", ".tflite"), "Keras and TensorFlow"),
    **dict.fromkeys((".pkl", ".pickle", ".joblib"), "pickle"),
    **dict.fromkeys((".npz", ".npy"), "NumPy"),
    **dict.fromkeys((".html", ".js", ".json", ".c"), "others"),
    ".onnx": "ONNX",
}


def model_path(owner: str, path: Any) -> str:
    """The path of a model file that is to be written, if its ending is no other format's.

    >>> model_path("save", "digits.onnx")
    Traceback (most recent call last):
        ...
    miniflow.options.OptionError: save: 'digits.onnx' would be no file of ONNX: what is written is safetensors, for mf.load. Name it digits.safetensors.
    """  # noqa: E501 (the message is one line)
    text = file_path(owner, path)
    stem, ending = os.path.splitext(text)
    if (other := OTHER_FORMATS.get(ending.lower())) is not None:
        raise OptionError(
            f"{owner}: {text!r} would be no file of {other}: what is written is safetensors, for "
            f"mf.load. Name it {stem}.safetensors."
        )
    return text


def _add_arrays(arrays: dict[str, np.ndarray[Any, Any]], program: Stored) -> list[str]:
    """The keys of a second program's arrays; those that are not among the first's are added."""
    keys = {_contents(array): key for key, array in arrays.items()}
    for i, (name, array) in enumerate(program.arrays):
        key = keys.setdefault(_contents(array), f"{BACKWARD}{i:06d}.{name}")
        arrays.setdefault(key, array)
    return [keys[_contents(array)] for _, array in program.arrays]


def _contents(array: np.ndarray[Any, Any]) -> tuple[Any, ...]:
    """What two arrays share if they hold the same bits."""
    return array.dtype.str, array.shape, hashlib.sha256(array.tobytes()).digest()


def _checked_notes(notes: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(notes, Mapping):
        raise OptionError(
            f"save: notes is a dictionary, name → what JSON can hold, not {describe(notes)}."
        )
    try:
        held: dict[str, Any] = json.loads(json.dumps(dict(notes), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise OptionError(f"save: notes hold names and what JSON can hold: {error}.") from error
    return held
