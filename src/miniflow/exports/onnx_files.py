"""Files of ONNX: a model for any number of rows, or a training step for those of its last call."""

import numpy as np

from miniflow import __version__
from miniflow.backends.onnx import PASSES, for_any_rows, to_onnx
from miniflow.backends.onnx.printing import About, names_in_file
from miniflow.compiler.compiled import Compiled
from miniflow.compiler.recorded import recorded_step
from miniflow.exports.facts import Told, about_input, facts_of, metadata_of_step, text_of_step
from miniflow.ir.dtypes import DTYPES, ValueType
from miniflow.models import Model
from miniflow.passes import optimize

ROLES = {
    "fed": "",
    "parameter": "a parameter",
    "state": "what the optimizer keeps",
    "hyper": "the learning rate",
}


def onnx_of_model(model: Model, batch: int | None) -> bytes:
    """A model, for that many rows; for None, for any number if it has none of its own."""
    facts = facts_of(model, batch).called(*names_in_file(model.program_for(1)))
    means = [entry.about for entry in facts.inputs]
    about = About(__version__, facts.text(), facts.metadata(), means)
    if batch is None and any(None in entry.shape for entry in model.inputs):
        return for_any_rows(model.program_for, about)
    return to_onnx(optimize(model.program_for(batch or 1), PASSES), about)


def onnx_of_step(step: Compiled) -> bytes:
    """A training step: what is fed, the parameters, what the optimizer keeps and its learning rate
    go in; the value and the gradients that it returns, and every new value, come out.
    """
    program, values = recorded_step(step)
    names, results = names_in_file(program)
    called = {e.variable: name for e, name in zip(program.inputs, names, strict=True)}
    handed = [output for output in program.outputs if output.role != "check"]
    state = {
        called[output.replaces]: name
        for output, name in zip(handed, results, strict=True)
        if output.replaces is not None
    }
    inputs = [
        _entry(name, e.variable.type, about_input(step, e, ROLES))
        for name, e in zip(names, program.inputs, strict=True)
    ]
    outputs = [
        _entry(name, output.operand.type, "" if output.role == "value" else output.role)
        for output, name in zip(handed, results, strict=True)
    ]
    about = About(
        version=__version__,
        text=text_of_step(inputs, outputs),
        metadata=metadata_of_step(inputs, outputs, state),
        inputs=[entry.about for entry in inputs],
        first=[None if value is None else np.asarray(value) for value in values],
    )
    return to_onnx(optimize(program, PASSES), about)


def _entry(name: str, type_: ValueType, about: str) -> Told:
    return Told(name, type_.shape, str(DTYPES[type_.dtype]), about)
