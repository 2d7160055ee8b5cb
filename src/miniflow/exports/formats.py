"""`export`: a model or a training step becomes one file, in the format that its ending names."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from miniflow.compiler.compiled import Compiled
from miniflow.errors import CompileError, MiniflowError
from miniflow.exports.c_files import c_of_model, c_of_step, name_of_file
from miniflow.exports.module import to_javascript
from miniflow.exports.onnx_files import onnx_of_model, onnx_of_step
from miniflow.files.arrays import Path
from miniflow.files.atomic import write_bytes
from miniflow.graph import Node
from miniflow.graph.checks import is_one_of
from miniflow.graph.pixels import bytes_are_told_elsewhere
from miniflow.graph.typed import FedNode
from miniflow.graph.values import describe, way_to_a_node
from miniflow.interpreter.feeding import checked_output
from miniflow.interpreter.passes import one_pass_at_a_time
from miniflow.models import Model
from miniflow.models.folding import fold_channels
from miniflow.models.forward_program import (
    checked_inputs,
    examples_of,
    forward_program,
    without_loss,
)
from miniflow.models.notes import names_of_pixels
from miniflow.options import OptionError, file_path, whole


def export(
    what: Any,
    path: Path,
    *,
    inputs: Sequence[Node] | Mapping[FedNode, Any] | None = None,
    batch: int | None = None,
    name: str | None = None,
    weights: str | None = None,
) -> None:
    """Write a model or a training step to one file that needs no miniflow, in one step.

    Args:
        what: a `Model`; a node, whose forward program is written as `save` would write it, of a
            loss the logits, and which sets no `State`; or a compiled step, with an optimizer or one
            that sets states, for the shapes of its last call.
        path: the file; its ending says what is written: `.onnx`, `.c`, or `.js` (of a model or a
            node).
        inputs: of a node, its inputs or an example for each, as for `save`.
        batch: for how many rows; by default for any number, where what is written can say so; in C
            for 1. A training step has the number of its last call.
        name: of C, what all names in the file begin with; by default the file's stem.
        weights: of a model in C, "int8": what it multiplies by, as whole numbers of 8 bits with a
            scale for each column (of a convolution: each channel), a quarter of the bytes; by
            default as it is. `docs/shipping.md` says what that does to its numbers.

    A file says of itself what goes in and comes out, in which shapes and dtypes, what an input's
    numbers mean, what the classes are called, and which version of miniflow wrote it. The same
    model gives the same bytes.

    Of a step the parameters, the states and what the optimizer keeps are inputs, with the values
    that they have now where none are given, and outputs: `W` and `W_new`; in C they are a state,
    which `NAME_init` fills and `NAME_step` updates. Where the loss, a gradient or a new value is
    not finite, every new value is the old one, as in the step itself.

    Raises:
        OptionError: the ending is of no format, or not for this; an option does not fit.
        CompileError: the file's format cannot express it, and the message names the node; or the
            step was never called. Nothing has been written then.
        GraphError: an input of the node was never fed, as for `save`.
        OSError: the file cannot be written.

    >>> import pathlib, tempfile, numpy as np, miniflow as mf
    >>> X, W = mf.Input("X"), mf.Parameter([[1.0], [2.0]], "W")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "model.onnx")
    ...     mf.export(X @ W, path, inputs={X: np.zeros((1, 2))})
    ...     b"MatMul" in path.read_bytes()
    True
    """
    path = file_path("export", path)
    written = _format_of(path)
    if batch is not None:
        whole("export", "batch", batch, least=1)
    word = ""
    if written.has_names:
        word = name_of_file(path, name)
    elif name is not None:
        raise OptionError("export: name is for files of C: what other files have inside has none.")
    if weights is not None and not (is_one_of(weights, ["int8"]) and written.has_names):
        raise OptionError(
            f'export: weights is "int8", and for files of C, or left out; not {describe(weights)} '
            f"for {path!r}."
        )
    if isinstance(what, Compiled):
        if inputs is not None or batch is not None:
            raise OptionError(
                "export: a training step has the inputs and the number of rows of its last call: "
                "inputs and batch are for a node or a model."
            )
        if weights is not None:
            raise OptionError("export: a training step learns its weights, as they are: no int8.")
        data = written.of_step(what, word)
    else:
        data = written.of_model(_model_of(what, inputs, batch), batch, word, weights)
    write_bytes(path, data)


class Format(NamedTuple):
    """What is written under an ending: of a model, for that many rows or any; of a step; each with
    a name, if names in the file have one in front.
    """

    of_model: Callable[[Model, int | None, str, str | None], bytes]
    of_step: Callable[[Compiled, str], bytes]
    has_names: bool = False


def _no_step(step: Compiled, name: str) -> bytes:
    raise OptionError(
        "export: a training step is written as .onnx or .c. As JavaScript, mf.to_javascript writes "
        "the program of a step, step.program, as a function."
    )


def _onnx(model: Model, batch: int | None, name: str, weights: str | None) -> bytes:
    return onnx_of_model(model, batch)


def _module(model: Model, batch: int | None, name: str, weights: str | None) -> bytes:
    return to_javascript(model, batch=batch).encode()


FORMATS = {
    ".onnx": Format(_onnx, lambda step, _: onnx_of_step(step)),
    ".c": Format(c_of_model, c_of_step, has_names=True),
    ".js": Format(_module, _no_step),
}


def _format_of(path: str) -> Format:
    ending = os.path.splitext(path)[1].lower()
    if ending not in FORMATS:
        told = f"ends in {ending}" if ending else "has no ending"
        *first, last = FORMATS
        written = f"{', '.join(first)} or {last}"
        raise OptionError(f"export: {path!r} {told}; what is written is {written}.")
    return FORMATS[ending]


def _model_of(what: Any, inputs: Any, batch: int | None) -> Model:
    """What is written of a model or a node."""
    if isinstance(what, Model):
        if inputs is not None:
            raise OptionError("export: inputs are those of a node; a model has its own.")
        _check_rows(what, batch)
        return what
    if not isinstance(what, Node):
        raise OptionError(
            f"export: a model, a node or a compiled step is written, not {describe(what)}"
            f"{way_to_a_node(what)}."
        )
    inputs = checked_inputs(inputs)
    with one_pass_at_a_time, bytes_are_told_elsewhere():
        output = without_loss(checked_output(what), inputs)
        examples = examples_of(output, inputs)
        with fold_channels(output) as (output, _):
            forward = forward_program(output, examples)
    rows = next((type_.shape[0] for type_ in examples.values() if type_.shape), None)
    if forward.rows is None and batch != rows:
        raise CompileError(
            f"{output} does something else for another number of rows, or its program has a size "
            f"that does not grow evenly with it: export it for as many as it was fed, batch={rows}."
        )
    pixels = names_of_pixels(examples)
    notes = {"pixels": pixels} if pixels else {}
    model = Model(forward.description, [array for _, array in forward.arrays], notes=notes)
    if forward.rows is not None:
        _check_rows(model, batch)
    return model


def _check_rows(model: Model, batch: int | None) -> None:
    """Raise CompileError if a model does not work for the number of rows that was asked for."""
    if batch is None:
        return
    grows = any(None in entry.shape for entry in model.inputs)
    if not grows and batch not in {entry.shape[0] for entry in model.inputs if entry.shape}:
        raise CompileError(f"The model is one for a single number of rows, and not for {batch}.")
    try:
        model.program_for(batch)
    except MiniflowError as error:
        raise CompileError(f"The model does not work for {batch} rows: {error}.") from error
